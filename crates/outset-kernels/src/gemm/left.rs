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
        let (count, cells) = (rows.len(), kernel.row(depth.len()));
        let together = a.column_stride != 1 && a.row_stride == 1;
        if kernel.pairs == 1 && !together {
            let first = rows.start * a.row_stride + depth.start * a.column_stride;
            let data = Cow::Borrowed(&a.data[first.min(a.data.len())..]);
            let (apart, step) = (a.row_stride, a.column_stride);
            return LeftRows { data, rows: count, tile: kernel.rows * apart, apart, step };
        }
        let data = Cow::Owned(if together {
            gather(kernel, a.transposed(), rows, depth)
        } else {
            round(kernel, a, rows, depth)
        });
        let (apart, step) = if together && kernel.block == 1 { (1, kernel.rows) } else { (cells, 1) };
        LeftRows { data, rows: count, tile: kernel.rows * cells, apart, step }
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
    let Kernel { rows: width, pairs, block, parts, .. } = *kernel;
    if parts > 1 {
        return gather_parts(kernel, columns, rows, depth);
    }
    let (steps, cells) = (depth.len(), kernel.cells(depth.len()));
    let row = kernel.row(steps);
    let tile = width * row;
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
            panel::transpose(&paired, width, width, cells, out, row);
        }
    }
    values
}

/// Copies columns of neighbouring values and takes them apart: `[row][cell]`.
fn gather_parts(kernel: &Kernel, columns: Matrix, rows: Range<usize>, depth: Range<usize>) -> Vec<f32> {
    let (width, steps, cells) = (kernel.rows, depth.len(), kernel.row(depth.len()));
    let mut values = uninit(rows.len().next_multiple_of(width) * cells);
    // Rows of whole groups of the columns that are turned together.
    let row = steps.next_multiple_of(panel::SIDE);
    let mut turned = uninit(width * row);
    for (out, first) in values.chunks_exact_mut((width * cells).max(1)).zip(rows.clone().step_by(width)) {
        let rows = first..(first + width).min(rows.end);
        let count = rows.len();
        let turned = &mut turned[..count * row];
        panel::copy_panel(columns.transposed(), rows, depth.clone(), turned, row);
        for (out, row) in out.chunks_exact_mut(cells.max(1)).zip(turned.chunks_exact(row.max(1))) {
            kernel.cells_of_values(&row[..steps], &mut out[..kernel.cells(steps)]);
        }
        out[count * cells..].fill(0.0);
    }
    values
}

/// Brings rows to cells of bf16: `[row][cell]`.
fn round(kernel: &Kernel, a: Matrix, rows: Range<usize>, depth: Range<usize>) -> Vec<f32> {
    let Matrix { data, row_stride, column_stride, .. } = a;
    let (steps, cells) = (depth.len(), kernel.row(depth.len()));
    let mut values = uninit(kernel.filled(rows.len()) * cells);
    values[rows.len() * cells..].fill(0.0);
    let mut apart = Vec::new();
    for (out, row) in values.chunks_exact_mut(cells.max(1)).zip(rows) {
        let row = &data[row * row_stride + depth.start * column_stride..];
        if column_stride == 1 {
            kernel.cells_of_values(&row[..steps], &mut out[..kernel.cells(steps)]);
        } else {
            apart.clear();
            apart.extend(row.iter().step_by(column_stride).take(steps));
            kernel.cells_of_values(&apart, &mut out[..kernel.cells(steps)]);
        }
    }
    values
}
