//! The course of a run in other trackers' files, read back by their own readers where these are installed.
#![allow(clippy::print_stderr)]

mod common;

use common::Sandbox;
use serde_json::Value;
use std::fmt::Write as _;
use std::process::Command;

fn after_run() -> (Sandbox, Vec<Value>) {
    let mut rows = String::from("age,price\n");
    for row in 0..200 {
        let _ = writeln!(rows, "{},{}", 20 + row * 37 % 50, 100 + 3 * (row * 37 % 50));
    }
    let sandbox = Sandbox::new();
    sandbox.write("data.csv", rows);
    let settings = ["model.members=1", "model.hidden_size=8", "train.epochs=3"];
    sandbox.ok(&[&["-q", "run", "data.csv", "--target", "price"], &settings[..]].concat());
    let lines = sandbox.read("runs/data-1/metrics.jsonl");
    (sandbox, lines.lines().map(|line| serde_json::from_str(line).unwrap()).collect())
}

/// What a script of Python prints, or `None` where the module that it needs is not installed.
fn python(module: &str, script: &str, argument: &str) -> Option<Value> {
    let python = std::env::var("OUTSET_PYTHON").unwrap_or_else(|_| "python3".to_owned());
    let found = Command::new(&python).args(["-c", &format!("import {module}")]).output();
    if !found.is_ok_and(|found| found.status.success()) {
        eprintln!("left out: {python} has no {module}");
        return None;
    }
    let output = Command::new(&python).args(["-c", script, argument]).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    Some(serde_json::from_slice(&output.stdout).unwrap())
}

#[test]
fn tensorboard_reads_its_event_files() {
    let (sandbox, lines) = after_run();
    let path = sandbox.ok(&["track", "runs/data-1", "--tensorboard", "board"]);
    let path = path.trim();
    let bytes = std::fs::read(sandbox.path(path)).unwrap();
    // The first record says the version of the format.
    assert_eq!(u64::from_le_bytes(bytes[..8].try_into().unwrap()) as usize, 9 + 2 + 2 + 13);
    assert_eq!(&bytes[12 + 13..12 + 26], b"brain.Event:2");
    let script = "
import json, sys
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
events = EventAccumulator(sys.argv[1]); events.Reload()
print(json.dumps({tag: [[event.step, event.value] for event in events.Scalars(tag)]
                  for tag in events.Tags()['scalars']}))
";
    let folder = sandbox.path("board/data-1");
    let Some(read) = python("tensorboard", script, folder.to_str().unwrap()) else { return };
    for line in &lines {
        for (name, value) in line["values"].as_object().unwrap() {
            let tag = format!("{}/{name}", line["part"].as_str().unwrap());
            let points = read[&tag].as_array().unwrap_or_else(|| panic!("{tag}"));
            let expected = value.as_f64().unwrap() as f32;
            let found = points
                .iter()
                .any(|point| point[0] == line["step"] && point[1].as_f64().unwrap() as f32 == expected);
            assert!(found, "{tag} {value} in {points:?}");
        }
    }
    assert!(read["test/price/rmse"].is_array());
}

#[test]
fn mlflow_reads_its_file_store() {
    let (sandbox, lines) = after_run();
    let path = sandbox.ok(&["track", "runs/data-1", "--mlflow", "mlruns"]);
    let losses = std::fs::read_to_string(sandbox.path(path.trim()).join("metrics/val/loss")).unwrap();
    let val: Vec<&Value> = lines.iter().filter(|line| line["part"] == "val").collect();
    assert_eq!(losses.lines().count(), val.len());
    for (written, line) in losses.lines().zip(&val) {
        let words: Vec<&str> = written.split(' ').collect();
        assert_eq!(words[1].parse::<f64>().unwrap(), line["values"]["loss"].as_f64().unwrap());
        assert_eq!(words[2], line["step"].to_string());
    }
    let script = "
import json, os, sys
os.environ['MLFLOW_ALLOW_FILE_STORE'] = 'true'
from mlflow.tracking import MlflowClient
client = MlflowClient(tracking_uri='file://' + sys.argv[1])
experiment = client.get_experiment_by_name('data')
run = client.search_runs([experiment.experiment_id])[0]
print(json.dumps({'name': run.info.run_name, 'status': run.info.status, 'metrics': run.data.metrics,
                  'params': run.data.params}))
";
    let Some(read) = python("mlflow", script, sandbox.path("mlruns").to_str().unwrap()) else { return };
    assert_eq!(read["name"], "data-1");
    assert_eq!(read["status"], "FINISHED");
    assert_eq!(read["metrics"]["val/loss"], val.last().unwrap()["values"]["loss"]);
}
