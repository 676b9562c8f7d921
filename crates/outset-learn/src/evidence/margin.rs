//! A linear support vector machine of n-grams, one class against the others, by dual coordinate descent.
//!
//! It looks for `w` that makes `|w|² / 2 + C Σ max(0, 1 − y w·x)²` least, the bias being the weight of one more feature
//! that is always 1, and changes the multiplier of one row at a time (Hsieh et al. 2008,
//! <https://www.csie.ntu.edu.tw/~cjlin/papers/cddual.pdf>, algorithm 1 for the squared hinge).
//!
//! Each machine sees an n-gram the larger the more its counts tell the class, so that what tells much may weigh much at
//! little cost: the interpolation of a support vector machine and naive Bayes of Wang and Manning 2012
//! (<https://aclanthology.org/P12-2018/>).

use super::{Said, Sample};
use crate::order::shuffled;
use rayon::prelude::*;

/// What a row's loss counts beside the squares of the weights.
const C: f64 = 0.5;
/// How far an n-gram's size goes by what its counts tell, between not at all (0) and by nothing else (1): the value of Wang
/// and Manning.
const INTERPOLATION: f64 = 0.25;
/// What each n-gram counts in the class and outside of it before any is seen.
const SMOOTHING: f64 = 1.0;
/// Passes over the rows, at most.
const PASSES: usize = 20;
/// Passes over the rows that the machines of all classes may take together, with five at least for each.
const ALL_PASSES: usize = 400;
/// The spread of the multipliers' slopes that is near enough to none.
const TOLERANCE: f64 = 0.01;
/// The log odds that a margin of 1 stands for, before val has its say.
const LOG_ODDS: f64 = 3.0;

/// Fits the machines to a sample.
pub(super) fn fit(sample: &Sample<'_>) -> Said {
    let (sizes, classes) = (&sample.sizes, sample.classes);
    // Where the n-grams of each input begin among those of all.
    let starts: Vec<usize> = (0..sizes.len()).map(|input| sizes[..input].iter().sum()).collect();
    let rows = Rows { sample, starts: &starts, size: sizes.iter().sum() };
    let passes = (ALL_PASSES / classes.max(1)).clamp(5, PASSES);
    let machine = |class: usize| rows.descend(class as u32, passes);
    // Of two classes what speaks for one speaks against the other.
    let machines: Vec<Vec<f64>> =
        if classes == 2 { vec![machine(1)] } else { (0..classes).into_par_iter().map(machine).collect() };
    let machines = &machines[..];
    let says = |feature: usize| {
        let of_class = move |class: usize| match machines {
            [one] => one[feature] * if class == 1 { 0.5 } else { -0.5 },
            all => all[class][feature],
        };
        (0..classes).map(move |class| (LOG_ODDS * of_class(class)) as f32)
    };
    Said {
        tables: starts
            .iter()
            .zip(sizes)
            .map(|(start, size)| (*start..start + size).flat_map(says).collect())
            .collect(),
        bias: says(rows.size).collect(),
    }
}

/// What the machines of all classes are fitted to.
struct Rows<'a> {
    sample: &'a Sample<'a>,
    starts: &'a [usize],
    /// N-grams of all inputs; the weight behind theirs is the bias.
    size: usize,
}

impl Rows<'_> {
    /// The n-grams of a row, numbered through all inputs.
    fn ngrams(&self, row: u32) -> impl Iterator<Item = (usize, f64)> {
        self.sample.ngrams(row).map(|(input, index, value)| (self.starts[input] + index, value))
    }

    /// What each n-gram is multiplied by for the machine of one class, 1 in the mean of those that occur.
    fn factors(&self, class: u32) -> Vec<f64> {
        let Self { sample, size, .. } = self;
        // Rows of the class and others in which each n-gram occurs.
        let mut counts = vec![[0.0; 2]; *size];
        for row in sample.rows {
            let (of_class, weight) = (sample.actual[*row as usize] == class, sample.weight(*row));
            self.ngrams(*row).for_each(|(at, _)| counts[at][usize::from(of_class)] += weight);
        }
        let occurs = |[others, own]: &[f64; 2]| others + own > 0.0;
        let occurring = counts.iter().filter(|counts| occurs(counts)).count().max(1) as f64;
        let total =
            |side: usize| counts.iter().map(|counts| counts[side]).sum::<f64>() + SMOOTHING * occurring;
        let usual = (total(1) / total(0)).ln();
        let tells =
            |[others, own]: &[f64; 2]| (((own + SMOOTHING) / (others + SMOOTHING)).ln() - usual).abs();
        let mut factors: Vec<f64> = counts.iter().map(tells).collect();
        let of_occurring = counts.iter().zip(&factors).filter(|(counts, _)| occurs(counts));
        let mean = of_occurring.map(|(_, tells)| tells).sum::<f64>() / occurring;
        for factor in &mut factors {
            let told = if mean > 0.0 { *factor / mean } else { 1.0 };
            *factor = 1.0 - INTERPOLATION + INTERPOLATION * told;
        }
        factors
    }

    /// The weights of all features and the bias of the machine of one class.
    fn descend(&self, class: u32, passes: usize) -> Vec<f64> {
        let Self { sample, size, .. } = self;
        let factors = self.factors(class);
        let ngrams = |row| self.ngrams(row).map(|(at, value)| (at, value * factors[at]));
        // The squared length of each row, the bias's feature among its own.
        let squares: Vec<f64> = sample
            .rows
            .par_iter()
            .map(|row| 1.0 + ngrams(*row).map(|(_, value)| value * value).sum::<f64>())
            .collect();
        let mut weights = vec![0.0; size + 1];
        let mut multipliers = vec![0.0; sample.rows.len()];
        let places: Vec<u32> = (0..sample.rows.len() as u32).collect();
        for pass in 0..passes {
            let (mut least, mut most) = (f64::INFINITY, f64::NEG_INFINITY);
            for place in shuffled(&places, 0, pass) {
                let (place, row) = (place as usize, sample.rows[place as usize]);
                let of_row = C * sample.weight(row);
                if of_row <= 0.0 {
                    continue;
                }
                let sign = if sample.actual[row as usize] == class { 1.0 } else { -1.0 };
                let (softness, before) = (0.5 / of_row, multipliers[place]);
                let sum = weights[*size] + ngrams(row).map(|(at, value)| weights[at] * value).sum::<f64>();
                let slope = sign * sum - 1.0 + softness * before;
                let downhill = if before > 0.0 { slope } else { slope.min(0.0) };
                (least, most) = (least.min(downhill), most.max(downhill));
                if downhill == 0.0 {
                    continue;
                }
                multipliers[place] = (before - slope / (squares[place] + softness)).max(0.0);
                let change = sign * (multipliers[place] - before);
                weights[*size] += change;
                ngrams(row).for_each(|(at, value)| weights[at] += change * value);
            }
            if most - least < TOLERANCE {
                break;
            }
        }
        weights.iter_mut().zip(&factors).for_each(|(weight, factor)| *weight *= factor);
        weights
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{features, sample};
    use super::*;
    use outset_data::Features;

    #[test]
    fn margins_are_those_of_the_least_loss() {
        // One n-gram a row, one row a class: with a bias b, which counts as a weight, the two weights are w and −w and b is
        // 0 by symmetry, so that w² + 2 C (1 − w)² is to be least.
        let features =
            Features::Weighted { offsets: vec![0, 1, 2], indices: vec![0, 1], weights: vec![1.0; 2] };
        for times in [1.0, 2.0] {
            let alike = sample(&[&features], 2, &[0, 1], &[0, 1], 2);
            let said = fit(&Sample { weights: Some(&[times as f32; 2]), ..alike });
            let expected = 2.0 * C * times / (1.0 + 2.0 * C * times) * LOG_ODDS * 0.5;
            for (found, expected) in said.tables[0].iter().zip([expected, -expected, -expected, expected]) {
                assert!((f64::from(*found) - expected).abs() < 0.02, "{found} {expected}");
            }
            assert!(said.bias.iter().all(|bias| bias.abs() < 0.02), "{:?}", said.bias);
        }
    }

    #[test]
    fn what_tells_more_is_seen_larger() {
        let features = features();
        let sample = sample(&[&features], 3, &[0, 1, 2, 3], &[0, 1, 0, 1], 2);
        let rows = Rows { sample: &sample, starts: &[0], size: 3 };
        // N-grams 0 and 1 come in one class alone and tell ln 3 each, n-gram 2 comes everywhere and tells nothing.
        for (found, expected) in rows.factors(1).iter().zip([1.125, 1.125, 0.75]) {
            assert!((found - expected).abs() < 1e-12, "{found} {expected}");
        }
    }

    #[test]
    fn each_class_stands_against_the_others_and_inputs_add_up() {
        let features = features();
        // N-gram 0 tells class 0 and 1 class 2; class 1 has no rows.
        let said = fit(&sample(&[&features, &features], 3, &[0, 1, 2, 3], &[0, 2, 0, 2], 3));
        assert_eq!(said.tables[0], said.tables[1]);
        let table: Vec<&[f32]> = said.tables[0].chunks(3).collect();
        assert!(table[0][0] > 0.5 && table[0][2] < -0.5 && table[1][2] > 0.5, "{table:?}");
        assert!(said.bias[1] < 0.0 && table[0][1] < 0.0, "{said:?}");
        // Rows that count nothing are not looked at.
        let alike = sample(&[&features], 3, &[0, 1, 2, 3], &[0, 1, 0, 1], 2);
        let nothing = fit(&Sample { weights: Some(&[0.0; 4]), ..alike });
        assert!(nothing.tables[0].iter().chain(&nothing.bias).all(|value| *value == 0.0));
    }
}
