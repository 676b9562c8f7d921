//! The linear model of sparse features, such as tf-idf: logistic regression and least squares with an L2 penalty.

use super::lbfgs::minimize;
use super::logistic::Goal;
use super::{Fitted, Link, Targets, constant};
use rayon::prelude::*;

/// Strength of the L2 penalty, scikit-learn's `C`; tf-idf is weak by nature and bears little of it.
const C: f64 = 10.0;
/// Multiplications that a search may take, within its bounds of steps.
const WORK: usize = 1_500_000_000;

/// Rows of which few features differ from 0.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Sparse {
    /// Row `i` has the features at `offsets[i]..offsets[i + 1]`.
    pub offsets: Vec<usize>,
    pub indices: Vec<u32>,
    pub values: Vec<f32>,
    /// Number of features.
    pub width: usize,
}

impl Sparse {
    /// Number of rows.
    pub fn len(&self) -> usize {
        self.offsets.len().saturating_sub(1)
    }

    /// Tells whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    fn of(&self, row: usize) -> impl Iterator<Item = (usize, f64)> {
        let range = self.offsets[row]..self.offsets[row + 1];
        let of_row = self.indices[range.clone()].iter().zip(&self.values[range]);
        of_row.map(|(index, value)| (*index as usize, f64::from(*value)))
    }

    /// The sum of a row's features, each times its coefficient.
    pub(super) fn dot(&self, row: usize, coefficients: &[f64]) -> f64 {
        self.of(row).map(|(index, value)| value * coefficients[index]).sum()
    }

    /// Fits least squares to a number, logistic regression to classes, and one to each label of a set.
    pub fn fit(&self, targets: Targets<'_>, weights: Option<&[f64]>) -> Fitted {
        if self.is_empty() || self.width == 0 {
            return constant::fit(targets, weights);
        }
        let all = Fitted {
            link: Link::Softmax,
            width: self.width,
            coefficients: Vec::new(),
            intercepts: Vec::new(),
            note: None,
        };
        match targets {
            Targets::Number(actual) => {
                let mean = actual.iter().sum::<f64>() / actual.len() as f64;
                let spread =
                    actual.iter().map(|value| (value - mean).powi(2)).sum::<f64>() / actual.len() as f64;
                let spread = if spread > 0.0 { spread.sqrt() } else { 1.0 };
                let standard = actual.iter().map(|value| (value - mean) / spread).collect();
                let mut found = self.solve(&Goal::Number(standard), weights);
                found.iter_mut().for_each(|value| *value *= spread);
                let intercept = found.pop().unwrap_or(0.0) + mean;
                Fitted { link: Link::Identity, coefficients: found, intercepts: vec![intercept], ..all }
            }
            Targets::Category { actual, classes: 2 } => {
                let mut found =
                    self.solve(&Goal::Yes(actual.iter().map(|class| *class == 1).collect()), weights);
                let intercepts = found.pop().into_iter().collect();
                Fitted { link: Link::Binary, coefficients: found, intercepts, ..all }
            }
            Targets::Category { actual, classes } => {
                let mut found = self.solve(&Goal::Class(actual.to_vec(), classes), weights);
                let intercepts = found.split_off(classes * self.width);
                Fitted { coefficients: found, intercepts, ..all }
            }
            Targets::Set { actual, labels } => {
                let mut fitted = Fitted { link: Link::Sigmoid, ..all };
                for label in 0..labels {
                    let truth = (0..self.len()).map(|row| actual[row * labels + label]).collect();
                    let mut found = self.solve(&Goal::Yes(truth), weights);
                    fitted.intercepts.extend(found.pop());
                    fitted.coefficients.extend(found);
                }
                fitted
            }
        }
    }

    /// Coefficients `[sums, width]` followed by the intercepts, which no penalty holds.
    fn solve(&self, goal: &Goal, weights: Option<&[f64]>) -> Vec<f64> {
        let (width, sums, rows) = (self.width, goal.sums(), self.len());
        let weight = |row: usize| weights.map_or(1.0, |weights| weights[row]);
        let total: f64 = (0..rows).map(weight).sum();
        let penalty = 1.0 / (C * total.max(f64::MIN_POSITIVE));
        let steps = (WORK / (2 * self.indices.len() * sums).max(1)).clamp(20, 200);
        // Of each row the derivative by each sum, and the loss.
        let mut slopes = vec![0.0; rows * sums];
        let mut losses = vec![0.0; rows];
        minimize(vec![0.0; sums * (width + 1)], steps, |parameters, gradient| {
            let (coefficients, intercepts) = parameters.split_at(sums * width);
            let of_rows = slopes.par_chunks_mut(sums.max(1)).zip(&mut losses).enumerate().with_min_len(64);
            of_rows.for_each(|(row, (slopes, loss))| {
                for (k, sum) in slopes.iter_mut().enumerate() {
                    *sum = intercepts[k] + self.dot(row, &coefficients[k * width..(k + 1) * width]);
                }
                *loss = weight(row) * goal.loss(row, slopes);
                slopes.iter_mut().for_each(|slope| *slope *= weight(row) / total);
            });
            let (of_coefficients, of_intercepts) = gradient.split_at_mut(sums * width);
            of_coefficients.par_chunks_mut(width).zip(of_intercepts).enumerate().for_each(
                |(k, (of_coefficients, of_intercept))| {
                    let mine = &coefficients[k * width..(k + 1) * width];
                    of_coefficients.iter_mut().zip(mine).for_each(|(slope, value)| *slope = penalty * value);
                    *of_intercept = 0.0;
                    for (row, slopes) in slopes.chunks_exact(sums.max(1)).enumerate() {
                        *of_intercept += slopes[k];
                        self.of(row).for_each(|(index, value)| of_coefficients[index] += slopes[k] * value);
                    }
                },
            );
            let losses: f64 = losses.iter().sum();
            losses / total + penalty / 2.0 * coefficients.iter().map(|value| value * value).sum::<f64>()
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Rows of ten features, the first of which tells the class.
    fn rows() -> (Sparse, Vec<u32>) {
        let mut sparse = Sparse { offsets: vec![0], width: 10, ..Sparse::default() };
        let mut classes = Vec::new();
        for row in 0..90usize {
            let class = row % 3;
            for (index, value) in [(class, 1.0), (3 + row * 7 % 7, 0.5)] {
                sparse.indices.push(index as u32);
                sparse.values.push(value);
            }
            sparse.offsets.push(sparse.indices.len());
            classes.push(class as u32);
        }
        (sparse, classes)
    }

    #[test]
    fn classes_are_told_apart() {
        let (sparse, classes) = rows();
        for count in [2, 3] {
            let actual: Vec<u32> = classes.iter().map(|class| *class % count).collect();
            let fitted = sparse.fit(Targets::Category { actual: &actual, classes: count as usize }, None);
            let answers = fitted.predict_sparse(&sparse);
            for (row, answer) in answers.chunks(count as usize).enumerate() {
                assert!(answer[actual[row] as usize] > 0.8, "{count} classes, row {row}: {answer:?}");
            }
        }
    }

    #[test]
    fn numbers_and_labels_are_fitted() {
        let (sparse, classes) = rows();
        let actual: Vec<f64> = classes.iter().map(|class| 100.0 + 10.0 * f64::from(*class)).collect();
        let answers = sparse.fit(Targets::Number(&actual), None).predict_sparse(&sparse);
        assert!(answers.iter().zip(&actual).all(|(a, b)| (a - b).abs() < 1.0), "{answers:?}");
        let labels: Vec<bool> = classes.iter().flat_map(|class| [*class == 1, *class > 0]).collect();
        let answers = sparse.fit(Targets::Set { actual: &labels, labels: 2 }, None).predict_sparse(&sparse);
        assert!(answers.iter().zip(&labels).all(|(answer, label)| (*answer > 0.5) == *label));
    }

    #[test]
    fn the_gradient_is_that_of_a_dense_fit() {
        // Without a penalty to speak of, both find what tells the classes.
        let (sparse, classes) = rows();
        let actual: Vec<u32> = classes.iter().map(|class| u32::from(*class == 2)).collect();
        let fitted = sparse.fit(Targets::Category { actual: &actual, classes: 2 }, None);
        assert!(fitted.coefficients[2] > 3.0 && fitted.coefficients[0] < 0.0 && fitted.coefficients[1] < 0.0);
        assert!(fitted.coefficients[3..].iter().all(|value| value.abs() < 0.5), "{:?}", fitted.coefficients);
    }
}
