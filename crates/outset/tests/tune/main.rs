//! Searches for better settings: begun, stopped, shared, and what they leave.
#![cfg(unix)]

#[path = "../common/mod.rs"]
mod common;
mod found;
mod stopped;
mod told;

use common::Sandbox;
use serde_json::Value;
use std::fmt::Write as _;

/// A table of so many rows.
fn rows(count: usize) -> String {
    let mut rows = String::from("age,city,price\n");
    for row in 0..count {
        let lot = row * 7919 % 1013;
        let age = 20 + lot % 50;
        let _ = writeln!(rows, "{age},{},{}", ["Rome", "Oslo"][lot % 2], 100 + 3 * age + (row * 37) % 11);
    }
    rows
}

fn experiment(tune: &str) -> Sandbox {
    // The declared learning rate is far too small.
    let file = format!(
        "name = \"it\"\n[data]\nsource = \"data.csv\"\n[outputs]\nprice = \"number\"\n\
         [model]\nmembers = 2\nhidden_size = 16\nnum_layers = 1\n\
         [train]\nepochs = 9\nema = 0.0\nearly_stopping = false\n\
         optimizer = {{ kind = \"adamw\", learning_rate = 1e-5 }}\n[tune]\n{tune}"
    );
    let sandbox = Sandbox::new();
    sandbox.write("data.csv", rows(400)).write("outset.toml", file);
    sandbox
}

/// Tunes, and demands that the bundle answers val as the trial that won did.
fn tuned(sandbox: &Sandbox, arguments: &[&str]) -> Value {
    let output = sandbox.ok(&[&["--json", "--threads", "1"], arguments].concat());
    let record: Value = serde_json::from_str(output.lines().last().unwrap()).unwrap();
    let best = record["tune"]["best"].as_f64().unwrap();
    let found = record["metrics"]["val"]["price"]["rmse"].as_f64().unwrap();
    assert!((found - best).abs() < 1e-9 * best, "the bundle is the trial that won: {found} {best}");
    record
}

/// Demands that the winning file, run as any other experiment, gives the bundle's weights.
fn check_best_file(sandbox: &Sandbox) {
    sandbox.ok(&["-q", "--threads", "1", "run", "runs/it-1/best.toml", "--runs", "again"]);
    let weights =
        |runs: &str| std::fs::read(sandbox.path(&format!("{runs}/it-1/bundle/model.safetensors"))).unwrap();
    assert!(weights("runs") == weights("again"), "weights differ");
}

/// The values that the trials had for a key.
fn values(record: &Value, key: &str) -> Vec<Value> {
    let trials = record["tune"]["trials"].as_array().unwrap();
    trials.iter().filter_map(|trial| trial["settings"].get(key)).cloned().collect()
}

const SPACE: &str = "trials = 8\nparallel = 2\n\
                     space.\"train.optimizer.learning_rate\" = { log = [1e-4, 1e-1] }\n\
                     space.\"model.hidden_size\" = { choice = [8, 16] }\n";
