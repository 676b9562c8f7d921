//! What a search finds: better settings, of any network, tested once.

use crate::{SPACE, experiment, tuned, values};
use serde_json::Value;
use std::collections::HashSet;

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
fn a_network_that_answers_too_slowly_cannot_win() {
    let sandbox = experiment(&format!("{SPACE}max_latency = \"0ms\"\n"));
    let said = sandbox.transcript(&["-q", "tune", "tune.trials=2"]);
    assert!(
        said.starts_with("exit 1\nerror: no trial of `runs/it.study` has a value: answers too slowly"),
        "{said}"
    );
}
