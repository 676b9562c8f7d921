//! The search for better settings: trials side by side, the objective on val alone, the test part looked at once, by the
//! one that wins.

pub mod database;
pub mod engine;
pub mod importance;
pub mod pruner;
pub mod sampler;
pub mod settings;
pub mod space;

mod conclude;
mod gaussian;
mod parzen;
mod trial;

use crate::error::LearnError;
use crate::event::{Event, Observer};
use crate::prepare::{Prepared, prepare};
use crate::resume;
use crate::run::{Finished, Options};
use database::{Database, Place, Trial};
use engine::Piece;
use outset_spec::{Experiment, Problem, Problems};
use pruner::Next;
use sampler::{Search, Tried};
use serde_json::Value;
use settings::Settings;
use sha2::{Digest as _, Sha256};
use space::{Domain, Parameter, assignment};
use std::hash::{BuildHasher as _, RandomState};
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc;
use std::time::{Duration, Instant, SystemTime};
use trial::Shared;

/// The trial of the settings as they were declared, which is trained to its end whatever the pruner says.
const DEFAULT: usize = 0;

/// A search that is under way.
struct Study<'a> {
    settings: Settings,
    space: Vec<Parameter>,
    declared: Value,
    /// What the declared experiment has for the keys of the space.
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
    let space = space.unwrap_or_else(|| space::default_space(&prepared.experiment));
    check(experiment, &prepared, &space)?;
    let beside = options.runs.join(format!("{}.study", prepared.experiment.name));
    let place = place.unwrap_or_else(|| Place::Folder(beside.clone()));
    let resolved = prepared.experiment.to_table().to_json();
    let of_default =
        |parameter: &Parameter| Some((parameter.key.clone(), space::at(&resolved, &parameter.key)?.clone()));
    let mut study = Study {
        default: space.iter().filter_map(of_default).collect(),
        settings,
        space,
        declared: declared(experiment, &prepared),
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
    if !study.search(options, observe)? {
        return Ok(Tuned::Stopped);
    }
    // Of several processes at one study a single one tests the winner; the others wait for it.
    while !database.hold(Piece::Conclusion)? {
        if options.interrupt.load(Ordering::Relaxed) {
            return Ok(Tuned::Stopped);
        }
        std::thread::sleep(Duration::from_millis(50));
    }
    study.conclude(&mut database, options, started, observe)
}

/// What must be as it was for a study to go on: what the file says and the rows, but not where these lie, which differs
/// between machines, nor limits and samplers, which may change from one part of a search to the next.
fn declared(experiment: &Experiment, prepared: &Prepared) -> Value {
    let mut declared = resume::declared(experiment);
    if let Some(object) = declared.as_object_mut() {
        object.shift_remove("tune");
        object.insert("rows_sha256".to_owned(), prepared.data.rows_sha256.as_str().into());
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

/// Checks every key at both ends of its range before time is spent.
fn check(experiment: &Experiment, prepared: &Prepared, space: &[Parameter]) -> Result<(), LearnError> {
    let mut problems = Problems::default();
    for parameter in space {
        for value in parameter.extremes() {
            // A key that hangs on others is only sound beside them.
            let mut settings: Vec<String> = parameter
                .when
                .iter()
                .filter_map(|(key, values)| Some(assignment(key, values.first()?)))
                .collect();
            settings.push(assignment(&parameter.key, &value));
            let found = experiment.with(&settings).and_then(|changed| {
                crate::prepare::declared(&changed).or(())?;
                if space::at(&changed.to_table().to_json(), &parameter.key).is_none() {
                    let message = format!("`tune.space` names `{}`, which no experiment has", parameter.key);
                    return Err(Problem::new(message).into());
                }
                crate::redesign::redesign(prepared, &changed).map(|_| ())
            });
            if let Err(found) = found {
                problems = problems.with(found);
                break;
            }
        }
    }
    problems.or(())?;
    match space.iter().find_map(|parameter| unsound_beside(experiment, parameter, space)) {
        Some(problem) => Err(Problems::from(problem).into()),
        None => Ok(()),
    }
}

/// A key of the space that is sound by itself, but not beside one of the words that another key may become: settings of
/// one kind of network beside another kind.
fn unsound_beside(experiment: &Experiment, parameter: &Parameter, space: &[Parameter]) -> Option<Problem> {
    let value = parameter.extremes().into_iter().next()?;
    for other in space.iter().filter(|other| other.key != parameter.key) {
        let Domain::Choice(words) = &other.domain else { continue };
        for word in words.iter().filter(|word| word.is_string()) {
            let Some(mut both) = conditions(&[other, parameter], &other.key, word) else { continue };
            both.push(assignment(&parameter.key, &value));
            let sound = experiment.with(&both).is_ok_and(|changed| {
                crate::prepare::declared(&changed).or(()).is_ok()
                    && space::at(&changed.to_table().to_json(), &parameter.key).is_some()
            });
            if !sound {
                let message = format!(
                    "`tune.space` names `{}`, which does not go with `{}` = {word}",
                    parameter.key, other.key
                );
                let hint =
                    format!("`when = {{ \"{}\" = … }}` names the choices that it counts beside", other.key);
                return Some(Problem::new(message).hint(hint));
            }
        }
    }
    None
}

/// Settings beside which all the parameters count and `key` is `word`; `None` where they never do.
fn conditions(parameters: &[&Parameter], key: &str, word: &Value) -> Option<Vec<String>> {
    let mut settings = space::Settings::from([(key.to_owned(), word.clone())]);
    for (key, values) in parameters.iter().flat_map(|parameter| &parameter.when) {
        match settings.get(key) {
            Some(value) if values.contains(value) => {}
            Some(_) => return None,
            None => _ = settings.insert(key.clone(), values.first()?.clone()),
        }
    }
    Some(settings.iter().map(|(key, value)| assignment(key, value)).collect())
}

impl Study<'_> {
    fn open(&self) -> Result<Database, LearnError> {
        Database::open(&self.place, &self.name, &self.declared, &self.prepared.objective_words())
    }

    fn higher_is_better(&self) -> bool {
        self.prepared.recipe.objective.higher_is_better
    }

    /// Runs trials until the budget is spent; `false` where the user stopped it.
    fn search(&self, options: &Options<'_>, observe: Observer<'_>) -> Result<bool, LearnError> {
        let mut database = self.open()?;
        let threads = rayon::current_num_threads();
        let parallel = self.settings.parallel.unwrap_or(threads).clamp(1, self.settings.trials + 1);
        let known = database.trials()?;
        let spent: f64 = known.iter().map(|trial| trial.seconds).sum();
        observe(Event::Study {
            folder: self.place.to_string(),
            keys: self.space.iter().map(|parameter| parameter.key.clone()).collect(),
            trials: self.settings.trials,
            done: known.len(),
            parallel,
            words: format!("{}, {}", self.settings.sampler.word(), self.settings.pruner.word()),
        });
        let stop = AtomicBool::new(false);
        let (sender, receiver) = mpsc::channel::<Event>();
        // What the trials before took was shared by as many as run side by side now.
        let before = spent / parallel as f64;
        let by_cost = self.settings.cost_limit.map(|cost| cost / options.price_per_second.max(1e-300));
        let limit = [self.settings.time_limit.map(|limit| limit.0.as_secs_f64()), by_cost]
            .into_iter()
            .flatten()
            .reduce(f64::min);
        let clock = Instant::now();
        std::thread::scope(|scope| {
            let workers: Vec<_> = (0..parallel)
                .map(|_| {
                    let (sender, stop) = (sender.clone(), &stop);
                    scope.spawn(move || {
                        let result = self.worker(threads.div_ceil(parallel), stop, &sender);
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
                let over = limit.is_some_and(|limit| before + clock.elapsed().as_secs_f64() >= limit);
                if over || options.interrupt.load(Ordering::Relaxed) {
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
        stop: &AtomicBool,
        events: &mpsc::Sender<Event>,
    ) -> Result<(), LearnError> {
        let mut database = self.open()?;
        let shared = Shared {
            experiment: self.experiment,
            prepared: self.prepared,
            folder: &self.folder,
            max_latency: self.settings.max_latency.map(|limit| limit.0.as_secs_f64()),
            stop,
        };
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build();
        while !stop.load(Ordering::Relaxed) {
            let mut trial = match self.claim(&mut database)? {
                Claim::Trial(trial) => trial,
                Claim::Wait => {
                    std::thread::sleep(Duration::from_millis(20));
                    continue;
                }
                Claim::Nothing => break,
            };
            let folder = trial::folder(&self.folder, trial.id);
            std::fs::create_dir_all(&folder)
                .map_err(|source| LearnError::Write { path: folder.clone(), source })?;
            database.fetch(trial.id, &folder)?;
            match &pool {
                Ok(pool) => pool.install(|| shared.advance(&mut trial))?,
                Err(_) => shared.advance(&mut trial)?,
            }
            database.keep(trial.id, &folder)?;
            database.alone(|database| database.put(&trial))?;
            database.release(Piece::Trial(trial.id))?;
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
        Ok(())
    }

    /// Takes the next piece of work, alone among all workers and processes.
    fn claim(&self, database: &mut Database) -> Result<Claim, LearnError> {
        database.alone(|database| {
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
                    declared: &self.declared,
                    seed: settings.seed,
                    trials: settings.trials,
                };
                new = match next_id {
                    DEFAULT => Some(space::Settings::new()),
                    number => search.next(number, &tried(&trials, &self.default, higher)),
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
            if !database.hold(Piece::Trial(trial.id))? {
                return Ok(Claim::Wait);
            }
            if trial.state.is_empty() {
                // Nothing that lies there is of this study.
                let _ = std::fs::remove_dir_all(trial::folder(&self.folder, trial.id).join("checkpoints"));
            }
            trial.state = "running".to_owned();
            database.put(&trial)?;
            Ok(Claim::Trial(Box::new(trial)))
        })
    }
}

/// A piece of work, or none.
enum Claim {
    Trial(Box<Trial>),
    Wait,
    Nothing,
}

/// The trials with a value for each, smaller being better; `default` are the settings of the declared experiment.
///
/// Values of different rungs cannot be compared: the one that was trained longer is better for that alone. Where trials stand
/// at different rungs, each has its place in the order instead: those that were taken farther before those that were left
/// behind, as they were the better ones there, and by value at one rung.
fn tried(trials: &[Trial], default: &space::Settings, higher: bool) -> Vec<Tried> {
    let value = |trial: &Trial| trial.values.last().map(|value| if higher { -value } else { *value });
    let mut ranked: Vec<(&Trial, f64)> =
        trials.iter().filter_map(|trial| Some((trial, value(trial)?))).collect();
    ranked.sort_by(|(a, of_a), (b, of_b)| {
        b.values.len().cmp(&a.values.len()).then(of_a.total_cmp(of_b)).then(a.id.cmp(&b.id))
    });
    let one_rung = ranked.iter().all(|(trial, _)| trial.values.len() == ranked[0].0.values.len());
    let settings = |trial: &Trial| if trial.id == DEFAULT { default.clone() } else { trial.settings.clone() };
    let of = |(place, (trial, value)): (usize, &(&Trial, f64))| Tried {
        settings: settings(trial),
        value: if one_rung { *value } else { place as f64 },
    };
    let mut tried: Vec<Tried> = ranked.iter().enumerate().map(of).collect();
    // A loss that ran away is as bad as the worst.
    if let Some(worst) = tried.iter().map(|tried| tried.value).reduce(f64::max) {
        let lost = trials.iter().filter(|trial| trial.values.is_empty() && trial.state == "failed");
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
            trial(3, "failed", &[]),
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
