//! A right factor that is cut into panels once.

use super::{Matrix, Output, PARALLEL_FROM, Pass, left::LeftRows, panel::Panels, tile::Kernel};
use std::ops::Range;

/// A right factor cut into panels once, for many products with few rows each: the weights of a step of a recurrent layer,
/// or keys and values.
///
/// Read in place, rows that lie a multiple of a page apart would throw each other out of the first-level cache.
pub struct Packed<'a> {
    b: Matrix<'a>,
    kernel: Kernel,
    /// For each pass over the depth.
    panels: Vec<Panels>,
}

/// Rows and columns of a [`Packed`] factor from which a part may start: a multiple of these.
pub(crate) const PART: usize = 32;

impl<'a> Packed<'a> {
    /// Cuts the factor, in the precision that holds here, for products of few rows: values are not taken apart.
    pub fn new(b: Matrix<'a>) -> Packed<'a> {
        Packed::with(Kernel::without_parts(), b)
    }

    /// Cuts the factor, in the precision that holds here, for products of many rows.
    pub(crate) fn for_many_rows(b: Matrix<'a>) -> Packed<'a> {
        Packed::with(Kernel::for_right(b.rows, b.columns), b)
    }

    fn with(kernel: Kernel, b: Matrix<'a>) -> Packed<'a> {
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

    /// Writes or adds `a b` to `out` on the calling thread, for use inside a parallel loop.
    ///
    /// # Panics
    /// If the sizes don't fit.
    pub fn multiply(&self, a: Matrix, out: Output) {
        self.multiply_part(a, 0..self.b.rows, 0..self.b.columns, out);
    }

    /// Writes or adds to `out` the product of `a` with some rows and columns, each range from a multiple of [`PART`] on.
    ///
    /// # Panics
    /// If the sizes don't fit.
    pub(crate) fn multiply_part(&self, a: Matrix, rows: Range<usize>, columns: Range<usize>, out: Output) {
        let Packed { b, panels, .. } = self;
        let kernel = self.kernel.for_rows(a.rows);
        assert!(a.columns == rows.len() && rows.end <= b.rows, "inner sizes of a matrix product differ");
        assert!(columns.end <= b.columns, "the product has more columns than its factor");
        assert!(rows.start.is_multiple_of(PART) && columns.start.is_multiple_of(PART), "parts start evenly");
        let Output { data, row_stride, add } = out.cut(a.rows, columns.len());
        if rows.is_empty() && !add {
            for row in data.chunks_mut(row_stride.max(1)) {
                let columns = row.len().min(columns.len());
                row[..columns].fill(0.0);
            }
        }
        if data.is_empty() {
            return;
        }
        for (at, panels) in panels.iter().enumerate() {
            let first = at * kernel.depth;
            let depth = rows.start.max(first)..rows.end.min(first + kernel.depth);
            if depth.is_empty() {
                continue;
            }
            let of_a = depth.start - rows.start..depth.end - rows.start;
            let left = LeftRows::new(&kernel, a, 0..a.rows, of_a);
            let skipped = kernel.cells(depth.start - first);
            let add = add || depth.start > rows.start;
            let pass =
                Pass { kernel, b: *b, depth, columns: columns.clone(), panels: Some((panels, skipped)) };
            pass.run(&left, data, row_stride, add);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{super::tests::turned, *};
    use crate::precision::{self, Precision};
    use crate::testing::{self, close, values, wide};

    #[test]
    fn a_packed_factor_gives_the_same_products() {
        for (m, k, n) in [(1, 1, 1), (7, 3, 5), (8, 600, 33), (9, 1100, 64), (3, 0, 2), (0, 4, 4)] {
            let (a, b) = (values(m * k, 1), values(k * n, 2));
            let expected = testing::matmul(&wide(&a), &wide(&b), k, n);
            let expected = if k == 0 { vec![0.0; m * n] } else { expected };
            for precision in [Precision::F32, Precision::Split] {
                precision::with(precision, || {
                    let packed = Packed::for_many_rows(Matrix::new(&b, k, n));
                    let mut out = vec![f32::NAN; m * n];
                    packed.multiply(Matrix::new(&a, m, k), Output::strided(&mut out, n));
                    close(&out, &expected);
                    packed.multiply(Matrix::new(&a, m, k), Output::strided(&mut out, n).adding());
                    close(&out, &expected.iter().map(|v| 2.0 * v).collect::<Vec<_>>());
                });
            }
            let mut out = vec![f32::NAN; m * n];
            precision::with(Precision::Bf16, || {
                let turned = turned(&b, k, n);
                let packed = Packed::new(Matrix::new(&turned, n, k).transposed());
                packed.multiply(Matrix::new(&a, m, k), Output::strided(&mut out, n));
                testing::close_within(&out, &expected, 1e-2);
            });
        }
    }

    #[test]
    fn a_part_of_a_packed_factor_gives_a_part_of_the_product() {
        let (m, k, n) = (70, 600, 130);
        let (a, b) = (values(m * k, 1), values(k * n, 2));
        for precision in [Precision::F32, Precision::Split, Precision::Bf16] {
            precision::with(precision, || {
                let packed = Packed::for_many_rows(Matrix::new(&b, k, n));
                for (rows, columns) in
                    [(0..600, 0..130), (32..97, 64..65), (288..600, 32..130), (64..64, 0..3)]
                {
                    let (steps, width) = (rows.len(), columns.len());
                    let part: Vec<f32> =
                        rows.clone().flat_map(|row| b[row * n..][columns.clone()].to_vec()).collect();
                    let expected = testing::matmul(&wide(&a[..m * steps]), &wide(&part), steps, width);
                    let expected = if steps == 0 { vec![0.0; m * width] } else { expected };
                    let mut out = vec![f32::NAN; m * width];
                    let left = Matrix::new(&a, m, steps);
                    packed.multiply_part(left, rows, columns, Output::strided(&mut out, width));
                    let tolerance = if precision == Precision::Bf16 { 1e-2 } else { 2e-6 };
                    testing::close_within(&out, &expected, tolerance);
                }
            });
        }
    }
}
