//! A study in one SQLite file, in a folder that its processes share; which of them has a trial is told by locks on folders,
//! which the system lets go of when a process ends.

use super::{Cell, Engine, Fault, Piece};
use crate::files::{self, Lock};
use rusqlite::types::{Value, ValueRef};
use rusqlite::{Connection, params_from_iter};
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Name of the file in the study's folder.
pub const FILE: &str = "study.db";

/// An open file.
pub struct Sqlite {
    connection: Connection,
    folder: PathBuf,
    locks: BTreeMap<Piece, Lock>,
}

impl Sqlite {
    /// Opens the file in the folder of a study, or makes it.
    ///
    /// # Errors
    /// If it cannot be opened or is none of SQLite.
    pub fn open(folder: &Path) -> Result<Self, Fault> {
        let connection = Connection::open(folder.join(FILE))?;
        connection.busy_timeout(Duration::from_secs(60))?;
        // The log beside the file lets others read while one writes.
        connection.pragma_update(None, "journal_mode", "WAL")?;
        Ok(Self { connection, folder: folder.to_owned(), locks: BTreeMap::new() })
    }

    fn place(&self, piece: Piece) -> PathBuf {
        match piece {
            Piece::Trial(id) => crate::tune::trial::folder(&self.folder, id),
            Piece::Conclusion => self.folder.clone(),
        }
    }
}

impl Engine for Sqlite {
    fn run(&mut self, statement: &str, values: &[Cell]) -> Result<Vec<Vec<Cell>>, Fault> {
        let mut prepared = self.connection.prepare_cached(statement)?;
        let columns = prepared.column_count();
        let mut found = prepared.query(params_from_iter(values.iter().map(to_sqlite)))?;
        let mut rows = Vec::new();
        while let Some(row) = found.next()? {
            let cells = (0..columns).map(|column| Ok(from_sqlite(row.get_ref(column)?)));
            rows.push(cells.collect::<Result<_, rusqlite::Error>>()?);
        }
        Ok(rows)
    }

    fn begin(&mut self, _: bool) -> Result<(), Fault> {
        Ok(self.connection.execute_batch("BEGIN IMMEDIATE")?)
    }

    fn hold(&mut self, _: i64, piece: Piece) -> Result<bool, Fault> {
        let place = self.place(piece);
        std::fs::create_dir_all(&place)?;
        let lock = files::lock(&place)?;
        let is_ours = lock.is_some();
        self.locks.extend(lock.map(|lock| (piece, lock)));
        Ok(is_ours)
    }

    fn release(&mut self, _: i64, piece: Piece) -> Result<(), Fault> {
        self.locks.remove(&piece);
        Ok(())
    }

    fn held(&mut self, _: i64) -> Result<BTreeSet<usize>, Fault> {
        let entries = std::fs::read_dir(self.folder.join("trials")).into_iter().flatten().flatten();
        let held = entries.filter(|entry| matches!(files::lock(&entry.path()), Ok(None)));
        Ok(held.filter_map(|entry| entry.file_name().to_str()?.parse().ok()).collect())
    }

    fn is_shared(&self) -> bool {
        false
    }
}

fn to_sqlite(cell: &Cell) -> Value {
    match cell {
        Cell::Null => Value::Null,
        Cell::Whole(value) => Value::Integer(*value),
        Cell::Real(value) => Value::Real(*value),
        Cell::Text(value) => Value::Text(value.clone()),
        Cell::Bytes(value) => Value::Blob(value.clone()),
    }
}

fn from_sqlite(value: ValueRef<'_>) -> Cell {
    match value {
        ValueRef::Null => Cell::Null,
        ValueRef::Integer(value) => Cell::Whole(value),
        ValueRef::Real(value) => Cell::Real(value),
        ValueRef::Text(value) => Cell::Text(String::from_utf8_lossy(value).into_owned()),
        ValueRef::Blob(value) => Cell::Bytes(value.to_owned()),
    }
}
