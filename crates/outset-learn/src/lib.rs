//! From typed columns to a trained, tested and bundled network.
//!
//! Begin with [`run::run`], which is the whole way; each stage that it calls has a file of its own.

pub mod activations;
pub mod baselines;
pub mod bundle;
pub mod checkpoint;
pub mod combiner;
pub mod decoders;
pub mod device;
pub mod encoders;
pub mod evaluate;
pub mod event;
pub mod files;
pub mod initializers;
pub mod kinds;
pub mod losses;
pub mod metrics;
pub mod network;
pub mod optimizers;
pub mod order;
pub mod plan;
pub mod predict;
pub mod prepare;
pub mod resume;
pub mod run;
pub mod schedules;
pub mod size;
pub mod train;
pub mod tune;
pub mod verdict;
pub mod weights;

mod baseline;
mod card;
mod columns;
mod details;
mod error;
mod evidence;
mod excerpts;
mod gallery;
mod importance;
mod init;
mod keeper;
mod layers;
mod machine;
mod pictures;
mod recipe;
mod redesign;
mod tagging;
mod thresholds;
mod update;

pub use error::LearnError;
pub use machine::{begin, environment, peak_memory_bytes};
