//! The way of an experiment: read, split, preprocess, train, evaluate, test once, bundle.
//!
//! [`run`] is the place to begin reading this crate.

use crate::baseline::Baselines;
use crate::bundle;
use crate::checkpoint::Checkpoint;
use crate::device;
use crate::error::LearnError;
use crate::evaluate::Answers;
use crate::event::{Event, Observer};
use crate::keeper::Keeper;
use crate::network::Network;
use crate::predict::Predictor;
use crate::prepare::{Prepared, prepare};
use crate::train::{Examples, Progress, Trained, Training};
use crate::{details, excerpts, files, gallery, importance, machine, metrics, resume, thresholds, verdict};
use indexmap::IndexMap;
use outset_spec::Experiment;
use outset_spec::record::{self, Metrics, ModelRecord, RunRecord, TrainingRecord};
use outset_spec::state::{Origin, RunState};
use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicBool;
use std::time::Instant;

/// How a run is to go, beyond the experiment.
pub struct Options<'a> {
    /// Folder in which the run's folder is made.
    pub runs: PathBuf,
    /// Whether to stop after training and evaluation on val, leaving the test part alone.
    pub without_test: bool,
    /// The file that the experiment was read from, as seen from the current folder, and the settings that go with it.
    pub origin: Option<Origin>,
    /// What a second on this machine costs, for `train.cost_limit`.
    pub price_per_second: f64,
    /// Set from outside to end training early with the best state so far.
    pub interrupt: &'a AtomicBool,
}

impl<'a> Options<'a> {
    /// A run to the very end, from no file, at no price.
    pub fn new(runs: PathBuf, interrupt: &'a AtomicBool) -> Self {
        Self { runs, without_test: false, origin: None, price_per_second: 0.0, interrupt }
    }
}

/// A run that has come to its end.
pub struct Finished {
    pub folder: PathBuf,
    pub record: RunRecord,
}

/// Runs an experiment from its data to a tested bundle.
///
/// # Errors
/// Whatever is wrong with declaration, data or disk; a run that fails leaves no `run.json`.
pub fn run(
    experiment: &Experiment,
    options: &Options<'_>,
    observe: Observer<'_>,
) -> Result<Finished, LearnError> {
    let started = machine::started();
    let prepared = prepare(experiment, observe)?;
    prepared.design.check_memory(&prepared.preprocessor)?;
    let folder = files::new_run(&options.runs, &prepared.experiment.name)?;
    let Some(_lock) = files::lock(&folder)? else { return Err(LearnError::Busy { folder }) };
    let mut state = resume::begin(experiment, &prepared, options, &folder)?;
    let way = Way {
        prepared,
        folder,
        checkpoint: None,
        price_per_second: options.price_per_second,
        interrupt: options.interrupt,
        started,
    };
    way.go(&mut state, observe)
}

/// A run under way: what it works with, and where it stands.
pub(crate) struct Way<'a> {
    pub prepared: Prepared,
    pub folder: PathBuf,
    /// Where training goes on from.
    pub checkpoint: Option<Checkpoint>,
    pub price_per_second: f64,
    pub interrupt: &'a AtomicBool,
    pub started: Instant,
}

impl Way<'_> {
    /// Goes the whole way and writes into the run's state how it ended.
    pub(crate) fn go(&self, state: &mut RunState, observe: Observer<'_>) -> Result<Finished, LearnError> {
        let result = self.stages(state, observe);
        (state.state, state.error) = match &result {
            Ok(finished) => (finished.record.state.clone(), None),
            Err(error) => ("failed".to_owned(), Some(error.to_string())),
        };
        let written = resume::write_state(&self.folder, state);
        let finished = result?;
        written?;
        Ok(finished)
    }

    fn stages(&self, state: &mut RunState, observe: Observer<'_>) -> Result<Finished, LearnError> {
        // What came before the training of a search's best trial is the search, that training included.
        let (before, seconds) = match &state.tune {
            Some(tune) => ("tune", tune.search_seconds),
            None => ("prepare", self.started.elapsed().as_secs_f64()),
        };
        let mut timings = IndexMap::from([(before.to_owned(), seconds)]);
        let examples = self.prepared.examples();
        let trained = teach(self, &examples, observe)?;
        timings.insert("train".to_owned(), trained.seconds);
        let mut record = self.conclude(trained, &examples, state, observe)?;
        timings.append(&mut record.timings);
        // What was spent before an interruption counts too.
        let carried = match &state.tune {
            Some(tune) => tune.search_seconds,
            None => self.checkpoint.as_ref().map_or(0.0, |checkpoint| checkpoint.progress.seconds),
        };
        timings.insert("total".to_owned(), carried + self.started.elapsed().as_secs_f64());
        record.timings = timings;
        record.tune = state.tune.clone();
        record.peak_memory_bytes = machine::peak_memory_bytes();
        write_record(&self.folder, &record)?;
        Ok(Finished { folder: self.folder.clone(), record })
    }

    /// Everything after training: evaluation on val, importance, baselines, the look at the test part, the bundle.
    pub(crate) fn conclude(
        &self,
        mut trained: Trained,
        examples: &Examples<'_>,
        state: &mut RunState,
        observe: Observer<'_>,
    ) -> Result<RunRecord, LearnError> {
        let (prepared, folder) = (&self.prepared, &self.folder);
        let device = device::chosen();
        let clock = Instant::now();
        machine::release_memory();
        let loss_weights = prepared.design.weights();
        let on = |rows: &[u32]| Answers::of(&trained.network, examples, rows, &loss_weights, &device);
        let mut record = new_record(prepared, &trained);
        record.test_looks = state.test_looks;
        let rows_are_large = prepared.design.wishes(prepared.train.len()).rows_at_once.is_some();
        let answers_train = on(&evenly(&prepared.train, if rows_are_large { 4_000 } else { 20_000 }));
        let answers_val = on(&prepared.val);
        record.metrics.insert("train".to_owned(), with_loss(&answers_train, prepared));
        record.metrics.insert("val".to_owned(), with_loss(&answers_val, prepared));
        observe(Event::Evaluate { metrics: record.metrics["val"].clone() });
        let thresholds = thresholds::choose(prepared, &answers_val);
        for (name, threshold) in &thresholds {
            observe(Event::Threshold {
                output: name.clone(),
                value: threshold.value,
                chosen_by: threshold.chosen_by.clone(),
            });
        }
        let (objective, seed) = (&prepared.recipe.objective, prepared.recipe.seed);
        let shuffled = importance::importance(&trained.network, examples, objective, seed, &device);
        for (name, value) in prepared.preprocessor.inputs.keys().zip(shuffled) {
            if let Some(column) = record.data.columns.iter_mut().find(|column| column.name == *name) {
                column.importance = Some(value);
            }
        }
        let baselines = Baselines::fit(prepared);
        for text in baselines.notes(prepared, &trained.network) {
            observe(Event::Note { text });
        }
        baselines.measure(prepared, "val", &prepared.val, &mut record);
        trained.network.recount(examples, &device);
        // A run that was stopped may go on, and its best state may be another one then: the one look is kept for that.
        if !state.without_test && !trained.interrupted {
            // Counted before the look, so that no look is forgotten if the program dies during it.
            state.test_looks += 1;
            resume::write_state(folder, state)?;
            test(
                prepared,
                &trained.network,
                examples,
                &baselines,
                &thresholds,
                folder,
                &mut record,
                observe,
            )?;
        }
        record.timings.insert("evaluate".to_owned(), clock.elapsed().as_secs_f64());

        let clock = Instant::now();
        let probes = bundle::write(folder, prepared, trained, &record, &thresholds)?;
        observe(Event::Bundle { path: folder.join("bundle").display().to_string(), probes });
        record.timings.insert("bundle".to_owned(), clock.elapsed().as_secs_f64());
        // The report is drawn by other threads.
        machine::release_memory();
        Ok(record)
    }
}

/// Builds the network and trains it, from its first weights or from a checkpoint.
fn teach(way: &Way<'_>, examples: &Examples<'_>, observe: Observer<'_>) -> Result<Trained, LearnError> {
    let Way { prepared, folder, checkpoint, .. } = way;
    let device = device::chosen().autodiff();
    let recipe = &prepared.recipe;
    let network = prepared.design.build(&prepared.preprocessor, recipe.seed, &device);
    observe(Event::Model {
        kind: prepared.experiment.model.kind.clone(),
        parameters: network.parts().iter().map(|(_, _, count)| count).sum(),
        members: network.members(),
        device: device::name().to_owned(),
        words: prepared.design.words(&network),
    });
    observe(Event::Train {
        epochs: recipe.epochs,
        steps_per_epoch: prepared.train.len().div_ceil(recipe.batch_size),
        batch_size: recipe.batch_size,
        words: recipe.words(),
    });
    let mut training = Training::new(&prepared.design, network, recipe, examples, &device);
    training.price_per_second = way.price_per_second;
    let mut so_far = &[][..];
    if let Some(checkpoint) = checkpoint {
        training
            .restore(checkpoint)
            .map_err(|source| bundle::BundleError::Weights { path: folder.join("checkpoints"), source })?;
        so_far = checkpoint.files.get("metrics.jsonl").map_or(&[][..], Vec::as_slice);
        let Progress { step, epoch, .. } = *training.progress();
        observe(Event::Resume { run: folder.display().to_string(), step, epoch });
    }
    let step = training.progress().step;
    let mut keeper = Keeper::new(folder, &recipe.checkpoint, recipe.seed, so_far, step)?;
    let pause = training.advance(None, Some(&mut keeper), way.interrupt, observe)?;
    let trained = training.finish(pause);
    let objective = prepared.objective_words();
    observe(Event::Best {
        epoch: trained.best_epoch,
        objective,
        value: trained.best,
        ended: trained.ended.clone(),
    });
    Ok(trained)
}

/// Looks at the test part, counts the look, and records metrics, intervals, details, baselines and the verdict.
#[allow(clippy::too_many_arguments)]
fn test(
    prepared: &Prepared,
    network: &Network,
    examples: &Examples<'_>,
    baselines: &Baselines,
    thresholds: &IndexMap<String, thresholds::Chosen>,
    folder: &Path,
    record: &mut RunRecord,
    observe: Observer<'_>,
) -> Result<(), LearnError> {
    record.test_looks += 1;
    let answers =
        Answers::of(network, examples, &prepared.test, &prepared.design.weights(), &device::chosen());
    let metrics = with_loss(&answers, prepared);
    let mut intervals = IndexMap::new();
    for (index, truth) in prepared.truths.iter().enumerate() {
        let values = truth.intervals(&answers.rows, &answers.outputs[index], prepared.weights.as_deref());
        intervals.insert(truth.name.clone(), values);
        record
            .details
            .insert(truth.name.clone(), details::details(prepared, network, index, &answers, thresholds));
    }
    observe(Event::Test { metrics: metrics.clone(), intervals: intervals.clone() });
    record.metrics.insert("test".to_owned(), metrics);
    record.intervals.insert("test".to_owned(), intervals);
    baselines.measure(prepared, "test", &prepared.test, record);
    for (name, parts) in &record.baselines {
        observe(Event::Baseline { name: name.clone(), metrics: parts["test"].clone() });
    }
    record.verdict = verdict::verdict(record, &prepared.truths);
    observe(Event::Verdict { sentences: record.verdict.clone() });
    files::write(&folder.join("predictions.csv"), &details::predictions_csv(prepared, &answers))?;
    excerpts::write(prepared, network, &answers, folder)?;
    gallery::write(prepared, network, &answers, folder)
}

/// Looks at the test part of a run once more, with the network from its bundle.
///
/// # Errors
/// If the run or its bundle cannot be read, or the data is no longer what the run was made with.
pub fn test_again(folder: &Path, observe: Observer<'_>) -> Result<RunRecord, LearnError> {
    let mut record = read_record(folder)?;
    let path = folder.join("experiment.toml");
    let text = String::from_utf8_lossy(&files::read(&path)?).into_owned();
    let experiment = Experiment::parse(&path.display().to_string(), &text, folder, &[])?;
    let predictor = Predictor::load(folder)?;
    let prepared = prepare(&experiment, observe)?;
    if !prepared.data.is_same(&record.data) {
        let differences = resume::data_differences(&record.data, &prepared.data);
        return Err(LearnError::DataChanged { run: folder.to_owned(), differences });
    }
    let examples = prepared.examples();
    let baselines = Baselines::fit(&prepared);
    let thresholds = predictor.thresholds();
    if let Ok(mut state) = resume::read_state(folder) {
        // A run that goes on after this counts it too.
        state.test_looks += 1;
        resume::write_state(folder, &state)?;
    }
    test(&prepared, predictor.network(), &examples, &baselines, &thresholds, folder, &mut record, observe)?;
    write_record(folder, &record)?;
    Ok(record)
}

/// Metrics of every output, with the network's loss in front where there is one output.
fn with_loss(answers: &Answers, prepared: &Prepared) -> Metrics {
    let mut metrics = Metrics::new();
    for (index, truth) in prepared.truths.iter().enumerate() {
        let mut values = IndexMap::new();
        // Of no rows there is none.
        if prepared.truths.len() == 1 && answers.loss.is_finite() {
            values.insert("loss".to_owned(), answers.loss);
        }
        values.extend(answers.metrics(index, truth, prepared.weights.as_deref()));
        metrics.insert(truth.name.clone(), values);
    }
    metrics
}

fn new_record(prepared: &Prepared, trained: &Trained) -> RunRecord {
    let layers = trained.network.parts();
    RunRecord {
        format: record::FORMAT,
        version: env!("CARGO_PKG_VERSION").to_owned(),
        name: prepared.experiment.name.clone(),
        state: if trained.interrupted { "interrupted" } else { "finished" }.to_owned(),
        seed: prepared.recipe.seed,
        environment: machine::environment(),
        data: prepared.data.clone(),
        model: ModelRecord {
            kind: prepared.experiment.model.kind.clone(),
            parameters: layers.iter().map(|(_, _, count)| count).sum(),
            layers,
            precision: match prepared.recipe.precision {
                outset_ops::Precision::F32 | outset_ops::Precision::Split => "float32",
                outset_ops::Precision::Bf16 => "float32, trained with products in bf16",
            }
            .to_owned(),
        },
        training: TrainingRecord {
            epochs: trained.epochs,
            steps: trained.steps,
            best_epoch: trained.best_epoch,
            objective: prepared.objective_words(),
            best: trained.best,
            ended: trained.ended.clone(),
            rows_per_second: trained.rows_per_second,
        },
        metric_help: metrics::ALL
            .iter()
            .map(|metric| {
                let help = record::MetricHelp {
                    meaning: metric.about.trim_end_matches('.').to_owned(),
                    higher_is_better: Some(metric.higher_is_better),
                };
                (metric.name.to_owned(), help)
            })
            .collect(),
        ..RunRecord::default()
    }
}

/// At most `count` of the rows, evenly spaced.
pub fn evenly(rows: &[u32], count: usize) -> Vec<u32> {
    let count = count.min(rows.len());
    (0..count).map(|index| rows[index * rows.len() / count]).collect()
}

/// The experiment with its files named as seen from the run's folder, so that it runs again from there.
pub(crate) fn from_folder(experiment: &Experiment, folder: &Path) -> Experiment {
    let mut moved = experiment.clone();
    let data = &mut moved.data;
    for list in [&mut data.source, &mut data.train, &mut data.val, &mut data.test] {
        for file in list.0.iter_mut().filter(|file| *file != "-") {
            *file = files::relative(&experiment.folder.join(&*file), folder);
        }
    }
    for section in moved.inputs.iter_mut().flat_map(IndexMap::values_mut).filter(|s| s.kind == "text") {
        for key in ["tokenizer", "vectors"] {
            let name = section.parameters.get(key).and_then(|node| node.value.as_str().map(str::to_owned));
            // A tokenizer that is no file is a word without an ending.
            if let Some(name) = name.filter(|name| key == "vectors" || name.ends_with(".json")) {
                let moved = files::relative(&experiment.folder.join(name), folder);
                section.parameters.put(key, moved.as_str());
            }
        }
    }
    moved
}

pub(crate) fn split_csv(prepared: &Prepared) -> Vec<u8> {
    let mut text = String::from("row,part\n");
    for (row, part) in prepared.parts.iter().enumerate() {
        text.push_str(&format!("{},{}\n", row + 1, part.map_or("", outset_data::Part::word)));
    }
    text.into_bytes()
}

/// Writes `run.json`, which makes the folder a finished run.
///
/// # Errors
/// If it cannot be written.
pub fn write_record(folder: &Path, record: &RunRecord) -> Result<(), LearnError> {
    files::write(&folder.join("run.json"), &files::pretty(record))
}

/// Reads the record of a run.
///
/// # Errors
/// If the folder holds none.
pub fn read_record(folder: &Path) -> Result<RunRecord, LearnError> {
    let path = folder.join("run.json");
    if !path.is_file() {
        return Err(LearnError::NotARun { folder: folder.to_owned() });
    }
    let bytes = files::read(&path)?;
    serde_json::from_slice(&bytes).map_err(|source| LearnError::Record { path, source })
}
