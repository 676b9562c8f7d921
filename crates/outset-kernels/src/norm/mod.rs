//! Normalisation: of each row ([`layer`], [`rms`]), of each channel over the batch ([`batch`]), and of groups of
//! channels ([`group`]).

pub mod batch;
pub mod group;
pub mod layer;
pub mod rms;
