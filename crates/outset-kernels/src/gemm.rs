//! Matrix products in `f32`.

use rayon::current_num_threads;

/// Multiplications below which a product stays on the calling thread.
const PARALLEL_FROM: usize = 1 << 18;

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

fn product(a: Matrix, b: Matrix, out: Output, parallel: bool) {
    let (rows, inner, columns) = (a.rows, a.columns, b.columns);
    assert_eq!(inner, b.rows, "inner sizes of a matrix product differ");
    assert!(extent(rows, columns, out.row_stride) <= out.data.len(), "the product reaches past its output");
    let threads = if parallel { current_num_threads() } else { 1 };
    // SAFETY: `Matrix` and the assertion above guarantee that every element addressed through these strides lies in
    // its slice, and `out` is borrowed mutably, so that it overlaps neither input.
    unsafe {
        gemm::gemm(
            rows,
            columns,
            inner,
            out.data.as_mut_ptr(),
            1,
            out.row_stride as isize,
            out.add,
            a.data.as_ptr(),
            a.column_stride as isize,
            a.row_stride as isize,
            b.data.as_ptr(),
            b.column_stride as isize,
            b.row_stride as isize,
            1.0,
            1.0,
            false,
            false,
            false,
            if threads == 1 { gemm::Parallelism::None } else { gemm::Parallelism::Rayon(threads) },
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{self, close, same_bits_with_one_and_two_threads, values, wide};

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
