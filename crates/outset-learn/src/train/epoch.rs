//! The end of an epoch: val is evaluated and judged, the best state is kept, and perhaps training is over.

use super::{Examples, Progress, Training};
use crate::error::LearnError;
use crate::evaluate::Answers;
use crate::event::{Event, Observer};
use crate::keeper::Keeper;
use crate::network::Network;
use crate::recipe::Recipe;
use crate::verdict;
use crate::weights;
use burn::module::Module as _;
use burn::tensor::Device;
use indexmap::IndexMap;
use outset_ops::precision;
use outset_spec::record::MetricLine;
use std::path::PathBuf;

impl Training<'_> {
    /// Evaluates on val after an epoch, or what was done of it, and keeps the best state.
    pub(super) fn close_epoch(
        &mut self,
        mut keeper: Option<&mut Keeper>,
        observe: Observer<'_>,
    ) -> Result<(), LearnError> {
        let recipe = self.recipe;
        let current = if recipe.ema > 0.0 {
            self.average.applied_to(self.network())
        } else {
            self.network().clone().valid()
        };
        let Progress { step, epoch, loss_sum, rows_seen, .. } = self.progress;
        let rate = recipe.optimizer.learning_rate();
        let loss = loss_sum / rows_seen.max(1) as f64;
        let mut write = |part: &str, values: &IndexMap<String, f64>| match keeper.as_deref_mut() {
            Some(keeper) => {
                keeper.line(&MetricLine { step, epoch, part: part.to_owned(), values: values.clone() })
            }
            None => Ok(()),
        };
        if rows_seen > 0 {
            let factor = recipe.schedule.factor(step, self.total_steps);
            let values = [("loss".to_owned(), loss), ("learning_rate".to_owned(), rate * factor)];
            write("train", &IndexMap::from(values))?;
        }
        let answers = answers_on_val(&current, recipe, self.examples, &self.weights, &self.device);
        let (value, values) = judge(&answers, recipe, self.examples);
        if !value.is_finite() {
            let name = recipe.objective.output.map(|output| &self.examples.truths[output].name);
            return Err(match name.filter(|_| answers.loss.is_finite()) {
                Some(name) => {
                    let metric = recipe.objective.metric.clone();
                    LearnError::NoObjective { metric, output: name.clone() }
                }
                None => self.not_finite(step, rate, keeper),
            });
        }
        write("val", &values)?;
        observe(Event::Epoch {
            epoch,
            epochs: recipe.epochs,
            loss,
            val: values,
            rows_per_second: self.rows_per_second(),
            eta_seconds: self.eta_seconds(),
            logged: epoch == 1 || epoch.is_multiple_of(recipe.log_every) || step >= self.total_steps,
        });
        let better = |(_, best): (usize, f64)| recipe.objective.improves(value, best);
        if !recipe.keep_best && self.progress.leading.is_none_or(better) {
            self.progress.leading = Some((epoch, value));
        }
        if !recipe.keep_best || self.progress.best.is_none_or(better) {
            self.progress.best = Some((epoch, value));
            self.best = Some(current.clone());
        }
        self.last_good = (step, current);
        self.progress.open = false;
        Ok(())
    }

    /// The limit of time or cost that is reached, if one is.
    pub(super) fn limit_reached(&self) -> Option<&'static str> {
        let seconds = self.progress.seconds;
        let reached = |limit: Option<f64>, spent: f64| limit.is_some_and(|limit| spent >= limit);
        if reached(self.recipe.time_limit.map(|limit| limit.as_secs_f64()), seconds) {
            return Some("time limit");
        }
        reached(self.recipe.cost_limit, seconds * self.price_per_second).then_some("cost limit")
    }

    /// Why training is over after an epoch, if it is.
    pub(super) fn ending(&self) -> Option<String> {
        let Progress { step, epoch, .. } = self.progress;
        if let Some(limit) = self.limit_reached() {
            return Some(limit.to_owned());
        }
        let best = self.progress.leading.or(self.progress.best);
        let stale = epoch - best.map_or(0, |(epoch, _)| epoch);
        if self.recipe.patience.is_some_and(|patience| stale >= patience) {
            return Some(format!("no better for {stale} epochs"));
        }
        let done = epoch >= self.recipe.epochs || step >= self.total_steps;
        done.then(|| "all epochs done".to_owned())
    }

    /// The error of a loss that is no longer a number; the last good weights are kept.
    pub(super) fn not_finite(
        &self,
        step: usize,
        learning_rate: f64,
        keeper: Option<&mut Keeper>,
    ) -> LearnError {
        let (good, network) = &self.last_good;
        let keep = |keeper: &mut Keeper| -> Option<PathBuf> {
            keeper.save_weights(*good, weights::to_bytes(network).ok()?).ok()
        };
        LearnError::NotFinite {
            step,
            last: self.progress.last_loss.map(verdict::number),
            checkpoint: keeper.and_then(keep),
            learning_rate,
        }
    }
}

/// What a network answers on val, with products as exact as those of a step.
pub(crate) fn answers_on_val(
    network: &Network,
    recipe: &Recipe,
    examples: &Examples<'_>,
    weights: &[f64],
    device: &Device,
) -> Answers {
    let device = device.clone().inner();
    precision::with(recipe.precision, || Answers::of(network, examples, examples.val, weights, &device))
}

/// The objective's value of answers, and loss and metrics by their names in `metrics.jsonl`.
pub(crate) fn judge(
    answers: &Answers,
    recipe: &Recipe,
    examples: &Examples<'_>,
) -> (f64, IndexMap<String, f64>) {
    let mut values = IndexMap::from([("loss".to_owned(), answers.loss)]);
    // A metric that val cannot tell, as of a class that it lacks, is not replaced by another figure.
    let mut objective = if recipe.objective.output.is_some() { f64::NAN } else { answers.loss };
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
