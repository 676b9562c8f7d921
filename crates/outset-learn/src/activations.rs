//! Functions between layers.

use burn::tensor::{Tensor, activation};
use outset_spec::choices;

choices! {
    /// A function between layers.
    pub enum Activation {
        /// Logistic function `1 / (1 + e⁻ˣ)`: from 0 to 1.
        Sigmoid = "sigmoid",
        /// Hyperbolic tangent: from −1 to 1.
        Tanh = "tanh",
        /// Rectified linear unit: `max(0, x)`.
        Relu = "relu",
        /// Rectified linear unit that lets a hundredth of negative values through.
        LeakyRelu = "leaky_relu",
        /// Gaussian error linear unit `x Φ(x)`, exact. <https://arxiv.org/abs/1606.08415>
        Gelu = "gelu",
        /// Sigmoid linear unit `x / (1 + e⁻ˣ)`, also called Swish. <https://arxiv.org/abs/1710.05941>
        Silu = "silu",
        /// Softmax over each row: positive shares that sum to 1.
        Softmax = "softmax",
    }
}

impl Activation {
    /// The activation that the linear map's kernel applies itself, where it knows this one.
    pub fn fused(self) -> Option<outset_ops::Activation> {
        Some(match self {
            Self::Sigmoid => outset_ops::Activation::Sigmoid,
            Self::Tanh => outset_ops::Activation::Tanh,
            Self::Relu => outset_ops::Activation::Relu,
            Self::LeakyRelu => outset_ops::Activation::LeakyRelu(0.01),
            Self::Gelu => outset_ops::Activation::Gelu,
            Self::Silu => outset_ops::Activation::Silu,
            Self::Softmax => return None,
        })
    }

    /// Applies the function to a batch of rows `[rows, features]`.
    pub fn apply(self, tensor: Tensor<2>) -> Tensor<2> {
        match self {
            Self::Sigmoid => activation::sigmoid(tensor),
            Self::Tanh => activation::tanh(tensor),
            Self::Relu => activation::relu(tensor),
            // Burn's own has slope 1 at 0, PyTorch's 0.01.
            Self::LeakyRelu => activation::relu(tensor.clone()) * 0.99 + tensor * 0.01,
            Self::Gelu => activation::gelu(tensor),
            Self::Silu => activation::silu(tensor),
            Self::Softmax => activation::softmax(tensor, 1),
        }
    }
}
