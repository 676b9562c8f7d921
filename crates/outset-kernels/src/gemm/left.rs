//! Rows of the left factor of a product, as tiles read them.

use super::{
    Matrix, pairs, panel,
    tile::{Kernel, Left, Starts},
};
use crate::buf::uninit;
use std::{borrow::Cow, ops::Range};

/// Some rows over a part of the depth: read in place, or brought together where their values lie apart or are rounded.
pub(super) struct LeftRows<'a> {
    data: Cow<'a, [f32]>,
    rows: usize,
    /// Distance of the tiles.
    tile: usize,
    /// Distance of the rows of a tile.
    apart: usize,
    /// Distance of neighbouring values of a row.
    step: usize,
}

impl<'a> LeftRows<'a> {
    /// Prepares rows for a kernel.
    pub(super) fn new(
        kernel: &Kernel,
        a: Matrix<'a>,
        rows: Range<usize>,
        depth: Range<usize>,
    ) -> LeftRows<'a> {
        let together = a.column_stride != 1 && a.row_stride == 1;
        if kernel.pairs == 1 && !together {
            let first = rows.start * a.row_stride + depth.start * a.column_stride;
            let data = Cow::Borrowed(&a.data[first.min(a.data.len())..]);
            let (apart, step) = (a.row_stride, a.column_stride);
            return LeftRows { data, rows: rows.len(), tile: kernel.rows * apart, apart, step };
        }
        let (count, apart) = (rows.len(), kernel.row(depth.len()));
        let data = Cow::Owned(if together && kernel.parts == 1 {
            gather(kernel, a.transposed(), rows, depth)
        } else {
            convert(kernel, a, rows, depth)
        });
        let tile = kernel.rows * apart;
        let (apart, step) = if together && kernel.block == 1 { (1, kernel.rows) } else { (apart, 1) };
        LeftRows { data, rows: count, tile, apart, step }
    }

    /// Number of rows.
    pub(super) fn rows(&self) -> usize {
        self.rows
    }

    /// Returns the rows of a tile.
    pub(super) fn tile(&self, at: usize) -> Left<'_> {
        let starts = Starts::Even { first: at * self.tile, apart: self.apart };
        Left { data: &self.data, starts, step: self.step }
    }
}

/// Copies columns of neighbouring values: `[tile][cell][row of the tile]`, or `[row][cell]` where rows are filled up.
fn gather(kernel: &Kernel, columns: Matrix, rows: Range<usize>, depth: Range<usize>) -> Vec<f32> {
    let Kernel { rows: width, pairs, block, .. } = *kernel;
    let (steps, cells, apart) = (depth.len(), kernel.cells(depth.len()), kernel.row(depth.len()));
    let tile = width * apart;
    let mut values = uninit(rows.len().div_ceil(width) * tile);
    let mut single = Vec::new();
    let mut paired = if block == 1 { Vec::new() } else { uninit(width * cells) };
    for (out, first) in values.chunks_exact_mut(tile.max(1)).zip(rows.clone().step_by(width)) {
        let rows = first..(first + width).min(rows.end);
        if pairs == 1 {
            panel::copy_panel(columns, depth.clone(), rows, out, width);
            continue;
        }
        let (source, stride) = if rows.len() == width && steps > 0 {
            (&columns.data[depth.start * columns.row_stride + first..], columns.row_stride)
        } else {
            single.resize(width * steps, 0.0);
            panel::copy_panel(columns, depth.clone(), rows, &mut single, width);
            (&single[..], width)
        };
        if block == 1 {
            pairs::pair_rows(source, stride, steps, out, width);
        } else {
            pairs::pair_rows(source, stride, steps, &mut paired, width);
            panel::transpose(&paired, width, width, cells, out, apart);
        }
    }
    values
}

/// Brings rows to cells of bf16: `[row][cell]`.
fn convert(kernel: &Kernel, a: Matrix, rows: Range<usize>, depth: Range<usize>) -> Vec<f32> {
    let (steps, cells, apart) = (depth.len(), kernel.cells(depth.len()), kernel.row(depth.len()));
    let mut values = uninit(kernel.filled(rows.len()) * apart);
    let (out, beyond) = values.split_at_mut(rows.len() * apart);
    beyond.fill(0.0);
    // Rows whose values lie apart are brought together first, in whole groups of what is turned at a time.
    let turned = steps.next_multiple_of(panel::SIDE);
    let in_place = a.column_stride == 1;
    let mut together = if in_place { Vec::new() } else { uninit(kernel.rows * turned) };
    let tiles = out.chunks_mut((kernel.rows * apart).max(1));
    for (out, first) in tiles.zip(rows.clone().step_by(kernel.rows)) {
        let rows = first..(first + kernel.rows).min(rows.end);
        let (source, stride) = if in_place {
            (&a.data[first * a.row_stride + depth.start..], a.row_stride)
        } else {
            let together = &mut together[..rows.len() * turned];
            panel::copy_panel(a, rows, depth.clone(), together, turned);
            (&*together, turned)
        };
        for (row, out) in out.chunks_exact_mut(apart.max(1)).enumerate() {
            kernel.cells_of_values(&source[row * stride..][..steps], &mut out[..cells]);
        }
    }
    values
}
