//! Metrics of numbers.

use super::{Score, Weights};

/// Smallest actual value that an error is divided by, as in scikit-learn.
const SMALLEST: f64 = f64::EPSILON;

/// Metrics of predicted numbers: `mse`, `rmse`, `mae`, `mape` and `r2`.
///
/// An actual value of 0 makes `mape` huge, as scikit-learn does; look at `mae` then.
pub struct Number {
    actual: Vec<f64>,
    predicted: Vec<f64>,
    weights: Weights,
    /// What `r2` measures distances from, so that large values with small differences keep their precision.
    center: f64,
}

impl Number {
    /// Prepares the rows.
    pub fn new(actual: &[f64], predicted: &[f64], weights: Option<&[f64]>) -> Self {
        let center = actual.iter().sum::<f64>() / (actual.len() as f64).max(1.0);
        Self {
            weights: Weights::new(weights, actual.len()),
            actual: actual.to_vec(),
            predicted: predicted.to_vec(),
            center,
        }
    }
}

impl Score for Number {
    fn rows(&self) -> usize {
        self.actual.len()
    }

    fn names(&self) -> &[&'static str] {
        &["mse", "rmse", "mae", "mape", "r2"]
    }

    fn values(&self, times: Option<&[u32]>, values: &mut [f64]) {
        let (mut total, mut squares, mut absolutes, mut shares) = (0.0, 0.0, 0.0, 0.0);
        let (mut offsets, mut offset_squares) = (0.0, 0.0);
        for (row, (&actual, &predicted)) in self.actual.iter().zip(&self.predicted).enumerate() {
            let weight = self.weights.of(row, times);
            let (error, offset) = (actual - predicted, actual - self.center);
            total += weight;
            squares += weight * error * error;
            absolutes += weight * error.abs();
            shares += weight * error.abs() / actual.abs().max(SMALLEST);
            offsets += weight * offset;
            offset_squares += weight * offset * offset;
        }
        let mse = squares / total;
        // Rounding alone can leave a little variance where all values are the same.
        let variance = offset_squares - offsets * offsets / total;
        let variance = if variance > 1e-14 * offset_squares { variance } else { 0.0 };
        let r2 = match (self.actual.len() < 2, squares > 0.0, variance > 0.0) {
            (true, _, _) => f64::NAN,
            (_, false, _) => 1.0,
            (_, true, true) => 1.0 - squares / variance,
            (_, true, false) => 0.0,
        };
        values.copy_from_slice(&[mse, mse.sqrt(), absolutes / total, shares / total, r2]);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn by_hand() {
        let metrics = Number::new(&[1.0, 2.0, 4.0], &[1.0, 3.0, 3.0], None).metrics();
        assert_eq!(metrics["mse"], 2.0 / 3.0);
        assert_eq!(metrics["mae"], 2.0 / 3.0);
        assert_eq!(metrics["mape"], 0.25);
        assert!((metrics["r2"] - (1.0 - 2.0 / (14.0 / 3.0))).abs() < 1e-12);
    }

    #[test]
    fn rows_can_count_several_times() {
        let mut found = [0.0; 5];
        Number::new(&[1.0, 2.0, 4.0], &[1.5, 3.0, 3.0], None).values(Some(&[2, 0, 1]), &mut found);
        let mut expected = [0.0; 5];
        Number::new(&[1.0, 1.0, 4.0], &[1.5, 1.5, 3.0], None).values(None, &mut expected);
        for (found, expected) in found.iter().zip(expected) {
            assert!((found - expected).abs() < 1e-12);
        }
    }

    #[test]
    fn edges() {
        assert!(!Number::new(&[1.0], &[1.0], None).metrics().contains_key("r2"));
        assert!(Number::new(&[], &[], None).metrics().is_empty());
        let constant = Number::new(&[0.1, 0.1, 0.1], &[0.1, 0.2, 0.1], None).metrics();
        assert_eq!(constant["r2"], 0.0);
        let exact = Number::new(&[0.1, 0.1], &[0.1, 0.1], None).metrics();
        assert_eq!(exact["r2"], 1.0);
    }
}
