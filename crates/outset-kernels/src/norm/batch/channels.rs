//! The layout of images: each channel of an example is a run of values. A part owns channels.

use super::{Backward, Factors, Sizes, Statistics};
use crate::{
    isa::kernel,
    par::{self, Cut},
    reduce::{LANES, add_lanes},
    scatter::Scatter,
};
use std::ops::Range;

pub(super) fn statistics(x: &[f32], sizes: Sizes) -> Statistics {
    let cut = Cut::new(sizes.channels, sizes.count());
    let parts = par::run((), cut, |range, ()| {
        range.map(|channel| channel_statistics(x, sizes, channel)).collect::<Vec<_>>()
    });
    let (mean, variance) = parts.into_iter().flatten().unzip();
    Statistics { mean, variance }
}

/// Gives each part of a loop over channels its channels of every example, one slice for each.
fn by_channels<R: Send>(
    values: &mut [f32],
    sizes: Sizes,
    cut: Cut,
    work: impl Fn(Range<usize>, Vec<&mut [f32]>) -> R + Sync,
) -> Vec<R> {
    let Sizes { batch, channels, spatial } = sizes;
    let columns = channels * spatial;
    let scattered = Scatter::of_columns(values, [batch, columns], columns, cut, spatial);
    par::run((), cut, |range, ()| {
        let examples = scattered.take_columns(range.start * spatial).collect();
        work(range, examples)
    })
}

pub(super) fn apply(x: &[f32], y: &mut [f32], sizes: Sizes, factors: &Factors, relu: bool) {
    let Sizes { channels, spatial, .. } = sizes;
    by_channels(y, sizes, Cut::new(channels, sizes.count()), |range, mut y| {
        for (at, channel) in range.enumerate() {
            for (example, y) in y.iter_mut().enumerate() {
                let x = &x[(example * channels + channel) * spatial..][..spatial];
                let y = &mut y[at * spatial..][..spatial];
                apply_run(x, y, factors.scale[channel], factors.shift[channel], relu);
            }
        }
    });
}

/// Returns the gradients of beta and of gamma.
pub(super) fn backward(pass: &Backward, dx: &mut [f32]) -> (Vec<f32>, Vec<f32>) {
    let Sizes { batch, channels, spatial } = pass.sizes;
    let threshold = pass.threshold();
    let cut = Cut::new(channels, 2 * pass.sizes.count());
    let parts = by_channels(dx, pass.sizes, cut, |range, mut dx| {
        let mut gradients = Vec::with_capacity(range.len());
        for (place, channel) in range.enumerate() {
            let (scale, shift, mean) =
                (pass.factors.scale[channel], pass.factors.shift[channel], pass.mean[channel]);
            let at = |example: usize| (example * channels + channel) * spatial;
            let mut sums = [0.0; 2];
            for example in 0..batch {
                let (x, dy) = (&pass.x[at(example)..][..spatial], &pass.dy[at(example)..][..spatial]);
                let run = gradient_sums(x, dy, [scale, shift, mean, threshold]);
                sums = [sums[0] + run[0], sums[1] + run[1]];
            }
            let (a, b, c) = pass.coefficients(channel, sums[0], sums[1]);
            for (example, dx) in dx.iter_mut().enumerate() {
                let (x, dy) = (&pass.x[at(example)..][..spatial], &pass.dy[at(example)..][..spatial]);
                let dx = &mut dx[place * spatial..][..spatial];
                input_gradient(x, dy, dx, [scale, shift, mean, threshold], [a, b, c]);
            }
            gradients.push((sums[0] as f32, (sums[1] * f64::from(pass.factors.inverse[channel])) as f32));
        }
        gradients
    });
    parts.into_iter().flatten().unzip()
}

kernel! {
    /// Mean and variance of a channel, the variance by a second pass over values that are still in the cache.
    fn channel_statistics<A>(x: &[f32], sizes: Sizes, channel: usize) -> (f32, f32) {
        let run = |example: usize| &x[(example * sizes.channels + channel) * sizes.spatial..][..sizes.spatial];
        let count = sizes.count().max(1) as f64;
        let mut total = 0.0;
        for example in 0..sizes.batch {
            total += f64::from(crate::reduce::sum(run(example)));
        }
        let mean = (total / count) as f32;
        let mut squares = 0.0;
        for example in 0..sizes.batch {
            let mut lanes = [0.0; LANES];
            let (chunks, rest) = run(example).as_chunks::<LANES>();
            for chunk in chunks {
                for i in 0..LANES {
                    let d = chunk[i] - mean;
                    lanes[i] = A::mul_add(d, d, lanes[i]);
                }
            }
            let rest: f32 = rest.iter().map(|v| (v - mean) * (v - mean)).sum();
            squares += f64::from(add_lanes(lanes) + rest);
        }
        (mean, (squares / count) as f32)
    }
}

kernel! {
    fn apply_run<A>(x: &[f32], y: &mut [f32], scale: f32, shift: f32, relu: bool) {
        if relu {
            for (y, x) in y.iter_mut().zip(x) {
                let v = A::mul_add(*x, scale, shift);
                *y = if v < 0.0 { 0.0 } else { v };
            }
        } else {
            for (y, x) in y.iter_mut().zip(x) {
                *y = A::mul_add(*x, scale, shift);
            }
        }
    }
}

kernel! {
    /// Sums of `dy` and of `dy (x - mean)` over a run, where the output is above the threshold.
    fn gradient_sums<A>(x: &[f32], dy: &[f32], channel: [f32; 4]) -> [f64; 2] {
        let [scale, shift, mean, threshold] = channel;
        let (mut sums, mut products) = ([0.0; LANES], [0.0; LANES]);
        let kept = |x: f32, dy: f32| if A::mul_add(x, scale, shift) > threshold { dy } else { 0.0 };
        let ((x_chunks, x_rest), (dy_chunks, dy_rest)) = (x.as_chunks::<LANES>(), dy.as_chunks::<LANES>());
        for (x, dy) in x_chunks.iter().zip(dy_chunks) {
            for lane in 0..LANES {
                let dy = kept(x[lane], dy[lane]);
                sums[lane] += dy;
                products[lane] = A::mul_add(dy, x[lane] - mean, products[lane]);
            }
        }
        for (lane, (x, dy)) in x_rest.iter().zip(dy_rest).enumerate() {
            let dy = kept(*x, *dy);
            sums[lane] += dy;
            products[lane] = A::mul_add(dy, x - mean, products[lane]);
        }
        [f64::from(add_lanes(sums)), f64::from(add_lanes(products))]
    }
}

kernel! {
    fn input_gradient<A>(
        x: &[f32],
        dy: &[f32],
        dx: &mut [f32],
        channel: [f32; 4],
        coefficients: [f32; 3],
    ) {
        let ([scale, shift, mean, threshold], [a, b, c]) = (channel, coefficients);
        for ((dx, x), dy) in dx.iter_mut().zip(x).zip(dy) {
            let dy = if A::mul_add(*x, scale, shift) > threshold { *dy } else { 0.0 };
            *dx = a * A::mul_add(mean - *x, c, dy - b);
        }
    }
}
