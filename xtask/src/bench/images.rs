//! `bench images`: the accuracy that the defaults reach on pictures and the time that the whole command takes, beside the
//! same network in PyTorch.

use super::experiment::{Experiment, number};
use super::measure::{listed, mean_and_deviation, mebibytes, median};
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
    twin: Twin,
}

/// How the same network is trained in PyTorch, in turns with the runs.
#[derive(Clone, Copy, PartialEq)]
enum Twin {
    None,
    /// For as many epochs as the run.
    Whole,
    /// For so many epochs, which tell the time of one.
    Epochs(&'static str),
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
        twin: Twin::Whole,
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
        twin: Twin::Epochs("2"),
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
        twin: Twin::None,
    },
];

/// One run: its seed, accuracy, that of the linear model, seconds of an epoch and of the whole command, peak memory; and its twin.
struct Trained {
    seed: u64,
    accuracy: f64,
    linear: f64,
    epoch_seconds: f64,
    seconds: f64,
    peak_bytes: u64,
    twin: Option<Value>,
}

/// Names of all rows.
pub fn names() -> Vec<&'static str> {
    ROWS.iter().map(|row| row.experiment.name).collect()
}

/// Runs the named rows with their seeds, or with the given ones, prints the tables and returns them with their heading;
/// `epochs` instead of the default number are for a short look.
///
/// # Errors
/// If a run or its twin fails.
pub fn images(
    place: &Place,
    names: &[&str],
    seeds: Option<&[u64]>,
    epochs: Option<usize>,
) -> Outcome<String> {
    let words = place.words(&["torch", "numpy"])?;
    let settings: Vec<String> = epochs.iter().map(|epochs| format!("train.epochs={epochs}")).collect();
    let (mut lines, mut turns) = (Vec::new(), Vec::new());
    for row in ROWS.iter().filter(|row| names.contains(&row.experiment.name)) {
        let mut trained = Vec::new();
        for seed in seeds.unwrap_or(row.seeds) {
            let one = row.train(place, *seed, &settings)?;
            println!(
                "{} · seed {seed} · accuracy {:.4} · {:.1} s",
                row.experiment.name, one.accuracy, one.seconds
            );
            trained.push(one);
        }
        lines.push(row.line(&trained));
        turns.extend(row.turns(&trained));
    }
    let head =
        ["data", "seeds", "accuracy", "least", "reached", "linear", "seconds", "most", "in time", "peak MiB"];
    let mut text = format!("{words}\n\n{}", document::table(&head, &lines));
    if !turns.is_empty() {
        let table = document::table(&["data", "what", "Outset", "PyTorch"], &turns);
        text.push_str(&format!("\n\nThe same network, in turns:\n\n{table}"));
    }
    println!("\n{text}");
    Ok(text)
}

impl Row {
    fn train(&self, place: &Place, seed: u64, settings: &[String]) -> Outcome<Trained> {
        let ran = self.experiment.run(place, seed, settings)?;
        let twin = match self.twin {
            Twin::None => None,
            Twin::Whole => Some(&[][..]),
            Twin::Epochs(epochs) => Some(&["--epochs", epochs][..]),
        };
        let twin =
            twin.map(|more| self.experiment.twin(place, "images/twin.py", &ran, seed, more)).transpose()?;
        let epochs = number(&ran.record["training"]["epochs"]);
        let accuracy = |metrics: &Value| number(&metrics["test"][self.output]["accuracy"]);
        Ok(Trained {
            seed,
            accuracy: accuracy(&ran.record["metrics"]),
            linear: accuracy(&ran.record["baselines"]["linear"]),
            epoch_seconds: number(&ran.record["timings"]["train"]) / epochs,
            seconds: ran.seconds,
            peak_bytes: ran.peak_bytes,
            twin,
        })
    }

    /// The lines that set the runs beside the same network in PyTorch.
    fn turns(&self, trained: &[Trained]) -> Vec<Vec<String>> {
        let twins: Vec<&Value> = trained.iter().filter_map(|one| one.twin.as_ref()).collect();
        if twins.is_empty() {
            return Vec::new();
        }
        let of_twins = |key: &str| median(&twins.iter().map(|twin| number(&twin[key])).collect::<Vec<_>>());
        let of_runs = |of: &dyn Fn(&Trained) -> f64| median(&trained.iter().map(of).collect::<Vec<_>>());
        let line = |what: &str, ours: f64, theirs: f64, digits: usize| {
            let figures = [ours, theirs].map(|figure| format!("{figure:.digits$}"));
            [&[self.experiment.name.to_owned(), what.to_owned()][..], &figures].concat()
        };
        let mut lines = Vec::new();
        if self.twin == Twin::Whole {
            lines.push(line("accuracy", of_runs(&|one| one.accuracy), of_twins("accuracy"), 4));
        }
        // Ours has the evaluation on val after the epoch in it.
        lines.push(line(
            "seconds of an epoch",
            of_runs(&|one| one.epoch_seconds),
            of_twins("epoch_seconds"),
            1,
        ));
        lines
    }

    fn line(&self, trained: &[Trained]) -> Vec<String> {
        let all = |of: &dyn Fn(&Trained) -> f64| -> Vec<f64> { trained.iter().map(of).collect() };
        let (mean, deviation) = mean_and_deviation(&all(&|one| one.accuracy));
        let seconds = median(&all(&|one| one.seconds));
        let peak = trained.iter().map(|one| one.peak_bytes).max().unwrap_or(0);
        let yes = |reached: bool| if reached { "yes" } else { "no" }.to_owned();
        vec![
            self.experiment.name.to_owned(),
            listed(trained.iter().map(|one| one.seed)),
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
        let row = Row {
            experiment: experiment("a", &[]),
            output: "y",
            accuracy: 0.9,
            seconds: 10.0,
            seeds: &[],
            twin: Twin::Whole,
        };
        let one = |accuracy, seconds| Trained {
            seed: 3,
            accuracy,
            linear: 0.5,
            epoch_seconds: 2.0,
            seconds,
            peak_bytes: 1 << 20,
            twin: Some(serde_json::json!({"accuracy": 0.8, "epoch_seconds": 3.0})),
        };
        let line = row.line(&[one(0.95, 5.0), one(0.91, 15.0)]);
        assert_eq!((line[1].as_str(), line[4].as_str()), ("3, 3", "yes"));
        assert_eq!((line[8].as_str(), line[9].as_str()), ("yes", "1"));
        let line = row.line(&[one(0.85, 11.0)]);
        assert_eq!((line[2].as_str(), line[4].as_str(), line[8].as_str()), ("0.8500", "no", "no"));
        assert_eq!(row.line(&[one(f64::NAN, 11.0)])[4], "no");
        let turns = row.turns(&[one(0.9, 1.0)]);
        assert_eq!(turns[0], ["a", "accuracy", "0.9000", "0.8000"]);
        assert_eq!(turns[1], ["a", "seconds of an epoch", "2.0", "3.0"]);
        assert!(row.turns(&[Trained { twin: None, ..one(0.9, 1.0) }]).is_empty());
    }

    #[test]
    fn each_row_has_its_experiment() {
        for row in ROWS {
            check_file(&row.experiment, &[row.output]);
        }
    }
}
