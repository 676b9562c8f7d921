//! Adam, as `torch.optim.Adam`.

use super::{DECAY, POSITIVE, RATE, Rule, Update};
use burn::tensor::Tensor;
use outset_ops::optim;
use outset_spec::settings;

settings! {
    /// Adam: `m ← β₁ m + (1 − β₁) g`, `v ← β₂ v + (1 − β₂) g²`, `w ← w − η m̂ / (√v̂ + ε)`, the hats for averages
    /// without their pull towards zero. <https://arxiv.org/abs/1412.6980>
    ///
    /// Weight decay is added to the gradient; `adamw` keeps it apart.
    pub struct Adam {
        /// Length of a step.
        learning_rate: f64 = 1e-3, in RATE;
        /// Share of the average gradient that a step keeps.
        beta1: f64 = 0.9, in DECAY;
        /// Share of the average squared gradient that a step keeps.
        beta2: f64 = 0.999, in DECAY;
        /// Smallest divisor of a step.
        epsilon: f64 = 1e-8, in POSITIVE;
        /// Strength of the pull of weights towards zero.
        weight_decay: f64 = 0.0, in POSITIVE;
    }
}

impl Rule for Adam {
    fn learning_rate(&self) -> f64 {
        self.learning_rate
    }

    fn scales(&self) -> bool {
        true
    }

    fn step(&self, update: Update) -> (Tensor<2>, Vec<Tensor<2>>) {
        let settings = optim::Adam {
            learning_rate: update.learning_rate,
            beta1: self.beta1,
            beta2: self.beta2,
            epsilon: self.epsilon,
            weight_decay: if update.decay { self.weight_decay } else { 0.0 },
            decoupled: false,
            step: update.step as u64,
            gradient_scale: update.gradient_scale,
        };
        moments(update, &settings)
    }
}

/// Makes a step of Adam's with the moments of gradient and squared gradient as state.
pub(super) fn moments(mut update: Update, settings: &optim::Adam) -> (Tensor<2>, Vec<Tensor<2>>) {
    let [mean, square] = update.state();
    let (weight, mean, square) = optim::adam_step(update.weight, update.grad, mean, square, settings);
    (weight, vec![mean, square])
}
