//! Products whose tasks own columns of the output: for few rows and many columns, as gradients of weights have.
//!
//! A task copies its panels itself and has each in the first-level cache for all rows; sums stay with the task until they
//! are whole.

use super::{Matrix, Output, Pass, TASKS, left::LeftRows, most_tasks, panel::Panels, tile::Kernel};
use crate::{
    buf::uninit,
    par::{self, Cut},
    scatter::Scatter,
};
use std::ops::Range;

/// Tiles of rows that are brought together at a time.
const PIECE_TILES: usize = 8;

/// Writes or adds `a b` to `out`.
pub(super) fn product(a: Matrix, b: Matrix, out: Output) {
    assert_eq!(a.columns, b.rows, "inner sizes of a matrix product differ");
    let Output { data, row_stride, add } = out.cut(a.rows, b.columns);
    if data.is_empty() {
        return;
    }
    let kernel = Kernel::for_product(a.rows, a.columns, b.columns);
    let passes: Vec<Range<usize>> = (0..=a.columns.saturating_sub(1) / kernel.depth)
        .map(|at| at * kernel.depth..((at + 1) * kernel.depth).min(a.columns))
        .collect();
    let piece = PIECE_TILES * kernel.rows;
    let pieces = a.rows.div_ceil(piece);
    let count = pieces * passes.len();
    let left = par::run((), Cut::into(count, count), |range, ()| {
        range
            .map(|at| {
                let first = at % pieces * piece;
                LeftRows::new(&kernel, a, first..(first + piece).min(a.rows), passes[at / pieces].clone())
            })
            .collect::<Vec<_>>()
    });
    let left: Vec<LeftRows> = left.into_iter().flatten().collect();
    let panels = b.columns.div_ceil(kernel.columns);
    // Each task reads the whole left factor, which is three times as large where values are taken apart.
    let tasks = if kernel.parts > 1 { TASKS / 2 } else { TASKS };
    let cut = Cut::into(panels, tasks.min(most_tasks(a, b)));
    let out = Scatter::of_columns(data, [a.rows, b.columns], row_stride, cut, kernel.columns);
    par::run((), cut, |range, ()| {
        let columns = range.start * kernel.columns..(range.end * kernel.columns).min(b.columns);
        let width = columns.len();
        let b = Matrix { data: &b.data[columns.start * b.column_stride..], columns: width, ..b };
        let mut sums = uninit(a.rows * width);
        let mut panels = Panels::new(&kernel, a.columns.min(kernel.depth), width);
        for (depth, left) in passes.iter().zip(left.chunks(pieces)) {
            panels.fill(b, depth.clone(), false);
            let pass =
                Pass { kernel, b, depth: depth.clone(), columns: 0..width, panels: Some((&panels, 0)) };
            for (left, sums) in left.iter().zip(sums.chunks_mut(piece * width)) {
                pass.run(left, sums, width, depth.start > 0);
            }
        }
        for (sums, out) in sums.chunks_exact(width).zip(out.take_columns(columns.start)) {
            if add {
                out.iter_mut().zip(sums).for_each(|(out, sum)| *out += sum);
            } else {
                out.copy_from_slice(sums);
            }
        }
    });
}
