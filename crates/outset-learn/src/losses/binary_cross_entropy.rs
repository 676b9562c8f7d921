//! Cross-entropy of labels that are each true or false, as `torch.nn.BCEWithLogitsLoss`.

use super::{Objective, Targets, softplus, weighted};
use burn::tensor::Tensor;
use outset_spec::{Bounds, settings};

settings! {
    /// Binary cross-entropy: `−(q z ln p + (1 − z) ln(1 − p))` for label `z`, `p` the sigmoid of the logit.
    pub struct BinaryCrossEntropy {
        /// How much a label that is true counts beside one that is not (`q`).
        positive_weight: f64 = 1.0, in Bounds::at_least(0.0);
    }
}

impl Objective for BinaryCrossEntropy {
    fn forward(&self, predictions: Tensor<2>, targets: Targets, weights: Tensor<1>) -> Tensor<1> {
        let outputs = predictions.dims()[1];
        let truth = targets.values(outputs);
        // −ln p = softplus(−x) = softplus(x) − x, and −ln(1 − p) = softplus(x).
        let missed = softplus(predictions.clone().neg()) * truth.clone() * self.positive_weight;
        weighted(missed + softplus(predictions) * (truth.neg() + 1.0), weights)
    }
}
