//! Searches for better settings: begun, stopped, shared, and what they leave.
#![cfg(unix)]

mod common;

use common::Sandbox;
use serde_json::Value;
use std::fmt::Write as _;
use std::process::Stdio;

fn experiment(tune: &str) -> Sandbox {
    let mut rows = String::from("age,city,price\n");
    for row in 0..400 {
        let lot = row * 7919 % 1013;
        let age = 20 + lot % 50;
        let _ = writeln!(rows, "{age},{},{}", ["Rome", "Oslo"][lot % 2], 100 + 3 * age + (row * 37) % 11);
    }
    // The declared learning rate is far too small.
    let file = format!(
        "name = \"it\"\n[data]\nsource = \"data.csv\"\n[outputs]\nprice = \"number\"\n\
         [model]\nmembers = 2\nhidden_size = 16\nnum_layers = 1\n\
         [train]\nepochs = 9\nema = 0.0\nearly_stopping = false\n\
         optimizer = {{ kind = \"adamw\", learning_rate = 1e-5 }}\n[tune]\n{tune}"
    );
    let sandbox = Sandbox::new();
    sandbox.write("data.csv", rows).write("outset.toml", file);
    sandbox
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
fn a_trial_that_goes_on_ends_as_one_that_never_paused() {
    let sandbox = experiment(SPACE);
    sandbox.ok(&["-q", "--threads", "1", "tune", "tune.parallel=1"]);
    let bundle = std::fs::read(sandbox.path("runs/it-1/bundle/model.safetensors")).unwrap();
    // The winning file, run as any other experiment.
    sandbox.ok(&["-q", "--threads", "1", "run", "runs/it-1/best.toml", "--runs", "again"]);
    let again = std::fs::read(sandbox.path("again/it-1/bundle/model.safetensors")).unwrap();
    assert!(bundle == again, "weights differ");
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
    assert!(sandbox.path("runs/it-2/run.json").exists());
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
