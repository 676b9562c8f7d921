//! The constant answer.

use super::{Fitted, Link, Targets};

/// Fits the mean, or the shares of classes or labels.
pub(super) fn fit(targets: Targets<'_>, weights: Option<&[f64]>) -> Fitted {
    // Where no row counts, all do.
    let weights = weights.filter(|weights| weights.iter().sum::<f64>() > 0.0);
    let weight = |row: usize| weights.map_or(1.0, |weights| weights[row]);
    let total: f64 = (0..targets.rows()).map(weight).sum();
    let mut sums = vec![0.0; targets.outputs()];
    match targets {
        Targets::Number(actual) => {
            sums[0] = actual.iter().enumerate().map(|(row, actual)| weight(row) * actual).sum();
        }
        Targets::Category { actual, .. } => {
            for (row, &class) in actual.iter().enumerate() {
                sums[class as usize] += weight(row);
            }
        }
        Targets::Set { actual, labels } => {
            for (row, of_row) in actual.chunks_exact(labels.max(1)).enumerate() {
                for (sum, &has) in sums.iter_mut().zip(of_row) {
                    *sum += if has { weight(row) } else { 0.0 };
                }
            }
        }
    }
    let shares = sums.into_iter().map(|sum| if total > 0.0 { sum / total } else { 0.0 });
    let (link, intercepts) = match targets {
        Targets::Number(_) => (Link::Identity, shares.collect()),
        Targets::Category { .. } => (Link::Softmax, shares.map(f64::ln).collect()),
        Targets::Set { .. } => (Link::Sigmoid, shares.map(|share| (share / (1.0 - share)).ln()).collect()),
    };
    Fitted { link, width: 0, coefficients: Vec::new(), intercepts, note: None }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(targets: Targets<'_>, weights: Option<&[f64]>, expected: &[f64]) {
        let fitted = fit(targets, weights);
        let found = fitted.predict_rows(2, &[]);
        assert_eq!(found.len(), 2 * expected.len());
        for (found, expected) in found.iter().zip(expected.iter().chain(expected)) {
            assert!((found - expected).abs() < 1e-12, "{found} {expected}");
        }
    }

    #[test]
    fn numbers_get_the_mean() {
        check(Targets::Number(&[1.0, 2.0, 6.0]), None, &[3.0]);
        check(Targets::Number(&[1.0, 2.0, 6.0]), Some(&[1.0, 3.0, 0.0]), &[1.75]);
    }

    #[test]
    fn classes_get_their_shares() {
        check(Targets::Category { actual: &[0, 1, 1, 0], classes: 3 }, None, &[0.5, 0.5, 0.0]);
        check(Targets::Category { actual: &[0, 1], classes: 2 }, Some(&[1.0, 3.0]), &[0.25, 0.75]);
    }

    #[test]
    fn labels_get_their_shares() {
        let actual = [true, false, true, true, true, true, false, false, true];
        check(Targets::Set { actual: &actual, labels: 3 }, None, &[2.0 / 3.0, 1.0 / 3.0, 1.0]);
    }
}
