//! AdamW, as `torch.optim.AdamW`.

use super::adam::moments;
use super::{DECAY, POSITIVE, RATE, Rule, Update};
use burn::tensor::Tensor;
use outset_ops::optim;
use outset_spec::settings;

settings! {
    /// AdamW: Adam's step after `w ← (1 − η λ) w`, so that weight decay λ is not scaled by the gradient's size.
    /// <https://arxiv.org/abs/1711.05101>
    pub struct AdamW {
        /// Length of a step.
        learning_rate: f64 = 1e-3, in RATE;
        /// Share of the average gradient that a step keeps.
        beta1: f64 = 0.9, in DECAY;
        /// Share of the average squared gradient that a step keeps.
        beta2: f64 = 0.999, in DECAY;
        /// Smallest divisor of a step.
        epsilon: f64 = 1e-8, in POSITIVE;
        /// Strength of the pull of weights towards zero.
        weight_decay: f64 = 0.01, in POSITIVE;
    }
}

impl Rule for AdamW {
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
            decoupled: true,
            step: update.step as u64,
            gradient_scale: update.gradient_scale,
        };
        moments(update, &settings)
    }
}
