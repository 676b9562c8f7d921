//! Forecasts: what they say, and that the run they speak of is known again.

mod common;

use common::Sandbox;
use serde_json::{Value, json};
use std::fmt::Write as _;

fn experiment(train: &str) -> Sandbox {
    let mut rows = String::from("age,city,price\n");
    for row in 0..400 {
        let lot = row * 7919 % 1013;
        let _ =
            writeln!(rows, "{},{},{}", 20 + lot % 50, ["Rome", "Oslo"][lot % 2], 100 + 3 * lot + row % 11);
    }
    let file = format!(
        "name = \"it\"\n[data]\nsource = \"data.csv\"\n[outputs]\nprice = \"number\"\n\
         [model]\nmembers = 2\nhidden_size = 32\n[train]\nearly_stopping = false\n{train}"
    );
    let sandbox = Sandbox::new();
    sandbox.write("data.csv", rows).write("outset.toml", file);
    sandbox
}

fn plan(sandbox: &Sandbox, arguments: &[&str]) -> Value {
    let output = sandbox.ok(&[&["--json", "--threads", "1", "plan"], arguments].concat());
    serde_json::from_str(output.lines().last().unwrap()).unwrap()
}

#[test]
#[cfg(unix)]
fn ctrl_c_ends_a_forecast_at_once_and_leaves_nothing() {
    let sandbox = experiment("epochs = 10\n");
    let mut rows = sandbox.read("data.csv");
    for row in 0..200_000 {
        let _ = writeln!(rows, "{},Rome,{}", row % 71, row % 1013);
    }
    sandbox.write("data.csv", rows).write("scratch/note.txt", "");
    let scratch = sandbox.path("scratch");
    let here = || std::fs::read_dir(&scratch).unwrap().count();
    let mut child = sandbox.command(&["-q", "plan"]).env("TMPDIR", &scratch).spawn().unwrap();
    while here() < 2 {
        assert!(child.try_wait().unwrap().is_none(), "the forecast ended too early");
        std::thread::sleep(std::time::Duration::from_millis(2));
    }
    // The folder is there a moment before the signal is listened for.
    std::thread::sleep(std::time::Duration::from_millis(100));
    std::process::Command::new("kill").arg("-INT").arg(child.id().to_string()).status().unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(130));
    assert_eq!(here(), 1, "the scratch folder is gone");
}

#[test]
fn a_forecast_is_made_kept_and_compared() {
    let sandbox = experiment("epochs = 10\nbatch_size = 32\n");
    let plan = plan(&sandbox, &[]);
    assert_eq!(plan["verdict"], "fits");
    assert_eq!(plan["rehearsal"]["steps"], 100);
    assert_eq!(plan["rehearsal"]["test_rows"], 40);
    for key in ["seconds", "peak_memory_bytes", "flops", "parameters", "energy_kwh"] {
        assert!(plan[key].as_f64().unwrap() > 0.0, "{key}");
    }
    assert!(plan["cost"]["amount"].as_f64().unwrap() > 0.0 && plan["cost"]["currency"] == "USD");
    assert!(plan["hardware"].as_array().unwrap().len() >= 5);
    let names: Vec<String> = std::fs::read_dir(sandbox.path("runs"))
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    assert_eq!(names, ["plan.json"], "nothing is run");

    sandbox.ok(&["-q", "--threads", "1", "run"]);
    let record = sandbox.json("runs/it-1/run.json");
    assert_eq!(record["model"]["parameters"], plan["parameters"]);
    let forecast = &record["forecast"];
    assert_eq!(forecast["seconds"], plan["seconds"]);
    assert_eq!(forecast["actual"]["steps"], 100);
    assert_eq!(forecast["actual"]["seconds"], record["timings"]["total"]);
    assert_eq!(forecast["actual"]["cost"], record["cost"]);
    assert!(record["cost"]["amount"].as_f64().unwrap() > 0.0);
    assert!(sandbox.read("runs/it-1/report.html").contains("<dt>forecast</dt>"));
    // Memory does not hang on how busy the machine is; time does, which is why a benchmark looks at it.
    let [foretold, came] = [&forecast["peak_memory_bytes"], &forecast["actual"]["peak_memory_bytes"]]
        .map(|bytes| bytes.as_f64().unwrap());
    assert!((foretold / came - 1.0).abs() < 0.15, "{foretold} {came}");
    assert!(sandbox.ok(&["runs"]).contains("USD"));

    // Another experiment is another forecast.
    sandbox.ok(&["-q", "--threads", "1", "run", "train.epochs=3"]);
    assert!(sandbox.json("runs/it-2/run.json")["forecast"].is_null());
}

#[test]
fn a_report_says_how_far_off_a_forecast_was() {
    let sandbox = Sandbox::new();
    let record = json!({
        "peak_memory_bytes": 100 << 20,
        "forecast": {
            "seconds": 12.0,
            "peak_memory_bytes": 90 << 20,
            "actual": { "seconds": 10.0, "peak_memory_bytes": 100 << 20 },
        },
    });
    sandbox.write("runs/it-1/run.json", record.to_string());
    sandbox.ok(&["report", "runs/it-1"]);
    let page = sandbox.read("runs/it-1/report.html");
    assert!(page.contains("<dt>forecast</dt><dd>12 s (+20 %), 90 MiB (-10 %)</dd>"));
}

#[test]
fn a_search_is_foretold_by_its_trials() {
    let sandbox = experiment("epochs = 27\nbatch_size = 32\n[tune]\ntrials = 27\n");
    let plan = plan(&sandbox, &[]);
    let search = &plan["rehearsal"]["search"];
    assert_eq!((&search["trials"], search["most_full_runs"].as_f64()), (&27.into(), Some(28.0)));
    assert!((search["full_runs"].as_f64().unwrap() - 4.0).abs() < 1e-9);
    // Nothing of it stops early but trials, which the shares tell.
    assert_eq!(plan["least_seconds"], plan["seconds"]);
    let limited = self::plan(&sandbox, &["tune.time_limit=1ms"]);
    let verdict = limited["verdict"].as_str().unwrap();
    assert!(
        verdict.starts_with("fits if `tune.trials=") && verdict.contains("`tune.time_limit`"),
        "{verdict}"
    );
    assert!(sandbox.ok(&["plan"]).contains("search     27 trials, worth about 4.0 full runs, 28 at most"));
}

#[test]
fn limits_are_kept_and_foretold() {
    let sandbox = experiment("epochs = 1000000\ntime_limit = \"1s\"\n");
    let foretold = plan(&sandbox, &[]);
    let verdict = foretold["verdict"].as_str().unwrap();
    assert!(verdict.starts_with("fits if `train.epochs="), "{verdict}");
    assert!(verdict.contains("`train.time_limit` ends training"), "{verdict}");
    assert!(foretold["train_seconds"].as_f64().unwrap() < 3.0);

    let prices = "date = \"2026-01-01\"\ncurrency = \"EUR\"\n[here]\nprice_per_hour = 3600.0\nwatts_per_thread = 0\n\
                  watts_idle = 0\n";
    sandbox.write("prices.toml", prices);
    let limited = ["train.time_limit=1h", "train.cost_limit=0.5"];
    let foretold = plan(&sandbox, &limited);
    assert!(foretold["verdict"].as_str().unwrap().contains("`train.cost_limit` ends training"));
    assert_eq!(foretold["cost"]["currency"], "EUR");
    sandbox.ok(&[&["-q", "--threads", "1", "run"], &limited[..]].concat());
    let record = sandbox.json("runs/it-1/run.json");
    assert_eq!(record["training"]["ended"], "cost limit");
    let spent = record["cost"]["amount"].as_f64().unwrap();
    let total = record["timings"]["total"].as_f64().unwrap();
    assert!((spent - total).abs() < 1e-9, "a second costs 1 EUR: {spent} for {total} s");
    assert!(record["metrics"]["test"]["price"]["rmse"].is_number(), "the best model until then is usable");
}

#[test]
fn a_language_model_for_a_budget() {
    let output = Sandbox::new().ok(&["--json", "plan", "--language-model", "5.76e23"]);
    let lines: Vec<Value> = output.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(lines[0]["fit"], "Besiroglu et al. 2024");
    let ratio = lines[0]["tokens"].as_f64().unwrap() / lines[0]["parameters"].as_f64().unwrap();
    assert!((15.0..25.0).contains(&ratio), "{ratio}");
    assert_eq!(lines[0]["context"], Value::Null);
    let output = Sandbox::new().ok(&["--json", "plan", "--language-model", "1e18", "--context", "65536"]);
    let long: Value = serde_json::from_str(output.lines().next().unwrap()).unwrap();
    let [parameters, tokens] = ["parameters", "tokens"].map(|key| long[key].as_f64().unwrap());
    assert!(6.0 * parameters * tokens < 0.9e18, "attention takes its share: {parameters} {tokens}");
    let wrong = Sandbox::new().transcript(&["plan", "--language-model", "5"]);
    assert!(wrong.starts_with("exit 2\nerror: `--language-model` is 5, but must be from 1e12"), "{wrong}");
}

#[test]
fn a_network_too_large_for_the_memory_is_told_before_it_is_built() {
    let sandbox = experiment("");
    let huge = ["model.hidden_size=1000000", "model.num_layers=3"];
    let foretold = plan(&sandbox, &huge);
    let verdict = foretold["verdict"].as_str().unwrap();
    assert!(verdict.starts_with("does not fit: training the network's 2"), "{verdict}");
    assert!(foretold["hardware"].as_array().unwrap().is_empty());
    let said = sandbox.ok(&[&["plan"], &huge[..]].concat());
    assert!(said.contains("verdict    does not fit") && !said.contains("price"), "{said}");

    let refused = sandbox.output(&[&["-q", "run"], &huge[..]].concat());
    let error = String::from_utf8(refused.stderr).unwrap();
    assert_eq!(refused.status.code(), Some(2), "{error}");
    assert!(!sandbox.path("runs/it-1").exists(), "there is no run yet");
    assert!(
        error.contains("GiB can be had") && error.contains("hint: give it fewer or narrower layers"),
        "{error}"
    );
}
