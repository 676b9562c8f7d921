//! Naive Bayes of n-grams, counted in one pass.

use super::{DOUBT, Said, Sample, slopes};
use crate::baselines::minimize;
use crate::run::evenly;
use outset_data::Features;
use rayon::prelude::*;

/// What each n-gram counts in each class before any is seen.
const SMOOTHING: f64 = 0.1;
/// Rows that the strength of the evidence is taken from, at most.
const ROWS: usize = 20_000;
/// N-grams of a text in the mean, from which on texts are long: in a long text what n-grams say of classes is said often
/// enough, and weighing them by it makes the answers worse, as Wang and Manning found too.
const LONG: usize = 500;
/// The least that an n-gram is multiplied by.
const LEAST: f64 = 0.01;

/// Counts a sample. Returns what n-grams say, and of each n-gram of each input the mean of the squares of what it says.
pub(super) fn count(sample: &Sample<'_>) -> (Said, Vec<Vec<f64>>) {
    let counts = Counts::of(sample);
    let looked_at = evenly(sample.rows, ROWS);
    let class = |row: u32| sample.actual[row as usize] as usize;
    // What a row says of itself is left out: the strength of evidence shows in rows that were not counted.
    let said: Vec<Vec<f64>> = looked_at
        .par_iter()
        .map(|row| counts.said(sample, *row, Some((class(*row), sample.weight(*row)))))
        .collect();
    let actual: Vec<usize> = looked_at.iter().map(|row| class(*row)).collect();
    let weights: Vec<f64> = looked_at.iter().map(|row| sample.weight(*row)).collect();
    let fitted = fit_strength(&said, &actual, &weights, sample.classes);
    let (strength, bias) = (fitted[0].exp(), &fitted[1..]);
    let (mut tables, mut squares) = (Vec::new(), Vec::new());
    for input in 0..sample.inputs.len() {
        let odds = counts.odds(input);
        squares.push(odds.chunks_exact(sample.classes).map(mean_square).collect());
        tables.push(odds.iter().map(|odds| (odds * strength) as f32).collect());
    }
    (Said { tables, bias: bias.iter().map(|value| *value as f32).collect() }, squares)
}

/// Whether the train texts are so short that n-grams should weigh more the more they tell.
pub fn are_short(features: &Features, train: &[u32]) -> bool {
    let Features::Weighted { offsets, .. } = features else { return false };
    let count: usize = train.iter().map(|row| offsets[*row as usize + 1] - offsets[*row as usize]).sum();
    count < LONG * train.len()
}

/// What the weight of each n-gram is to be multiplied by, given the squares of what it says: the roots of what it says
/// either way, 1 in the mean.
pub fn emphasis(squares: &[f64]) -> Option<Vec<f32>> {
    let root = |square: &f64| square.sqrt().sqrt();
    let mean = squares.iter().map(root).sum::<f64>() / squares.len().max(1) as f64;
    (mean > 0.0).then(|| squares.iter().map(|square| (root(square) / mean).max(LEAST) as f32).collect())
}

fn mean_square(values: &[f64]) -> f64 {
    values.iter().map(|value| value * value).sum::<f64>() / values.len().max(1) as f64
}

/// The logarithm of what evidence must be multiplied by, and what must be added for each class, to be probabilities.
fn fit_strength(said: &[Vec<f64>], actual: &[usize], weights: &[f64], width: usize) -> Vec<f64> {
    let total: f64 = weights.iter().sum::<f64>().max(f64::MIN_POSITIVE);
    let pull = DOUBT / actual.len().max(1) as f64;
    minimize(vec![0.0; 1 + width], 100, |parameters, gradient| {
        let strength = parameters[0].exp();
        let mut loss = 0.0;
        for (slope, value) in gradient.iter_mut().zip(parameters) {
            *slope = pull * value;
        }
        for ((said, class), weight) in said.iter().zip(actual).zip(weights) {
            let sums: Vec<f64> =
                said.iter().zip(&parameters[1..]).map(|(said, bias)| strength * said + bias).collect();
            let (slopes, lost) = slopes(&sums, *class);
            let share = weight / total;
            loss += share * lost;
            for (k, slope) in slopes.iter().enumerate() {
                gradient[0] += share * slope * strength * said[k];
                gradient[1 + k] += share * slope;
            }
        }
        loss + 0.5 * pull * parameters.iter().map(|value| value * value).sum::<f64>()
    })
}

/// The weight of each n-gram in each class.
struct Counts {
    classes: usize,
    /// Of each input `[n-grams, classes]`.
    tables: Vec<Vec<f64>>,
    /// Of each class the weights of all its n-grams.
    totals: Vec<f64>,
    /// N-grams of all inputs.
    size: f64,
}

impl Counts {
    fn of(sample: &Sample<'_>) -> Self {
        let classes = sample.classes;
        let mut tables: Vec<Vec<f64>> = sample.sizes.iter().map(|size| vec![0.0; size * classes]).collect();
        let mut totals = vec![0.0; classes];
        for row in sample.rows {
            let (class, weight) = (sample.actual[*row as usize] as usize, sample.weight(*row));
            for (input, index, value) in sample.ngrams(*row) {
                tables[input][index * classes + class] += weight * value;
                totals[class] += weight * value;
            }
        }
        Self { classes, tables, totals, size: sample.sizes.iter().sum::<usize>() as f64 }
    }

    /// The log odds of an n-gram for each class, given its weights in the classes and those of all n-grams.
    fn odds_of(&self, weights: &[f64], totals: &[f64], out: &mut [f64]) {
        let (all, total): (f64, f64) = (weights.iter().sum(), totals.iter().sum());
        let smooth = SMOOTHING * self.size;
        for ((out, weight), of_class) in out.iter_mut().zip(weights).zip(totals) {
            let inside = (weight.max(0.0) + SMOOTHING) / (of_class.max(0.0) + smooth);
            let outside = ((all - weight).max(0.0) + SMOOTHING) / ((total - of_class).max(0.0) + smooth);
            *out = (inside / outside).ln();
        }
    }

    /// Of an input `[n-grams, classes]`.
    fn odds(&self, input: usize) -> Vec<f64> {
        let mut odds = vec![0.0; self.tables[input].len()];
        odds.par_chunks_mut(self.classes)
            .zip(self.tables[input].par_chunks(self.classes))
            .for_each(|(out, weights)| self.odds_of(weights, &self.totals, out));
        odds
    }

    /// What a row's n-grams say of each class; `own` is the class and the weight that the row was counted with, if it is
    /// to be as if it had not been.
    fn said(&self, sample: &Sample<'_>, row: u32, own: Option<(usize, f64)>) -> Vec<f64> {
        let (mut totals, mut sums) = (self.totals.clone(), vec![0.0; self.classes]);
        if let Some((class, weight)) = own {
            totals[class] -= weight * sample.ngrams(row).map(|(.., value)| value).sum::<f64>();
        }
        let (mut weights, mut odds) = (vec![0.0; self.classes], vec![0.0; self.classes]);
        for (input, index, value) in sample.ngrams(row) {
            weights.copy_from_slice(&self.tables[input][index * self.classes..][..self.classes]);
            if let Some((class, weight)) = own {
                weights[class] -= weight * value;
            }
            self.odds_of(&weights, &totals, &mut odds);
            sums.iter_mut().zip(&odds).for_each(|(sum, odds)| *sum += value * odds);
        }
        sums
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{features, sample};
    use super::*;

    #[test]
    fn odds_are_log_count_ratios() {
        let features = features();
        let all = sample(&[&features], 3, &[0, 1, 2, 3], &[0, 1, 0, 1], 2);
        let counts = Counts::of(&all);
        assert_eq!(
            (counts.tables[0].clone(), counts.totals.clone()),
            (vec![2.0, 0.0, 0.0, 2.0, 2.0, 2.0], vec![4.0, 4.0])
        );
        let odds = counts.odds(0);
        let expected = (2.1f64 / 0.1).ln();
        for (found, expected) in odds.iter().zip([expected, -expected, -expected, expected, 0.0, 0.0]) {
            assert!((found - expected).abs() < 1e-12, "{odds:?}");
        }
        // What a row says without itself is what the others say: n-gram 0 once in class 0, beside one of n-gram 2.
        let alone = counts.said(&all, 0, Some((0, 1.0)));
        let others = Counts::of(&Sample { rows: &[1, 2, 3], ..all });
        let all = sample(&[&features], 3, &[0, 1, 2, 3], &[0, 1, 0, 1], 2);
        for (a, b) in alone.iter().zip(others.said(&all, 0, None)) {
            assert!((a - b).abs() < 1e-12, "{alone:?}");
        }
    }

    #[test]
    fn what_says_more_weighs_more() {
        let found = emphasis(&[16.0, 1.0, 0.0]).unwrap();
        assert_eq!(found, [2.0, 1.0, 0.01]);
        assert_eq!(emphasis(&[0.0, 0.0]), None);
        assert!(are_short(&features(), &[0, 3]));
        let long =
            Features::Weighted { offsets: vec![0, 700], indices: vec![0; 700], weights: vec![1.0; 700] };
        assert!(!are_short(&long, &[0]));
    }
}
