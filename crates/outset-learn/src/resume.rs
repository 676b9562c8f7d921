//! Going on with a run that was stopped: `state.json`, and what must be as it was.

use crate::checkpoint;
use crate::error::LearnError;
use crate::event::{Event, Observer};
use crate::files;
use crate::prepare::{Prepared, prepare};
use crate::run::{Finished, Options, Way, from_folder, read_record, split_csv};
use outset_spec::record::{DataRecord, RunRecord};
use outset_spec::state::{self, Objective, Origin, RunState, differences};
use outset_spec::{Experiment, Problems};
use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicBool;
use std::time::{Instant, SystemTime, UNIX_EPOCH};

/// What came of going on with a run.
pub enum Resumed {
    /// It went on to its end.
    Finished(Box<Finished>),
    /// It had come to its end before.
    Already(Box<RunRecord>),
}

/// Writes the files that a run has from its beginning.
pub(crate) fn begin(
    experiment: &Experiment,
    prepared: &Prepared,
    options: &Options<'_>,
    folder: &Path,
) -> Result<RunState, LearnError> {
    let written = from_folder(&prepared.experiment, folder);
    let objective = &prepared.recipe.objective;
    let state = RunState {
        format: state::FORMAT,
        version: env!("CARGO_PKG_VERSION").to_owned(),
        name: prepared.experiment.name.clone(),
        state: "running".to_owned(),
        without_test: options.without_test,
        started: SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |time| time.as_secs()),
        threads: rayon::current_num_threads(),
        objective: Objective {
            metric: match objective.output {
                Some(output) => format!("{}/{}", prepared.truths[output].name, objective.metric),
                None => objective.metric.clone(),
            },
            higher_is_better: objective.higher_is_better,
        },
        origin: options.origin.as_ref().map(|origin| Origin {
            file: files::relative(Path::new(&origin.file), folder),
            overrides: origin.overrides.clone(),
        }),
        declared: declared(experiment),
        resolved: written.to_table().to_json(),
        data: prepared.data.clone(),
        ..RunState::default()
    };
    files::write(&folder.join("experiment.toml"), written.to_table().to_toml().as_bytes())?;
    files::write(&folder.join("split.csv"), &split_csv(prepared))?;
    // The last, for what has a state is gone on with as it is.
    write_state(folder, &state)?;
    Ok(state)
}

/// What the file says, the name of the experiment aside.
pub(crate) fn declared(experiment: &Experiment) -> serde_json::Value {
    let mut table = experiment.to_table();
    table.0.shift_remove("name");
    table.to_json()
}

/// Writes `state.json`.
pub(crate) fn write_state(folder: &Path, state: &RunState) -> Result<(), LearnError> {
    files::write(&folder.join("state.json"), &files::pretty(state))
}

/// Reads `state.json`.
///
/// # Errors
/// If the folder holds none.
pub fn read_state(folder: &Path) -> Result<RunState, LearnError> {
    let path = folder.join("state.json");
    if !path.is_file() {
        return Err(LearnError::NothingToResume { folder: folder.to_owned() });
    }
    let bytes = files::read(&path)?;
    serde_json::from_slice(&bytes).map_err(|source| LearnError::Record { path, source })
}

/// Goes on with a run in its own folder, from its last checkpoint that is whole, to the end that it was begun for.
///
/// # Errors
/// If experiment or data are no longer what the run was begun with, another process works on it, or it fails.
pub fn resume(
    folder: &Path,
    price_per_second: f64,
    interrupt: &AtomicBool,
    observe: Observer<'_>,
) -> Result<Resumed, LearnError> {
    let started = Instant::now();
    if !folder.join("state.json").is_file() && folder.join("run.json").is_file() {
        return Ok(Resumed::Already(Box::new(read_record(folder)?)));
    }
    let mut state = read_state(folder)?;
    let Some(_lock) = files::lock(folder)? else {
        return Err(LearnError::Busy { folder: folder.to_owned() });
    };
    if let Some(record) = read_record(folder).ok().filter(|record| record.state == "finished") {
        if state.state != "finished" {
            state.state = "finished".to_owned();
            write_state(folder, &state)?;
        }
        return Ok(Resumed::Already(Box::new(record)));
    }
    let prepared = prepared_again(folder, &state, observe)?;
    prepared.design.check_memory(&prepared.preprocessor)?;
    let threads = rayon::current_num_threads();
    if threads != state.threads {
        observe(Event::Note {
            text: format!(
                "the run was begun with {} threads and goes on with {threads}: last digits may differ",
                state.threads
            ),
        });
    }
    if state.version != env!("CARGO_PKG_VERSION") {
        observe(Event::Note {
            text: format!(
                "the run was begun by Outset {} and goes on with {}: figures may differ",
                state.version,
                env!("CARGO_PKG_VERSION")
            ),
        });
    }
    let found = checkpoint::find(&folder.join("checkpoints"));
    found.clear().into_iter().for_each(|text| observe(Event::Note { text }));
    state.state = "running".to_owned();
    state.error = None;
    state.threads = threads;
    write_state(folder, &state)?;
    let checkpoint = found.newest.map(|(_, checkpoint)| checkpoint);
    let way = Way { prepared, folder: folder.to_owned(), checkpoint, price_per_second, interrupt, started };
    way.go(&mut state, observe).map(|finished| Resumed::Finished(Box::new(finished)))
}

/// Prepares a run again and checks that declaration and data are what it was begun with.
fn prepared_again(folder: &Path, state: &RunState, observe: Observer<'_>) -> Result<Prepared, LearnError> {
    let changed = |file: &Path, differences: Vec<String>| {
        let (file, run) = (file.to_owned(), folder.to_owned());
        Err(LearnError::ExperimentChanged { file, run, differences })
    };
    if let Some(origin) = &state.origin {
        let file = shortened(&folder.join(&origin.file));
        // A run may go on where its experiment file was removed, but not where it says something else.
        if let Ok(text) = std::fs::read_to_string(&file) {
            let parent = file.parent().unwrap_or(Path::new(""));
            let (now, _): (Experiment, Problems) =
                Experiment::read(&file.display().to_string(), &text, parent, &origin.overrides)?;
            let found = differences(&state.declared, &declared(&now));
            if !found.is_empty() {
                return changed(&file, found);
            }
        }
    }
    let path = folder.join("experiment.toml");
    let text = String::from_utf8_lossy(&files::read(&path)?).into_owned();
    let experiment = Experiment::parse(&path.display().to_string(), &text, folder, &[])?;
    let found = differences(&state.resolved, &experiment.to_table().to_json());
    if !found.is_empty() {
        return changed(&path, found);
    }
    let mut prepared = prepare(&experiment, observe)?;
    if !prepared.data.is_same(&state.data) {
        let differences = data_differences(&state.data, &prepared.data);
        return Err(LearnError::DataChanged { run: folder.to_owned(), differences });
    }
    // Names of files and reasons as they were first told.
    prepared.data = state.data.clone();
    Ok(prepared)
}

/// What differs between two readings of the data, by file and by number of rows.
pub(crate) fn data_differences(before: &DataRecord, after: &DataRecord) -> Vec<String> {
    let mut found = Vec::new();
    if before.files.len() != after.files.len() {
        found.push(format!("{} files were read, {} before", after.files.len(), before.files.len()));
    }
    for (before, after) in before.files.iter().zip(&after.files) {
        if before.sha256 != after.sha256 {
            found.push(format!(
                "`{}` has other content ({} rows, {} before)",
                before.path, after.rows, before.rows
            ));
        }
    }
    for (before, after) in before.beside.iter().zip(&after.beside) {
        if before.sha256 != after.sha256 {
            found.push(format!("`{}` has other content", before.path));
        }
    }
    if found.is_empty() {
        found.push(format!("{} rows were read, {} before", after.rows, before.rows));
    }
    found
}

/// A path as seen from the current folder.
pub(crate) fn shortened(path: &Path) -> PathBuf {
    let Ok(whole) = path.canonicalize() else { return path.to_owned() };
    let current = std::env::current_dir().unwrap_or_default();
    whole.strip_prefix(current).map_or(whole.clone(), Path::to_owned)
}
