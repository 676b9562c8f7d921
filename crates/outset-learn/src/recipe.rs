//! The training recipe: every choice that the file leaves open.

use crate::combiner;
use crate::device;
use crate::encoders::Wishes;
use crate::evaluate::{Truth, TruthValues};
use crate::metrics;
use crate::network::Design;
use crate::optimizers::Optimizer;
use crate::schedules::Schedule;
use crate::size::Size;
use indexmap::IndexMap;
use outset_data::types::ColumnSettings;
use outset_spec::problem::quote_list;
use outset_spec::{EarlyStopping, Precision, Problem, Problems, Section, Train};
use std::time::Duration;

/// How to train, every choice made.
#[derive(Clone, Debug, PartialEq)]
pub struct Recipe {
    pub epochs: usize,
    pub steps: Option<usize>,
    pub time_limit: Option<Duration>,
    /// In the currency of the prices of this machine.
    pub cost_limit: Option<f64>,
    pub seed: u64,
    pub batch_size: usize,
    pub micro_batch_size: usize,
    /// Of the products of training; what is tested and served is always in single precision.
    pub precision: outset_ops::Precision,
    /// Whether activations within blocks are computed again in the backward pass.
    pub recompute: bool,
    pub optimizer: Optimizer,
    pub schedule: Schedule,
    /// 0 for no limit.
    pub clip_norm: f64,
    /// 0 for none.
    pub ema: f64,
    /// Epochs without improvement before training stops.
    pub patience: Option<usize>,
    pub objective: Objective,
    pub keep_best: bool,
    /// When the state of training is saved.
    pub checkpoint: outset_spec::Checkpoint,
    /// Epochs between two lines of output.
    pub log_every: usize,
}

/// The metric of val that picks the best state.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Objective {
    /// The output, or `None` for the network's loss.
    pub output: Option<usize>,
    /// `loss` or a metric of the output.
    pub metric: String,
    pub higher_is_better: bool,
}

impl Objective {
    /// Tells whether `value` is better than `best`.
    pub fn improves(&self, value: f64, best: f64) -> bool {
        if self.higher_is_better { value > best } else { value < best }
    }
}

/// Rows that go through the network at a time where the file says nothing: more would only take more memory.
const PASS: usize = 1024;

/// Epochs where the file says nothing: by the rows that all epochs together go through.
///
/// Two classes are learned in fewer passes than quantities, and overfitted sooner; many classes of few rows go on getting
/// better for long, and where they don't, training stops early (`docs/benchmarks.md` has the figures).
fn default_epochs(rows: usize, truths: &[Truth]) -> usize {
    let (rows_to_see, most) = if truths.iter().any(Truth::is_number) {
        (600_000, 60)
    } else if truths.iter().any(|truth| truth.classes.len() <= 2) {
        (250_000, 16)
    } else {
        (250_000, 100)
    };
    (rows_to_see / rows.max(1)).clamp(2, most)
}

/// Checks all that can be checked without the data.
pub fn check(train: &Train, problems: &mut Problems) {
    if train.precision == Precision::Bf16 && !device::has_bf16() {
        let lacks = match outset_ops::isa::level() {
            level if device::is_cpu() => format!("the instruction set `{level}` of this machine lacks"),
            _ => format!("is not there yet on the device `{}`", device::name()),
        };
        let message = format!("`train.precision` is `bf16`, which {lacks}");
        problems.push(Problem::new(message).hint("`auto` takes what the machine has"));
    }
    Optimizer::read(&optimizer_section(train, false, &Wishes::default()), problems);
    Schedule::read(&schedule_section(train, &Wishes::default()), problems);
}

/// Fills in what the file leaves open, by the model and the number of rows to train on.
pub fn resolve(
    train: &Train,
    design: &Design,
    truths: &[Truth],
    rows: usize,
    problems: &mut Problems,
) -> Recipe {
    let linear = matches!(design.combiner, combiner::Settings::Linear(_));
    let size = match &design.combiner {
        combiner::Settings::Mlp(settings) => settings.size,
        combiner::Settings::Linear(_) => Size::Small,
    };
    let wishes = design.wishes(rows);
    let optimizer = Optimizer::read(&optimizer_section(train, linear, &wishes), problems);
    let schedule = Schedule::read(&schedule_section(train, &wishes), problems);
    let batch_size = match train.batch_size {
        _ if optimizer.full_batch() => rows,
        size => size.or(wishes.batch_size).unwrap_or_else(|| default_batch_size(rows)).min(rows.max(1)),
    };
    let epochs = train.epochs.unwrap_or(if train.steps.is_some() {
        usize::MAX
    } else {
        size.epochs(wishes.epochs.unwrap_or_else(|| default_epochs(rows, truths)))
    });
    let epochs = match train.steps {
        Some(steps) => epochs.min(steps.div_ceil(rows.div_ceil(batch_size.max(1)).max(1))),
        None => epochs,
    };
    Recipe {
        epochs,
        steps: train.steps,
        time_limit: train.time_limit.map(|limit| limit.0),
        cost_limit: train.cost_limit,
        seed: train.seed,
        batch_size,
        micro_batch_size: train.micro_batch_size.or(wishes.rows_at_once).unwrap_or(PASS).min(batch_size),
        precision: match train.precision {
            Precision::Bf16 => outset_ops::Precision::Bf16,
            Precision::Auto if wishes.rounded && device::has_bf16() => outset_ops::Precision::Bf16,
            Precision::Auto | Precision::F32 => outset_ops::Precision::Split,
        },
        recompute: train.recompute,
        optimizer,
        schedule,
        clip_norm: train.clip_norm.or(wishes.clip_norm).unwrap_or(if linear { 0.0 } else { 1.0 }),
        ema: train.ema.or(wishes.ema).unwrap_or(if linear { 0.0 } else { 0.99 }),
        patience: match train.early_stopping.patience {
            None => None,
            Some(0) => Some((epochs / 3).max(8)),
            Some(patience) => Some(patience),
        },
        objective: objective(train, truths, wishes.label_smoothing.is_some(), problems),
        keep_best: train.keep_best,
        checkpoint: train.checkpoint.clone(),
        log_every: if epochs <= 30 { 1 } else { 10 },
    }
}

/// The `[train]` table with every default filled in.
pub fn fill_in(
    train: &Train,
    recipe: &Recipe,
    _: &Design,
    outputs: &IndexMap<String, ColumnSettings>,
) -> Train {
    let objective = match recipe.objective.output.and_then(|output| outputs.get_index(output)) {
        Some((name, _)) if outputs.len() > 1 => format!("{name}/{}", recipe.objective.metric),
        _ => recipe.objective.metric.clone(),
    };
    Train {
        epochs: Some(recipe.epochs),
        batch_size: Some(recipe.batch_size),
        micro_batch_size: Some(recipe.micro_batch_size),
        precision: match recipe.precision {
            outset_ops::Precision::F32 | outset_ops::Precision::Split => Precision::F32,
            outset_ops::Precision::Bf16 => Precision::Bf16,
        },
        optimizer: recipe.optimizer.to_section(),
        schedule: recipe.schedule.to_section(),
        clip_norm: Some(recipe.clip_norm),
        ema: Some(recipe.ema),
        early_stopping: EarlyStopping { patience: recipe.patience },
        objective: Some(objective),
        ..train.clone()
    }
}

/// 256 rows, fewer where that would leave few steps in an epoch, more where rows abound.
fn default_batch_size(rows: usize) -> usize {
    match rows {
        0..2_000 => 32,
        2_000..6_000 => 64,
        6_000..15_000 => 128,
        15_000..200_000 => 256,
        200_000..2_000_000 => 1024,
        _ => 4096,
    }
}

fn optimizer_section(train: &Train, linear: bool, wishes: &Wishes) -> Section {
    let mut section = train.optimizer.clone();
    if section.kind.is_empty() {
        section.kind = wishes.optimizer.unwrap_or("adamw").to_owned();
        let mut put = |key: &str, wish: Option<f64>, default: f64| {
            if section.parameters.get(key).is_none() {
                section.parameters.put(key, wish.unwrap_or(default));
            }
        };
        put("learning_rate", wishes.learning_rate, if linear { 1e-2 } else { 2e-3 });
        put("weight_decay", wishes.weight_decay, if linear { 0.0 } else { 1e-2 });
    }
    section
}

fn schedule_section(train: &Train, wishes: &Wishes) -> Section {
    let mut section = train.schedule.clone();
    if section.kind.is_empty() {
        section.kind = wishes.schedule.unwrap_or("cosine").to_owned();
        if section.parameters.get("warmup").is_none() && section.parameters.get("warmup_steps").is_none() {
            section.parameters.put("warmup", wishes.warmup.unwrap_or(0.05));
        }
    }
    section
}

/// The metric of val that picks the best state: RMSE of a number, log loss of a category or set, entity F1
/// of tags; the loss of several.
fn objective(train: &Train, truths: &[Truth], smoothed: bool, problems: &mut Problems) -> Objective {
    let loss = Objective { output: None, metric: "loss".to_owned(), higher_is_better: false };
    let Some(name) = train.objective.as_deref() else {
        return match truths {
            // Smoothed targets keep probabilities from 1, which log loss takes for a fault.
            [truth] if smoothed && matches!(truth.values, TruthValues::Category(_)) => loss,
            [truth] => {
                let metric = match &truth.values {
                    TruthValues::Number(_) => "rmse",
                    TruthValues::Tags { output, .. } if output.is_plain() => "token_accuracy",
                    TruthValues::Tags { .. } => "entity_f1",
                    _ => "log_loss",
                };
                let higher_is_better = metrics::higher_is_better(metric).unwrap_or(false);
                Objective { output: Some(0), metric: metric.to_owned(), higher_is_better }
            }
            _ => loss,
        };
    };
    if name == "loss" {
        return loss;
    }
    let (output, metric) = match name.split_once(['/', '.']) {
        Some((output, metric)) => (truths.iter().position(|truth| truth.name == output), metric),
        None => ((truths.len() == 1).then_some(0), name),
    };
    let known = output.map(|output| available(&truths[output])).unwrap_or_default();
    if known.contains(&metric) {
        return Objective {
            output,
            metric: metric.to_owned(),
            higher_is_better: metrics::higher_is_better(metric).unwrap_or(false),
        };
    }
    let names: Vec<&str> = truths.iter().map(|truth| truth.name.as_str()).collect();
    let problem = Problem::new(format!("`train.objective` is `{name}`, which is not a metric of the output"));
    problems.push(match (output, truths.len()) {
        (Some(_), _) => problem.hint(format!("its metrics are `loss`, {}", quote_list(&known))),
        (None, 1) => problem.hint(format!("the output is {}", quote_list(&names))),
        _ => problem.hint(format!(
            "with several outputs, write `loss` or `<output>/<metric>`; the outputs are {}",
            quote_list(&names)
        )),
    });
    loss
}

/// Names of the metrics of an output.
fn available(truth: &Truth) -> Vec<&'static str> {
    truth.score(&[], &[], None).names().to_vec()
}

impl Recipe {
    /// The recipe in a line.
    pub fn words(&self) -> String {
        let mut words =
            format!("{}, learning rate {}", self.optimizer.kind(), self.optimizer.learning_rate());
        if self.precision == outset_ops::Precision::Bf16 {
            words.push_str(", products in bf16");
        }
        if let Some(limit) = self.time_limit {
            words.push_str(&format!(", at most {} s", limit.as_secs_f64()));
        }
        if let Some(limit) = self.cost_limit {
            words.push_str(&format!(", at a cost of at most {limit}"));
        }
        if let Some(patience) = self.patience {
            words.push_str(&format!(", stops early after {patience} epochs without improvement"));
        }
        words
    }
}
