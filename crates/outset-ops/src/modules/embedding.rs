//! A table of learned rows.

use crate::embedding;
use burn::module::{Module, Param};
use burn::tensor::{Device, Distribution, Int, Tensor};

/// Rows looked up by their number.
#[derive(Debug, Module)]
pub struct Embedding {
    /// `[rows, width]`.
    pub weight: Param<Tensor<2>>,
}

impl Embedding {
    /// Draws a table from the standard normal distribution, as PyTorch's `nn.Embedding` does.
    pub fn new(rows: usize, width: usize, device: &Device) -> Embedding {
        let table = Tensor::random([rows, width], Distribution::Normal(0.0, 1.0), device);
        Embedding {
            weight: Param::from_tensor(table),
        }
    }

    /// Returns `[n, width]` for `indices [n]`.
    pub fn forward(&self, indices: Tensor<1, Int>) -> Tensor<2> {
        embedding(self.weight.val(), indices)
    }

    /// Returns `[batch, time, width]` for `indices [batch, time]`.
    pub fn forward_sequence(&self, indices: Tensor<2, Int>) -> Tensor<3> {
        let [batch, time] = indices.dims();
        let width = self.weight.dims()[1];
        self.forward(indices.reshape([batch * time]))
            .reshape([batch, time, width])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sequences_keep_their_shape() {
        let device = Device::flex();
        let table = Embedding::new(5, 3, &device);
        let rows = table.forward_sequence(Tensor::from_data([[0, 1], [4, 4], [2, 3]], &device));
        assert_eq!(rows.dims(), [3, 2, 3]);
    }
}
