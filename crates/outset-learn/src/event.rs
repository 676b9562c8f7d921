//! What a run tells while it goes on; the binary prints it, `--json` writes it as it is.

use indexmap::IndexMap;
use serde::Serialize;

/// One thing that happened.
#[derive(Clone, Debug, Serialize)]
#[serde(tag = "event", rename_all = "snake_case")]
pub enum Event {
    /// The data was read and understood.
    Data { source: String, format: String, rows: usize, inputs: usize, outputs: Vec<String> },
    /// A column's role and type, with the reason.
    Column { name: String, role: String, kind: String, reason: String },
    /// The rows were divided.
    Split { train: usize, val: usize, test: usize, words: String },
    /// The preprocessor was fitted on the train part.
    Preprocess { words: String },
    /// The network was built.
    Model { kind: String, parameters: usize, members: usize, device: String, words: String },
    /// A run goes on where it was stopped.
    Resume { run: String, step: usize, epoch: usize },
    /// Training is about to begin.
    Train { epochs: usize, steps_per_epoch: usize, batch_size: usize, words: String },
    /// Some steps of an epoch are done; only for live progress.
    Progress {
        epoch: usize,
        epochs: usize,
        step: usize,
        steps: usize,
        loss: f64,
        rows_per_second: f64,
        eta_seconds: f64,
    },
    /// An epoch is done.
    Epoch {
        epoch: usize,
        epochs: usize,
        loss: f64,
        /// `val loss`, then the objective.
        val: IndexMap<String, f64>,
        rows_per_second: f64,
        eta_seconds: f64,
        /// Whether this epoch's line is to be printed where there is no live progress.
        logged: bool,
    },
    /// The state that is kept.
    Best { epoch: usize, objective: String, value: f64, ended: String },
    /// Metrics of the val part at the state that is kept.
    Evaluate { metrics: IndexMap<String, IndexMap<String, f64>> },
    /// The test part was looked at.
    Test {
        metrics: IndexMap<String, IndexMap<String, f64>>,
        intervals: IndexMap<String, IndexMap<String, [f64; 2]>>,
    },
    /// A baseline on the same test part.
    Baseline { name: String, metrics: IndexMap<String, IndexMap<String, f64>> },
    /// The verdict in words, a sentence each.
    Verdict { sentences: Vec<String> },
    /// Something that the user should know.
    Note { text: String },
    /// A threshold that was chosen on val.
    Threshold { output: String, value: f64, chosen_by: String },
    /// A search for better settings is about to begin or to go on.
    Study { folder: String, keys: Vec<String>, trials: usize, done: usize, parallel: usize, words: String },
    /// A trial reached a rung, its end, or cannot go on.
    Trial {
        id: usize,
        state: String,
        epochs: usize,
        /// Best value of the objective so far.
        value: Option<f64>,
        /// Best value of all trials so far.
        best: Option<f64>,
        settings: IndexMap<String, serde_json::Value>,
        error: Option<String>,
    },
    /// The search is over.
    Tuned { trial: usize, value: f64, default: Option<f64>, trials: usize, seconds: f64 },
    /// The bundle was written and its probes replayed.
    Bundle { path: String, probes: usize },
}

/// Takes events as they happen.
pub type Observer<'a> = &'a mut dyn FnMut(Event);
