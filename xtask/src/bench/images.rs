//! `bench images`: the accuracy that the defaults reach on pictures, and the time that the whole command takes.

use super::measure::{mean_and_deviation, mebibytes, median};
use super::place::Place;
use super::{Outcome, document, process};
use serde_json::Value;
use std::time::Duration;

/// Longest time for one run.
const LIMIT: Duration = Duration::from_secs(3600);

/// Data, what has to be reached, and in which time.
pub struct Row {
    pub name: &'static str,
    /// Settings that name the data, with the files under the folder of the data sets.
    pub files: &'static [(&'static str, &'static str)],
    output: &'static str,
    /// The least accuracy, on average.
    accuracy: f64,
    /// The most seconds of a run.
    seconds: f64,
    seeds: &'static [u64],
}

/// Every row.
pub const ROWS: &[Row] = &[
    Row {
        name: "mnist",
        files: &[
            ("data.train", "image_classification/mnist/train-images-idx3-ubyte.gz"),
            ("data.test", "image_classification/mnist/t10k-images-idx3-ubyte.gz"),
        ],
        output: "label",
        accuracy: 0.993,
        seconds: 90.0,
        seeds: &[42],
    },
    Row {
        name: "cifar10",
        files: &[("data.source", "image_classification/cifar10_jpeg_subset/train.zip")],
        output: "label",
        accuracy: 0.86,
        seconds: 900.0,
        seeds: &[42],
    },
    Row {
        name: "digits",
        files: &[("data.source", "image_classification/sklearn_digits/digits.csv")],
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
    ROWS.iter().map(|row| row.name).collect()
}

/// Runs the named rows with their seeds, or with the given ones, prints the table and returns it with its heading.
///
/// # Errors
/// If a run fails.
pub fn images(place: &Place, names: &[&str], seeds: Option<&[u64]>) -> Outcome<String> {
    let words = place.words(&[])?;
    let mut lines = Vec::new();
    for row in ROWS.iter().filter(|row| names.contains(&row.name)) {
        let mut trained = Vec::new();
        for seed in seeds.unwrap_or(row.seeds) {
            let one = row.train(place, *seed)?;
            println!("{} · seed {seed} · accuracy {:.4} · {:.1} s", row.name, one.accuracy, one.seconds);
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
        let experiment = place.root.join(format!("benches/images/{}.toml", self.name));
        let runs = place.work.join(format!("{}-{seed}", self.name));
        let log = place.work.join(format!("{}-{seed}-log", self.name));
        let mut command = place.outset(&["--quiet", "run"]);
        command.arg(&experiment);
        for (setting, file) in self.files {
            command.arg(format!("{setting}={}", place.data(file)?.display()));
        }
        command.arg(format!("data.split.seed={seed}")).arg("--runs").arg(&runs);
        let finished = process::run(&mut command, &log, LIMIT)?;
        let record = runs.join(format!("{}-1", self.name)).join("run.json");
        let text =
            std::fs::read_to_string(&record).map_err(|error| format!("{}: {error}", record.display()))?;
        let record: Value = serde_json::from_str(&text)?;
        let accuracy =
            |metrics: &Value| metrics["test"][self.output]["accuracy"].as_f64().unwrap_or(f64::NAN);
        Ok(Trained {
            accuracy: accuracy(&record["metrics"]),
            linear: accuracy(&record["baselines"]["linear"]),
            seconds: finished.seconds,
            peak_bytes: finished.peak_bytes,
        })
    }

    fn line(&self, trained: &[Trained]) -> Vec<String> {
        let all = |of: &dyn Fn(&Trained) -> f64| -> Vec<f64> { trained.iter().map(of).collect() };
        let (mean, deviation) = mean_and_deviation(&all(&|one| one.accuracy));
        let seconds = median(&all(&|one| one.seconds));
        let peak = trained.iter().map(|one| one.peak_bytes).max().unwrap_or(0);
        let yes = |reached: bool| if reached { "yes" } else { "no" }.to_owned();
        vec![
            self.name.to_owned(),
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
    use super::*;

    #[test]
    fn a_line_tells_what_is_reached() {
        let row = Row { name: "a", files: &[], output: "y", accuracy: 0.9, seconds: 10.0, seeds: &[] };
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
            let path = format!("{}/../benches/images/{}.toml", env!("CARGO_MANIFEST_DIR"), row.name);
            let text = std::fs::read_to_string(&path).unwrap();
            assert!(text.contains(&format!("name = \"{}\"", row.name)), "{path}");
            assert!(text.contains(&format!("\n{} = ", row.output)), "{path}");
        }
    }
}
