//! Functions between layers.

use burn::tensor::Tensor;
use outset_ops::{linear, softmax};
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
    /// Returns `act(x W + b)`, for `x [rows, inputs]`, `W [inputs, outputs]`, `b [outputs]`.
    pub fn of_linear(self, x: Tensor<2>, weight: Tensor<2>, bias: Option<Tensor<1>>) -> Tensor<2> {
        let of_each_value = match self {
            Self::Sigmoid => outset_ops::Activation::Sigmoid,
            Self::Tanh => outset_ops::Activation::Tanh,
            Self::Relu => outset_ops::Activation::Relu,
            Self::LeakyRelu => outset_ops::Activation::LeakyRelu(0.01),
            Self::Gelu => outset_ops::Activation::Gelu,
            Self::Silu => outset_ops::Activation::Silu,
            Self::Softmax => return softmax(linear(x, weight, bias, outset_ops::Activation::Identity)),
        };
        linear(x, weight, bias, of_each_value)
    }
}
