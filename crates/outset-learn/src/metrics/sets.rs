//! Metrics of label sets.

use super::probabilities::log_loss;
use super::ranking::{Ranking, mean_areas};
use super::{Score, Weights, share};

/// Metrics of predicted label sets.
///
/// A label is taken at a probability of at least 0.5. Macro means are over all labels, a share of nothing being 0, as in
/// scikit-learn; ROC AUC and average precision are means over the labels where they are defined; log loss and Brier score
/// are means over rows and labels.
pub struct Set {
    labels: usize,
    rows: usize,
    actual: Vec<bool>,
    decided: Vec<bool>,
    weights: Weights,
    rankings: Vec<Ranking>,
    /// By row: log loss, Brier score, 1 if all labels are right.
    scores: Vec<[f64; 3]>,
}

impl Set {
    /// Prepares the rows; `actual` and `probabilities` are `[rows, labels]`.
    pub fn new(actual: &[bool], probabilities: &[f64], labels: usize, weights: Option<&[f64]>) -> Self {
        let rows = actual.len() / labels.max(1);
        debug_assert_eq!(probabilities.len(), actual.len());
        let decided: Vec<bool> = probabilities.iter().map(|&probability| probability >= 0.5).collect();
        let rankings = (0..labels)
            .map(|label| {
                Ranking::new(
                    rows,
                    |row| probabilities[row * labels + label],
                    |row| actual[row * labels + label],
                )
            })
            .collect();
        let scores = (0..rows)
            .map(|row| {
                let of_row = row * labels..(row + 1) * labels;
                let mut sums = [0.0; 2];
                for at in of_row.clone() {
                    let (truth, probability) = (actual[at], probabilities[at]);
                    sums[0] += log_loss(if truth { probability } else { 1.0 - probability });
                    sums[1] += (probability - f64::from(truth)).powi(2);
                }
                let right = actual[of_row.clone()] == decided[of_row];
                [sums[0] / labels as f64, sums[1] / labels as f64, f64::from(right)]
            })
            .collect();
        Self {
            labels,
            rows,
            actual: actual.to_vec(),
            decided,
            weights: Weights::new(weights, rows),
            rankings,
            scores,
        }
    }
}

impl Score for Set {
    fn rows(&self) -> usize {
        self.rows
    }

    fn names(&self) -> &[&'static str] {
        &[
            "subset_accuracy",
            "precision_micro",
            "recall_micro",
            "f1_micro",
            "precision_macro",
            "recall_macro",
            "f1_macro",
            "precision_weighted",
            "recall_weighted",
            "f1_weighted",
            "roc_auc",
            "average_precision",
            "log_loss",
            "brier",
        ]
    }

    fn values(&self, times: Option<&[u32]>, values: &mut [f64]) {
        // By label: weights of hits, of rows with the label, of rows decided to have it.
        let mut tallies = vec![[0.0; 3]; self.labels];
        let (mut total, mut sums) = (0.0, [0.0; 3]);
        for row in 0..self.rows {
            let weight = self.weights.of(row, times);
            if weight == 0.0 {
                continue;
            }
            total += weight;
            for (sum, score) in sums.iter_mut().zip(self.scores[row]) {
                *sum += weight * score;
            }
            for (label, tally) in tallies.iter_mut().enumerate() {
                let at = row * self.labels + label;
                let (actual, decided) = (self.actual[at], self.decided[at]);
                tally[0] += if actual && decided { weight } else { 0.0 };
                tally[1] += if actual { weight } else { 0.0 };
                tally[2] += if decided { weight } else { 0.0 };
            }
        }
        if total <= 0.0 {
            values.fill(f64::NAN);
            return;
        }
        let figures = |[hits, actual, decided]: [f64; 3]| {
            [share(hits, decided), share(hits, actual), share(2.0 * hits, actual + decided)]
        };
        let mut all = [0.0; 3];
        let (mut plain, mut weighted) = ([0.0; 3], [0.0; 3]);
        for &tally in &tallies {
            for (i, value) in figures(tally).into_iter().enumerate() {
                all[i] += tally[i];
                plain[i] += value / self.labels as f64;
                weighted[i] += value * tally[1];
            }
        }
        values[0] = sums[2] / total;
        values[1..4].copy_from_slice(&figures(all));
        values[4..7].copy_from_slice(&plain);
        values[7..10].copy_from_slice(&weighted.map(|sum| share(sum, all[1])));
        values[10..12].copy_from_slice(&mean_areas(&self.rankings, &self.weights, times));
        values[12] = sums[0] / total;
        values[13] = sums[1] / total;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn by_hand() {
        let actual = [true, false, true, true];
        let metrics = Set::new(&actual, &[0.9, 0.2, 0.7, 0.1], 2, None).metrics();
        assert_eq!(metrics["subset_accuracy"], 0.5);
        assert_eq!(metrics["precision_micro"], 1.0);
        assert_eq!(metrics["f1_micro"], 0.8);
        assert_eq!(metrics["f1_macro"], 0.5);
        assert!((metrics["f1_weighted"] - 2.0 / 3.0).abs() < 1e-12);
        // The first label has no row without it, the second ranks its one row with it last.
        assert_eq!(metrics["roc_auc"], 0.0);
    }
}
