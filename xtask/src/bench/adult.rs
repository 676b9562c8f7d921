//! `bench start`, part two: adult from file to report, beside the same network trained in PyTorch.

use super::measure::{Comparison, Goal, Unit, mebibytes, median};
use super::place::Place;
use super::{Outcome, process};
use serde_json::Value;
use std::path::PathBuf;
use std::time::Duration;

/// The data, under the folder of the data sets.
const DATA: &str = "tabular_classification/adult_income/adult_train.csv";

/// Runs of Outset; the twin is run once, between the first and the second.
const ROUNDS: usize = 3;

/// Longest time for one run, and for its twin.
const LIMIT: Duration = Duration::from_secs(1800);

/// The comparison, and what the servers serve.
pub struct Adult {
    pub comparisons: Vec<Comparison>,
    /// Folder of the last run.
    pub run: PathBuf,
    /// What the twin saved.
    pub saved: PathBuf,
}

/// Trains with both and compares the whole processes.
///
/// # Errors
/// If either fails.
pub fn adult(place: &Place) -> Outcome<Adult> {
    let data = place.data(DATA)?;
    let (runs, saved, log) =
        (place.work.join("adult"), place.work.join("adult-twin.pt"), place.work.join("adult-log"));
    let (mut seconds, mut memory, mut twins) = (Vec::new(), Vec::new(), None);
    let mut run = PathBuf::new();
    for round in 1..=ROUNDS {
        let mut command = place.outset(&["run"]);
        command.arg(&data).args(["--target", "income", "--runs"]).arg(&runs);
        let finished = process::run(&mut command, &log, LIMIT)?;
        println!("adult · round {round}/{ROUNDS} · outset {:.1} s", finished.seconds);
        seconds.push(finished.seconds);
        memory.push(mebibytes(finished.peak_bytes));
        run = runs.join(format!("adult_train-{round}"));
        if twins.is_none() {
            let record: Value = serde_json::from_str(&std::fs::read_to_string(run.join("run.json"))?)?;
            let epochs =
                record["training"]["epochs"].as_u64().ok_or("the run's record lacks `training.epochs`")?;
            let mut twin = place.twin("adult/twin.py");
            twin.arg("--experiment").arg(run.join("experiment.toml")).arg("--data").arg(&data);
            twin.args(["--target", "income", "--epochs", &epochs.to_string(), "--save"]).arg(&saved);
            let finished = process::run(&mut twin, &log, LIMIT)?;
            let last = finished.output.lines().last().unwrap_or_default();
            println!("adult · twin {:.1} s · {epochs} epochs · {last}", finished.seconds);
            twins = Some((finished.seconds, mebibytes(finished.peak_bytes)));
        }
    }
    let compare = |what: &str, outset: &[f64], twin, unit, goal| Comparison {
        what: what.to_owned(),
        outset: median(outset),
        twin,
        unit,
        goal,
    };
    let comparisons = vec![
        compare(
            "adult from file to report",
            &seconds,
            twins.map(|twin| twin.0),
            Unit::Seconds,
            Goal::AtMost(60.0),
        ),
        compare("… its peak memory", &memory, twins.map(|twin| twin.1), Unit::Mebibytes, Goal::None),
    ];
    Ok(Adult { comparisons, run, saved })
}
