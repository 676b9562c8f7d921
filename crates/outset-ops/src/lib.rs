//! The kernels of `outset-kernels` as differentiable operations on Burn tensors, and modules made of one of them.
//!
//! Every function here works on any device and float type. On Burn's CPU backend `flex` with `f32` it runs a fused
//! kernel, forward and backward; elsewhere (a GPU, `f64`) the same formula is composed of ordinary Burn operations.
//! Tensors of an autodiff device are tracked, others take the cheaper path that saves nothing.
//!
//! This is the only crate that names Burn's backend and extension types.

mod flex;
pub mod flops;
pub mod modules;
mod ops;
pub mod optim;
#[cfg(test)]
mod testing;
mod track;

pub use modules::{
    Attention, BatchNorm, Conv1d, Conv2d, ConvTransposed2d, Embedding, FeedForward, GroupNorm, Gru,
    LayerNorm, Linear, Lstm, MemberLinear, RmsNorm,
};
pub use ops::{
    activate::{relu, sigmoid},
    attention::{AttentionMask, attention, attention_of_rows, packed_attention},
    attention_cache::{KeyValueCache, attention_with_cache},
    bag::bag,
    batch_norm::{BatchNormed, batch_norm, batch_norm_train},
    conv::{Convolution, conv1d, conv2d},
    conv_transposed::conv_transposed2d,
    crf::{Best, crf, crf_best},
    cross_entropy::cross_entropy,
    dropout::dropout,
    embedding::embedding,
    embeddings::embeddings,
    ensemble::{ensemble_scale, member_linear},
    group_norm::group_norm,
    layer_norm::layer_norm,
    linear::{linear, linear_adding},
    linear_cross_entropy::linear_cross_entropy,
    pointwise_loss::{pointwise_loss, softplus},
    pool::{Window, avg_pool2d, global_avg_pool2d, max_pool2d},
    recompute::{recompute, with_recompute},
    recurrent::{LstmState, gru, gru_from, lstm, lstm_from},
    rms_norm::rms_norm,
    rotary::{Turns, rotary},
    sequences::{filled_up, without_filling},
    softmax::{log_softmax, softmax},
};
pub use outset_kernels::{
    Activation,
    bag::Bags,
    isa,
    loss::Pointwise,
    pages,
    precision::{self, Precision},
};
