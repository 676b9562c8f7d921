//! Searches that are stopped, killed, shared and extended.

use crate::{SPACE, check_best_file, experiment, rows};
use serde_json::Value;
use std::process::{Command, Stdio};

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
