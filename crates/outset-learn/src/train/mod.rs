//! The training loop: forward, loss, backpropagation, update; evaluation on val after each epoch; the best state kept.
//!
//! A [`Training`] is all that the loop knows: it can be saved after any step and go on from there, and then comes to the
//! same weights and metrics, bit for bit, as if nothing had happened.

mod epoch;
mod probe;
mod state;

pub(crate) use epoch::{answers_on_val, judge};
pub use state::Progress;

use crate::error::LearnError;
use crate::evaluate::Truth;
use crate::event::{Event, Observer};
use crate::keeper::Keeper;
use crate::machine;
use crate::network::{Design, Network};
use crate::order::{by_length, mix, shuffled};
use crate::recipe::Recipe;
use crate::update::{GradientSum, MovingAverage, State, update};
use burn::module::Module as _;
use burn::tensor::Device;
use outset_data::{Features, Targets};
use outset_ops::{precision, with_recompute};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// Copies of the weights that training keeps beside the network's own: gradients, two moments, the moving average, the
/// best state, the state of the last epoch.
pub const COPIES: u64 = 6;

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
    pub epochs: usize,
    pub steps: usize,
    pub best_epoch: usize,
    pub best: f64,
    pub ended: String,
    pub interrupted: bool,
    pub rows_per_second: f64,
    /// Time that training took.
    pub seconds: f64,
}

/// Why [`Training::advance`] came back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pause {
    /// Training is done.
    Ended,
    /// The user asked for it.
    Interrupted,
    /// The epoch that was asked for is done.
    Reached,
}

/// Training that can be saved after any step and go on from there.
///
/// The result depends on design, recipe and examples alone, not on clocks, unless a time limit ends it.
pub struct Training<'a> {
    recipe: &'a Recipe,
    examples: &'a Examples<'a>,
    device: Device,
    weights: Vec<f64>,
    steps_per_epoch: usize,
    total_steps: usize,
    progress: Progress,
    /// `None` only while it is being updated.
    network: Option<Network>,
    state: State,
    average: MovingAverage,
    best: Option<Network>,
    /// Step and weights at the end of the last epoch that was whole.
    last_good: (usize, Network),
    /// Progress as it was saved last.
    saved: Option<Progress>,
    told: Instant,
    /// Time of the epochs since freed memory was handed back.
    kept: Duration,
    /// What a second costs, for the limit of cost.
    pub price_per_second: f64,
}

impl<'a> Training<'a> {
    /// Begins the training of a network with gradients.
    pub fn new(
        design: &Design,
        mut network: Network,
        recipe: &'a Recipe,
        examples: &'a Examples<'a>,
        device: &Device,
    ) -> Self {
        network.count(examples, device);
        machine::release_memory();
        // Gradients and the two averages of the optimizer are as large as the weights.
        machine::expect_memory(3 * 4 * network.num_params() as u64);
        let steps_per_epoch = examples.train.len().div_ceil(recipe.batch_size);
        let total_steps =
            recipe.steps.unwrap_or(usize::MAX).min(recipe.epochs.saturating_mul(steps_per_epoch));
        Self {
            recipe,
            examples,
            device: device.clone(),
            weights: design.weights(),
            steps_per_epoch,
            total_steps,
            progress: Progress::default(),
            state: State::default(),
            average: MovingAverage::default(),
            best: None,
            last_good: (0, network.clone().valid()),
            network: Some(network),
            saved: None,
            price_per_second: 0.0,
            told: Instant::now(),
            kept: Duration::ZERO,
        }
    }

    /// The order of the examples in this epoch, sequences of like length together.
    fn order(&self) -> Vec<u32> {
        let Recipe { seed, batch_size, .. } = *self.recipe;
        let order = shuffled(self.examples.train, seed, self.progress.epoch);
        if !self.has_sequences() {
            return order;
        }
        by_length(order, |row| self.length(row), batch_size, seed, self.progress.epoch)
    }

    /// Whether there are inputs of tokens.
    fn has_sequences(&self) -> bool {
        self.examples.features.iter().any(|features| matches!(features, Features::Tokens { .. }))
    }

    /// Tokens of a row.
    fn length(&self, row: u32) -> usize {
        let of_column = |features: &Features| match features {
            Features::Tokens { offsets, .. } => offsets[row as usize + 1] - offsets[row as usize],
            _ => 0,
        };
        self.examples.features.iter().map(of_column).sum()
    }

    fn network(&self) -> &Network {
        self.network.as_ref().unwrap_or_else(|| unreachable!("there is a network between updates"))
    }

    /// Where training stands.
    pub fn progress(&self) -> &Progress {
        &self.progress
    }

    /// Trains until the end, the end of epoch `until`, or the user's interrupt, whichever comes first, and saves where it
    /// stands then.
    ///
    /// # Errors
    /// If the loss is no longer finite, or the disk is full.
    pub fn advance(
        &mut self,
        until: Option<usize>,
        mut keeper: Option<&mut Keeper>,
        interrupt: &AtomicBool,
        observe: Observer<'_>,
    ) -> Result<Pause, LearnError> {
        let clock = Instant::now();
        let before = self.progress.seconds;
        while self.progress.ended.is_none() {
            if !self.progress.open {
                if until.is_some_and(|epoch| self.progress.epoch >= epoch) {
                    if let Some(keeper) = keeper {
                        self.save(keeper)?;
                    }
                    return Ok(Pause::Reached);
                }
                self.open_epoch();
            }
            let opened = Instant::now();
            let order = self.order();
            let batches: Vec<&[u32]> = order.chunks(self.recipe.batch_size).collect();
            let mut stop = None;
            while self.progress.batches < batches.len() && self.progress.step < self.total_steps {
                if interrupt.load(Ordering::Relaxed) {
                    stop = Some(Pause::Interrupted);
                    break;
                }
                if self.limit_reached().is_some() {
                    stop = Some(Pause::Ended);
                    break;
                }
                self.step(batches[self.progress.batches], keeper.as_deref_mut())?;
                self.progress.seconds = before + clock.elapsed().as_secs_f64();
                self.tell(observe);
                // The last step of an epoch is saved together with its evaluation.
                let last = self.progress.batches == batches.len() || self.progress.step == self.total_steps;
                if let Some(keeper) = keeper.as_deref_mut().filter(|k| !last && k.is_due(self.progress.step))
                {
                    self.save(keeper)?;
                }
            }
            if stop == Some(Pause::Interrupted) {
                // What follows is for the model that is kept now; a resumed run begins before it.
                if let Some(keeper) = keeper.as_deref_mut() {
                    self.save(keeper)?;
                }
            }
            if self.progress.rows_seen > 0 || self.progress.best.is_none() {
                self.close_epoch(keeper.as_deref_mut(), observe)?;
                self.release_memory(opened.elapsed());
            } else {
                // Stopped between two epochs: the one that was opened never began.
                self.progress.open = false;
                self.progress.epoch -= 1;
            }
            self.progress.seconds = before + clock.elapsed().as_secs_f64();
            if stop == Some(Pause::Interrupted) {
                return Ok(Pause::Interrupted);
            }
            self.progress.ended = self.ending();
            if let Some(keeper) = keeper.as_deref_mut()
                && (self.progress.ended.is_some() || keeper.is_due(self.progress.step))
            {
                self.save(keeper)?;
            }
        }
        Ok(Pause::Ended)
    }

    /// The trained network, in the best state or the last.
    pub fn finish(self, pause: Pause) -> Trained {
        let Progress { step, epoch, best, ended, seconds, .. } = self.progress;
        let (Some((best_epoch, best)), Some(mut network)) = (best, self.best) else {
            unreachable!("training pauses only after an evaluation")
        };
        // What only training needs, several times the weights, would stand beside what the evidence takes.
        drop((self.network, self.state, self.average, self.last_good));
        machine::release_memory();
        network.settle(self.examples, &self.device.clone().inner());
        Trained {
            network,
            epochs: epoch,
            steps: step,
            best_epoch,
            best,
            ended: ended.unwrap_or_else(|| "stopped by the user".to_owned()),
            interrupted: pause == Pause::Interrupted,
            rows_per_second: step as f64 * self.recipe.batch_size as f64 / seconds.max(1e-9),
            seconds,
        }
    }

    fn open_epoch(&mut self) {
        let progress = &mut self.progress;
        progress.epoch += 1;
        (progress.open, progress.batches, progress.loss_sum, progress.rows_seen) = (true, 0, 0.0, 0);
    }

    /// Makes one update with the given rows.
    fn step(&mut self, rows: &[u32], keeper: Option<&mut Keeper>) -> Result<(), LearnError> {
        let (recipe, examples) = (self.recipe, self.examples);
        let step = self.progress.step + 1;
        let learning_rate = recipe.optimizer.learning_rate() * recipe.schedule.factor(step, self.total_steps);
        let mut gradients = GradientSum::default();
        let mut loss_of_step = 0.0;
        for (pass, micro) in rows.chunks(recipe.micro_batch_size).enumerate() {
            let network = self.network();
            let batch =
                network.batch(examples.features, examples.targets, examples.weights, micro, &self.device);
            let key = mix(mix(recipe.seed, step as u64), pass as u64);
            // Each pass counts by its rows' weights, so that a step's gradient is the mean over its batch.
            let share = examples.weight_of(micro) / examples.weight_of(rows).max(f64::MIN_POSITIVE);
            let (loss, of_pass) = precision::with(recipe.precision, || {
                let mut loss =
                    with_recompute(recipe.recompute, || network.loss(&batch, &self.weights, Some(key)));
                if share < 1.0 {
                    loss = loss * share;
                }
                let gradients = loss.backward();
                (loss, gradients)
            });
            gradients.add(of_pass, network);
            loss_of_step += f64::from(loss.inner().into_scalar::<f32>());
        }
        if !loss_of_step.is_finite() {
            return Err(self.not_finite(step, learning_rate, keeper));
        }
        let loss = loss_of_step * examples.loss_unit;
        // Moved in, not cloned, so that the update can be in place.
        let Some(network) = self.network.take() else { unreachable!("there is a network between updates") };
        let (optimizer, state) = (&recipe.optimizer, &mut self.state);
        let network = precision::with(recipe.precision, || {
            update(network, gradients, optimizer, state, learning_rate, step, recipe.clip_norm)
        });
        if recipe.ema > 0.0 {
            self.average.update(&network, recipe.ema, step);
        }
        self.network = Some(network);
        let progress = &mut self.progress;
        progress.step = step;
        progress.batches += 1;
        progress.last_loss = Some(loss);
        progress.loss_sum += loss * rows.len() as f64;
        progress.rows_seen += rows.len();
        Ok(())
    }

    /// Tells how far training is, for live progress.
    fn tell(&mut self, observe: Observer<'_>) {
        if self.told.elapsed() < Duration::from_millis(100) {
            return;
        }
        self.told = Instant::now();
        observe(Event::Progress {
            epoch: self.progress.epoch,
            epochs: self.recipe.epochs,
            step: self.progress.step,
            steps: self.total_steps,
            loss: self.progress.loss_sum / self.progress.rows_seen as f64,
            rows_per_second: self.rows_per_second(),
            eta_seconds: self.eta_seconds(),
        });
    }

    /// Rows trained on per second so far.
    fn rows_per_second(&self) -> f64 {
        let Progress { epoch, rows_seen, seconds, .. } = self.progress;
        ((epoch.max(1) - 1) * self.examples.train.len() + rows_seen) as f64 / seconds.max(1e-9)
    }

    /// Seconds that are left if no limit ends training earlier.
    fn eta_seconds(&self) -> f64 {
        let Progress { step, seconds, .. } = self.progress;
        seconds / step.max(1) as f64 * self.total_steps.saturating_sub(step) as f64
    }

    /// Hands freed memory back after an evaluation, which works on other sizes than a step; not after each of many epochs that
    /// are as short as `epoch`.
    pub fn release_memory(&mut self, epoch: Duration) {
        self.kept += epoch;
        if self.kept >= KEPT {
            machine::release_memory();
            self.kept = Duration::ZERO;
        }
    }

    /// Updates of one epoch.
    pub fn steps_per_epoch(&self) -> usize {
        self.steps_per_epoch
    }
}

/// Between two times that freed memory is handed back: so long that nothing notices that it has to be asked for anew.
const KEPT: Duration = Duration::from_millis(100);
