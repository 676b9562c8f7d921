//! The declaration of an experiment and the record of a run.
//!
//! This crate knows the *shape* of an experiment file (tables, keys, places in the text) and of the record that a run
//! leaves, but no encoder, decoder, format or metric by name: open parts are a [`Section`], read by their owner.

pub mod experiment;
pub mod problem;
pub mod record;
pub mod setting;
pub mod state;
pub mod value;

mod section;

pub use experiment::{Checkpoint, Data, EarlyStopping, Every, Experiment, Precision, Split, Train};
pub use problem::{Place, Problem, Problems};
pub use section::Section;
pub use setting::{Bounds, Duration, Field, Files, Reader, Setting};
pub use value::{Node, Table, Value, write_key};
