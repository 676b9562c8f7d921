//! Runs that are stopped, damaged, changed or starved of disk, and those that are looked at meanwhile.

use super::{
    RUN, assert_equal, checkpoints, experiment, half_written, outcome, random, resume, spawn, stopped,
};
use serde_json::Value;
use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

#[test]
fn ctrl_c_once_leaves_a_model_and_what_resuming_needs() {
    let whole = experiment();
    whole.ok(&[&RUN[..], &["train.epochs=200"]].concat());
    let sandbox = stopped();
    let record = sandbox.json("runs/it-1/run.json");
    assert_eq!((&record["state"], &record["test_looks"]), (&"interrupted".into(), &0.into()));
    assert!(record["metrics"]["test"].is_null() && !sandbox.path("runs/it-1/predictions.csv").exists());
    assert!(sandbox.path("runs/it-1/bundle/bundle.json").exists());
    assert_eq!(checkpoints(&sandbox).len(), 2, "as many as `keep` says");
    let (code, said) = resume(&sandbox);
    assert!(code == Some(0) && said.contains("Resume     runs/it-1 · from step "), "{said}");
    assert_equal(&sandbox, &outcome(&whole));
    assert_eq!(sandbox.json("runs/it-1/run.json")["test_looks"], 1, "the one look is the last thing");

    let (code, said) = resume(&sandbox);
    assert_eq!(code, Some(0));
    assert!(said.contains("had come to its end: there is nothing to resume"), "{said}");
}

#[test]
fn ctrl_c_twice_ends_at_once_and_the_run_goes_on() {
    // So many columns that what follows on training takes a while.
    let wide = || {
        let mut rows: Vec<String> =
            vec![(0..60).map(|column| format!("c{column},")).collect::<String>() + "price"];
        let mut lot = 5;
        rows.extend((0..1500).map(|_| {
            let cells: Vec<u64> = (0..61).map(|_| random(&mut lot) % 1000).collect();
            cells.iter().map(u64::to_string).collect::<Vec<_>>().join(",")
        }));
        let sandbox = experiment();
        sandbox.write("data.csv", rows.join("\n"));
        sandbox
    };
    let sandbox = wide();
    let epochs = [&RUN[..], &["train.epochs=6"]].concat();
    let mut child = spawn(&sandbox, &epochs);
    while !sandbox.path("runs/it-1/checkpoints").exists() {
        assert!(child.try_wait().unwrap().is_none());
        std::thread::sleep(Duration::from_millis(2));
    }
    // Two that are sent at once may count as one.
    let often = format!("for i in $(seq 100); do kill -INT {} || exit; sleep 0.005; done", child.id());
    let mut sender = Command::new("sh").args(["-c", &often]).stderr(Stdio::null()).spawn().unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(130));
    sender.wait().unwrap();
    assert!(!sandbox.path("runs/it-1/run.json").exists());
    assert_eq!(resume(&sandbox).0, Some(0));
    let whole = wide();
    whole.ok(&epochs);
    assert_equal(&sandbox, &outcome(&whole));
}

#[test]
fn a_look_at_a_stopped_run_is_counted_when_it_goes_on() {
    let sandbox = stopped();
    sandbox.ok(&["-q", "test", "runs/it-1"]);
    assert_eq!(sandbox.json("runs/it-1/run.json")["test_looks"], 1);
    assert_eq!(resume(&sandbox).0, Some(0));
    assert_eq!(sandbox.json("runs/it-1/run.json")["test_looks"], 2);
}

#[test]
fn a_damaged_checkpoint_is_named_and_the_one_before_is_used() {
    let sandbox = stopped();
    let [before, latest] = checkpoints(&sandbox).try_into().unwrap();
    let file = latest.join("optimizer.safetensors");
    let mut bytes = std::fs::read(&file).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    std::fs::write(&file, bytes).unwrap();
    let (code, said) = resume(&sandbox);
    assert_eq!(code, Some(0), "{said}");
    let name = |path: &Path| path.file_name().unwrap().to_string_lossy().into_owned();
    let (latest, before) = (name(&latest), name(&before));
    let shown = format!(
        "checkpoint `runs/it-1/checkpoints/{latest}` is damaged (`runs/it-1/checkpoints/{latest}/optimizer.safetensors` \
         is not what its checksum says); training goes on from `runs/it-1/checkpoints/{before}`"
    );
    assert!(said.contains(&shown), "{said}");
    let whole = experiment();
    whole.ok(&[&RUN[..], &["train.epochs=200"]].concat());
    assert_equal(&sandbox, &outcome(&whole));
}

#[test]
fn a_changed_experiment_or_changed_data_is_refused_with_what_differs() {
    let sandbox = stopped();
    let (file, data) = (sandbox.read("outset.toml"), sandbox.read("data.csv"));
    sandbox.write("outset.toml", file.replace("hidden_size = 32", "hidden_size = 16"));
    assert_eq!(
        resume(&sandbox),
        (
            Some(2),
            "error: `outset.toml` is no longer what `runs/it-1` was begun with: `model.hidden_size` was 32 and is 16\n\
             hint: put it back to go on with this run, or begin a new one with `outset run`\n"
                .to_owned()
        )
    );
    sandbox.write("outset.toml", &file);
    sandbox.write("data.csv", data.replacen("Rome", "Oslo", 1));
    let (code, said) = resume(&sandbox);
    assert_eq!(code, Some(2));
    let shown = "error: the data of `runs/it-1` is no longer what the run was made with: `data.csv` has other content \
                 (300 rows, 300 before)";
    assert!(said.contains(shown), "{said}");
    sandbox.write("data.csv", &data);
    let written = sandbox.read("runs/it-1/experiment.toml");
    sandbox.write("runs/it-1/experiment.toml", written.replace("ema = 0.9", "ema = 0.5"));
    let (code, said) = resume(&sandbox);
    assert!(code == Some(2) && said.contains("`train.ema` was 0.9 and is 0.5"), "{said}");
}

#[test]
fn a_run_killed_at_its_edges_goes_on() {
    // Before the first checkpoint.
    let sandbox = stopped();
    for path in checkpoints(&sandbox) {
        std::fs::remove_dir_all(path).unwrap();
    }
    std::fs::remove_file(sandbox.path("runs/it-1/run.json")).unwrap();
    assert_eq!(resume(&sandbox).0, Some(0));
    let expected = outcome(&sandbox);
    // After the last step, before the record.
    for name in ["run.json", "predictions.csv", "report.html"] {
        std::fs::remove_file(sandbox.path("runs/it-1").join(name)).unwrap();
    }
    assert_eq!(resume(&sandbox).0, Some(0));
    assert_equal(&sandbox, &expected);
    // Between the record and the report.
    std::fs::remove_file(sandbox.path("runs/it-1/report.html")).unwrap();
    assert_eq!(resume(&sandbox).0, Some(0));
    assert!(sandbox.path("runs/it-1/report.html").exists());
    assert_eq!(
        sandbox.transcript(&["train", "--resume", "runs"]),
        "exit 2\nerror: `runs` holds no `state.json`, but the folder of a run was expected\n\
         hint: begin again with `outset run`\n"
    );
}

#[test]
#[allow(clippy::print_stderr)]
fn a_full_disk_stops_the_run_and_leaves_the_last_checkpoint_whole() {
    let sandbox = experiment();
    std::fs::create_dir(sandbox.path("runs")).unwrap();
    let program = env!("CARGO_BIN_EXE_outset");
    // A disk of its own, as large as a few checkpoints; `kept` is what is on it in the end.
    let script = format!(
        "mount -t tmpfs -o size=1500k outset runs || exit 77\n\
         {program} --threads 1 -q run train.checkpoint.keep=1000 train.epochs=1000 model.hidden_size=64\n\
         echo \"exit $?\"; rm -f runs/it-1/fill; cp -r runs kept"
    );
    let output = Command::new("unshare")
        .args(["--user", "--map-root-user", "--mount", "sh", "-c", &script])
        .current_dir(sandbox.path("."))
        .output();
    let output = match output {
        Ok(output) if output.status.code() != Some(77) && !output.stdout.is_empty() => output,
        _ => {
            eprintln!("left out: a small disk cannot be mounted here");
            return;
        }
    };
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(String::from_utf8_lossy(&output.stdout), "exit 1\n", "{said}");
    assert!(
        said.contains("error: cannot write `runs/it-1/") && said.contains("No space left on device"),
        "{said}"
    );
    std::fs::rename(sandbox.path("kept/it-1"), sandbox.path("runs/it-1")).unwrap();
    assert!(!half_written(&sandbox));
    let latest = checkpoints(&sandbox).pop().unwrap();
    let step: usize = latest.file_name().unwrap().to_str().unwrap()[5..].parse().unwrap();
    let mut child = sandbox
        .command(&["--json", "--threads", "1", "train", "--resume", "runs/it-1"])
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines().map(Result::unwrap);
    let resumed: Value =
        serde_json::from_str(&lines.find(|line| line.contains("\"event\":\"resume\"")).unwrap()).unwrap();
    assert_eq!(resumed["step"], step);
    child.kill().unwrap();
    child.wait().unwrap();
}

#[test]
fn the_time_limit_counts_over_interruptions() {
    let sandbox = experiment();
    let arguments = ["-q", "--threads", "1", "run", "train.epochs=1000000", "train.time_limit=2s"];
    let mut child = spawn(&sandbox, &arguments);
    while !sandbox.path("runs/it-1/checkpoints").exists() {
        assert!(child.try_wait().unwrap().is_none());
        std::thread::sleep(Duration::from_millis(2));
    }
    std::thread::sleep(Duration::from_millis(1200));
    child.kill().unwrap();
    child.wait().unwrap();
    let clock = Instant::now();
    let (code, said) = resume(&sandbox);
    assert!(code == Some(0) && said.contains("(time limit)"), "{said}");
    let record = sandbox.json("runs/it-1/run.json");
    let (spent, leg) = (record["timings"]["train"].as_f64().unwrap(), clock.elapsed().as_secs_f64());
    assert!(spent >= 2.0, "{spent}");
    let before = record["timings"]["total"].as_f64().unwrap() - leg;
    assert!(before > 0.5, "the first leg counts: {before}");
}

#[test]
fn runs_are_listed_and_compared() {
    let sandbox = stopped();
    sandbox.ok(&[&RUN[..], &["train.epochs=3", "model.hidden_size=16"]].concat());
    let lines: Vec<Value> =
        sandbox.ok(&["runs", "--json"]).lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let states: Vec<&str> = lines.iter().map(|line| line["state"].as_str().unwrap()).collect();
    assert_eq!(states, ["interrupted", "finished"]);
    assert!(lines.iter().all(|line| line["value"].is_number() && line["objective"] == "price/rmse"));
    assert!(sandbox.ok(&["runs"]).starts_with("run   state"));

    let compared = sandbox.ok(&["compare", "runs/it-1", "runs/it-2"]);
    assert!(compared.contains("test/price/rmse"), "{compared}");
    assert!(compared.contains("`train.epochs` was 200 and is 3"), "{compared}");
    assert!(compared.contains("`model.hidden_size` was 32 and is 16"), "{compared}");

    let mut child = spawn(&sandbox, &["-q", "run", "train.epochs=1000000"]);
    while !sandbox.path("runs/it-3/metrics.jsonl").exists() {
        assert!(child.try_wait().unwrap().is_none());
        std::thread::sleep(Duration::from_millis(5));
    }
    assert!(sandbox.ok(&["runs"]).contains("running"));
    let busy = sandbox.transcript(&["train", "--resume", "runs/it-3"]);
    assert!(busy.starts_with("exit 2\nerror: another process is at work on `runs/it-3`"), "{busy}");
    child.kill().unwrap();
    child.wait().unwrap();
    assert!(sandbox.ok(&["runs"]).lines().last().unwrap().contains("interrupted"));
}
