//! `bench images`: the accuracy that the defaults reach on pictures, and the time that the whole command takes.

use super::experiment::{Experiment, number};
use super::measure::{mean_and_deviation, mebibytes, median};
use super::place::Place;
use super::{Outcome, document};
use serde_json::Value;

/// Data, what has to be reached, and in which time.
pub struct Row {
    pub experiment: Experiment,
    output: &'static str,
    /// The least accuracy, on average.
    accuracy: f64,
    /// The most seconds of a run.
    seconds: f64,
    seeds: &'static [u64],
}

const fn experiment(name: &'static str, files: &'static [(&'static str, &'static str)]) -> Experiment {
    Experiment { folder: "images", name, files, seeded: "data.split.seed" }
}

/// Every row.
pub const ROWS: &[Row] = &[
    Row {
        experiment: experiment(
            "mnist",
            &[
                ("data.train", "image_classification/mnist/train-images-idx3-ubyte.gz"),
                ("data.test", "image_classification/mnist/t10k-images-idx3-ubyte.gz"),
            ],
        ),
        output: "label",
        accuracy: 0.993,
        seconds: 90.0,
        seeds: &[42],
    },
    Row {
        experiment: experiment(
            "cifar10",
            &[("data.source", "image_classification/cifar10_jpeg_subset/train.zip")],
        ),
        output: "label",
        accuracy: 0.86,
        seconds: 900.0,
        seeds: &[42],
    },
    Row {
        experiment: experiment(
            "digits",
            &[("data.source", "image_classification/sklearn_digits/digits.csv")],
        ),
        output: "target",
        accuracy: 0.98,
        seconds: 20.0,
        seeds: &[0, 1, 2],
    },
];

/// One run: accuracy, that of the linear model, seconds of the whole command, peak memory.
struct Trained {
    accuracy: f64,
    linear: f64,
    seconds: f64,
    peak_bytes: u64,
}

/// Names of all rows.
pub fn names() -> Vec<&'static str> {
    ROWS.iter().map(|row| row.experiment.name).collect()
}

/// Runs the named rows with their seeds, or with the given ones, prints the table and returns it with its heading.
///
/// # Errors
/// If a run fails.
pub fn images(place: &Place, names: &[&str], seeds: Option<&[u64]>) -> Outcome<String> {
    let words = place.words(&[])?;
    let mut lines = Vec::new();
    for row in ROWS.iter().filter(|row| names.contains(&row.experiment.name)) {
        let mut trained = Vec::new();
        for seed in seeds.unwrap_or(row.seeds) {
            let one = row.train(place, *seed)?;
            println!(
                "{} · seed {seed} · accuracy {:.4} · {:.1} s",
                row.experiment.name, one.accuracy, one.seconds
            );
            trained.push(one);
        }
        lines.push(row.line(&trained));
    }
    let head = ["data", "accuracy", "least", "reached", "linear", "seconds", "most", "in time", "peak MiB"];
    let table = document::table(&head, &lines);
    println!("\n{table}");
    Ok(format!("{words}\n\n{table}"))
}

impl Row {
    fn train(&self, place: &Place, seed: u64) -> Outcome<Trained> {
        let ran = self.experiment.run(place, seed)?;
        let accuracy = |metrics: &Value| number(&metrics["test"][self.output]["accuracy"]);
        Ok(Trained {
            accuracy: accuracy(&ran.record["metrics"]),
            linear: accuracy(&ran.record["baselines"]["linear"]),
            seconds: ran.seconds,
            peak_bytes: ran.peak_bytes,
        })
    }

    fn line(&self, trained: &[Trained]) -> Vec<String> {
        let all = |of: &dyn Fn(&Trained) -> f64| -> Vec<f64> { trained.iter().map(of).collect() };
        let (mean, deviation) = mean_and_deviation(&all(&|one| one.accuracy));
        let seconds = median(&all(&|one| one.seconds));
        let peak = trained.iter().map(|one| one.peak_bytes).max().unwrap_or(0);
        let yes = |reached: bool| if reached { "yes" } else { "no" }.to_owned();
        vec![
            self.experiment.name.to_owned(),
            if trained.len() > 1 { format!("{mean:.4} ± {deviation:.4}") } else { format!("{mean:.4}") },
            self.accuracy.to_string(),
            yes(mean >= self.accuracy),
            format!("{:.4}", mean_and_deviation(&all(&|one| one.linear)).0),
            format!("{seconds:.1}"),
            self.seconds.to_string(),
            yes(seconds <= self.seconds),
            format!("{:.0}", mebibytes(peak)),
        ]
    }
}

#[cfg(test)]
mod tests {
    use super::super::experiment::tests::check_file;
    use super::*;

    #[test]
    fn a_line_tells_what_is_reached() {
        let row =
            Row { experiment: experiment("a", &[]), output: "y", accuracy: 0.9, seconds: 10.0, seeds: &[] };
        let one = |accuracy, seconds| Trained { accuracy, linear: 0.5, seconds, peak_bytes: 1 << 20 };
        let line = row.line(&[one(0.95, 5.0), one(0.91, 15.0)]);
        assert_eq!((line[3].as_str(), line[7].as_str(), line[8].as_str()), ("yes", "yes", "1"));
        let line = row.line(&[one(0.85, 11.0)]);
        assert_eq!((line[1].as_str(), line[3].as_str(), line[7].as_str()), ("0.8500", "no", "no"));
        assert_eq!(row.line(&[one(f64::NAN, 11.0)])[3], "no");
    }

    #[test]
    fn each_row_has_its_experiment() {
        for row in ROWS {
            check_file(&row.experiment, &[row.output]);
        }
    }
}
