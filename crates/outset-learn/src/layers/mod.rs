//! Layers with their first weights: single operations of `outset-ops`, drawn from the network's own generator.

mod conv;
mod drop_path;
mod whitened;

pub use conv::{Brick, ConvNorm};
pub use drop_path::drop_path;
pub use whitened::Whitened;

use crate::activations::Activation;
use crate::init::Init;
use crate::initializers::Initializer;
use burn::module::{Module, Param};
use burn::tensor::Tensor;

/// A linear map with bias and activation: `act(x W + b)`.
#[derive(Module, Debug)]
pub struct Linear {
    /// `[inputs, outputs]`.
    weight: Param<Tensor<2>>,
    /// `[outputs]`.
    bias: Param<Tensor<1>>,
}

impl Linear {
    /// Draws weights by the initializer, or as PyTorch's `nn.Linear` does, evenly within `±1/√inputs`; biases begin
    /// at 0.
    pub fn new(inputs: usize, outputs: usize, initializer: Option<&Initializer>, init: &mut Init) -> Self {
        let weight = match initializer {
            Some(initializer) => init.draw(initializer, inputs, outputs),
            None => init.uniform([inputs, outputs], 1.0 / (inputs.max(1) as f64).sqrt()),
        };
        Self { weight, bias: init.constant([outputs], 0.0) }
    }

    /// Maps a batch, `[rows, inputs]` to `[rows, outputs]`.
    pub fn forward(&self, x: Tensor<2>, activation: Activation) -> Tensor<2> {
        activation.of_linear(x, self.weight.val(), Some(self.bias.val()))
    }
}

/// Layer normalisation over the features of each row (Ba et al. 2016, <https://arxiv.org/abs/1607.06450>).
#[derive(Module, Debug)]
pub struct LayerNorm {
    gamma: Param<Tensor<1>>,
    beta: Param<Tensor<1>>,
}

impl LayerNorm {
    /// Makes the normalisation of `features` features.
    pub fn new(features: usize, init: &mut Init) -> Self {
        Self { gamma: init.constant([features], 1.0), beta: init.constant([features], 0.0) }
    }

    /// Normalises a batch, `[rows, features]`.
    pub fn forward(&self, x: Tensor<2>) -> Tensor<2> {
        outset_ops::layer_norm(x, self.gamma.val(), self.beta.val(), 1e-5)
    }
}
