//! One file an operation: the function on tensors, its composed form, and the fused one with its gradient.

pub(crate) mod activate;
pub(crate) mod attention;
pub(crate) mod attention_cache;
pub(crate) mod bag;
pub(crate) mod batch_norm;
pub(crate) mod conv;
pub(crate) mod conv_transposed;
pub(crate) mod crf;
pub(crate) mod cross_entropy;
pub(crate) mod dropout;
pub(crate) mod embedding;
pub(crate) mod embeddings;
pub(crate) mod ensemble;
pub(crate) mod group_norm;
pub(crate) mod layer_norm;
pub(crate) mod linear;
pub(crate) mod linear_cross_entropy;
pub(crate) mod pointwise_loss;
pub(crate) mod pool;
pub(crate) mod recompute;
pub(crate) mod recurrent;
pub(crate) mod rms_norm;
pub(crate) mod rotary;
pub(crate) mod sequences;
pub(crate) mod softmax;
