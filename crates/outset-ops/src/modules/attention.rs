//! Self-attention with its projections.

use super::Linear;
use crate::{AttentionMask, KeyValueCache, attention_of_rows, attention_with_cache, packed_attention};
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
    pub fn new(width: usize, heads: usize, kv_heads: usize, bias: bool, device: &Device) -> Attention {
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

    /// Returns the causal attention of new positions, `x [batch, new, width]`, over those in the cache and themselves, and
    /// adds them to the cache; without gradients.
    pub fn forward_cached(
        &self,
        x: Tensor<3>,
        cache: &mut KeyValueCache,
        window: Option<usize>,
    ) -> Tensor<3> {
        let [batch, new, width] = x.dims();
        let (heads, kv_heads) = (self.heads, self.kv_heads);
        let all = heads + 2 * kv_heads;
        let qkv = self.qkv.forward(x).reshape([batch, new, all, width / heads]);
        let part = |first: usize, count: usize| qkv.clone().narrow(2, first, count);
        let (q, k, v) = (part(0, heads), part(heads, kv_heads), part(heads + kv_heads, kv_heads));
        let heads = attention_with_cache(q, k, v, cache, window);
        self.output.forward(heads.reshape([batch, new, width]))
    }

    /// Returns `path + ` the attention of `x`, both `[batch, time, width]`.
    pub fn forward_adding(&self, x: Tensor<3>, mask: AttentionMask, path: Tensor<3>) -> Tensor<3> {
        let heads = packed_attention(self.qkv.forward(x), self.heads, self.kv_heads, mask);
        self.output.forward_adding(heads, path)
    }

    /// Returns `path + ` the attention of sequences that lie one after the other without filling, both `[rows, width]`.
    pub fn forward_rows(
        &self,
        x: Tensor<2>,
        lengths: &[usize],
        mask: AttentionMask,
        path: Tensor<2>,
    ) -> Tensor<2> {
        let heads = attention_of_rows(self.qkv.forward(x), lengths, self.heads, self.kv_heads, mask);
        self.output.forward_adding(heads, path)
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
        let whole = attention.forward(x.clone(), AttentionMask::causal()).narrow(1, 0, 3);
        let start = attention.forward(x.narrow(1, 0, 3), AttentionMask::causal());
        crate::testing::close("start", &wide(start), &wide(whole));
    }

    #[test]
    fn a_cache_and_rows_without_filling_change_nothing() {
        let device = Device::flex();
        let attention = Attention::new(8, 4, 2, true, &device);
        let x = Tensor::<3>::random([1, 5, 8], Distribution::Default, &device);
        let whole = attention.forward(x.clone(), AttentionMask::causal());
        let mut cache = KeyValueCache::default();
        let steps = (0..5)
            .map(|step| attention.forward_cached(x.clone().narrow(1, step, 1), &mut cache, None))
            .collect();
        crate::testing::close("cached", &wide(Tensor::cat(steps, 1)), &wide(whole.clone()));
        let rows: Tensor<2> = x.clone().squeeze_dim(0);
        let path = rows.zeros_like();
        let rows = attention.forward_rows(rows, &[5], AttentionMask::causal(), path);
        crate::testing::close("rows", &wide(rows), &wide(whole.clone()));
        let added = attention.forward_adding(x.clone(), AttentionMask::causal(), x.clone());
        crate::testing::close("added", &wide(added - x), &wide(whole));
    }
}
