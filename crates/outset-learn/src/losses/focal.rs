//! Focal loss.

use super::{ClassWeights, Objective, Targets, weighted};
use burn::tensor::Tensor;
use outset_ops::{log_softmax, softplus};
use outset_spec::{Bounds, settings};

settings! {
    /// Focal loss: `−(1 − p)^γ ln p`, `p` the probability of the truth. <https://arxiv.org/abs/1708.02002>
    ///
    /// Over classes `p` is the softmax's, over labels the sigmoid's. γ = 0 is cross-entropy.
    pub struct Focal {
        /// How much less rows count that are right already (γ).
        gamma: f64 = 2.0, in Bounds::at_least(0.0);
        /// Weight of labels that are true, one minus it of those that are not; left out, both count alike.
        alpha: Option<f64> = None, in Bounds::between(0.0, 1.0);
        /// How much each class counts: `"none"`, `"balanced"` or `{ class = weight }`.
        class_weights: ClassWeights = ClassWeights::default();
    }
}

impl Objective for Focal {
    fn forward(&self, predictions: Tensor<2>, targets: Targets, weights: Tensor<1>) -> Tensor<1> {
        match targets {
            Targets::Classes(target) => {
                let rows = predictions.dims()[0];
                let log_probabilities = log_softmax(predictions);
                let weights = self.class_weights.weigh(weights, &target, &log_probabilities);
                let picked: Tensor<1> =
                    log_probabilities.gather(1, target.reshape([rows, 1])).reshape([rows]);
                // A sure answer rounds to `1 − p = 0`, where a power below 1 has no slope.
                let doubt = (picked.clone().exp().neg() + 1.0).clamp_min(1e-7);
                (doubt.powf_scalar(self.gamma) * picked * weights).sum().neg()
            }
            Targets::Values(truth) => {
                let falsehood = truth.clone().neg() + 1.0;
                let (yes, no) = match self.alpha {
                    Some(alpha) => (truth * alpha, falsehood * (1.0 - alpha)),
                    None => (truth, falsehood),
                };
                // −ln p and −ln(1 − p); a power of p is the exponential of a multiple of its logarithm.
                let (miss, alarm) = (softplus(predictions.clone().neg()), softplus(predictions));
                let missed = (alarm.clone() * -self.gamma).exp() * miss.clone() * yes;
                let alarmed = (miss * -self.gamma).exp() * alarm * no;
                weighted(missed + alarmed, weights)
            }
        }
    }
}
