//! The feed-forward layer of a Transformer.

use super::Linear;
use crate::Activation;
use burn::module::Module;
use burn::tensor::{Device, Tensor};

/// Two linear maps with a wide hidden layer between: `GELU(x U) D` (arXiv 1706.03762, 1606.08415), or with a gate
/// `(SiLU(x G) ∘ x U) D` (SwiGLU, arXiv 2002.05202).
#[derive(Debug, Module)]
pub struct FeedForward {
    /// `[width, hidden]`, for the gated kind.
    pub gate: Option<Linear>,
    /// `[width, hidden]`.
    pub up: Linear,
    /// `[hidden, width]`.
    pub down: Linear,
}

impl FeedForward {
    /// Draws the weights as PyTorch's `nn.Linear` does.
    pub fn new(width: usize, hidden: usize, gated: bool, bias: bool, device: &Device) -> FeedForward {
        FeedForward {
            gate: gated.then(|| Linear::new(width, hidden, bias, device)),
            up: Linear::new(width, hidden, bias, device),
            down: Linear::new(hidden, width, bias, device),
        }
    }

    /// Returns `[.., width]` for `x [.., width]`.
    pub fn forward<const D: usize>(&self, x: Tensor<D>) -> Tensor<D> {
        let hidden = match &self.gate {
            None => self.up.forward_with(x, Activation::Gelu),
            Some(gate) => gate.forward_with(x.clone(), Activation::Silu) * self.up.forward(x),
        };
        self.down.forward(hidden)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn either_kind_keeps_the_shape() {
        let device = Device::flex().autodiff();
        for gated in [false, true] {
            let layer = FeedForward::new(4, 10, gated, true, &device);
            assert_eq!(layer.forward(Tensor::<3>::ones([2, 5, 4], &device)).dims(), [2, 5, 4]);
        }
    }
}
