//! Whole commands, from a file of rows to answers.

#[path = "../common/mod.rs"]
mod common;
mod examples;
mod rows;

use common::Sandbox;
use serde_json::Value;
use std::io::{BufRead as _, BufReader, Write as _};
use std::process::{Output, Stdio};

/// Overrides that make a run take a moment.
const TINY: [&str; 3] = ["model.members=2", "model.hidden_size=16", "train.epochs=2"];

/// Made customers: numbers with holes, categories, a date, a set, a group, a weight, and outputs that depend on them.
fn customers(rows: std::ops::Range<usize>) -> String {
    let mut text = String::from("age,city,joined,tags,household,part,importance,price,plan,hobbies\n");
    for row in rows {
        let lot = row * 7919 % 1013;
        let (age, city) = (20 + lot % 50, ["Rome", "Oslo", "Lima"][lot % 3]);
        let part = ["train", "train", "train", "val", "test"][row % 5];
        let plan = if (lot * 31) % 100 < 15 + age / 2 { "paid" } else { "free" };
        let hobbies = ["music", "music|sport", "sport", "chess|music"][(lot + row) % 4];
        let shown = if row % 17 == 0 { String::new() } else { age.to_string() };
        text.push_str(&format!(
            "{shown},{city},2024-{:02}-{:02},{hobbies},h{},{part},{},{},{plan},{hobbies}\n",
            1 + lot % 12,
            1 + lot % 28,
            row / 4,
            1 + row % 3,
            100 + 3 * age + lot % 11,
        ));
    }
    text
}

/// A small table with a number and a category as inputs.
fn small(target: &str) -> String {
    let all = customers(0..160);
    let wanted: Vec<usize> = ["age", "city", target]
        .iter()
        .map(|name| all.lines().next().unwrap().split(',').position(|c| c == *name).unwrap())
        .collect();
    all.lines()
        .map(|line| {
            let cells: Vec<&str> = line.split(',').collect();
            wanted.iter().map(|at| cells[*at]).collect::<Vec<_>>().join(",") + "\n"
        })
        .collect()
}

/// A folder with `data.csv` and a finished tiny run of it in `runs/data-1`.
fn after_run(target: &str) -> Sandbox {
    let sandbox = Sandbox::new();
    sandbox.write("data.csv", small(target));
    sandbox.ok(&with(&["-q", "run", "data.csv", "--target", target], &TINY));
    sandbox
}

fn with<'a>(arguments: &[&'a str], more: &[&'a str]) -> Vec<&'a str> {
    [arguments, more].concat()
}

/// Runs an experiment file beside the customers and gives the record.
fn run_file(file: &str) -> Value {
    let sandbox = Sandbox::new();
    sandbox.write("data.csv", customers(0..160)).write("outset.toml", format!("name = \"it\"\n{file}"));
    sandbox.ok(&with(&["-q", "run"], &TINY));
    sandbox.json("runs/it-1/run.json")
}

fn bytes(sandbox: &Sandbox, name: &str) -> Vec<u8> {
    std::fs::read(sandbox.path(name)).unwrap_or_else(|error| panic!("{name}: {error}"))
}

/// The cells of one column.
fn column(csv: &str, name: &str) -> Vec<String> {
    let mut lines = csv.lines().map(|line| line.split(',').map(str::to_owned).collect::<Vec<_>>());
    let header = lines.next().unwrap();
    let at = header.iter().position(|cell| cell == name).unwrap_or_else(|| panic!("no {name} in {header:?}"));
    lines.map(|cells| cells[at].clone()).collect()
}

fn numbers(csv: &str, name: &str) -> Vec<f64> {
    column(csv, name).iter().map(|cell| cell.parse().unwrap()).collect()
}

fn assert_close(found: &[f64], expected: &[f64]) {
    assert_eq!(found.len(), expected.len());
    for (found, expected) in found.iter().zip(expected) {
        assert!((found - expected).abs() <= 1e-5 * expected.abs().max(1.0), "{found} against {expected}");
    }
}

fn keys(value: &Value) -> Vec<&str> {
    value.as_object().unwrap().keys().map(String::as_str).collect()
}

fn answer_with(sandbox: &Sandbox, arguments: &[&str], input: &str) -> Output {
    let mut child = sandbox
        .command(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
    child.wait_with_output().unwrap()
}

#[test]
fn a_run_leaves_its_files() {
    let sandbox = after_run("plan");
    for file in [
        "experiment.toml",
        "run.json",
        "metrics.jsonl",
        "split.csv",
        "predictions.csv",
        "report.html",
        "bundle/bundle.json",
        "bundle/preprocessor.json",
        "bundle/model.safetensors",
        "bundle/probes.jsonl",
        "bundle/card.md",
        "plots/loss.svg",
        "plots/loss.png",
    ] {
        assert!(sandbox.path("runs/data-1").join(file).is_file(), "{file}");
    }
    let entries = std::fs::read_dir(sandbox.path("runs/data-1/checkpoints")).unwrap();
    let mut names: Vec<String> =
        entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    assert!(names.len() == 2 && names[0] == "best" && names[1].starts_with("step-0000"), "{names:?}");

    let record = sandbox.json("runs/data-1/run.json");
    for part in ["train", "val", "test"] {
        let metrics = &record["metrics"][part]["plan"];
        assert!(metrics["accuracy"].is_number() && metrics["roc_auc"].is_number(), "{part}: {metrics}");
    }
    let interval = &record["intervals"]["test"]["plan"]["accuracy"];
    assert!(interval[0].as_f64() <= interval[1].as_f64() && interval[1].is_number(), "{interval}");
    for baseline in ["constant", "linear"] {
        for part in ["val", "test"] {
            assert!(record["baselines"][baseline][part]["plan"]["accuracy"].is_number(), "{baseline} {part}");
        }
    }
    assert!(!record["verdict"].as_array().unwrap().is_empty());
    assert_eq!(record["test_looks"], 1);
    assert_eq!(record["state"], "finished");
    assert!(record["timings"]["report"].is_number());
    assert_eq!(record["data"]["files"][0]["sha256"].as_str().unwrap().len(), 64);

    let split = sandbox.read("runs/data-1/split.csv");
    assert_eq!(split.lines().next().unwrap(), "row,part");
    assert_eq!(column(&split, "row"), (1..=160).map(|row| row.to_string()).collect::<Vec<_>>());
    let tested: Vec<String> =
        split.lines().filter_map(|line| line.strip_suffix(",test").map(str::to_owned)).collect();
    let predictions = sandbox.read("runs/data-1/predictions.csv");
    assert_eq!(
        predictions.lines().next().unwrap(),
        "row,plan,plan_prediction,plan_probability_free,plan_probability_paid"
    );
    assert_eq!(column(&predictions, "row"), tested);
    let truth = column(&small("plan"), "plan");
    for (row, actual) in column(&predictions, "row").iter().zip(column(&predictions, "plan")) {
        assert_eq!(truth[row.parse::<usize>().unwrap() - 1], actual, "rows are numbered as in the source");
    }
    for line in sandbox.read("runs/data-1/metrics.jsonl").lines() {
        let line: Value = serde_json::from_str(line).unwrap();
        assert_eq!(keys(&line), ["step", "epoch", "part", "values"], "no clock times");
    }
}

#[test]
fn equal_seeds_give_equal_bytes() {
    let sandbox = after_run("price");
    let same = ["bundle/model.safetensors", "metrics.jsonl", "predictions.csv", "split.csv"];
    let again = with(&["-q", "run", "data.csv", "--target", "price"], &TINY);
    sandbox.ok(&again);
    sandbox.ok(&with(&again, &["--threads", "1"]));
    sandbox.ok(&with(&again, &["--threads", "2"]));
    sandbox.ok(&with(&again, &["train.seed=43"]));
    for file in same {
        for run in 2..=4 {
            let equal = bytes(&sandbox, &format!("runs/data-1/{file}"))
                == bytes(&sandbox, &format!("runs/data-{run}/{file}"));
            assert!(equal, "{file} of run {run}");
        }
    }
    assert!(bytes(&sandbox, "runs/data-1/metrics.jsonl") != bytes(&sandbox, "runs/data-5/metrics.jsonl"));
}

#[test]
fn predictions_are_those_of_the_test() {
    let sandbox = after_run("price");
    let tested = sandbox.read("runs/data-1/predictions.csv");
    let expected = numbers(&tested, "price_prediction");
    let all = small("price");
    let mut csv = String::from("age,city,price\n");
    let mut json = String::new();
    for row in numbers(&tested, "row") {
        let line = all.lines().nth(row as usize).unwrap();
        csv.push_str(&format!("{line}\n"));
        let cells: Vec<&str> = line.split(',').collect();
        let age = if cells[0].is_empty() { "null" } else { cells[0] };
        json.push_str(&format!("{{\"age\":{age},\"city\":\"{}\"}}\n", cells[1]));
    }
    sandbox.write("new.csv", &csv).write("new.jsonl", &json);
    let answers = sandbox.ok(&["-q", "predict", "runs/data-1", "new.csv"]);
    assert_close(&numbers(&answers, "price_prediction"), &expected);
    assert_eq!(sandbox.ok(&["-q", "predict", "runs/data-1/bundle", "new.jsonl"]), answers);
    for input in [&csv, &json] {
        let output = answer_with(&sandbox, &["-q", "predict", "runs/data-1", "-"], input);
        assert_eq!(
            String::from_utf8_lossy(&output.stdout),
            answers,
            "{}",
            String::from_utf8_lossy(&output.stderr)
        );
    }
    sandbox.ok(&["predict", "runs/data-1", "new.csv", "-o", "x.csv"]);
    assert_eq!(sandbox.read("x.csv"), answers);
    sandbox.ok(&["predict", "runs/data-1", "new.csv", "-o", "x.jsonl"]);
    let lines: Vec<Value> =
        sandbox.read("x.jsonl").lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let found: Vec<f64> = lines.iter().map(|line| line["price"]["prediction"].as_f64().unwrap()).collect();
    assert_close(&found, &expected);
}

#[test]
fn looks_at_the_test_part_are_counted() {
    let sandbox = after_run("price");
    let metrics = sandbox.json("runs/data-1/run.json")["metrics"]["test"].clone();
    // The report of the run itself cannot yet say how long it took to write.
    sandbox.ok(&["report", "runs/data-1"]);
    let report = bytes(&sandbox, "runs/data-1/report.html");
    sandbox.ok(&["report", "runs/data-1"]);
    assert!(
        bytes(&sandbox, "runs/data-1/report.html") == report,
        "the report follows from the recorded facts alone"
    );
    for looks in [2, 3] {
        sandbox.ok(&["-q", "test", "runs/data-1"]);
        let record = sandbox.json("runs/data-1/run.json");
        assert_eq!(record["test_looks"], looks);
        assert_eq!(record["metrics"]["test"]["price"]["rmse"], metrics["price"]["rmse"]);
    }
    sandbox.ok(&with(&["-q", "train", "data.csv", "--target", "price"], &TINY));
    let trained = sandbox.json("runs/data-2/run.json");
    assert_eq!(trained["test_looks"], 0);
    assert!(trained["metrics"]["test"].is_null() && !sandbox.path("runs/data-2/predictions.csv").exists());
}

#[test]
fn a_filled_in_file_runs_again() {
    let sandbox = after_run("plan");
    let weights = bytes(&sandbox, "runs/data-1/bundle/model.safetensors");
    let checked = sandbox.ok(&with(&["-q", "check", "data.csv", "--target", "plan"], &TINY));
    sandbox.write("outset.toml", &checked);
    assert_eq!(sandbox.ok(&["-q", "check"]), checked, "nothing is left to fill in");
    sandbox.ok(&["-q", "run"]);
    assert!(bytes(&sandbox, "runs/data-2/bundle/model.safetensors") == weights, "from `check`");
    sandbox.ok(&["-q", "run", "runs/data-1/experiment.toml"]);
    assert!(
        bytes(&sandbox, "runs/data-1/runs/data-1/bundle/model.safetensors") == weights,
        "from the run's copy"
    );
}

#[test]
fn an_experiment_is_drafted() {
    let sandbox = Sandbox::new();
    sandbox.write("data.csv", small("price"));
    sandbox.ok(&["-q", "new", "it", "--from", "data.csv", "--target", "price"]);
    assert!(sandbox.read("it/outset.toml").contains("source = \"../data.csv\""));
    sandbox.ok(&with(&["-q", "run", "it"], &TINY));
    sandbox.ok(&with(&["-q", "run", "data.csv", "--target", "price"], &TINY));
    let weights = "bundle/model.safetensors";
    assert!(
        bytes(&sandbox, &format!("it/runs/data-1/{weights}"))
            == bytes(&sandbox, &format!("runs/data-1/{weights}"))
    );
    sandbox.ok(&["-q", "new", "--example", "line"]);
    assert!(sandbox.path("line/line.csv").is_file());
    let again = sandbox.output(&["-q", "new", "--example", "line"]);
    assert_eq!(again.status.code(), Some(2), "nothing is written over");
}

#[test]
fn columns_of_any_name_can_be_declared() {
    let sandbox = Sandbox::new();
    let mut text = "\"two\nlines\",\"Height (5'10\"\")\",\"left\nout\",price\n".to_owned();
    for row in 0..60 {
        text.push_str(&format!("{},{},same,{}\n", row % 7, row % 11, row % 7 * 2 + row % 11));
    }
    sandbox.write("data.csv", text);
    sandbox.ok(&["-q", "new", "it", "--from", "data.csv", "--target", "price"]);
    let drafted = sandbox.read("it/outset.toml");
    for line in ["\n\"two\\nlines\" = ", "\n\"Height (5'10\\\")\" = ", "\n# left out: constant"] {
        assert!(drafted.contains(line), "no {line} in\n{drafted}");
    }
    sandbox.ok(&with(&["-q", "run", "it"], &TINY));
    sandbox.ok(&["-q", "run", "it/runs/data-1/experiment.toml"]);
}

#[test]
fn json_is_an_object_a_line() {
    let sandbox = Sandbox::new();
    sandbox.write("data.csv", small("price"));
    let text = sandbox.ok(&with(&["--json", "run", "data.csv", "--target", "price"], &TINY));
    let lines: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let (last, events) = lines.split_last().unwrap();
    assert_eq!(*last, sandbox.json("runs/data-1/run.json"));
    assert!(events.iter().all(|event| event["event"].is_string()));
    let failed = sandbox.output(&["--json", "run", "data.csv", "--target", "nothing"]);
    let error: Value =
        serde_json::from_str(String::from_utf8_lossy(&failed.stdout).lines().last().unwrap()).unwrap();
    assert_eq!((failed.status.code(), &error["event"]), (Some(2), &Value::from("error")));
}

#[test]
fn what_the_program_says_of_itself() {
    let sandbox = Sandbox::new();
    for kind in [
        "activations",
        "decoders",
        "encoders",
        "examples",
        "initializers",
        "losses",
        "metrics",
        "models",
        "optimizers",
        "schedules",
        "settings",
        "types",
    ] {
        let text = sandbox.ok(&["list", kind]);
        assert!(text.lines().count() >= 2, "{kind}: {text}");
        for line in sandbox.ok(&["list", kind, "--json"]).lines() {
            let entry: Value = serde_json::from_str(line).unwrap();
            assert!(
                !entry["name"].as_str().unwrap().is_empty() && !entry["about"].as_str().unwrap().is_empty(),
                "{line}"
            );
        }
    }
    assert!(sandbox.ok(&["doctor"]).contains("threads"));
    assert!(sandbox.ok(&["completions", "bash"]).contains("_outset"));
    assert_eq!(sandbox.ok(&["--version"]), format!("outset {}\n", env!("CARGO_PKG_VERSION")));
}

#[test]
fn runs_started_at_once_get_different_numbers() {
    let sandbox = Sandbox::new();
    sandbox.write("data.csv", small("price"));
    let arguments = with(&["-q", "run", "data.csv", "--target", "price"], &TINY);
    let children: Vec<_> = (0..3).map(|_| sandbox.command(&arguments).spawn().unwrap()).collect();
    for mut child in children {
        assert!(child.wait().unwrap().success());
    }
    for run in 1..=3 {
        assert!(sandbox.path(&format!("runs/data-{run}/run.json")).is_file(), "run {run}");
    }
}

#[test]
#[cfg(unix)]
fn ctrl_c_leaves_a_usable_model() {
    let sandbox = Sandbox::new();
    sandbox.write("data.csv", small("price"));
    let arguments = [
        "--json",
        "run",
        "data.csv",
        "--target",
        "price",
        "model.members=2",
        "model.hidden_size=16",
        "train.epochs=1000000",
        "train.early_stopping=false",
    ];
    let mut child = sandbox.command(&arguments).stdout(Stdio::piped()).spawn().unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    assert!(lines.any(|line| line.unwrap().contains("\"event\":\"epoch\"")), "training begins");
    let killed =
        std::process::Command::new("sh").arg("-c").arg(format!("kill -INT {}", child.id())).status().unwrap();
    assert!(killed.success());
    let last = lines.map(Result::unwrap).last().unwrap();
    assert!(child.wait().unwrap().success());
    let record: Value = serde_json::from_str(&last).unwrap();
    assert_eq!(record["state"], "interrupted");
    assert!(record["metrics"]["val"]["price"]["rmse"].is_number());
    assert_eq!(record["test_looks"], 0, "it may go on");
    sandbox.ok(&["-q", "predict", "runs/data-1", "data.csv"]);
    sandbox.ok(&["-q", "test", "runs/data-1"]);
    let record = sandbox.json("runs/data-1/run.json");
    assert!(record["metrics"]["test"]["price"]["rmse"].is_number());
    assert_eq!(record["test_looks"], 1);
}
