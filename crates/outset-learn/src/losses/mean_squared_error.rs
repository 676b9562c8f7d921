//! Mean squared error, as `torch.nn.MSELoss`.

use super::{Objective, Targets};
use burn::tensor::Tensor;
use outset_ops::{Pointwise, pointwise_loss};
use outset_spec::settings;

settings! {
    /// Mean squared error: the mean of `(prediction − target)²`.
    pub struct MeanSquaredError {}
}

impl Objective for MeanSquaredError {
    fn forward(&self, predictions: Tensor<2>, targets: Targets, weights: Tensor<1>) -> Tensor<1> {
        let targets = targets.values(predictions.dims()[1]);
        pointwise_loss(Pointwise::Squared, predictions, targets, Some(weights))
    }
}
