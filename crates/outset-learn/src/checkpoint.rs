//! Checkpoints: the whole state of training in a folder, `checkpoints/step-000800`.
//!
//! `model.safetensors` (weights), `optimizer.safetensors`, `average.safetensors` (the moving average of the weights),
//! `best.safetensors` (the best state so far), `metrics.jsonl` (the lines until then) and `checkpoint.json` with the
//! position in the data and the SHA-256 of each other file. Order and random numbers are made from seed, epoch and step
//! alone, so that the position is all there is to keep of them.

use crate::bundle::sha256;
use crate::error::LearnError;
use crate::files;
use crate::train::Progress;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use thiserror::Error;

/// Version of the format; raised when an older program could no longer read it rightly.
pub const FORMAT: u32 = 1;

/// Name of the file that says what a checkpoint is.
pub const MANIFEST: &str = "checkpoint.json";

/// A checkpoint that cannot be used.
#[derive(Debug, Error)]
pub enum CheckpointError {
    #[error("`{}` cannot be read", path.display())]
    Read { path: PathBuf, source: std::io::Error },
    #[error("`{}` is not what its checksum says", path.display())]
    Altered { path: PathBuf },
    #[error("`{}` is not that of a checkpoint", path.display())]
    Malformed { path: PathBuf, source: serde_json::Error },
    #[error("`{}` has format {found}, but this program reads formats up to {FORMAT}", path.display())]
    Newer { path: PathBuf, found: u32 },
}

/// What `checkpoint.json` holds.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Manifest {
    format: u32,
    /// Version of Outset that wrote the checkpoint.
    version: String,
    /// Seed of order, dropout and first weights.
    seed: u64,
    /// The position of training; none where the folder holds weights alone.
    progress: Option<Progress>,
    /// SHA-256 of each other file.
    sha256: BTreeMap<String, String>,
}

/// A checkpoint in memory.
pub struct Checkpoint {
    pub progress: Progress,
    /// By name of the file.
    pub files: BTreeMap<String, Vec<u8>>,
}

/// Writes a checkpoint, or weights alone where `progress` is `None`, whole or not at all. Each file is asked for when those
/// before it are written.
///
/// # Errors
/// If the folder cannot be written or the disk is full, or an error of `files`.
pub fn write<B: AsRef<[u8]>>(
    folder: &Path,
    seed: u64,
    progress: Option<&Progress>,
    files: impl IntoIterator<Item = Result<(String, B), LearnError>>,
) -> Result<(), LearnError> {
    files::write_folder(folder, |put| {
        let mut manifest = Manifest {
            format: FORMAT,
            version: env!("CARGO_PKG_VERSION").to_owned(),
            seed,
            progress: progress.cloned(),
            sha256: BTreeMap::new(),
        };
        for file in files {
            let (name, bytes) = file?;
            put(&name, bytes.as_ref())?;
            manifest.sha256.insert(name, sha256(bytes.as_ref()));
        }
        put(MANIFEST, &files::pretty(&manifest))
    })
}

/// Reads a checkpoint and checks that it is whole; `None` where the folder holds weights alone.
///
/// # Errors
/// If a file is missing, altered, or of a newer format.
pub fn read(folder: &Path) -> Result<Option<Checkpoint>, CheckpointError> {
    let read = |name: &str| {
        let path = folder.join(name);
        std::fs::read(&path).map_err(|source| CheckpointError::Read { path, source })
    };
    let path = folder.join(MANIFEST);
    let manifest: Manifest = serde_json::from_slice(&read(MANIFEST)?)
        .map_err(|source| CheckpointError::Malformed { path: path.clone(), source })?;
    if manifest.format > FORMAT {
        return Err(CheckpointError::Newer { path, found: manifest.format });
    }
    let Some(progress) = manifest.progress else { return Ok(None) };
    let mut files = BTreeMap::new();
    for (name, expected) in manifest.sha256 {
        let bytes = read(&name)?;
        if sha256(&bytes) != expected {
            return Err(CheckpointError::Altered { path: folder.join(name) });
        }
        files.insert(name, bytes);
    }
    Ok(Some(Checkpoint { progress, files }))
}

/// The step that a checkpoint was written after, from the bytes of its [`MANIFEST`].
pub fn step_of(manifest: &[u8]) -> Option<usize> {
    let manifest: Manifest = serde_json::from_slice(manifest).ok()?;
    Some(manifest.progress?.step)
}

/// Name of the checkpoint's folder after a step.
pub fn name(step: usize) -> String {
    format!("step-{step:06}")
}

/// The folders of checkpoints with their steps, the latest first; one that was being replaced when the program died comes
/// right after the one that was to take its place.
pub fn list(checkpoints: &Path) -> Vec<(usize, PathBuf)> {
    let entries = std::fs::read_dir(checkpoints).into_iter().flatten().flatten();
    let mut found: Vec<(usize, bool, PathBuf)> = entries
        .filter_map(|entry| {
            let name = entry.file_name().to_str()?.strip_prefix("step-")?.to_owned();
            let (digits, replaced) =
                name.strip_suffix(".replaced").map_or((name.as_str(), false), |digits| (digits, true));
            Some((digits.parse().ok()?, !replaced, entry.path()))
        })
        .collect();
    found.sort_by_key(|(step, is_latest, _)| std::cmp::Reverse((*step, *is_latest)));
    found.into_iter().map(|(step, _, path)| (step, path)).collect()
}

/// What a run's folder holds to go on from.
#[derive(Default)]
pub struct Found {
    /// The latest checkpoint that is whole, with its folder.
    pub newest: Option<(PathBuf, Checkpoint)>,
    /// Those that had to be passed over for it, with their faults.
    pub refused: Vec<(PathBuf, CheckpointError)>,
}

/// Looks for the latest checkpoint that is whole.
pub fn find(checkpoints: &Path) -> Found {
    let mut found = Found::default();
    for (_, path) in list(checkpoints) {
        match read(&path) {
            Ok(Some(checkpoint)) => {
                found.newest = Some((path, checkpoint));
                break;
            }
            Ok(None) => {}
            Err(error) => found.refused.push((path, error)),
        }
    }
    found
}

impl Found {
    /// What there is to say of those that were passed over. Damaged ones are removed, so that they are neither taken for
    /// whole nor counted among those to keep; what could not be read may yet be whole.
    pub fn clear(&self) -> Vec<String> {
        let next = match &self.newest {
            Some((next, _)) => format!("goes on from `{}`", next.display()),
            None => "begins again".to_owned(),
        };
        let told = self.refused.iter().map(|(path, error)| {
            if matches!(error, CheckpointError::Altered { .. } | CheckpointError::Malformed { .. }) {
                let _ = std::fs::remove_dir_all(path);
            }
            let cause =
                std::error::Error::source(error).map_or_else(String::new, |cause| format!(": {cause}"));
            format!("checkpoint `{}` is damaged ({error}{cause}); training {next}", path.display())
        });
        told.collect()
    }
}

/// Removes what was left half-written.
pub fn clean(checkpoints: &Path) {
    let entries = std::fs::read_dir(checkpoints).into_iter().flatten().flatten();
    let partial =
        entries.map(|entry| entry.path()).filter(|path| path.extension().is_some_and(|e| e == "partial"));
    // What cannot be removed takes room, no more.
    partial.for_each(|path| _ = std::fs::remove_dir_all(path));
}

/// Removes what was left half-written, and all but the latest `keep` checkpoints until `step`; later ones are of a
/// training that this one did not go on from.
pub fn prune(checkpoints: &Path, keep: usize, step: usize) {
    clean(checkpoints);
    let until = list(checkpoints).into_iter().filter(|(at, _)| *at <= step);
    until.skip(keep).for_each(|(_, path)| _ = std::fs::remove_dir_all(path));
}

#[cfg(test)]
mod tests {
    use super::*;

    fn write_at(checkpoints: &Path, step: usize) {
        let progress = Progress { step, ..Progress::default() };
        let files = [Ok(("model.safetensors".to_owned(), [step as u8; 8]))];
        write(&checkpoints.join(name(step)), 1, Some(&progress), files).unwrap();
    }

    fn newest_step(checkpoints: &Path) -> (Option<usize>, usize) {
        let found = find(checkpoints);
        (found.newest.map(|(_, checkpoint)| checkpoint.progress.step), found.refused.len())
    }

    #[test]
    fn the_latest_whole_one_is_taken() {
        let folder = tempfile::tempdir().unwrap();
        assert_eq!(newest_step(folder.path()), (None, 0));
        (1..=3).for_each(|step| write_at(folder.path(), step));
        assert_eq!(newest_step(folder.path()), (Some(3), 0));
        std::fs::write(folder.path().join("step-000003/model.safetensors"), [0; 8]).unwrap();
        assert_eq!(newest_step(folder.path()), (Some(2), 1));
        std::fs::remove_file(folder.path().join("step-000002/checkpoint.json")).unwrap();
        assert_eq!(newest_step(folder.path()), (Some(1), 2));
    }

    #[test]
    fn a_replaced_one_counts_where_its_follower_never_came() {
        let folder = tempfile::tempdir().unwrap();
        write_at(folder.path(), 2);
        std::fs::rename(folder.path().join("step-000002"), folder.path().join("step-000002.replaced"))
            .unwrap();
        assert_eq!(newest_step(folder.path()), (Some(2), 0));
    }

    #[test]
    fn the_number_is_bounded() {
        let folder = tempfile::tempdir().unwrap();
        (1..=5).for_each(|step| write_at(folder.path(), step));
        std::fs::create_dir(folder.path().join("step-000006.partial")).unwrap();
        prune(folder.path(), 2, 5);
        let steps: Vec<usize> = list(folder.path()).into_iter().map(|(step, _)| step).collect();
        assert_eq!(steps, [5, 4]);
        assert!(!folder.path().join("step-000006.partial").exists());
        // What was written just now stays beside a later one that could not be read.
        write_at(folder.path(), 3);
        prune(folder.path(), 1, 3);
        let steps: Vec<usize> = list(folder.path()).into_iter().map(|(step, _)| step).collect();
        assert_eq!(steps, [5, 4, 3]);
    }
}
