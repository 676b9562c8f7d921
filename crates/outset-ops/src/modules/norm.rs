//! Normalisation of each example, with its scale and shift.

use crate::{group_norm, layer_norm, rms_norm};
use burn::module::{Module, Param};
use burn::tensor::{Device, Tensor};

/// Layer normalisation (arXiv 1607.06450).
#[derive(Debug, Module)]
pub struct LayerNorm {
    /// `[width]`, ones at first.
    pub gamma: Param<Tensor<1>>,
    /// `[width]`, zeros at first.
    pub beta: Param<Tensor<1>>,
    epsilon: f64,
}

impl LayerNorm {
    /// Normalises rows of `width` values, with PyTorch's epsilon of 1e-5.
    pub fn new(width: usize, device: &Device) -> LayerNorm {
        LayerNorm {
            gamma: Param::from_tensor(Tensor::ones([width], device)),
            beta: Param::from_tensor(Tensor::zeros([width], device)),
            epsilon: 1e-5,
        }
    }

    /// Returns `x [.., width]` normalised.
    pub fn forward<const D: usize>(&self, x: Tensor<D>) -> Tensor<D> {
        layer_norm(x, self.gamma.val(), self.beta.val(), self.epsilon)
    }
}

/// Root-mean-square normalisation (arXiv 1910.07467).
#[derive(Debug, Module)]
pub struct RmsNorm {
    /// `[width]`, ones at first.
    pub gamma: Param<Tensor<1>>,
    epsilon: f64,
}

impl RmsNorm {
    /// Normalises rows of `width` values, with an epsilon of 1e-6.
    pub fn new(width: usize, device: &Device) -> RmsNorm {
        RmsNorm { gamma: Param::from_tensor(Tensor::ones([width], device)), epsilon: 1e-6 }
    }

    /// Returns `x [.., width]` normalised.
    pub fn forward<const D: usize>(&self, x: Tensor<D>) -> Tensor<D> {
        rms_norm(x, self.gamma.val(), self.epsilon)
    }
}

/// Group normalisation of `[batch, channels, ..]` (arXiv 1803.08494).
#[derive(Debug, Module)]
pub struct GroupNorm {
    /// `[channels]`, ones at first.
    pub gamma: Param<Tensor<1>>,
    /// `[channels]`, zeros at first.
    pub beta: Param<Tensor<1>>,
    groups: usize,
    epsilon: f64,
}

impl GroupNorm {
    /// Normalises `channels` channels in `groups` groups, with PyTorch's epsilon of 1e-5.
    pub fn new(groups: usize, channels: usize, device: &Device) -> GroupNorm {
        GroupNorm {
            gamma: Param::from_tensor(Tensor::ones([channels], device)),
            beta: Param::from_tensor(Tensor::zeros([channels], device)),
            groups,
            epsilon: 1e-5,
        }
    }

    /// Returns `x [batch, channels, ..]` normalised.
    pub fn forward<const D: usize>(&self, x: Tensor<D>) -> Tensor<D> {
        group_norm(
            x,
            self.groups,
            self.gamma.val(),
            self.beta.val(),
            self.epsilon,
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::wide;

    #[test]
    fn rows_come_out_normalised() {
        let device = Device::flex();
        let x = Tensor::<2>::from_data([[1.0, 2.0, 3.0], [-4.0, 0.0, 4.0]], &device);
        let y = wide(LayerNorm::new(3, &device).forward(x.clone()));
        assert!((y[0] + y[2]).abs() < 1e-6 && (y[2] - 1.5f64.sqrt()).abs() < 1e-4);
        let y = wide(RmsNorm::new(3, &device).forward(x));
        assert!((y.iter().map(|v| v * v).sum::<f64>() - 6.0).abs() < 1e-4);
    }
}
