//! Softmax over rows: `y = exp(x) / Σ exp(x)`.

use crate::{
    buf::uninit,
    isa::kernel,
    loss::exp_and_sum,
    par::{self, Cut, Rows},
    reduce::{dot, max},
};

/// Returns the softmax of each row of `width` values.
///
/// # Panics
/// If the last row is not whole.
pub fn forward(x: &[f32], width: usize) -> Vec<f32> {
    let rows = par::whole_rows(x.len(), width);
    let mut y = uninit(x.len());
    par::run(Rows::new(&mut y, width), Cut::new(rows, 4 * width), |range, y| {
        y.data.copy_from_slice(&x[range.start * width..range.end * width]);
        softmax_rows(y.data, width);
    });
    y
}

/// Returns the gradient of the input, given the output `y` and its gradient: `dx = y (dy - Σ y dy)`.
///
/// # Panics
/// If sizes differ, or the last row is not whole.
pub fn backward(y: &[f32], dy: &[f32], width: usize) -> Vec<f32> {
    assert_eq!(y.len(), dy.len(), "output and gradient differ in size");
    let rows = par::whole_rows(y.len(), width);
    let mut dx = uninit(y.len());
    par::run(Rows::new(&mut dx, width), Cut::new(rows, 2 * width), |range, dx| {
        let at = range.start * width..range.end * width;
        backward_rows(&y[at.clone()], &dy[at], dx.data, width);
    });
    dx
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

    #[test]
    fn matches_the_twin() {
        for (rows, width) in [(1, 3), (7, 4), (5, 16), (100, 129), (0, 4)] {
            let x: Vec<f32> = values(rows * width, 1).iter().map(|v| v * 2.0).collect();
            let (y64, dy) = (twin(&wide(&x), width), values(rows * width, 2));
            let y = forward(&x, width);
            close(&y, &y64);
            close(&backward(&y, &dy, width), &gradient_twin(&y64, &wide(&dy), width));
        }
    }

    #[test]
    fn the_twin_s_gradient_is_a_slope() {
        let (x, dy) = (wide(&values(10, 1)), wide(&values(10, 2)));
        check_gradient(&x, &gradient_twin(&twin(&x, 5), &dy, 5), |x| {
            twin(x, 5).iter().zip(&dy).map(|(y, d)| y * d).sum()
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
        let dx = backward(&y, &dy, 4);
        assert!(dx.iter().enumerate().all(|(at, v)| v.is_nan() == (4..8).contains(&at)));
    }

    #[test]
    fn a_row_that_is_not_whole_is_refused() {
        let x = [1.0; 7];
        for width in [0, 3] {
            refused("the last row is not whole", || drop(forward(&x, width)));
            refused("the last row is not whole", || drop(backward(&x, &x, width)));
        }
    }

    #[test]
    fn bits_do_not_depend_on_threads() {
        let x = values(1000 * 60, 1);
        same_bits_with_one_and_two_threads(|| {
            let y = forward(&x, 60);
            let dx = backward(&y, &x, 60);
            vec![y, dx]
        });
    }
}
