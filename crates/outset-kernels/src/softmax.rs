//! Softmax over rows: `y = exp(x) / Σ exp(x)`, and its logarithm.

use crate::{
    buf::uninit,
    isa::kernel,
    loss::exp_and_sum,
    math::exp,
    par::{self, Cut, Rows},
    reduce::{dot, max, sum},
};
use std::ops::Range;

/// Returns the softmax of each row of `width` values.
///
/// # Panics
/// If the last row is not whole.
pub fn forward(x: &[f32], width: usize) -> Vec<f32> {
    by_rows(x.len(), width, 4, |at, y| {
        y.copy_from_slice(&x[at]);
        softmax_rows(y, width);
    })
}

/// Returns the gradient of the input, given the output `y` and its gradient: `dx = y (dy - Σ y dy)`.
///
/// # Panics
/// If sizes differ, or the last row is not whole.
pub fn backward(y: &[f32], dy: &[f32], width: usize) -> Vec<f32> {
    assert_eq!(y.len(), dy.len(), "output and gradient differ in size");
    by_rows(y.len(), width, 2, |at, dx| backward_rows(&y[at.clone()], &dy[at], dx, width))
}

/// Returns the logarithm of the softmax of each row of `width` values, `x - ln Σ exp(x)`.
///
/// # Panics
/// If the last row is not whole.
pub fn log_forward(x: &[f32], width: usize) -> Vec<f32> {
    by_rows(x.len(), width, 4, |at, y| log_rows(&x[at], y, width))
}

/// Returns the gradient of the input, given the output `y` of [`log_forward`] and its gradient: `dx = dy - exp(y) Σ dy`.
///
/// # Panics
/// If sizes differ, or the last row is not whole.
pub fn log_backward(y: &[f32], dy: &[f32], width: usize) -> Vec<f32> {
    assert_eq!(y.len(), dy.len(), "output and gradient differ in size");
    by_rows(y.len(), width, 4, |at, dx| log_backward_rows(&y[at.clone()], &dy[at], dx, width))
}

/// Has `work` fill some rows at a time, given the places of their values, each of which costs as much as touching `cost`.
fn by_rows(
    len: usize,
    width: usize,
    cost: usize,
    work: impl Fn(Range<usize>, &mut [f32]) + Sync,
) -> Vec<f32> {
    let rows = par::whole_rows(len, width);
    let mut out = uninit(len);
    par::run(Rows::new(&mut out, width), Cut::new(rows, cost * width), |range, out| {
        work(range.start * width..range.end * width, out.data);
    });
    out
}

kernel! {
    fn log_rows<A>(x: &[f32], y: &mut [f32], width: usize) {
        let width = width.max(1);
        for (x, y) in x.chunks_exact(width).zip(y.chunks_exact_mut(width)) {
            let largest = max(x);
            y.copy_from_slice(x);
            let total = exp_and_sum::<A>(y, largest).ln();
            for (y, x) in y.iter_mut().zip(x) {
                // The difference to the largest value is small where a sum with it would not be.
                *y = (x - largest) - total;
            }
        }
    }
}

kernel! {
    fn log_backward_rows<A>(y: &[f32], dy: &[f32], dx: &mut [f32], width: usize) {
        let width = width.max(1);
        for ((y, dy), dx) in y.chunks_exact(width).zip(dy.chunks_exact(width)).zip(dx.chunks_exact_mut(width)) {
            let total = sum(dy);
            for ((dx, y), dy) in dx.iter_mut().zip(y).zip(dy) {
                *dx = dy - exp::<A>(*y) * total;
            }
        }
    }
}

kernel! {
    fn softmax_rows<A>(x: &mut [f32], width: usize) {
        for row in x.chunks_exact_mut(width.max(1)) {
            let largest = max(row);
            let factor = 1.0 / exp_and_sum::<A>(row, largest);
            for v in row {
                *v *= factor;
            }
        }
    }
}

kernel! {
    fn backward_rows<A>(y: &[f32], dy: &[f32], dx: &mut [f32], width: usize) {
        let width = width.max(1);
        for ((y, dy), dx) in y.chunks_exact(width).zip(dy.chunks_exact(width)).zip(dx.chunks_exact_mut(width)) {
            let mean = dot::<A>(y, dy);
            for ((dx, y), dy) in dx.iter_mut().zip(y).zip(dy) {
                *dx = y * (dy - mean);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{check_gradient, close, refused, same_bits_with_one_and_two_threads, values, wide};

    fn twin(x: &[f64], width: usize) -> Vec<f64> {
        x.chunks(width)
            .flat_map(|row| {
                let largest = row.iter().copied().fold(f64::MIN, f64::max);
                let e: Vec<f64> = row.iter().map(|v| (v - largest).exp()).collect();
                let total: f64 = e.iter().sum();
                e.into_iter().map(move |v| v / total)
            })
            .collect()
    }

    fn gradient_twin(y: &[f64], dy: &[f64], width: usize) -> Vec<f64> {
        y.chunks(width)
            .zip(dy.chunks(width))
            .flat_map(|(y, dy)| {
                let mean: f64 = y.iter().zip(dy).map(|(y, d)| y * d).sum();
                y.iter().zip(dy).map(move |(y, d)| y * (d - mean))
            })
            .collect()
    }

    fn log_twin(x: &[f64], width: usize) -> Vec<f64> {
        x.chunks(width)
            .flat_map(|row| {
                let largest = row.iter().copied().fold(f64::MIN, f64::max);
                let total = row.iter().map(|v| (v - largest).exp()).sum::<f64>().ln();
                row.iter().map(move |v| v - largest - total)
            })
            .collect()
    }

    fn log_gradient_twin(y: &[f64], dy: &[f64], width: usize) -> Vec<f64> {
        y.chunks(width)
            .zip(dy.chunks(width))
            .flat_map(|(y, dy)| {
                let total: f64 = dy.iter().sum();
                y.iter().zip(dy).map(move |(y, d)| d - y.exp() * total)
            })
            .collect()
    }

    #[test]
    fn matches_the_twin() {
        for (rows, width) in [(1, 3), (7, 4), (5, 16), (100, 129), (0, 4)] {
            let x: Vec<f32> = values(rows * width, 1).iter().map(|v| v * 2.0).collect();
            let (y64, dy) = (twin(&wide(&x), width), values(rows * width, 2));
            let y = forward(&x, width);
            close(&y, &y64);
            close(&backward(&y, &dy, width), &gradient_twin(&y64, &wide(&dy), width));
            let (y64, y) = (log_twin(&wide(&x), width), log_forward(&x, width));
            close(&y, &y64);
            close(&log_backward(&y, &dy, width), &log_gradient_twin(&y64, &wide(&dy), width));
        }
    }

    #[test]
    fn logarithms_of_large_values_do_not_overflow() {
        let x = [1000.0, 999.0, -1000.0];
        let y = log_forward(&x, 3);
        close(&y, &log_twin(&wide(&x), 3));
        assert!(log_backward(&y, &[1.0; 3], 3).iter().all(|v| v.is_finite()));
        assert_eq!(log_forward(&[0.0, f32::NEG_INFINITY], 2), [0.0, f32::NEG_INFINITY]);
        assert!(log_forward(&[0.0, f32::NAN, 1.0], 3).iter().all(|v| v.is_nan()));
    }

    #[test]
    fn the_twin_s_gradient_is_a_slope() {
        let (x, dy) = (wide(&values(10, 1)), wide(&values(10, 2)));
        check_gradient(&x, &gradient_twin(&twin(&x, 5), &dy, 5), |x| {
            twin(x, 5).iter().zip(&dy).map(|(y, d)| y * d).sum()
        });
        check_gradient(&x, &log_gradient_twin(&log_twin(&x, 5), &dy, 5), |x| {
            log_twin(x, 5).iter().zip(&dy).map(|(y, d)| y * d).sum()
        });
    }

    #[test]
    fn minus_infinity_is_left_out_and_nan_seen() {
        assert_eq!(forward(&[0.0, f32::NEG_INFINITY, 0.0, f32::NEG_INFINITY], 4), [0.5, 0.0, 0.5, 0.0]);
        assert!(forward(&[0.0, f32::NAN, 1.0], 3).iter().all(|v| v.is_nan()));
    }

    #[test]
    fn a_nan_in_the_gradient_stays_in_its_row() {
        let y = forward(&values(12, 1), 4);
        let mut dy = values(12, 2);
        dy[5] = f32::NAN;
        for dx in [backward(&y, &dy, 4), log_backward(&y, &dy, 4)] {
            assert!(dx.iter().enumerate().all(|(at, v)| v.is_nan() == (4..8).contains(&at)));
        }
    }

    #[test]
    fn a_row_that_is_not_whole_is_refused() {
        let x = [1.0; 7];
        for width in [0, 3] {
            refused("the last row is not whole", || drop(forward(&x, width)));
            refused("the last row is not whole", || drop(backward(&x, &x, width)));
            refused("the last row is not whole", || drop(log_forward(&x, width)));
            refused("the last row is not whole", || drop(log_backward(&x, &x, width)));
        }
    }

    #[test]
    fn bits_do_not_depend_on_threads() {
        let x = values(1000 * 60, 1);
        same_bits_with_one_and_two_threads(|| {
            let y = forward(&x, 60);
            let dx = backward(&y, &x, 60);
            let log = log_forward(&x, 60);
            let dlog = log_backward(&log, &x, 60);
            vec![y, dx, log, dlog]
        });
    }
}
