//! Lion, as its authors publish it.

use super::{DECAY, POSITIVE, RATE, Rule, Update};
use burn::tensor::Tensor;
use outset_ops::optim;
use outset_spec::settings;

settings! {
    /// Lion: `w ← (1 − η λ) w − η sign(β₁ m + (1 − β₁) g)`, then `m ← β₂ m + (1 − β₂) g`.
    /// <https://arxiv.org/abs/2302.06675>
    ///
    /// Every weight moves by the same length, so the learning rate wants to be 3 to 10 times smaller than Adam's, and
    /// the weight decay as much larger.
    pub struct Lion {
        /// Length of a step.
        learning_rate: f64 = 1e-4, in RATE;
        /// Share of the momentum in a step's direction.
        beta1: f64 = 0.9, in DECAY;
        /// Share of the momentum that a step keeps.
        beta2: f64 = 0.99, in DECAY;
        /// Strength of the pull of weights towards zero.
        weight_decay: f64 = 0.0, in POSITIVE;
    }
}

impl Rule for Lion {
    fn learning_rate(&self) -> f64 {
        self.learning_rate
    }

    fn scales(&self) -> bool {
        true
    }

    fn step(&self, mut update: Update) -> (Tensor<2>, Vec<Tensor<2>>) {
        let [momentum] = update.state();
        let settings = optim::Lion {
            learning_rate: update.learning_rate,
            beta1: self.beta1,
            beta2: self.beta2,
            weight_decay: if update.decay { self.weight_decay } else { 0.0 },
            gradient_scale: update.gradient_scale,
        };
        let (weight, momentum) = optim::lion_step(update.weight, update.grad, momentum, &settings);
        (weight, vec![momentum])
    }
}
