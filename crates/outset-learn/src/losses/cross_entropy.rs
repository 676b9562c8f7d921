//! Cross-entropy over classes, as `torch.nn.CrossEntropyLoss`.

use super::{ClassWeights, Objective, Targets};
use burn::tensor::{Tensor, activation};
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
        let [rows, classes] = predictions.dims();
        let log_probabilities = activation::log_softmax(predictions, 1);
        let scale = self.class_weights.row(&log_probabilities);
        match targets {
            Targets::Classes(target) => {
                let weighed = self.class_weights.weigh(weights.clone(), &target, &log_probabilities);
                let index = target.clone().reshape([rows, 1]);
                let picked: Tensor<1> = log_probabilities.clone().gather(1, index).reshape([rows]);
                let loss = (picked * weighed).sum().neg();
                if self.label_smoothing == 0.0 {
                    return loss;
                }
                // The divisor `Σ r c` of `weigh` again, for the part that is spread over all classes.
                let (spread, divisor) = match scale {
                    None => (log_probabilities, None),
                    Some(row) => {
                        let of_target = row.clone().reshape([classes]).select(0, target);
                        (log_probabilities * row, Some((weights.clone() * of_target).sum()))
                    }
                };
                let spread: Tensor<1> = spread.sum_dim(1).reshape([rows]);
                let mut smooth = (spread * weights).sum().neg() / classes as f64;
                if let Some(divisor) = divisor {
                    smooth = smooth / divisor;
                }
                loss * (1.0 - self.label_smoothing) + smooth * self.label_smoothing
            }
            Targets::Values(shares) => {
                let mut shares =
                    shares * (1.0 - self.label_smoothing) + self.label_smoothing / classes as f64;
                if let Some(row) = scale {
                    shares = shares * row;
                }
                let per_row: Tensor<1> = (log_probabilities * shares).sum_dim(1).reshape([rows]);
                (per_row * weights).sum().neg()
            }
        }
    }
}
