//! A drop at every step, as `torch.optim.lr_scheduler.ExponentialLR`.

use super::Shape;
use outset_spec::{Bounds, settings};

settings! {
    /// The rate is multiplied by `gamma` at every step.
    pub struct Exponential {
        /// Factor of every step; where left out, the one that leads to `floor`.
        gamma: Option<f64> = None, in Bounds::between(0.0, 1.0);
        /// Factor of the base rate that all steps together lead to, where `gamma` is left out.
        floor: f64 = 0.01, in Bounds::between(0.0, 1.0);
    }
}

impl Shape for Exponential {
    fn factor(&self, step: usize, total: usize) -> f64 {
        match self.gamma {
            Some(gamma) => gamma.powf(step as f64),
            None => self.floor.powf(step as f64 / total as f64),
        }
    }
}
