//! Filters that whiten the 2 × 2 patches of pictures: their outputs over train are uncorrelated and of deviation 1
//! (Jordan 2024, <https://arxiv.org/abs/2404.00498>, section 3.2).

use super::{Pixels, Shape};
use rayon::prelude::*;

/// Pictures whose patches are looked at, at most, evenly spread over train.
const LOOKED_AT: usize = 4_000;

/// What is added to each variance, so that directions in which patches hardly differ are not blown up.
const FLOOR: f64 = 5e-4;

/// Sweeps of Jacobi's method; a dozen is more than matrices of this size take.
const SWEEPS: usize = 30;

/// Filters `[4 · channels, channels, 2, 2]` for values normalised by mean and deviation of each channel, those of the
/// largest variance first.
pub(crate) fn whitening(pixels: &[Pixels], shape: Shape, mean: &[f32], deviation: &[f32]) -> Vec<f32> {
    let size = 4 * shape.channels;
    let step = pixels.len().div_ceil(LOOKED_AT).max(1);
    let chosen: Vec<&Pixels> = pixels.iter().step_by(step).collect();
    let of_each: Vec<Vec<f64>> =
        chosen.par_iter().map(|pixels| products(pixels.values(), shape, mean, deviation)).collect();
    // Added up in order, so that equal pictures give equal filters on any number of threads.
    let mut sums = vec![0.0; size * size];
    for products in &of_each {
        sums.iter_mut().zip(products).for_each(|(sum, product)| *sum += product);
    }
    let patches = (chosen.len() * (shape.height - 1) * (shape.width - 1)).max(1) as f64;
    sums.iter_mut().for_each(|sum| *sum /= patches);
    let (variances, directions) = eigen(sums, size);
    let mut order: Vec<usize> = (0..size).collect();
    order.sort_by(|a, b| variances[*b].total_cmp(&variances[*a]));
    let filter = |direction: usize| {
        let factor = 1.0 / (variances[direction].max(0.0) + FLOOR).sqrt();
        (0..size).map(move |value| (value, factor, direction))
    };
    order
        .into_iter()
        .flat_map(filter)
        .map(|(value, factor, direction)| (directions[value * size + direction] * factor) as f32)
        .collect()
}

/// Sums over all patches of one picture of the products of each two of their values, in the order of a filter's weights.
fn products(values: &[u8], shape: Shape, mean: &[f32], deviation: &[f32]) -> Vec<f64> {
    let Shape { channels, height, width } = shape;
    let size = 4 * channels;
    let mut sums = vec![0.0; size * size];
    let mut patch = vec![0.0; size];
    for y in 0..height - 1 {
        for x in 0..width - 1 {
            for (place, value) in patch.iter_mut().enumerate() {
                let (channel, down, right) = (place / 4, place / 2 % 2, place % 2);
                let byte = values[(channel * height + y + down) * width + x + right];
                *value = f64::from((f32::from(byte) / 255.0 - mean[channel]) / deviation[channel]);
            }
            for (row, a) in sums.chunks_exact_mut(size).zip(&patch) {
                row.iter_mut().zip(&patch).for_each(|(sum, b)| *sum += a * b);
            }
        }
    }
    sums
}

/// Eigenvalues of a symmetric matrix and, as columns, its eigenvectors, by Jacobi's method (Golub and Van Loan, Matrix
/// Computations, section 8.5).
fn eigen(mut matrix: Vec<f64>, size: usize) -> (Vec<f64>, Vec<f64>) {
    let mut vectors = vec![0.0; size * size];
    (0..size).for_each(|at| vectors[at * size + at] = 1.0);
    for _ in 0..SWEEPS {
        for p in 0..size {
            for q in p + 1..size {
                let off = matrix[p * size + q];
                if off.abs() < 1e-300 {
                    continue;
                }
                let slant = (matrix[q * size + q] - matrix[p * size + p]) / (2.0 * off);
                let tangent = slant.signum() / (slant.abs() + (slant * slant + 1.0).sqrt());
                let cosine = 1.0 / (tangent * tangent + 1.0).sqrt();
                let sine = tangent * cosine;
                let turn = |values: &mut [f64], a: usize, b: usize| {
                    let (x, y) = (values[a], values[b]);
                    values[a] = cosine * x - sine * y;
                    values[b] = sine * x + cosine * y;
                };
                for k in 0..size {
                    turn(&mut matrix, k * size + p, k * size + q);
                }
                for k in 0..size {
                    turn(&mut matrix, p * size + k, q * size + k);
                    turn(&mut vectors, k * size + p, k * size + q);
                }
            }
        }
    }
    ((0..size).map(|at| matrix[at * size + at]).collect(), vectors)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lot::Lot;

    #[test]
    fn eigenvectors_of_a_small_matrix() {
        let (values, vectors) = eigen(vec![2.0, 1.0, 1.0, 2.0], 2);
        let mut sorted = values.clone();
        sorted.sort_by(f64::total_cmp);
        assert!((sorted[0] - 1.0).abs() < 1e-12 && (sorted[1] - 3.0).abs() < 1e-12, "{values:?}");
        for vector in [0, 1] {
            let (x, y) = (vectors[vector], vectors[2 + vector]);
            assert!((2.0 * x + y - values[vector] * x).abs() < 1e-12);
            assert!((x * x + y * y - 1.0).abs() < 1e-12);
        }
    }

    #[test]
    fn what_is_filtered_is_white() {
        let shape = Shape { channels: 2, height: 9, width: 8 };
        let mut lot = Lot::new(4);
        let picture = |lot: &mut Lot| {
            let level = lot.below(200);
            Pixels::new((0..shape.length()).map(|at| (level + lot.below(20 + at % 30)) as u8).collect())
        };
        let pixels: Vec<Pixels> = (0..60).map(|_| picture(&mut lot)).collect();
        let (mean, deviation) = ([0.45, 0.45], [0.25, 0.25]);
        let filters = whitening(&pixels, shape, &mean, &deviation);
        let mut sums = [0.0; 64];
        for pixels in &pixels {
            let products = products(pixels.values(), shape, &mean, &deviation);
            for (at, sum) in sums.iter_mut().enumerate() {
                let (a, b) = (&filters[at / 8 * 8..][..8], &filters[at % 8 * 8..][..8]);
                for (place, product) in products.iter().enumerate() {
                    *sum += f64::from(a[place / 8]) * product * f64::from(b[place % 8]) / (60.0 * 56.0);
                }
            }
        }
        for (at, value) in sums.into_iter().enumerate() {
            let expected = if at / 8 == at % 8 { 1.0 } else { 0.0 };
            // The floor keeps the smallest variances a little below 1.
            assert!((value - expected).abs() < 0.15, "{at}: {value}");
        }
    }
}
