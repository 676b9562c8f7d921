//! Self-attention with its projections.

use super::Linear;
use crate::{AttentionMask, packed_attention};
use burn::module::Module;
use burn::tensor::{Device, Tensor};

/// Self-attention of `[batch, time, width]`: one projection to queries, keys and values, the attention of each head, and
/// a projection of all heads back (arXiv 1706.03762).
#[derive(Debug, Module)]
pub struct Attention {
    /// To queries, keys and values, in this order: `[width, width + 2 * kv_heads * size]`.
    pub qkv: Linear,
    /// Of the heads' outputs side by side: `[width, width]`.
    pub output: Linear,
    heads: usize,
    kv_heads: usize,
}

impl Attention {
    /// Makes an attention of `heads` heads that share `kv_heads` key and value heads.
    ///
    /// # Panics
    /// If the width doesn't divide into the heads or the heads can't share the key heads evenly.
    pub fn new(
        width: usize,
        heads: usize,
        kv_heads: usize,
        bias: bool,
        device: &Device,
    ) -> Attention {
        assert!(
            heads > 0 && width.is_multiple_of(heads),
            "a width of {width} doesn't divide into {heads} heads"
        );
        let divides = kv_heads > 0 && heads.is_multiple_of(kv_heads);
        assert!(divides, "{heads} heads can't share {kv_heads} key heads");
        Attention {
            qkv: Linear::new(width, width + 2 * kv_heads * (width / heads), bias, device),
            output: Linear::new(width, width, bias, device),
            heads,
            kv_heads,
        }
    }

    /// Returns `[batch, time, width]`.
    pub fn forward(&self, x: Tensor<3>, mask: AttentionMask) -> Tensor<3> {
        let heads = packed_attention(self.qkv.forward(x), self.heads, self.kv_heads, mask);
        self.output.forward(heads)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::wide;
    use burn::tensor::Distribution;

    #[test]
    fn the_past_does_not_see_the_future() {
        let device = Device::flex();
        let attention = Attention::new(8, 4, 2, true, &device);
        let x = Tensor::<3>::random([1, 5, 8], Distribution::Default, &device);
        let whole = attention
            .forward(x.clone(), AttentionMask::causal())
            .narrow(1, 0, 3);
        let start = attention.forward(x.narrow(1, 0, 3), AttentionMask::causal());
        crate::testing::close("start", &wide(start), &wide(whole));
    }
}
