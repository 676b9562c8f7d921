//! Metrics of predictions, equal to scikit-learn's, and how sure they are.
//!
//! A family of metrics (one file each) is prepared once for a test set: sorted, decided, summed by row. Then its values
//! can be taken many times over, each row counted any number of times, which is what [`intervals`] does.

mod bootstrap;
mod classes;
mod numbers;
mod probabilities;
mod ranking;
mod sets;
mod tags;
mod threshold;

pub use self::bootstrap::{bootstrap, intervals, suggested_resamples};
pub use self::classes::{Category, confusion, decide, decide_at, per_class};
pub use self::numbers::Number;
pub use self::sets::Set;
pub use self::tags::{TaggedRow, Tags, confusion as entity_confusion, per_type};
pub use self::threshold::{best_f1_threshold, cheapest_threshold};

use indexmap::IndexMap;

/// A metric, for help and for picking the best state.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Metric {
    pub name: &'static str,
    pub about: &'static str,
    pub higher_is_better: bool,
}

const fn up(name: &'static str, about: &'static str) -> Metric {
    Metric { name, about, higher_is_better: true }
}

const fn down(name: &'static str, about: &'static str) -> Metric {
    Metric { name, about, higher_is_better: false }
}

/// Every metric.
pub const ALL: &[Metric] = &[
    down("loss", "What training makes small."),
    down("mse", "Mean squared error."),
    down("rmse", "Root of the mean squared error, in the target's unit."),
    down("mae", "Mean absolute error, in the target's unit."),
    down("mape", "Mean of the absolute errors as shares of the actual values."),
    up("r2", "Share of the target's variance that is explained (R²); 0 for always saying the mean."),
    up("accuracy", "Share of rows whose class is right."),
    up("balanced_accuracy", "Mean over classes of the share that is found."),
    up("precision", "Share of rows called positive that are."),
    up("recall", "Share of positive rows that are called so."),
    up("f1", "Harmonic mean of precision and recall."),
    up("precision_macro", "Precision, mean over classes."),
    up("recall_macro", "Recall, mean over classes."),
    up("f1_macro", "F1, mean over classes."),
    up("precision_micro", "Precision over the decisions of all classes together."),
    up("recall_micro", "Recall over the decisions of all classes together."),
    up("f1_micro", "F1 over the decisions of all classes together."),
    up("precision_weighted", "Precision, mean over classes by their rows."),
    up("recall_weighted", "Recall, mean over classes by their rows."),
    up("f1_weighted", "F1, mean over classes by their rows."),
    up(
        "roc_auc",
        "Chance that a positive row is ranked above another; mean over classes if there are several.",
    ),
    up("average_precision", "Mean precision over all recalls; mean over classes if there are several."),
    down("log_loss", "Minus the mean logarithm of the true class's probability."),
    down("brier", "Mean squared error of the probabilities."),
    down("calibration_error", "Mean distance between confidence and accuracy, over ten bins of confidence."),
    up("mcc", "Matthews's correlation of actual and predicted classes."),
    up("subset_accuracy", "Share of rows whose labels are all right."),
    up("entity_f1", "Harmonic mean of entity precision and entity recall."),
    up("entity_precision", "Share of predicted entities whose place and type are right."),
    up("entity_recall", "Share of actual entities that are found, with their place and type."),
    up("token_accuracy", "Share of words or characters whose tag is right."),
];

/// Tells whether a larger value of a metric is better; `None` for a metric that does not exist.
///
/// The name may have a path in front, as in `val/income/accuracy`.
pub fn higher_is_better(name: &str) -> Option<bool> {
    let name = name.rsplit('/').next().unwrap_or(name);
    ALL.iter().find(|metric| metric.name == name).map(|metric| metric.higher_is_better)
}

/// Metrics that are prepared for a set of rows.
pub trait Score: Sync {
    /// The rows.
    fn rows(&self) -> usize;

    /// The names of the metrics, in the order of their values.
    fn names(&self) -> &[&'static str];

    /// Writes a value for each name, NaN where it is undefined; row `i` counts `times[i]` times, or once.
    fn values(&self, times: Option<&[u32]>, values: &mut [f64]);

    /// The metrics by name, undefined ones left out.
    fn metrics(&self) -> IndexMap<String, f64> {
        let mut values = vec![f64::NAN; self.names().len()];
        self.values(None, &mut values);
        self.names()
            .iter()
            .zip(values)
            .filter(|(_, value)| value.is_finite())
            .map(|(name, value)| ((*name).to_owned(), value))
            .collect()
    }
}

/// Metrics of predicted numbers.
pub fn number(actual: &[f64], predicted: &[f64], weights: Option<&[f64]>) -> IndexMap<String, f64> {
    Number::new(actual, predicted, weights).metrics()
}

/// Metrics of predicted classes; `probabilities` are `[rows, classes]`, `positive` is meant for two classes.
pub fn category(
    actual: &[u32],
    probabilities: &[f64],
    classes: usize,
    positive: Option<usize>,
    weights: Option<&[f64]>,
) -> IndexMap<String, f64> {
    Category::new(actual, probabilities, classes, positive, weights).metrics()
}

/// Metrics of predicted label sets; `actual` and `probabilities` are `[rows, labels]`.
pub fn set(
    actual: &[bool],
    probabilities: &[f64],
    labels: usize,
    weights: Option<&[f64]>,
) -> IndexMap<String, f64> {
    Set::new(actual, probabilities, labels, weights).metrics()
}

/// Weights of rows with how often each counts.
struct Weights(Option<Vec<f64>>);

impl Weights {
    fn new(weights: Option<&[f64]>, rows: usize) -> Self {
        debug_assert!(weights.is_none_or(|weights| weights.len() == rows));
        Self(weights.map(<[f64]>::to_vec))
    }

    /// The weight of a row that counts as often as `times` says.
    #[inline]
    fn of(&self, row: usize, times: Option<&[u32]>) -> f64 {
        let times = times.map_or(1.0, |times| f64::from(times[row]));
        match &self.0 {
            None => times,
            Some(weights) => weights[row] * times,
        }
    }
}

/// A share, 0 where it is of nothing, as scikit-learn has it.
fn share(part: f64, whole: f64) -> f64 {
    if whole > 0.0 { part / whole } else { 0.0 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_family_gives_known_names() {
        let scores: [Box<dyn Score>; 5] = [
            Box::new(Tags::new(&[TaggedRow::default()], false, None)),
            Box::new(Number::new(&[1.0, 2.0], &[1.0, 3.0], None)),
            Box::new(Category::new(&[0, 1], &[0.5, 0.5, 0.2, 0.8], 2, Some(1), None)),
            Box::new(Category::new(&[0, 1], &[0.5, 0.3, 0.2, 0.2, 0.4, 0.4], 3, None, None)),
            Box::new(Set::new(&[true, false], &[0.5, 0.3], 2, None)),
        ];
        for score in scores {
            for name in score.names() {
                assert!(higher_is_better(name).is_some(), "{name}");
            }
        }
        assert_eq!(higher_is_better("val/income/log_loss"), Some(false));
        assert_eq!(higher_is_better("val/income/luck"), None);
    }
}
