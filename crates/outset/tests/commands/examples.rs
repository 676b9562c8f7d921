//! Everything that is shipped runs.

use crate::common::Sandbox;
use crate::{column, numbers};
use std::path::Path;

#[test]
fn every_example_runs() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples");
    for example in std::fs::read_dir(folder).unwrap() {
        let example = example.unwrap().path();
        if !example.join("outset.toml").is_file() {
            continue;
        }
        let sandbox = Sandbox::new();
        let path = example.display().to_string();
        sandbox.ok(&["-q", "run", &path, "--runs", "runs", "train.steps=2"]);
        assert!(example.join("README.md").is_file(), "{path} has a page about it");
    }
}

#[test]
fn the_line_is_that_of_least_squares() {
    let sandbox = Sandbox::new();
    sandbox.ok(&["-q", "new", "--example", "line"]);
    sandbox.ok(&["-q", "run", "line"]);
    let record = sandbox.json("line/runs/line-1/run.json");
    let line = record["details"]["y"]["fit"]["line"].as_array().unwrap();
    let at = |index: usize, axis: usize| line[index][axis].as_f64().unwrap();
    let last = line.len() - 1;
    let slope = (at(last, 1) - at(0, 1)) / (at(last, 0) - at(0, 0));
    let intercept = at(0, 1) - slope * at(0, 0);

    // Least squares on the train part by its normal equations.
    let data = sandbox.read("line/line.csv");
    let parts = column(&sandbox.read("line/runs/line-1/split.csv"), "part");
    let rows: Vec<(f64, f64)> = numbers(&data, "x")
        .into_iter()
        .zip(numbers(&data, "y"))
        .zip(parts)
        .filter(|(_, part)| part == "train")
        .map(|(row, _)| row)
        .collect();
    let count = rows.len() as f64;
    let (x, y) = (
        rows.iter().map(|row| row.0).sum::<f64>() / count,
        rows.iter().map(|row| row.1).sum::<f64>() / count,
    );
    let best = rows.iter().map(|row| (row.0 - x) * (row.1 - y)).sum::<f64>()
        / rows.iter().map(|row| (row.0 - x).powi(2)).sum::<f64>();
    assert!((slope / best - 1.0).abs() < 0.01, "slope {slope}, least squares {best}");
    let best = y - best * x;
    assert!((intercept / best - 1.0).abs() < 0.01, "intercept {intercept}, least squares {best}");
}
