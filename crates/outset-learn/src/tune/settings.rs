//! The `[tune]` table.

use super::pruner::Pruner;
use super::sampler::Sampler;
use super::space::{self, Parameter};
use outset_spec::{Bounds, Duration, Problems, Reader, Table, settings};

settings! {
    /// How better settings are searched for; `space` names the keys and what they may be.
    pub struct Settings {
        /// Trials, at most; the settings as they are declared are one more.
        trials: usize = 30, in Bounds::at_least(1.0);
        /// Time to search, at most, over all its parts.
        time_limit: Option<Duration> = None;
        /// Cost of the search, at most, in the currency of the prices; see `outset plan`.
        cost_limit: Option<f64> = None, in Bounds::above(0.0);
        /// How settings are chosen: `auto`, `gaussian_process`, `tpe`, `random` or `grid`.
        sampler: Sampler = Sampler::Auto;
        /// Which trials are trained to their end: `asha`, `median` or `none`.
        pruner: Pruner = Pruner::Asha;
        /// Seed of the choice of settings.
        seed: u64 = 42;
        /// Trials side by side; as many as there are threads where left out.
        parallel: Option<usize> = None, in Bounds::at_least(1.0);
        /// Longest time to answer one row; a network that takes longer cannot win.
        max_latency: Option<Duration> = None;
    }
}

impl Settings {
    /// Trials that run side by side: no more than there are threads.
    pub fn side_by_side(&self) -> usize {
        let most = rayon::current_num_threads().min(self.trials + 1);
        self.parallel.unwrap_or(most).clamp(1, most)
    }
}

/// Reads a `[tune]` table: its settings, and the space where it gives one.
pub fn read(table: Option<&Table>, problems: &mut Problems) -> (Settings, Option<Vec<Parameter>>) {
    let Some(table) = table else { return (Settings::default(), None) };
    let mut reader = Reader::new(table, "tune", problems);
    let settings = Settings::read_from(&mut reader);
    let space = reader.node("space").map(|node| space::read(node, reader.problems()));
    reader.finish();
    (settings, space)
}
