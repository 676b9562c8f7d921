//! Layer normalisation (arXiv 1607.06450): `y = (x - mean) / sqrt(var + eps) * gamma + beta` for each row.
//!
//! Shapes: `x [rows, width]`, `gamma` and `beta` `[width]`; the variance is the biased one.

use crate::{
    buf::uninit,
    isa::kernel,
    par::{self, Cut, Rows},
    reduce::{LANES, add_lanes, dot, sum},
};

/// What [`forward`] returns.
#[derive(Debug)]
pub struct Forward {
    /// `y [rows, width]`.
    pub output: Vec<f32>,
    /// Mean and `1 / sqrt(var + eps)` of each row, `[rows, 2]`.
    pub statistics: Vec<f32>,
}

/// Gradients of the input, of gamma and of beta.
#[derive(Debug)]
pub struct Gradients {
    /// `[rows, width]`.
    pub dx: Vec<f32>,
    /// `[width]`.
    pub dgamma: Vec<f32>,
    /// `[width]`.
    pub dbeta: Vec<f32>,
}

/// Normalises each row.
///
/// # Panics
/// If gamma and beta differ in size, or the last row is not whole.
pub fn forward(x: &[f32], gamma: &[f32], beta: &[f32], eps: f32) -> Forward {
    let width = gamma.len();
    assert_eq!(beta.len(), width, "gamma and beta differ in size");
    let rows = par::whole_rows(x.len(), width);
    let (mut output, mut statistics) = (uninit(x.len()), uninit(rows * 2));
    let outputs = (Rows::new(&mut output, width), Rows::new(&mut statistics, 2));
    par::run(outputs, Cut::new(rows, 2 * width), |range, (y, statistics)| {
        normalise_rows(&x[range.start * width..range.end * width], gamma, beta, eps, y.data, statistics.data);
    });
    Forward { output, statistics }
}

/// Returns the gradients, given that of the output.
///
/// # Panics
/// If sizes don't fit, or the last row is not whole.
pub fn backward(x: &[f32], statistics: &[f32], gamma: &[f32], dy: &[f32]) -> Gradients {
    let width = gamma.len();
    let rows = par::whole_rows(x.len(), width);
    assert_eq!(dy.len(), x.len(), "input and gradient differ in size");
    let mut dx = uninit(x.len());
    let cut = Cut::with_partials(rows, 3 * width);
    let partials = par::run(Rows::new(&mut dx, width), cut, |range, dx| {
        let at = range.start * width..range.end * width;
        let mut sums = vec![0.0; 2 * width];
        let statistics = &statistics[2 * range.start..2 * range.end];
        backward_rows(&x[at.clone()], statistics, gamma, &dy[at], dx.data, &mut sums);
        sums
    });
    let mut dgamma = par::add_partials(partials, 2 * width);
    let dbeta = dgamma.split_off(width);
    Gradients { dx, dgamma, dbeta }
}

kernel! {
    fn normalise_rows<A>(x: &[f32], gamma: &[f32], beta: &[f32], eps: f32, y: &mut [f32], statistics: &mut [f32]) {
        let width = gamma.len();
        for (r, pair) in statistics.as_chunks_mut::<2>().0.iter_mut().enumerate() {
            let (x, y) = (&x[r * width..][..width], &mut y[r * width..][..width]);
            let mean = sum(x) / width as f32;
            // The variance is taken of the centred values: the difference of two large sums would cancel.
            for (y, x) in y.iter_mut().zip(x) {
                *y = x - mean;
            }
            let scale = 1.0 / (dot::<A>(y, y) / width as f32 + eps).sqrt();
            for ((y, g), b) in y.iter_mut().zip(gamma).zip(beta) {
                *y = A::mul_add(*y * scale, *g, *b);
            }
            *pair = [mean, scale];
        }
    }
}

kernel! {
    /// With `n` the normalised row and `g = dy * gamma`: `dx = scale (g - mean(g) - n mean(g n))`.
    ///
    /// `sums` holds the gradients of gamma and of beta, one after the other.
    fn backward_rows<A>(x: &[f32], statistics: &[f32], gamma: &[f32], dy: &[f32], dx: &mut [f32], sums: &mut [f32]) {
        let width = gamma.len();
        let (dgamma, dbeta) = sums.split_at_mut(width);
        for (r, &[mean, scale]) in statistics.as_chunks::<2>().0.iter().enumerate() {
            let (x, dy, dx) = (&x[r * width..][..width], &dy[r * width..][..width], &mut dx[r * width..][..width]);
            let (mut g_sum, mut gn_sum) = ([0.0; LANES], [0.0; LANES]);
            let mut step = |lane: usize, i: usize| {
                let n = (x[i] - mean) * scale;
                let g = dy[i] * gamma[i];
                dgamma[i] = A::mul_add(dy[i], n, dgamma[i]);
                dbeta[i] += dy[i];
                g_sum[lane] += g;
                gn_sum[lane] = A::mul_add(g, n, gn_sum[lane]);
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
            let (g_mean, gn_mean) = (add_lanes(g_sum) / width as f32, add_lanes(gn_sum) / width as f32);
            for i in 0..width {
                let n = (x[i] - mean) * scale;
                dx[i] = scale * A::mul_add(-n, gn_mean, A::mul_add(dy[i], gamma[i], -g_mean));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{check_gradient, close, refused, same_bits_with_one_and_two_threads, values, wide};

    const EPS: f64 = 1e-5;

    /// The naive twin: output and gradients (x, gamma, beta).
    fn twin(x: &[f64], gamma: &[f64], beta: &[f64], dy: &[f64]) -> [Vec<f64>; 4] {
        let width = gamma.len();
        let (mut y, mut dx) = (vec![], vec![]);
        let (mut dgamma, mut dbeta) = (vec![0.0; width], vec![0.0; width]);
        for (x, dy) in x.chunks(width).zip(dy.chunks(width)) {
            let mean = |v: &mut dyn Iterator<Item = f64>| v.sum::<f64>() / width as f64;
            let centre = mean(&mut x.iter().copied());
            let scale = 1.0 / (mean(&mut x.iter().map(|v| (v - centre).powi(2))) + EPS).sqrt();
            let n: Vec<f64> = x.iter().map(|v| (v - centre) * scale).collect();
            let g: Vec<f64> = dy.iter().zip(gamma).map(|(d, g)| d * g).collect();
            let (g_mean, gn_mean) =
                (mean(&mut g.iter().copied()), mean(&mut g.iter().zip(&n).map(|(g, n)| g * n)));
            for i in 0..width {
                y.push(n[i] * gamma[i] + beta[i]);
                dx.push(scale * (g[i] - g_mean - n[i] * gn_mean));
                dgamma[i] += dy[i] * n[i];
                dbeta[i] += dy[i];
            }
        }
        [y, dx, dgamma, dbeta]
    }

    #[test]
    fn matches_the_twin() {
        for (rows, width) in [(1, 1), (2, 3), (5, 16), (7, 17), (64, 128), (301, 257), (0, 8)] {
            let (x, dy) = (values(rows * width, 1), values(rows * width, 2));
            let (gamma, beta) = (values(width, 3), values(width, 4));
            let [y, dx, dgamma, dbeta] = twin(&wide(&x), &wide(&gamma), &wide(&beta), &wide(&dy));
            let got = forward(&x, &gamma, &beta, EPS as f32);
            close(&got.output, &y);
            let gradients = backward(&x, &got.statistics, &gamma, &dy);
            close(&gradients.dgamma, &dgamma);
            close(&gradients.dbeta, &dbeta);
            if width > 1 {
                // With one value a row the gradient is zero by cancellation, and so has no largest value to compare to.
                close(&gradients.dx, &dx);
            }
        }
    }

    #[test]
    fn the_twin_s_gradients_are_slopes() {
        let (x, dy) = (wide(&values(21, 1)), wide(&values(21, 2)));
        let (gamma, beta) = (wide(&values(7, 3)), wide(&values(7, 4)));
        let loss = |x: &[f64], gamma: &[f64], beta: &[f64]| -> f64 {
            twin(x, gamma, beta, &dy)[0].iter().zip(&dy).map(|(y, d)| y * d).sum()
        };
        let [_, dx, dgamma, dbeta] = twin(&x, &gamma, &beta, &dy);
        check_gradient(&x, &dx, |x| loss(x, &gamma, &beta));
        check_gradient(&gamma, &dgamma, |gamma| loss(&x, gamma, &beta));
        check_gradient(&beta, &dbeta, |beta| loss(&x, &gamma, beta));
    }

    #[test]
    fn a_large_mean_does_not_spoil_the_variance() {
        let x: Vec<f32> = values(64, 1).iter().map(|v| v + 1000.0).collect();
        let y = forward(&x, &[1.0; 64], &[0.0; 64], EPS as f32).output;
        let [expected, ..] = twin(&wide(&x), &[1.0; 64], &[0.0; 64], &[0.0; 64]);
        crate::testing::close_within(&y, &expected, 1e-4);
    }

    #[test]
    fn nan_stays_in_its_row() {
        let mut x = values(32, 1);
        x[3] = f32::NAN;
        let y = forward(&x, &[1.0; 16], &[0.0; 16], EPS as f32).output;
        assert!(y[..16].iter().all(|v| v.is_nan()) && y[16..].iter().all(|v| v.is_finite()));
    }

    #[test]
    fn a_nan_in_the_gradient_shows_in_all_that_it_feeds() {
        let (x, gamma, mut dy) = (values(32, 1), values(16, 2), values(32, 3));
        dy[3] = f32::NAN;
        let statistics = forward(&x, &gamma, &gamma, EPS as f32).statistics;
        let got = backward(&x, &statistics, &gamma, &dy);
        assert!(got.dx[..16].iter().all(|v| v.is_nan()) && got.dx[16..].iter().all(|v| v.is_finite()));
        for gradient in [got.dgamma, got.dbeta] {
            assert!(gradient.iter().enumerate().all(|(at, v)| v.is_nan() == (at == 3)));
        }
    }

    #[test]
    fn a_row_that_is_not_whole_is_refused() {
        let x = [1.0; 7];
        refused("the last row is not whole", || drop(forward(&x, &[1.0; 3], &[0.0; 3], 0.1)));
        refused("the last row is not whole", || drop(forward(&x, &[], &[], 0.1)));
        refused("the last row is not whole", || drop(backward(&x, &[0.0; 4], &[1.0; 3], &x)));
    }

    #[test]
    fn bits_do_not_depend_on_threads() {
        let (x, dy, gamma) = (values(1000 * 96, 1), values(1000 * 96, 2), values(96, 3));
        same_bits_with_one_and_two_threads(|| {
            let y = forward(&x, &gamma, &gamma, EPS as f32);
            let g = backward(&x, &y.statistics, &gamma, &dy);
            vec![y.output, g.dx, g.dgamma, g.dbeta]
        });
    }
}
