//! Databases that can hold a study, behind the few things that a study asks of one.
//!
//! All take the same statements, with `$1`, `$2`, … for values in the order in which they first appear; what differs is how
//! a process gets ahead of the others, and how it is seen that one is at a trial.

mod postgres;
mod sqlite;

pub use postgres::{Address, Postgres};
pub use sqlite::{FILE as STUDY, Sqlite};

use std::collections::BTreeSet;

/// What a database says that went wrong.
pub type Fault = Box<dyn std::error::Error + Send + Sync>;

/// One value of a row.
#[derive(Clone, Debug, PartialEq)]
pub enum Cell {
    Null,
    Whole(i64),
    Real(f64),
    Text(String),
    Bytes(Vec<u8>),
}

/// What a process can have for itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Piece {
    Trial(usize),
    /// The test of the best trial.
    Conclusion,
}

/// A connection to a database.
pub trait Engine: Send {
    /// Runs one statement and gives its rows.
    ///
    /// # Errors
    /// If the database refuses it or is gone.
    fn run(&mut self, statement: &str, values: &[Cell]) -> Result<Vec<Vec<Cell>>, Fault>;

    /// Begins a transaction; where it is to be `alone`, none other that is alone goes on beside it.
    ///
    /// # Errors
    /// If the database refuses it or is gone.
    fn begin(&mut self, alone: bool) -> Result<(), Fault>;

    /// Takes a piece for this connection, until [`release`](Self::release) or the end of the process, however it ends;
    /// `false` where another one has it.
    ///
    /// # Errors
    /// If the database refuses it or is gone.
    fn hold(&mut self, study: i64, piece: Piece) -> Result<bool, Fault>;

    /// Lets go of a piece.
    ///
    /// # Errors
    /// If the database is gone.
    fn release(&mut self, study: i64, piece: Piece) -> Result<(), Fault>;

    /// The trials that some process holds.
    ///
    /// # Errors
    /// If the database is gone.
    fn held(&mut self, study: i64) -> Result<BTreeSet<usize>, Fault>;

    /// Whether processes on other machines may work on the study, so that checkpoints have to travel with it.
    fn is_shared(&self) -> bool;
}
