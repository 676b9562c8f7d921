//! Any of several labels: a raw output for each, of which the sigmoid makes a probability.

use super::{Decode, Head};
use crate::init::Init;
use crate::losses::Loss;
use burn::module::Module;
use burn::tensor::Tensor;
use outset_data::FittedOutput;
use outset_ops::sigmoid;
use outset_spec::{Bounds, Problems, Section, settings};

settings! {
    /// Settings of a set of labels to predict.
    pub struct Settings {
        /// What is minimised: `binary_cross_entropy` or `focal`.
        loss: Section = Section::of("binary_cross_entropy");
        /// How much this output's loss counts beside those of other outputs.
        weight: f64 = 1.0, in Bounds::at_least(0.0);
    }
}

/// Decodes a set.
#[derive(Module, Debug)]
pub struct Decoder {
    head: Head,
    #[module(skip)]
    loss: Loss,
}

impl Decoder {
    /// Makes the decoder of a fitted output.
    pub fn new(output: &FittedOutput, loss: Loss, members: usize, features: usize, init: &mut Init) -> Self {
        Self { head: Head::new(members, features, output.classes().len(), init), loss }
    }
}

impl Decode for Decoder {
    fn head(&self) -> &Head {
        &self.head
    }

    fn criterion(&self) -> &Loss {
        &self.loss
    }

    /// Raw outputs to probabilities, each for itself.
    fn activate(raw: Tensor<2>) -> Tensor<2> {
        sigmoid(raw)
    }
}

/// Reads the loss, which must be one of labels.
pub(super) fn loss(settings: &Settings, path: &str, problems: &mut Problems) -> Loss {
    Loss::read(&settings.loss, path, &["binary_cross_entropy", "focal"], problems)
}
