//! Huber's loss, as `torch.nn.HuberLoss`.

use super::{Objective, Targets};
use burn::tensor::Tensor;
use outset_ops::{Pointwise, pointwise_loss};
use outset_spec::{Bounds, settings};

settings! {
    /// Huber's loss: `e² / 2` for errors up to δ, `δ (|e| − δ / 2)` beyond. <https://doi.org/10.1214/aoms/1177703732>
    pub struct Huber {
        /// Error from which on the loss grows in a straight line, in standard deviations of the target.
        delta: f64 = 1.0, in Bounds::above(0.0);
    }
}

impl Objective for Huber {
    fn forward(&self, predictions: Tensor<2>, targets: Targets, weights: Tensor<1>) -> Tensor<1> {
        let targets = targets.values(predictions.dims()[1]);
        pointwise_loss(Pointwise::Huber(self.delta), predictions, targets, Some(weights))
    }
}
