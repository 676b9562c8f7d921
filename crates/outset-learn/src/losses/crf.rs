//! The loss of a linear-chain conditional random field.

use super::{CrossEntropy, Objective, Targets};
use burn::tensor::Tensor;
use outset_spec::settings;

settings! {
    /// Minus the logarithm of the share of the true tags among all sequences of tags, per step.
    ///
    /// A sequence's score is the sum of its tags' raw outputs and of learned numbers for each pair of tags that follow
    /// each other; of a single step it is the cross-entropy.
    pub struct Crf {}
}

impl Objective for Crf {
    fn forward(&self, predictions: Tensor<2>, targets: Targets, weights: Tensor<1>) -> Tensor<1> {
        CrossEntropy::default().forward(predictions, targets, weights)
    }
}
