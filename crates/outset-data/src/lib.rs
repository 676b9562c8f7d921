//! Data sources to tables, tables to parts, columns to numbers: everything before a tensor.

pub mod error;
pub mod features;
pub mod leakage;
pub mod lot;
pub mod overview;
pub mod pictures;
pub mod preprocess;
pub mod requests;
pub mod signature;
pub mod sources;
pub mod spans;
pub mod split;
pub mod table;
pub mod types;

mod duplicates;
#[cfg(test)]
mod real_data;

pub use error::DataError;
pub use features::{Component, FeatureShape, Features, Targets, TokenParts};
pub use leakage::{GivenAwayBy, Leak, leaks};
pub use overview::{overview, rows_sha256};
pub use preprocess::{Preprocessor, weights};
pub use requests::RowProblem;
pub use signature::{InputSignature, OutputSignature, Signature};
pub use split::{Part, Splits, split};
pub use table::{Cells, Table};
pub use types::{FittedInput, FittedOutput};
