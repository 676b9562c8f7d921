//! A linear map with bias and activation.

use super::uniform;
use crate::{Activation, linear, linear_adding};
use burn::module::{Module, Param};
use burn::tensor::{Device, Tensor};

/// `act(x W + b)`; the activation is given in the forward pass.
#[derive(Debug, Module)]
pub struct Linear {
    /// `[inputs, outputs]`, the transpose of PyTorch's.
    pub weight: Param<Tensor<2>>,
    /// `[outputs]`.
    pub bias: Option<Param<Tensor<1>>>,
}

impl Linear {
    /// Draws weight and bias as PyTorch's `nn.Linear` does, from the device's random numbers.
    pub fn new(inputs: usize, outputs: usize, bias: bool, device: &Device) -> Linear {
        Linear {
            weight: uniform([inputs, outputs], inputs, device),
            bias: bias.then(|| uniform([outputs], inputs, device)),
        }
    }

    /// Returns `x W + b` for `x [.., inputs]`.
    pub fn forward<const D: usize>(&self, x: Tensor<D>) -> Tensor<D> {
        self.forward_with(x, Activation::Identity)
    }

    /// Returns `act(x W + b)` for `x [.., inputs]`, in one pass.
    pub fn forward_with<const D: usize>(&self, x: Tensor<D>, activation: Activation) -> Tensor<D> {
        linear(x, self.weight.val(), self.bias.as_ref().map(Param::val), activation)
    }

    /// Returns `x W + b + path` for `x [.., inputs]` and `path [.., outputs]`, in one pass where there is a bias.
    pub fn forward_adding<const D: usize>(&self, x: Tensor<D>, path: Tensor<D>) -> Tensor<D> {
        match &self.bias {
            Some(bias) => linear_adding(x, self.weight.val(), bias.val(), path),
            None => self.forward(x) + path,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::wide;

    #[test]
    fn starts_within_the_bound_and_spread_over_it() {
        let layer = Linear::new(100, 50, true, &Device::flex());
        for values in [wide(layer.weight.val()), wide(layer.bias.unwrap().val())] {
            assert!(values.iter().all(|v| v.abs() <= 0.1));
            assert!(values.iter().any(|v| *v > 0.05) && values.iter().any(|v| *v < -0.05));
        }
    }

    #[test]
    fn the_forward_pass_keeps_the_leading_sizes() {
        let device = Device::flex().autodiff();
        let layer = Linear::new(4, 3, false, &device);
        assert_eq!(layer.forward(Tensor::<3>::ones([2, 5, 4], &device)).dims(), [2, 5, 3]);
    }
}
