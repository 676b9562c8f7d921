//! Mean squared error, as `torch.nn.MSELoss`.

use super::{Objective, Targets, weighted};
use burn::tensor::Tensor;
use outset_spec::settings;

settings! {
    /// Mean squared error: the mean of `(prediction − target)²`.
    pub struct MeanSquaredError {}
}

impl Objective for MeanSquaredError {
    fn forward(&self, predictions: Tensor<2>, targets: Targets, weights: Tensor<1>) -> Tensor<1> {
        let outputs = predictions.dims()[1];
        let error = predictions - targets.values(outputs);
        weighted(error.clone() * error, weights)
    }
}
