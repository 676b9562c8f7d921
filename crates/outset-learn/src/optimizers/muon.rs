//! Muon, as `torch.optim.Muon`.

use super::{AdamW, DECAY, POSITIVE, RATE, Rule, Update};
use burn::tensor::Tensor;
use outset_ops::optim;
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

impl Rule for Muon {
    fn learning_rate(&self) -> f64 {
        self.learning_rate
    }

    fn scales(&self) -> bool {
        true
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
        let [rows, columns] = update.weight.dims().map(|size| size as f64);
        let (inputs, outputs) = if update.outputs_first { (columns, rows) } else { (rows, columns) };
        let step_factor = match self.adjust {
            Adjust::Original => (outputs / inputs).max(1.0).sqrt(),
            Adjust::MatchRmsAdamW => 0.2 * outputs.max(inputs).sqrt(),
        };
        let [momentum] = update.state();
        let settings = optim::Muon {
            learning_rate: update.learning_rate,
            step_factor,
            momentum: self.momentum,
            nesterov: self.nesterov,
            num_steps: self.num_steps,
            weight_decay: if update.decay { self.weight_decay } else { 0.0 },
            gradient_scale: update.gradient_scale,
        };
        let (weight, momentum) = optim::muon_step(update.weight, update.grad, momentum, &settings);
        (weight, vec![momentum])
    }
}
