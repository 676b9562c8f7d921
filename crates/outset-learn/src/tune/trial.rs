//! One trial: from its settings, or from the checkpoint where it paused, to its next rung.

use super::database::Trial;
use super::pruner::{RUNGS, epochs_at};
use super::space::assignment;
use crate::checkpoint::{self, Checkpoint};
use crate::device;
use crate::error::LearnError;
use crate::evaluate::Answers;
use crate::keeper::Keeper;
use crate::network::{Design, Network};
use crate::prepare::{Prepared, prepare};
use crate::recipe::Recipe;
use crate::redesign::{changes_data, redesign};
use crate::train::{Examples, Pause, Training, answers_on_val, judge};
use outset_spec::Experiment;
use std::path::Path;
use std::sync::atomic::AtomicBool;
use std::time::Instant;

/// What all trials of a study share.
pub struct Shared<'a> {
    /// The experiment as it was declared.
    pub experiment: &'a Experiment,
    /// Its data, prepared once for all trials that leave it alone.
    pub prepared: &'a Prepared,
    /// Folder of the study.
    pub folder: &'a Path,
    pub max_latency: Option<f64>,
    /// What a second costs, for `train.cost_limit`.
    pub price_per_second: f64,
    pub stop: &'a AtomicBool,
    /// Whether a trial is taken only so far that it has a value, whatever its next rung.
    pub least: bool,
}

/// The experiment of a trial.
///
/// # Errors
/// If a setting is wrong.
pub fn experiment(declared: &Experiment, trial: &Trial) -> Result<Experiment, LearnError> {
    let settings: Vec<String> = trial.settings.iter().map(|(key, value)| assignment(key, value)).collect();
    Ok(declared.with(&settings)?)
}

/// Folder of a trial within that of its study.
pub fn folder(study: &Path, id: usize) -> std::path::PathBuf {
    study.join(format!("trials/{id:04}"))
}

impl Shared<'_> {
    /// Takes a trial to its next rung, writes into it what came of that, and gives what there is to say of its checkpoints;
    /// what goes wrong with its settings or its loss is its own failure and not that of the study.
    ///
    /// # Errors
    /// If the disk is full or a file is in the way.
    pub fn advance(&self, trial: &mut Trial) -> Result<Vec<String>, LearnError> {
        let mut notes = Vec::new();
        match self.work(trial, &mut notes) {
            Err(error @ (LearnError::Write { .. } | LearnError::Read { .. })) => return Err(error),
            Err(error) => (trial.state, trial.error) = ("failed".to_owned(), Some(error.to_string())),
            Ok(()) => {}
        }
        Ok(notes)
    }

    fn work(&self, trial: &mut Trial, notes: &mut Vec<String>) -> Result<(), LearnError> {
        let experiment = experiment(self.experiment, trial)?;
        if !trial.settings.keys().any(|key| changes_data(key))
            && let Some((design, recipe)) = redesign(self.prepared, &experiment)?
        {
            return self.train(trial, self.prepared, &design, &recipe, notes);
        }
        let own = prepare(&experiment, &mut |_| {})?;
        self.train(trial, &own, &own.design, &own.recipe, notes)
    }

    fn train(
        &self,
        trial: &mut Trial,
        prepared: &Prepared,
        design: &Design,
        recipe: &Recipe,
        notes: &mut Vec<String>,
    ) -> Result<(), LearnError> {
        let folder = folder(self.folder, trial.id);
        let device = device::chosen().autodiff();
        design.check_memory(&prepared.preprocessor)?;
        let network = design.build(&prepared.preprocessor, recipe.seed, &device);
        trial.parameters = network.parts().iter().map(|(_, _, count)| count).sum();
        let examples = prepared.examples();
        let mut training = Training::new(design, network, recipe, &examples, &device);
        training.price_per_second = self.price_per_second;
        let found = checkpoint::find(&folder.join("checkpoints"));
        notes.extend(found.clear());
        let found = found.newest.map(|(_, checkpoint)| checkpoint);
        let mut so_far = &[][..];
        if let Some(checkpoint) = &found {
            restore(&mut training, checkpoint, &folder)?;
            so_far = checkpoint.files.get("metrics.jsonl").map_or(&[][..], Vec::as_slice);
        }
        let (step, epoch) = (training.progress().step, training.progress().epoch);
        // One checkpoint is enough: another is written only where a trial pauses.
        let settings = outset_spec::Checkpoint { keep: 1, ..recipe.checkpoint.clone() };
        let mut keeper = Keeper::new(&folder, &settings, recipe.seed, so_far, step)?;
        let rung = trial.values.len();
        let until = match self.least {
            true => Some(epoch.max(1)),
            false => (rung + 1 < RUNGS).then(|| epochs_at(rung, recipe.epochs)),
        };
        let pause = training.advance(until, Some(&mut keeper), self.stop, &mut |_| {});
        // Time that was lost with a loss that ran away was spent too.
        let progress = training.progress();
        (trial.epochs, trial.seconds) = (progress.epoch, progress.seconds);
        let pause = pause?;
        if pause == Pause::Interrupted || self.least {
            trial.state = "interrupted".to_owned();
            // It may yet win by the state that its checkpoint holds.
            if self.max_latency.is_some() && trial.latency.is_none() {
                self.time(trial, &training.finish(pause).network, &examples);
            }
            return Ok(());
        }
        trial.values.extend(progress.best.map(|(_, value)| value));
        if pause == Pause::Ended {
            // One that stopped early stands at all further rungs as it is.
            let value = trial.values.last().copied().unwrap_or(f64::NAN);
            trial.values.resize(RUNGS, value);
        }
        trial.state = if pause == Pause::Ended { "done" } else { "paused" }.to_owned();
        if trial.latency.is_none() || pause == Pause::Ended {
            let trained = training.finish(pause);
            self.time(trial, &trained.network, &examples);
            if pause == Pause::Ended {
                // With the evidence, which only a network that is trained to its end is given.
                let weights = design.weights();
                let answers = answers_on_val(&trained.network, recipe, &examples, &weights, &device);
                let (value, _) = judge(&answers, recipe, &examples);
                trial.values.last_mut().into_iter().for_each(|last| *last = value);
                trial.interval = interval(&answers, recipe, &examples);
            }
        }
        Ok(())
    }

    /// Writes into a trial how long its network takes for an answer; one that takes too long has failed.
    fn time(&self, trial: &mut Trial, network: &Network, examples: &Examples<'_>) {
        let latency = latency(network, examples);
        trial.latency = Some(latency);
        if self.max_latency.is_some_and(|most| latency > most) {
            (trial.state, trial.error) = ("failed".to_owned(), Some("answers too slowly".to_owned()));
        }
    }
}

fn restore(training: &mut Training<'_>, checkpoint: &Checkpoint, folder: &Path) -> Result<(), LearnError> {
    let path = folder.join("checkpoints");
    let failed = |source| LearnError::Bundle(crate::bundle::BundleError::Weights { path, source });
    training.restore(checkpoint).map_err(failed)
}

/// Seconds to answer one row, the median of a few.
fn latency(network: &Network, examples: &Examples<'_>) -> f64 {
    let device = device::chosen();
    let mut seconds: Vec<f64> = (0..15)
        .map(|index| {
            let row = examples.val[index % examples.val.len().max(1)];
            let clock = Instant::now();
            network.answers(examples.features, &[row], &device);
            clock.elapsed().as_secs_f64()
        })
        .collect();
    seconds.sort_by(f64::total_cmp);
    seconds[seconds.len() / 2]
}

/// The 95 % interval of the objective on val; none for a loss.
fn interval(answers: &Answers, recipe: &Recipe, examples: &Examples<'_>) -> Option<[f64; 2]> {
    let output = recipe.objective.output?;
    let truth = &examples.truths[output];
    let all = truth.intervals(&answers.rows, &answers.outputs[output], examples.weights);
    all.get(&recipe.objective.metric).copied()
}
