//! Rules that turn gradients into updates, each as PyTorch 2 computes it.
//!
//! A rule sees one parameter at a time, outside autodiff, and keeps its memory of it in a list of tensors of the
//! parameter's shape. Adding one: its file, its `mod` line and its entry below.

mod adagrad;
mod adam;
mod adamw;
mod gradient_descent;
mod lion;
mod muon;
mod rmsprop;
mod sgd;

pub use self::adagrad::Adagrad;
pub use self::adam::Adam;
pub use self::adamw::AdamW;
pub use self::gradient_descent::GradientDescent;
pub use self::lion::Lion;
pub use self::muon::{Adjust, Muon};
pub use self::rmsprop::Rmsprop;
pub use self::sgd::Sgd;

use crate::kinds::kinds;
use burn::tensor::Tensor;
use outset_spec::{Bounds, Problem, Problems, Section};

/// Largest share that a moving average may keep: at 1 it would never move.
const DECAY: Bounds = Bounds::between(0.0, 0.9999999);
/// Bounds of a learning rate.
const RATE: Bounds = Bounds::above(0.0);
/// Bounds of a number that only makes sense from 0 on.
const POSITIVE: Bounds = Bounds::at_least(0.0);

kinds! {
    /// A rule that turns gradients into updates.
    pub enum Optimizer: Rule, "optimizer", "optimizers" {
        /// Gradient descent: one plain step a pass over all of train.
        "gradient_descent" => GradientDescent,
        /// Stochastic gradient descent, with momentum or Nesterov's where set.
        "sgd" => Sgd,
        /// Adam: steps scaled by running averages of gradient and squared gradient.
        "adam" => Adam,
        /// Adam with weight decay apart from the gradient; a good first choice.
        "adamw" => AdamW,
        /// RMSprop: steps scaled by a running average of the squared gradient.
        "rmsprop" => Rmsprop,
        /// Adagrad: steps scaled by all squared gradients so far, for rare features.
        "adagrad" => Adagrad,
        /// Lion: steps of one size in the direction of the momentum's sign; wants a smaller learning rate than Adam.
        "lion" => Lion,
        /// Muon: momentum made orthogonal for matrices, AdamW for all else.
        "muon" => Muon,
    }
}

/// What a rule does with one parameter.
trait Rule {
    /// The base rate, before the schedule.
    fn learning_rate(&self) -> f64;

    /// Whether a step takes all of train at once.
    fn full_batch(&self) -> bool {
        false
    }

    /// Whether [`step`](Rule::step) multiplies the gradient by its scale itself, in the one pass that it makes anyway.
    fn scales(&self) -> bool {
        false
    }

    /// Makes one update.
    fn step(&self, update: Update) -> (Tensor<2>, Vec<Tensor<2>>);
}

/// One parameter at one step; shapes other than a matrix are folded into one.
struct Update {
    weight: Tensor<2>,
    grad: Tensor<2>,
    /// What the gradient is to be multiplied by; 1 for a rule that doesn't do that itself.
    gradient_scale: f64,
    /// What the last step left; empty at the first.
    state: Vec<Tensor<2>>,
    learning_rate: f64,
    /// Number of the step, the first being 1.
    step: usize,
    /// Whether weight decay applies.
    decay: bool,
    /// Whether the parameter is a matrix by itself, a column for each output, or the kernels of a convolution.
    matrix: bool,
    /// Whether there is a row for each output, as of a convolution's kernels.
    outputs_first: bool,
}

impl Update {
    /// The `N` tensors of the state, zeros at the first step.
    fn state<const N: usize>(&mut self) -> [Tensor<2>; N] {
        let mut state = std::mem::take(&mut self.state).into_iter();
        std::array::from_fn(|_| state.next().unwrap_or_else(|| self.weight.zeros_like()))
    }

    /// The gradient with `weight_decay` times the weight added: decay as an L2 penalty.
    fn penalised(&self, weight_decay: f64) -> Tensor<2> {
        if self.decay && weight_decay != 0.0 {
            self.grad.clone() + self.weight.clone() * weight_decay
        } else {
            self.grad.clone()
        }
    }
}

/// Moves an average: `keep * average + (1 - keep) * value`.
fn average(average: Tensor<2>, value: Tensor<2>, keep: f64) -> Tensor<2> {
    average * keep + value * (1.0 - keep)
}

impl Optimizer {
    /// Reads the `optimizer` of `[train]`, AdamW where the file names none.
    pub fn read(section: &Section, problems: &mut Problems) -> Self {
        let mut reader = section.reader("train.optimizer", problems);
        let Some(optimizer) = Self::read_kind(section.kind_or("adamw"), &mut reader) else {
            problems.push(Self::unknown(section));
            return Self::AdamW(AdamW::default());
        };
        reader.finish();
        if let Self::Sgd(sgd) = &optimizer
            && let Some(message) = sgd.contradiction()
        {
            problems.push(Problem::new(message).at(section.place.as_ref()));
        }
        optimizer
    }

    /// The base rate, before the schedule.
    pub fn learning_rate(&self) -> f64 {
        self.part().learning_rate()
    }

    /// Whether a step takes all of train at once, whatever `batch_size` says.
    pub fn full_batch(&self) -> bool {
        self.part().full_batch()
    }

    /// Makes one update of one parameter and returns the weight and the state to hand in at the next step.
    ///
    /// `learning_rate` has the schedule's factor in it; `step` counts updates from 1; `state` is empty at the first;
    /// `decay` tells whether weight decay applies to this parameter. All tensors are outside autodiff.
    pub fn step<const D: usize>(
        &self,
        weight: Tensor<D>,
        grad: Tensor<D>,
        state: Vec<Tensor<D>>,
        learning_rate: f64,
        step: usize,
        decay: bool,
    ) -> (Tensor<D>, Vec<Tensor<D>>) {
        let shape = weight.dims();
        let state = state.into_iter().map(|tensor| tensor.reshape(folded(shape))).collect();
        let (weight, state) = self.step_scaled(weight, grad, 1.0, state, learning_rate, step, decay);
        (weight, state.into_iter().map(|tensor| tensor.reshape(shape)).collect())
    }

    /// Makes one update of one parameter by `gradient_scale` times the gradient, as [`step`](Self::step) does otherwise.
    ///
    /// The gradient may be of any shape with as many numbers as the weight, and the state is that of the [`folded`] weight:
    /// a small network spends a good part of a step on giving tensors other shapes.
    #[allow(clippy::too_many_arguments)]
    pub fn step_scaled<const D: usize, const E: usize>(
        &self,
        weight: Tensor<D>,
        grad: Tensor<E>,
        gradient_scale: f64,
        state: Vec<Tensor<2>>,
        learning_rate: f64,
        step: usize,
        decay: bool,
    ) -> (Tensor<D>, Vec<Tensor<2>>) {
        let shape = weight.dims();
        let folded = folded(shape);
        let (grad, gradient_scale) = if self.part().scales() || gradient_scale == 1.0 {
            (grad, gradient_scale)
        } else {
            (grad * gradient_scale, 1.0)
        };
        let (weight, state) = self.part().step(Update {
            weight: weight.reshape(folded),
            grad: grad.reshape(folded),
            gradient_scale,
            state,
            learning_rate,
            step,
            decay,
            matrix: D == 2 || D == 4,
            outputs_first: D == 4,
        });
        (weight.reshape(shape), state)
    }
}

/// The shape of a parameter as a matrix: its first size, and all others together; a vector is one row.
pub fn folded<const D: usize>(shape: [usize; D]) -> [usize; 2] {
    let rows = if D < 2 { 1 } else { shape[0] };
    [rows, shape.iter().product::<usize>() / rows.max(1)]
}

#[cfg(test)]
mod tests {
    use super::*;
    use outset_spec::{Setting, Table};

    fn check(text: &str) -> (Optimizer, Vec<String>) {
        let table = Table::parse("x.toml", text).unwrap();
        let section = <Section as Setting>::from_node(table.get("optimizer").unwrap()).unwrap();
        let mut problems = Problems::default();
        let optimizer = Optimizer::read(&section, &mut problems);
        (
            optimizer,
            problems.iter().map(|p| format!("{} | {}", p.message, p.hint.as_deref().unwrap_or(""))).collect(),
        )
    }

    #[test]
    fn defaults_are_written_out() {
        let (optimizer, problems) = check("optimizer = { kind = \"adamw\", learning_rate = 0.01 }");
        assert!(problems.is_empty());
        let section = optimizer.to_section();
        let keys: Vec<&str> = section.parameters.0.keys().map(String::as_str).collect();
        assert_eq!(keys, ["learning_rate", "beta1", "beta2", "epsilon", "weight_decay"]);
        assert_eq!(section.parameters.get("learning_rate").unwrap().value, 0.01.into());
        assert_eq!(section.parameters.get("weight_decay").unwrap().value, 0.01.into());
    }

    #[test]
    fn what_is_written_is_read_alike() {
        for kind in Optimizer::KINDS {
            let mut problems = Problems::default();
            let optimizer = Optimizer::read(&Section::of(kind), &mut problems);
            assert_eq!(Optimizer::read(&optimizer.to_section(), &mut problems), optimizer);
            assert_eq!(problems, Problems::default());
            assert_eq!(optimizer.kind(), *kind);
        }
    }

    #[test]
    fn slips_get_a_suggestion() {
        let (_, problems) = check("optimizer = \"adamv\"");
        assert_eq!(
            problems,
            ["unknown optimizer `adamv` | did you mean `adam`? `outset list optimizers` shows all"]
        );
        let (_, problems) = check("optimizer = { kind = \"sgd\", learning_rate = -1, momentun = 0.9 }");
        assert_eq!(
            problems,
            [
                "`train.optimizer.learning_rate` is `-1`, but must be greater than 0 | ",
                "unknown key `train.optimizer.momentun` | did you mean `momentum`?"
            ]
        );
        let (_, problems) = check("optimizer = { kind = \"sgd\", nesterov = true }");
        assert_eq!(problems, ["`train.optimizer.nesterov` needs a `momentum` above 0 and no `dampening` | "]);
    }
}
