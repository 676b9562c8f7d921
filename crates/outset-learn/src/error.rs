//! Everything that can go wrong between an experiment and its bundle.

use crate::bundle::BundleError;
use crate::verdict;
use outset_data::DataError;
use outset_data::sources::SourceError;
use outset_spec::Problems;
use std::path::PathBuf;
use thiserror::Error;

/// Why a run did not come to its end.
#[derive(Debug, Error)]
pub enum LearnError {
    /// The declaration is wrong.
    #[error("{0}")]
    Declaration(Problems),
    /// The data cannot be read or used.
    #[error(transparent)]
    Data(#[from] DataError),
    /// The files cannot be read.
    #[error(transparent)]
    Source(#[from] SourceError),
    /// The bundle cannot be read or written.
    #[error(transparent)]
    Bundle(#[from] BundleError),
    /// A file of the run cannot be written.
    #[error("cannot write `{}`", path.display())]
    Write { path: PathBuf, source: std::io::Error },
    /// A file of the run cannot be read.
    #[error("cannot read `{}`", path.display())]
    Read { path: PathBuf, source: std::io::Error },
    /// The folder is not that of a finished run.
    #[error("`{}` holds no `run.json`, but a run folder was expected", folder.display())]
    NotARun { folder: PathBuf },
    /// A file of the run is not what it should be.
    #[error("`{}` is not a record of a run", path.display())]
    Record { path: PathBuf, source: serde_json::Error },
    /// The data has changed since a run was made.
    #[error("the data of `{}` is no longer what the run was made with{}", run.display(), listed(differences))]
    DataChanged { run: PathBuf, differences: Vec<String> },
    /// The experiment has changed since a run was begun.
    #[error("`{}` is no longer what `{}` was begun with{}", file.display(), run.display(), listed(differences))]
    ExperimentChanged { file: PathBuf, run: PathBuf, differences: Vec<String> },
    /// There is nothing in a folder to go on with.
    #[error("`{}` holds no `state.json`, but the folder of a run was expected", folder.display())]
    NothingToResume { folder: PathBuf },
    /// Another process works on the run.
    #[error("another process is at work on `{}`", folder.display())]
    Busy { folder: PathBuf },
    /// The database of a study cannot be worked with.
    #[error("the study `{study}` cannot be worked with")]
    Study { study: String, source: Box<dyn std::error::Error + Send + Sync> },
    /// A study was begun with another experiment.
    #[error("`{study}` is the study of another experiment{}", listed(differences))]
    StudyChanged { study: String, name: String, differences: Vec<String> },
    /// No trial of a study came to a value.
    #[error("no trial of `{study}` has a value{}", listed(errors))]
    NoTrial { study: String, errors: Vec<String> },
    /// There is not enough memory for the network.
    #[error("{}", too_large(*parameters, *bytes, *usable))]
    TooLarge { parameters: f64, bytes: f64, usable: f64 },
    /// There is not enough memory for the pixels of a column; `fits` is the largest side for which there is.
    #[error(
        "the pixels of {pictures} pictures of column `{column}`, {size} × {size} each, take {} GiB of memory, but {} GiB can be had",
        gib(*bytes),
        gib(*usable)
    )]
    PicturesTooLarge {
        column: String,
        pictures: usize,
        size: usize,
        bytes: f64,
        usable: f64,
        fits: Option<usize>,
    },
    /// The metric that picks the best state cannot be told of val.
    #[error("the objective `{metric}` of `{output}` cannot be told of the val part")]
    NoObjective { metric: String, output: String },
    /// The loss is no longer a number.
    #[error("training stopped at step {step}: {}", not_finite(last.as_deref()))]
    NotFinite { step: usize, last: Option<String>, checkpoint: Option<PathBuf>, learning_rate: f64 },
}

/// What a network takes and what there is.
fn too_large(parameters: f64, bytes: f64, usable: f64) -> String {
    format!(
        "training the network's {} parameters takes {} GiB of memory, but {} GiB can be had",
        verdict::number(parameters),
        gib(bytes),
        gib(usable)
    )
}

fn gib(bytes: f64) -> String {
    verdict::number(bytes / f64::from(1 << 30))
}

fn listed(differences: &[String]) -> String {
    if differences.is_empty() { String::new() } else { format!(": {}", differences.join("; ")) }
}

fn not_finite(last: Option<&str>) -> String {
    match last {
        Some(value) => format!("the loss is no longer finite (last finite value {value})"),
        None => "the very first loss is not finite".to_owned(),
    }
}

impl LearnError {
    /// What to do about it, where that is sure.
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Data(error) => error.hint(),
            Self::Source(error) => error.hint(),
            Self::Bundle(error) => error.hint(),
            Self::NotFinite { checkpoint, learning_rate, .. } => Some(match checkpoint {
                Some(path) => format!(
                    "the last good state is `{}`; try a lower `train.optimizer.learning_rate` than {}",
                    path.display(),
                    verdict::short(*learning_rate)
                ),
                None => format!(
                    "try a lower `train.optimizer.learning_rate` than {}",
                    verdict::short(*learning_rate)
                ),
            }),
            Self::DataChanged { .. } => {
                Some("bring back the rows that it was made with, or run the experiment again".to_owned())
            }
            Self::ExperimentChanged { .. } => {
                Some("put it back to go on with this run, or begin a new one with `outset run`".to_owned())
            }
            Self::TooLarge { .. } => {
                Some("give it fewer or narrower layers, or a smaller `model.size`".to_owned())
            }
            Self::NoObjective { .. } => {
                Some("choose another `train.objective`, or a val part that has every class".to_owned())
            }
            Self::PicturesTooLarge { column, size, fits, .. } => Some(match fits {
                Some(fits) => format!("set `inputs.{column}.size` to at most {fits} (it is {size})"),
                None => "read fewer pictures, or do it on a machine with more memory".to_owned(),
            }),
            Self::StudyChanged { study, name, .. } => Some(if study.starts_with("postgres://") {
                format!("put the experiment back to go on with it, or give it another `name` than `{name}`")
            } else {
                "put the experiment back to go on with it, or name another folder with `--study`".to_owned()
            }),
            Self::NothingToResume { .. } => Some("begin again with `outset run`".to_owned()),
            Self::Busy { .. } => Some("wait for it, or stop it first".to_owned()),
            Self::NotARun { .. } => Some(
                "give the folder that `outset run` named after `Saved`, such as `runs/line-1`".to_owned(),
            ),
            _ => None,
        }
    }

    /// Whether the user's declaration, data or arguments are at fault.
    pub fn is_users(&self) -> bool {
        matches!(
            self,
            Self::Declaration(_)
                | Self::Data(_)
                | Self::Source(_)
                | Self::Bundle(_)
                | Self::Read { .. }
                | Self::Record { .. }
                | Self::NotARun { .. }
                | Self::DataChanged { .. }
                | Self::ExperimentChanged { .. }
                | Self::NothingToResume { .. }
                | Self::StudyChanged { .. }
                | Self::TooLarge { .. }
                | Self::PicturesTooLarge { .. }
                | Self::NoObjective { .. }
                | Self::Busy { .. }
        )
    }
}

impl From<Problems> for LearnError {
    fn from(problems: Problems) -> Self {
        Self::Declaration(problems)
    }
}
