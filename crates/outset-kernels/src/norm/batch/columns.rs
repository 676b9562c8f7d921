//! The layout of rows of features: each channel is a column. A part owns rows, and its sums are added in order.

use super::{Backward, Factors, Sizes, Statistics};
use crate::{
    isa::kernel,
    par::{self, Cut, Rows},
};

pub(super) fn statistics(x: &[f32], sizes: Sizes) -> Statistics {
    let width = sizes.channels;
    let count = sizes.batch.max(1) as f64;
    let mean: Vec<f32> = sums(x, sizes, add_columns)
        .iter()
        .map(|s| (s / count) as f32)
        .collect();
    let squares = sums(x, sizes, |sums, x| add_squares(sums, x, &mean));
    let variance = squares[..width]
        .iter()
        .map(|s| (s / count) as f32)
        .collect();
    Statistics { mean, variance }
}

/// Adds something up for each column, in f64.
fn sums(x: &[f32], sizes: Sizes, add: impl Fn(&mut [f64], &[f32]) + Sync) -> Vec<f64> {
    let width = sizes.channels;
    let partials = par::run((), Cut::with_partials(sizes.batch, width), |range, ()| {
        let mut sums = vec![0.0; width];
        add(&mut sums, &x[range.start * width..range.end * width]);
        sums
    });
    total(partials, width)
}

fn total(partials: Vec<Vec<f64>>, width: usize) -> Vec<f64> {
    let mut total = vec![0.0; width];
    for partial in partials {
        total.iter_mut().zip(&partial).for_each(|(t, p)| *t += p);
    }
    total
}

pub(super) fn apply(x: &[f32], y: &mut [f32], factors: &Factors, relu: bool) {
    let width = factors.scale.len();
    let cut = Cut::new(x.len() / width.max(1), width);
    par::run(Rows::new(y, width), cut, |range, y| {
        apply_rows(
            &x[range.start * width..range.end * width],
            y.data,
            &factors.scale,
            &factors.shift,
            relu,
        );
    });
}

/// Returns the gradients of beta and of gamma.
pub(super) fn backward(pass: &Backward, dx: &mut [f32]) -> (Vec<f32>, Vec<f32>) {
    let Sizes {
        batch,
        channels: width,
        ..
    } = pass.sizes;
    let (factors, threshold) = (pass.factors, pass.threshold());
    let partials = par::run((), Cut::with_partials(batch, 2 * width), |range, ()| {
        let at = range.start * width..range.end * width;
        let mut sums = vec![0.0; 2 * width];
        gradient_sums(
            &pass.x[at.clone()],
            &pass.dy[at],
            &factors.scale,
            &factors.shift,
            pass.mean,
            threshold,
            &mut sums,
        );
        sums
    });
    let sums = total(partials, 2 * width);
    let mut coefficients = [vec![], vec![], vec![]];
    for channel in 0..width {
        let (a, b, c) = pass.coefficients(channel, sums[channel], sums[width + channel]);
        coefficients
            .iter_mut()
            .zip([a, b, c])
            .for_each(|(all, one)| all.push(one));
    }
    par::run(
        Rows::new(dx, width),
        Cut::new(batch, 2 * width),
        |range, dx| {
            let at = range.start * width..range.end * width;
            let (x, dy) = (&pass.x[at.clone()], &pass.dy[at]);
            input_gradient(
                x,
                dy,
                dx.data,
                &factors.scale,
                &factors.shift,
                pass.mean,
                threshold,
                &coefficients,
            );
        },
    );
    let dbeta = sums[..width].iter().map(|&s| s as f32).collect();
    let dgamma = sums[width..]
        .iter()
        .zip(&factors.inverse)
        .map(|(s, &i)| (s * f64::from(i)) as f32)
        .collect();
    (dbeta, dgamma)
}

kernel! {
    fn add_columns<A>(sums: &mut [f64], x: &[f32]) {
        for row in x.chunks_exact(sums.len().max(1)) {
            for (s, x) in sums.iter_mut().zip(row) {
                *s += f64::from(*x);
            }
        }
    }
}

kernel! {
    fn add_squares<A>(sums: &mut [f64], x: &[f32], mean: &[f32]) {
        for row in x.chunks_exact(sums.len().max(1)) {
            for ((s, x), m) in sums.iter_mut().zip(row).zip(mean) {
                *s += f64::from((x - m) * (x - m));
            }
        }
    }
}

kernel! {
    fn apply_rows<A>(x: &[f32], y: &mut [f32], scale: &[f32], shift: &[f32], relu: bool) {
        let width = scale.len().max(1);
        let floor = if relu { 0.0 } else { f32::NEG_INFINITY };
        for (x, y) in x.chunks_exact(width).zip(y.chunks_exact_mut(width)) {
            for (((y, x), s), t) in y.iter_mut().zip(x).zip(scale).zip(shift) {
                let v = A::mul_add(*x, *s, *t);
                *y = if v < floor { floor } else { v };
            }
        }
    }
}

kernel! {
    /// Adds `dy` and `dy (x - mean)` of each column to the two halves of `sums`.
    fn gradient_sums<A>(
        x: &[f32],
        dy: &[f32],
        scale: &[f32],
        shift: &[f32],
        mean: &[f32],
        threshold: f32,
        sums: &mut [f64],
    ) {
        let width = scale.len();
        let (dy_sums, products) = sums.split_at_mut(width);
        for (x, dy) in x.chunks_exact(width.max(1)).zip(dy.chunks_exact(width.max(1))) {
            for i in 0..width {
                let dy = if A::mul_add(x[i], scale[i], shift[i]) > threshold { dy[i] } else { 0.0 };
                dy_sums[i] += f64::from(dy);
                products[i] += f64::from(dy * (x[i] - mean[i]));
            }
        }
    }
}

kernel! {
    fn input_gradient<A>(
        x: &[f32],
        dy: &[f32],
        dx: &mut [f32],
        scale: &[f32],
        shift: &[f32],
        mean: &[f32],
        threshold: f32,
        coefficients: &[Vec<f32>; 3],
    ) {
        let [a, b, c] = coefficients;
        let width = scale.len();
        let rows = x.chunks_exact(width.max(1)).zip(dy.chunks_exact(width.max(1)));
        for ((x, dy), dx) in rows.zip(dx.chunks_exact_mut(width.max(1))) {
            for i in 0..width {
                let dy = if A::mul_add(x[i], scale[i], shift[i]) > threshold { dy[i] } else { 0.0 };
                dx[i] = a[i] * A::mul_add(mean[i] - x[i], c[i], dy - b[i]);
            }
        }
    }
}
