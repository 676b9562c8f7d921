//! The search for better settings: trials side by side, the objective on val alone, the test part looked at once, by the
//! one that wins.

pub mod database;
pub mod engine;
pub mod importance;
pub mod pruner;
pub mod sampler;
pub mod settings;
pub mod space;

mod check;
mod conclude;
mod gaussian;
mod parzen;
mod trial;

use crate::error::LearnError;
use crate::event::{Event, Observer};
use crate::prepare::{Prepared, prepare};
use crate::resume;
use crate::run::{Finished, Options};
use check::{check, with_inputs};
use database::{Database, Place, Trial};
use engine::Piece;
use outset_spec::{Experiment, Problems};
use pruner::Next;
use sampler::{Search, Tried};
use serde_json::Value;
use settings::Settings;
use sha2::{Digest as _, Sha256};
use space::Parameter;
use std::hash::{BuildHasher as _, RandomState};
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError, mpsc};
use std::time::{Duration, Instant, SystemTime};
use trial::Shared;

/// The trial of the settings as they were declared, which is trained to its end whatever the pruner says.
const DEFAULT: usize = 0;

/// How often the time of other processes is asked for.
const BETWEEN_LOOKS: Duration = Duration::from_secs(2);

/// A search that is under way.
struct Study<'a> {
    settings: Settings,
    space: Vec<Parameter>,
    declared: Value,
    /// The declared experiment with its defaults filled in.
    resolved: Value,
    /// What it has for the keys of the space that count in it.
    default: space::Settings,
    place: Place,
    /// What the study is called among others at its place.
    name: String,
    /// Where this machine keeps the files of trials.
    folder: PathBuf,
    prepared: &'a Prepared,
    experiment: &'a Experiment,
}

/// How a search came out.
pub enum Tuned {
    /// The best trial was tested and bundled.
    Finished(Box<Finished>),
    /// The user stopped it; it goes on when it is asked for again.
    Stopped,
    /// It was over before, and its best trial was taken to this run.
    Already(PathBuf),
    /// It was over before, and another machine took its best trial to this run.
    Elsewhere { machine: String, run: String },
}

/// Searches for better settings, and takes the best to a tested bundle.
///
/// `place` is that of the search: the folder `<name>.study` beside the runs where it is `None`.
///
/// # Errors
/// Whatever is wrong with declaration, data or disk, or with the loss of every trial.
pub fn tune(
    experiment: &Experiment,
    place: Option<Place>,
    options: &Options<'_>,
    observe: Observer<'_>,
) -> Result<Tuned, LearnError> {
    let started = Instant::now();
    let mut problems = Problems::default();
    let (settings, space) = settings::read(experiment.tune.as_ref(), &mut problems);
    std::mem::take(&mut problems).or(())?;
    let prepared = prepare(experiment, observe)?;
    let space = space.unwrap_or_else(|| space::default_space(&prepared));
    let declared = declared(experiment, &prepared);
    let experiment = &with_inputs(experiment, &prepared, &space)?;
    let resolved = prepared.experiment.to_table().to_json();
    check(experiment, &prepared, &resolved, &space)?;
    let beside = options.runs.join(format!("{}.study", prepared.experiment.name));
    let place = place.unwrap_or_else(|| Place::Folder(beside.clone()));
    let mut study = Study {
        default: space::counting(&space, &resolved, |parameter| {
            space::at(&resolved, &parameter.key).cloned()
        }),
        settings,
        space,
        declared,
        resolved,
        name: match place {
            // A folder holds one study, whatever its experiment is called.
            Place::Folder(_) => "study".to_owned(),
            Place::Server(_) => prepared.experiment.name.clone(),
        },
        folder: match &place {
            Place::Folder(folder) => folder.clone(),
            Place::Server(_) => beside,
        },
        place,
        prepared: &prepared,
        experiment,
    };
    let make = |folder: &PathBuf| {
        std::fs::create_dir_all(folder).map_err(|source| LearnError::Write { path: folder.clone(), source })
    };
    make(&study.folder)?;
    let mut database = study.open()?;
    if matches!(study.place, Place::Server(_)) {
        // Of two studies of one name, begun one after the other, neither may find the other's files.
        study.folder.push(database.token());
    }
    make(&study.folder.join("trials"))?;
    let before = study.seconds_before(&mut database)?;
    if !study.search(before, options, observe)? {
        return Ok(Tuned::Stopped);
    }
    // Of several processes at one study a single one tests the winner, once none is at a trial; the others wait for it.
    while !database.alone(|database| Ok(database.held()?.is_empty() && database.hold(Piece::Conclusion)?))? {
        if options.interrupt.load(Ordering::Relaxed) {
            return Ok(Tuned::Stopped);
        }
        std::thread::sleep(Duration::from_millis(50));
    }
    // What the trials of earlier sessions took is part of what the search took.
    if !study.has_value(&mut database, options, observe)? {
        return Ok(Tuned::Stopped);
    }
    let seconds = before + started.elapsed().as_secs_f64();
    study.conclude(&mut database, seconds, options, observe)
}

/// What must be as it was for a study to go on: what the file says and the rows, but not where these lie, which differs
/// between machines, nor limits and samplers, which may change from one part of a search to the next.
fn declared(experiment: &Experiment, prepared: &Prepared) -> Value {
    let mut declared = resume::declared(experiment);
    if let Some(object) = declared.as_object_mut() {
        object.shift_remove("tune");
        object.insert("rows_sha256".to_owned(), prepared.data.rows_sha256.as_str().into());
        for (index, file) in prepared.data.beside.iter().enumerate() {
            object.insert(format!("beside_{}_sha256", index + 1), file.sha256.as_str().into());
        }
    }
    if let Some(data) = declared.get_mut("data").and_then(Value::as_object_mut) {
        data.retain(|key, _| !["source", "train", "val", "test"].contains(&key.as_str()));
    }
    declared
}

/// A text of 32 letters that never was before.
fn token() -> String {
    // A hash table's keys are random, so that nobody can foretell them.
    let keys = [RandomState::new(), RandomState::new()].map(|state| state.hash_one(SystemTime::now()));
    let digest = Sha256::digest(format!("{keys:?} {}", std::process::id()));
    digest.iter().take(16).map(|byte| format!("{byte:02x}")).collect()
}

impl Study<'_> {
    fn open(&self) -> Result<Database, LearnError> {
        Database::open(&self.place, &self.name, &self.declared, &self.prepared.objective_words())
    }

    fn higher_is_better(&self) -> bool {
        self.prepared.recipe.objective.higher_is_better
    }

    /// What trials share that cost so much a second and end where `stop` says so.
    fn shared<'s>(&'s self, price_per_second: f64, stop: &'s AtomicBool) -> Shared<'s> {
        Shared {
            experiment: self.experiment,
            prepared: self.prepared,
            folder: &self.folder,
            max_latency: self.settings.max_latency.map(|limit| limit.0.as_secs_f64()),
            price_per_second,
            stop,
            least: false,
        }
    }

    /// Has `work` go on with a trial from its latest checkpoint, wherever that is, tells what there is to say of that, and
    /// writes what came of it.
    fn go_on(
        &self,
        database: &mut Database,
        trial: &mut Trial,
        work: impl FnOnce(&mut Trial) -> Result<Vec<String>, LearnError>,
        mut observe: impl FnMut(Event),
    ) -> Result<(), LearnError> {
        let folder = trial::folder(&self.folder, trial.id);
        std::fs::create_dir_all(&folder)
            .map_err(|source| LearnError::Write { path: folder.clone(), source })?;
        database.fetch(trial.id, &folder)?;
        work(trial)?.into_iter().for_each(|text| observe(Event::Note { text }));
        database.keep(trial.id, &folder)?;
        database.alone(|database| database.put(trial))
    }

    /// Runs trials until the budget, of which so many seconds are gone, is spent; `false` where the user stopped it.
    fn search(&self, before: f64, options: &Options<'_>, observe: Observer<'_>) -> Result<bool, LearnError> {
        let mut database = self.open()?;
        let threads = rayon::current_num_threads();
        let parallel = self.settings.side_by_side();
        let known = database.trials()?;
        let spent = seconds_of(&known);
        observe(Event::Study {
            folder: self.place.to_string(),
            keys: self.space.iter().map(|parameter| parameter.key.clone()).collect(),
            trials: self.settings.trials,
            done: known.len(),
            parallel,
            words: format!("{}, {}", self.settings.sampler.word(), self.settings.pruner.word()),
        });
        let (sender, receiver) = mpsc::channel::<Event>();
        let time_limit = self.settings.time_limit.map(|limit| limit.0.as_secs_f64());
        let by_cost = self.settings.cost_limit.map(|cost| cost / options.price_per_second.max(1e-300));
        let is_over = |seconds: f64, others: f64| {
            time_limit.is_some_and(|limit| seconds >= limit)
                || by_cost.is_some_and(|limit| seconds + others >= limit)
        };
        let stop = AtomicBool::new(is_over(before, 0.0));
        let shared = self.shared(options.price_per_second / parallel as f64, &stop);
        let clock = Instant::now();
        let own = Mutex::new(0.0);
        // Time that other processes spent since this one began; they cost, but make its own time no longer.
        let (mut others, mut asked) = (0.0, Instant::now());
        std::thread::scope(|scope| {
            let workers: Vec<_> = (0..parallel)
                .map(|_| {
                    let (sender, stop, shared, own) = (sender.clone(), &stop, &shared, &own);
                    scope.spawn(move || {
                        let result = self.worker((threads / parallel).max(1), shared, own, &sender);
                        if result.is_err() {
                            stop.store(true, Ordering::Relaxed);
                        }
                        result
                    })
                })
                .collect();
            drop(sender);
            loop {
                match receiver.recv_timeout(Duration::from_millis(50)) {
                    Ok(event) => observe(event),
                    Err(mpsc::RecvTimeoutError::Timeout) => {}
                    Err(mpsc::RecvTimeoutError::Disconnected) => break,
                }
                if by_cost.is_some() && asked.elapsed() >= BETWEEN_LOOKS {
                    asked = Instant::now();
                    let own = *own.lock().unwrap_or_else(PoisonError::into_inner);
                    if let Ok(trials) = database.trials() {
                        others = (seconds_of(&trials) - spent - own).max(0.0) / parallel as f64;
                    }
                }
                if is_over(before + clock.elapsed().as_secs_f64(), others)
                    || options.interrupt.load(Ordering::Relaxed)
                {
                    stop.store(true, Ordering::Relaxed);
                }
            }
            for worker in workers {
                match worker.join() {
                    Ok(result) => result?,
                    Err(panic) => std::panic::resume_unwind(panic),
                }
            }
            Ok::<(), LearnError>(())
        })?;
        Ok(!options.interrupt.load(Ordering::Relaxed))
    }

    /// Takes trial after trial to its next rung.
    fn worker(
        &self,
        threads: usize,
        shared: &Shared<'_>,
        own: &Mutex<f64>,
        events: &mpsc::Sender<Event>,
    ) -> Result<(), LearnError> {
        let mut database = self.open()?;
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build();
        // Let go of as the next one is taken, so that there is no moment in which the search seems to be over.
        let mut held = None;
        while !shared.stop.load(Ordering::Relaxed) {
            let mut trial = match self.claim(&mut database, held.take())? {
                Claim::Trial(trial) => trial,
                Claim::Wait => {
                    std::thread::sleep(Duration::from_millis(20));
                    continue;
                }
                Claim::Nothing => break,
            };
            held = Some(trial.id);
            let work = |trial: &mut Trial| {
                let before = trial.seconds;
                let notes = match &pool {
                    Ok(pool) => pool.install(|| shared.advance(trial)),
                    Err(_) => shared.advance(trial),
                };
                // Before it is written, so that nobody takes it for the time of another process.
                *own.lock().unwrap_or_else(PoisonError::into_inner) += trial.seconds - before;
                notes
            };
            self.go_on(&mut database, &mut trial, work, |event| _ = events.send(event))?;
            let best = self.best(&database.trials()?).and_then(|best| best.values.last().copied());
            let _ = events.send(Event::Trial {
                id: trial.id,
                state: trial.state.clone(),
                epochs: trial.epochs,
                value: trial.values.last().copied(),
                best,
                settings: trial.settings.clone().into_iter().collect(),
                error: trial.error.clone(),
            });
        }
        match held {
            Some(id) => database.release(Piece::Trial(id)),
            None => Ok(()),
        }
    }

    /// Takes the next piece of work, alone among all workers and processes, and lets go of the trial that was `held`.
    fn claim(&self, database: &mut Database, held: Option<usize>) -> Result<Claim, LearnError> {
        database.alone(|database| {
            let claim = self.choose(database, held)?;
            let is_next = |id: &usize| matches!(&claim, Claim::Trial(trial) if trial.id == *id);
            if let Some(id) = held.filter(|id| !is_next(id)) {
                database.release(Piece::Trial(id))?;
            }
            Ok(claim)
        })
    }

    fn choose(&self, database: &mut Database, ours: Option<usize>) -> Result<Claim, LearnError> {
        // Another process may be at the winner already: what came now would be a search of its own.
        if !database.hold(Piece::Conclusion)? {
            return Ok(Claim::Nothing);
        }
        database.release(Piece::Conclusion)?;
        let trials = database.trials()?;
        let held = database.held()?;
        let higher = self.higher_is_better();
        let standings: Vec<_> =
            trials.iter().map(|trial| trial.standing(higher, held.contains(&trial.id))).collect();
        let settings = &self.settings;
        let next_id = trials.last().map_or(DEFAULT, |trial| trial.id + 1);
        let mut may_begin = next_id <= settings.trials;
        let mut new = None;
        if may_begin {
            let search = Search {
                sampler: settings.sampler,
                space: &self.space,
                resolved: &self.resolved,
                seed: settings.seed,
                trials: settings.trials,
            };
            new = match next_id {
                DEFAULT => Some(space::Settings::new()),
                number => {
                    let known =
                        trials.iter().map(|trial| settings_of(trial, &self.default).clone()).collect();
                    search.next(number, &tried(&trials, &self.default, higher), &known)
                }
            };
            may_begin = new.is_some();
        }
        let mut trial = match settings.pruner.next(&standings, may_begin, DEFAULT) {
            Next::Nothing => return Ok(Claim::Nothing),
            Next::Wait => return Ok(Claim::Wait),
            Next::Continue(id) => {
                let found = trials.into_iter().find(|trial| trial.id == id);
                found.unwrap_or_else(|| unreachable!("pruners choose among the trials"))
            }
            Next::Begin => Trial { id: next_id, settings: new.unwrap_or_default(), ..Trial::default() },
        };
        if ours != Some(trial.id) && !database.hold(Piece::Trial(trial.id))? {
            return Ok(Claim::Wait);
        }
        if trial.state.is_empty() {
            // Nothing that lies there is of this study.
            let _ = std::fs::remove_dir_all(trial::folder(&self.folder, trial.id).join("checkpoints"));
        }
        trial.state = "running".to_owned();
        database.put(&trial)?;
        Ok(Claim::Trial(Box::new(trial)))
    }
}

/// Time that all trials took together.
fn seconds_of(trials: &[Trial]) -> f64 {
    trials.iter().map(|trial| trial.seconds).sum()
}

/// A piece of work, or none.
enum Claim {
    Trial(Box<Trial>),
    Wait,
    Nothing,
}

/// What a trial has for the keys of the space; `default` are the settings of the declared experiment.
fn settings_of<'a>(trial: &'a Trial, default: &'a space::Settings) -> &'a space::Settings {
    if trial.id == DEFAULT { default } else { &trial.settings }
}

/// The settings of the trials with a value for each, smaller being better.
///
/// Values of different rungs cannot be compared: the one that was trained longer is better for that alone. Where trials stand
/// at different rungs, each has its place in the order instead: those that were taken farther before those that were left
/// behind, as they were the better ones there, and by value at one rung.
fn tried(trials: &[Trial], default: &space::Settings, higher: bool) -> Vec<Tried> {
    let value = |trial: &Trial| trial.values.last().map(|value| if higher { -value } else { *value });
    let failed = |trial: &&Trial| trial.state == "failed";
    let mut ranked: Vec<(&Trial, f64)> = trials
        .iter()
        .filter(|trial| !failed(trial))
        .filter_map(|trial| Some((trial, value(trial)?)))
        .collect();
    ranked.sort_by(|(a, of_a), (b, of_b)| {
        b.values.len().cmp(&a.values.len()).then(of_a.total_cmp(of_b)).then(a.id.cmp(&b.id))
    });
    let one_rung = ranked.iter().all(|(trial, _)| trial.values.len() == ranked[0].0.values.len());
    let settings = |trial: &Trial| settings_of(trial, default).clone();
    let of = |(place, (trial, value)): (usize, &(&Trial, f64))| Tried {
        settings: settings(trial),
        value: if one_rung { *value } else { place as f64 },
    };
    let mut tried: Vec<Tried> = ranked.iter().enumerate().map(of).collect();
    // A loss that ran away is as bad as the worst, and so is a network that answers too slowly.
    if let Some(worst) = tried.iter().map(|tried| tried.value).reduce(f64::max) {
        let lost = trials.iter().filter(failed);
        tried.extend(lost.map(|trial| Tried { settings: settings(trial), value: worst }));
    }
    tried
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn those_that_were_left_behind_rank_below_those_that_went_on() {
        let trial = |id: usize, state: &str, values: &[f64]| Trial {
            id,
            settings: [("a".to_owned(), json!(id))].into(),
            state: state.to_owned(),
            values: values.to_vec(),
            ..Trial::default()
        };
        let default = [("a".to_owned(), json!(0.5))].into();
        let order = |trials: &[Trial], higher: bool| -> Vec<(Value, f64)> {
            tried(trials, &default, higher)
                .into_iter()
                .map(|tried| (tried.settings["a"].clone(), tried.value))
                .collect()
        };
        let all = [
            trial(DEFAULT, "done", &[9.0, 8.0, 7.0, 6.0]),
            trial(1, "paused", &[5.0]),
            trial(2, "paused", &[9.5, 8.5]),
            trial(3, "failed", &[0.1]),
            trial(4, "running", &[]),
            trial(5, "paused", &[4.0]),
        ];
        assert_eq!(
            order(&all, false),
            [(json!(0.5), 0.0), (json!(2), 1.0), (json!(5), 2.0), (json!(1), 3.0), (json!(3), 3.0)]
        );
        assert_eq!(order(&all[1..], true)[1].0, json!(1), "more is better");
        // At one rung the values themselves tell more.
        let level = [trial(1, "paused", &[5.0]), trial(5, "paused", &[4.0])];
        assert_eq!(order(&level, false), [(json!(5), 4.0), (json!(1), 5.0)]);
        assert!(order(&[], false).is_empty());
    }
}
