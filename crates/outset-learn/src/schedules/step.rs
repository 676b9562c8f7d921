//! Drops by a factor, as `torch.optim.lr_scheduler.StepLR`.

use super::Shape;
use outset_spec::{Bounds, settings};

settings! {
    /// The rate is multiplied by `gamma` every `step_size` steps.
    pub struct Step {
        /// Steps between two drops; a third of all where left out.
        step_size: Option<usize> = None, in Bounds::at_least(1.0);
        /// Factor of a drop.
        gamma: f64 = 0.1, in Bounds::between(0.0, 1.0);
    }
}

impl Shape for Step {
    fn factor(&self, step: usize, total: usize) -> f64 {
        let size = self.step_size.unwrap_or(total.div_ceil(3)).max(1);
        self.gamma.powf((step / size) as f64)
    }
}
