//! Metrics of classes.

use super::probabilities::{Calibration, bin, log_loss};
use super::ranking::{Ranking, mean_areas};
use super::{Score, Weights, share};
use indexmap::IndexMap;

/// Names that every category has.
const SHARED: [&str; 17] = [
    "accuracy",
    "balanced_accuracy",
    "precision_macro",
    "recall_macro",
    "f1_macro",
    "precision_micro",
    "recall_micro",
    "f1_micro",
    "precision_weighted",
    "recall_weighted",
    "f1_weighted",
    "roc_auc",
    "average_precision",
    "log_loss",
    "brier",
    "calibration_error",
    "mcc",
];

/// Names that two classes have besides.
const POSITIVE: [&str; 3] = ["precision", "recall", "f1"];

/// Metrics of predicted classes.
///
/// A row's class is decided as its largest probability's, the first of equal ones. Macro and weighted means are over the
/// classes that occur among the actual or the predicted ones, and a share of nothing is 0, as in scikit-learn. ROC AUC
/// and average precision are those of the positive class for two classes, else the mean of each class against the
/// rest, over the classes where they are defined. The Brier score for more than two classes sums over classes.
pub struct Category {
    classes: usize,
    positive: usize,
    actual: Vec<u32>,
    decided: Vec<u32>,
    weights: Weights,
    /// Of the positive class, or of each class.
    rankings: Vec<Ranking>,
    /// By row: log loss, Brier score, confidence.
    scores: Vec<[f64; 3]>,
    /// By row: the bin of its confidence, and whether its most probable class is right.
    bins: Vec<(u8, bool)>,
    names: Vec<&'static str>,
}

impl Category {
    /// Prepares the rows; `probabilities` are `[rows, classes]`.
    ///
    /// `positive` says which of two classes precision, recall and F1 speak of, the second where left out.
    pub fn new(
        actual: &[u32],
        probabilities: &[f64],
        classes: usize,
        positive: Option<usize>,
        weights: Option<&[f64]>,
    ) -> Self {
        let rows = actual.len();
        debug_assert_eq!(probabilities.len(), rows * classes);
        let decided = decide(probabilities, classes);
        let positive = positive.unwrap_or(1);
        let ranking = |class| {
            Ranking::new(
                rows,
                |row| probabilities[row * classes + class],
                |row| actual[row] as usize == class,
            )
        };
        let rankings = match classes {
            2 => vec![ranking(positive)],
            _ => (0..classes).map(ranking).collect(),
        };
        let scores: Vec<[f64; 3]> = (0..rows)
            .map(|row| {
                let of_row = &probabilities[row * classes..(row + 1) * classes];
                let squares =
                    |(class, p): (usize, &f64)| (p - f64::from(class == actual[row] as usize)).powi(2);
                let brier: f64 = of_row.iter().enumerate().map(squares).sum();
                [
                    log_loss(of_row[actual[row] as usize]),
                    if classes == 2 { brier / 2.0 } else { brier },
                    of_row[decided[row] as usize],
                ]
            })
            .collect();
        Self {
            classes,
            positive,
            actual: actual.to_vec(),
            bins: (0..rows).map(|row| (bin(scores[row][2]), decided[row] == actual[row])).collect(),
            decided,
            weights: Weights::new(weights, rows),
            rankings,
            scores,
            names: if classes == 2 { [&SHARED[..], &POSITIVE].concat() } else { SHARED.to_vec() },
        }
    }

    /// Decides two classes for the positive one from a probability of `threshold` on, instead of the larger one.
    ///
    /// What does not look at decisions, such as ROC AUC and the calibration error, stays as it is.
    #[must_use]
    pub fn at_threshold(mut self, probabilities: &[f64], threshold: f64) -> Self {
        if self.classes == 2 {
            self.decided = decide_at(probabilities, self.positive, threshold);
        }
        self
    }

    /// The classes as they were decided.
    pub fn decided(&self) -> &[u32] {
        &self.decided
    }
}

impl Score for Category {
    fn rows(&self) -> usize {
        self.actual.len()
    }

    fn names(&self) -> &[&'static str] {
        &self.names
    }

    fn values(&self, times: Option<&[u32]>, values: &mut [f64]) {
        let mut tallies = Tallies::new(self.classes);
        let mut calibration = Calibration::default();
        let mut sums = [0.0; 2];
        for (row, [log_loss, brier, confidence]) in self.scores.iter().enumerate() {
            if times.is_some_and(|times| times[row] == 0) {
                continue;
            }
            let weight = self.weights.of(row, times);
            let (actual, decided) = (self.actual[row] as usize, self.decided[row] as usize);
            tallies.add(actual, decided, weight);
            let (bin, right) = self.bins[row];
            calibration.add(bin, weight, *confidence, right);
            sums[0] += weight * log_loss;
            sums[1] += weight * brier;
        }
        let total = tallies.total;
        if total <= 0.0 {
            values.fill(f64::NAN);
            return;
        }
        let [macros, weighted] = tallies.means();
        let accuracy = tallies.correct / total;
        values[0] = accuracy;
        values[1] = tallies.balanced_accuracy();
        values[2..5].copy_from_slice(&macros);
        // One decision a row: what is a false alarm for one class is a miss for another.
        values[5..8].fill(accuracy);
        values[8..11].copy_from_slice(&weighted);
        values[11..13].copy_from_slice(&mean_areas(&self.rankings, &self.weights, times));
        values[13] = sums[0] / total;
        values[14] = sums[1] / total;
        values[15] = calibration.error(total);
        values[16] = tallies.mcc();
        if self.classes == 2 {
            values[17..20].copy_from_slice(&tallies.of(self.positive));
        }
    }
}

/// Weights of rows by actual class, by decided class and by both.
struct Tallies {
    actual: Vec<f64>,
    decided: Vec<f64>,
    hits: Vec<f64>,
    present: Vec<bool>,
    total: f64,
    correct: f64,
}

impl Tallies {
    fn new(classes: usize) -> Self {
        let zeros = vec![0.0; classes];
        Self {
            actual: zeros.clone(),
            decided: zeros.clone(),
            hits: zeros,
            present: vec![false; classes],
            total: 0.0,
            correct: 0.0,
        }
    }

    #[inline]
    fn add(&mut self, actual: usize, decided: usize, weight: f64) {
        self.actual[actual] += weight;
        self.decided[decided] += weight;
        self.present[actual] = true;
        self.present[decided] = true;
        self.total += weight;
        if actual == decided {
            self.hits[actual] += weight;
            self.correct += weight;
        }
    }

    /// Precision, recall and F1 of a class.
    fn of(&self, class: usize) -> [f64; 3] {
        let (hits, actual, decided) = (self.hits[class], self.actual[class], self.decided[class]);
        [share(hits, decided), share(hits, actual), share(2.0 * hits, actual + decided)]
    }

    /// Precision, recall and F1 as mean over the present classes, plain and by their rows.
    fn means(&self) -> [[f64; 3]; 2] {
        let (mut plain, mut weighted, mut count) = ([0.0; 3], [0.0; 3], 0.0);
        for class in (0..self.actual.len()).filter(|&class| self.present[class]) {
            count += 1.0;
            for (i, value) in self.of(class).into_iter().enumerate() {
                plain[i] += value;
                weighted[i] += value * self.actual[class];
            }
        }
        [plain.map(|sum| sum / count), weighted.map(|sum| sum / self.total)]
    }

    fn balanced_accuracy(&self) -> f64 {
        let recalls = self.actual.iter().zip(&self.hits).filter(|(actual, _)| **actual > 0.0);
        let (count, sum) =
            recalls.fold((0.0, 0.0), |(count, sum), (actual, hits)| (count + 1.0, sum + hits / actual));
        sum / count
    }

    /// Matthews's correlation coefficient for any number of classes. <https://doi.org/10.1016/j.compbiolchem.2004.09.006>
    fn mcc(&self) -> f64 {
        let dot = |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(a, b)| a * b).sum::<f64>();
        let square = self.total * self.total;
        let product =
            (square - dot(&self.decided, &self.decided)) * (square - dot(&self.actual, &self.actual));
        if product <= square * square * 1e-15 {
            return 0.0;
        }
        (self.correct * self.total - dot(&self.actual, &self.decided)) / product.sqrt()
    }
}

/// Decides each row for its most probable class, the first of equal ones.
pub fn decide(probabilities: &[f64], classes: usize) -> Vec<u32> {
    probabilities
        .chunks_exact(classes.max(1))
        .map(|row| {
            (1..row.len()).fold(0, |best, class| if row[class] > row[best] { class } else { best }) as u32
        })
        .collect()
}

/// Decides each row of two classes for `positive` if its probability is at least `threshold`.
pub fn decide_at(probabilities: &[f64], positive: usize, threshold: f64) -> Vec<u32> {
    let positive = positive.min(1);
    probabilities
        .chunks_exact(2)
        .map(|row| if row[positive] >= threshold { positive } else { 1 - positive } as u32)
        .collect()
}

/// Counts rows by actual class (first index) and decided class.
pub fn confusion(actual: &[u32], decided: &[u32], classes: usize) -> Vec<Vec<usize>> {
    let mut counts = vec![vec![0; classes]; classes];
    for (&actual, &decided) in actual.iter().zip(decided) {
        counts[actual as usize][decided as usize] += 1;
    }
    counts
}

/// `precision`, `recall`, `f1` and `rows` of every class.
pub fn per_class(
    actual: &[u32],
    decided: &[u32],
    classes: usize,
    weights: Option<&[f64]>,
) -> Vec<IndexMap<String, f64>> {
    let weights = Weights::new(weights, actual.len());
    let mut tallies = Tallies::new(classes);
    let mut rows = vec![0_usize; classes];
    for (row, (&actual, &decided)) in actual.iter().zip(decided).enumerate() {
        tallies.add(actual as usize, decided as usize, weights.of(row, None));
        rows[actual as usize] += 1;
    }
    (0..classes)
        .map(|class| {
            let [precision, recall, f1] = tallies.of(class);
            let values =
                [("precision", precision), ("recall", recall), ("f1", f1), ("rows", rows[class] as f64)];
            values.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn by_hand() {
        let probabilities = [0.9, 0.1, 0.4, 0.6, 0.3, 0.7, 0.5, 0.5];
        let metrics = Category::new(&[0, 0, 1, 1], &probabilities, 2, Some(1), None).metrics();
        assert_eq!(metrics["accuracy"], 0.5);
        assert_eq!(metrics["precision"], 0.5);
        assert_eq!(metrics["recall"], 0.5);
        assert_eq!(metrics["roc_auc"], 0.75);
        assert_eq!(metrics["mcc"], 0.0);
        assert_eq!(confusion(&[0, 0, 1, 1], &decide(&probabilities, 2), 2), [[1, 1], [1, 1]]);
    }

    #[test]
    fn a_threshold_moves_decisions_and_nothing_else() {
        let probabilities = [0.9, 0.1, 0.7, 0.3, 0.6, 0.4, 0.2, 0.8];
        let score = || Category::new(&[0, 0, 1, 1], &probabilities, 2, Some(1), None);
        let (before, after) = (score().metrics(), score().at_threshold(&probabilities, 0.4).metrics());
        assert_eq!((before["recall"], after["recall"]), (0.5, 1.0));
        assert_eq!(after["accuracy"], 1.0);
        for name in ["roc_auc", "log_loss", "brier", "calibration_error"] {
            assert_eq!(before[name], after[name]);
        }
        assert_eq!(decide_at(&probabilities, 0, 0.65), [0, 0, 1, 1]);
    }

    #[test]
    fn one_class_leaves_out_what_is_undefined() {
        let metrics = Category::new(&[1, 1], &[0.4, 0.6, 0.7, 0.3], 2, Some(1), None).metrics();
        assert!(!metrics.contains_key("roc_auc"));
        assert_eq!(metrics["average_precision"], 1.0);
        assert_eq!(metrics["recall"], 0.5);
        assert!(Category::new(&[], &[], 2, None, None).metrics().is_empty());
    }

    #[test]
    fn classes_have_their_own_figures() {
        let figures = per_class(&[0, 1, 2, 2], &[0, 2, 2, 0], 4, None);
        assert_eq!(figures[0]["precision"], 0.5);
        assert_eq!(figures[2]["f1"], 0.5);
        assert_eq!(figures[2]["rows"], 2.0);
        assert_eq!(figures[3]["recall"], 0.0);
    }
}
