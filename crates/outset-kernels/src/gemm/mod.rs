//! Matrix products in `f32`.
//!
//! The right factor is cut into panels of some columns, copied so that the innermost loop ([`tile`]) reads them from
//! first to last; tasks own rows of the output and go through all panels. Where one depth would not fit the cache, the
//! product is made in several passes that add up.

mod pairs;
mod panel;
pub(crate) mod tile;

use crate::{
    buf::uninit,
    par::{self, Cut, Rows},
};
use panel::Panels;
use std::ops::Range;
use tile::{Depth, Kernel, Left, Right, Target};

/// Multiplications below which a product stays on the calling thread.
const PARALLEL_FROM: usize = 1 << 20;

/// Rows from which on factors are rounded to bf16, where that is the precision.
const FEWEST_ROWS_OF_PAIRS: usize = 32;

/// Tiles of rows in a task.
const TASK_TILES: usize = 8;

/// Tasks that a product has, where it has so many tiles: enough that a core that is taken away for a while holds up
/// little.
const TASKS: usize = 16;

/// Multiplications below which a task of a small product would be done sooner than it is handed to another thread.
const TASK_PRODUCTS: usize = 1 << 19;

/// A matrix read in place: element `(r, c)` is `data[r * row_stride + c * column_stride]`.
#[derive(Clone, Copy, Debug)]
pub struct Matrix<'a> {
    data: &'a [f32],
    rows: usize,
    columns: usize,
    row_stride: usize,
    column_stride: usize,
}

impl<'a> Matrix<'a> {
    /// Takes `data` as `rows` rows of `columns` values, one after the other.
    pub fn new(data: &'a [f32], rows: usize, columns: usize) -> Self {
        Matrix::strided(data, rows, columns, columns)
    }

    /// Takes rows that start `row_stride` values apart.
    ///
    /// # Panics
    /// If the last row reaches past the end of `data`.
    pub fn strided(data: &'a [f32], rows: usize, columns: usize, row_stride: usize) -> Self {
        assert!(extent(rows, columns, row_stride) <= data.len(), "the matrix reaches past its data");
        Matrix { data, rows, columns, row_stride, column_stride: 1 }
    }

    /// Swaps rows and columns without moving data.
    pub fn transposed(self) -> Self {
        Matrix {
            rows: self.columns,
            columns: self.rows,
            row_stride: self.column_stride,
            column_stride: self.row_stride,
            ..self
        }
    }
}

/// Values from the first to the last of a row-major matrix.
fn extent(rows: usize, columns: usize, row_stride: usize) -> usize {
    if rows == 0 || columns == 0 { 0 } else { (rows - 1) * row_stride + columns }
}

/// A row-major matrix that a product is written to.
#[derive(Debug)]
pub struct Output<'a> {
    data: &'a mut [f32],
    row_stride: usize,
    add: bool,
}

impl<'a> Output<'a> {
    /// Overwrites rows that start `row_stride` values apart.
    pub fn strided(data: &'a mut [f32], row_stride: usize) -> Self {
        Output { data, row_stride, add: false }
    }

    /// Adds the product to what is there.
    pub fn adding(self) -> Self {
        Output { add: true, ..self }
    }
}

/// Writes `a b` to `out`, a row-major matrix without gaps.
pub fn matmul(a: Matrix, b: Matrix, out: &mut [f32]) {
    let columns = b.columns;
    product(a, b, Output::strided(out, columns), a.rows * a.columns * columns >= PARALLEL_FROM);
}

/// Writes or adds `a b` to `out`.
pub fn matmul_into(a: Matrix, b: Matrix, out: Output) {
    product(a, b, out, a.rows * a.columns * b.columns >= PARALLEL_FROM);
}

/// Writes `a b` to `out` on the calling thread, for use inside a parallel loop.
pub fn matmul_here(a: Matrix, b: Matrix, out: Output) {
    product(a, b, out, false);
}

/// Writes `a b` to `out` and calls `then` with whole rows of it, the number of the first, and the same rows of `beside`,
/// once they are complete.
///
/// What `then` does to some rows it does while they are still in the cache. `beside` has as many values as `out`, or none.
pub(crate) fn matmul_then(
    a: Matrix,
    b: Matrix,
    out: &mut [f32],
    beside: &mut [f32],
    then: impl Fn(usize, &mut [f32], &mut [f32]) + Sync,
) {
    let parallel = a.rows * a.columns * b.columns >= PARALLEL_FROM;
    let columns = b.columns;
    let width = if beside.is_empty() { 0 } else { columns };
    product_then(a, b, Output::strided(out, columns), parallel, Rows::new(beside, width), then);
}

/// A right factor cut into panels once, for many products with few rows each: the weights of a step of a recurrent layer.
///
/// Read in place, rows that lie a multiple of a page apart would throw each other out of the first-level cache.
pub struct Packed<'a> {
    b: Matrix<'a>,
    kernel: Kernel,
    /// For each pass over the depth.
    panels: Vec<Panels>,
}

impl<'a> Packed<'a> {
    /// Cuts the factor, in the precision that holds here.
    pub fn new(b: Matrix<'a>) -> Packed<'a> {
        let kernel = Kernel::current();
        let parallel = 2 * b.rows * b.columns >= PARALLEL_FROM;
        let panels = (0..b.rows.div_ceil(kernel.depth))
            .map(|at| {
                let depth = at * kernel.depth..((at + 1) * kernel.depth).min(b.rows);
                let mut panels = Panels::new(&kernel, depth.len(), b.columns);
                panels.fill(b, depth, parallel);
                panels
            })
            .collect();
        Packed { b, kernel, panels }
    }
}

/// Writes or adds `a b` to `out` on the calling thread, for use inside a parallel loop.
///
/// # Panics
/// If the sizes don't fit.
pub fn matmul_packed_here(a: Matrix, b: &Packed, out: Output) {
    let Packed { b, kernel, panels } = b;
    assert_eq!(a.columns, b.rows, "inner sizes of a matrix product differ");
    let Output { data, row_stride, add } = out;
    let extent = extent(a.rows, b.columns, row_stride);
    assert!(extent <= data.len(), "the product reaches past its output");
    let data = &mut data[..extent];
    if panels.is_empty() && !add {
        for row in data.chunks_mut(row_stride.max(1)) {
            let columns = row.len().min(b.columns);
            row[..columns].fill(0.0);
        }
    }
    if extent == 0 {
        return;
    }
    for (at, panels) in panels.iter().enumerate() {
        let depth = at * kernel.depth..((at + 1) * kernel.depth).min(a.columns);
        let pass = Pass { kernel: *kernel, a, b: *b, depth, panels: Some(panels) };
        pass.run(0..a.rows.div_ceil(kernel.rows), data, row_stride, add || at > 0);
    }
}

fn product(a: Matrix, b: Matrix, out: Output, parallel: bool) {
    product_then(a, b, out, parallel, Rows::new(&mut [], 0), |_, _, _| {});
}

fn product_then(
    a: Matrix,
    b: Matrix,
    out: Output,
    parallel: bool,
    beside: Rows<f32>,
    then: impl Fn(usize, &mut [f32], &mut [f32]) + Sync,
) {
    let (rows, inner, columns) = (a.rows, a.columns, b.columns);
    assert_eq!(inner, b.rows, "inner sizes of a matrix product differ");
    let extent = extent(rows, columns, out.row_stride);
    assert!(extent <= out.data.len(), "the product reaches past its output");
    if extent == 0 {
        return;
    }
    let Output { data, row_stride, add } = out;
    let data = &mut data[..extent];
    // Rounding the right factor is not worth it for few rows.
    let kernel = if rows < FEWEST_ROWS_OF_PAIRS { Kernel::of_level() } else { Kernel::current() };
    let tiles = rows.div_ceil(kernel.rows);
    let worth_it = rows * inner * columns / TASK_PRODUCTS;
    let cut =
        if parallel { Cut::into(tiles, parts(tiles).min(worth_it.max(1))) } else { Cut::into(tiles, 1) };
    // Few rows use each panel but few times: not worth a copy where it can be read in place.
    let in_place = kernel.pairs == 1 && b.column_stride == 1 && tiles <= TASK_TILES;
    let mut panels = Panels::new(&kernel, if in_place { 0 } else { inner.min(kernel.depth) }, columns);
    let last = inner.saturating_sub(1) / kernel.depth;
    let mut beside = Some(beside.in_groups(kernel.rows));
    for at in 0..=last {
        let depth = at * kernel.depth..((at + 1) * kernel.depth).min(inner);
        if !in_place {
            panels.fill(b, depth.clone(), parallel);
        }
        let pass = Pass { kernel, a, b, depth, panels: (!in_place).then_some(&panels) };
        let out = Rows::new(&mut *data, kernel.rows * row_stride);
        let add = add || at > 0;
        if at < last {
            par::run(out, cut, |tiles, out| pass.run(tiles, out.data, row_stride, add));
        } else if let Some(beside) = beside.take() {
            par::run((out, beside), cut, |tiles, (out, beside)| {
                pass.run(tiles.clone(), out.data, row_stride, add);
                then(tiles.start * kernel.rows, out.data, beside.data);
            });
        }
    }
}

/// Number of tasks that tiles of rows are cut into.
fn parts(tiles: usize) -> usize {
    (tiles / TASK_TILES).max(TASKS).min(tiles)
}

/// The product over a part of the depth.
struct Pass<'a> {
    kernel: Kernel,
    a: Matrix<'a>,
    b: Matrix<'a>,
    depth: Range<usize>,
    panels: Option<&'a Panels>,
}

impl Pass<'_> {
    /// Computes some tiles of rows; `out` starts with the first.
    fn run(&self, tiles: Range<usize>, out: &mut [f32], stride: usize, add: bool) {
        let Pass { kernel, a, b, depth, panels } = self;
        let (steps, width) = (depth.len().div_ceil(kernel.pairs), kernel.columns);
        let rows = tiles.start * kernel.rows..(tiles.end * kernel.rows).min(a.rows);
        // Rows whose values lie apart are brought together first; the others are read in place.
        let gathered = (a.column_stride != 1 && a.row_stride == 1).then(|| self.gather(rows.clone()));
        let paired = (kernel.pairs == 2 && gathered.is_none()).then(|| self.pair(rows.clone()));
        let mut rest = Vec::new();
        for panel in 0..b.columns.div_ceil(width) {
            let columns = panel * width..((panel + 1) * width).min(b.columns);
            let right = match panels {
                Some(panels) => Right { data: panels.panel(panel), stride: width },
                None if columns.len() == width && steps > 0 => {
                    let first = depth.start * b.row_stride + columns.start;
                    Right { data: &b.data[first..], stride: b.row_stride }
                }
                None => {
                    rest.resize(steps * width, 0.0);
                    panel::copy_panel(*b, depth.clone(), columns.clone(), &mut rest, width);
                    Right { data: &rest, stride: width }
                }
            };
            for (at, first) in rows.clone().step_by(kernel.rows).enumerate() {
                let count = kernel.rows.min(rows.end - first);
                let left = match (&gathered, &paired) {
                    (_, Some(values)) => Left {
                        data: &values[at * kernel.rows * steps..],
                        starts: std::array::from_fn(|i| i.min(count - 1) * steps),
                        step: 1,
                    },
                    (Some(values), _) => Left {
                        data: &values[at * kernel.rows * steps..],
                        starts: std::array::from_fn(|i| i.min(count - 1)),
                        step: kernel.rows,
                    },
                    (None, None) => Left {
                        data: a.data,
                        starts: std::array::from_fn(|i| {
                            (first + i.min(count - 1)) * a.row_stride + depth.start * a.column_stride
                        }),
                        step: a.column_stride,
                    },
                };
                let data = &mut out[(first - rows.start) * stride + columns.start..];
                let target = Target { data, stride, rows: count, columns: columns.len(), add };
                kernel.run(left, right, Depth::new(steps), target);
            }
        }
    }

    /// Copies rows whose values lie apart: `[tile][cell][row of the tile]`.
    fn gather(&self, rows: Range<usize>) -> Vec<f32> {
        let (width, pairs) = (self.kernel.rows, self.kernel.pairs);
        let steps = self.depth.len();
        let tile = width * steps.div_ceil(pairs);
        let mut values = uninit(rows.len().div_ceil(width) * tile);
        let mut single = if pairs == 1 { Vec::new() } else { uninit(width * steps) };
        for (out, first) in values.chunks_exact_mut(tile.max(1)).zip(rows.clone().step_by(width)) {
            let rows = first..(first + width).min(rows.end);
            let columns = self.a.transposed();
            if pairs == 1 {
                panel::copy_panel(columns, self.depth.clone(), rows, out, width);
            } else {
                panel::copy_panel(columns, self.depth.clone(), rows, &mut single, width);
                pairs::pair_rows(&single, width, steps, out, width);
            }
        }
        values
    }

    /// Rounds rows to pairs of bf16: `[row][cell]`.
    fn pair(&self, rows: Range<usize>) -> Vec<f32> {
        let Matrix { data, row_stride, column_stride, .. } = self.a;
        let steps = self.depth.len();
        let mut values = uninit(rows.len() * steps.div_ceil(2));
        let mut apart = Vec::new();
        for (out, row) in values.chunks_exact_mut(steps.div_ceil(2).max(1)).zip(rows) {
            let row = &data[row * row_stride + self.depth.start * column_stride..];
            if column_stride == 1 {
                pairs::pair_values(&row[..steps], out);
            } else {
                apart.clear();
                apart.extend(row.iter().step_by(column_stride).take(steps));
                pairs::pair_values(&apart, out);
            }
        }
        values
    }
}

/// Rounds a row-major matrix of rows of `columns` values to pairs of bf16, row for row.
pub(crate) fn paired_rows(data: &[f32], columns: usize) -> Vec<f32> {
    let cells = columns.div_ceil(2);
    let mut out = uninit(data.len().checked_div(columns).unwrap_or(0) * cells);
    for (out, row) in out.chunks_exact_mut(cells.max(1)).zip(data.chunks_exact(columns.max(1))) {
        pairs::pair_values(row, out);
    }
    out
}

pub(crate) use pairs::pair_rows;
pub(crate) use panel::copy_panel;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::precision::{self, Precision};
    use crate::testing::{self, close, same_bits_with_one_and_two_threads, values, wide};

    /// Copies a row-major matrix with rows and columns exchanged.
    fn turned(data: &[f32], rows: usize, columns: usize) -> Vec<f32> {
        (0..rows * columns).map(|i| data[i % rows * columns + i / rows]).collect()
    }

    #[test]
    fn matches_the_definition_in_every_layout() {
        for (m, k, n) in [
            (1, 1, 1),
            (7, 3, 5),
            (17, 33, 1),
            (1, 40, 31),
            (64, 64, 64),
            (130, 129, 65),
            (3, 0, 2),
            (0, 4, 4),
        ] {
            let (a, b) = (values(m * k, 1), values(k * n, 2));
            let expected = testing::matmul(&wide(&a), &wide(&b), k, n);
            let expected = if k == 0 { vec![0.0; m * n] } else { expected };
            let mut out = vec![f32::NAN; m * n];
            matmul(Matrix::new(&a, m, k), Matrix::new(&b, k, n), &mut out);
            close(&out, &expected);
            let narrow = |x: Vec<f64>| x.iter().map(|&v| v as f32).collect::<Vec<_>>();
            let (at, bt) =
                (narrow(testing::transpose(&wide(&a), k)), narrow(testing::transpose(&wide(&b), n)));
            let mut out = vec![f32::NAN; m * n];
            matmul(Matrix::new(&at, k, m).transposed(), Matrix::new(&bt, n, k).transposed(), &mut out);
            close(&out, &expected);
        }
    }

    #[test]
    fn bf16_is_close_and_does_not_depend_on_threads() {
        for (m, k, n) in [(33, 1, 5), (64, 64, 64), (130, 129, 65), (40, 1031, 37), (128, 784, 512)] {
            let (a, b) = (values(m * k, 1), values(k * n, 2));
            let expected = testing::matmul(&wide(&a), &wide(&b), k, n);
            let (at, bt) = (turned(&a, m, k), turned(&b, k, n));
            let run = || {
                precision::with(Precision::Bf16, || {
                    let (mut plain, mut other) = (vec![f32::NAN; m * n], vec![f32::NAN; m * n]);
                    matmul(Matrix::new(&a, m, k), Matrix::new(&b, k, n), &mut plain);
                    matmul(
                        Matrix::new(&at, k, m).transposed(),
                        Matrix::new(&bt, n, k).transposed(),
                        &mut other,
                    );
                    vec![plain, other]
                })
            };
            for out in run() {
                testing::close_within(&out, &expected, 1e-2);
            }
            same_bits_with_one_and_two_threads(run);
        }
    }

    #[test]
    fn adds_and_leaves_gaps_alone() {
        let (a, b) = (values(6, 1), values(6, 2));
        let mut out = vec![1.0; 9];
        matmul_here(Matrix::new(&a, 2, 3), Matrix::new(&b, 3, 2), Output::strided(&mut out, 5).adding());
        let product = testing::matmul(&wide(&a), &wide(&b), 3, 2);
        let expected =
            [product[0] + 1.0, product[1] + 1.0, 1.0, 1.0, 1.0, product[2] + 1.0, product[3] + 1.0, 1.0, 1.0];
        close(&out, &expected);
    }

    #[test]
    fn a_packed_factor_gives_the_same_products() {
        for (m, k, n) in [(1, 1, 1), (7, 3, 5), (8, 600, 33), (9, 1100, 64), (3, 0, 2), (0, 4, 4)] {
            let (a, b) = (values(m * k, 1), values(k * n, 2));
            let expected = testing::matmul(&wide(&a), &wide(&b), k, n);
            let expected = if k == 0 { vec![0.0; m * n] } else { expected };
            let packed = Packed::new(Matrix::new(&b, k, n));
            let mut out = vec![f32::NAN; m * n];
            matmul_packed_here(Matrix::new(&a, m, k), &packed, Output::strided(&mut out, n));
            close(&out, &expected);
            matmul_packed_here(Matrix::new(&a, m, k), &packed, Output::strided(&mut out, n).adding());
            close(&out, &expected.iter().map(|v| 2.0 * v).collect::<Vec<_>>());
            precision::with(Precision::Bf16, || {
                let turned = turned(&b, k, n);
                let packed = Packed::new(Matrix::new(&turned, n, k).transposed());
                matmul_packed_here(Matrix::new(&a, m, k), &packed, Output::strided(&mut out, n));
                testing::close_within(&out, &expected, 1e-2);
            });
        }
    }

    #[test]
    fn bits_do_not_depend_on_threads() {
        for (m, k, n) in [
            (128, 784, 512),
            (512, 128, 10),
            (1000, 64, 3),
            (784, 128, 512),
            (2, 600, 3000),
            (3000, 600, 1),
            (1, 900, 900),
        ] {
            let (a, b) = (values(m * k, 1), values(k * n, 2));
            same_bits_with_one_and_two_threads(|| {
                let mut out = vec![0.0; m * n];
                matmul(Matrix::new(&a, m, k), Matrix::new(&b, k, n), &mut out);
                let mut other = vec![0.0; m * n];
                matmul(Matrix::new(&a, k, m).transposed(), Matrix::new(&b, n, k).transposed(), &mut other);
                vec![out, other]
            });
        }
    }
}
