//! Training, evaluation and prediction.

pub mod activations;
pub mod baselines;
pub mod initializers;
pub mod kinds;
pub mod losses;
pub mod metrics;
pub mod optimizers;
pub mod schedules;
