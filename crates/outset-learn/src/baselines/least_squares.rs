//! Least squares in closed form.

use super::rows::Rows;

/// What is added to the diagonal of the correlations, so that columns that repeat each other share their coefficient
/// instead of having none.
const RIDGE: f64 = 1e-9;

/// Solves for the coefficients of standardised features that leave the least squared error, the target centred.
///
/// Cholesky's factors of the normal equations on correlations, then refined, which takes out what the ridge put in
/// wherever columns are not collinear.
pub(super) fn solve(rows: &Rows<'_>, target: &[f64], mean: f64) -> Vec<f64> {
    let width = rows.width;
    // Upper triangle of the correlations, row by row, then the correlations with the target.
    let size = width * (width + 1) / 2;
    let sums = rows.sum(size + width, |i, sums| {
        let standard: Vec<f64> = (rows.of(i).iter().zip(rows.mean.iter().zip(&rows.scale)))
            .map(|(&value, (mean, scale))| (f64::from(value) - mean) * scale)
            .collect();
        let (mut triangle, with_target) = sums.split_at_mut(size);
        for (j, &value) in standard.iter().enumerate() {
            let (row, rest) = triangle.split_at_mut(width - j);
            triangle = rest;
            let value = value * rows.weight(i);
            if value != 0.0 {
                row.iter_mut().zip(&standard[j..]).for_each(|(sum, other)| *sum += value * other);
            }
            with_target[j] += value * (target[i] - mean);
        }
    });
    let mut correlations = vec![0.0; width * width];
    let mut at = 0;
    for j in 0..width {
        for k in j..width {
            let value = sums[at] / rows.used as f64;
            (correlations[j * width + k], correlations[k * width + j]) = (value, value);
            at += 1;
        }
    }
    let right: Vec<f64> = sums[size..].iter().map(|sum| sum / rows.used as f64).collect();
    let factor = cholesky(&correlations, width);
    let mut solution = substitute(&factor, width, right.clone());
    for _ in 0..3 {
        let residual: Vec<f64> = (0..width)
            .map(|j| right[j] - product(&correlations[j * width..(j + 1) * width], &solution))
            .collect();
        let correction = substitute(&factor, width, residual);
        solution.iter_mut().zip(correction).for_each(|(value, correction)| *value += correction);
    }
    solution
}

fn product(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

/// The lower factor `L` of `matrix + RIDGE = L Lᵀ`.
fn cholesky(matrix: &[f64], width: usize) -> Vec<f64> {
    let mut factor = vec![0.0; width * width];
    for j in 0..width {
        for k in 0..=j {
            let known = product(&factor[j * width..j * width + k], &factor[k * width..k * width + k]);
            let value = matrix[j * width + k] - known;
            factor[j * width + k] = if j == k {
                // Rounding can take a repeated column's pivot below the ridge.
                (value + RIDGE).max(RIDGE).sqrt()
            } else {
                value / factor[k * width + k]
            };
        }
    }
    factor
}

/// Solves `L Lᵀ x = right`.
fn substitute(factor: &[f64], width: usize, mut right: Vec<f64>) -> Vec<f64> {
    for j in 0..width {
        let known = product(&factor[j * width..j * width + j], &right[..j]);
        right[j] = (right[j] - known) / factor[j * width + j];
    }
    for j in (0..width).rev() {
        let known: f64 = (j + 1..width).map(|k| factor[k * width + j] * right[k]).sum();
        right[j] = (right[j] - known) / factor[j * width + j];
    }
    right
}
