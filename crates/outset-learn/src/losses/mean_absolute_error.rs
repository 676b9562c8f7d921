//! Mean absolute error, as `torch.nn.L1Loss`.

use super::{Objective, Targets};
use burn::tensor::Tensor;
use outset_ops::{Pointwise, pointwise_loss};
use outset_spec::settings;

settings! {
    /// Mean absolute error: the mean of `|prediction − target|`, with slope 0 where both are equal.
    pub struct MeanAbsoluteError {}
}

impl Objective for MeanAbsoluteError {
    fn forward(&self, predictions: Tensor<2>, targets: Targets, weights: Tensor<1>) -> Tensor<1> {
        let targets = targets.values(predictions.dims()[1]);
        pointwise_loss(Pointwise::Absolute, predictions, targets, Some(weights))
    }
}
