//! Cross-entropy over classes, as `torch.nn.CrossEntropyLoss`.

use super::{ClassWeights, Objective, Targets, one_hot};
use burn::tensor::Tensor;
use outset_spec::{Bounds, settings};

settings! {
    /// Cross-entropy: `−ln p` of the true class, `p` the softmax of the logits.
    ///
    /// With class weights `c` the rows' weights `r` become `r c / Σ r c`. Label smoothing ε takes the share `1 − ε` of
    /// that and ε of the mean over all classes of `−c ln p`, over the same divisor.
    pub struct CrossEntropy {
        /// How much each class counts: `"none"`, `"balanced"` or `{ class = weight }`.
        class_weights: ClassWeights = ClassWeights::default();
        /// Share of the target that is spread over all classes.
        label_smoothing: f64 = 0.0, in Bounds::between(0.0, 1.0);
    }
}

impl Objective for CrossEntropy {
    fn forward(&self, predictions: Tensor<2>, targets: Targets, weights: Tensor<1>) -> Tensor<1> {
        match targets {
            Targets::Classes(target)
                if self.label_smoothing == 0.0 || self.class_weights.values().is_none() =>
            {
                let weights = self.class_weights.weigh(weights, &target, &predictions);
                // The operation divides by the sum of the weights.
                let total = weights.clone().sum();
                outset_ops::cross_entropy(predictions, target, Some(weights), self.label_smoothing) * total
            }
            Targets::Classes(target) => {
                let classes = predictions.dims()[1];
                let weights = self.class_weights.divide(weights, &target, &predictions);
                self.spread(predictions, one_hot(target, classes), weights)
            }
            Targets::Values(shares) => self.spread(predictions, shares, weights),
        }
    }
}

impl CrossEntropy {
    /// Cross-entropy to shares of the classes `[rows, classes]`, each class's term multiplied by the class's weight.
    fn spread(&self, predictions: Tensor<2>, shares: Tensor<2>, weights: Tensor<1>) -> Tensor<1> {
        let [rows, classes] = predictions.dims();
        let mut shares = shares * (1.0 - self.label_smoothing) + self.label_smoothing / classes as f64;
        if let Some(row) = self.class_weights.row(&predictions) {
            shares = shares * row;
        }
        let per_row: Tensor<1> = (outset_ops::log_softmax(predictions) * shares).sum_dim(1).reshape([rows]);
        (per_row * weights).sum().neg()
    }
}
