//! Searches for better settings: begun, stopped, shared, and what they leave.
#![cfg(unix)]

mod common;

use common::Sandbox;
use outset_learn::verdict::number;
use serde_json::{Value, json};
use std::collections::HashSet;
use std::fmt::Write as _;
use std::process::{Command, Stdio};

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

#[test]
fn a_search_finds_better_settings_and_tests_the_best_once() {
    let sandbox = experiment(SPACE);
    let output = sandbox.ok(&["--json", "--threads", "2", "tune"]);
    let record: Value = serde_json::from_str(output.lines().last().unwrap()).unwrap();
    let tune = &record["tune"];
    assert_eq!(tune["trials"].as_array().unwrap().len(), 9, "the default and eight more");
    let (best, default) = (tune["best"].as_f64().unwrap(), tune["default"].as_f64().unwrap());
    assert!(best < default, "{best} {default}");
    assert_eq!(record["test_looks"], 1);
    let looks = output.lines().filter(|line| line.contains("\"event\":\"test\"")).count();
    assert_eq!(looks, 1, "no trial but the best is tested");
    let found = record["metrics"]["val"]["price"]["rmse"].as_f64().unwrap();
    assert!((found - best).abs() < 1e-9 * best, "the bundle is the trial that won: {found} {best}");

    let trials = tune["trials"].as_array().unwrap();
    let whole = trials.iter().filter(|trial| trial["state"] == "done").count();
    let paused = trials.iter().filter(|trial| trial["state"] == "paused").count();
    assert!(whole >= 2 && paused >= 3, "{whole} {paused}");
    assert!(trials.iter().all(|trial| trial["parameters"].as_u64() > Some(0)));
    assert!(trials.iter().all(|trial| trial["latency_seconds"].as_f64() > Some(0.0)));
    let winner = trials.iter().find(|trial| trial["id"] == tune["winner"]).unwrap();
    let rate = winner["settings"]["train.optimizer.learning_rate"].as_f64().unwrap();
    assert!((1e-4..=1e-1).contains(&rate));
    assert!(tune["importance"]["train.optimizer.learning_rate"].is_number());

    let best = sandbox.read("runs/it-1/best.toml");
    assert!(!best.contains("[tune]") && best.contains(&format!("learning_rate = {rate:?}")), "{best}");
    sandbox.ok(&["check", "runs/it-1/best.toml"]);
    let report = sandbox.read("runs/it-1/report.html");
    assert!(report.contains("Search for settings") && report.contains("train.optimizer.learning_rate"));
    for plot in ["tune_history", "tune_parallel"] {
        assert!(sandbox.path(&format!("runs/it-1/plots/{plot}.svg")).is_file(), "{plot}");
    }
}

#[test]
fn without_a_space_the_settings_of_the_network_are_searched_over() {
    let sandbox = experiment("trials = 1\n");
    sandbox.ok(&["-q", "--threads", "1", "tune", "train.epochs=1"]);
    let record = sandbox.json("runs/it-1/run.json");
    let keys = [
        "train.optimizer.learning_rate",
        "train.optimizer.weight_decay",
        "model.hidden_size",
        "model.num_layers",
        "model.dropout",
        "train.batch_size",
    ];
    let found = record["tune"]["keys"].as_object().unwrap();
    assert!(found.keys().eq(keys), "{found:?}");
    for key in keys {
        assert_eq!(values(&record, key).len(), 1, "{key}");
    }
}

#[test]
fn what_a_search_was_worth_is_told() {
    let sandbox = experiment(
        "trials = 1\npruner = \"none\"\n\
         space.\"train.optimizer.learning_rate\" = { log = [1e-3, 1e-2] }\n",
    );
    let said = sandbox.transcript(&["--threads", "1", "tune"]);
    let record = sandbox.json("runs/it-1/run.json");
    let tune = &record["tune"];
    let [best, default] = ["best", "default"].map(|key| number(tune[key].as_f64().unwrap()));
    assert!(said.contains(&format!("trial 1 of 2 · val {best} (as declared: {default})")), "{said}");
    let page = sandbox.read("runs/it-1/report.html");
    assert!(page.contains("<p>Trial 1 won with rmse of price "));
    for trial in tune["trials"].as_array().unwrap() {
        let [low, high] = [0, 1].map(|end: usize| trial["interval"][end].as_f64().unwrap());
        let value = trial["value"].as_f64().unwrap();
        assert!(low < high && (low..=high).contains(&value), "{trial}");
    }
}

#[test]
fn a_report_words_intervals_and_what_the_declared_settings_would_have_cost() {
    let sandbox = Sandbox::new();
    let page = |record: &Value| {
        sandbox.write("runs/it-1/run.json", record.to_string());
        sandbox.ok(&["report", "runs/it-1"]);
        sandbox.read("runs/it-1/report.html")
    };
    let trial = |id: usize, state: &str, value: f64, interval: Value| json!({ "id": id, "state": state, "value": value, "interval": interval });
    let mut best = trial(3, "done", 0.8, json!([0.7, 0.95]));
    best["settings"] = json!({ "model.dropout": 0.125, "model.kind": "mlp" });
    (best["epochs"], best["seconds"]) = (27.into(), 2.5.into());
    (best["parameters"], best["latency_seconds"]) = (12_345.into(), 0.0025.into());
    let mut behind = trial(1, "paused", 1.5, json!(null));
    behind["settings"] = json!({ "model.kind": "linear" });
    let mut slow = trial(2, "failed", 0.5, json!(null));
    slow["error"] = "answers too slowly".into();
    let mut record = json!({
        "tune": {
            "objective": "rmse of price",
            "winner": 3,
            "best": 0.8,
            "default": 1.0,
            "trials": [
                best,
                trial(0, "done", 1.0, json!([0.9, 1.125])),
                behind,
                slow,
            ],
            "keys": { "model.kind": "choice", "model.dropout": "linear" },
            "importance": { "model.kind": 0.75, "model.dropout": 0.0 },
        },
    });
    let shown = page(&record);
    for words in [
        "Trial 3 won with rmse of price 0.8 on val; the settings as they were declared came to 1, 0.2 worse.",
        "0.8<small>0.7 to 0.95</small></td><td>won</td><td class=\"num\">27</td><td class=\"num\">2.5 s</td>\
         <td class=\"num\">12,345</td><td class=\"num\">2.5 ms</td>",
        "<div>model.dropout = 0.125, model.kind = &quot;mlp&quot;</div>",
        "<div>as declared</div>",
        "75 %",
        "the red one won",
        "1<small>0.9 to 1.125</small></td><td>done</td>",
        "1.5</td><td>paused</td>",
        "0.5</td><td>failed<small>answers too slowly</small></td>",
    ] {
        assert!(shown.contains(words), "{words}");
    }

    // More is better.
    record["tune"]["higher_is_better"] = json!(true);
    record["tune"]["best"] = json!(1.25);
    let words = "on val; the settings as they were declared came to 1, 0.25 worse.";
    assert!(page(&record).contains(words));
    record["tune"]["best"] = json!(1.0);
    let words = "No trial was better than the settings as they were declared, with rmse of price 1 on val.";
    assert!(page(&record).contains(words));

    // The winner's path is red; each trial that did not fail is a dot of the course.
    let plot = |name: &str| sandbox.read(&format!("runs/it-1/plots/{name}.svg"));
    let is_red = || plot("tune_parallel").contains("#d1242f");
    assert!(is_red());
    assert_eq!(plot("tune_history").matches("<circle").count(), 3);
    record["tune"]["winner"] = json!(0);
    assert!(page(&record).contains("the settings as they were declared, which won, have none"));
    assert!(!is_red());
}

#[test]
fn every_sampler_and_pruner_searches() {
    for (sampler, pruner, trials) in [
        ("tpe", "median", 12),
        ("gaussian_process", "none", 8),
        ("random", "asha", 8),
        ("grid", "median", 12),
    ] {
        let sandbox = experiment(&format!("sampler = \"{sampler}\"\npruner = \"{pruner}\"\n{SPACE}"));
        let record = tuned(&sandbox, &["tune", "tune.parallel=1", &format!("tune.trials={trials}")]);
        let tune = &record["tune"];
        assert!(tune["best"].as_f64() < tune["default"].as_f64(), "{sampler}: {tune}");
        let made = tune["trials"].as_array().unwrap();
        let settings: HashSet<String> = made.iter().map(|trial| trial["settings"].to_string()).collect();
        // All of them and the declared settings, none twice; a grid of twelve is one of six rates and two sizes.
        assert_eq!((settings.len(), made.len()), (trials + 1, trials + 1), "{sampler}");
        let behind = made.iter().filter(|trial| trial["state"] == "paused").count();
        assert_eq!(behind > 0, pruner != "none", "{sampler}, {pruner}: {behind}");
    }
}

#[test]
fn a_trial_that_goes_on_ends_as_one_that_never_paused() {
    let sandbox = experiment(SPACE);
    sandbox.ok(&["-q", "--threads", "1", "tune", "tune.parallel=1"]);
    check_best_file(&sandbox);
}

#[test]
fn a_search_that_was_stopped_within_epochs_ends_as_one_that_was_not() {
    let sandbox = experiment(
        "trials = 1\nparallel = 1\npruner = \"none\"\n\
                              space.\"train.optimizer.learning_rate\" = { log = [1e-4, 1e-2] }\n",
    );
    sandbox.write("data.csv", rows(4000));
    let arguments = ["-q", "--threads", "1", "tune", "train.batch_size=8"];
    let mut within = 0;
    for _ in 0..200 {
        let mut child = sandbox.command(&arguments).stderr(Stdio::piped()).spawn().unwrap();
        std::thread::sleep(std::time::Duration::from_millis(400));
        let _ = Command::new("kill").arg("-INT").arg(child.id().to_string()).stderr(Stdio::null()).status();
        assert!(child.wait().unwrap().success());
        for trial in ["0000", "0001"] {
            let folder = sandbox.path(&format!("runs/it.study/trials/{trial}/checkpoints"));
            let names = std::fs::read_dir(folder).into_iter().flatten().flatten();
            within += names
                .filter_map(|entry| entry.file_name().to_str()?.strip_prefix("step-")?.parse::<usize>().ok())
                .filter(|step| step % 400 != 0)
                .count();
        }
        if sandbox.path("runs/it-1/run.json").exists() {
            break;
        }
    }
    assert!(within > 0, "no stop was within an epoch");
    let record = sandbox.json("runs/it-1/run.json");
    assert!(record["tune"]["trials"].as_array().unwrap().iter().all(|trial| trial["state"] == "done"));
    check_best_file(&sandbox);
}

#[test]
fn a_trial_whose_settings_change_the_columns_is_the_bundle_too() {
    // A linear model scales numbers otherwise; `when` goes by the kind that stands in no file.
    let sandbox = experiment(
        "trials = 6\nsampler = \"random\"\n\
         space.\"model.kind\" = { choice = [\"linear\", \"mlp\"] }\n\
         space.\"model.dropout\" = { range = [0.0, 0.3], when = { \"model.kind\" = \"mlp\" } }\n\
         space.\"train.optimizer.learning_rate\" = { log = [1e-2, 1e-1] }\n",
    );
    let file = sandbox.read("outset.toml").replace("members = 2\nhidden_size = 16\nnum_layers = 1\n", "");
    sandbox.write("outset.toml", file);
    let record = tuned(&sandbox, &["run", "tune.pruner=none"]);
    let kinds = values(&record, "model.kind");
    assert!(kinds.contains(&"linear".into()) && kinds.contains(&"mlp".into()), "{kinds:?}");
    let networks = kinds.iter().filter(|kind| **kind == "mlp").count();
    assert_eq!(values(&record, "model.dropout").len(), networks);

    // Columns that are measured alike, and a key below an input where the file names no inputs.
    let mut rows: Vec<String> =
        vec![(0..16).map(|column| format!("p{column},")).collect::<String>() + "note,price"];
    let mut lot = 5u64;
    let mut next = |most: u64| {
        lot = lot.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (lot >> 33) % most
    };
    for _ in 0..400 {
        let cells: Vec<u64> = (0..16).map(|_| next(17)).collect();
        let words: Vec<&str> =
            (0..9).map(|_| ["sun", "rain", "snow", "fog", "wind", "hail", "ice"][next(7) as usize]).collect();
        let price = cells.iter().sum::<u64>() + words.iter().filter(|word| **word == "sun").count() as u64;
        let cells: Vec<String> = cells.iter().map(u64::to_string).collect();
        rows.push(format!("{},{},{price}", cells.join(","), words.join(" ")));
    }
    for space in [
        "space.\"model.hidden_size\" = { choice = [8, 24] }\n",
        "space.inputs.note.encoder.embedding_size = { choice = [8, 24] }\n",
        "space.inputs.p3.encoder.bins = { range = [4, 9] }\n",
    ] {
        let sandbox = experiment(&format!("trials = 2\n{space}"));
        sandbox.write("data.csv", rows.join("\n"));
        let record = tuned(&sandbox, &["tune", "train.optimizer.learning_rate=1e-3"]);
        let columns = record["data"]["columns"].as_array().unwrap();
        let inputs = columns.iter().filter(|column| column["role"] == "input").count();
        assert_eq!(inputs, 17, "{space}");
    }
}

#[test]
fn a_limit_ends_a_search_with_the_best_so_far_and_a_higher_one_goes_on() {
    // More epochs than any machine comes to a rung in.
    let sandbox = experiment(&SPACE.replace("trials = 8", "trials = 2"));
    let tune = |limit: &str| {
        sandbox.transcript(&["--threads", "1", "tune", "train.epochs=40000", "train.batch_size=4", limit])
    };
    let said = tune("tune.time_limit=3s");
    assert!(said.starts_with("exit 0\n"), "{said}");
    let record = sandbox.json("runs/it-1/run.json");
    let states = |record: &Value| -> Vec<String> {
        let trials = record["tune"]["trials"].as_array().unwrap();
        trials.iter().map(|trial| trial["state"].as_str().unwrap().to_owned()).collect()
    };
    assert_eq!(states(&record), ["interrupted"], "{said}");
    assert_eq!(record["test_looks"], 1);
    // The search is what the run took, and its training is not counted again.
    let timings = &record["timings"];
    let (total, search) = (timings["total"].as_f64().unwrap(), timings["tune"].as_f64().unwrap());
    assert!(search >= 3.0 && total < search + timings["train"].as_f64().unwrap(), "{timings}");
    let said = tune("tune.time_limit=3s");
    assert!(said.contains("the search is over") && !sandbox.path("runs/it-2").exists(), "{said}");
    let said = tune("tune.time_limit=9s");
    assert!(said.starts_with("exit 0\n"), "{said}");
    let record = sandbox.json("runs/it-2/run.json");
    assert_eq!(record["test_looks"], 2, "the search has looked at the test part before");

    // Too short for a single epoch, of which there is one all the same.
    let sandbox = experiment(SPACE);
    sandbox.write("data.csv", rows(20_000));
    sandbox.ok(&["-q", "--threads", "1", "tune", "tune.time_limit=1ms", "train.batch_size=4"]);
    let record = sandbox.json("runs/it-1/run.json");
    assert_eq!((states(&record), &record["training"]["epochs"]), (vec!["interrupted".to_owned()], &1.into()));

    let sandbox = experiment(SPACE);
    sandbox
        .write("prices.toml", "date = \"2026-10-01\"\ncurrency = \"EUR\"\n[here]\nprice_per_hour = 3600.0\n");
    sandbox.ok(&["-q", "--threads", "1", "tune", "tune.cost_limit=2.0", "train.epochs=4000000"]);
    assert_eq!(states(&sandbox.json("runs/it-1/run.json")), ["interrupted"]);
}

#[test]
fn a_search_that_was_forecast_has_its_forecast() {
    let sandbox = experiment(SPACE);
    sandbox.ok(&["-q", "--threads", "1", "plan"]);
    sandbox.ok(&["-q", "--threads", "1", "tune"]);
    let record = sandbox.json("runs/it-1/run.json");
    assert!(record["forecast"]["seconds"].as_f64() > Some(0.0), "{}", record["forecast"]);
    assert_eq!(record["forecast"]["actual"]["seconds"], record["timings"]["total"]);
}

#[test]
fn a_search_that_was_killed_goes_on_and_is_shared() {
    let sandbox = experiment(&SPACE.replace("trials = 8", "trials = 12"));
    let spawn = || {
        let arguments = ["-q", "--threads", "1", "tune", "tune.parallel=1"];
        sandbox.command(&arguments).stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap()
    };
    let mut child = spawn();
    while !sandbox.path("runs/it.study/trials/0003").exists() {
        assert!(child.try_wait().unwrap().is_none(), "the search ended too early");
        std::thread::sleep(std::time::Duration::from_millis(2));
    }
    // It is looked at while it goes on.
    let shown = sandbox.ok(&["runs", "runs/it.study"]);
    assert!(shown.starts_with("trial  state") && shown.contains("train.optimizer.learning_rate="), "{shown}");
    let lines = sandbox.ok(&["runs", "--json", "runs/it.study"]);
    assert!(lines.lines().count() >= 3 && lines.contains("\"id\":2"), "{lines}");
    child.kill().unwrap();
    child.wait().unwrap();
    let children = [spawn(), spawn()];
    for child in children {
        let output = child.wait_with_output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    }
    let record = sandbox.json("runs/it-1/run.json");
    let ids: Vec<u64> = record["tune"]["trials"]
        .as_array()
        .unwrap()
        .iter()
        .map(|trial| trial["id"].as_u64().unwrap())
        .collect();
    let mut sorted = ids.clone();
    sorted.sort_unstable();
    assert_eq!(sorted, (0..=12).collect::<Vec<u64>>());
    assert!(!sandbox.path("runs/it-2").exists(), "one of the two tests the winner");
    sandbox.ok(&["-q", "--threads", "1", "tune"]);
    assert!(!sandbox.path("runs/it-2").exists(), "a search that is over is not tested again");

    // More trials extend the search; another experiment is refused.
    sandbox.ok(&["-q", "--threads", "1", "tune", "tune.trials=13"]);
    assert_eq!(sandbox.json("runs/it-2/run.json")["test_looks"], 2);
    let other = sandbox.transcript(&["tune", "train.epochs=3"]);
    assert!(other.contains("is the study of another experiment: `train.epochs` was 9 and is 3"), "{other}");
}

#[test]
fn a_conclusion_that_was_killed_goes_on_in_its_run() {
    let sandbox = experiment(SPACE);
    sandbox.ok(&["-q", "--threads", "1", "tune"]);
    let whole = sandbox.json("runs/it-1/run.json");
    // As it is when the program dies between the look at the test part and the record.
    for name in ["run.json", "report.html"] {
        std::fs::remove_file(sandbox.path("runs/it-1").join(name)).unwrap();
    }
    std::fs::remove_dir_all(sandbox.path("runs/it-1/bundle")).unwrap();
    sandbox.ok(&["-q", "--threads", "1", "tune"]);
    assert!(!sandbox.path("runs/it-2").exists(), "no other run looks at the test part");
    let record = sandbox.json("runs/it-1/run.json");
    assert_eq!(record["tune"], whole["tune"]);
    assert_eq!(record["metrics"], whole["metrics"]);
    assert_eq!(record["test_looks"], 2, "the look before is not forgotten");
    assert!(sandbox.read("runs/it-1/report.html").contains("Search for settings"));
    // By resuming the run itself, too.
    std::fs::remove_file(sandbox.path("runs/it-1/run.json")).unwrap();
    sandbox.ok(&["-q", "--threads", "1", "train", "--resume", "runs/it-1"]);
    assert_eq!(sandbox.json("runs/it-1/run.json")["tune"], whole["tune"]);
}

#[test]
#[cfg(target_os = "linux")]
fn a_search_that_another_machine_concluded_is_not_tested_again() {
    let sandbox = experiment(SPACE);
    sandbox.ok(&["-q", "--threads", "1", "tune"]);
    // As it is where two machines share the folder: a name of the same length leaves the file whole.
    let name = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap().trim().to_owned();
    let [here, there] = [&name, &"z".repeat(name.len())].map(|name| format!("\"machine\":\"{name}\""));
    let file = sandbox.path("runs/it.study/study.db");
    let mut bytes = std::fs::read(&file).unwrap();
    let places: Vec<usize> =
        (0..bytes.len()).filter(|at| bytes[*at..].starts_with(here.as_bytes())).collect();
    assert!(!places.is_empty(), "the study says which machine has its best trial");
    for at in places {
        bytes[at..at + there.len()].copy_from_slice(there.as_bytes());
    }
    std::fs::write(&file, bytes).unwrap();
    let said = sandbox.transcript(&["tune"]);
    assert!(said.starts_with("exit 0\n") && said.contains("it-1 on `zz"), "{said}");
    assert!(said.contains("set `tune.trials` higher to go on with it"), "{said}");
    assert!(!sandbox.path("runs/it-2").exists());
}

#[test]
fn a_server_has_an_address() {
    let said = "exit 2\nerror: the address of a study's server must be `postgres://USER@HOST:PORT/DATABASE`\n\
                hint: a password may follow the user after `:`, or be given in `PGPASSWORD`\n";
    let sandbox = experiment(SPACE);
    assert_eq!(sandbox.transcript(&["tune", "--study", "postgres://ann:secret@host:port/db"]), said);
    assert_eq!(sandbox.transcript(&["runs", "postgresql://"]), said);
}

#[test]
fn slips_are_named_before_time_is_spent() {
    let sandbox = experiment(
        "space.\"train.optimizer.learning_rat\" = { log = [1e-4, 1e-1] }\n\
         space.\"model.dropout\" = { range = [0.0, 2.0] }\n",
    );
    let said = sandbox.transcript(&["tune"]);
    assert!(said.starts_with("exit 2\n"), "{said}");
    assert!(said.contains("unknown key `train.optimizer.learning_rat`"), "{said}");
    assert!(said.contains("`model.dropout` is `2") && said.contains("must be from 0 to 0.95"), "{said}");
    assert!(!sandbox.path("runs/it.study").exists());
    let said =
        experiment("space.\"model.dropout\" = { range = [0.0, 0.2], when = { \"model.kin\" = \"mlp\" } }\n")
            .transcript(&["tune"]);
    let expected = "`tune.space` ties `model.dropout` to `model.kin`, which the experiment does not have";
    assert!(said.starts_with("exit 2\n") && said.contains(expected), "{said}");
    let sandbox = experiment("space.\"data.split.seed\" = { choice = [1, 2] }\n");
    let said = sandbox.transcript(&["tune"]);
    assert!(said.starts_with("exit 2\n") && said.contains("gives each trial other rows"), "{said}");
    // Without a named metric, the loss is what trials of several outputs are compared by.
    let weight = "space.\"outputs.price.weight\" = { range = [0.1, 1.0] }\n";
    let said = experiment(weight).transcript(&["tune", "train.objective=loss"]);
    assert!(said.starts_with("exit 2\n") && said.contains("what trials are compared by"), "{said}");
    let kinds = "space.\"model.kind\" = { choice = [\"mlp\", \"linear\"] }\n";
    let sandbox = experiment(&format!("{kinds}space.\"model.dropout\" = {{ range = [0.0, 0.5] }}\n"));
    let file = sandbox.read("outset.toml").replace("members = 2\nhidden_size = 16\nnum_layers = 1\n", "");
    sandbox.write("outset.toml", file);
    let said = sandbox.transcript(&["tune"]);
    let expected = "error: `tune.space` names `model.dropout`, which does not go with `model.kind` = \"linear\"\n\
                    hint: `when = { \"model.kind\" = … }` names the choices that it counts beside\n";
    assert!(said.starts_with("exit 2\n") && said.ends_with(expected), "{said}");
    // A choice that only one kind has stands beside keys of every kind.
    let activation = "space.\"model.activation\" = { choice = [\"relu\", \"gelu\"], when = { \"model.kind\" = \"mlp\" } }\n\
                      space.\"train.optimizer.learning_rate\" = { log = [1e-4, 1e-1] }\n";
    let sandbox = experiment(&format!("trials = 1\n{kinds}{activation}"));
    let file = sandbox
        .read("outset.toml")
        .replace("members = 2\nhidden_size = 16\nnum_layers = 1\n", "kind = \"linear\"\n");
    sandbox.write("outset.toml", file);
    sandbox.ok(&["-q", "--threads", "1", "tune"]);
}

#[test]
fn a_network_that_answers_too_slowly_cannot_win() {
    let sandbox = experiment(&format!("{SPACE}max_latency = \"0ms\"\n"));
    let said = sandbox.transcript(&["-q", "tune", "tune.trials=2"]);
    assert!(
        said.starts_with("exit 1\nerror: no trial of `runs/it.study` has a value: answers too slowly"),
        "{said}"
    );
}
