//! RMSprop, as `torch.optim.RMSprop`.

use super::{DECAY, POSITIVE, RATE, Rule, Update, average};
use burn::tensor::Tensor;
use outset_spec::{Bounds, settings};

settings! {
    /// RMSprop: `v ← α v + (1 − α) g²`, `w ← w − η g / (√v + ε)`.
    /// <https://www.cs.toronto.edu/~tijmen/csc321/slides/lecture_slides_lec6.pdf>
    ///
    /// Weight decay is added to the gradient.
    pub struct Rmsprop {
        /// Length of a step.
        learning_rate: f64 = 0.01, in RATE;
        /// Share of the average squared gradient that a step keeps.
        alpha: f64 = 0.99, in DECAY;
        /// Smallest divisor of a step.
        epsilon: f64 = 1e-8, in POSITIVE;
        /// Share of the last step that is kept.
        momentum: f64 = 0.0, in Bounds::between(0.0, 1.0);
        /// Whether the average gradient is taken out of the average square, which leaves the variance.
        centered: bool = false;
        /// Strength of the pull of weights towards zero.
        weight_decay: f64 = 0.0, in POSITIVE;
    }
}

impl Rule for Rmsprop {
    fn learning_rate(&self) -> f64 {
        self.learning_rate
    }

    /// Keeps the average square, then the average where centered, then the last step where there is momentum.
    fn step(&self, mut update: Update) -> (Tensor<2>, Vec<Tensor<2>>) {
        let grad = update.penalised(self.weight_decay);
        let [square, second, third] = update.state();
        let square = average(square, grad.clone() * grad.clone(), self.alpha);
        let mut state = vec![square.clone()];
        let (variance, last) = if self.centered {
            let mean = average(second, grad.clone(), self.alpha);
            state.push(mean.clone());
            (square - mean.clone() * mean, third)
        } else {
            (square, second)
        };
        let mut step = grad / (variance.sqrt() + self.epsilon);
        if self.momentum > 0.0 {
            step = last * self.momentum + step;
            state.push(step.clone());
        }
        (update.weight - step * update.learning_rate, state)
    }
}
