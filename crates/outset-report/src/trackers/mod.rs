//! The course of a run in the files of other trackers.

mod mlflow;
mod tensorboard;

pub use mlflow::mlflow;
pub use tensorboard::tensorboard;

use crate::ReportError;
use crate::run::Run;
use outset_spec::state::RunState;
use std::fs;
use std::path::{Path, PathBuf};

/// A run with the moments that its lines have no clock for.
struct Course {
    run: Run,
    name: String,
    /// Seconds since 1970 at the beginning and at the end.
    started: f64,
    ended: f64,
}

impl Course {
    fn read(folder: &Path) -> Result<Self, ReportError> {
        let run = Run::read(folder)?;
        let state: RunState = fs::read(folder.join("state.json"))
            .ok()
            .and_then(|bytes| serde_json::from_slice(&bytes).ok())
            .unwrap_or_default();
        let whole = fs::canonicalize(folder).unwrap_or_else(|_| folder.to_owned());
        let name = whole.file_name().map_or_else(|| "run".to_owned(), |name| name.to_string_lossy().into());
        let started = state.started as f64;
        let ended = started + run.record.timings.get("total").copied().unwrap_or(0.0);
        Ok(Self { run, name, started, ended })
    }

    /// When a step was made, as if all had taken equally long: `metrics.jsonl` holds no clock times.
    fn moment(&self, step: usize) -> f64 {
        let timings = &self.run.record.timings;
        let seconds = |stage: &str| timings.get(stage).copied().unwrap_or(0.0);
        let share = step as f64 / self.run.record.training.steps.max(1) as f64;
        self.started + seconds("prepare") + seconds("train") * share.min(1.0)
    }

    /// Step, name and value of every metric, in order; those of the test part at the last step.
    fn values(&self) -> Vec<(usize, String, f64)> {
        let mut values = Vec::new();
        for line in &self.run.lines {
            for (name, value) in &line.values {
                values.push((line.step, format!("{}/{name}", line.part), *value));
            }
        }
        let last = self.run.record.training.steps;
        for (output, metrics) in self.run.record.metrics.get("test").into_iter().flatten() {
            for (metric, value) in metrics {
                values.push((last, format!("test/{output}/{metric}"), *value));
            }
        }
        values
    }
}

fn write(path: PathBuf, bytes: &[u8]) -> Result<(), ReportError> {
    let folder = path.parent().map_or(Ok(()), fs::create_dir_all);
    folder.and_then(|()| fs::write(&path, bytes)).map_err(|source| ReportError::Write { path, source })
}
