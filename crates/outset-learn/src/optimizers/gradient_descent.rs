//! Gradient descent over all of train at once.

use super::{RATE, Rule, Update};
use burn::tensor::Tensor;
use outset_spec::settings;

settings! {
    /// Gradient descent: `w ← w − η g`, with the gradient of the whole train part.
    pub struct GradientDescent {
        /// Length of a step along the gradient.
        learning_rate: f64 = 0.1, in RATE;
    }
}

impl Rule for GradientDescent {
    fn learning_rate(&self) -> f64 {
        self.learning_rate
    }

    fn full_batch(&self) -> bool {
        true
    }

    fn step(&self, update: Update) -> (Tensor<2>, Vec<Tensor<2>>) {
        (update.weight - update.grad * update.learning_rate, Vec::new())
    }
}
