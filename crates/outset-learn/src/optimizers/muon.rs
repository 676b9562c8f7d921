//! Muon, as `torch.optim.Muon`.

use super::{AdamW, DECAY, POSITIVE, RATE, Rule, Update, average};
use burn::tensor::Tensor;
use outset_spec::{Bounds, choices, settings};

choices! {
    /// How the learning rate is fitted to a matrix's shape.
    pub enum Adjust {
        /// By `0.2 √(larger side)`, so that steps are as long as AdamW's and one learning rate serves both.
        MatchRmsAdamW = "match_rms_adamw",
        /// By `√(outputs / inputs)` where there are more outputs than inputs, as first published.
        Original = "original",
    }
}

settings! {
    /// Muon: the momentum of a matrix made nearly orthogonal by Newton–Schulz steps; AdamW for all else.
    /// <https://kellerjordan.github.io/posts/muon/>
    pub struct Muon {
        /// Length of a step.
        learning_rate: f64 = 1e-3, in RATE;
        /// Share of the average gradient that a step keeps.
        momentum: f64 = 0.95, in DECAY;
        /// Whether the gradient is looked up ahead of the step.
        nesterov: bool = true;
        /// Newton–Schulz steps.
        num_steps: usize = 5, in Bounds::between(1.0, 100.0);
        /// How the learning rate is fitted to a matrix's shape.
        adjust: Adjust = Adjust::MatchRmsAdamW;
        /// Strength of the pull of weights towards zero.
        weight_decay: f64 = 0.1, in POSITIVE;
        /// Share of the average gradient that a step keeps, where AdamW is used.
        beta1: f64 = 0.9, in DECAY;
        /// Share of the average squared gradient that a step keeps, where AdamW is used.
        beta2: f64 = 0.999, in DECAY;
        /// Smallest divisor of a step, where AdamW is used.
        epsilon: f64 = 1e-8, in POSITIVE;
    }
}

/// Coefficients of the Newton–Schulz polynomial `a x + b x³ + c x⁵`, which takes singular values near 1 in few steps.
const POLYNOMIAL: [f64; 3] = [3.4445, -4.775, 2.0315];

/// Steps that are one operation.
const FUSED: usize = 5;

impl Rule for Muon {
    fn learning_rate(&self) -> f64 {
        self.learning_rate
    }

    fn step(&self, mut update: Update) -> (Tensor<2>, Vec<Tensor<2>>) {
        if !update.matrix {
            let others = AdamW {
                learning_rate: self.learning_rate,
                beta1: self.beta1,
                beta2: self.beta2,
                epsilon: self.epsilon,
                weight_decay: self.weight_decay,
            };
            return others.step(update);
        }
        let weight = update.shrunk(self.weight_decay);
        let [inputs, outputs] = weight.dims().map(|size| size as f64);
        let factor = match self.adjust {
            Adjust::Original => (outputs / inputs).max(1.0).sqrt(),
            Adjust::MatchRmsAdamW => 0.2 * outputs.max(inputs).sqrt(),
        };
        let [momentum] = update.state();
        let momentum = average(momentum, update.grad.clone(), self.momentum);
        let direction = if self.nesterov {
            average(momentum.clone(), update.grad, self.momentum)
        } else {
            momentum.clone()
        };
        (weight - orthogonal(direction, self.num_steps) * (update.learning_rate * factor), vec![momentum])
    }
}

/// The nearly orthogonal matrix with the singular vectors of `matrix`; singular values end between about 0.7 and 1.2.
fn orthogonal(matrix: Tensor<2>, num_steps: usize) -> Tensor<2> {
    if num_steps == FUSED {
        return outset_ops::optim::orthogonalise(matrix);
    }
    let [rows, columns] = matrix.dims();
    // The products are over the shorter side.
    let mut x = if rows > columns { matrix.transpose() } else { matrix };
    let norm = (x.clone() * x.clone()).sum().sqrt().clamp_min(1e-7);
    x = x / norm.reshape([1, 1]);
    let [a, b, c] = POLYNOMIAL;
    for _ in 0..num_steps {
        let gram = x.clone().matmul(x.clone().transpose());
        let polynomial = gram.clone() * b + gram.clone().matmul(gram) * c;
        x = x.clone() * a + polynomial.matmul(x);
    }
    if rows > columns { x.transpose() } else { x }
}
