//! The right factor of a product, cut into panels as the innermost loop reads them.

use super::{Matrix, tile::Kernel};
use crate::{
    buf::uninit,
    isa::kernel,
    par::{self, Cut, Rows},
};
use std::ops::Range;

/// Panels of neighbouring columns: `[panel][row][column of the panel]`, the last filled up with zeros.
pub(crate) struct Panels {
    data: Vec<f32>,
    rows: usize,
    width: usize,
    kernel: Kernel,
}

impl Panels {
    /// Makes room for panels of up to `rows` rows.
    pub(crate) fn new(kernel: &Kernel, rows: usize, columns: usize) -> Panels {
        let (width, rows) = (kernel.columns, kernel.cells(rows));
        Panels { data: uninit(columns.div_ceil(width) * rows * width), rows, width, kernel: *kernel }
    }

    /// Copies some rows of `b`, in parallel where that pays.
    pub(crate) fn fill(&mut self, b: Matrix, rows: Range<usize>, parallel: bool) {
        self.rows = self.kernel.cells(rows.len());
        let (panel, width, count) = (self.rows * self.width, self.width, b.columns.div_ceil(self.width));
        let data = &mut self.data[..panel * count];
        let cut = if parallel { Cut::new(count, 2 * panel) } else { Cut::new(count, 0) };
        let kernel = self.kernel;
        par::run(Rows::new(data, panel), cut, |panels, data| {
            let mut scratch = Vec::new();
            for (out, at) in data.data.chunks_exact_mut(panel.max(1)).zip(panels) {
                let columns = at * width..((at + 1) * width).min(b.columns);
                if kernel.pairs == 1 {
                    copy_panel(b, rows.clone(), columns, out, width);
                } else {
                    copy_cells(&kernel, b, rows.clone(), columns, out, &mut scratch);
                }
            }
        });
    }

    /// Borrows one panel.
    pub(crate) fn panel(&self, at: usize) -> &[f32] {
        let len = self.rows * self.width;
        &self.data[at * len..][..len]
    }
}

/// Copies a block of `b` to `out` as cells of bf16.
fn copy_cells(
    kernel: &Kernel,
    b: Matrix,
    rows: Range<usize>,
    columns: Range<usize>,
    out: &mut [f32],
    scratch: &mut Vec<f32>,
) {
    let width = kernel.columns;
    if b.column_stride == 1 && columns.len() == width {
        let first = rows.start * b.row_stride + columns.start;
        kernel.cells_of_rows(&b.data[first..], b.row_stride, rows.len(), out);
        return;
    }
    if b.row_stride == 1 && b.column_stride != 1 {
        // The steps of a cell lie side by side: where it holds two values, half as much is turned.
        let cells = kernel.cells(rows.len());
        scratch.resize(columns.len() * cells, 0.0);
        for (column, out) in columns.clone().zip(scratch.chunks_exact_mut(cells.max(1))) {
            kernel.cells_of_values(&b.data[rows.start + column * b.column_stride..][..rows.len()], out);
        }
        transpose(scratch, cells, cells, columns.len(), out, width);
        return;
    }
    scratch.resize(rows.len() * width, 0.0);
    copy_panel(b, rows.clone(), columns, scratch, width);
    kernel.cells_of_rows(scratch, width, rows.len(), out);
}

/// Copies a block of `b` to `out`, rows of `width` values.
pub(crate) fn copy_panel(
    b: Matrix,
    rows: Range<usize>,
    columns: Range<usize>,
    out: &mut [f32],
    width: usize,
) {
    if rows.is_empty() || columns.is_empty() {
        return;
    }
    let first = rows.start * b.row_stride + columns.start * b.column_stride;
    if b.column_stride == 1 {
        copy_rows(&b.data[first..], b.row_stride, columns.len(), out, width);
    } else if b.row_stride == 1 {
        transpose(&b.data[first..], b.column_stride, rows.len(), columns.len(), out, width);
    } else {
        for (r, out) in out.chunks_exact_mut(width).enumerate() {
            for (c, out) in out.iter_mut().enumerate() {
                *out = if c < columns.len() {
                    b.data[first + r * b.row_stride + c * b.column_stride]
                } else {
                    0.0
                };
            }
        }
    }
}

kernel! {
    fn copy_rows<A>(source: &[f32], stride: usize, columns: usize, out: &mut [f32], width: usize) {
        // Whole rows of the widths that kernels have, for which a copy is a move of registers.
        match (columns == width, width) {
            (true, 32) => copy_whole_rows::<32>(source, stride, out),
            (true, 16) => copy_whole_rows::<16>(source, stride, out),
            (true, 8) => copy_whole_rows::<8>(source, stride, out),
            (true, 6) => copy_whole_rows::<6>(source, stride, out),
            _ => {
                for (r, out) in out.chunks_exact_mut(width).enumerate() {
                    out[..columns].copy_from_slice(&source[r * stride..][..columns]);
                    out[columns..].fill(0.0);
                }
            }
        }
    }
}

#[inline(always)]
fn copy_whole_rows<const WIDTH: usize>(source: &[f32], stride: usize, out: &mut [f32]) {
    for (r, out) in out.as_chunks_mut::<WIDTH>().0.iter_mut().enumerate() {
        *out = *source[r * stride..].first_chunk().expect("the rows lie in the matrix");
    }
}

/// Side of the blocks in which a panel is turned.
pub(super) const SIDE: usize = 8;

kernel! {
    /// Turns columns that lie `stride` apart, each of neighbouring values, into rows.
    pub(super) fn transpose<A>(source: &[f32], stride: usize, rows: usize, columns: usize, out: &mut [f32], width: usize) {
        for group in (0..width).step_by(SIDE) {
            if group + SIDE > columns {
                for (r, out) in out.chunks_exact_mut(width).enumerate() {
                    for (c, out) in out[group..].iter_mut().take(SIDE).enumerate() {
                        *out = if group + c < columns { source[(group + c) * stride + r] } else { 0.0 };
                    }
                }
                continue;
            }
            let columns: [&[f32]; SIDE] = std::array::from_fn(|c| &source[(group + c) * stride..][..rows]);
            let whole = rows / SIDE * SIDE;
            for r in (0..whole).step_by(SIDE) {
                let block: [[f32; SIDE]; SIDE] =
                    std::array::from_fn(|c| *columns[c][r..].first_chunk().expect("the block is whole"));
                let turned = turn(block);
                for (i, row) in turned.iter().enumerate() {
                    out[(r + i) * width + group..][..SIDE].copy_from_slice(row);
                }
            }
            for r in whole..rows {
                for (c, column) in columns.iter().enumerate() {
                    out[r * width + group + c] = column[r];
                }
            }
        }
    }
}

/// Transposes a block by three rounds of exchanges, which become shuffles of registers.
#[inline(always)]
fn turn(block: [[f32; SIDE]; SIDE]) -> [[f32; SIDE]; SIDE] {
    let r = block;
    // Pairs of rows interleaved within each half: (0,1), (2,3), …
    let low = |a: [f32; 8], b: [f32; 8]| [a[0], b[0], a[1], b[1], a[4], b[4], a[5], b[5]];
    let high = |a: [f32; 8], b: [f32; 8]| [a[2], b[2], a[3], b[3], a[6], b[6], a[7], b[7]];
    let s = [
        low(r[0], r[1]),
        high(r[0], r[1]),
        low(r[2], r[3]),
        high(r[2], r[3]),
        low(r[4], r[5]),
        high(r[4], r[5]),
        low(r[6], r[7]),
        high(r[6], r[7]),
    ];
    // Quadruples of rows.
    let first = |a: [f32; 8], b: [f32; 8]| [a[0], a[1], b[0], b[1], a[4], a[5], b[4], b[5]];
    let second = |a: [f32; 8], b: [f32; 8]| [a[2], a[3], b[2], b[3], a[6], a[7], b[6], b[7]];
    let t = [
        first(s[0], s[2]),
        second(s[0], s[2]),
        first(s[1], s[3]),
        second(s[1], s[3]),
        first(s[4], s[6]),
        second(s[4], s[6]),
        first(s[5], s[7]),
        second(s[5], s[7]),
    ];
    // Halves of the rows side by side.
    let left = |a: [f32; 8], b: [f32; 8]| [a[0], a[1], a[2], a[3], b[0], b[1], b[2], b[3]];
    let right = |a: [f32; 8], b: [f32; 8]| [a[4], a[5], a[6], a[7], b[4], b[5], b[6], b[7]];
    [
        left(t[0], t[4]),
        left(t[1], t[5]),
        left(t[2], t[6]),
        left(t[3], t[7]),
        right(t[0], t[4]),
        right(t[1], t[5]),
        right(t[2], t[6]),
        right(t[3], t[7]),
    ]
}
