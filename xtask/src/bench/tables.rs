//! `bench tables`: the accuracy that the defaults reach on tables, beside boosted trees on the same rows.

use super::Outcome;
use super::document;
use super::experiment::{Experiment, number};
use super::measure::{mean_and_deviation, mebibytes, median};
use super::place::Place;
use serde_json::Value;

/// An experiment of `benches/tables` and what it has to reach.
pub struct Row {
    pub name: &'static str,
    /// Settings that name the data, with the files under the folder of the data sets.
    pub files: &'static [(&'static str, &'static str)],
    output: &'static str,
    /// Metrics with the least that each has to reach on average.
    least: &'static [(&'static str, f64)],
    /// The setting that the seeds go to.
    seeded: &'static str,
    seeds: &'static [u64],
}

/// What most rows share: one file, divided anew by each of five seeds.
const BY_SPLIT: Row =
    Row { name: "", files: &[], output: "", least: &[], seeded: "data.split.seed", seeds: &[0, 1, 2, 3, 4] };

/// Every row.
pub const ROWS: &[Row] = &[
    Row {
        name: "adult",
        files: &[
            ("data.train", "tabular_classification/adult_income/adult_train.csv"),
            ("data.test", "tabular_classification/adult_income/adult_test.csv"),
        ],
        output: "income",
        least: &[("accuracy", 0.862), ("roc_auc", 0.918)],
        // The test file is given, so the seeds are those of the weights.
        seeded: "train.seed",
        seeds: &[0, 1, 2],
    },
    Row {
        name: "breast_cancer",
        files: &[("data.source", "tabular_classification/sklearn_breast_cancer/breast_cancer.csv")],
        output: "target",
        least: &[("accuracy", 0.965), ("roc_auc", 0.992)],
        ..BY_SPLIT
    },
    Row {
        name: "heart_failure",
        files: &[("data.source", "tabular_classification/heart_failure/heart.csv")],
        output: "HeartDisease",
        least: &[("roc_auc", 0.93)],
        ..BY_SPLIT
    },
    Row {
        name: "pima_diabetes",
        files: &[("data.source", "tabular_classification/pima_diabetes/pima_diabetes.csv")],
        output: "outcome",
        least: &[("roc_auc", 0.83)],
        ..BY_SPLIT
    },
    Row {
        name: "california_housing",
        files: &[("data.source", "tabular_regression/california_housing/housing.csv")],
        output: "median_house_value",
        least: &[("rmse", 48_500.0)],
        ..BY_SPLIT
    },
    Row {
        name: "bike_sharing",
        files: &[("data.source", "tabular_regression/bike_sharing/hour.csv")],
        output: "cnt",
        least: &[("r2", 0.94)],
        ..BY_SPLIT
    },
    Row {
        name: "abalone",
        files: &[("data.source", "tabular_regression/abalone/abalone.csv")],
        output: "rings",
        least: &[("rmse", 2.13)],
        ..BY_SPLIT
    },
    Row {
        name: "student",
        files: &[("data.source", "education/student_performance/student-mat.csv")],
        output: "G3",
        least: &[("rmse", 2.0)],
        ..BY_SPLIT
    },
    Row {
        name: "startup_success",
        files: &[("data.source", "startup_trends/startup_success/startup_data.csv")],
        output: "status",
        least: &[("roc_auc", 0.80)],
        ..BY_SPLIT
    },
];

/// One training with its record, its cost and what its twin says.
struct Trained {
    record: Value,
    twin: Value,
    seconds: f64,
    peak_bytes: u64,
}

/// Names of all rows.
pub fn names() -> Vec<&'static str> {
    ROWS.iter().map(|row| row.name).collect()
}

/// Trains the named rows with their seeds, or with the given ones, prints the table and returns it with its heading.
///
/// # Errors
/// If a training or its twin fails.
pub fn tables(place: &Place, names: &[&str], seeds: Option<&[u64]>) -> Outcome<String> {
    let words = place.words(&["scikit-learn", "numpy", "pandas"])?;
    let mut lines = Vec::new();
    for row in ROWS.iter().filter(|row| names.contains(&row.name)) {
        let seeds = seeds.unwrap_or(row.seeds);
        let mut trained = Vec::new();
        for seed in seeds {
            let one = row.train(place, *seed)?;
            let shown: Vec<String> = row.least.iter().map(|(metric, _)| row.words(metric, &one)).collect();
            println!("{} · seed {seed} · {} · {:.1} s", row.name, shown.join(" · "), one.seconds);
            trained.push(one);
        }
        lines.extend(row.least.iter().map(|(metric, least)| row.line(metric, *least, &trained)));
    }
    let head = [
        "data",
        "metric",
        "Outset",
        "least",
        "reached",
        "boosted trees",
        "linear",
        "linear (scikit-learn)",
        "seconds",
        "peak MiB",
    ];
    let table = document::table(&head, &lines);
    println!("\n{table}");
    Ok(format!("{words}\n\n{table}"))
}

impl Row {
    /// The experiment file with its data.
    pub fn experiment(&self) -> Experiment {
        Experiment { folder: "tables", name: self.name, files: self.files, seeded: self.seeded }
    }

    /// Trains with a seed, then asks the twin about the same rows.
    fn train(&self, place: &Place, seed: u64) -> Outcome<Trained> {
        let experiment = self.experiment();
        let ran = experiment.run(place, seed, &[])?;
        let twin = experiment.twin(place, "tables/twin.py", &ran, seed, &[])?;
        Ok(Trained { record: ran.record, twin, seconds: ran.seconds, peak_bytes: ran.peak_bytes })
    }

    /// A metric of one training and of the boosted trees.
    fn words(&self, metric: &str, one: &Trained) -> String {
        let (digits, outset) = (digits(metric), self.of_run(metric, one));
        format!("{metric} {outset:.digits$} (boosted trees {:.digits$})", number(&one.twin["trees"][metric]))
    }

    fn of_run(&self, metric: &str, one: &Trained) -> f64 {
        number(&one.record["metrics"]["test"][self.output][metric])
    }

    /// The line of the table about a metric.
    fn line(&self, metric: &str, least: f64, trained: &[Trained]) -> Vec<String> {
        let digits = digits(metric);
        let all = |of: &dyn Fn(&Trained) -> f64| {
            let values: Vec<f64> = trained.iter().map(of).collect();
            let (mean, deviation) = mean_and_deviation(&values);
            (mean, format!("{mean:.digits$} ± {deviation:.digits$}"))
        };
        let (mean, outset) = all(&|one| self.of_run(metric, one));
        let trees = all(&|one| number(&one.twin["trees"][metric])).1;
        let linear = all(&|one| number(&one.record["baselines"]["linear"]["test"][self.output][metric])).1;
        let twins_linear = all(&|one| number(&one.twin["linear"][metric])).1;
        // NaN, where the record lacks the metric, reaches nothing.
        let reached = if metric == "rmse" { mean <= least } else { mean >= least };
        let seconds: Vec<f64> = trained.iter().map(|one| one.seconds).collect();
        let peak = trained.iter().map(|one| one.peak_bytes).max().unwrap_or(0);
        vec![
            self.name.to_owned(),
            metric.to_owned(),
            outset,
            format!("{least}"),
            if reached { "yes" } else { "no" }.to_owned(),
            trees,
            linear,
            twins_linear,
            format!("{:.1}", median(&seconds)),
            format!("{:.0}", mebibytes(peak)),
        ]
    }
}

/// Digits after the point, so that values of thousands stay readable.
fn digits(metric: &str) -> usize {
    if metric == "rmse" { 3 } else { 4 }
}

#[cfg(test)]
mod tests {
    use super::super::experiment::tests::check_file;
    use super::*;
    use serde_json::json;

    #[test]
    fn a_line_tells_whether_the_least_is_reached() {
        let row = Row { name: "a", output: "y", least: &[("rmse", 2.0)], ..BY_SPLIT };
        let one = |rmse: f64| Trained {
            record: json!({ "metrics": { "test": { "y": { "rmse": rmse } } } }),
            twin: json!({ "trees": { "rmse": 1.0 } }),
            seconds: 1.0,
            peak_bytes: 1 << 20,
        };
        let line = row.line("rmse", 2.0, &[one(1.0), one(2.0)]);
        assert_eq!(line[2..6], ["1.500 ± 0.707", "2", "yes", "1.000 ± 0.000"]);
        assert_eq!(line[6], "NaN ± NaN");
        assert_eq!(row.line("rmse", 2.0, &[one(2.5)])[4], "no");
        assert_eq!(row.line("rmse", 2.0, &[one(f64::NAN)])[4], "no");
    }

    #[test]
    fn each_row_has_its_experiment() {
        for row in ROWS {
            let Row { name, files, seeded, .. } = *row;
            check_file(&Experiment { folder: "tables", name, files, seeded }, &[row.output]);
        }
    }
}
