//! Group normalisation (arXiv 1803.08494): each example's channels are normalised in groups.
//!
//! `x [batch, channels, spatial]`, `gamma` and `beta` `[channels]`. One group is layer normalisation over channels and
//! space, as many groups as channels is instance normalisation (arXiv 1607.08022).

use crate::{
    buf::uninit,
    isa::kernel,
    par::{self, Cut, Rows},
    reduce::{dot, sum},
};

/// Sizes of an input.
#[derive(Clone, Copy, Debug)]
pub struct Sizes {
    /// Number of examples.
    pub batch: usize,
    /// Number of channels, a multiple of the groups.
    pub channels: usize,
    /// Values of each channel of an example.
    pub spatial: usize,
    /// Number of groups.
    pub groups: usize,
}

impl Sizes {
    fn group_channels(self) -> usize {
        self.channels / self.groups.max(1)
    }

    fn check(self, x: &[f32], gamma: &[f32]) {
        assert!(
            self.groups > 0 && self.channels.is_multiple_of(self.groups),
            "channels don't divide into groups"
        );
        assert_eq!(x.len(), self.batch * self.channels * self.spatial, "the input has another size");
        assert_eq!(gamma.len(), self.channels, "gamma has another size than the channels");
    }
}

/// What [`forward`] returns.
#[derive(Debug)]
pub struct Forward {
    /// As the input.
    pub output: Vec<f32>,
    /// Mean and `1 / sqrt(var + eps)` of each group, `[batch, groups, 2]`.
    pub statistics: Vec<f32>,
}

/// Gradients of the input, of gamma and of beta.
#[derive(Debug)]
pub struct Gradients {
    /// As the input.
    pub dx: Vec<f32>,
    /// `[channels]`.
    pub dgamma: Vec<f32>,
    /// `[channels]`.
    pub dbeta: Vec<f32>,
}

/// Normalises each group.
pub fn forward(x: &[f32], gamma: &[f32], beta: &[f32], sizes: Sizes, eps: f32) -> Forward {
    sizes.check(x, gamma);
    assert_eq!(beta.len(), sizes.channels, "beta has another size than the channels");
    let width = sizes.group_channels() * sizes.spatial;
    let rows = sizes.batch * sizes.groups;
    let (mut output, mut statistics) = (uninit(x.len()), uninit(2 * rows));
    let outputs = (Rows::new(&mut output, width), Rows::new(&mut statistics, 2));
    par::run(outputs, Cut::new(rows, 2 * width), |range, (y, statistics)| {
        for (i, row) in range.enumerate() {
            let channel = row % sizes.groups * sizes.group_channels();
            let channels = channel..channel + sizes.group_channels();
            let (x, y) = (&x[row * width..][..width], &mut y.data[i * width..][..width]);
            let pair = normalise_group(x, y, &gamma[channels.clone()], &beta[channels], sizes.spatial, eps);
            statistics.data[2 * i..][..2].copy_from_slice(&pair);
        }
    });
    Forward { output, statistics }
}

/// Returns the gradients, given that of the output.
pub fn backward(x: &[f32], statistics: &[f32], gamma: &[f32], dy: &[f32], sizes: Sizes) -> Gradients {
    sizes.check(x, gamma);
    assert_eq!(dy.len(), x.len(), "input and gradient differ in size");
    let Sizes { batch, channels, spatial, groups } = sizes;
    let example = channels * spatial;
    let mut dx = uninit(x.len());
    let partials =
        par::run(Rows::new(&mut dx, example), Cut::with_partials(batch, 3 * example), |range, dx| {
            // Gradients of gamma and of beta, one after the other.
            let mut sums = vec![0.0; 2 * channels];
            for (i, n) in range.enumerate() {
                for g in 0..groups {
                    let at = g * sizes.group_channels()..(g + 1) * sizes.group_channels();
                    let values = n * example + at.start * spatial..n * example + at.end * spatial;
                    let dx = &mut dx.data[i * example..][at.start * spatial..at.end * spatial];
                    let (dgamma, dbeta) = sums.split_at_mut(channels);
                    let pair = [statistics[2 * (n * groups + g)], statistics[2 * (n * groups + g) + 1]];
                    let gradients = (&mut dgamma[at.clone()], &mut dbeta[at.clone()]);
                    backward_group(&x[values.clone()], &dy[values], dx, pair, &gamma[at], gradients, spatial);
                }
            }
            sums
        });
    let mut dgamma = par::add_partials(partials, 2 * channels);
    let dbeta = dgamma.split_off(channels);
    Gradients { dx, dgamma, dbeta }
}

kernel! {
    fn normalise_group<A>(x: &[f32], y: &mut [f32], gamma: &[f32], beta: &[f32], spatial: usize, eps: f32) -> [f32; 2] {
        let mean = sum(x) / x.len() as f32;
        for (y, x) in y.iter_mut().zip(x) {
            *y = x - mean;
        }
        let scale = 1.0 / (dot::<A>(y, y) / x.len() as f32 + eps).sqrt();
        for ((y, gamma), beta) in y.chunks_exact_mut(spatial.max(1)).zip(gamma).zip(beta) {
            for y in y {
                *y = A::mul_add(*y * scale, *gamma, *beta);
            }
        }
        [mean, scale]
    }
}

kernel! {
    /// With `n` the normalised values and `g = dy * gamma`: `dx = scale (g - mean(g) - n mean(g n))`.
    fn backward_group<A>(
        x: &[f32],
        dy: &[f32],
        dx: &mut [f32],
        statistics: [f32; 2],
        gamma: &[f32],
        gradients: (&mut [f32], &mut [f32]),
        spatial: usize,
    ) {
        let ([mean, scale], (dgamma, dbeta), spatial) = (statistics, gradients, spatial.max(1));
        let (mut g_mean, mut gn_mean) = (0.0, 0.0);
        for (n, dx) in dx.iter_mut().zip(x).map(|(dx, x)| ((x - mean) * scale, dx)) {
            *dx = n;
        }
        for (c, (n, dy)) in dx.chunks_exact(spatial).zip(dy.chunks_exact(spatial)).enumerate() {
            let (dy_sum, dy_n_sum) = (sum(dy), dot::<A>(dy, n));
            dbeta[c] += dy_sum;
            dgamma[c] += dy_n_sum;
            g_mean += dy_sum * gamma[c];
            gn_mean += dy_n_sum * gamma[c];
        }
        g_mean /= x.len() as f32;
        gn_mean /= x.len() as f32;
        for ((dx, dy), gamma) in dx.chunks_exact_mut(spatial).zip(dy.chunks_exact(spatial)).zip(gamma) {
            for (dx, dy) in dx.iter_mut().zip(dy) {
                *dx = scale * A::mul_add(-*dx, gn_mean, A::mul_add(*dy, *gamma, -g_mean));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{
        check_gradient, close, hides_nothing, same_bits_with_one_and_two_threads, values, wide,
    };

    const EPS: f64 = 1e-5;

    /// The naive twin: output and gradients (x, gamma, beta).
    fn twin(x: &[f64], gamma: &[f64], beta: &[f64], dy: &[f64], sizes: Sizes) -> [Vec<f64>; 4] {
        let width = sizes.group_channels() * sizes.spatial;
        let (mut y, mut dx) = (vec![], vec![]);
        let (mut dgamma, mut dbeta) = (vec![0.0; sizes.channels], vec![0.0; sizes.channels]);
        for (row, (x, dy)) in x.chunks(width).zip(dy.chunks(width)).enumerate() {
            let channel = |i: usize| row % sizes.groups * sizes.group_channels() + i / sizes.spatial;
            let average = |f: &dyn Fn(usize) -> f64| (0..width).map(f).sum::<f64>() / width as f64;
            let mean = average(&|i| x[i]);
            let scale = 1.0 / (average(&|i| (x[i] - mean).powi(2)) + EPS).sqrt();
            let (n, g) = (|i: usize| (x[i] - mean) * scale, |i: usize| dy[i] * gamma[channel(i)]);
            let (g_mean, gn_mean) = (average(&g), average(&|i| g(i) * n(i)));
            for i in 0..width {
                y.push(n(i) * gamma[channel(i)] + beta[channel(i)]);
                dx.push(scale * (g(i) - g_mean - n(i) * gn_mean));
                dgamma[channel(i)] += dy[i] * n(i);
                dbeta[channel(i)] += dy[i];
            }
        }
        [y, dx, dgamma, dbeta]
    }

    const SHAPES: [(usize, usize, usize, usize); 9] = [
        (1, 1, 1, 1),
        (3, 2, 1, 2),
        (1, 1, 7, 1),
        (3, 4, 5, 2),
        (2, 12, 1, 3),
        (5, 7, 9, 7),
        (4, 32, 64, 8),
        (0, 4, 4, 2),
        (0, 1, 1, 1),
    ];

    #[test]
    fn matches_the_twin() {
        for (batch, channels, spatial, groups) in SHAPES {
            let sizes = Sizes { batch, channels, spatial, groups };
            let len = batch * channels * spatial;
            let (x, dy) = (values(len, 1), values(len, 2));
            let (gamma, beta) = (values(channels, 3), values(channels, 4));
            let [y, dx, dgamma, dbeta] = twin(&wide(&x), &wide(&gamma), &wide(&beta), &wide(&dy), sizes);
            let got = forward(&x, &gamma, &beta, sizes, EPS as f32);
            close(&got.output, &y);
            let gradients = backward(&x, &got.statistics, &gamma, &dy, sizes);
            close(&gradients.dgamma, &dgamma);
            close(&gradients.dbeta, &dbeta);
            if spatial * channels > groups {
                // With one value a group the gradient is zero by cancellation, and so has no largest value to compare to.
                close(&gradients.dx, &dx);
            }
        }
    }

    #[test]
    fn a_nan_shows_in_all_that_it_feeds_and_stays_in_its_group() {
        let sizes = Sizes { batch: 3, channels: 6, spatial: 20, groups: 3 };
        let (gamma, beta) = (values(6, 3), values(6, 4));
        let statistics = forward(&values(360, 1), &gamma, &beta, sizes, EPS as f32).statistics;
        for value in [f32::NAN, f32::INFINITY] {
            let (mut x, mut dy) = (values(360, 1), values(360, 2));
            // Of the second example's second group, which has values 160 to 199.
            dy[170] = value;
            let [_, dx, dgamma, dbeta] = twin(&wide(&x), &wide(&gamma), &wide(&beta), &wide(&dy), sizes);
            let got = backward(&x, &statistics, &gamma, &dy, sizes);
            for (got, expected) in [(&got.dx, dx), (&got.dgamma, dgamma), (&got.dbeta, dbeta)] {
                hides_nothing(got, &expected);
            }
            assert!(got.dx.iter().enumerate().all(|(i, v)| v.is_finite() != (160..200).contains(&i)));
            x[170] = value;
            let got = forward(&x, &gamma, &beta, sizes, EPS as f32);
            assert!(got.output.iter().enumerate().all(|(i, v)| v.is_finite() != (160..200).contains(&i)));
            let got = backward(&x, &got.statistics, &gamma, &values(360, 2), sizes);
            assert!(got.dx.iter().enumerate().all(|(i, v)| v.is_finite() != (160..200).contains(&i)));
        }
    }

    #[test]
    fn the_twin_s_gradients_are_slopes() {
        let sizes = Sizes { batch: 2, channels: 4, spatial: 3, groups: 2 };
        let (x, dy) = (wide(&values(24, 1)), wide(&values(24, 2)));
        let (gamma, beta) = (wide(&values(4, 3)), wide(&values(4, 4)));
        let loss = |x: &[f64], gamma: &[f64], beta: &[f64]| -> f64 {
            twin(x, gamma, beta, &dy, sizes)[0].iter().zip(&dy).map(|(y, d)| y * d).sum()
        };
        let [_, dx, dgamma, dbeta] = twin(&x, &gamma, &beta, &dy, sizes);
        check_gradient(&x, &dx, |x| loss(x, &gamma, &beta));
        check_gradient(&gamma, &dgamma, |gamma| loss(&x, gamma, &beta));
        check_gradient(&beta, &dbeta, |beta| loss(&x, &gamma, beta));
    }

    #[test]
    fn bits_do_not_depend_on_threads() {
        let sizes = Sizes { batch: 16, channels: 32, spatial: 100, groups: 8 };
        let (x, gamma) = (values(16 * 3200, 1), values(32, 2));
        same_bits_with_one_and_two_threads(|| {
            let y = forward(&x, &gamma, &gamma, sizes, EPS as f32);
            let got = backward(&x, &y.statistics, &gamma, &x, sizes);
            vec![y.output, got.dx, got.dgamma, got.dbeta]
        });
    }
}
