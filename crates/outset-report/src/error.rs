//! What can go wrong between a run folder and its report. The wording leaves out the cause, which `source` gives.

use std::error::Error;
use std::io;
use std::path::PathBuf;

/// Why no report could be written.
#[derive(Debug, thiserror::Error)]
pub enum ReportError {
    /// A file of the run folder could not be read.
    #[error("cannot read `{}`", path.display())]
    Read { path: PathBuf, source: io::Error },
    /// The folder holds no record of a run.
    #[error("`{}` holds no `run.json`, but a run folder was expected", folder.display())]
    NoRecord { folder: PathBuf },
    /// The record is not the JSON that a run writes.
    #[error("`{}` is not a run record", path.display())]
    Record { path: PathBuf, source: serde_json::Error },
    /// The record was written by a newer Outset.
    #[error(
        "`{}` has format {found}, but this version of Outset reads formats up to {expected}",
        path.display()
    )]
    NewerFormat { path: PathBuf, found: u64, expected: u32 },
    /// One line of the training curves is broken.
    #[error("`{}` line {line} is not a metric line", path.display())]
    MetricLine { path: PathBuf, line: usize, source: serde_json::Error },
    /// The predictions are not the table that a run writes.
    #[error("`{}` is not a table of predictions", path.display())]
    Csv { path: PathBuf, source: csv::Error },
    /// The header of the predictions is not the one that a run writes.
    #[error("`{}` has the header column `{found}`, but `{expected}` was expected", path.display())]
    Header { path: PathBuf, found: String, expected: String },
    /// A cell of the predictions holds something else than a number.
    #[error(
        "`{}` line {line} holds `{found}` in column `{column}`, but a number was expected",
        path.display()
    )]
    Number { path: PathBuf, line: u64, column: String, found: String },
    /// A picture could not be drawn.
    #[error("cannot draw `{name}`")]
    Plot { name: String, source: Box<dyn Error + Send + Sync> },
    /// The template could not be filled in.
    #[error("cannot lay out the report")]
    Template(#[from] minijinja::Error),
    /// A file of the report could not be written.
    #[error("cannot write `{}`", path.display())]
    Write { path: PathBuf, source: io::Error },
}

impl ReportError {
    /// What to do about it, if that is sure.
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::NoRecord { .. } => {
                Some("give the folder that `outset run` named after `Saved`, such as `runs/line-1`".into())
            }
            Self::NewerFormat { .. } => Some("update Outset".into()),
            Self::Csv { .. } | Self::Header { .. } | Self::Number { .. } => {
                Some("`outset test` on the run writes the predictions again".into())
            }
            _ => None,
        }
    }
}
