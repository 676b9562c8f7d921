//! Root-mean-square normalisation (arXiv 1910.07467): `y = x / sqrt(mean(x²) + eps) * gamma` for each row.
//!
//! Shapes: `x [rows, width]`, `gamma [width]`.

use crate::{
    buf::uninit,
    isa::kernel,
    par::{self, Cut, Rows},
    reduce::{LANES, add_lanes, dot},
};

/// What [`forward`] returns.
#[derive(Debug)]
pub struct Forward {
    /// `y [rows, width]`.
    pub output: Vec<f32>,
    /// `1 / sqrt(mean(x²) + eps)` of each row.
    pub scales: Vec<f32>,
}

/// Gradients of the input and of gamma.
#[derive(Debug)]
pub struct Gradients {
    /// `[rows, width]`.
    pub dx: Vec<f32>,
    /// `[width]`.
    pub dgamma: Vec<f32>,
}

/// Normalises each row.
///
/// # Panics
/// If the last row is not whole.
pub fn forward(x: &[f32], gamma: &[f32], eps: f32) -> Forward {
    let width = gamma.len();
    let rows = par::whole_rows(x.len(), width);
    let (mut output, mut scales) = (uninit(x.len()), uninit(rows));
    let outputs = (Rows::new(&mut output, width), Rows::new(&mut scales, 1));
    par::run(outputs, Cut::new(rows, 2 * width), |range, (y, scales)| {
        normalise_rows(&x[range.start * width..range.end * width], gamma, eps, y.data, scales.data);
    });
    Forward { output, scales }
}

/// Returns the gradients, given that of the output.
///
/// # Panics
/// If sizes don't fit, or the last row is not whole.
pub fn backward(x: &[f32], scales: &[f32], gamma: &[f32], dy: &[f32]) -> Gradients {
    let width = gamma.len();
    let rows = par::whole_rows(x.len(), width);
    assert_eq!(dy.len(), x.len(), "input and gradient differ in size");
    let mut dx = uninit(x.len());
    let cut = Cut::with_partials(rows, 3 * width);
    let partials = par::run(Rows::new(&mut dx, width), cut, |range, dx| {
        let at = range.start * width..range.end * width;
        let mut dgamma = vec![0.0; width];
        backward_rows(&x[at.clone()], &scales[range], gamma, &dy[at], dx.data, &mut dgamma);
        dgamma
    });
    Gradients { dx, dgamma: par::add_partials(partials, width) }
}

kernel! {
    fn normalise_rows<A>(x: &[f32], gamma: &[f32], eps: f32, y: &mut [f32], scales: &mut [f32]) {
        let width = gamma.len();
        for (r, scale) in scales.iter_mut().enumerate() {
            let (x, y) = (&x[r * width..][..width], &mut y[r * width..][..width]);
            *scale = 1.0 / (dot::<A>(x, x) / width as f32 + eps).sqrt();
            for ((y, x), g) in y.iter_mut().zip(x).zip(gamma) {
                *y = x * *scale * g;
            }
        }
    }
}

kernel! {
    /// With `n = x * scale` and `g = dy * gamma`: `dx = scale (g - n mean(g n))`.
    fn backward_rows<A>(x: &[f32], scales: &[f32], gamma: &[f32], dy: &[f32], dx: &mut [f32], dgamma: &mut [f32]) {
        let width = gamma.len();
        for (r, &scale) in scales.iter().enumerate() {
            let (x, dy, dx) = (&x[r * width..][..width], &dy[r * width..][..width], &mut dx[r * width..][..width]);
            let mut gn_sum = [0.0; LANES];
            let mut step = |lane: usize, i: usize| {
                let dy_n = dy[i] * (x[i] * scale);
                dgamma[i] += dy_n;
                gn_sum[lane] = A::mul_add(dy_n, gamma[i], gn_sum[lane]);
            };
            let whole = width - width % LANES;
            for start in (0..whole).step_by(LANES) {
                for lane in 0..LANES {
                    step(lane, start + lane);
                }
            }
            for i in whole..width {
                step(0, i);
            }
            let gn_mean = add_lanes(gn_sum) / width as f32;
            for i in 0..width {
                dx[i] = scale * A::mul_add(-x[i] * scale, gn_mean, dy[i] * gamma[i]);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{check_gradient, close, refused, same_bits_with_one_and_two_threads, values, wide};

    const EPS: f64 = 1e-6;

    /// The naive twin: output and gradients (x, gamma).
    fn twin(x: &[f64], gamma: &[f64], dy: &[f64]) -> [Vec<f64>; 3] {
        let width = gamma.len();
        let (mut y, mut dx, mut dgamma) = (vec![], vec![], vec![0.0; width]);
        for (x, dy) in x.chunks(width).zip(dy.chunks(width)) {
            let scale = 1.0 / (x.iter().map(|v| v * v).sum::<f64>() / width as f64 + EPS).sqrt();
            let gn: f64 = (0..width).map(|i| dy[i] * gamma[i] * x[i] * scale).sum::<f64>() / width as f64;
            for i in 0..width {
                y.push(x[i] * scale * gamma[i]);
                dx.push(scale * (dy[i] * gamma[i] - x[i] * scale * gn));
                dgamma[i] += dy[i] * x[i] * scale;
            }
        }
        [y, dx, dgamma]
    }

    #[test]
    fn matches_the_twin() {
        for (rows, width) in [(1, 1), (9, 1), (1, 5), (2, 3), (5, 16), (7, 17), (64, 128), (301, 257), (0, 8)]
        {
            let (x, dy, gamma) = (values(rows * width, 1), values(rows * width, 2), values(width, 3));
            let [y, dx, dgamma] = twin(&wide(&x), &wide(&gamma), &wide(&dy));
            let got = forward(&x, &gamma, EPS as f32);
            close(&got.output, &y);
            let gradients = backward(&x, &got.scales, &gamma, &dy);
            close(&gradients.dgamma, &dgamma);
            if width > 1 {
                // With one value a row the gradient is zero by cancellation, and so has no largest value to compare to.
                close(&gradients.dx, &dx);
            }
        }
    }

    #[test]
    fn the_twin_s_gradients_are_slopes() {
        let (x, dy, gamma) = (wide(&values(21, 1)), wide(&values(21, 2)), wide(&values(7, 3)));
        let loss = |x: &[f64], gamma: &[f64]| -> f64 {
            twin(x, gamma, &dy)[0].iter().zip(&dy).map(|(y, d)| y * d).sum()
        };
        let [_, dx, dgamma] = twin(&x, &gamma, &dy);
        check_gradient(&x, &dx, |x| loss(x, &gamma));
        check_gradient(&gamma, &dgamma, |gamma| loss(&x, gamma));
    }

    #[test]
    fn nan_stays_in_its_row() {
        let mut x = values(32, 1);
        x[3] = f32::NAN;
        let y = forward(&x, &[1.0; 16], EPS as f32).output;
        assert!(y[..16].iter().all(|v| v.is_nan()) && y[16..].iter().all(|v| v.is_finite()));
    }

    #[test]
    fn a_nan_in_the_gradient_shows_in_all_that_it_feeds() {
        let (x, gamma, mut dy) = (values(32, 1), values(16, 2), values(32, 3));
        dy[3] = f32::NAN;
        let got = backward(&x, &forward(&x, &gamma, EPS as f32).scales, &gamma, &dy);
        assert!(got.dx[..16].iter().all(|v| v.is_nan()) && got.dx[16..].iter().all(|v| v.is_finite()));
        assert!(got.dgamma.iter().enumerate().all(|(at, v)| v.is_nan() == (at == 3)));
    }

    #[test]
    fn a_row_that_is_not_whole_is_refused() {
        let x = [1.0; 7];
        refused("the last row is not whole", || drop(forward(&x, &[1.0; 3], 0.1)));
        refused("the last row is not whole", || drop(forward(&x, &[], 0.1)));
        refused("the last row is not whole", || drop(backward(&x, &[0.0; 2], &[1.0; 3], &x)));
    }

    #[test]
    fn bits_do_not_depend_on_threads() {
        let (x, dy, gamma) = (values(1000 * 96, 1), values(1000 * 96, 2), values(96, 3));
        same_bits_with_one_and_two_threads(|| {
            let y = forward(&x, &gamma, EPS as f32);
            let g = backward(&x, &y.scales, &gamma, &dy);
            vec![y.output, g.dx, g.dgamma]
        });
    }
}
