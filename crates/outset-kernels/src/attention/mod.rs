//! Scaled dot-product attention, `softmax(q kᵀ / √size) v` for each head (arXiv 1706.03762), without the matrix of
//! scores ever being whole (arXiv 2205.14135).
//!
//! Queries are `[batch, queries, heads, size]`, keys and values `[batch, keys, kv_heads, size]`, each possibly a part
//! of wider rows, as those of one projection to all three. With fewer key heads than heads, neighbouring heads share
//! one (arXiv 2305.13245). Sequences of different lengths lie filled up to the longest, or one after the other without
//! filling ([`Inputs::one_after_the_other`]).

mod backward;
mod decode;
mod rows;
#[cfg(test)]
mod tests;

pub use backward::{Gradients, backward};
pub use decode::{Cache, decode};

use crate::{
    buf::uninit,
    dropout::Keep,
    gemm::{Matrix, Output, PART, Packed},
    par::{self, Cut},
    scatter::Scatter,
};
use std::ops::Range;

/// Queries multiplied at a time, and keys.
const QUERY_BLOCK: usize = 64;
const KEY_BLOCK: usize = 256;

/// Queries of a head that are one task.
const TASK_QUERIES: usize = 256;

/// Sizes of an attention.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sizes {
    /// Number of sequences.
    pub batch: usize,
    /// Length of the sequences of queries.
    pub queries: usize,
    /// Length of the sequences of keys and values.
    pub keys: usize,
    /// Number of query heads, a multiple of `kv_heads`.
    pub heads: usize,
    /// Number of key and value heads.
    pub kv_heads: usize,
    /// Values of a head.
    pub size: usize,
}

impl Sizes {
    fn scale(self) -> f32 {
        1.0 / (self.size as f32).sqrt()
    }

    /// Rough cost of all scores.
    fn cost(self) -> usize {
        self.batch * self.heads * self.queries * self.keys * self.size
    }

    fn check(self) {
        let divides = self.kv_heads > 0 && self.heads.is_multiple_of(self.kv_heads);
        assert!(divides, "{} heads can't share {} key heads", self.heads, self.kv_heads);
    }
}

/// Which weights are zeroed after the softmax, the others being divided by `1 - probability`.
///
/// As in [`crate::dropout`], the mask is a function of the key and of sequence, head, query and key alone.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Dropout {
    /// Share of the weights that are zeroed.
    pub probability: f64,
    /// Key of the mask.
    pub key: u64,
}

impl Dropout {
    /// Returns the mask of a query's weights from one key on, as factors.
    pub fn factors(
        &self,
        sizes: Sizes,
        sequence: usize,
        head: usize,
        query: usize,
        keys: Range<usize>,
    ) -> Vec<f32> {
        let mut factors = vec![1.0; keys.len()];
        self.apply(sizes, [sequence, head, query], keys.start, &mut factors);
        factors
    }

    /// Zeroes and scales the weights of a query, the first being that of key `first`.
    ///
    /// The numbers don't depend on the sizes of the batch's sequences, so that a filled up sequence gets the same.
    fn apply(&self, sizes: Sizes, [sequence, head, query]: [usize; 3], first: usize, weights: &mut [f32]) {
        let row = (sequence * sizes.heads + head) as u64;
        let key = self.key ^ row.wrapping_mul(0x9e37_79b9_7f4a_7c15);
        let key = key.wrapping_add((query as u64).wrapping_mul(0xd1b5_4a32_d192_ed03));
        Keep::new(self.probability).apply_in_place(weights, first as u32, key);
    }
}

/// Which keys a query sees. Query `i` stands at position `i + keys - queries`, so that the last query is at the last
/// key, as when decoding with a cache.
#[derive(Clone, Copy, Debug, Default)]
pub struct Mask<'a> {
    /// Whether keys after the query's position are hidden.
    pub causal: bool,
    /// How many keys up to and with the query's position are seen; those after it are left to `causal`.
    pub window: Option<usize>,
    /// Number of keys of each sequence that aren't padding; the others come after them.
    pub key_lengths: Option<&'a [usize]>,
}

impl Mask<'_> {
    /// Returns the keys that a query of a sequence sees.
    pub fn visible(&self, sizes: Sizes, sequence: usize, query: usize) -> Range<usize> {
        let length = self.key_lengths.map_or(sizes.keys, |lengths| lengths[sequence].min(sizes.keys));
        // One past the query's position; queries before the first key see nothing.
        let after = (query + 1 + sizes.keys).saturating_sub(sizes.queries);
        let end = if self.causal { after.min(length) } else { length };
        let start = self.window.map_or(0, |window| after.saturating_sub(window));
        start.min(end)..end
    }

    /// Returns the keys that any of the queries sees.
    fn visible_to_any(&self, sizes: Sizes, sequence: usize, queries: Range<usize>) -> Range<usize> {
        let seen = queries.map(|query| self.visible(sizes, sequence, query)).filter(|seen| !seen.is_empty());
        seen.reduce(|a, b| a.start.min(b.start)..a.end.max(b.end)).unwrap_or(0..0)
    }
}

/// Heads inside rows: row `r` holds `per_row` heads, of which these are those from `first` on.
#[derive(Clone, Copy, Debug)]
pub struct Heads<'a> {
    values: &'a [f32],
    per_row: usize,
    first: usize,
}

impl<'a> Heads<'a> {
    /// Takes rows that hold `per_row` heads; head 0 is the one at `first`.
    pub fn new(values: &'a [f32], per_row: usize, first: usize) -> Self {
        Heads { values, per_row, first }
    }

    fn matrix(&self, size: usize, rows: Range<usize>, head: usize) -> Matrix<'a> {
        let start = (rows.start * self.per_row + self.first + head) * size;
        Matrix::strided(&self.values[start.min(self.values.len())..], rows.len(), size, self.per_row * size)
    }

    fn row(&self, size: usize, row: usize, head: usize) -> &'a [f32] {
        &self.values[(row * self.per_row + self.first + head) * size..][..size]
    }
}

/// Queries, keys and values.
#[derive(Clone, Copy, Debug)]
pub struct Inputs<'a> {
    /// Queries.
    pub q: Heads<'a>,
    /// Keys.
    pub k: Heads<'a>,
    /// Values.
    pub v: Heads<'a>,
    /// Where sequences begin that lie one after the other, and where the last ends.
    starts: Option<&'a [usize]>,
    /// Dropout of the weights.
    dropout: Option<Dropout>,
}

/// One sequence of a batch.
#[derive(Clone, Copy, Debug)]
struct Sequence {
    number: usize,
    /// The sizes of the attention with the sequence's own lengths.
    sizes: Sizes,
    /// Its first rows.
    query_row: usize,
    key_row: usize,
}

impl Sequence {
    /// Where the logarithms of the sums of a head begin.
    fn log_sums(&self, head: usize) -> usize {
        self.query_row * self.sizes.heads + head * self.sizes.queries
    }
}

/// The keys that some queries see, from a multiple of [`PART`] on.
fn evenly(seen: Range<usize>) -> Range<usize> {
    seen.start / PART * PART..seen.end
}

/// Cuts the keys that some queries see into blocks, each from a multiple of [`PART`] on.
fn key_blocks(seen: Range<usize>) -> impl Iterator<Item = Range<usize>> {
    evenly(seen.clone()).step_by(KEY_BLOCK).map(move |start| start..(start + KEY_BLOCK).min(seen.end))
}

impl<'a> Inputs<'a> {
    /// Takes rows that hold all query heads, then all key heads, then all value heads.
    pub fn packed(values: &'a [f32], sizes: Sizes) -> Self {
        let per_row = sizes.heads + 2 * sizes.kv_heads;
        let at = |first| Heads::new(values, per_row, first);
        let (q, k, v) = (at(0), at(sizes.heads), at(sizes.heads + sizes.kv_heads));
        Inputs { q, k, v, starts: None, dropout: None }
    }

    /// Takes queries, keys and values from a slice each.
    pub fn separate(q: &'a [f32], k: &'a [f32], v: &'a [f32], sizes: Sizes) -> Self {
        Inputs {
            q: Heads::new(q, sizes.heads, 0),
            k: Heads::new(k, sizes.kv_heads, 0),
            v: Heads::new(v, sizes.kv_heads, 0),
            starts: None,
            dropout: None,
        }
    }

    /// Takes the sequences as lying one after the other without filling: sequence `n` has the rows from `starts[n]` to
    /// `starts[n + 1]`, for queries and keys alike. The sizes then name the length of the longest.
    pub fn one_after_the_other(self, starts: &'a [usize]) -> Self {
        Inputs { starts: Some(starts), ..self }
    }

    /// Drops weights.
    pub fn with_dropout(self, dropout: Option<Dropout>) -> Self {
        Inputs { dropout: dropout.filter(|dropout| dropout.probability > 0.0), ..self }
    }

    /// Some keys and values of a key head of a sequence.
    fn keys_and_values(&self, sequence: Sequence, keys: Range<usize>, kv_head: usize) -> [Matrix<'a>; 2] {
        let rows = sequence.key_row + keys.start..sequence.key_row + keys.end;
        [self.k, self.v].map(|heads| heads.matrix(sequence.sizes.size, rows.clone(), kv_head))
    }

    /// Rows of queries of all sequences.
    fn query_rows(&self, sizes: Sizes) -> usize {
        self.starts.map_or(sizes.batch * sizes.queries, |starts| starts[sizes.batch])
    }

    /// Rows of keys of all sequences.
    fn key_rows(&self, sizes: Sizes) -> usize {
        self.starts.map_or(sizes.batch * sizes.keys, |starts| starts[sizes.batch])
    }

    fn sequence(&self, sizes: Sizes, number: usize) -> Sequence {
        match self.starts {
            None => {
                let (query_row, key_row) = (number * sizes.queries, number * sizes.keys);
                Sequence { number, sizes, query_row, key_row }
            }
            Some(starts) => {
                let (row, length) = (starts[number], starts[number + 1] - starts[number]);
                let sizes = Sizes { queries: length, keys: length, ..sizes };
                Sequence { number, sizes, query_row: row, key_row: row }
            }
        }
    }

    fn check(&self, sizes: Sizes) {
        sizes.check();
        if let Some(starts) = self.starts {
            assert_eq!(starts.len(), sizes.batch + 1, "the sequences' starts are those of another batch");
            assert_eq!(starts[0], 0, "the first sequence does not start with the first row");
            let fits = starts.windows(2).all(|two| two[0] <= two[1] && two[1] - two[0] <= sizes.queries);
            assert!(fits && sizes.queries == sizes.keys, "a sequence is longer than the longest");
        }
    }
}

/// What [`forward`] returns.
#[derive(Debug)]
pub struct Forward {
    /// `[batch, queries, heads, size]`, or the rows of the sequences one after the other; zeros where a query sees no key.
    pub output: Vec<f32>,
    /// Logarithm of the sum of exponentials of each query's scores, `[batch, heads, queries]`, sequence after sequence.
    pub log_sums: Vec<f32>,
}

/// Computes the attention.
///
/// # Panics
/// If the sizes don't fit the inputs.
pub fn forward(inputs: Inputs, sizes: Sizes, mask: Mask) -> Forward {
    inputs.check(sizes);
    let mut output = uninit(inputs.query_rows(sizes) * sizes.heads * sizes.size);
    let chunks = sizes.queries.div_ceil(TASK_QUERIES);
    let tasks = sizes.batch * sizes.heads * chunks;
    let scattered = Scatter::new(&mut output, sizes.size);
    let parts = par::run((), Cut::tasks(tasks, sizes.cost()), |range, ()| {
        let mut block = Block::new(sizes);
        let mut log_sums = Vec::new();
        for task in range {
            let (number, head, chunk) =
                (task / chunks / sizes.heads, task / chunks % sizes.heads, task % chunks);
            let sequence = inputs.sequence(sizes, number);
            let last = ((chunk + 1) * TASK_QUERIES).min(sequence.sizes.queries);
            let chunk = (chunk * TASK_QUERIES).min(last)..last;
            // Cut into panels once for all blocks of queries.
            let seen = evenly(mask.visible_to_any(sequence.sizes, number, chunk.clone()));
            let first_key = seen.start;
            let [k, v] = inputs.keys_and_values(sequence, seen, head / (sizes.heads / sizes.kv_heads));
            let panels = Panels { first_key, turned_k: Packed::new(k.transposed()), v: Packed::new(v) };
            for first in chunk.step_by(QUERY_BLOCK) {
                let queries = first..(first + QUERY_BLOCK).min(last);
                block.run(&inputs, sequence, &mask, &panels, head, queries.clone());
                for (i, query) in queries.enumerate() {
                    let row = (sequence.query_row + query) * sizes.heads + head;
                    scattered.take(row).copy_from_slice(&block.output[i * sizes.size..][..sizes.size]);
                    log_sums.push(block.largest[i] + block.sums[i].ln());
                }
            }
        }
        log_sums
    });
    Forward { output, log_sums: parts.concat() }
}

/// The keys and values that the queries of a task see, cut into panels once for all their blocks.
struct Panels<'a> {
    first_key: usize,
    turned_k: Packed<'a>,
    v: Packed<'a>,
}

/// The state of a block of queries while it goes over its keys: a running maximum, sum and output for each query.
struct Block {
    scores: Vec<f32>,
    output: Vec<f32>,
    largest: Vec<f32>,
    sums: Vec<f32>,
}

impl Block {
    fn new(sizes: Sizes) -> Block {
        let (queries, keys) = (QUERY_BLOCK.min(sizes.queries), KEY_BLOCK.min(sizes.keys));
        Block {
            scores: uninit(queries * keys),
            output: uninit(queries * sizes.size),
            largest: uninit(queries),
            sums: uninit(queries),
        }
    }

    fn run(
        &mut self,
        inputs: &Inputs,
        sequence: Sequence,
        mask: &Mask,
        panels: &Panels,
        head: usize,
        queries: Range<usize>,
    ) {
        let Sequence { number, sizes, query_row, .. } = sequence;
        let (size, count) = (sizes.size, queries.len());
        self.output[..count * size].fill(0.0);
        self.largest.fill(f32::NEG_INFINITY);
        self.sums.fill(0.0);
        let q = inputs.q.matrix(size, query_row + queries.start..query_row + queries.end, head);
        for keys in key_blocks(mask.visible_to_any(sizes, number, queries.clone())) {
            let here = keys.start - panels.first_key..keys.end - panels.first_key;
            let scores = &mut self.scores[..count * keys.len()];
            let of_scores = Output::strided(scores, keys.len());
            panels.turned_k.multiply_part(q, 0..size, here.clone(), of_scores);
            for (i, query) in queries.clone().enumerate() {
                let visible = mask.visible(sizes, number, query);
                let visible = visible.start.clamp(keys.start, keys.end) - keys.start
                    ..visible.end.clamp(keys.start, keys.end) - keys.start;
                let scores = &mut scores[i * keys.len()..][..keys.len()];
                let output = &mut self.output[i * size..][..size];
                rows::absorb(scores, visible, sizes.scale(), &mut self.largest[i], &mut self.sums[i], output);
                // After the sum: what is dropped still counts there.
                if let Some(dropout) = inputs.dropout {
                    dropout.apply(sizes, [number, head, query], keys.start, scores);
                }
            }
            let output = Output::strided(&mut self.output[..count * size], size).adding();
            panels.v.multiply_part(Matrix::new(scores, count, keys.len()), here, 0..size, output);
        }
        for i in 0..count {
            rows::finish(&mut self.output[i * size..][..size], self.sums[i]);
        }
    }
}
