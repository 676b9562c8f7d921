//! The gradient of attention, from the output and the logarithms of the sums; scores are computed again.

use super::{Heads, Inputs, KEY_BLOCK, Mask, QUERY_BLOCK, Sequence, Sizes, key_blocks, rows};
use crate::{
    buf::uninit,
    gemm::{Matrix, Output, Packed, matmul_here},
    par::{self, Cut},
    scatter::Scatter,
};
use std::ops::Range;

/// Gradients of queries, keys and values, laid out as the inputs were.
#[derive(Debug)]
pub enum Gradients {
    /// Of [`Inputs::packed`].
    Packed(Vec<f32>),
    /// Of [`Inputs::separate`]: queries, keys, values.
    Separate([Vec<f32>; 3]),
}

/// Returns the gradients, given the gradient of the output.
///
/// The gradients are packed if the inputs are. A task owns a key head of a sequence and all query heads that share it.
///
/// # Panics
/// If the sizes don't fit the inputs or the output.
pub fn backward(
    inputs: Inputs,
    sizes: Sizes,
    mask: Mask,
    output: &[f32],
    log_sums: &[f32],
    dy: &[f32],
) -> Gradients {
    inputs.check(sizes);
    let Sizes { heads, kv_heads, size, .. } = sizes;
    let (query_rows, key_rows) = (inputs.query_rows(sizes), inputs.key_rows(sizes));
    assert!(
        output.len() == dy.len() && dy.len() == query_rows * heads * size,
        "the gradient has another size"
    );
    let given = Given {
        inputs,
        sizes,
        mask,
        output: Heads::new(output, heads, 0),
        log_sums,
        dy: Heads::new(dy, heads, 0),
    };
    let packed = inputs.q.per_row != heads;
    if packed {
        let per_row = inputs.q.per_row;
        let mut all = uninit(query_rows * per_row * size);
        let scattered = Scatter::new(&mut all, size);
        let target = |first| Target { rows: &scattered, per_row, first };
        given.run([target(0), target(heads), target(heads + kv_heads)]);
        Gradients::Packed(all)
    } else {
        let [mut dq, mut dk, mut dv] = [(query_rows, heads), (key_rows, kv_heads), (key_rows, kv_heads)]
            .map(|(rows, heads)| uninit(rows * heads * size));
        {
            let [q, k, v] = [&mut dq, &mut dk, &mut dv].map(|gradient| Scatter::new(gradient, size));
            let target = |rows, per_row| Target { rows, per_row, first: 0 };
            given.run([target(&q, heads), target(&k, kv_heads), target(&v, kv_heads)]);
        }
        Gradients::Separate([dq, dk, dv])
    }
}

/// Where a gradient is written to.
#[derive(Clone, Copy)]
struct Target<'s, 'a> {
    rows: &'s Scatter<'a>,
    per_row: usize,
    first: usize,
}

impl Target<'_, '_> {
    /// Writes rows of one head.
    fn write(&self, values: &[f32], size: usize, rows: Range<usize>, head: usize) {
        for (i, row) in rows.enumerate() {
            self.rows
                .take(row * self.per_row + self.first + head)
                .copy_from_slice(&values[i * size..][..size]);
        }
    }
}

/// Everything that the backward pass reads.
struct Given<'a> {
    inputs: Inputs<'a>,
    sizes: Sizes,
    mask: Mask<'a>,
    output: Heads<'a>,
    log_sums: &'a [f32],
    dy: Heads<'a>,
}

/// Keys and values of a key head, cut into panels once for all blocks of queries.
struct Panels<'a> {
    k: Packed<'a>,
    turned_k: Packed<'a>,
    turned_v: Packed<'a>,
}

/// Buffers of a task.
struct Scratch {
    scores: Vec<f32>,
    dp: Vec<f32>,
    dq: Vec<f32>,
    dk: Vec<f32>,
    dv: Vec<f32>,
}

impl Given<'_> {
    fn run(&self, [dq, dk, dv]: [Target; 3]) {
        let Sizes { batch, queries, keys, heads, kv_heads, size } = self.sizes;
        let shared = heads / kv_heads;
        par::run((), Cut::tasks(batch * kv_heads, 2 * self.sizes.cost()), |range, ()| {
            let (rows, columns) = (QUERY_BLOCK.min(queries), KEY_BLOCK.min(keys));
            let mut scratch = Scratch {
                scores: uninit(rows * columns),
                dp: uninit(rows * columns),
                dq: uninit(rows * size),
                dk: uninit(keys * size),
                dv: uninit(keys * size),
            };
            for task in range {
                let (number, kv_head) = (task / kv_heads, task % kv_heads);
                let sequence = self.inputs.sequence(self.sizes, number);
                let Sizes { queries, keys, .. } = sequence.sizes;
                let [k, v] = self.inputs.keys_and_values(sequence, 0..keys, kv_head);
                let panels = Panels {
                    k: Packed::new(k),
                    turned_k: Packed::new(k.transposed()),
                    turned_v: Packed::new(v.transposed()),
                };
                scratch.dk[..keys * size].fill(0.0);
                scratch.dv[..keys * size].fill(0.0);
                for head in kv_head * shared..(kv_head + 1) * shared {
                    for first in (0..queries).step_by(QUERY_BLOCK) {
                        let block = first..(first + QUERY_BLOCK).min(queries);
                        self.block(&mut scratch, sequence, &panels, head, block.clone());
                        let rows = sequence.query_row + block.start..sequence.query_row + block.end;
                        dq.write(&scratch.dq, size, rows, head);
                    }
                }
                let rows = sequence.key_row..sequence.key_row + keys;
                dk.write(&scratch.dk, size, rows.clone(), kv_head);
                dv.write(&scratch.dv, size, rows, kv_head);
            }
        });
    }

    /// Computes the gradient of a block of queries and adds its share to those of keys and values.
    ///
    /// With weights `p` and `delta = Σ dy y`: `dv += pᵀ dy`, `ds = p (dy vᵀ - delta) / √size`, `dk += dsᵀ q`,
    /// `dq = ds k`. Dropout multiplies `p` by its mask in the first and `dy vᵀ` in the second.
    fn block(
        &self,
        scratch: &mut Scratch,
        sequence: Sequence,
        panels: &Panels,
        head: usize,
        block: Range<usize>,
    ) {
        let Sequence { number, sizes, query_row, .. } = sequence;
        let (size, count) = (sizes.size, block.len());
        let q_rows = query_row + block.start..query_row + block.end;
        let q = self.inputs.q.matrix(size, q_rows.clone(), head);
        let dy = self.dy.matrix(size, q_rows.clone(), head);
        let deltas: Vec<f32> = q_rows
            .map(|row| rows::product(self.output.row(size, row, head), self.dy.row(size, row, head)))
            .collect();
        let dq = &mut scratch.dq[..count * size];
        dq.fill(0.0);
        for keys in key_blocks(self.mask.visible_to_any(sizes, number, block.clone())) {
            let width = keys.len();
            let (scores, dp) = (&mut scratch.scores[..count * width], &mut scratch.dp[..count * width]);
            panels.turned_k.multiply_part(q, 0..size, keys.clone(), Output::strided(scores, width));
            panels.turned_v.multiply_part(dy, 0..size, keys.clone(), Output::strided(dp, width));
            for (i, query) in block.clone().enumerate() {
                let visible = self.mask.visible(sizes, number, query);
                let visible = visible.start.clamp(keys.start, keys.end) - keys.start
                    ..visible.end.clamp(keys.start, keys.end) - keys.start;
                let log_sum = self.log_sums[sequence.log_sums(head) + query];
                let (scores, dp) = (&mut scores[i * width..][..width], &mut dp[i * width..][..width]);
                let place = [number, head, query];
                if let Some(dropout) = self.inputs.dropout {
                    dropout.apply(sizes, place, keys.start, dp);
                }
                rows::weights_and_gradient(scores, dp, visible, sizes.scale(), log_sum, deltas[i]);
                if let Some(dropout) = self.inputs.dropout {
                    dropout.apply(sizes, place, keys.start, scores);
                }
            }
            let (p, ds) = (Matrix::new(scores, count, width), Matrix::new(dp, count, width));
            let of_keys = keys.start * size..keys.end * size;
            let dv = Output::strided(&mut scratch.dv[of_keys.clone()], size).adding();
            matmul_here(p.transposed(), dy, dv);
            matmul_here(ds.transposed(), q, Output::strided(&mut scratch.dk[of_keys], size).adding());
            panels.k.multiply_part(ds, keys, 0..size, Output::strided(dq, size).adding());
        }
    }
}
