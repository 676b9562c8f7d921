//! The kernels of `outset-kernels` as differentiable operations on Burn tensors, and modules made of one of them.
//!
//! Every function here works on any device and float type. On Burn's CPU backend `flex` with `f32` it runs a fused
//! kernel, forward and backward; elsewhere (a GPU, `f64`) the same formula is composed of ordinary Burn operations.
//! Tensors of an autodiff device are tracked, others take the cheaper path that saves nothing.
//!
//! This is the only crate that names Burn's backend and extension types.

mod flex;
pub mod modules;
mod ops;
pub mod optim;
#[cfg(test)]
mod testing;
mod track;

pub use modules::{LayerNorm, Linear, MemberLinear, RmsNorm};
pub use ops::{
    cross_entropy::cross_entropy,
    dropout::dropout,
    ensemble::{ensemble_scale, member_linear},
    layer_norm::layer_norm,
    linear::linear,
    rms_norm::rms_norm,
};
pub use outset_kernels::{Activation, isa};
