//! What training writes while it goes on: `metrics.jsonl` line by line, and checkpoints when they are due.

use crate::checkpoint;
use crate::error::LearnError;
use crate::train::Progress;
use outset_spec::record::MetricLine;
use outset_spec::{Checkpoint, Every};
use std::fs::File;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// A checkpoint may take this share of the time at most, where `every` is a time.
const SHARE: u32 = 20;

/// Keeps the files of a training run.
pub struct Keeper {
    checkpoints: PathBuf,
    settings: Checkpoint,
    seed: u64,
    metrics: PathBuf,
    file: File,
    /// All of `metrics.jsonl`.
    text: Vec<u8>,
    saved_at: Instant,
    saved_step: usize,
    last_took: Duration,
    /// Epoch of the best state that `checkpoints/best` holds.
    best_epoch: Option<usize>,
}

impl Keeper {
    /// Begins `metrics.jsonl` in the folder of a run with the lines `so_far`, those after them being cut off.
    ///
    /// # Errors
    /// If the folder cannot be written.
    pub fn new(
        run: &Path,
        settings: &Checkpoint,
        seed: u64,
        so_far: &[u8],
        step: usize,
    ) -> Result<Self, LearnError> {
        let (metrics, checkpoints) = (run.join("metrics.jsonl"), run.join("checkpoints"));
        crate::files::write(&metrics, so_far)?;
        checkpoint::clean(&checkpoints);
        let failed = |source| LearnError::Write { path: metrics.clone(), source };
        let file = File::options().append(true).open(&metrics).map_err(failed)?;
        Ok(Self {
            checkpoints,
            settings: settings.clone(),
            seed,
            metrics,
            file,
            text: so_far.to_vec(),
            saved_at: Instant::now(),
            saved_step: step,
            last_took: Duration::ZERO,
            best_epoch: None,
        })
    }

    /// Writes one line of metrics.
    ///
    /// # Errors
    /// If the disk is full.
    pub fn line(&mut self, line: &MetricLine) -> Result<(), LearnError> {
        let mut text = serde_json::to_vec(line).unwrap_or_default();
        text.push(b'\n');
        self.file
            .write_all(&text)
            .map_err(|source| LearnError::Write { path: self.metrics.clone(), source })?;
        self.text.extend(text);
        Ok(())
    }

    /// All lines of metrics so far.
    pub fn lines(&self) -> Vec<MetricLine> {
        let lines = self.text.split(|byte| *byte == b'\n');
        lines.filter_map(|line| serde_json::from_slice(line).ok()).collect()
    }

    /// Whether a checkpoint is due after `step`.
    pub fn is_due(&self, step: usize) -> bool {
        match self.settings.every {
            Every::Steps(steps) => step >= self.saved_step + steps,
            Every::Time(time) => self.saved_at.elapsed() >= time.0.max(self.last_took * SHARE),
        }
    }

    /// Saves the state of training: its position and its tensors, by name of the file, those of the best state first.
    ///
    /// # Errors
    /// If the disk is full, or an error of `files`; the checkpoints before are whole then.
    pub fn save(
        &mut self,
        progress: &Progress,
        files: impl Iterator<Item = Result<(String, Vec<u8>), LearnError>>,
    ) -> Result<(), LearnError> {
        let clock = Instant::now();
        let best_epoch = progress.best.map(|(epoch, _)| epoch);
        let mut files = files.peekable();
        // Before the checkpoint: a run that is killed in between goes on from the one before and writes both again, while one
        // that is killed behind its last checkpoint writes none any more.
        if let Some(Ok((name, bytes))) = files.peek()
            && name == "best.safetensors"
            && best_epoch != self.best_epoch
        {
            self.write_weights(&self.checkpoints.join("best"), bytes)?;
            self.best_epoch = best_epoch;
        }
        let metrics = ("metrics.jsonl".to_owned(), self.text.clone());
        let folder = self.checkpoints.join(checkpoint::name(progress.step));
        checkpoint::write(&folder, self.seed, Some(progress), files.chain([Ok(metrics)]))?;
        checkpoint::prune(&self.checkpoints, self.settings.keep, progress.step);
        (self.saved_at, self.saved_step, self.last_took) = (Instant::now(), progress.step, clock.elapsed());
        Ok(())
    }

    /// Saves weights alone and gives their folder, or that of the checkpoint which has them already.
    ///
    /// # Errors
    /// If the disk is full.
    pub fn save_weights(&self, step: usize, weights: Vec<u8>) -> Result<PathBuf, LearnError> {
        let folder = self.checkpoints.join(checkpoint::name(step));
        if !folder.join("checkpoint.json").exists() {
            self.write_weights(&folder, &weights)?;
        }
        Ok(folder)
    }

    fn write_weights(&self, folder: &Path, weights: &[u8]) -> Result<(), LearnError> {
        checkpoint::write(folder, self.seed, None, [Ok(("model.safetensors".to_owned(), weights))])
    }
}
