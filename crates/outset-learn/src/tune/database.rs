//! The study on disk: one SQLite file that several processes may work on, and that can be looked at while they do.

use super::pruner::{Stage, Standing};
use super::space::Settings;
use crate::error::LearnError;
use outset_spec::state::differences;
use rusqlite::{Connection, params};
use serde_json::Value;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// An open study.
pub struct Database {
    connection: Connection,
    path: PathBuf,
}

/// One trial as it is recorded.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Trial {
    pub id: usize,
    pub settings: Settings,
    /// `running`, `paused`, `done` or `failed`.
    pub state: String,
    /// Best values of the objective at the rungs that were reached.
    pub values: Vec<f64>,
    pub epochs: usize,
    pub seconds: f64,
    pub parameters: usize,
    /// Seconds to answer one row.
    pub latency: Option<f64>,
    /// 95 % interval of the value on val, where the trial came to its end.
    pub interval: Option<[f64; 2]>,
    pub error: Option<String>,
}

const SCHEMA: &str = "
    CREATE TABLE IF NOT EXISTS study (
        id INTEGER PRIMARY KEY CHECK (id = 1), format INTEGER NOT NULL, declared TEXT NOT NULL,
        objective TEXT NOT NULL
    );
    CREATE TABLE IF NOT EXISTS trials (
        id INTEGER PRIMARY KEY, settings TEXT NOT NULL, state TEXT NOT NULL, trial_values TEXT NOT NULL DEFAULT '[]',
        epochs INTEGER NOT NULL DEFAULT 0, seconds REAL NOT NULL DEFAULT 0, parameters INTEGER NOT NULL DEFAULT 0,
        latency REAL, interval TEXT, error TEXT
    );";

impl Database {
    /// Opens the study, or begins it.
    ///
    /// # Errors
    /// If the file is none of a study, or of another experiment.
    pub fn open(path: &Path, declared: &Value, objective: &str) -> Result<Self, LearnError> {
        let failed = failed(path);
        let connection = Connection::open(path).map_err(&failed)?;
        connection.busy_timeout(Duration::from_secs(60)).map_err(&failed)?;
        // The log beside the file lets others read while one writes.
        connection.pragma_update(None, "journal_mode", "WAL").map_err(&failed)?;
        connection.execute_batch(SCHEMA).map_err(&failed)?;
        connection
            .execute(
                "INSERT OR IGNORE INTO study (id, format, declared, objective) VALUES (1, 1, ?1, ?2)",
                params![declared.to_string(), objective],
            )
            .map_err(&failed)?;
        let kept: String =
            connection.query_row("SELECT declared FROM study", [], |row| row.get(0)).map_err(&failed)?;
        let kept: Value = serde_json::from_str(&kept).unwrap_or_default();
        let differences = differences(&kept, declared);
        if !differences.is_empty() {
            return Err(LearnError::StudyChanged { path: path.to_owned(), differences });
        }
        Ok(Self { connection, path: path.to_owned() })
    }

    /// Every trial, by number.
    pub fn trials(&self) -> Result<Vec<Trial>, LearnError> {
        let failed = failed(&self.path);
        let mut statement = self
            .connection
            .prepare_cached(
                "SELECT id, settings, state, trial_values, epochs, seconds, parameters, latency, interval, error
                 FROM trials ORDER BY id",
            )
            .map_err(&failed)?;
        let json = |text: Option<String>| {
            text.and_then(|text| serde_json::from_str::<Value>(&text).ok()).unwrap_or_default()
        };
        let rows = statement
            .query_map([], |row| {
                let settings = json(row.get(1)?);
                Ok(Trial {
                    id: row.get::<_, i64>(0)? as usize,
                    settings: serde_json::from_value(settings).unwrap_or_default(),
                    state: row.get(2)?,
                    values: serde_json::from_value(json(row.get(3)?)).unwrap_or_default(),
                    epochs: row.get::<_, i64>(4)? as usize,
                    seconds: row.get(5)?,
                    parameters: row.get::<_, i64>(6)? as usize,
                    latency: row.get(7)?,
                    interval: serde_json::from_value(json(row.get(8)?)).ok(),
                    error: row.get(9)?,
                })
            })
            .map_err(&failed)?;
        rows.collect::<Result<_, _>>().map_err(&failed)
    }

    /// Does what reads and then writes, alone among all processes.
    pub fn alone<T>(&mut self, act: impl FnOnce(&Self) -> Result<T, LearnError>) -> Result<T, LearnError> {
        let path = self.path.clone();
        let failed = failed(&path);
        // The transaction borrows the connection, which `act` needs too; it is begun and ended by hand.
        self.connection.execute_batch("BEGIN IMMEDIATE").map_err(&failed)?;
        let result = act(self);
        let end = if result.is_ok() { "COMMIT" } else { "ROLLBACK" };
        self.connection.execute_batch(end).map_err(&failed)?;
        result
    }

    /// Writes a trial, new or known.
    pub fn put(&self, trial: &Trial) -> Result<(), LearnError> {
        let interval = trial.interval.map(|interval| serde_json::json!(interval).to_string());
        self.connection
            .execute(
                "INSERT OR REPLACE INTO trials
                 (id, settings, state, trial_values, epochs, seconds, parameters, latency, interval, error)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)",
                params![
                    trial.id as i64,
                    serde_json::json!(trial.settings).to_string(),
                    trial.state,
                    serde_json::json!(trial.values).to_string(),
                    trial.epochs as i64,
                    trial.seconds,
                    trial.parameters as i64,
                    trial.latency,
                    interval,
                    trial.error,
                ],
            )
            .map_err(failed(&self.path))?;
        Ok(())
    }
}

impl Trial {
    /// What a pruner sees; `higher` says whether larger values are better, `is_held` whether a process is at the trial.
    pub fn standing(&self, higher: bool, is_held: bool) -> Standing {
        let stage = match self.state.as_str() {
            "running" if is_held => Stage::Running,
            // Its process is gone.
            "running" | "interrupted" => Stage::Interrupted,
            "paused" => Stage::Paused,
            "done" => Stage::Done,
            _ => Stage::Failed,
        };
        let values = self.values.iter().map(|value| if higher { -value } else { *value }).collect();
        Standing { id: self.id, stage, values }
    }
}

fn failed(path: &Path) -> impl Fn(rusqlite::Error) -> LearnError {
    let path = path.to_owned();
    move |source| LearnError::Study { path: path.clone(), source: Box::new(source) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_study_is_kept_and_shared() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("study.db");
        let declared = json!({ "train": { "epochs": 5 } });
        let mut first = Database::open(&path, &declared, "loss").unwrap();
        let second = Database::open(&path, &declared, "loss").unwrap();
        let trial = Trial {
            id: 3,
            settings: Settings::from([("train.epochs".to_owned(), json!(4))]),
            state: "paused".to_owned(),
            values: vec![0.5, 0.1 + 0.2],
            interval: Some([0.1, 0.9]),
            ..Trial::default()
        };
        first.alone(|database| database.put(&trial)).unwrap();
        assert_eq!(second.trials().unwrap(), [trial]);
        let other = Database::open(&path, &json!({ "train": { "epochs": 6 } }), "loss").err().unwrap();
        assert!(other.to_string().contains("`train.epochs` was 5 and is 6"), "{other}");
    }

    #[test]
    fn what_fails_leaves_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("study.db");
        let mut database = Database::open(&path, &json!({}), "loss").unwrap();
        let result: Result<(), LearnError> = database.alone(|database| {
            database.put(&Trial { id: 1, ..Trial::default() })?;
            Err(LearnError::NothingToResume { folder: PathBuf::new() })
        });
        assert!(result.is_err() && database.trials().unwrap().is_empty());
    }
}
