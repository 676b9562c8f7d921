//! A linear support vector machine of n-grams, one class against the others, by dual coordinate descent.
//!
//! It looks for `w` that makes `|w|² / 2 + C Σ max(0, 1 − y w·x)²` least, the bias being the weight of one more feature
//! that is always 1, and changes the multiplier of one row at a time (Hsieh et al. 2008,
//! <https://www.csie.ntu.edu.tw/~cjlin/papers/cddual.pdf>, algorithm 1 for the squared hinge).

use super::{Said, ngrams};
use crate::order::shuffled;
use outset_data::Features;
use rayon::prelude::*;

/// What a row's loss counts beside the squares of the weights.
const C: f64 = 0.5;
/// Passes over the rows, at most.
const PASSES: usize = 20;
/// Passes over the rows that the machines of all classes may take together, with five at least for each.
const ALL_PASSES: usize = 400;
/// The spread of the multipliers' slopes that is near enough to none.
const TOLERANCE: f64 = 0.01;
/// The log odds that a margin of 1 stands for, before val has its say.
const LOG_ODDS: f64 = 3.0;

/// Fits the machines to the given rows; `sizes` are the n-grams of each input, `actual` the class of every row of the data.
pub(super) fn fit(
    inputs: &[&Features],
    sizes: &[usize],
    rows: &[u32],
    actual: &[u32],
    classes: usize,
    weight: impl Fn(u32) -> f64 + Sync,
) -> Said {
    let starts: Vec<usize> = sizes
        .iter()
        .scan(0, |start, size| {
            *start += size;
            Some(*start - size)
        })
        .collect();
    let ngrams = |row| ngrams(inputs, row).map(|(input, index, value)| (starts[input] + index, value));
    let size: usize = sizes.iter().sum();
    let passes = (ALL_PASSES / classes.max(1)).clamp(5, PASSES);
    let machine = |class: usize| {
        let sign = |row: u32| if actual[row as usize] as usize == class { 1.0 } else { -1.0 };
        descend(rows, size, passes, ngrams, sign, &weight)
    };
    // Of two classes what speaks for one speaks against the other.
    let machines: Vec<Vec<f64>> =
        if classes == 2 { vec![machine(1)] } else { (0..classes).into_par_iter().map(machine).collect() };
    let says = |feature: usize, class: usize| {
        LOG_ODDS
            * match &machines[..] {
                [one] => one[feature] * if class == 1 { 0.5 } else { -0.5 },
                all => all[class][feature],
            }
    };
    let table = |(start, size): (&usize, &usize)| {
        let features = *start..start + size;
        features
            .flat_map(|feature| (0..classes).map(move |class| (feature, class)))
            .map(|(f, c)| says(f, c) as f32)
            .collect()
    };
    Said {
        tables: starts.iter().zip(sizes).map(table).collect(),
        bias: (0..classes).map(|class| says(size, class) as f32).collect(),
    }
}

/// The weights of `size` features and the bias of one machine.
fn descend<N: Iterator<Item = (usize, f64)>>(
    rows: &[u32],
    size: usize,
    passes: usize,
    ngrams: impl Fn(u32) -> N,
    sign: impl Fn(u32) -> f64,
    weight: impl Fn(u32) -> f64,
) -> Vec<f64> {
    let mut weights = vec![0.0; size + 1];
    let mut multipliers = vec![0.0; rows.len()];
    let places: Vec<u32> = (0..rows.len() as u32).collect();
    let squares: Vec<f64> =
        rows.iter().map(|row| 1.0 + ngrams(*row).map(|(_, value)| value * value).sum::<f64>()).collect();
    for pass in 0..passes {
        let (mut least, mut most) = (f64::INFINITY, f64::NEG_INFINITY);
        for place in shuffled(&places, 0, pass) {
            let (place, row) = (place as usize, rows[place as usize]);
            let of_row = C * weight(row);
            if of_row <= 0.0 {
                continue;
            }
            let (sign, softness) = (sign(row), 0.5 / of_row);
            let sum = weights[size] + ngrams(row).map(|(at, value)| weights[at] * value).sum::<f64>();
            let slope = sign * sum - 1.0 + softness * multipliers[place];
            let downhill = if multipliers[place] > 0.0 { slope } else { slope.min(0.0) };
            (least, most) = (least.min(downhill), most.max(downhill));
            if downhill == 0.0 {
                continue;
            }
            let before = multipliers[place];
            multipliers[place] = (before - slope / (squares[place] + softness)).max(0.0);
            let change = sign * (multipliers[place] - before);
            weights[size] += change;
            ngrams(row).for_each(|(at, value)| weights[at] += change * value);
        }
        if most - least < TOLERANCE {
            break;
        }
    }
    weights
}

#[cfg(test)]
mod tests {
    use super::super::testing::features;
    use super::*;

    #[test]
    fn margins_are_those_of_the_least_loss() {
        // One n-gram a row, one row a class: with a bias b, which counts as a weight, the two weights are w and −w and b is
        // 0 by symmetry, so that w² + 2 C (1 − w)² is to be least.
        let features =
            Features::Weighted { offsets: vec![0, 1, 2], indices: vec![0, 1], weights: vec![1.0; 2] };
        for times in [1.0, 2.0] {
            let said = fit(&[&features], &[2], &[0, 1], &[0, 1], 2, |_| times);
            let expected = 2.0 * C * times / (1.0 + 2.0 * C * times) * LOG_ODDS * 0.5;
            for (found, expected) in said.tables[0].iter().zip([expected, -expected, -expected, expected]) {
                assert!((f64::from(*found) - expected).abs() < 0.02, "{found} {expected}");
            }
            assert!(said.bias.iter().all(|bias| bias.abs() < 0.02), "{:?}", said.bias);
        }
    }

    #[test]
    fn each_class_stands_against_the_others_and_inputs_add_up() {
        let features = features();
        // N-gram 0 tells class 0 and 1 class 2; class 1 has no rows.
        let said = fit(&[&features, &features], &[3, 3], &[0, 1, 2, 3], &[0, 2, 0, 2], 3, |_| 1.0);
        assert_eq!(said.tables[0], said.tables[1]);
        let table: Vec<&[f32]> = said.tables[0].chunks(3).collect();
        assert!(table[0][0] > 0.5 && table[0][2] < -0.5 && table[1][2] > 0.5, "{table:?}");
        assert!(said.bias[1] < 0.0 && table[0][1] < 0.0, "{said:?}");
        // Rows that count nothing are not looked at.
        let nothing = fit(&[&features], &[3], &[0, 1, 2, 3], &[0, 1, 0, 1], 2, |_| 0.0);
        assert!(nothing.tables[0].iter().chain(&nothing.bias).all(|value| *value == 0.0));
    }
}
