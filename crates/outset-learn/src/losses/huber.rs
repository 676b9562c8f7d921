//! Huber's loss, as `torch.nn.HuberLoss`.

use super::{Objective, Targets, weighted};
use burn::tensor::Tensor;
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
        let outputs = predictions.dims()[1];
        let error = (predictions - targets.values(outputs)).abs();
        let small = error.clone().clamp_max(self.delta);
        weighted(small.clone() * small.clone() * 0.5 + (error - small) * self.delta, weights)
    }
}
