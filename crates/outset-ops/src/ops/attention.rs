//! Scaled dot-product attention.

use crate::{
    flex::{self, contiguous, values, width},
    flops,
    track::{Differentiable, Tracked, track},
};
use burn::backend::{Autodiff, Backend, Dispatch, Flex, backend_extension, tensor::FloatTensor};
use burn::tensor::{Bool, Tensor, TensorData, activation::softmax};
use burn_autodiff::checkpoint::strategy::CheckpointStrategy;
use burn_flex::FlexTensor;
use outset_kernels::attention::{self as kernel, Dropout, Gradients, Inputs, Mask, Sizes};
use outset_kernels::sequences;
use std::sync::Arc;

/// Which keys a query sees, and which weights are dropped. Query `i` stands at position `i + keys - queries`, so that the
/// last query is at the last key, as when decoding with a cache.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct AttentionMask {
    /// Whether keys after the query's position are hidden.
    pub causal: bool,
    /// How many keys up to and with the query's position are seen; those after it are left to `causal`.
    pub window: Option<usize>,
    /// Number of keys of each sequence that aren't padding; the others come after them.
    pub key_lengths: Option<Vec<usize>>,
    /// Weights that are zeroed after the softmax, while training.
    pub dropout: Option<Dropout>,
}

impl AttentionMask {
    /// Hides the future.
    pub fn causal() -> AttentionMask {
        AttentionMask { causal: true, ..AttentionMask::default() }
    }

    /// Hides the padding of sequences of the given lengths.
    pub fn padded(lengths: Vec<usize>) -> AttentionMask {
        AttentionMask { key_lengths: Some(lengths), ..AttentionMask::default() }
    }

    /// Drops weights as well, each with `probability`; take a new key for each step and layer.
    pub fn with_dropout(self, probability: f64, key: u64) -> AttentionMask {
        AttentionMask { dropout: (probability > 0.0).then_some(Dropout { probability, key }), ..self }
    }

    fn borrowed(&self) -> Mask<'_> {
        Mask { causal: self.causal, window: self.window, key_lengths: self.key_lengths.as_deref() }
    }

    /// Returns the mask as `[batch, 1, queries, keys]`, true where a key is seen.
    fn tensor(&self, sizes: Sizes, device: &burn::tensor::Device) -> Tensor<4, Bool> {
        let mask = self.borrowed();
        let mut seen = Vec::with_capacity(sizes.batch * sizes.queries * sizes.keys);
        for (n, i) in (0..sizes.batch).flat_map(|n| (0..sizes.queries).map(move |i| (n, i))) {
            let visible = mask.visible(sizes, n, i);
            seen.extend((0..sizes.keys).map(|key| visible.contains(&key)));
        }
        Tensor::from_data(TensorData::new(seen, [sizes.batch, 1, sizes.queries, sizes.keys]), device)
    }

    /// Returns the factors of the weights, `[batch, heads, queries, keys]`, where some are dropped.
    fn factors(&self, sizes: Sizes, like: &Tensor<4>) -> Option<Tensor<4>> {
        let dropout = self.dropout?;
        let Sizes { batch, heads, queries, keys, .. } = sizes;
        let factors = (0..batch * heads * queries)
            .flat_map(|at| {
                let (sequence, head, query) = (at / queries / heads, at / queries % heads, at % queries);
                dropout.factors(sizes, sequence, head, query, 0..keys)
            })
            .collect::<Vec<f32>>();
        let data = TensorData::new(factors, [batch, heads, queries, keys]);
        Some(Tensor::from_data(data, (&like.device(), like.dtype())))
    }
}

/// Returns `softmax(q kᵀ / √size) v` for each head (arXiv 1706.03762): `q [batch, queries, heads, size]`, `k` and `v`
/// `[batch, keys, kv_heads, size]` give `[batch, queries, heads, size]`.
///
/// With fewer key heads than heads, neighbouring heads share one (arXiv 2305.13245). A query that sees no key gets
/// zeros.
///
/// # Panics
/// If the sizes don't fit or the heads can't share the key heads evenly.
pub fn attention(q: Tensor<4>, k: Tensor<4>, v: Tensor<4>, mask: AttentionMask) -> Tensor<4> {
    let ([batch, queries, heads, size], [_, keys, kv_heads, _]) = (q.dims(), k.dims());
    let sizes = Sizes { batch, queries, keys, heads, kv_heads, size };
    check(sizes, &mask);
    let fits = k.dims() == [batch, keys, kv_heads, size] && v.dims() == k.dims();
    assert!(fits, "queries, keys and values differ in size");
    count(sizes);
    let (q, k, v) = (q.into_dispatch(), k.into_dispatch(), v.into_dispatch());
    if !flex::applies(&[&q, &k, &v]) {
        let [q, k, v] = [q, k, v].map(Tensor::from_dispatch);
        return composed(q, k, v, sizes, &mask);
    }
    Tensor::from_dispatch(Dispatch::masked_attention(q, k, v, mask))
}

/// Returns the attention of one projection to queries, keys and values: `qkv [batch, time, (heads + 2 kv_heads) size]`
/// holds them in this order and gives `[batch, time, heads * size]`.
///
/// # Panics
/// If the sizes don't fit or the heads can't share the key heads evenly.
pub fn packed_attention(qkv: Tensor<3>, heads: usize, kv_heads: usize, mask: AttentionMask) -> Tensor<3> {
    let [batch, time, width] = qkv.dims();
    let sizes = packed_sizes([batch, time, width], heads, kv_heads);
    check(sizes, &mask);
    assert_eq!(width, (heads + 2 * kv_heads) * sizes.size, "the rows don't divide into the heads");
    count(sizes);
    let qkv = qkv.into_dispatch();
    if !flex::applies(&[&qkv]) {
        let qkv = Tensor::<3>::from_dispatch(qkv).reshape([batch, time, heads + 2 * kv_heads, sizes.size]);
        let part = |from: usize, count: usize| qkv.clone().narrow(2, from, count);
        let (q, k, v) = (part(0, heads), part(heads, kv_heads), part(heads + kv_heads, kv_heads));
        return composed(q, k, v, sizes, &mask).reshape([batch, time, heads * sizes.size]);
    }
    Tensor::from_dispatch(Dispatch::packed_masked_attention(qkv, heads, kv_heads, mask))
}

/// Returns the attention of sequences that lie one after the other without filling: `qkv [rows, (heads + 2 kv_heads)
/// size]`, with the rows of each of the `lengths`, gives `[rows, heads * size]`.
///
/// The result is that of [`packed_attention`] on the same sequences filled up; the mask names no lengths of its own.
///
/// # Panics
/// If the sizes don't fit or the heads can't share the key heads evenly.
pub fn attention_of_rows(
    qkv: Tensor<2>,
    lengths: &[usize],
    heads: usize,
    kv_heads: usize,
    mask: AttentionMask,
) -> Tensor<2> {
    let [rows, width] = qkv.dims();
    let time = lengths.iter().copied().max().unwrap_or(0);
    let sizes = packed_sizes([lengths.len(), time, width], heads, kv_heads);
    check(sizes, &mask);
    assert_eq!(width, (heads + 2 * kv_heads) * sizes.size, "the rows don't divide into the heads");
    assert_eq!(rows, lengths.iter().sum::<usize>(), "the rows are not those of the lengths");
    assert_eq!(mask.key_lengths, None, "sequences without filling have no lengths to be masked");
    let qkv = qkv.into_dispatch();
    if !flex::applies(&[&qkv]) {
        let filled = super::sequences::filled_up(Tensor::from_dispatch(qkv), lengths, time);
        let mask = AttentionMask { key_lengths: Some(lengths.to_vec()), ..mask };
        return super::sequences::without_filling(packed_attention(filled, heads, kv_heads, mask), lengths);
    }
    lengths.iter().for_each(|time| count(Sizes { batch: 1, queries: *time, keys: *time, ..sizes }));
    let starts = sequences::starts(lengths);
    Tensor::from_dispatch(Dispatch::row_attention(qkv, starts.into(), time, [heads, kv_heads], mask))
}

/// Counts the products of queries with keys and of weights with values, hidden ones among them.
fn count(Sizes { batch, queries, keys, heads, size, .. }: Sizes) {
    flops::count_sizes([2, batch, heads, queries, keys, size]);
}

fn packed_sizes([batch, time, width]: [usize; 3], heads: usize, kv_heads: usize) -> Sizes {
    let size = width / (heads + 2 * kv_heads).max(1);
    Sizes { batch, queries: time, keys: time, heads, kv_heads, size }
}

fn check(sizes: Sizes, mask: &AttentionMask) {
    let Sizes { batch, heads, kv_heads, .. } = sizes;
    let divides = kv_heads > 0 && heads.is_multiple_of(kv_heads);
    assert!(divides, "{heads} heads can't share {kv_heads} key heads");
    let lengths = mask.key_lengths.as_ref().map_or(batch, Vec::len);
    assert_eq!(lengths, batch, "the mask has the lengths of another number of sequences");
}

fn composed(q: Tensor<4>, k: Tensor<4>, v: Tensor<4>, sizes: Sizes, mask: &AttentionMask) -> Tensor<4> {
    let Sizes { batch, keys, heads, kv_heads, size, .. } = sizes;
    let shared = |x: Tensor<4>| {
        let repeated = x.unsqueeze_dim::<5>(3).repeat_dim(3, heads / kv_heads);
        repeated.reshape([batch, keys, heads, size]).swap_dims(1, 2)
    };
    let (q, k, v) = (q.swap_dims(1, 2), shared(k), shared(v));
    let hidden = mask.tensor(sizes, &q.device()).bool_not().expand([batch, heads, sizes.queries, keys]);
    let scores = q.matmul(k.transpose()) / (size as f64).sqrt();
    // The second fill is for queries that see nothing: their softmax is over equal scores.
    let weights = softmax(scores.mask_fill(hidden.clone(), -1e30), 3).mask_fill(hidden, 0.0);
    let weights = match mask.factors(sizes, &weights) {
        Some(factors) => weights * factors,
        None => weights,
    };
    weights.matmul(v).swap_dims(1, 2)
}

#[backend_extension(Flex, Autodiff)]
trait AttentionOps: Backend {
    fn masked_attention(
        q: FloatTensor<Self>,
        k: FloatTensor<Self>,
        v: FloatTensor<Self>,
        mask: AttentionMask,
    ) -> FloatTensor<Self>;
    fn packed_masked_attention(
        qkv: FloatTensor<Self>,
        heads: usize,
        kv_heads: usize,
        mask: AttentionMask,
    ) -> FloatTensor<Self>;
    fn row_attention(
        qkv: FloatTensor<Self>,
        starts: Arc<[usize]>,
        time: usize,
        heads: [usize; 2],
        mask: AttentionMask,
    ) -> FloatTensor<Self>;
}

impl AttentionOps for Flex {
    fn masked_attention(q: FlexTensor, k: FlexTensor, v: FlexTensor, mask: AttentionMask) -> FlexTensor {
        Saved::new([q, k, v], mask).0
    }

    fn packed_masked_attention(
        qkv: FlexTensor,
        heads: usize,
        kv_heads: usize,
        mask: AttentionMask,
    ) -> FlexTensor {
        SavedPacked::filled_up(qkv, heads, kv_heads, mask).0
    }

    fn row_attention(
        qkv: FlexTensor,
        starts: Arc<[usize]>,
        time: usize,
        heads: [usize; 2],
        mask: AttentionMask,
    ) -> FlexTensor {
        SavedPacked::of_rows(qkv, starts, time, heads, mask).0
    }
}

impl<C: CheckpointStrategy> AttentionOps for Autodiff<Flex, C> {
    fn masked_attention(q: Tracked, k: Tracked, v: Tracked, mask: AttentionMask) -> Tracked {
        let run = |inputs| Saved::new(inputs, mask.clone());
        track::<Attention, C, 3>([q, k, v], |inputs| run(inputs).0, run)
    }

    fn packed_masked_attention(qkv: Tracked, heads: usize, kv_heads: usize, mask: AttentionMask) -> Tracked {
        let run = |[qkv]: [FlexTensor; 1]| SavedPacked::filled_up(qkv, heads, kv_heads, mask.clone());
        track::<PackedAttention, C, 1>([qkv], |inputs| run(inputs).0, run)
    }

    fn row_attention(
        qkv: Tracked,
        starts: Arc<[usize]>,
        time: usize,
        heads: [usize; 2],
        mask: AttentionMask,
    ) -> Tracked {
        let run =
            |[qkv]: [FlexTensor; 1]| SavedPacked::of_rows(qkv, starts.clone(), time, heads, mask.clone());
        track::<PackedAttention, C, 1>([qkv], |inputs| run(inputs).0, run)
    }
}

/// Everything that the backward pass reads.
#[derive(Clone, Debug)]
struct Saved {
    inputs: [FlexTensor; 3],
    mask: AttentionMask,
    output: FlexTensor,
    log_sums: Vec<f32>,
}

impl Saved {
    /// Runs the forward pass.
    fn new(inputs: [FlexTensor; 3], mask: AttentionMask) -> (FlexTensor, Saved) {
        let inputs = inputs.map(contiguous);
        let sizes = Saved::sizes(&inputs);
        let [q, k, v] = inputs.each_ref().map(values);
        let inputs_here = Inputs::separate(q, k, v, sizes).with_dropout(mask.dropout);
        let got = kernel::forward(inputs_here, sizes, mask.borrowed());
        let output = flex::tensor(got.output, flex::shape(&inputs[0]));
        (output.clone(), Saved { inputs, mask, output, log_sums: got.log_sums })
    }

    fn sizes([q, k, _]: &[FlexTensor; 3]) -> Sizes {
        let (q, k) = (q.layout().shape(), k.layout().shape());
        Sizes { batch: q[0], queries: q[1], keys: k[1], heads: q[2], kv_heads: k[2], size: q[3] }
    }
}

struct Attention;

impl Differentiable<3> for Attention {
    type Saved = Saved;

    fn gradients(saved: Saved, dy: FlexTensor, _needed: [bool; 3]) -> [Option<FlexTensor>; 3] {
        let (dy, sizes) = (contiguous(dy), Saved::sizes(&saved.inputs));
        let [q, k, v] = saved.inputs.each_ref().map(values);
        let inputs = Inputs::separate(q, k, v, sizes).with_dropout(saved.mask.dropout);
        let mask = saved.mask.borrowed();
        let got = kernel::backward(inputs, sizes, mask, values(&saved.output), &saved.log_sums, values(&dy));
        let Gradients::Separate([dq, dk, dv]) = got else { unreachable!("the inputs are separate") };
        let [q, k, v] = saved.inputs.each_ref().map(flex::shape);
        [(dq, q), (dk, k), (dv, v)].map(|(gradient, shape)| Some(flex::tensor(gradient, shape)))
    }
}

/// Everything that the backward pass reads, of packed inputs.
#[derive(Clone, Debug)]
struct SavedPacked {
    qkv: FlexTensor,
    sizes: Sizes,
    /// Of sequences that lie one after the other.
    starts: Option<Arc<[usize]>>,
    mask: AttentionMask,
    output: FlexTensor,
    log_sums: Vec<f32>,
}

impl SavedPacked {
    /// Runs the forward pass of `[batch, time, …]`.
    fn filled_up(
        qkv: FlexTensor,
        heads: usize,
        kv_heads: usize,
        mask: AttentionMask,
    ) -> (FlexTensor, SavedPacked) {
        let shape = flex::shape(&qkv);
        SavedPacked::new(qkv, packed_sizes([shape[0], shape[1], shape[2]], heads, kv_heads), None, mask)
    }

    /// Runs the forward pass of `[rows, …]`.
    fn of_rows(
        qkv: FlexTensor,
        starts: Arc<[usize]>,
        time: usize,
        [heads, kv_heads]: [usize; 2],
        mask: AttentionMask,
    ) -> (FlexTensor, SavedPacked) {
        let sizes = packed_sizes([starts.len() - 1, time, width(&qkv)], heads, kv_heads);
        SavedPacked::new(qkv, sizes, Some(starts), mask)
    }

    fn new(
        qkv: FlexTensor,
        sizes: Sizes,
        starts: Option<Arc<[usize]>>,
        mask: AttentionMask,
    ) -> (FlexTensor, SavedPacked) {
        let qkv = contiguous(qkv);
        let got = kernel::forward(inputs(&qkv, sizes, &starts, &mask), sizes, mask.borrowed());
        let output = flex::tensor(got.output, flex::shape_with_width(&qkv, sizes.heads * sizes.size));
        (output.clone(), SavedPacked { qkv, sizes, starts, mask, output, log_sums: got.log_sums })
    }
}

fn inputs<'a>(
    qkv: &'a FlexTensor,
    sizes: Sizes,
    starts: &'a Option<Arc<[usize]>>,
    mask: &AttentionMask,
) -> Inputs<'a> {
    let inputs = Inputs::packed(values(qkv), sizes).with_dropout(mask.dropout);
    match starts {
        Some(starts) => inputs.one_after_the_other(starts),
        None => inputs,
    }
}

struct PackedAttention;

impl Differentiable<1> for PackedAttention {
    type Saved = SavedPacked;

    fn gradients(saved: SavedPacked, dy: FlexTensor, _needed: [bool; 1]) -> [Option<FlexTensor>; 1] {
        let SavedPacked { qkv, sizes, starts, mask, output, log_sums } = saved;
        let (dy, inputs) = (contiguous(dy), inputs(&qkv, sizes, &starts, &mask));
        let got = kernel::backward(inputs, sizes, mask.borrowed(), values(&output), &log_sums, values(&dy));
        let Gradients::Packed(gradient) = got else { unreachable!("the inputs are packed") };
        [Some(flex::tensor(gradient, flex::shape(&qkv)))]
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{check, input};

    fn masks() -> [AttentionMask; 5] {
        [
            AttentionMask::default(),
            AttentionMask::causal(),
            AttentionMask::padded(vec![3, 0]),
            AttentionMask {
                causal: true,
                window: Some(2),
                key_lengths: Some(vec![5, 2]),
                ..AttentionMask::default()
            },
            AttentionMask::causal().with_dropout(0.4, 3),
        ]
    }

    #[test]
    fn agrees_with_the_composed_form_in_f64() {
        for mask in masks() {
            check([input([2, 3, 4, 6], 1), input([2, 5, 2, 6], 2), input([2, 5, 2, 6], 3)], |[q, k, v]| {
                attention(q.get(), k.get(), v.get(), mask.clone())
            });
        }
    }

    #[test]
    fn packed_inputs_agree_with_the_composed_form_in_f64() {
        for mask in masks() {
            check([input([2, 5, 8 * 3], 1)], |[qkv]| packed_attention(qkv.get(), 4, 2, mask.clone()));
        }
    }

    #[test]
    fn rows_without_filling_agree_with_the_composed_form_in_f64() {
        for mask in [AttentionMask::default(), AttentionMask::causal().with_dropout(0.4, 3)] {
            check([input([9, 8 * 3], 1)], |[qkv]| {
                attention_of_rows(qkv.get(), &[4, 0, 5], 4, 2, mask.clone())
            });
        }
    }
}
