//! A first layer of pictures that is computed, not learned: filters that whiten patches, each with its negative.

use crate::init::Init;
use burn::module::{Module, Param};
use burn::tensor::{Tensor, TensorData, ops::PadMode};
use outset_ops::{Convolution, conv2d, relu};

/// Filters that whiten 2 × 2 patches, a bias that is learned, and ReLU (Jordan 2024,
/// <https://arxiv.org/abs/2404.00498>).
#[derive(Module, Debug)]
pub struct Whitened {
    /// `[8 · channels, channels, 2, 2]`, without gradients.
    weight: Param<Tensor<4>>,
    /// `[8 · channels]`.
    bias: Param<Tensor<1>>,
}

impl Whitened {
    /// Takes filters `[4 · channels, channels, 2, 2]`; none where the weights are read from a file later.
    pub fn new(filters: &[f32], channels: usize, init: &mut Init) -> Self {
        let outputs = Self::outputs(channels);
        let mut values: Vec<f32> =
            filters.iter().copied().chain(filters.iter().map(|value| -value)).collect();
        values.resize(outputs * channels * 4, 0.0);
        let data = TensorData::new(values, [outputs, channels, 2, 2]);
        let weight = Param::from_tensor(Tensor::from_data(data, init.device()));
        Self { weight: weight.set_require_grad(false), bias: init.constant([outputs], 0.0) }
    }

    /// Channels that come out.
    pub fn outputs(channels: usize) -> usize {
        8 * channels
    }

    /// `[batch, channels, height, width]` to `[batch, outputs, height, width]`; a patch beyond the right or lower edge sees
    /// the mean colour there. So the sides of the maps stay powers of two where the picture's are, which is faster.
    pub fn forward(&self, x: Tensor<4>) -> Tensor<4> {
        let x = x.pad((0, 1, 0, 1), PadMode::Constant(0.0));
        let map = conv2d(x, self.weight.val(), Some(self.bias.val()), Convolution::default());
        relu(map)
    }
}
