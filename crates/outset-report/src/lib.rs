//! Makes the report of a run: `report.html` and `plots/` from the facts that the run folder holds.
//!
//! Reads files only, so that old runs open anywhere. The pictures are drawn by this crate itself: an SVG writer and
//! `tiny-skia` behind a handful of strokes ([`surface`]), and one file a kind of picture ([`plots`]).

mod error;
mod format;
mod page;
mod plots;
mod predictions;
mod run;
mod surface;
mod write;

pub mod trackers;

pub use error::ReportError;
pub use write::{Written, write};
