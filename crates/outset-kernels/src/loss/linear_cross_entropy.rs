//! The cross-entropy of `x W` without ever holding all logits.
//!
//! A language model's logits are by far its largest tensor. Here they exist for some rows at a time: a task multiplies its
//! rows out, turns them into their loss and gradient while they are in the cache, and multiplies them back. Shapes:
//! `x [rows, width]`, `W [width, classes]`.

use super::cross_entropy::{Weighing, gradient_rows_here, loss_rows_here};
use crate::{
    buf::uninit,
    gemm::{Matrix, Output, Packed, matmul_into},
    par::{self, Cut, Rows},
};

/// Logits held at a time, more only where these are too few rows for [`TASKS`].
const BLOCK: usize = 1 << 21;

/// Tasks that a block has, where there are rows enough, so that each thread has some.
const TASKS: usize = 8;

/// Fewest and most rows of a task. Each reads all of `W`, which must be worth it.
const TASK_ROWS: [usize; 2] = [64, 128];

/// Rows of the largest tile of a product.
const TILE_ROWS: usize = 32;

/// What [`linear_cross_entropy_gradients`] returns.
#[derive(Debug)]
pub struct LinearCrossEntropy {
    /// Mean loss of the rows.
    pub loss: f32,
    /// Gradient of `x`, `[rows, width]`.
    pub dx: Vec<f32>,
    /// Gradient of `W`, `[width, classes]`.
    pub dw: Vec<f32>,
}

/// Returns the loss of [`cross_entropy`](super::cross_entropy()) for the logits `x W`, for evaluation.
///
/// # Panics
/// If a target is not below the number of classes, or sizes don't fit.
pub fn linear_cross_entropy(
    x: &[f32],
    w: &[f32],
    classes: usize,
    targets: &[i64],
    weights: Option<&[f32]>,
    smoothing: f32,
) -> f32 {
    let [rows, width] = sizes(x, w, classes, targets);
    let weighing = Weighing::new(targets, weights, classes);
    let task_rows = task_rows(rows);
    let packed = Packed::for_many_rows(Matrix::new(w, width, classes));
    let sums = par::run((), tasks(rows, task_rows, width * classes), |range, ()| {
        let mut logits = uninit(task_rows.min(rows) * classes);
        let loss = |first: usize| {
            let count = task_rows.min(rows - first);
            let logits = &mut logits[..count * classes];
            let x = Matrix::new(&x[first * width..], count, width);
            packed.multiply(x, Output::strided(logits, classes));
            loss_rows_here(logits, classes, first, &weighing, smoothing)
        };
        range.map(|task| task * task_rows).map(loss).sum::<f64>()
    });
    weighing.mean(sums.into_iter().sum())
}

/// Returns the loss and the gradients of both factors.
///
/// # Panics
/// If a target is not below the number of classes, or sizes don't fit.
pub fn linear_cross_entropy_gradients(
    x: &[f32],
    w: &[f32],
    classes: usize,
    targets: &[i64],
    weights: Option<&[f32]>,
    smoothing: f32,
) -> LinearCrossEntropy {
    let [rows, width] = sizes(x, w, classes, targets);
    let weighing = Weighing::new(targets, weights, classes);
    let block = (BLOCK / classes.max(1)).max(TASKS * TASK_ROWS[0]).min(rows);
    let task_rows = task_rows(block);
    let matrix = Matrix::new(w, width, classes);
    let (packed, turned) = (Packed::for_many_rows(matrix), Packed::for_many_rows(matrix.transposed()));
    let (mut logits, mut dx) = (uninit(block * classes), uninit(rows * width));
    let mut dw = vec![0.0; w.len()];
    let mut sum = 0.0;
    for start in (0..rows).step_by(block.max(1)) {
        let count = block.min(rows - start);
        let logits = &mut logits[..count * classes];
        let dx = &mut dx[start * width..][..count * width];
        let owned =
            (Rows::new(logits, classes).in_groups(task_rows), Rows::new(dx, width).in_groups(task_rows));
        let sums = par::run(owned, tasks(count, task_rows, 2 * width * classes), |range, (logits, dx)| {
            let mut sum = 0.0;
            for (at, task) in range.enumerate() {
                let first = task * task_rows;
                let count = task_rows.min(count - first);
                let logits = &mut logits.data[at * task_rows * classes..][..count * classes];
                let dx = &mut dx.data[at * task_rows * width..][..count * width];
                let x = Matrix::new(&x[(start + first) * width..], count, width);
                packed.multiply(x, Output::strided(logits, classes));
                sum += gradient_rows_here(logits, classes, start + first, &weighing, smoothing);
                turned.multiply(Matrix::new(logits, count, classes), Output::strided(dx, width));
            }
            sum
        });
        sum += sums.into_iter().sum::<f64>();
        let x = Matrix::new(&x[start * width..], count, width).transposed();
        matmul_into(x, Matrix::new(logits, count, classes), Output::strided(&mut dw, classes).adding());
    }
    LinearCrossEntropy { loss: weighing.mean(sum), dx, dw }
}

/// Returns the number of rows and their width.
fn sizes(x: &[f32], w: &[f32], classes: usize, targets: &[i64]) -> [usize; 2] {
    let (rows, width) = (targets.len(), par::whole_rows(w.len(), classes));
    assert_eq!(x.len(), rows * width, "the input has another size than {rows} rows of {width} values");
    [rows, width]
}

/// Returns the rows of a task, of so many rows in all.
fn task_rows(rows: usize) -> usize {
    let [least, most] = TASK_ROWS;
    (rows / TASKS).clamp(least, most) / TILE_ROWS * TILE_ROWS
}

/// Cuts rows into tasks, given the products of a row.
fn tasks(rows: usize, task_rows: usize, row_products: usize) -> Cut {
    Cut::tasks(rows.div_ceil(task_rows), rows * row_products)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        loss::cross_entropy::tests::twin as logits_twin,
        precision::{self, Precision},
        testing::{
            check_gradient, close, close_in_bf16, matmul, refused, same_bits_with_one_and_two_threads,
            transpose, values, wide,
        },
    };

    /// The naive twin: loss and gradients of both factors.
    fn twin(
        x: &[f64],
        w: &[f64],
        classes: usize,
        targets: &[i64],
        weights: &[f64],
        smoothing: f64,
    ) -> [Vec<f64>; 3] {
        let (rows, width) = (targets.len(), w.len() / classes);
        if rows == 0 {
            return [vec![0.0], vec![], vec![0.0; w.len()]];
        }
        let logits = matmul(x, w, width, classes);
        let (loss, d) = logits_twin(&logits, classes, targets, weights, smoothing);
        let dx = matmul(&d, &transpose(w, classes), classes, width);
        [vec![loss], dx, matmul(&transpose(x, width), &d, rows, classes)]
    }

    /// Every fifth row is left out.
    fn made_targets(rows: usize, classes: usize) -> Vec<i64> {
        (0..rows).map(|r| if r % 5 == 4 { -1 } else { (r * 7 % classes) as i64 }).collect()
    }

    #[test]
    fn matches_the_twin() {
        // The last but one has several tasks of 96 rows, and the last more than one block.
        for (rows, width, classes) in
            [(1, 1, 2), (7, 5, 3), (70, 33, 65), (0, 4, 3), (800, 3, 5), (600, 2, 5000)]
        {
            let (x, w) = (values(rows * width, 1), values(width * classes, 2));
            let targets = made_targets(rows, classes);
            let weights: Vec<f32> = values(rows, 3).iter().map(|v| v.abs()).collect();
            for (weights, smoothing) in [(None, 0.0), (Some(&weights[..]), 0.1)] {
                let w64 = weights.map_or(vec![1.0; rows], wide);
                let [loss, dx, dw] =
                    twin(&wide(&x), &wide(&w), classes, &targets, &w64, f64::from(smoothing));
                for precision in [Precision::F32, Precision::Split] {
                    let (got, alone) = precision::with(precision, || {
                        let got =
                            linear_cross_entropy_gradients(&x, &w, classes, &targets, weights, smoothing);
                        (got, linear_cross_entropy(&x, &w, classes, &targets, weights, smoothing))
                    });
                    close(&[got.loss, alone], &[loss[0]; 2]);
                    close(&got.dx, &dx);
                    close(&got.dw, &dw);
                }
            }
        }
    }

    #[test]
    fn the_twin_s_gradients_are_slopes() {
        let (x, w, targets) = (wide(&values(5 * 3, 1)), wide(&values(3 * 4, 2)), made_targets(5, 4));
        let weights = [0.5, 1.0, 2.0, 0.0, 1.0];
        let loss = |x: &[f64], w: &[f64]| twin(x, w, 4, &targets, &weights, 0.1)[0][0];
        let [_, dx, dw] = twin(&x, &w, 4, &targets, &weights, 0.1);
        check_gradient(&x, &dx, |x| loss(x, &w));
        check_gradient(&w, &dw, |w| loss(&x, w));
    }

    #[test]
    fn tasks_are_smaller_where_there_are_fewer_rows() {
        for (rows, tasks) in [(1, 64), (128, 64), (512, 64), (800, 96), (1024, 128), (100_000, 128)] {
            assert_eq!(task_rows(rows), tasks, "{rows} rows");
        }
    }

    #[test]
    fn an_input_of_another_size_is_refused() {
        let (x, w) = ([1.0; 9], [1.0; 6]);
        for (x, w, words) in [
            (&x[..], &w[..], "the input has another size than 2 rows of 3 values"),
            (&x[..4], &w[..], "the input has another size than 2 rows of 3 values"),
            (&x[..6], &w[..5], "the last row is not whole"),
        ] {
            refused(words, || _ = linear_cross_entropy(x, w, 2, &[0, 1], None, 0.0));
            refused(words, || drop(linear_cross_entropy_gradients(x, w, 2, &[0, 1], None, 0.0)));
        }
    }

    #[test]
    fn bf16_is_close_to_the_twin() {
        let (rows, width, classes) = (150, 33, 65);
        let (x, w) = (values(rows * width, 1), values(width * classes, 2));
        let targets = made_targets(rows, classes);
        let [loss, dx, dw] = twin(&wide(&x), &wide(&w), classes, &targets, &vec![1.0; rows], 0.1);
        let run = || {
            let got = linear_cross_entropy_gradients(&x, &w, classes, &targets, None, 0.1);
            let loss = linear_cross_entropy(&x, &w, classes, &targets, None, 0.1);
            vec![vec![got.loss], vec![loss], got.dx, got.dw]
        };
        close_in_bf16(run, &[loss.clone(), loss, dx, dw]);
    }

    #[test]
    fn what_is_not_finite_shows_in_all_that_it_feeds() {
        let (rows, width, classes) = (150, 5, 20);
        let targets: Vec<i64> = (0..rows).map(|row| (row % classes) as i64).collect();
        for (value, in_x) in [(f32::NAN, true), (f32::INFINITY, true), (f32::NAN, false)] {
            let (mut x, mut w) = (values(rows * width, 1), values(width * classes, 2));
            let place = if in_x { &mut x[7 * width + 2] } else { &mut w[2 * classes + 7] };
            *place = value;
            let loss = linear_cross_entropy(&x, &w, classes, &targets, None, 0.1);
            let got = linear_cross_entropy_gradients(&x, &w, classes, &targets, None, 0.1);
            assert!(!loss.is_finite() && !got.loss.is_finite());
            // A row of the input feeds all gradients of the weight, and a weight those of all rows.
            assert!(got.dw.iter().all(|v| v.is_nan()));
            for (row, dx) in got.dx.chunks(width).enumerate() {
                let fed = !in_x || row == 7;
                assert!(dx.iter().all(|v| v.is_nan() == fed), "row {row}, {value}, input: {in_x}");
            }
        }
    }

    #[test]
    fn bits_do_not_depend_on_threads() {
        // The last has so many classes that a block is as large as its tasks want.
        for (rows, width, classes) in [(200, 64, 700), (600, 8, 20_000)] {
            let (x, w) = (values(rows * width, 1), values(width * classes, 2));
            let targets = made_targets(rows, classes);
            same_bits_with_one_and_two_threads(|| {
                let got = linear_cross_entropy_gradients(&x, &w, classes, &targets, None, 0.0);
                let loss = linear_cross_entropy(&x, &w, classes, &targets, None, 0.0);
                vec![vec![got.loss, loss], got.dx, got.dw]
            });
        }
    }
}
