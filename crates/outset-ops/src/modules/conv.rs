//! Convolution layers.

use super::uniform;
use crate::{Convolution, conv_transposed2d, conv1d, conv2d};
use burn::module::{Module, Param};
use burn::tensor::{Device, Tensor};

/// Convolution over images, `[batch, channels, height, width]`.
#[derive(Debug, Module)]
pub struct Conv2d {
    /// `[outputs, channels / groups, kernel height, kernel width]`, as PyTorch's.
    pub weight: Param<Tensor<4>>,
    /// `[outputs]`.
    pub bias: Option<Param<Tensor<1>>>,
    #[module(skip)]
    how: Convolution,
}

impl Conv2d {
    /// Draws weight and bias as PyTorch's `nn.Conv2d` does, from the device's random numbers.
    pub fn new(
        channels: usize,
        outputs: usize,
        kernel: [usize; 2],
        how: Convolution,
        bias: bool,
        device: &Device,
    ) -> Conv2d {
        let channels = channels / how.groups.max(1);
        let inputs = channels * kernel[0] * kernel[1];
        Conv2d {
            weight: uniform([outputs, channels, kernel[0], kernel[1]], inputs, device),
            bias: bias.then(|| uniform([outputs], inputs, device)),
            how,
        }
    }

    /// Convolves the images.
    pub fn forward(&self, x: Tensor<4>) -> Tensor<4> {
        conv2d(x, self.weight.val(), self.bias.as_ref().map(Param::val), self.how)
    }
}

/// Convolution over sequences, `[batch, channels, time]`.
#[derive(Debug, Module)]
pub struct Conv1d {
    /// `[outputs, channels / groups, kernel]`, as PyTorch's.
    pub weight: Param<Tensor<3>>,
    /// `[outputs]`.
    pub bias: Option<Param<Tensor<1>>>,
    #[module(skip)]
    how: Convolution,
}

impl Conv1d {
    /// Draws weight and bias as PyTorch's `nn.Conv1d` does; only the second of each pair in `how` counts.
    pub fn new(
        channels: usize,
        outputs: usize,
        kernel: usize,
        how: Convolution,
        bias: bool,
        device: &Device,
    ) -> Conv1d {
        let channels = channels / how.groups.max(1);
        let inputs = channels * kernel;
        Conv1d {
            weight: uniform([outputs, channels, kernel], inputs, device),
            bias: bias.then(|| uniform([outputs], inputs, device)),
            how,
        }
    }

    /// Convolves the sequences.
    pub fn forward(&self, x: Tensor<3>) -> Tensor<3> {
        conv1d(x, self.weight.val(), self.bias.as_ref().map(Param::val), self.how)
    }
}

/// Transposed convolution, which makes images larger, `[batch, channels, height, width]`.
#[derive(Debug, Module)]
pub struct ConvTransposed2d {
    /// `[channels, outputs / groups, kernel height, kernel width]`, as PyTorch's.
    pub weight: Param<Tensor<4>>,
    /// `[outputs]`.
    pub bias: Option<Param<Tensor<1>>>,
    #[module(skip)]
    how: Convolution,
    #[module(skip)]
    extra: [usize; 2],
}

impl ConvTransposed2d {
    /// Draws weight and bias as PyTorch's `nn.ConvTranspose2d` does, from the device's random numbers; `extra` rows and
    /// columns are its `output_padding`.
    pub fn new(
        [channels, outputs]: [usize; 2],
        kernel: [usize; 2],
        how: Convolution,
        extra: [usize; 2],
        bias: bool,
        device: &Device,
    ) -> ConvTransposed2d {
        let outputs_of_group = outputs / how.groups.max(1);
        let inputs = outputs_of_group * kernel[0] * kernel[1];
        ConvTransposed2d {
            weight: uniform([channels, outputs_of_group, kernel[0], kernel[1]], inputs, device),
            bias: bias.then(|| uniform([outputs], inputs, device)),
            how,
            extra,
        }
    }

    /// Convolves the images.
    pub fn forward(&self, x: Tensor<4>) -> Tensor<4> {
        let bias = self.bias.as_ref().map(Param::val);
        conv_transposed2d(x, self.weight.val(), bias, self.how, self.extra)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shapes_follow_stride_and_padding() {
        let device = Device::flex().autodiff();
        let how = Convolution { stride: [2, 2], padding: [1, 1], ..Convolution::default() };
        let images = Tensor::<4>::ones([2, 3, 8, 6], &device);
        assert_eq!(Conv2d::new(3, 5, [3, 3], how, true, &device).forward(images).dims(), [2, 5, 4, 3]);
        let small = Tensor::<4>::ones([2, 3, 4, 3], &device);
        let up = ConvTransposed2d::new([3, 5], [3, 3], how, [1, 1], true, &device);
        assert_eq!(up.forward(small).dims(), [2, 5, 8, 6]);
        let sequences = Tensor::<3>::ones([2, 3, 9], &device);
        assert_eq!(Conv1d::new(3, 5, 3, how, false, &device).forward(sequences).dims(), [2, 5, 5]);
    }
}
