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

/// Logits held at a time; blocks have at least the rows of a task.
const BLOCK: usize = 1 << 21;

/// Rows of a task.
const TASK_ROWS: usize = 128;

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
pub fn linear_cross_entropy(
    x: &[f32],
    w: &[f32],
    classes: usize,
    targets: &[i64],
    weights: Option<&[f32]>,
    smoothing: f32,
) -> f32 {
    let (width, rows) = (w.len() / classes.max(1), targets.len());
    let weighing = Weighing::new(targets, weights, classes);
    let packed = Packed::for_many_rows(Matrix::new(w, width, classes));
    let sums = par::run((), tasks(rows, width * classes), |range, ()| {
        let mut logits = uninit(TASK_ROWS.min(rows) * classes);
        let loss = |first: usize| {
            let count = TASK_ROWS.min(rows - first);
            let logits = &mut logits[..count * classes];
            let x = Matrix::new(&x[first * width..], count, width);
            packed.multiply(x, Output::strided(logits, classes));
            loss_rows_here(logits, classes, first, &weighing, smoothing)
        };
        range.map(|task| task * TASK_ROWS).map(loss).sum::<f64>()
    });
    weighing.mean(sums.into_iter().sum())
}

/// Returns the loss and the gradients of both factors.
pub fn linear_cross_entropy_gradients(
    x: &[f32],
    w: &[f32],
    classes: usize,
    targets: &[i64],
    weights: Option<&[f32]>,
    smoothing: f32,
) -> LinearCrossEntropy {
    let (width, rows) = (w.len() / classes.max(1), targets.len());
    let weighing = Weighing::new(targets, weights, classes);
    let block = (BLOCK / classes.max(1)).max(TASK_ROWS).min(rows);
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
            (Rows::new(logits, classes).in_groups(TASK_ROWS), Rows::new(dx, width).in_groups(TASK_ROWS));
        let sums = par::run(owned, tasks(count, 2 * width * classes), |range, (logits, dx)| {
            let mut sum = 0.0;
            for (at, task) in range.enumerate() {
                let first = task * TASK_ROWS;
                let count = TASK_ROWS.min(count - first);
                let logits = &mut logits.data[at * TASK_ROWS * classes..][..count * classes];
                let dx = &mut dx.data[at * TASK_ROWS * width..][..count * width];
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

/// Cuts rows into tasks, given the products of a row.
fn tasks(rows: usize, row_products: usize) -> Cut {
    Cut::tasks(rows.div_ceil(TASK_ROWS), rows * row_products)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        linear,
        loss::{cross_entropy, cross_entropy::tests::twin as logits_twin, cross_entropy_in_place},
        precision::{self, Precision},
        testing::{
            close, close_in_bf16, matmul, same_bits_with_one_and_two_threads, transpose, values, wide,
        },
    };

    #[test]
    fn matches_the_loss_of_whole_logits() {
        // The last has more than one block.
        for (rows, width, classes) in [(1, 1, 2), (7, 5, 3), (70, 33, 65), (0, 4, 3), (150, 8, 40_000)] {
            let (x, w) = (values(rows * width, 1), values(width * classes, 2));
            let targets: Vec<i64> =
                (0..rows).map(|r| if r % 5 == 4 { -1 } else { (r * 7 % classes) as i64 }).collect();
            let weights: Vec<f32> = values(rows, 3).iter().map(|v| v.abs()).collect();
            for (weights, smoothing) in [(None, 0.0), (Some(&weights[..]), 0.1)] {
                let mut logits = linear::forward(&x, &w, None, classes, linear::Activation::Identity);
                let expected = cross_entropy(&logits, classes, &targets, weights, smoothing);
                cross_entropy_in_place(&mut logits, classes, &targets, weights, smoothing);
                for precision in [Precision::F32, Precision::Split] {
                    let (got, loss) = precision::with(precision, || {
                        let got =
                            linear_cross_entropy_gradients(&x, &w, classes, &targets, weights, smoothing);
                        (got, linear_cross_entropy(&x, &w, classes, &targets, weights, smoothing))
                    });
                    close(&[got.loss, loss], &[expected.into(); 2]);
                    close(&got.dx, &wide(&linear::input_gradient(&logits, &w, width, classes)));
                    close(&got.dw, &wide(&linear::weight_gradient(&x, &logits, width, classes)));
                }
            }
        }
    }

    /// The naive twin: loss and gradients of both factors.
    fn twin(x: &[f64], w: &[f64], classes: usize, targets: &[i64], smoothing: f64) -> [Vec<f64>; 3] {
        let width = w.len() / classes;
        let logits = matmul(x, w, width, classes);
        let (loss, d) = logits_twin(&logits, classes, targets, &vec![1.0; targets.len()], smoothing);
        let dx = matmul(&d, &transpose(w, classes), classes, width);
        [vec![loss], dx, matmul(&transpose(x, width), &d, targets.len(), classes)]
    }

    #[test]
    fn bf16_is_close_to_the_twin() {
        let (rows, width, classes) = (150, 33, 65);
        let (x, w) = (values(rows * width, 1), values(width * classes, 2));
        let targets: Vec<i64> =
            (0..rows).map(|r| if r % 5 == 4 { -1 } else { (r * 7 % classes) as i64 }).collect();
        let [loss, dx, dw] = twin(&wide(&x), &wide(&w), classes, &targets, 0.1);
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
        let (x, w) = (values(200 * 64, 1), values(64 * 300, 2));
        let targets: Vec<i64> = (0..200).collect();
        same_bits_with_one_and_two_threads(|| {
            let got = linear_cross_entropy_gradients(&x, &w, 300, &targets, None, 0.0);
            vec![vec![got.loss], got.dx, got.dw]
        });
    }
}
