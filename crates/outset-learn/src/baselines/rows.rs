//! Rows of features to fit on, standardised on the way without a copy.

use rayon::prelude::*;

/// Parts that sums over rows are divided into, however many threads there are, so that rounding is always the same.
const PARTS: usize = 16;

/// Evenly spaced rows of a feature matrix, with weights and each feature's mean and spread.
pub(super) struct Rows<'a> {
    features: &'a [f32],
    pub width: usize,
    /// Rows in the matrix, and rows that are used.
    all: usize,
    pub used: usize,
    weights: Vec<f64>,
    pub mean: Vec<f64>,
    /// One over the standard deviation; 0 for a feature that is always the same.
    pub scale: Vec<f64>,
}

impl<'a> Rows<'a> {
    /// Picks `used` of the `all` rows; weights are brought to a mean of 1, which they are also where none counts.
    pub fn new(features: &'a [f32], width: usize, all: usize, used: usize, weights: Option<&[f64]>) -> Self {
        let mut rows = Self {
            features,
            width,
            all,
            used,
            weights: vec![1.0; used],
            mean: Vec::new(),
            scale: Vec::new(),
        };
        if let Some(weights) = weights {
            let picked: Vec<f64> = (0..used).map(|i| weights[rows.row(i)]).collect();
            let mean = picked.iter().sum::<f64>() / used as f64;
            if mean > 0.0 {
                rows.weights = picked.into_iter().map(|weight| weight / mean).collect();
            }
        }
        rows.mean = rows.moments(|value, _| value);
        let variance = rows.moments(|value, mean| (value - mean) * (value - mean));
        rows.scale = variance
            .iter()
            .zip(&rows.mean)
            .map(|(&variance, mean)| {
                // What rounding leaves of a constant is no spread.
                let smallest = (1e-12 * mean.abs()).max(f64::MIN_POSITIVE);
                if variance.sqrt() > smallest { 1.0 / variance.sqrt() } else { 0.0 }
            })
            .collect();
        rows
    }

    /// The number of a picked row in the matrix.
    pub fn row(&self, i: usize) -> usize {
        if self.used == self.all { i } else { (i as u128 * self.all as u128 / self.used as u128) as usize }
    }

    /// The features of a picked row.
    pub fn of(&self, i: usize) -> &'a [f32] {
        let row = self.row(i);
        &self.features[row * self.width..(row + 1) * self.width]
    }

    pub fn weight(&self, i: usize) -> f64 {
        self.weights[i]
    }

    /// The weighted mean of a function of each feature's value and mean (0 while there is none yet).
    fn moments(&self, function: impl Fn(f64, f64) -> f64 + Sync) -> Vec<f64> {
        let mut sums = self.sum(self.width, |i, sums| {
            for (j, (sum, &value)) in sums.iter_mut().zip(self.of(i)).enumerate() {
                *sum += self.weight(i) * function(f64::from(value), self.mean.get(j).copied().unwrap_or(0.0));
            }
        });
        sums.iter_mut().for_each(|sum| *sum /= self.used as f64);
        sums
    }

    /// Sums of `size` numbers over all rows; `add` adds one row's part.
    pub fn sum(&self, size: usize, add: impl Fn(usize, &mut [f64]) + Sync) -> Vec<f64> {
        let parts: Vec<Vec<f64>> = (0..PARTS)
            .into_par_iter()
            .map(|part| {
                let mut sums = vec![0.0; size];
                for i in self.used * part / PARTS..self.used * (part + 1) / PARTS {
                    add(i, &mut sums);
                }
                sums
            })
            .collect();
        let mut parts = parts.into_iter();
        let mut total = parts.next().unwrap_or_default();
        for part in parts {
            total.iter_mut().zip(part).for_each(|(total, part)| *total += part);
        }
        total
    }
}

/// The sum of products, in eight strands that the processor can keep side by side.
#[inline]
pub(super) fn dot(features: &[f32], coefficients: &[f64]) -> f64 {
    const STRANDS: usize = 8;
    let mut sums = [0.0; STRANDS];
    let (a, b) = (features.chunks_exact(STRANDS), coefficients.chunks_exact(STRANDS));
    let rest: f64 = a.remainder().iter().zip(b.remainder()).map(|(&a, b)| f64::from(a) * b).sum();
    for (a, b) in a.zip(b) {
        for k in 0..STRANDS {
            sums[k] += f64::from(a[k]) * b[k];
        }
    }
    sums.iter().sum::<f64>() + rest
}

/// Adds `factor` times the features.
#[inline]
pub(super) fn add_scaled(sums: &mut [f64], factor: f64, features: &[f32]) {
    for (sum, &value) in sums.iter_mut().zip(features) {
        *sum += factor * f64::from(value);
    }
}
