//! The end of a search: the best trial goes from its checkpoint to a tested bundle, in a run of its own.
//!
//! Which run that is stands in the study before it begins, so that a conclusion that was killed is gone on with, in that
//! very run, and the test part is not looked at by another.

use super::database::{Database, Place, Trial};
use super::space::{Domain, Parameter};
use super::{DEFAULT, Study, Tuned, importance, seconds_of, trial, tried};
use crate::checkpoint;
use crate::error::LearnError;
use crate::event::{Event, Observer};
use crate::files;
use crate::machine;
use crate::prepare::prepare;
use crate::resume::{self, Resumed};
use crate::run::{Finished, Options, Way};
use indexmap::IndexMap;
use outset_spec::Experiment;
use outset_spec::record::{TrialRecord, TuneRecord};
use serde::{Deserialize, Serialize};
use std::path::Path;
use std::sync::atomic::Ordering;
use std::time::Instant;

/// What a study says of its conclusion.
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(default)]
struct Conclusion {
    /// Trials that the best was chosen from; more of them, or another winner, make another conclusion.
    trials: usize,
    /// The best, and its value in words that are exact.
    winner: usize,
    value: String,
    /// The run, as seen from the study's folder.
    run: String,
    /// What the search took until then.
    seconds: f64,
    /// Name of the machine that has it.
    machine: String,
    /// Whether the run came to its end.
    done: bool,
    /// Looks at the test part by this run and by those of conclusions before it.
    looks: u32,
}

impl Conclusion {
    /// What a study says of its conclusion, where it says something.
    fn kept(database: &mut Database) -> Result<Option<Self>, LearnError> {
        Ok(database.concluded()?.and_then(|kept| serde_json::from_value(kept).ok()))
    }
}

impl Study<'_> {
    /// Seconds that the search took before: what was written of it at its end, or what its trials took, shared by as many as
    /// run side by side now.
    pub(super) fn seconds_before(&self, database: &mut Database) -> Result<f64, LearnError> {
        let of_trials = seconds_of(&database.trials()?) / self.settings.side_by_side() as f64;
        Ok(Conclusion::kept(database)?.map_or(0.0, |kept| kept.seconds).max(of_trials))
    }

    /// The trial with the best value, those that failed aside.
    pub(super) fn best<'t>(&self, trials: &'t [Trial]) -> Option<&'t Trial> {
        let objective = &self.prepared.recipe.objective;
        let values = trials
            .iter()
            .filter(|trial| trial.state != "failed")
            .filter_map(|trial| Some((trial, *trial.values.last()?)));
        let better = |a: (&'t Trial, f64), b: (&'t Trial, f64)| {
            if objective.improves(b.1, a.1) { b } else { a }
        };
        values.reduce(better).map(|(trial, _)| trial)
    }

    /// The trials; one that was stopped between two rungs stands with the best state that its checkpoint holds.
    fn with_stopped(&self, database: &mut Database) -> Result<Vec<Trial>, LearnError> {
        let mut trials = database.trials()?;
        for trial in &mut trials {
            if !["interrupted", "running"].contains(&trial.state.as_str()) {
                continue;
            }
            let folder = trial::folder(&self.folder, trial.id);
            database.fetch(trial.id, &folder)?;
            if self.settings.max_latency.is_some() && trial.latency.is_none() {
                // Nobody knows whether it answers fast enough.
                continue;
            }
            let newest = checkpoint::find(&folder.join("checkpoints")).newest;
            trial.values.extend(newest.and_then(|(_, kept)| kept.progress.best).map(|(_, value)| value));
        }
        Ok(trials)
    }

    /// Sees to it that some trial has a value: where a limit ended the search before, the declared settings are taken to the
    /// end of their first epoch. `false` where the user stopped that.
    pub(super) fn has_value(
        &self,
        database: &mut Database,
        options: &Options<'_>,
        observe: Observer<'_>,
    ) -> Result<bool, LearnError> {
        let trials = self.with_stopped(database)?;
        let mut default = trials.iter().find(|trial| trial.id == DEFAULT).cloned().unwrap_or_default();
        if self.best(&trials).is_some() || default.state == "failed" {
            return Ok(true);
        }
        let shared =
            trial::Shared { least: true, ..self.shared(options.price_per_second, options.interrupt) };
        self.go_on(database, &mut default, |trial| shared.advance(trial), observe)?;
        Ok(!options.interrupt.load(Ordering::Relaxed))
    }

    /// Takes the best trial to a tested bundle after a search of so many seconds, unless that was done, or goes on with it
    /// where that was begun.
    pub(super) fn conclude(
        &self,
        database: &mut Database,
        seconds: f64,
        options: &Options<'_>,
        observe: Observer<'_>,
    ) -> Result<Tuned, LearnError> {
        let trials = self.with_stopped(database)?;
        let is_of = |kept: &Conclusion| {
            let best = self
                .best(&trials)
                .filter(|best| (best.id, value_of(best)) == (kept.winner, kept.value.clone()));
            kept.trials == trials.len() && best.is_some()
        };
        let kept = Conclusion::kept(database)?;
        // Whatever won before may have looked at the test part, its run being there or not.
        let looks = kept.as_ref().map_or(0, |kept| {
            let state = resume::read_state(&self.folder.join(&kept.run));
            state.map_or(0, |state| state.test_looks).max(kept.looks)
        });
        let begun = kept.filter(is_of).unwrap_or_default();
        let is_here = begun.machine == machine::name();
        let run = resume::shortened(&self.folder.join(&begun.run));
        match (&*begun.run, is_here) {
            ("", _) => {}
            (_, true) if run.join("state.json").is_file() => {
                let resumed = resume::resume(&run, options.price_per_second, options.interrupt, observe)?;
                if !begun.done {
                    database.conclude(&json(&Conclusion { done: true, ..begun }))?;
                }
                return Ok(match resumed {
                    Resumed::Already(_) => Tuned::Already(run),
                    Resumed::Finished(finished) => Tuned::Finished(finished),
                });
            }
            (_, false) if begun.done => {
                return Ok(Tuned::Elsewhere { machine: begun.machine, run: begun.run });
            }
            // The run was removed, or its machine was lost.
            _ => {}
        }
        let finished = self.take_to_its_end(database, &trials, looks, seconds, options, observe)?;
        Ok(Tuned::Finished(Box::new(finished)))
    }

    /// Makes a run of the best trial, after `looks` at the test part that may have been before.
    fn take_to_its_end(
        &self,
        database: &mut Database,
        trials: &[Trial],
        looks: u32,
        seconds: f64,
        options: &Options<'_>,
        observe: Observer<'_>,
    ) -> Result<Finished, LearnError> {
        let started = Instant::now();
        let Some(winner) = self.best(trials) else {
            let errors = trials.iter().filter_map(|trial| trial.error.clone()).take(3).collect();
            return Err(LearnError::NoTrial { study: self.place.to_string(), errors });
        };
        let record = TuneRecord { search_seconds: seconds, ..self.record(trials, winner) };
        observe(Event::Tuned {
            trial: winner.id,
            value: record.best,
            default: record.default,
            trials: trials.len(),
            seconds: record.seconds,
        });
        let best = trial::experiment(self.experiment, winner)?;
        let prepared = prepare(&best, &mut |_| {})?;
        let folder = files::new_run(&options.runs, &prepared.experiment.name)?;
        let Some(_lock) = files::lock(&folder)? else { return Err(LearnError::Busy { folder }) };
        // The file says something else than what won, so it is not asked again when the run is resumed.
        let options = &Options { runs: options.runs.clone(), origin: None, ..*options };
        let mut state = resume::begin(&best, &prepared, options, &folder)?;
        (state.tune, state.test_looks) = (Some(record), looks);
        resume::write_state(&folder, &state)?;
        // The winner is trained already: its checkpoint becomes the run's.
        let of_trial = trial::folder(&self.folder, winner.id);
        database.fetch(winner.id, &of_trial)?;
        let found = checkpoint::find(&of_trial.join("checkpoints"));
        found.clear().into_iter().for_each(|text| observe(Event::Note { text }));
        let mut checkpoint = found.newest.map(|(_, checkpoint)| checkpoint);
        if let Some(checkpoint) = &mut checkpoint {
            checkpoint.progress.ended.get_or_insert_with(|| "the search was over".to_owned());
            let files = checkpoint.files.iter().map(|(name, bytes)| Ok((name.clone(), bytes)));
            let folder = folder.join("checkpoints").join(checkpoint::name(checkpoint.progress.step));
            checkpoint::write(&folder, prepared.recipe.seed, Some(&checkpoint.progress), files)?;
        }
        files::write(&folder.join("best.toml"), self.best_file(&best, &folder).as_bytes())?;
        let conclusion = Conclusion {
            trials: trials.len(),
            winner: winner.id,
            value: value_of(winner),
            run: match self.place {
                Place::Folder(_) => files::relative(&folder, &self.folder),
                Place::Server(_) => {
                    std::path::absolute(&folder).unwrap_or(folder.clone()).display().to_string()
                }
            },
            seconds,
            machine: machine::name(),
            done: false,
            looks: looks + 1,
        };
        database.conclude(&json(&conclusion))?;
        let way = Way {
            prepared,
            folder,
            checkpoint,
            price_per_second: options.price_per_second,
            interrupt: options.interrupt,
            started,
        };
        let finished = way.go(&mut state, observe)?;
        database.conclude(&json(&Conclusion { done: true, ..conclusion }))?;
        Ok(finished)
    }

    /// The winning experiment as a file that runs again from the run's folder.
    fn best_file(&self, best: &Experiment, folder: &Path) -> String {
        let mut table = crate::run::from_folder(best, folder).to_table();
        table.0.shift_remove("tune");
        table.to_toml()
    }

    fn record(&self, trials: &[Trial], winner: &Trial) -> TuneRecord {
        let higher = self.higher_is_better();
        let value = |trial: &Trial| trial.values.last().copied();
        let mut board: Vec<TrialRecord> = trials
            .iter()
            .map(|trial| TrialRecord {
                id: trial.id,
                settings: trial.settings.clone().into_iter().collect(),
                state: trial.state.clone(),
                value: value(trial),
                interval: trial.interval,
                epochs: trial.epochs,
                seconds: trial.seconds,
                parameters: trial.parameters,
                latency_seconds: trial.latency,
                error: trial.error.clone(),
            })
            .collect();
        let rank = |trial: &TrialRecord| match trial.value.filter(|_| trial.state != "failed") {
            Some(value) => {
                if higher {
                    -value
                } else {
                    value
                }
            }
            None => f64::INFINITY,
        };
        board.sort_by(|a, b| rank(a).total_cmp(&rank(b)).then(a.id.cmp(&b.id)));
        let scale = |parameter: &Parameter| match parameter.domain {
            Domain::Choice(_) => "choice",
            Domain::Real { log: true, .. } | Domain::Whole { log: true, .. } => "log",
            _ => "linear",
        };
        TuneRecord {
            objective: self.prepared.objective_words(),
            higher_is_better: higher,
            winner: winner.id,
            best: value(winner).unwrap_or(f64::NAN),
            default: trials.iter().find(|trial| trial.id == DEFAULT).and_then(value),
            importance: importance::of_keys(&self.space, &tried(trials, &self.default, higher)),
            keys: self
                .space
                .iter()
                .map(|parameter| (parameter.key.clone(), scale(parameter).to_owned()))
                .collect::<IndexMap<_, _>>(),
            seconds: seconds_of(trials),
            search_seconds: 0.0,
            study: self.place.to_string(),
            trials: board,
        }
    }
}

fn value_of(trial: &Trial) -> String {
    format!("{:?}", trial.values.last())
}

fn json(conclusion: &Conclusion) -> serde_json::Value {
    serde_json::to_value(conclusion).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tune::settings::Settings;
    use serde_json::{Value, json};
    use std::fmt::Write as _;
    use std::sync::atomic::AtomicBool;

    /// An experiment on made rows of a folder, with so many epochs.
    fn made(folder: &Path, epochs: usize) -> Experiment {
        let mut rows = String::from("age,city,price\n");
        for row in 0..120 {
            let lot = row * 7919 % 1013;
            let (age, city) = (20 + lot % 50, ["Rome", "Oslo"][lot % 2]);
            let _ = writeln!(rows, "{age},{city},{}", 100 + 3 * age + (row * 37) % 11);
        }
        std::fs::write(folder.join("data.csv"), rows).unwrap();
        let file = format!(
            "name = \"it\"\n[data]\nsource = \"data.csv\"\n[outputs]\nprice = \"number\"\n\
             [model]\nmembers = 2\nhidden_size = 16\nnum_layers = 1\ndropout = 0.0\n\
             [train]\nepochs = {epochs}\nbatch_size = 8\nema = 0.0\nearly_stopping = false\n"
        );
        Experiment::parse("outset.toml", &file, folder, &[]).unwrap()
    }

    #[test]
    fn a_trial_goes_on_from_its_checkpoint() {
        let folder = tempfile::tempdir().unwrap();
        let experiment = made(folder.path(), 27);
        let prepared = prepare(&experiment, &mut |_| {}).unwrap();
        let stop = AtomicBool::new(false);
        let shared = trial::Shared {
            experiment: &experiment,
            prepared: &prepared,
            folder: folder.path(),
            max_latency: None,
            price_per_second: 0.0,
            stop: &stop,
            least: false,
        };
        let mut trial = Trial::default();
        let place = trial::folder(folder.path(), trial.id);
        std::fs::create_dir_all(&place).unwrap();
        let step = || checkpoint::find(&place.join("checkpoints")).newest.map(|(_, kept)| kept.progress.step);
        for epochs in [1, 3] {
            shared.advance(&mut trial).unwrap();
            assert_eq!((trial.state.as_str(), trial.epochs, step()), ("paused", epochs, Some(epochs * 12)));
        }
        // Stopped before another step, it is where it was, and not at its beginning.
        stop.store(true, Ordering::Relaxed);
        shared.advance(&mut trial).unwrap();
        assert_eq!((trial.state.as_str(), trial.epochs, step()), ("interrupted", 3, Some(36)));
        // Where its checkpoint is damaged, that is said, and it begins again.
        let weights = place.join("checkpoints").join(checkpoint::name(36)).join("model.safetensors");
        std::fs::write(weights, b"other").unwrap();
        stop.store(false, Ordering::Relaxed);
        let notes = shared.advance(&mut trial).unwrap();
        assert!(notes.len() == 1 && notes[0].contains("is damaged") && notes[0].contains("begins again"));
        assert_eq!(trial.state, "paused");
    }

    #[test]
    fn the_best_of_those_that_answer_fast_enough_wins() {
        let folder = tempfile::tempdir().unwrap();
        let experiment = made(folder.path(), 1);
        let prepared = prepare(&experiment, &mut |_| {}).unwrap();
        let place = folder.path().join("it.study");
        let study = Study {
            settings: Settings::default(),
            space: Vec::new(),
            declared: Value::Null,
            resolved: Value::Null,
            default: Default::default(),
            place: Place::Folder(place.clone()),
            name: "study".to_owned(),
            folder: place,
            prepared: &prepared,
            experiment: &experiment,
        };
        let stop = AtomicBool::new(false);
        let mut trials = Vec::new();
        // On any machine every network answers within an hour, and none within no time.
        for (id, rate, seconds) in [(DEFAULT, 1e-5, 3600.0), (1, 3e-2, 0.0), (2, 1e-3, 3600.0)] {
            let settings = [("train.optimizer.learning_rate".to_owned(), json!(rate))].into();
            let mut trial = Trial { id, settings, ..Trial::default() };
            std::fs::create_dir_all(trial::folder(&study.folder, id)).unwrap();
            let shared = trial::Shared {
                experiment: &experiment,
                prepared: &prepared,
                folder: &study.folder,
                max_latency: Some(seconds),
                price_per_second: 0.0,
                stop: &stop,
                least: false,
            };
            assert_eq!(shared.advance(&mut trial).unwrap(), [""; 0]);
            trials.push(trial);
        }
        let states: Vec<&str> = trials.iter().map(|trial| trial.state.as_str()).collect();
        assert_eq!(states, ["done", "failed", "done"]);
        let values: Vec<f64> = trials.iter().filter_map(|trial| trial.values.last().copied()).collect();
        assert!(values[1] < values[2] && values[2] < values[DEFAULT], "{values:?}");

        let mut database = study.open().unwrap();
        trials.iter().for_each(|trial| database.put(trial).unwrap());
        let options = Options::new(folder.path().join("runs"), &stop);
        let concluded = study.conclude(&mut database, 1.0, &options, &mut |_| {}).unwrap();
        let Tuned::Finished(finished) = concluded else { panic!("the winner was not taken to its end") };
        let record = &finished.record;
        let tune = record.tune.as_ref().unwrap();
        assert_eq!((tune.winner, tune.best, tune.default), (2, values[2], Some(values[DEFAULT])));
        let order: Vec<usize> = tune.trials.iter().map(|trial| trial.id).collect();
        assert_eq!(order, [2, DEFAULT, 1], "what cannot win comes last, however good it is");
        assert_eq!(tune.trials[2].error.as_deref(), Some("answers too slowly"));
        let found = record.metrics["val"]["price"]["rmse"];
        assert!((found - values[2]).abs() < 1e-9 * found, "the bundle is the trial that won: {found}");
    }
}
