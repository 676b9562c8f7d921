//! Adam, as `torch.optim.Adam`.

use super::{DECAY, POSITIVE, RATE, Rule, Update, average};
use burn::tensor::Tensor;
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

    fn step(&self, mut update: Update) -> (Tensor<2>, Vec<Tensor<2>>) {
        let grad = update.penalised(self.weight_decay);
        let [mean, square] = update.state();
        let (step, mean, square) =
            direction(grad, mean, square, [self.beta1, self.beta2], self.epsilon, update.step);
        (update.weight - step * update.learning_rate, vec![mean, square])
    }
}

/// The direction of a step at learning rate 1, and the new averages of gradient and squared gradient.
pub(super) fn direction(
    grad: Tensor<2>,
    mean: Tensor<2>,
    square: Tensor<2>,
    betas: [f64; 2],
    epsilon: f64,
    step: usize,
) -> (Tensor<2>, Tensor<2>, Tensor<2>) {
    let mean = average(mean, grad.clone(), betas[0]);
    let square = average(square, grad.clone() * grad, betas[1]);
    // Both averages start at zero; dividing by what they can hold so far makes up for it.
    let held = betas.map(|beta| 1.0 - beta.powf(step as f64));
    let divisor = square.clone().sqrt() / held[1].sqrt() + epsilon;
    (mean.clone() / divisor / held[0], mean, square)
}
