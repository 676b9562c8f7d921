//! A Gaussian process over the settings tried so far, and the place where improvement is expected most.
//!
//! Matérn kernel of smoothness 5/2; its scales are those under which the values seen are most likely. What wins where a
//! budget has room for a few dozen trials (Snoek et al. 2012, <https://arxiv.org/abs/1206.2944>).

use rand::{RngExt as _, SeedableRng as _};
use rand_chacha::ChaCha8Rng;

/// Candidates that are looked at, drawn anywhere.
const ANYWHERE: usize = 600;
/// Candidates round each of the best places.
const ROUND_BEST: usize = 60;

/// A fitted process.
struct Process {
    points: Vec<Vec<f64>>,
    scales: Vec<f64>,
    /// Lower triangle of the covariance's Cholesky factor, row by row.
    factor: Vec<Vec<f64>>,
    /// Covariance⁻¹ · values.
    weights: Vec<f64>,
    likelihood: f64,
}

/// Makes a place in the unit cube, near a given one where there is one.
pub type Draw<'a> = dyn Fn(&mut ChaCha8Rng, Option<&[f64]>) -> Vec<f64> + 'a;

/// The place where a smaller value is expected most, among candidates that `draw` makes and that lie round the best.
///
/// `draw` gives a place in the unit cube from random numbers, and a place near a given one; so it keeps what kinds of
/// coordinates there are to itself.
pub fn propose(points: &[Vec<f64>], values: &[f64], seed: u64, draw: &Draw<'_>) -> Vec<f64> {
    let mut generator = ChaCha8Rng::seed_from_u64(seed);
    let values = standardised(values);
    let process = fit(points, &values);
    let mut order: Vec<usize> = (0..points.len()).collect();
    order.sort_by(|a, b| values[*a].total_cmp(&values[*b]));
    let best = order.first().map_or(0.0, |index| values[*index]);
    let mut candidates: Vec<Vec<f64>> = (0..ANYWHERE).map(|_| draw(&mut generator, None)).collect();
    for index in order.iter().take(5) {
        candidates.extend((0..ROUND_BEST).map(|_| draw(&mut generator, Some(&points[*index]))));
    }
    let mut chosen = (f64::NEG_INFINITY, Vec::new());
    for candidate in candidates {
        let (mean, variance) = process.predict(&candidate);
        let gain = expected_improvement(best - mean, variance.sqrt());
        if gain > chosen.0 {
            chosen = (gain, candidate);
        }
    }
    chosen.1
}

/// Values with mean 0 and deviation 1, those far off drawn near: one run that diverged must not flatten all others.
fn standardised(values: &[f64]) -> Vec<f64> {
    let mut sorted: Vec<f64> = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let quantile = |share: f64| sorted[((sorted.len() - 1) as f64 * share).round() as usize];
    let most = quantile(0.5) + 3.0 * (quantile(0.5) - quantile(0.0)).max(1e-12);
    let values: Vec<f64> = values.iter().map(|value| value.min(most)).collect();
    let mean = values.iter().sum::<f64>() / values.len() as f64;
    let variance = values.iter().map(|value| (value - mean).powi(2)).sum::<f64>() / values.len() as f64;
    values.iter().map(|value| (value - mean) / variance.sqrt().max(1e-12)).collect()
}

/// Finds scales by going through the coordinates twice, keeping what makes the values more likely.
fn fit(points: &[Vec<f64>], values: &[f64]) -> Process {
    let width = points.first().map_or(0, Vec::len);
    let mut best: Option<(Process, f64)> = None;
    for scale in [0.2, 0.4, 0.8, 1.6] {
        for noise in [1e-4, 1e-2, 1e-1] {
            if let Some(process) = Process::new(points, values, vec![scale; width], noise)
                && best.as_ref().is_none_or(|(found, _)| process.likelihood > found.likelihood)
            {
                best = Some((process, noise));
            }
        }
    }
    let Some((mut process, noise)) = best else { unreachable!("noise makes any covariance invertible") };
    for _ in 0..2 {
        for coordinate in 0..width {
            for factor in [0.4, 2.5, 10.0] {
                let mut scales = process.scales.clone();
                scales[coordinate] = (scales[coordinate] * factor).clamp(0.05, 30.0);
                if let Some(other) = Process::new(points, values, scales, noise)
                    && other.likelihood > process.likelihood
                {
                    process = other;
                }
            }
        }
    }
    process
}

impl Process {
    fn new(points: &[Vec<f64>], values: &[f64], scales: Vec<f64>, noise: f64) -> Option<Self> {
        let count = points.len();
        let mut factor: Vec<Vec<f64>> = vec![Vec::new(); count];
        for row in 0..count {
            for column in 0..=row {
                let mut sum = matern(&points[row], &points[column], &scales);
                if row == column {
                    sum += noise + 1e-8;
                }
                for (one, other) in factor[row].iter().zip(&factor[column]).take(column) {
                    sum -= one * other;
                }
                if row == column && sum <= 0.0 {
                    return None;
                }
                let value = if row == column { sum.sqrt() } else { sum / factor[column][column] };
                factor[row].push(value);
            }
        }
        let half = forward(&factor, values);
        let mut weights = half.clone();
        for row in (0..count).rev() {
            for below in row + 1..count {
                weights[row] -= factor[below][row] * weights[below];
            }
            weights[row] /= factor[row][row];
        }
        let likelihood = -0.5 * half.iter().map(|value| value * value).sum::<f64>()
            - (0..count).map(|row| factor[row][row].ln()).sum::<f64>();
        Some(Self { points: points.to_vec(), scales, factor, weights, likelihood })
    }

    /// Mean and variance at a place.
    fn predict(&self, at: &[f64]) -> (f64, f64) {
        let shared: Vec<f64> = self.points.iter().map(|point| matern(point, at, &self.scales)).collect();
        let mean = shared.iter().zip(&self.weights).map(|(a, b)| a * b).sum();
        let half = forward(&self.factor, &shared);
        (mean, (1.0 - half.iter().map(|value| value * value).sum::<f64>()).max(1e-12))
    }
}

/// Solves `factor · x = values`.
fn forward(factor: &[Vec<f64>], values: &[f64]) -> Vec<f64> {
    let mut solved: Vec<f64> = Vec::with_capacity(values.len());
    for (row, value) in factor.iter().zip(values) {
        let sum: f64 = row.iter().zip(&solved).map(|(a, b)| a * b).sum();
        solved.push((value - sum) / row[solved.len()]);
    }
    solved
}

fn matern(a: &[f64], b: &[f64], scales: &[f64]) -> f64 {
    let square: f64 = a.iter().zip(b).zip(scales).map(|((a, b), scale)| ((a - b) / scale).powi(2)).sum();
    let distance = (5.0 * square).sqrt();
    (1.0 + distance + 5.0 * square / 3.0) * (-distance).exp()
}

/// What is expected to be gained over the best value where the mean is `gain` below it.
fn expected_improvement(gain: f64, deviation: f64) -> f64 {
    let z = gain / deviation;
    let density = (-0.5 * z * z).exp() / (2.0 * std::f64::consts::PI).sqrt();
    gain * normal(z) + deviation * density
}

/// Distribution function of the normal distribution, after Abramowitz and Stegun 26.2.17: right to 1e-7.
fn normal(z: f64) -> f64 {
    let t = 1.0 / (1.0 + 0.231_641_9 * z.abs());
    let polynomial = t
        * (0.319_381_53
            + t * (-0.356_563_782 + t * (1.781_477_937 + t * (-1.821_255_978 + t * 1.330_274_429))));
    let upper = (-0.5 * z * z).exp() / (2.0 * std::f64::consts::PI).sqrt() * polynomial;
    if z >= 0.0 { 1.0 - upper } else { upper }
}

/// A place near another: each coordinate moved a little, or drawn anew.
pub fn near(generator: &mut ChaCha8Rng, place: f64) -> f64 {
    if generator.random::<f64>() < 0.15 {
        return generator.random();
    }
    let step: f64 = (0..3).map(|_| generator.random::<f64>() - 0.5).sum();
    (place + 0.2 * step).clamp(0.0, 1.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn uniform(generator: &mut ChaCha8Rng, round: Option<&[f64]>) -> Vec<f64> {
        match round {
            Some(place) => place.iter().map(|place| near(generator, *place)).collect(),
            None => (0..3).map(|_| generator.random()).collect(),
        }
    }

    /// A bowl with a valley: the third coordinate says nothing.
    fn bowl(x: &[f64]) -> f64 {
        (x[0] - 0.3).powi(2) + 0.2 * (x[1] - 0.8).powi(2)
    }

    #[test]
    fn fewer_trials_than_at_random_find_the_bottom() {
        let (mut wins, rounds, budget) = (0, 10, 25);
        for seed in 0..rounds {
            let mut generator = ChaCha8Rng::seed_from_u64(seed);
            let random: Vec<Vec<f64>> = (0..budget).map(|_| uniform(&mut generator, None)).collect();
            let by_lot = random.iter().map(|x| bowl(x)).fold(f64::INFINITY, f64::min);
            let mut points: Vec<Vec<f64>> = random[..5].to_vec();
            while points.len() < budget {
                let values: Vec<f64> = points.iter().map(|x| bowl(x)).collect();
                points.push(propose(&points, &values, seed * 1000 + points.len() as u64, &uniform));
            }
            let found = points.iter().map(|x| bowl(x)).fold(f64::INFINITY, f64::min);
            wins += u32::from(found < by_lot);
        }
        assert!(wins >= 9, "{wins} of {rounds}");
    }

    #[test]
    fn a_process_goes_through_what_it_saw() {
        let points = [vec![0.1], vec![0.5], vec![0.9]];
        let process = Process::new(&points, &[1.0, -1.0, 0.0], vec![0.3], 1e-8).unwrap();
        let (mean, variance) = process.predict(&[0.5]);
        assert!((mean + 1.0).abs() < 1e-3 && variance < 1e-3, "{mean} {variance}");
        assert!(process.predict(&[5.0]).1 > 0.99);
    }

    #[test]
    fn the_normal_distribution() {
        for (z, expected) in [(0.0, 0.5), (1.0, 0.841_344_746), (-1.96, 0.024_997_895)] {
            assert!((normal(z) - expected).abs() < 2e-7, "{z}");
        }
    }
}
