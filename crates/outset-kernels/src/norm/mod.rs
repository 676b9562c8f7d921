//! Normalisation over the last dimension.

pub mod layer;
pub mod rms;
