//! Losses that are one pass over the predictions.

mod cross_entropy;
mod linear_cross_entropy;
mod pointwise;

pub use cross_entropy::{cross_entropy, cross_entropy_in_place, scale};
pub(crate) use cross_entropy::{exp_and_sum, exp_and_sum_scaled};
pub use linear_cross_entropy::{LinearCrossEntropy, linear_cross_entropy, linear_cross_entropy_gradients};
pub use pointwise::{Pointwise, pointwise_in_place};
