//! The arithmetic of training on a CPU: forward and backward passes on plain `f32` slices.
//!
//! The crate knows no tensor library. A function takes row-major slices and sizes, and returns freshly
//! allocated vectors or works in place. Three rules hold throughout:
//!
//! - **The fast path is the default build.** [`isa`] finds the machine's instruction set once; each kernel is
//!   compiled for every level and chosen at run time.
//! - **Same answer whatever the threads.** Work is cut into parts by shape, never by thread count, and partial sums
//!   are added in the order of the parts.
//! - **Nothing hides a NaN.** Non-finite inputs give non-finite outputs, so that a diverging run is seen.
//!
//! Sizes that don't fit the slices are the caller's bug and panic.

pub mod attention;
pub mod bag;
mod buf;
pub mod conv;
pub mod crf;
pub mod dropout;
pub mod embedding;
pub mod ensemble;
pub mod gemm;
pub mod isa;
pub mod linear;
pub mod loss;
pub mod math;
pub mod norm;
pub mod optim;
pub mod pages;
mod par;
pub mod pool;
pub mod precision;
pub mod recurrent;
mod reduce;
pub mod rotary;
mod scatter;
pub mod sequences;
pub mod softmax;
#[cfg(test)]
mod testing;

pub use linear::Activation;
