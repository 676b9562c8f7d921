//! Attention of a few new queries over keys and values that were kept: one step of writing a text.

use super::{Mask, Sizes};
use crate::{
    buf::uninit,
    isa::kernel,
    loss::exp_and_sum_scaled,
    par::{self, Cut, Rows},
    reduce::{dot, max},
};

/// Keys and values of all positions so far, `[batch, kv_heads, capacity, size]`, so that those of a head lie side by
/// side.
#[derive(Clone, Debug)]
pub struct Cache {
    keys: Vec<f32>,
    values: Vec<f32>,
    batch: usize,
    kv_heads: usize,
    size: usize,
    capacity: usize,
    length: usize,
}

impl Cache {
    /// Makes an empty cache for `batch` sequences; it grows when more positions come than it has room for.
    pub fn new(batch: usize, kv_heads: usize, size: usize, capacity: usize) -> Cache {
        let len = batch * kv_heads * capacity * size;
        Cache { keys: vec![0.0; len], values: vec![0.0; len], batch, kv_heads, size, capacity, length: 0 }
    }

    /// Number of sequences, key heads and values of a head.
    pub fn sizes(&self) -> [usize; 3] {
        [self.batch, self.kv_heads, self.size]
    }

    /// Number of positions kept.
    pub fn len(&self) -> usize {
        self.length
    }

    /// Whether nothing is kept.
    pub fn is_empty(&self) -> bool {
        self.length == 0
    }

    /// Forgets all positions from `length` on.
    pub fn truncate(&mut self, length: usize) {
        self.length = self.length.min(length);
    }

    /// Adds keys and values of new positions, `[batch, new, kv_heads, size]`.
    ///
    /// # Panics
    /// If their sizes don't fit the cache.
    pub fn append(&mut self, k: &[f32], v: &[f32]) {
        let row = self.batch * self.kv_heads * self.size;
        assert!(k.len() == v.len() && k.len().is_multiple_of(row.max(1)), "the new keys have another size");
        let new = k.len().checked_div(row).unwrap_or(0);
        if self.length + new > self.capacity {
            self.grow((self.length + new).max(2 * self.capacity));
        }
        let Cache { kv_heads, size, capacity, length, .. } = *self;
        for (kept, new_values) in [(&mut self.keys, k), (&mut self.values, v)] {
            for (at, head) in new_values.chunks_exact(size.max(1)).enumerate() {
                let (sequence, position, head_number) =
                    (at / kv_heads / new, at / kv_heads % new, at % kv_heads);
                let row = (sequence * kv_heads + head_number) * capacity + length + position;
                kept[row * size..][..size].copy_from_slice(head);
            }
        }
        self.length += new;
    }

    fn grow(&mut self, capacity: usize) {
        let (old, new) = (self.capacity * self.size, capacity * self.size);
        for kept in [&mut self.keys, &mut self.values] {
            let mut larger = vec![0.0; self.batch * self.kv_heads * new];
            if old > 0 {
                for (to, from) in larger.chunks_exact_mut(new).zip(kept.chunks_exact(old)) {
                    to[..old].copy_from_slice(from);
                }
            }
            *kept = larger;
        }
        self.capacity = capacity;
    }
}

/// Returns the attention of queries at the last positions of the cache: `q [batch, new, heads, size]` gives the same
/// shape. A query sees the positions up to its own, of those the last `window` where there is one.
///
/// # Panics
/// If the sizes don't fit the cache or the heads can't share its key heads evenly.
pub fn decode(q: &[f32], heads: usize, cache: &Cache, window: Option<usize>) -> Vec<f32> {
    let Cache { batch, kv_heads, size, capacity, length, .. } = *cache;
    let row = heads * size;
    let queries = q.len().checked_div(batch * row).unwrap_or(0);
    assert_eq!(q.len(), batch * queries * row, "the queries have another size");
    assert!(queries <= length, "there are more queries than positions in the cache");
    let sizes = Sizes { batch, queries, keys: length, heads, kv_heads, size };
    sizes.check();
    let mask = Mask { causal: true, window, key_lengths: None };
    let mut output = uninit(q.len());
    // Each task owns some heads of a query; a position costs two passes over its key and value.
    let cut = Cut::new(batch * queries * heads, 2 * length * size);
    par::run(Rows::new(&mut output, size), cut, |range, output| {
        let mut scores = Vec::new();
        for (output, at) in output.data.chunks_exact_mut(size.max(1)).zip(range) {
            let (sequence, query, head) = (at / heads / queries, at / heads % queries, at % heads);
            let visible = mask.visible(sizes, sequence, query);
            let first = (sequence * kv_heads + head / (heads / kv_heads)) * capacity;
            let seen = (first + visible.start) * size..(first + visible.end) * size;
            scores.resize(visible.len(), 0.0);
            let (keys, values) = (&cache.keys[seen.clone()], &cache.values[seen]);
            look(&q[at * size..][..size], keys, values, sizes.scale(), &mut scores, output);
        }
    });
    output
}

kernel! {
    /// One query over the keys that it sees.
    fn look<A>(q: &[f32], keys: &[f32], values: &[f32], scale: f32, scores: &mut [f32], output: &mut [f32]) {
        let size = q.len();
        for (score, key) in scores.iter_mut().zip(keys.chunks_exact(size)) {
            *score = dot::<A>(q, key);
        }
        output.fill(0.0);
        if scores.is_empty() {
            return;
        }
        let sum = exp_and_sum_scaled::<A>(scores, scale, max(scores) * scale);
        for (weight, value) in scores.iter().zip(values.chunks_exact(size)) {
            for (y, v) in output.iter_mut().zip(value) {
                *y = A::mul_add(*weight, *v, *y);
            }
        }
        let factor = 1.0 / sum;
        for y in output {
            *y *= factor;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Inputs, forward};
    use super::*;
    use crate::testing::{close_within, same_bits_with_one_and_two_threads, values, wide};

    /// Rows `[batch, time, width]` cut to some of their steps.
    fn steps(x: &[f32], batch: usize, width: usize, range: std::ops::Range<usize>) -> Vec<f32> {
        let row = x.len() / batch.max(1);
        x.chunks(row.max(1)).flat_map(|x| x[range.start * width..range.end * width].to_vec()).collect()
    }

    #[test]
    fn step_by_step_gives_what_all_at_once_gives() {
        for (batch, time, heads, kv_heads, size) in
            [(1, 1, 1, 1, 1), (1, 5, 2, 1, 1), (2, 0, 4, 2, 5), (2, 9, 4, 2, 5), (3, 40, 6, 1, 16)]
        {
            let sizes = Sizes { batch, queries: time, keys: time, heads, kv_heads, size };
            let q = values(batch * time * heads * size, 1);
            let [k, v] = [2, 3].map(|seed| values(batch * time * kv_heads * size, seed));
            for window in [None, Some(3)] {
                let mask = Mask { causal: true, window, key_lengths: None };
                let whole = forward(Inputs::separate(&q, &k, &v, sizes), sizes, mask).output;
                // Room for fewer positions than come, and steps of one, two, one, two … positions.
                let mut cache = Cache::new(batch, kv_heads, size, 2);
                let mut at = 0;
                while at < time {
                    let range = at..(at + 1 + at % 2).min(time);
                    at = range.end;
                    let part = |x: &[f32], heads: usize| steps(x, batch, heads * size, range.clone());
                    cache.append(&part(&k, kv_heads), &part(&v, kv_heads));
                    let got = decode(&part(&q, heads), heads, &cache, window);
                    close_within(&got, &wide(&part(&whole, heads)), 2e-6);
                }
                assert_eq!(cache.len(), time);
                // No new position leaves everything as it is.
                cache.append(&[], &[]);
                assert_eq!((cache.len(), decode(&[], heads, &cache, window)), (time, vec![]));
            }
        }
    }

    #[test]
    fn what_is_cut_off_is_forgotten() {
        let (k, v, q) = (values(12, 1), values(12, 2), values(4, 3));
        let mut cache = Cache::new(1, 1, 4, 8);
        cache.append(&k[..8], &v[..8]);
        cache.append(&k[8..], &v[8..]);
        cache.truncate(1);
        assert!(!cache.is_empty());
        close_within(&decode(&q, 1, &cache, None), &wide(&v[..4]), 1e-6);
    }

    #[test]
    fn nan_reaches_the_output() {
        let mut cache = Cache::new(1, 1, 2, 8);
        cache.append(&[0.0, f32::NAN, 1.0, 1.0], &[1.0; 4]);
        assert!(decode(&[1.0, 1.0], 1, &cache, None).iter().all(|v| v.is_nan()));
    }

    #[test]
    fn bits_do_not_depend_on_threads() {
        let mut cache = Cache::new(4, 4, 64, 300);
        cache.append(&values(4 * 300 * 256, 1), &values(4 * 300 * 256, 2));
        let q = values(4 * 512, 3);
        same_bits_with_one_and_two_threads(|| vec![decode(&q, 8, &cache, None)]);
    }
}
