//! Logistic regression, and squared error for many features, by L-BFGS.

use super::lbfgs::minimize;
use super::rows::{Rows, add_scaled, dot};

/// Strength of the L2 penalty on coefficients of standardised features, scikit-learn's `C`: the objective is the sum of
/// the rows' losses plus half the squared coefficients over `C`. Intercepts are free.
const C: f64 = 1.0;

/// What the sums of weighted features should be, by picked row.
pub(super) enum Goal {
    /// A number that the sum should be near.
    Number(Vec<f64>),
    /// Whether the sum should be positive.
    Yes(Vec<bool>),
    /// The class whose sum should be the largest.
    Class(Vec<u32>, usize),
}

impl Goal {
    /// The sums.
    pub fn sums(&self) -> usize {
        if let Self::Class(_, classes) = self { *classes } else { 1 }
    }

    /// The loss of a row, and its derivative by each sum in place of the sums.
    pub fn loss(&self, i: usize, sums: &mut [f64]) -> f64 {
        match self {
            Self::Number(target) => {
                sums[0] -= target[i];
                sums[0] * sums[0] / 2.0
            }
            Self::Yes(truth) => {
                let sum = sums[0];
                let truth = f64::from(truth[i]);
                sums[0] = sigmoid(sum) - truth;
                sum.max(0.0) + (-sum.abs()).exp().ln_1p() - truth * sum
            }
            Self::Class(class, _) => {
                let class = class[i] as usize;
                let of_class = sums[class];
                let log_total = softmax(sums);
                sums[class] -= 1.0;
                log_total - of_class
            }
        }
    }
}

/// Fits coefficients `[sums, width]` of standardised features, followed by the intercepts.
///
/// `steps` is the most that the search may take.
pub(super) fn solve(rows: &Rows<'_>, goal: &Goal, start: Vec<f64>, steps: usize) -> Vec<f64> {
    let (width, sums, count) = (rows.width, goal.sums(), rows.used as f64);
    let penalty = 1.0 / (C * count);
    minimize(start, steps, |parameters, gradient| {
        let (coefficients, intercepts) = unstandardise(rows, parameters);
        // Per row: gradients of coefficients, of intercepts, the loss, and room for the row's sums.
        let size = sums * width;
        let mut total = rows.sum(size + 2 * sums + 1, |i, total| {
            let (of_coefficients, rest) = total.split_at_mut(size);
            let (of_intercepts, rest) = rest.split_at_mut(sums);
            let (loss, of_row) = rest.split_at_mut(1);
            let features = rows.of(i);
            for k in 0..sums {
                of_row[k] = intercepts[k] + dot(features, &coefficients[k * width..(k + 1) * width]);
            }
            let weight = rows.weight(i);
            loss[0] += weight * goal.loss(i, of_row);
            for k in 0..sums {
                of_intercepts[k] += weight * of_row[k];
                add_scaled(&mut of_coefficients[k * width..(k + 1) * width], weight * of_row[k], features);
            }
        });
        total.iter_mut().for_each(|sum| *sum /= count);
        let mut value = total[size + sums];
        for k in 0..sums {
            let of_intercept = total[size + k];
            gradient[size + k] = of_intercept;
            for j in 0..width {
                let at = k * width + j;
                // By the chain rule of standardising; the mean is taken out here and not from every row.
                gradient[at] =
                    (total[at] - rows.mean[j] * of_intercept) * rows.scale[j] + penalty * parameters[at];
                value += penalty * parameters[at] * parameters[at] / 2.0;
            }
        }
        value
    })
}

/// Turns coefficients of standardised features, followed by intercepts, into those of the features themselves.
pub(super) fn unstandardise(rows: &Rows<'_>, parameters: &[f64]) -> (Vec<f64>, Vec<f64>) {
    let width = rows.width;
    let sums = parameters.len() / (width + 1);
    let mut coefficients = parameters[..sums * width].to_vec();
    let mut intercepts = parameters[sums * width..].to_vec();
    for k in 0..sums {
        for j in 0..width {
            let coefficient = &mut coefficients[k * width + j];
            *coefficient *= rows.scale[j];
            intercepts[k] -= *coefficient * rows.mean[j];
        }
    }
    (coefficients, intercepts)
}

/// `1 / (1 + e⁻ˣ)`.
pub(super) fn sigmoid(x: f64) -> f64 {
    1.0 / (1.0 + (-x).exp())
}

/// Turns sums into shares and returns the logarithm of the sum of their exponentials.
pub(super) fn softmax(sums: &mut [f64]) -> f64 {
    let largest = sums.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let mut total = 0.0;
    for sum in sums.iter_mut() {
        *sum = (*sum - largest).exp();
        total += *sum;
    }
    sums.iter_mut().for_each(|sum| *sum /= total);
    largest + total.ln()
}
