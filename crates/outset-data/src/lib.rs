//! Data sources to tables, tables to parts, columns to numbers: everything before a tensor.

pub mod sources;
pub mod table;

pub use table::{Cells, Table};
