//! Stochastic gradient descent, as `torch.optim.SGD`.

use super::{POSITIVE, RATE, Rule, Update};
use burn::tensor::Tensor;
use outset_ops::optim;
use outset_spec::{Bounds, settings};

settings! {
    /// Stochastic gradient descent: `b ← μ b + (1 − τ) g`, `w ← w − η b`; Nesterov steps along `g + μ b`.
    ///
    /// The first `b` is the first gradient itself. Weight decay is added to the gradient.
    pub struct Sgd {
        /// Length of a step along the gradient.
        learning_rate: f64 = 0.01, in RATE;
        /// Share of the last step that is kept.
        momentum: f64 = 0.0, in Bounds::between(0.0, 1.0);
        /// Share of the gradient that stays out of the momentum.
        dampening: f64 = 0.0, in Bounds::between(0.0, 1.0);
        /// Whether the gradient is looked up ahead of the step, as Nesterov proposed.
        nesterov: bool = false;
        /// Strength of the pull of weights towards zero.
        weight_decay: f64 = 0.0, in POSITIVE;
    }
}

impl Sgd {
    /// What two of the settings say against each other.
    pub(super) fn contradiction(&self) -> Option<&'static str> {
        (self.nesterov && (self.momentum == 0.0 || self.dampening != 0.0))
            .then_some("`train.optimizer.nesterov` needs a `momentum` above 0 and no `dampening`")
    }
}

impl Rule for Sgd {
    fn learning_rate(&self) -> f64 {
        self.learning_rate
    }

    fn scales(&self) -> bool {
        true
    }

    fn step(&self, mut update: Update) -> (Tensor<2>, Vec<Tensor<2>>) {
        let velocity = update.state.pop();
        let settings = optim::Sgd {
            learning_rate: update.learning_rate,
            momentum: self.momentum,
            dampening: self.dampening,
            nesterov: self.nesterov,
            weight_decay: if update.decay { self.weight_decay } else { 0.0 },
            // The first gradient that a parameter gets is its velocity, whenever it comes.
            step: if velocity.is_none() { 1 } else { update.step.max(2) as u64 },
            gradient_scale: update.gradient_scale,
        };
        let (weight, velocity) = optim::sgd_step(update.weight, update.grad, velocity, &settings);
        (weight, velocity.into_iter().collect())
    }
}
