//! The training loop: forward, loss, backpropagation, update; evaluation on val after each epoch; the best state kept.

use crate::evaluate::{Answers, Truth};
use crate::event::{Event, Observer};
use crate::network::{Design, Network};
use crate::optimizers::Optimizer;
use crate::order::{mix, shuffled};
use crate::schedules::Schedule;
use crate::update::{GradientSum, MovingAverage, State, update};
use burn::module::Module as _;
use burn::tensor::Device;
use indexmap::IndexMap;
use outset_data::{Features, Targets};
use outset_spec::record::MetricLine;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// How to train, every choice made.
#[derive(Clone, Debug, PartialEq)]
pub struct Recipe {
    pub epochs: usize,
    pub steps: Option<usize>,
    pub time_limit: Option<Duration>,
    pub seed: u64,
    pub batch_size: usize,
    pub micro_batch_size: usize,
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
    fn improves(&self, value: f64, best: f64) -> bool {
        if self.higher_is_better { value > best } else { value < best }
    }
}

/// Everything that the loop reads.
pub struct Examples<'a> {
    pub features: &'a [Features],
    pub targets: &'a [Targets],
    pub weights: Option<&'a [f32]>,
    pub truths: &'a [Truth],
    pub train: &'a [u32],
    pub val: &'a [u32],
    /// What the network's loss is multiplied by to be told in the target's own units.
    pub loss_unit: f64,
}

impl Examples<'_> {
    /// What the rows count together.
    pub fn weight_of(&self, rows: &[u32]) -> f64 {
        match self.weights {
            Some(weights) => rows.iter().map(|row| f64::from(weights[*row as usize])).sum(),
            None => rows.len() as f64,
        }
    }
}

/// The trained network and how it came about.
pub struct Trained {
    /// Without gradients.
    pub network: Network,
    pub lines: Vec<MetricLine>,
    pub epochs: usize,
    pub steps: usize,
    pub best_epoch: usize,
    pub best: f64,
    pub ended: String,
    pub interrupted: bool,
    pub rows_per_second: f64,
}

/// Training ended because the loss was no longer a number.
pub struct NotFinite {
    pub step: usize,
    pub last: f64,
    pub learning_rate: f64,
    /// The state at the end of the last epoch that was whole.
    pub last_good: Option<(usize, Network)>,
}

/// Trains a network.
///
/// The result depends on design, recipe and examples alone, not on clocks, unless a time limit ends it.
pub fn train(
    design: &Design,
    mut network: Network,
    recipe: &Recipe,
    examples: &Examples<'_>,
    device: &Device,
    interrupt: &AtomicBool,
    observe: Observer<'_>,
) -> Result<Trained, Box<NotFinite>> {
    let weights = design.weights();
    let steps_per_epoch = examples.train.len().div_ceil(recipe.batch_size);
    let total_steps = recipe.steps.unwrap_or(usize::MAX).min(recipe.epochs * steps_per_epoch);
    let base_rate = recipe.optimizer.learning_rate();
    let (mut state, mut average) = (State::default(), MovingAverage::default());
    let (mut step, mut epoch) = (0, 0);
    let mut lines = Vec::new();
    let mut best: Option<(usize, f64, Network)> = None;
    let mut last_good: Option<(usize, Network)> = None;
    let mut last_loss = f64::NAN;
    let (mut ended, mut interrupted) = ("all epochs done".to_owned(), false);
    let started = Instant::now();
    let mut told = started;

    'epochs: while epoch < recipe.epochs && step < total_steps {
        epoch += 1;
        let order = shuffled(examples.train, recipe.seed, epoch);
        let (mut sum, mut seen) = (0.0, 0usize);
        for rows in order.chunks(recipe.batch_size) {
            let over = recipe.time_limit.is_some_and(|limit| started.elapsed() >= limit);
            if over || step >= total_steps || interrupt.load(Ordering::Relaxed) {
                break;
            }
            let learning_rate = base_rate * recipe.schedule.factor(step + 1, total_steps);
            step += 1;
            let mut gradients = GradientSum::default();
            let mut loss_of_step = 0.0;
            for (pass, micro) in rows.chunks(recipe.micro_batch_size).enumerate() {
                let batch =
                    network.batch(examples.features, examples.targets, examples.weights, micro, device);
                let key = mix(mix(recipe.seed, step as u64), pass as u64);
                let mut loss = network.loss(&batch, &weights, Some(key));
                // Each pass counts by its rows' weights, so that a step's gradient is the mean over its batch.
                let share = examples.weight_of(micro) / examples.weight_of(rows).max(f64::MIN_POSITIVE);
                if share < 1.0 {
                    loss = loss * share;
                }
                gradients.add(loss.backward(), &network);
                loss_of_step += f64::from(loss.inner().into_scalar::<f32>());
            }
            if !loss_of_step.is_finite() {
                return Err(Box::new(NotFinite { step, last: last_loss, learning_rate, last_good }));
            }
            last_loss = loss_of_step * examples.loss_unit;
            sum += last_loss * rows.len() as f64;
            seen += rows.len();
            network = update(
                network,
                gradients,
                &recipe.optimizer,
                &mut state,
                learning_rate,
                step,
                recipe.clip_norm,
            );
            if recipe.ema > 0.0 {
                average.update(&network, recipe.ema, step);
            }
            if told.elapsed() > Duration::from_millis(100) {
                told = Instant::now();
                let rows_per_second = rate(examples, epoch, seen, started);
                observe(Event::Progress {
                    epoch,
                    epochs: recipe.epochs,
                    step,
                    steps: total_steps,
                    loss: sum / seen as f64,
                    rows_per_second,
                    eta_seconds: started.elapsed().as_secs_f64() / step as f64 * (total_steps - step) as f64,
                });
            }
        }
        if seen == 0 {
            epoch -= 1;
        }
        let current = if recipe.ema > 0.0 { average.applied_to(&network) } else { network.clone().valid() };
        if seen > 0 {
            let mut values = IndexMap::new();
            values.insert("loss".to_owned(), sum / seen as f64);
            values.insert("learning_rate".to_owned(), base_rate * recipe.schedule.factor(step, total_steps));
            lines.push(MetricLine { step, epoch, part: "train".to_owned(), values });
        }
        let (value, values) = validate(&current, recipe, examples, &weights, device);
        if !value.is_finite() {
            return Err(Box::new(NotFinite { step, last: last_loss, learning_rate: base_rate, last_good }));
        }
        lines.push(MetricLine { step, epoch, part: "val".to_owned(), values: values.clone() });
        observe(Event::Epoch {
            epoch,
            epochs: recipe.epochs,
            loss: sum / seen.max(1) as f64,
            val: values,
            rows_per_second: rate(examples, epoch, seen, started),
            eta_seconds: started.elapsed().as_secs_f64() / step.max(1) as f64 * (total_steps - step) as f64,
            logged: epoch == 1 || epoch.is_multiple_of(recipe.log_every) || step >= total_steps,
        });
        if best
            .as_ref()
            .is_none_or(|(_, best, _)| !recipe.keep_best || recipe.objective.improves(value, *best))
        {
            best = Some((epoch, value, current.clone()));
        }
        last_good = Some((step, current));
        if interrupt.load(Ordering::Relaxed) {
            (ended, interrupted) = ("stopped by the user".to_owned(), true);
            break 'epochs;
        }
        if recipe.time_limit.is_some_and(|limit| started.elapsed() >= limit) {
            ended = "time limit".to_owned();
            break 'epochs;
        }
        let stale = epoch - best.as_ref().map_or(0, |(epoch, ..)| *epoch);
        if recipe.patience.is_some_and(|patience| stale >= patience) {
            ended = format!("no better for {stale} epochs");
            break 'epochs;
        }
    }
    let rows_per_second = step as f64 * recipe.batch_size as f64 / started.elapsed().as_secs_f64().max(1e-9);
    let (best_epoch, best, network) = best.unwrap_or_else(|| unreachable!("there is at least one epoch"));
    Ok(Trained {
        network,
        lines,
        epochs: epoch,
        steps: step,
        best_epoch,
        best,
        ended,
        interrupted,
        rows_per_second,
    })
}

/// Rows trained on per second so far.
fn rate(examples: &Examples<'_>, epoch: usize, seen: usize, started: Instant) -> f64 {
    ((epoch.max(1) - 1) * examples.train.len() + seen) as f64 / started.elapsed().as_secs_f64().max(1e-9)
}

/// Loss and metrics on val: the objective's value, and all values by their names in `metrics.jsonl`.
fn validate(
    network: &Network,
    recipe: &Recipe,
    examples: &Examples<'_>,
    weights: &[f64],
    device: &Device,
) -> (f64, IndexMap<String, f64>) {
    let answers = Answers::of(network, examples, examples.val, weights, &device.clone().inner());
    let mut values = IndexMap::from([("loss".to_owned(), answers.loss)]);
    let mut objective = answers.loss;
    for (index, truth) in examples.truths.iter().enumerate() {
        for (metric, value) in answers.metrics(index, truth, examples.weights) {
            if recipe.objective.output == Some(index) && recipe.objective.metric == metric {
                objective = value;
            }
            values.insert(format!("{}/{metric}", truth.name), value);
        }
    }
    (objective, values)
}
