//! The cross-entropy of `x W` without ever holding all logits.
//!
//! A language model's logits are by far its largest tensor. Here they exist for some rows at a time: each block is
//! multiplied out, turned into its loss and gradient, and multiplied back. Shapes: `x [rows, width]`,
//! `W [width, classes]`.

use super::cross_entropy::{Weighing, gradient_rows, loss_rows};
use crate::{
    buf::uninit,
    gemm::{Matrix, Output, matmul, matmul_into},
};

/// Logits held at a time; blocks have at least [`FEWEST_ROWS`].
const BLOCK: usize = 1 << 21;
const FEWEST_ROWS: usize = 64;

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
    let width = w.len() / classes.max(1);
    let weighing = Weighing::new(targets, weights, classes);
    let rows = targets.len();
    let block = block_rows(rows, classes);
    let mut logits = uninit(block * classes);
    let mut sum = 0.0;
    for start in (0..rows).step_by(block.max(1)) {
        let count = block.min(rows - start);
        let logits = &mut logits[..count * classes];
        matmul(
            Matrix::new(&x[start * width..], count, width),
            Matrix::new(w, width, classes),
            logits,
        );
        sum += loss_rows(logits, classes, start, &weighing, smoothing);
    }
    weighing.mean(sum)
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
    let width = w.len() / classes.max(1);
    let weighing = Weighing::new(targets, weights, classes);
    let rows = targets.len();
    let block = block_rows(rows, classes);
    let (mut logits, mut dx) = (uninit(block * classes), uninit(rows * width));
    let mut dw = vec![0.0; w.len()];
    let mut sum = 0.0;
    for start in (0..rows).step_by(block.max(1)) {
        let count = block.min(rows - start);
        let logits = &mut logits[..count * classes];
        let x = Matrix::new(&x[start * width..], count, width);
        matmul(x, Matrix::new(w, width, classes), logits);
        sum += gradient_rows(logits, classes, start, &weighing, smoothing);
        let logits = Matrix::new(logits, count, classes);
        matmul(
            logits,
            Matrix::new(w, width, classes).transposed(),
            &mut dx[start * width..][..count * width],
        );
        matmul_into(
            x.transposed(),
            logits,
            Output::strided(&mut dw, classes).adding(),
        );
    }
    LinearCrossEntropy {
        loss: weighing.mean(sum),
        dx,
        dw,
    }
}

fn block_rows(rows: usize, classes: usize) -> usize {
    (BLOCK / classes.max(1)).max(FEWEST_ROWS).min(rows)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        linear,
        loss::{cross_entropy, cross_entropy_in_place},
        testing::{close, same_bits_with_one_and_two_threads, values, wide},
    };

    #[test]
    fn matches_the_loss_of_whole_logits() {
        // The last has more than one block.
        for (rows, width, classes) in [
            (1, 1, 2),
            (7, 5, 3),
            (70, 33, 65),
            (0, 4, 3),
            (150, 8, 40_000),
        ] {
            let (x, w) = (values(rows * width, 1), values(width * classes, 2));
            let targets: Vec<i64> = (0..rows)
                .map(|r| {
                    if r % 5 == 4 {
                        -1
                    } else {
                        (r * 7 % classes) as i64
                    }
                })
                .collect();
            let weights: Vec<f32> = values(rows, 3).iter().map(|v| v.abs()).collect();
            for (weights, smoothing) in [(None, 0.0), (Some(&weights[..]), 0.1)] {
                let mut logits =
                    linear::forward(&x, &w, None, classes, linear::Activation::Identity);
                let expected = cross_entropy(&logits, classes, &targets, weights, smoothing);
                cross_entropy_in_place(&mut logits, classes, &targets, weights, smoothing);
                let got =
                    linear_cross_entropy_gradients(&x, &w, classes, &targets, weights, smoothing);
                close(&[got.loss], &[expected.into()]);
                close(
                    &[linear_cross_entropy(
                        &x, &w, classes, &targets, weights, smoothing,
                    )],
                    &[expected.into()],
                );
                close(
                    &got.dx,
                    &wide(&linear::input_gradient(&logits, &w, width, classes)),
                );
                close(
                    &got.dw,
                    &wide(&linear::weight_gradient(&x, &logits, width, classes)),
                );
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
