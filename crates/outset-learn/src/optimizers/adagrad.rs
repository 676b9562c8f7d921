//! Adagrad, as `torch.optim.Adagrad`.

use super::{POSITIVE, RATE, Rule, Update};
use burn::tensor::Tensor;
use outset_spec::settings;

settings! {
    /// Adagrad: `s ← s + g²`, `w ← w − η g / (√s + ε)`. <https://jmlr.org/papers/v12/duchi11a.html>
    ///
    /// Weight decay is added to the gradient.
    pub struct Adagrad {
        /// Length of a step.
        learning_rate: f64 = 0.01, in RATE;
        /// Decay of the learning rate: step `t` uses `η / (1 + (t − 1) decay)`.
        learning_rate_decay: f64 = 0.0, in POSITIVE;
        /// What the sum of squares starts at.
        initial_sum: f64 = 0.0, in POSITIVE;
        /// Smallest divisor of a step.
        epsilon: f64 = 1e-10, in POSITIVE;
        /// Strength of the pull of weights towards zero.
        weight_decay: f64 = 0.0, in POSITIVE;
    }
}

impl Rule for Adagrad {
    fn learning_rate(&self) -> f64 {
        self.learning_rate
    }

    fn step(&self, mut update: Update) -> (Tensor<2>, Vec<Tensor<2>>) {
        let grad = update.penalised(self.weight_decay);
        let rate = update.learning_rate / (1.0 + (update.step as f64 - 1.0) * self.learning_rate_decay);
        let sum = match update.state.pop() {
            None => update.weight.zeros_like() + self.initial_sum,
            Some(sum) => sum,
        };
        let sum = sum + grad.clone() * grad.clone();
        let step = grad / (sum.clone().sqrt() + self.epsilon);
        (update.weight - step * rate, vec![sum])
    }
}
