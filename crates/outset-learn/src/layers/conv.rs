//! Convolution with batch normalisation: the brick of networks that see.

use crate::init::Init;
use burn::module::{Module, Param};
use burn::tensor::Tensor;
use outset_ops::{BatchNorm, Convolution};

/// A convolution without bias whose output is normalised over the batch, and cut off below 0 where asked for.
#[derive(Module, Debug)]
pub struct ConvNorm {
    /// `[outputs, channels / groups, size, size]`.
    weight: Param<Tensor<4>>,
    norm: BatchNorm,
    #[module(skip)]
    how: Convolution,
}

/// What a [`ConvNorm`] is like.
#[derive(Clone, Copy, Debug)]
pub struct Brick {
    pub channels: usize,
    pub outputs: usize,
    /// Side of the kernel; the picture is padded by half of it.
    pub size: usize,
    pub stride: usize,
    /// Whether negative outputs are cut off.
    pub relu: bool,
    /// Whether the normalisation's scale begins at 0, so that a residual branch adds nothing at first.
    pub silent: bool,
}

impl Brick {
    /// A convolution of 3 × 3 pixels with stride 1 and ReLU.
    pub fn three(channels: usize, outputs: usize) -> Self {
        Self { channels, outputs, size: 3, stride: 1, relu: true, silent: false }
    }

    /// Draws the weights from a normal distribution that keeps the spread of what goes through ReLU (He et al. 2015,
    /// <https://arxiv.org/abs/1502.01852>).
    pub fn build(self, init: &mut Init) -> ConvNorm {
        let Self { channels, outputs, size, stride, relu, silent } = self;
        let inputs = channels * size * size;
        let mut norm = BatchNorm::new(outputs, init.device());
        norm.gamma = init.constant([outputs], if silent { 0.0 } else { 1.0 });
        ConvNorm {
            weight: init.normal([outputs, channels, size, size], (2.0 / inputs as f64).sqrt()),
            norm: if relu { norm.with_relu() } else { norm },
            how: Convolution { stride: [stride; 2], padding: [size / 2; 2], ..Convolution::default() },
        }
    }
}

impl ConvNorm {
    /// `[batch, channels, height, width]` to `[batch, outputs, …]`.
    pub fn forward(&self, x: Tensor<4>) -> Tensor<4> {
        self.norm.forward(self.convolved(x))
    }

    /// The same with the largest of each 2 × 2 places kept between convolution and normalisation.
    pub fn forward_pooled(&self, x: Tensor<4>) -> Tensor<4> {
        self.norm.forward(halved(self.convolved(x)))
    }

    fn convolved(&self, x: Tensor<4>) -> Tensor<4> {
        outset_ops::conv2d(x, self.weight.val(), None, self.how)
    }
}

/// The largest of each 2 × 2 places.
fn halved(x: Tensor<4>) -> Tensor<4> {
    let window = outset_ops::Window { kernel: [2, 2], stride: [2, 2], padding: [0, 0] };
    outset_ops::max_pool2d(x, window)
}
