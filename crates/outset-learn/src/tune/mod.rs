//! The search for better settings: trials side by side, the objective on val alone, the test part looked at once, by the
//! one that wins.

pub mod database;
pub mod importance;
pub mod pruner;
pub mod sampler;
pub mod settings;
pub mod space;

mod gaussian;
mod parzen;
mod trial;

use crate::checkpoint;
use crate::error::LearnError;
use crate::event::{Event, Observer};
use crate::files;
use crate::prepare::{Prepared, prepare};
use crate::resume;
use crate::run::{Finished, Options, Way, write_record};
use database::{Database, Trial};
use indexmap::IndexMap;
use outset_spec::record::{TrialRecord, TuneRecord};
use outset_spec::{Experiment, Problems};
use pruner::Next;
use sampler::{Search, Tried};
use serde_json::Value;
use settings::Settings;
use space::{Domain, Parameter, assignment};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc;
use std::time::{Duration, Instant};
use trial::Shared;

/// The trial of the settings as they were declared, which is trained to its end whatever the pruner says.
const DEFAULT: usize = 0;

/// File in a study's folder that names the run of its winner.
const CONCLUDED: &str = "concluded.json";

/// A search that is under way.
struct Study<'a> {
    settings: Settings,
    space: Vec<Parameter>,
    declared: Value,
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
}

/// Searches for better settings, and takes the best to a tested bundle.
///
/// `study` is the folder of the search: `<name>.study` beside the runs where it is `None`.
///
/// # Errors
/// Whatever is wrong with declaration, data or disk, or with the loss of every trial.
pub fn tune(
    experiment: &Experiment,
    study: Option<&Path>,
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
    let folder = study
        .map_or_else(|| options.runs.join(format!("{}.study", prepared.experiment.name)), Path::to_owned);
    let failed = |source| LearnError::Write { path: folder.clone(), source };
    std::fs::create_dir_all(folder.join("trials")).map_err(failed)?;
    let mut declared = resume::declared(experiment);
    if let Some(object) = declared.as_object_mut() {
        // Limits and samplers may change from one part of a search to the next.
        object.shift_remove("tune");
        object.insert("rows_sha256".to_owned(), prepared.data.rows_sha256.as_str().into());
    }
    let study = Study { settings, space, declared, folder, prepared: &prepared, experiment };
    if !study.search(options, observe)? {
        return Ok(Tuned::Stopped);
    }
    // Of several processes at one study a single one tests the winner; the others wait for it.
    let _lock = loop {
        match files::lock(&study.folder)? {
            Some(lock) => break lock,
            None => std::thread::sleep(Duration::from_millis(50)),
        }
    };
    if let Some(run) = study.concluded()? {
        return Ok(Tuned::Already(run));
    }
    let finished = study.conclude(options, started, observe)?;
    study.mark(&finished.folder)?;
    Ok(Tuned::Finished(Box::new(finished)))
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
                    return Err(outset_spec::Problem::new(message).into());
                }
                crate::redesign::redesign(prepared, &changed).map(|_| ())
            });
            if let Err(found) = found {
                problems = problems.with(found);
                break;
            }
        }
    }
    Ok(problems.or(())?)
}

impl Study<'_> {
    fn open(&self) -> Result<Database, LearnError> {
        Database::open(&self.folder.join("study.db"), &self.declared, &self.prepared.objective_words())
    }

    fn higher_is_better(&self) -> bool {
        self.prepared.recipe.objective.higher_is_better
    }

    /// Whether a process is at a trial.
    fn is_held(&self, id: usize) -> bool {
        let folder = trial::folder(&self.folder, id);
        folder.is_dir() && matches!(files::lock(&folder), Ok(None))
    }

    /// Runs trials until the budget is spent; `false` where the user stopped it.
    fn search(&self, options: &Options<'_>, observe: Observer<'_>) -> Result<bool, LearnError> {
        let database = self.open()?;
        let threads = rayon::current_num_threads();
        let parallel = self.settings.parallel.unwrap_or(threads).clamp(1, self.settings.trials + 1);
        let known = database.trials()?;
        let spent: f64 = known.iter().map(|trial| trial.seconds).sum();
        observe(Event::Study {
            folder: self.folder.display().to_string(),
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
            let (mut trial, _lock) = match self.claim(&mut database)? {
                Claim::Trial(trial, lock) => (trial, lock),
                Claim::Wait => {
                    std::thread::sleep(Duration::from_millis(20));
                    continue;
                }
                Claim::Nothing => break,
            };
            match &pool {
                Ok(pool) => pool.install(|| shared.advance(&mut trial))?,
                Err(_) => shared.advance(&mut trial)?,
            }
            database.alone(|database| database.put(&trial))?;
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
            let higher = self.higher_is_better();
            let standings: Vec<_> =
                trials.iter().map(|trial| trial.standing(higher, self.is_held(trial.id))).collect();
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
                    number => search.next(number, &tried(&trials, self.space.len(), higher)),
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
            let folder = trial::folder(&self.folder, trial.id);
            std::fs::create_dir_all(&folder)
                .map_err(|source| LearnError::Write { path: folder.clone(), source })?;
            let Some(lock) = files::lock(&folder)? else { return Ok(Claim::Wait) };
            trial.state = "running".to_owned();
            database.put(&trial)?;
            Ok(Claim::Trial(Box::new(trial), lock))
        })
    }

    /// The trial with the best value, those that failed aside.
    fn best<'t>(&self, trials: &'t [Trial]) -> Option<&'t Trial> {
        let objective = &self.prepared.recipe.objective;
        let values = trials
            .iter()
            .filter(|trial| trial.state != "failed")
            .filter_map(|trial| Some((trial, *trial.values.last()?)));
        let better = |a: (&'t Trial, f64), b: (&'t Trial, f64)| {
            if objective.improves(b.1, a.1) { b } else { a }
        };
        values.reduce(better).map(|(trial, _)| trial)
    }

    /// The run that the best of these very trials was taken to, if it was.
    fn concluded(&self) -> Result<Option<PathBuf>, LearnError> {
        let Ok(bytes) = std::fs::read(self.folder.join(CONCLUDED)) else { return Ok(None) };
        let kept: Value = serde_json::from_slice(&bytes).unwrap_or_default();
        let run = self.folder.join(kept["run"].as_str().unwrap_or_default());
        let same = kept["trials"] == self.open()?.trials()?.len();
        Ok((same && run.join("run.json").is_file()).then_some(run))
    }

    fn mark(&self, run: &Path) -> Result<(), LearnError> {
        let kept = serde_json::json!({
            "trials": self.open()?.trials()?.len(),
            "run": files::relative(run, &self.folder),
        });
        files::write(&self.folder.join(CONCLUDED), kept.to_string().as_bytes())
    }

    /// Takes the best trial from its checkpoint to a tested bundle, and records the search.
    fn conclude(
        &self,
        options: &Options<'_>,
        started: Instant,
        observe: Observer<'_>,
    ) -> Result<Finished, LearnError> {
        let trials = self.open()?.trials()?;
        let Some(winner) = self.best(&trials) else {
            let errors = trials.iter().filter_map(|trial| trial.error.clone()).take(3).collect();
            return Err(LearnError::NoTrial { path: self.folder.clone(), errors });
        };
        let record = self.record(&trials, winner);
        observe(Event::Tuned {
            trial: winner.id,
            value: record.best,
            default: record.default,
            trials: trials.len(),
            seconds: record.seconds,
        });
        let best = trial::experiment(self.experiment, winner)?;
        let prepared = prepare(&best, &mut |_| {})?;
        let folder = files::new_run(&options.runs, &prepared.experiment.name)?;
        let Some(_lock) = files::lock(&folder)? else { return Err(LearnError::Busy { folder }) };
        // The file says something else than what won, so it is not asked again when the run is resumed.
        let options = &Options { runs: options.runs.clone(), origin: None, ..*options };
        let mut state = resume::begin(&best, &prepared, options, &folder)?;
        // The winner is trained already: its checkpoint becomes the run's.
        let path = trial::folder(&self.folder, winner.id).join("checkpoints");
        let mut checkpoint = checkpoint::find(&path).newest.map(|(_, checkpoint)| checkpoint);
        if let Some(checkpoint) = &mut checkpoint {
            checkpoint.progress.ended.get_or_insert_with(|| "the search was over".to_owned());
            let files = checkpoint.files.iter().map(|(name, bytes)| (name.as_str(), bytes.clone())).collect();
            let folder = folder.join("checkpoints").join(checkpoint::name(checkpoint.progress.step));
            checkpoint::write(&folder, prepared.recipe.seed, Some(&checkpoint.progress), files)?;
        }
        files::write(&folder.join("best.toml"), self.best_file(&best, &folder).as_bytes())?;
        let way = Way {
            prepared,
            folder,
            checkpoint,
            price_per_second: options.price_per_second,
            interrupt: options.interrupt,
            started,
        };
        let mut finished = way.go(&mut state, observe)?;
        finished.record.tune = Some(record);
        write_record(&finished.folder, &finished.record)?;
        Ok(finished)
    }

    /// The winning experiment as a file that runs again from the run's folder.
    fn best_file(&self, best: &Experiment, folder: &Path) -> String {
        let mut table = crate::run::from_folder(best, folder).to_table();
        table.0.shift_remove("tune");
        table.to_toml()
    }

    fn record(&self, trials: &[Trial], winner: &Trial) -> TuneRecord {
        let higher = self.higher_is_better();
        let value = |trial: &Trial| trial.values.last().copied();
        let mut board: Vec<TrialRecord> = trials
            .iter()
            .map(|trial| TrialRecord {
                id: trial.id,
                settings: trial.settings.clone().into_iter().collect(),
                state: trial.state.clone(),
                value: value(trial),
                interval: trial.interval,
                epochs: trial.epochs,
                seconds: trial.seconds,
                parameters: trial.parameters,
                latency_seconds: trial.latency,
                error: trial.error.clone(),
            })
            .collect();
        let rank = |trial: &TrialRecord| match trial.value.filter(|_| trial.state != "failed") {
            Some(value) => {
                if higher {
                    -value
                } else {
                    value
                }
            }
            None => f64::INFINITY,
        };
        board.sort_by(|a, b| rank(a).total_cmp(&rank(b)).then(a.id.cmp(&b.id)));
        let scale = |parameter: &Parameter| match parameter.domain {
            Domain::Choice(_) => "choice",
            Domain::Real { log: true, .. } | Domain::Whole { log: true, .. } => "log",
            _ => "linear",
        };
        TuneRecord {
            objective: self.prepared.objective_words(),
            higher_is_better: higher,
            winner: winner.id,
            best: value(winner).unwrap_or(f64::NAN),
            default: trials.iter().find(|trial| trial.id == DEFAULT).and_then(value),
            importance: importance::of_keys(&self.space, &tried(trials, self.space.len(), higher)),
            keys: self
                .space
                .iter()
                .map(|parameter| (parameter.key.clone(), scale(parameter).to_owned()))
                .collect::<IndexMap<_, _>>(),
            seconds: trials.iter().map(|trial| trial.seconds).sum(),
            study: self.folder.display().to_string(),
            trials: board,
        }
    }
}

/// A piece of work, or none.
enum Claim {
    Trial(Box<Trial>, files::Lock),
    Wait,
    Nothing,
}

/// The trials with their values at the farthest rung that enough of them have reached, smaller being better.
///
/// Values of different rungs cannot be compared: the one that was trained longer is better for that alone.
fn tried(trials: &[Trial], keys: usize, higher: bool) -> Vec<Tried> {
    let enough = (keys + 2).max(5);
    let reached = |rung: usize| trials.iter().filter(|trial| trial.values.len() > rung).count();
    let rung = (0..pruner::RUNGS).rev().find(|rung| reached(*rung) >= enough).unwrap_or(0);
    let of = |trial: &Trial| {
        let value = *trial.values.get(rung)?;
        let value = if higher { -value } else { value };
        // The default's settings are not written out, so that they are no place in the space.
        (trial.id != DEFAULT).then(|| Tried { settings: trial.settings.clone(), value })
    };
    let mut tried: Vec<Tried> = trials.iter().filter_map(of).collect();
    // A loss that ran away is as bad as the worst.
    if let Some(worst) = tried.iter().map(|tried| tried.value).reduce(f64::max) {
        let lost = trials.iter().filter(|trial| trial.id != DEFAULT && trial.values.is_empty());
        let lost = lost.filter(|trial| trial.state == "failed");
        tried.extend(lost.map(|trial| Tried { settings: trial.settings.clone(), value: worst }));
    }
    tried
}
