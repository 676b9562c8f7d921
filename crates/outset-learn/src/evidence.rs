//! Naive Bayes of n-grams: evidence that is counted in one pass, beside a network that is trained.
//!
//! How often an n-gram comes in one class and in the others says something also where it is too rare to be learned from,
//! and is wrong in other ways than what is trained, so that both together are right more often than either (Wang and
//! Manning 2012, <https://aclanthology.org/P12-2018/>; Raina et al. 2003, <https://ai.stanford.edu/~ang/papers/nips03-hybrid.pdf>).
//! The network is trained without the evidence, which would explain the train part by itself; val then says how much
//! either counts.

use crate::baselines::minimize;
use crate::evaluate::TruthValues;
use crate::run::evenly;
use crate::train::Examples;
use burn::module::{Module, Param};
use burn::tensor::{Device, Tensor, TensorData};
use outset_data::Features;
use outset_ops::Bags;
use rayon::prelude::*;
use std::sync::Arc;

/// What each n-gram counts in each class before any is seen.
const SMOOTHING: f64 = 0.1;
/// Rows that the strength of the evidence is taken from, at most.
const ROWS: usize = 20_000;
/// N-grams of a text in the mean, from which on texts are long: in a long text what n-grams say of classes is said often
/// enough, and weighing them by it makes the answers worse, as Wang and Manning found too.
const LONG: usize = 500;
/// The least that an n-gram is multiplied by.
const LEAST: f64 = 0.01;
/// Rows that a fitted share or strength must speak against to leave its first value: few rows say little.
const DOUBT: f64 = 4.0;

/// The evidence of one or more inputs of n-grams about one category.
#[derive(Module, Debug)]
pub struct Evidence {
    /// Of each input `[n-grams, classes]`: how much an n-gram speaks for each class.
    tables: Vec<Param<Tensor<2>>>,
    /// `[classes]`.
    bias: Param<Tensor<1>>,
    /// `[2]`: what the network's raw outputs and the evidence are multiplied by.
    shares: Param<Tensor<1>>,
    /// The encoders of the inputs.
    #[module(skip)]
    encoders: Vec<usize>,
    /// The output.
    #[module(skip)]
    output: usize,
}

impl Evidence {
    /// Makes evidence that says nothing yet, of encoders of so many n-grams each, about an output of so many classes.
    pub fn new(inputs: &[(usize, usize)], output: usize, classes: usize, device: &Device) -> Self {
        let zeros = |rows: usize| Param::from_tensor(Tensor::zeros([rows, classes], device));
        Self {
            tables: inputs.iter().map(|(_, size)| zeros((*size).max(1))).collect(),
            bias: Param::from_tensor(Tensor::zeros([classes], device)),
            shares: vector(vec![1.0, 0.0], device),
            encoders: inputs.iter().map(|(encoder, _)| *encoder).collect(),
            output,
        }
    }

    /// The output that it speaks of.
    pub fn output(&self) -> usize {
        self.output
    }

    /// The encoders whose n-grams it counts.
    pub fn encoders(&self) -> &[usize] {
        &self.encoders
    }

    /// What the n-grams of rows say, `[rows, classes]`; `bags` are those of the evidence's encoders.
    pub fn forward(&self, bags: &[Arc<Bags>]) -> Tensor<2> {
        let said =
            self.tables.iter().zip(bags).map(|(table, bags)| outset_ops::bag(table.val(), bags.clone()));
        let sum =
            said.reduce(|sum, said| sum + said).unwrap_or_else(|| unreachable!("evidence has an input"));
        sum + self.bias.val().unsqueeze::<2>()
    }

    /// A network's raw outputs with the evidence.
    pub fn add_to(&self, raw: Tensor<2>, bags: &[Arc<Bags>]) -> Tensor<2> {
        let shares = self.shares.val().into_data().try_into_vec::<f32>().unwrap_or_default();
        match shares[..] {
            [network, evidence] if evidence != 0.0 => raw * network + self.forward(bags) * evidence,
            _ => raw,
        }
    }

    /// Counts the train rows; `inputs` are the features of the evidence's encoders. Returns of each n-gram of each input
    /// the mean of the squares of what it says.
    pub fn count(&mut self, examples: &Examples<'_>, inputs: &[&Features], device: &Device) -> Vec<Vec<f64>> {
        let TruthValues::Category(classes) = &examples.truths[self.output].values else { return Vec::new() };
        let width = examples.truths[self.output].width();
        let weight = |row: u32| examples.weights.map_or(1.0, |weights| f64::from(weights[row as usize]));
        let mut sizes = Vec::new();
        for table in &self.tables {
            sizes.push(table.val().dims()[0]);
        }
        let counts = Counts::of(inputs, &sizes, width, examples.train, classes, weight);
        let looked_at = evenly(examples.train, ROWS);
        // What a row says of itself is left out: the strength of evidence shows in rows that were not counted.
        let said: Vec<Vec<f64>> = looked_at
            .par_iter()
            .map(|row| counts.said(inputs, *row, Some((classes[*row as usize] as usize, weight(*row)))))
            .collect();
        let actual: Vec<usize> = looked_at.iter().map(|row| classes[*row as usize] as usize).collect();
        let weights: Vec<f64> = looked_at.iter().map(|row| weight(*row)).collect();
        let fitted = fit_strength(&said, &actual, &weights, width);
        let (strength, bias) = (fitted[0].exp(), &fitted[1..]);
        let mut squares = Vec::new();
        for (input, table) in self.tables.iter_mut().enumerate() {
            let odds = counts.odds(input);
            squares.push(odds.chunks_exact(width).map(mean_square).collect());
            let values: Vec<f32> = odds.iter().map(|odds| (odds * strength) as f32).collect();
            let shape = [values.len() / width, width];
            *table = Param::from_tensor(Tensor::from_data(TensorData::new(values, shape), device));
        }
        self.bias = vector(bias.iter().map(|value| *value as f32).collect(), device);
        squares
    }

    /// Makes up for what the n-grams of an encoder are multiplied by.
    pub fn divide(&mut self, encoder: usize, emphasis: &[f32], device: &Device) {
        let Some(input) = self.encoders.iter().position(|other| *other == encoder) else { return };
        let table = self.tables[input].val();
        let shape = table.dims();
        let mut values = table.into_data().try_into_vec::<f32>().unwrap_or_default();
        for (values, emphasis) in values.chunks_exact_mut(shape[1]).zip(emphasis) {
            values.iter_mut().for_each(|value| *value /= emphasis);
        }
        self.tables[input] = Param::from_tensor(Tensor::from_data(TensorData::new(values, shape), device));
    }

    /// Finds how much network and evidence count, by their raw outputs on the val rows, which neither has seen.
    pub fn settle(&mut self, raw: &[f32], said: &[f32], examples: &Examples<'_>, device: &Device) {
        let TruthValues::Category(classes) = &examples.truths[self.output].values else { return };
        let actual: Vec<usize> = examples.val.iter().map(|row| classes[*row as usize] as usize).collect();
        let weight = |row: &u32| examples.weights.map_or(1.0, |weights| f64::from(weights[*row as usize]));
        let weights: Vec<f64> = examples.val.iter().map(weight).collect();
        let shares = shares(raw, said, &actual, &weights);
        self.shares = vector(shares.iter().map(|share| *share as f32).collect(), device);
    }
}

/// What raw outputs and evidence are to be multiplied by, so that their sum fits best.
fn shares(raw: &[f32], said: &[f32], actual: &[usize], weights: &[f64]) -> Vec<f64> {
    let width = raw.len() / actual.len().max(1);
    let total: f64 = weights.iter().sum();
    let found = minimize(vec![1.0, 0.0], 100, |shares, gradient| {
        let mut loss = 0.0;
        let pull = DOUBT / actual.len().max(1) as f64;
        (gradient[0], gradient[1]) = (pull * (shares[0] - 1.0), pull * shares[1]);
        for (row, class) in actual.iter().enumerate() {
            let of = |values: &[f32]| -> Vec<f64> {
                values[row * width..(row + 1) * width].iter().map(|value| f64::from(*value)).collect()
            };
            let (raw, said) = (of(raw), of(said));
            let sums: Vec<f64> =
                raw.iter().zip(&said).map(|(raw, said)| shares[0] * raw + shares[1] * said).collect();
            let (slopes, lost) = slopes(&sums, *class);
            let share = weights[row] / total;
            loss += share * lost;
            for (slope, (raw, said)) in slopes.iter().zip(raw.iter().zip(&said)) {
                gradient[0] += share * slope * raw;
                gradient[1] += share * slope * said;
            }
        }
        loss + 0.5 * pull * ((shares[0] - 1.0).powi(2) + shares[1].powi(2))
    });
    // Evidence that misleads is left out, and the network's own answer stands as it is.
    if found[1] > 0.0 && found[0] > 0.0 { found } else { vec![1.0, 0.0] }
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

fn vector(values: Vec<f32>, device: &Device) -> Param<Tensor<1>> {
    let size = values.len();
    Param::from_tensor(Tensor::from_data(TensorData::new(values, [size]), device))
}

/// The derivative of cross-entropy by each raw output, and its value.
fn slopes(sums: &[f64], class: usize) -> (Vec<f64>, f64) {
    let largest = sums.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let mut slopes: Vec<f64> = sums.iter().map(|sum| (sum - largest).exp()).collect();
    let total: f64 = slopes.iter().sum();
    slopes.iter_mut().for_each(|slope| *slope /= total);
    let loss = total.ln() + largest - sums[class];
    slopes[class] -= 1.0;
    (slopes, loss)
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
    fn of(
        inputs: &[&Features],
        sizes: &[usize],
        classes: usize,
        rows: &[u32],
        actual: &[u32],
        weight: impl Fn(u32) -> f64,
    ) -> Self {
        let mut tables: Vec<Vec<f64>> = sizes.iter().map(|size| vec![0.0; size * classes]).collect();
        let mut totals = vec![0.0; classes];
        for row in rows {
            let (class, weight) = (actual[*row as usize] as usize, weight(*row));
            for (input, index, value) in ngrams(inputs, *row) {
                tables[input][index * classes + class] += weight * value;
                totals[class] += weight * value;
            }
        }
        Self { classes, tables, totals, size: sizes.iter().sum::<usize>() as f64 }
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
    fn said(&self, inputs: &[&Features], row: u32, own: Option<(usize, f64)>) -> Vec<f64> {
        let (mut totals, mut sums) = (self.totals.clone(), vec![0.0; self.classes]);
        if let Some((class, weight)) = own {
            totals[class] -= weight * ngrams(inputs, row).map(|(.., value)| value).sum::<f64>();
        }
        let (mut weights, mut odds) = (vec![0.0; self.classes], vec![0.0; self.classes]);
        for (input, index, value) in ngrams(inputs, row) {
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

/// The n-grams of a row: input, index and weight.
fn ngrams<'a>(inputs: &'a [&Features], row: u32) -> impl Iterator<Item = (usize, usize, f64)> + 'a {
    inputs.iter().enumerate().flat_map(move |(input, features)| {
        let (range, indices, weights) = match features {
            Features::Weighted { offsets, indices, weights } => {
                (offsets[row as usize]..offsets[row as usize + 1], &indices[..], &weights[..])
            }
            _ => (0..0, &[][..], &[][..]),
        };
        range.map(move |at| (input, indices[at] as usize, f64::from(weights[at])))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Two n-grams that tell the class and one that does not.
    fn features() -> Features {
        Features::Weighted {
            offsets: vec![0, 2, 4, 6, 8],
            indices: vec![0, 2, 1, 2, 0, 2, 1, 2],
            weights: vec![1.0; 8],
        }
    }

    #[test]
    fn odds_are_log_count_ratios() {
        let features = features();
        let counts = Counts::of(&[&features], &[3], 2, &[0, 1, 2, 3], &[0, 1, 0, 1], |_| 1.0);
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
        let alone = counts.said(&[&features], 0, Some((0, 1.0)));
        let others = Counts::of(&[&features], &[3], 2, &[1, 2, 3], &[0, 1, 0, 1], |_| 1.0);
        for (a, b) in alone.iter().zip(others.said(&[&features], 0, None)) {
            assert!((a - b).abs() < 1e-12, "{alone:?}");
        }
    }

    #[test]
    fn shares_follow_what_is_right() {
        let find = |raw: [f32; 8], said: [f32; 8], times: usize| {
            let actual = [0, 1, 0, 1].repeat(times);
            shares(&raw.repeat(times), &said.repeat(times), &actual, &vec![1.0; 4 * times])
        };
        let right = [1.0, 0.0, 0.0, 1.0, 1.0, 0.0, 0.0, 1.0];
        let wrong = [0.0, 1.0, 1.0, 0.0, 0.0, 1.0, 1.0, 0.0];
        let mixed = [0.5, 0.0, 0.0, 0.5, 0.0, 0.5, 0.0, 0.5];
        assert_eq!(find(right, wrong, 1), [1.0, 0.0]);
        let (few, many) = (find(mixed, right, 1), find(mixed, right, 100));
        assert!(few[1] > 0.1 && few[1] < 1.0 && many[1] > 2.0 && many[0] > 0.0, "{few:?} {many:?}");
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
