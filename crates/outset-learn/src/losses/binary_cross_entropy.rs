//! Cross-entropy of labels that are each true or false, as `torch.nn.BCEWithLogitsLoss`.

use super::{Objective, Targets};
use burn::tensor::Tensor;
use outset_ops::{Pointwise, pointwise_loss};
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
        let truth = targets.values(predictions.dims()[1]);
        pointwise_loss(Pointwise::BinaryCrossEntropy(self.positive_weight), predictions, truth, Some(weights))
    }
}
