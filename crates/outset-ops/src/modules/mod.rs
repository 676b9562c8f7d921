//! Modules around an operation: parameters and their initial values.

mod attention;
mod batch_norm;
mod conv;
mod embedding;
mod feed_forward;
mod linear;
mod member_linear;
mod norm;
mod recurrent;

pub use attention::Attention;
pub use batch_norm::BatchNorm;
pub use conv::{Conv1d, Conv2d, ConvTransposed2d};
pub use embedding::Embedding;
pub use feed_forward::FeedForward;
pub use linear::Linear;
pub use member_linear::MemberLinear;
pub use norm::{GroupNorm, LayerNorm, RmsNorm};
pub use recurrent::{Gru, Lstm};

use burn::module::Param;
use burn::tensor::{Device, Distribution, Tensor};

/// Returns a parameter drawn evenly from `±1 / sqrt(inputs)`: what PyTorch's `nn.Linear` does, there written as
/// Kaiming's uniform initialisation (arXiv 1502.01852) with a slope of `sqrt(5)`.
fn uniform<const D: usize>(shape: [usize; D], inputs: usize, device: &Device) -> Param<Tensor<D>> {
    let bound = 1.0 / (inputs.max(1) as f64).sqrt();
    Param::from_tensor(Tensor::random(shape, Distribution::Uniform(-bound, bound), device))
}
