//! No hidden layer: the features go to the decoders as they are, which makes linear and logistic regression.

use super::{Given, Vectors};
use crate::init::Init;
use burn::module::Module;
use burn::tensor::Tensor;
use outset_spec::{Problems, settings};

settings! {
    /// Settings of the linear model.
    pub struct Settings {}
}

impl Settings {
    /// There is nothing to fill in.
    pub(super) fn resolve(self, _: Given, _: &mut Problems) -> Self {
        self
    }
}

/// Passes features through.
#[derive(Module, Debug)]
pub struct Combiner {
    #[module(skip)]
    width: usize,
}

impl Combiner {
    /// Makes the combiner of `width` features.
    pub fn new(_: &Settings, width: usize, _: &mut Init) -> Self {
        Self { width }
    }

    /// Features of the representation.
    pub fn width(&self) -> usize {
        self.width
    }

    /// Members of the ensemble.
    pub fn members(&self) -> usize {
        1
    }

    /// Passes the features on.
    pub fn forward(&self, features: Tensor<2>, _: Option<u64>) -> Vectors {
        Vectors { values: features, members: 1 }
    }
}
