//! Half a cosine wave, as `torch.optim.lr_scheduler.CosineAnnealingLR`.

use super::Shape;
use outset_spec::{Bounds, settings};
use std::f64::consts::PI;

settings! {
    /// Half a cosine wave from the base rate down to a floor: `f + (1 − f) (1 + cos(π t / T)) / 2`.
    /// <https://arxiv.org/abs/1608.03983>
    pub struct Cosine {
        /// Factor of the base rate that the wave ends at.
        floor: f64 = 0.0, in Bounds::between(0.0, 1.0);
    }
}

impl Shape for Cosine {
    fn factor(&self, step: usize, total: usize) -> f64 {
        self.floor + (1.0 - self.floor) * (1.0 + (PI * step as f64 / total as f64).cos()) / 2.0
    }
}
