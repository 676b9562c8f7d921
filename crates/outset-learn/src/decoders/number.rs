//! A number: one raw output in units of the target's standard deviation.

use super::{Decode, Head};
use crate::init::Init;
use crate::losses::Loss;
use burn::module::Module;
use outset_data::FittedOutput;
use outset_spec::{Bounds, Problems, Section, settings};

settings! {
    /// Settings of a number to predict.
    pub struct Settings {
        /// What is minimised: `mean_squared_error`, `mean_absolute_error` or `huber`.
        loss: Section = Section::of("mean_squared_error");
        /// How much this output's loss counts beside those of other outputs.
        weight: f64 = 1.0, in Bounds::at_least(0.0);
    }
}

/// Decodes a number.
#[derive(Module, Debug)]
pub struct Decoder {
    head: Head,
    #[module(skip)]
    loss: Loss,
}

impl Decoder {
    /// Makes the decoder of a fitted output.
    pub fn new(_: &FittedOutput, loss: Loss, members: usize, features: usize, init: &mut Init) -> Self {
        Self { head: Head::new(members, features, 1, init), loss }
    }
}

impl Decode for Decoder {
    fn head(&self) -> &Head {
        &self.head
    }

    fn criterion(&self) -> &Loss {
        &self.loss
    }
}

/// Reads the loss, which must be one of numbers.
pub(super) fn loss(settings: &Settings, path: &str, problems: &mut Problems) -> Loss {
    Loss::read(&settings.loss, path, &["mean_squared_error", "mean_absolute_error", "huber"], problems)
}
