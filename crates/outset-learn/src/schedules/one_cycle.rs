//! Up and down once, as `torch.optim.lr_scheduler.OneCycleLR` with cosine annealing.

use super::Shape;
use outset_spec::{Bounds, settings};
use std::f64::consts::PI;

settings! {
    /// Up to the base rate and down to almost nothing, each along half a cosine wave. <https://arxiv.org/abs/1708.07120>
    pub struct OneCycle {
        /// Share of the steps that the rate rises for.
        rise: f64 = 0.3, in Bounds::between(0.0, 1.0);
        /// Base rate over the first rate.
        first_divisor: f64 = 25.0, in Bounds::at_least(1.0);
        /// First rate over the last rate.
        last_divisor: f64 = 1e4, in Bounds::at_least(1.0);
    }
}

impl Shape for OneCycle {
    fn factor(&self, step: usize, total: usize) -> f64 {
        let first = 1.0 / self.first_divisor;
        let last = first / self.last_divisor;
        let step = step as f64;
        // Neither side may be shorter than nothing: few steps leave room for one only.
        let end = (total - 1) as f64;
        let top = (self.rise * total as f64 - 1.0).clamp(0.0, end);
        if step <= top && top > 0.0 {
            anneal(first, 1.0, step / top)
        } else if end > top {
            anneal(1.0, last, (step - top) / (end - top))
        } else {
            1.0
        }
    }
}

/// Goes from `from` to `to` along half a cosine wave, `share` being from 0 to 1.
fn anneal(from: f64, to: f64, share: f64) -> f64 {
    to + (from - to) / 2.0 * (1.0 + (PI * share).cos())
}
