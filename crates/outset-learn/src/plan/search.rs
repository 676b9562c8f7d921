//! What a search takes, from what one full run takes.

use super::soonest;
use crate::tune::pruner::{Pruner, RUNGS, epochs_at};
use crate::tune::settings;
use outset_spec::{Experiment, Problems};
use serde::Serialize;

/// A search that `outset run` makes in the place of one training.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Search {
    /// Trials, that of the declared settings aside.
    pub trials: usize,
    /// Trials that run side by side.
    pub parallel: usize,
    /// Full runs that all trials together are worth, as far as the pruner's shares go.
    pub full_runs: f64,
    /// The same if every trial were trained to its end.
    pub most_full_runs: f64,
    /// Longest time of the search in seconds, where the file sets one.
    pub time_limit: Option<f64>,
    /// Largest cost of the search, where the file sets one.
    pub cost_limit: Option<f64>,
}

impl Search {
    /// The search of an experiment with a `[tune]` table, whose full run has so many epochs.
    pub fn of(experiment: &Experiment, epochs: usize) -> Option<Self> {
        let table = experiment.tune.as_ref()?;
        // What is wrong with the table is told by the search itself, before it begins.
        let (settings, _) = settings::read(Some(table), &mut Problems::default());
        let kept = match settings.pruner {
            Pruner::Asha => 1.0 / 3.0,
            Pruner::Median => 0.5,
            Pruner::Off => 1.0,
        };
        let (mut share, mut alive, mut before) = (0.0, 1.0, 0.0);
        for rung in 0..RUNGS {
            let until = epochs_at(rung, epochs) as f64 / epochs.max(1) as f64;
            share += alive * (until - before);
            (alive, before) = (alive * kept, until);
        }
        Some(Self {
            trials: settings.trials,
            parallel: settings.side_by_side(),
            full_runs: 1.0 + settings.trials as f64 * share,
            most_full_runs: 1.0 + settings.trials as f64,
            time_limit: settings.time_limit.map(|limit| limit.0.as_secs_f64()),
            cost_limit: settings.cost_limit,
        })
    }

    /// Seconds that training takes in the search, where one full run takes `train_seconds` with all threads.
    pub fn seconds(&self, train_seconds: f64, price_per_second: f64) -> f64 {
        let whole = train_seconds * self.full_runs;
        self.limit(price_per_second).map_or(whole, |(seconds, _)| seconds.min(whole))
    }

    /// Seconds after which the search is ended, and the key that says so.
    fn limit(&self, price_per_second: f64) -> Option<(f64, &'static str)> {
        let keys = ["tune.time_limit", "tune.cost_limit"];
        soonest(self.time_limit, self.cost_limit, price_per_second, keys)
    }

    /// How many trials there is time for, and the key that ends the search, where one does before all are made.
    pub fn ends_early(&self, train_seconds: f64, price_per_second: f64) -> Option<(usize, &'static str)> {
        let (seconds, key) = self.limit(price_per_second)?;
        let of_trial = train_seconds * (self.full_runs - 1.0) / self.trials.max(1) as f64;
        let left = (seconds - train_seconds).max(0.0) / of_trial.max(f64::MIN_POSITIVE);
        (seconds < train_seconds * self.full_runs).then_some(((left as usize).max(1), key))
    }

    /// The most memory that the search takes, where one run takes so much, of which all trials share `shared_bytes`.
    pub fn peak_memory_bytes(&self, of_one: u64, shared_bytes: u64) -> u64 {
        of_one + (self.parallel as u64 - 1) * of_one.saturating_sub(shared_bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::Path;

    fn search(tune: &str) -> Option<Search> {
        let text = format!("[data]\nsource = \"a.csv\"\n[outputs]\ny = \"number\"\n{tune}");
        let experiment = Experiment::parse("x.toml", &text, Path::new(""), &[]).unwrap();
        Search::of(&experiment, 27)
    }

    #[test]
    fn pruners_take_their_shares() {
        assert_eq!(search(""), None);
        let whole = search("[tune]\ntrials = 9\npruner = \"none\"\n").unwrap();
        assert!((whole.full_runs - 10.0).abs() < 1e-9 && whole.most_full_runs == 10.0);
        // 1/27 of each, 2/27 of a third, 6/27 of a ninth, 18/27 of a twenty-seventh.
        let pruned = search("[tune]\ntrials = 27\n").unwrap();
        assert!((pruned.full_runs - (1.0 + 1.0 + 2.0 / 3.0 * 3.0)).abs() < 1e-9, "{pruned:?}");
        assert_eq!(pruned.seconds(10.0, 0.0), 40.0);
        let limited = search("[tune]\ntrials = 27\ntime_limit = \"30s\"\ncost_limit = 0.5\n").unwrap();
        let alone = search("[tune]\nparallel = 1\n").unwrap();
        assert_eq!(alone.peak_memory_bytes(100, 60), 100);
        assert_eq!(Search { parallel: 3, ..alone }.peak_memory_bytes(100, 60), 180);
        assert_eq!((limited.seconds(10.0, 0.01), limited.seconds(10.0, 0.1)), (30.0, 5.0));
        // 30 trials of 10 s each would take 30 · 10 / 9 s beside the declared settings.
        assert_eq!(pruned.ends_early(10.0, 0.0), None);
        assert_eq!(limited.ends_early(10.0, 0.01), Some((18, "tune.time_limit")));
        assert_eq!(limited.ends_early(10.0, 0.1), Some((1, "tune.cost_limit")));
    }
}
