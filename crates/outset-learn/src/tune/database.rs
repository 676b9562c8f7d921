//! The study on disk or on a server: which trials there are and where each stands, so that several processes may work on it,
//! and that it can be looked at while they do.

use super::engine::{Address, Cell, Engine, Fault, Piece, Postgres, Sqlite};
use super::pruner::{Stage, Standing};
use super::space::Settings;
use crate::checkpoint;
use crate::error::LearnError;
use crate::files;
use outset_spec::state::differences;
use serde::Serialize;
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::fmt;
use std::path::{Path, PathBuf};

/// Version of the tables.
const FORMAT: i64 = 2;

/// Where a study is.
#[derive(Clone)]
pub enum Place {
    /// A folder with an SQLite file.
    Folder(PathBuf),
    /// A PostgreSQL server, which many machines may reach.
    Server(Address),
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Folder(folder) => write!(f, "{}", folder.display()),
            Self::Server(address) => write!(f, "{address}"),
        }
    }
}

/// An open study.
pub struct Database {
    engine: Box<dyn Engine>,
    name: String,
    study: i64,
    /// A text that no other study has.
    token: String,
}

/// One trial as it is recorded.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Trial {
    pub id: usize,
    pub settings: Settings,
    /// `running`, `interrupted`, `paused`, `done` or `failed`.
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

const TABLES: [&str; 3] = [
    "CREATE TABLE IF NOT EXISTS outset_studies (
        id BIGINT PRIMARY KEY, name TEXT NOT NULL UNIQUE, format BIGINT NOT NULL, token TEXT NOT NULL,
        declared TEXT NOT NULL, objective TEXT NOT NULL, concluded TEXT)",
    "CREATE TABLE IF NOT EXISTS outset_trials (
        study BIGINT NOT NULL, id BIGINT NOT NULL, settings TEXT NOT NULL, state TEXT NOT NULL,
        trial_values TEXT NOT NULL, epochs BIGINT NOT NULL, seconds DOUBLE PRECISION NOT NULL,
        parameters BIGINT NOT NULL, latency DOUBLE PRECISION, value_interval TEXT, error TEXT, PRIMARY KEY (study, id))",
    "CREATE TABLE IF NOT EXISTS outset_checkpoints (
        study BIGINT NOT NULL, trial BIGINT NOT NULL, file TEXT NOT NULL, content BYTEA NOT NULL,
        PRIMARY KEY (study, trial, file))",
];

impl Database {
    /// Opens the study, or begins it.
    ///
    /// # Errors
    /// If the file or server holds no studies, or that of another experiment.
    pub fn open(place: &Place, name: &str, declared: &Value, objective: &str) -> Result<Self, LearnError> {
        let mut database = Self::connect(place)?;
        let kept = database.alone(|database| database.enter(name, declared, objective))?;
        let differences = differences(&kept, declared);
        if !differences.is_empty() {
            let study = place.to_string();
            return Err(LearnError::StudyChanged { study, name: name.to_owned(), differences });
        }
        Ok(database)
    }

    /// The studies at a place with their trials, by name, whatever their experiments.
    ///
    /// # Errors
    /// If there is nothing of the kind.
    pub fn look(place: &Place) -> Result<Vec<(String, Vec<Trial>)>, LearnError> {
        let mut database = Self::connect(place)?;
        let rows = database.run("SELECT id, name FROM outset_studies ORDER BY id", &[])?;
        let mut studies = Vec::new();
        for row in rows {
            if let [Cell::Whole(study), Cell::Text(name)] = &row[..] {
                database.study = *study;
                let (mut trials, held) = (database.trials()?, database.held()?);
                for trial in trials.iter_mut().filter(|trial| trial.state == "running") {
                    if !held.contains(&trial.id) {
                        // Its process is gone.
                        trial.state = "interrupted".to_owned();
                    }
                }
                studies.push((name.clone(), trials));
            }
        }
        Ok(studies)
    }

    fn connect(place: &Place) -> Result<Self, LearnError> {
        let failed = |source| LearnError::Study { study: place.to_string(), source };
        let engine: Box<dyn Engine> = match place {
            Place::Folder(folder) => Box::new(Sqlite::open(folder).map_err(failed)?),
            Place::Server(address) => Box::new(Postgres::connect(address).map_err(failed)?),
        };
        Ok(Self { engine, name: place.to_string(), study: 0, token: String::new() })
    }

    /// Finds the study by its name or makes it, and gives what it was begun with.
    fn enter(&mut self, name: &str, declared: &Value, objective: &str) -> Result<Value, LearnError> {
        for table in TABLES {
            self.run(table, &[])?;
        }
        self.run(
            "INSERT INTO outset_studies (id, name, format, token, declared, objective)
             SELECT COALESCE(MAX(id), 0) + 1, CAST($1 AS TEXT), CAST($2 AS BIGINT), CAST($3 AS TEXT), CAST($4 AS TEXT),
             CAST($5 AS TEXT) FROM outset_studies WHERE true ON CONFLICT (name) DO NOTHING",
            &[
                Cell::Text(name.to_owned()),
                Cell::Whole(FORMAT),
                Cell::Text(super::token()),
                Cell::Text(declared.to_string()),
                Cell::Text(objective.to_owned()),
            ],
        )?;
        let statement = "SELECT id, token, declared FROM outset_studies WHERE name = $1";
        let rows = self.run(statement, &[Cell::Text(name.to_owned())])?;
        let Some([Cell::Whole(study), Cell::Text(token), Cell::Text(kept)]) = rows.first().map(Vec::as_slice)
        else {
            return Err(self.failed("the study that was begun just now is not there".into()));
        };
        (self.study, self.token) = (*study, token.clone());
        Ok(serde_json::from_str(kept).unwrap_or_default())
    }

    fn failed(&self, source: Fault) -> LearnError {
        LearnError::Study { study: self.name.clone(), source }
    }

    fn run(&mut self, statement: &str, values: &[Cell]) -> Result<Vec<Vec<Cell>>, LearnError> {
        self.engine.run(statement, values).map_err(|source| self.failed(source))
    }

    /// A text that no other study has.
    pub fn token(&self) -> &str {
        &self.token
    }

    /// Every trial, by number.
    pub fn trials(&mut self) -> Result<Vec<Trial>, LearnError> {
        let rows = self.run(
            "SELECT id, settings, state, trial_values, epochs, seconds, parameters, latency, value_interval, error
             FROM outset_trials WHERE study = $1 ORDER BY id",
            &[Cell::Whole(self.study)],
        )?;
        rows.into_iter()
            .map(|row| {
                trial(&row).ok_or_else(|| self.failed("a trial is not written as it should be".into()))
            })
            .collect()
    }

    /// Does what reads and then writes, alone among all processes.
    pub fn alone<T>(
        &mut self,
        act: impl FnOnce(&mut Self) -> Result<T, LearnError>,
    ) -> Result<T, LearnError> {
        self.within(true, act)
    }

    fn within<T>(
        &mut self,
        alone: bool,
        act: impl FnOnce(&mut Self) -> Result<T, LearnError>,
    ) -> Result<T, LearnError> {
        self.engine.begin(alone).map_err(|source| self.failed(source))?;
        let result = act(self);
        let end = if result.is_ok() { "COMMIT" } else { "ROLLBACK" };
        let ended = self.run(end, &[]);
        let result = result?;
        ended?;
        Ok(result)
    }

    /// Writes a trial, new or known.
    pub fn put(&mut self, trial: &Trial) -> Result<(), LearnError> {
        let text = |text: Option<String>| text.map_or(Cell::Null, Cell::Text);
        self.run(
            "INSERT INTO outset_trials
             (study, id, settings, state, trial_values, epochs, seconds, parameters, latency, value_interval, error)
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)
             ON CONFLICT (study, id) DO UPDATE SET settings = excluded.settings, state = excluded.state,
             trial_values = excluded.trial_values, epochs = excluded.epochs, seconds = excluded.seconds,
             parameters = excluded.parameters, latency = excluded.latency, value_interval = excluded.value_interval,
             error = excluded.error",
            &[
                Cell::Whole(self.study),
                Cell::Whole(trial.id as i64),
                Cell::Text(json!(trial.settings).to_string()),
                Cell::Text(trial.state.clone()),
                Cell::Text(json!(trial.values).to_string()),
                Cell::Whole(trial.epochs as i64),
                Cell::Real(trial.seconds),
                Cell::Whole(trial.parameters as i64),
                trial.latency.map_or(Cell::Null, Cell::Real),
                text(trial.interval.map(|interval| json!(interval).to_string())),
                text(trial.error.clone()),
            ],
        )?;
        Ok(())
    }

    /// Takes a trial, or the conclusion, for this process; `false` where another one has it.
    pub fn hold(&mut self, piece: Piece) -> Result<bool, LearnError> {
        self.engine.hold(self.study, piece).map_err(|source| self.failed(source))
    }

    /// Lets go of a trial, or of the conclusion.
    pub fn release(&mut self, piece: Piece) -> Result<(), LearnError> {
        self.engine.release(self.study, piece).map_err(|source| self.failed(source))
    }

    /// The trials that some process is at.
    pub fn held(&mut self) -> Result<BTreeSet<usize>, LearnError> {
        self.engine.held(self.study).map_err(|source| self.failed(source))
    }

    /// Sends the latest checkpoint of a trial along with the study, where other machines may go on with it.
    pub fn keep(&mut self, trial: usize, folder: &Path) -> Result<(), LearnError> {
        if !self.engine.is_shared() {
            return Ok(());
        }
        let Some((path, checkpoint)) = checkpoint::find(&folder.join("checkpoints")).newest else {
            return Ok(());
        };
        let mut files = checkpoint.files;
        files.insert(checkpoint::MANIFEST.to_owned(), files::read(&path.join(checkpoint::MANIFEST))?);
        let key = [Cell::Whole(self.study), Cell::Whole(trial as i64)];
        self.within(false, |database| {
            database.run("DELETE FROM outset_checkpoints WHERE study = $1 AND trial = $2", &key)?;
            for (name, content) in files {
                let values = [&key[..], &[Cell::Text(name), Cell::Bytes(content)]].concat();
                let statement =
                    "INSERT INTO outset_checkpoints (study, trial, file, content) VALUES ($1, $2, $3, $4)";
                database.run(statement, &values)?;
            }
            Ok(())
        })
    }

    /// Brings the checkpoint of a trial that another machine was at, unless the one here is as far.
    pub fn fetch(&mut self, trial: usize, folder: &Path) -> Result<(), LearnError> {
        if !self.engine.is_shared() {
            return Ok(());
        }
        let key = [Cell::Whole(self.study), Cell::Whole(trial as i64)];
        let one = [&key[..], &[Cell::Text(checkpoint::MANIFEST.to_owned())]].concat();
        let statement =
            "SELECT content FROM outset_checkpoints WHERE study = $1 AND trial = $2 AND file = $3";
        let manifest = self.run(statement, &one)?;
        let Some(Cell::Bytes(manifest)) = manifest.first().and_then(|row| row.first()) else { return Ok(()) };
        let there = checkpoint::step_of(manifest);
        let checkpoints = folder.join("checkpoints");
        let here = checkpoint::find(&checkpoints).newest.map(|(_, checkpoint)| checkpoint.progress.step);
        let Some(there) = there.filter(|there| here.is_none_or(|here| here < *there)) else { return Ok(()) };
        let statement = "SELECT file, content FROM outset_checkpoints WHERE study = $1 AND trial = $2";
        let rows = self.run(statement, &key)?;
        files::write_folder(&checkpoints.join(checkpoint::name(there)), |put| {
            rows.iter().try_for_each(|row| match &row[..] {
                [Cell::Text(name), Cell::Bytes(content)] => put(name, content),
                _ => Ok(()),
            })
        })
    }

    /// What was written of the study's conclusion.
    pub fn concluded(&mut self) -> Result<Option<Value>, LearnError> {
        let statement = "SELECT concluded FROM outset_studies WHERE id = $1";
        let rows = self.run(statement, &[Cell::Whole(self.study)])?;
        Ok(match rows.first().and_then(|row| row.first()) {
            Some(Cell::Text(text)) => serde_json::from_str(text).ok(),
            _ => None,
        })
    }

    /// Writes what there is to say of the study's conclusion.
    pub fn conclude(&mut self, value: &Value) -> Result<(), LearnError> {
        let values = [Cell::Text(value.to_string()), Cell::Whole(self.study)];
        self.run("UPDATE outset_studies SET concluded = $1 WHERE id = $2", &values)?;
        Ok(())
    }
}

/// A trial from its row.
fn trial(row: &[Cell]) -> Option<Trial> {
    let number = |cell: &Cell| match cell {
        Cell::Whole(value) => usize::try_from(*value).ok(),
        _ => None,
    };
    let text = |cell: &Cell| match cell {
        Cell::Text(text) => Some(text.clone()),
        _ => None,
    };
    let json = |cell: &Cell| {
        text(cell).and_then(|text| serde_json::from_str::<Value>(&text).ok()).unwrap_or_default()
    };
    let real = |cell: &Cell| match cell {
        Cell::Real(value) => Some(*value),
        Cell::Whole(value) => Some(*value as f64),
        _ => None,
    };
    let [id, settings, state, values, epochs, seconds, parameters, latency, interval, error] = row else {
        return None;
    };
    Some(Trial {
        id: number(id)?,
        settings: serde_json::from_value(json(settings)).ok()?,
        state: text(state)?,
        values: serde_json::from_value(json(values)).ok()?,
        epochs: number(epochs)?,
        seconds: real(seconds)?,
        parameters: number(parameters)?,
        latency: real(latency),
        interval: serde_json::from_value(json(interval)).ok(),
        error: text(error),
    })
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
        // What cannot win, because it answers too slowly, is not there for others to be measured by.
        let values = match stage {
            Stage::Failed => Vec::new(),
            _ => self.values.iter().map(|value| if higher { -value } else { *value }).collect(),
        };
        Standing { id: self.id, stage, values }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn open(folder: &Path, declared: &Value) -> Result<Database, LearnError> {
        Database::open(&Place::Folder(folder.to_owned()), "it", declared, "loss")
    }

    #[test]
    fn a_study_is_kept_and_shared() {
        let folder = tempfile::tempdir().unwrap();
        let declared = json!({ "train": { "epochs": 5 } });
        let mut first = open(folder.path(), &declared).unwrap();
        let mut second = open(folder.path(), &declared).unwrap();
        assert_eq!(first.token(), second.token());
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
        assert!(first.hold(Piece::Trial(3)).unwrap() && !second.hold(Piece::Trial(3)).unwrap());
        assert_eq!(second.held().unwrap(), BTreeSet::from([3]));
        first.release(Piece::Trial(3)).unwrap();
        assert!(second.held().unwrap().is_empty() && second.hold(Piece::Trial(3)).unwrap());
        let other = open(folder.path(), &json!({ "train": { "epochs": 6 } })).err().unwrap();
        assert!(other.to_string().contains("`train.epochs` was 5 and is 6"), "{other}");
    }

    #[test]
    fn what_fails_leaves_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let mut database = open(folder.path(), &json!({})).unwrap();
        let result: Result<(), LearnError> = database.alone(|database| {
            database.put(&Trial { id: 1, ..Trial::default() })?;
            Err(LearnError::NothingToResume { folder: PathBuf::new() })
        });
        assert!(result.is_err() && database.trials().unwrap().is_empty());
    }
}
