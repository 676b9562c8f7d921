//! Metrics of how good probabilities are.

/// Bins of confidence in the calibration error.
pub(super) const BINS: usize = 10;

/// Minus the logarithm of a probability, kept from infinity as scikit-learn does.
pub(super) fn log_loss(probability: f64) -> f64 {
    -probability.clamp(f64::EPSILON, 1.0 - f64::EPSILON).ln()
}

/// The bin of a confidence: bin `b` of 0 to 9 is from above `b / 10` up to `(b + 1) / 10`.
pub(super) fn bin(confidence: f64) -> u8 {
    (confidence * BINS as f64).ceil().clamp(1.0, BINS as f64) as u8 - 1
}

/// Rows by confidence, for the expected calibration error.
///
/// The error is the mean over rows of `|accuracy − mean confidence|` of the row's bin, confidence being the largest
/// probability. <https://arxiv.org/abs/1706.04599>
#[derive(Default)]
pub(super) struct Calibration {
    confidence: [f64; BINS],
    correct: [f64; BINS],
}

impl Calibration {
    pub fn add(&mut self, bin: u8, weight: f64, confidence: f64, correct: bool) {
        self.confidence[usize::from(bin)] += weight * confidence;
        self.correct[usize::from(bin)] += if correct { weight } else { 0.0 };
    }

    pub fn error(&self, total: f64) -> f64 {
        self.confidence.iter().zip(self.correct).map(|(said, was)| (said - was).abs()).sum::<f64>() / total
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bins_close_at_their_upper_end() {
        assert_eq!([0.0, 0.05, 0.1, 0.11, 0.5, 0.95, 1.0].map(bin), [0, 0, 0, 1, 4, 9, 9]);
    }

    #[test]
    fn sure_of_nine_and_right_in_eight_of_ten_is_off_by_a_tenth() {
        let mut calibration = Calibration::default();
        for row in 0..10 {
            calibration.add(bin(0.9), 1.0, 0.9, row < 8);
        }
        assert!((calibration.error(10.0) - 0.1).abs() < 1e-12);
    }
}
