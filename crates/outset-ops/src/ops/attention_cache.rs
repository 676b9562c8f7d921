//! Attention of new positions over keys and values that were kept: writing a text step by step.

use super::attention::{AttentionMask, attention};
use crate::flex::{self, contiguous, primitive, values};
use crate::flops;
use burn::backend::Flex;
use burn::tensor::{DType, Device, Tensor};
use outset_kernels::attention::{Cache, decode};

/// Positions that a cache has room for at first.
const FIRST_ROOM: usize = 64;

/// Keys and values of the positions so far, of one attention.
#[derive(Clone, Debug, Default)]
pub struct KeyValueCache(Kept);

#[derive(Clone, Debug, Default)]
enum Kept {
    #[default]
    Nothing,
    /// As the kernel reads them.
    Host(Cache),
    /// Keys and values, `[batch, positions, kv_heads, size]`.
    Tensors(Box<[Tensor<4>; 2]>),
}

impl KeyValueCache {
    /// Number of positions kept.
    pub fn len(&self) -> usize {
        match &self.0 {
            Kept::Nothing => 0,
            Kept::Host(cache) => cache.len(),
            Kept::Tensors(kept) => kept[0].dims()[1],
        }
    }

    /// Whether nothing is kept yet.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Number of sequences, key heads and values of a head, once there are any.
    fn sizes(&self) -> Option<[usize; 3]> {
        match &self.0 {
            Kept::Nothing => None,
            Kept::Host(cache) => Some(cache.sizes()),
            Kept::Tensors(kept) => {
                let [batch, _, kv_heads, size] = kept[0].dims();
                Some([batch, kv_heads, size])
            }
        }
    }
}

/// Adds `k` and `v [batch, new, kv_heads, size]` to the cache and returns the causal attention of `q [batch, new, heads,
/// size]` over all that it holds; with a `window`, over the last positions up to the query's own.
///
/// There are no gradients: step by step this gives what [`attention`] gives for the whole sequence.
///
/// # Panics
/// If the sizes don't fit those in the cache, or the heads can't share the key heads evenly.
pub fn attention_with_cache(
    q: Tensor<4>,
    k: Tensor<4>,
    v: Tensor<4>,
    cache: &mut KeyValueCache,
    window: Option<usize>,
) -> Tensor<4> {
    let ([batch, new, heads, size], [_, _, kv_heads, _]) = (q.dims(), k.dims());
    let fits = k.dims() == [batch, new, kv_heads, size] && v.dims() == k.dims();
    assert!(fits, "queries, keys and values differ in size");
    if let Some(kept) = cache.sizes() {
        let new = [batch, kv_heads, size];
        assert_eq!(new, kept, "the new keys differ from the cache in number of sequences, heads or values");
    }
    let on_flex = q.dtype() == DType::F32 && q.device() == Device::flex();
    if !on_flex {
        let (k, v) = match std::mem::take(&mut cache.0) {
            Kept::Tensors(kept) => {
                let [keys, old] = *kept;
                (Tensor::cat(vec![keys, k], 1), Tensor::cat(vec![old, v], 1))
            }
            _ => (k, v),
        };
        cache.0 = Kept::Tensors(Box::new([k.clone(), v.clone()]));
        return attention(q, k, v, AttentionMask { window, ..AttentionMask::causal() });
    }
    let [q, k, v] = [q, k, v].map(|tensor| contiguous(primitive(tensor)));
    let mut kept = match std::mem::take(&mut cache.0) {
        Kept::Host(cache) => cache,
        _ => Cache::new(batch, kv_heads, size, FIRST_ROOM),
    };
    kept.append(values(&k), values(&v));
    flops::count_sizes([2, batch, heads, new, kept.len(), size]);
    let output = decode(values(&q), heads, &kept, window);
    cache.0 = Kept::Host(kept);
    Tensor::from_primitive::<Flex>(flex::tensor(output, [batch, new, heads, size]))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{close, wide};
    use burn::tensor::{Distribution, TensorData};

    /// Hands a cache of two sequences keys of other sizes.
    fn add_others(dtype: DType, [batch, heads, kv_heads, size]: [usize; 4]) {
        let zeros = |sizes: [usize; 4]| Tensor::<4>::zeros(sizes, (&Device::flex(), dtype));
        let mut cache = KeyValueCache::default();
        let (q, k) = (zeros([2, 3, 4, 8]), zeros([2, 3, 2, 8]));
        attention_with_cache(q, k.clone(), k, &mut cache, None);
        let (q, k) = (zeros([batch, 1, heads, size]), zeros([batch, 1, kv_heads, size]));
        attention_with_cache(q, k.clone(), k, &mut cache, None);
    }

    #[test]
    #[should_panic(expected = "the new keys differ from the cache")]
    fn a_cache_of_another_batch_is_refused() {
        add_others(DType::F32, [4, 4, 2, 8]);
    }

    #[test]
    #[should_panic(expected = "the new keys differ from the cache")]
    fn a_cache_of_other_heads_is_refused() {
        add_others(DType::F32, [2, 4, 1, 16]);
    }

    #[test]
    #[should_panic(expected = "the new keys differ from the cache")]
    fn a_cache_of_another_batch_is_refused_where_tensors_are_kept() {
        add_others(DType::F64, [4, 4, 2, 8]);
    }

    #[test]
    fn step_by_step_gives_what_all_at_once_gives_on_every_path() {
        let device = Device::flex();
        let random = |heads: usize| {
            let x = Tensor::<4>::random([2, 7, heads, 4], Distribution::Uniform(-1.0, 1.0), &device);
            x.into_data().convert::<f64>()
        };
        let made: [TensorData; 3] = [random(4), random(2), random(2)];
        for (dtype, window) in [(DType::F32, None), (DType::F32, Some(3)), (DType::F64, Some(3))] {
            let [q, k, v] = made.clone().map(|data| Tensor::<4>::from_data(data, (&device, dtype)));
            let mask = AttentionMask { window, ..AttentionMask::causal() };
            let whole = attention(q.clone(), k.clone(), v.clone(), mask);
            let mut cache = KeyValueCache::default();
            assert!(cache.is_empty());
            let mut steps = Vec::new();
            for (first, new) in [(0, 3), (3, 1), (4, 1), (5, 2)] {
                let part = |x: &Tensor<4>| x.clone().narrow(1, first, new);
                steps.push(attention_with_cache(part(&q), part(&k), part(&v), &mut cache, window));
                assert_eq!(cache.len(), first + new);
            }
            close("steps", &wide(Tensor::cat(steps, 1)), &wide(whole));
        }
    }
}
