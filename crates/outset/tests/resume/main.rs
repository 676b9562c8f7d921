//! Runs that are killed, stopped, damaged or starved of disk, and what comes of going on with them.
#![cfg(unix)]

#[path = "../common/mod.rs"]
mod common;
mod killed;
mod resumed;

use common::Sandbox;
use std::fmt::Write as _;
use std::io::{BufRead as _, BufReader, Lines};
use std::path::PathBuf;
use std::process::{Child, ChildStdout, Command, Stdio};

/// Settings that use all of the state: dropout, the moving average, a schedule, passes within a step, a last batch that
/// is not full; and a checkpoint every few steps.
const TRAIN: &str = "[model]\nmembers = 2\nhidden_size = 32\ndropout = 0.2\n[train]\nepochs = 12\nbatch_size = 32\n\
                     micro_batch_size = 24\nschedule = \"cosine\"\nema = 0.9\nearly_stopping = false\n\
                     checkpoint = { every = 3, keep = 2 }\n";

/// A folder with an experiment on made rows of a table.
fn experiment() -> Sandbox {
    let mut rows = String::from("age,city,price\n");
    for row in 0..300 {
        let lot = row * 7919 % 1013;
        let _ =
            writeln!(rows, "{},{},{}", 20 + lot % 50, ["Rome", "Oslo"][lot % 2], 100 + 3 * lot + row % 11);
    }
    let file =
        format!("name = \"it\"\n[data]\nsource = \"data.csv\"\n[outputs]\nprice = \"number\"\n{TRAIN}");
    let sandbox = Sandbox::new();
    sandbox.write("data.csv", rows).write("outset.toml", file);
    sandbox
}

const RUN: [&str; 4] = ["-q", "--threads", "1", "run"];
const RESUME: [&str; 6] = ["-q", "--threads", "1", "train", "--resume", "runs/it-1"];

/// What must be equal, byte for byte.
fn outcome(sandbox: &Sandbox) -> Vec<(String, Vec<u8>)> {
    let files = [
        "metrics.jsonl",
        "predictions.csv",
        "split.csv",
        "experiment.toml",
        "checkpoints/best/model.safetensors",
    ];
    let run = sandbox.path("runs/it-1");
    let bundled = std::fs::read_dir(run.join("bundle")).unwrap().map(|entry| entry.unwrap().path());
    let mut paths: Vec<PathBuf> = files.iter().map(|name| run.join(name)).chain(bundled).collect();
    paths.sort();
    let mut found: Vec<(String, Vec<u8>)> = paths
        .iter()
        .map(|path| {
            let bytes = std::fs::read(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
            (path.strip_prefix(&run).unwrap().display().to_string(), bytes)
        })
        .collect();
    let record = sandbox.json("runs/it-1/run.json");
    for key in ["metrics", "intervals", "baselines", "verdict", "data", "model", "state"] {
        found.push((key.to_owned(), record[key].to_string().into_bytes()));
    }
    found
}

fn assert_equal(sandbox: &Sandbox, expected: &[(String, Vec<u8>)]) {
    let found = outcome(sandbox);
    assert_eq!(found.len(), expected.len());
    for ((name, found), (_, expected)) in found.iter().zip(expected) {
        assert!(found == expected, "{name} differs from that of the uninterrupted run");
    }
}

fn spawn(sandbox: &Sandbox, arguments: &[&str]) -> Child {
    sandbox.command(arguments).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap()
}

/// Whether a checkpoint is half-written.
fn half_written(sandbox: &Sandbox) -> bool {
    let entries = std::fs::read_dir(sandbox.path("runs/it-1/checkpoints"));
    entries
        .into_iter()
        .flatten()
        .flatten()
        .any(|entry| entry.file_name().to_string_lossy().ends_with(".partial"))
}

/// Random enough for moments; where the program is at one of them is up to the machine.
fn random(state: &mut u64) -> u64 {
    *state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
    *state >> 33
}

/// Begins a run with a setting, and waits for the end of an epoch; its further lines of JSON come along.
fn begin(sandbox: &Sandbox, setting: &str, epoch: usize) -> (Child, Lines<BufReader<ChildStdout>>) {
    let arguments = ["--json", "--threads", "1", "run", setting];
    let mut child = sandbox.command(&arguments).stdout(Stdio::piped()).spawn().unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let end = format!("\"event\":\"epoch\",\"epoch\":{epoch},");
    assert!(lines.any(|line| line.unwrap().contains(&end)), "training begins");
    (child, lines)
}

/// Begins a run and stops it by Ctrl-C once a few checkpoints are there.
fn stopped() -> Sandbox {
    let sandbox = experiment();
    let (mut child, lines) = begin(&sandbox, "train.epochs=200", 4);
    let status = Command::new("kill").arg("-INT").arg(child.id().to_string()).status().unwrap();
    assert!(status.success());
    lines.for_each(drop);
    assert!(child.wait().unwrap().success());
    sandbox
}

/// The folders of checkpoints, the latest last.
fn checkpoints(sandbox: &Sandbox) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(sandbox.path("runs/it-1/checkpoints")).unwrap();
    let mut found: Vec<PathBuf> = entries.map(|entry| entry.unwrap().path()).collect();
    found.retain(|path| path.file_name().unwrap().to_string_lossy().starts_with("step-"));
    found.sort();
    found
}

fn resume(sandbox: &Sandbox) -> (Option<i32>, String) {
    let output = sandbox.output(&["--threads", "1", "train", "--resume", "runs/it-1"]);
    (output.status.code(), String::from_utf8(output.stderr).unwrap())
}
