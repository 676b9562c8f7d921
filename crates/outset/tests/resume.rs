//! Runs that are killed, stopped, damaged or starved of disk, and what comes of going on with them.
#![cfg(unix)]

mod common;

use common::Sandbox;
use serde_json::{Value, json};
use std::fmt::Write as _;
use std::io::{BufRead as _, BufReader, Lines};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::time::{Duration, Instant};

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

/// Made texts, as lists of their words.
fn sayings() -> Vec<Vec<&'static str>> {
    let words = ["good", "bad", "warm", "cold", "quiet", "loud", "near", "far"];
    let said = |row: u64| -> Vec<&str> {
        let mut lot = row + 1;
        (0..5 + row % 9).map(|_| words[random(&mut lot) as usize % words.len()]).collect()
    };
    (0..160).map(said).collect()
}

/// A folder with an experiment on made texts.
fn texts(encoder: &str) -> Sandbox {
    let mut rows = String::from("review,label\n");
    for said in sayings() {
        let _ = writeln!(rows, "{},{}", said.join(" "), if said.contains(&"good") { "yes" } else { "no" });
    }
    let file = format!(
        "name = \"it\"\n[data]\nsource = \"data.csv\"\n[inputs.review]\ntype = \"text\"\n\
         encoder = {encoder}\n[outputs]\nlabel = \"category\"\n[train]\nepochs = 6\nbatch_size = 32\n\
         early_stopping = false\ncheckpoint = {{ every = 2, keep = 2 }}\n"
    );
    let sandbox = Sandbox::new();
    sandbox.write("data.csv", rows).write("outset.toml", file);
    sandbox
}

/// A folder with an experiment on made texts, two of whose words have tags.
fn tags() -> Sandbox {
    let line = |words: Vec<&str>| {
        let tag = |word: &&str| match *word {
            "good" => "B-praise",
            "bad" => "B-blame",
            _ => "O",
        };
        let tags: Vec<&str> = words.iter().map(tag).collect();
        format!("{}\n", json!({ "words": words, "tags": tags }))
    };
    let sandbox = Sandbox::new();
    sandbox.write("data.jsonl", sayings().into_iter().map(line).collect::<String>()).write(
        "outset.toml",
        "name = \"it\"\n[data]\nsource = \"data.jsonl\"\n[inputs.words]\ntype = \"text\"\n\
         encoder = { kind = \"lstm\", embedding_size = 16, hidden_size = 16, dropout = 0.2 }\n\
         [outputs]\ntags = \"tags\"\n[train]\nepochs = 6\nbatch_size = 32\nearly_stopping = false\n\
         checkpoint = { every = 2, keep = 2 }\n",
    );
    sandbox
}

/// A folder with an experiment on made pictures, varied, turned into each other and mixed while it is trained.
fn pictures() -> Sandbox {
    let (count, side) = (120u32, 8u32);
    let head = |numbers: &[u32]| numbers.iter().flat_map(|number| number.to_be_bytes()).collect::<Vec<u8>>();
    let mut images = head(&[0x0803, count, side, side]);
    let mut labels = head(&[0x0801, count]);
    let mut lot = 3;
    for row in 0..count {
        // Bright above, or bright below.
        let class = (row % 2) as u8;
        labels.push(class);
        images.extend((0..side * side).map(|place| {
            let bright = u8::from(place < side * side / 2) == class;
            (random(&mut lot) % 100) as u8 + if bright { 120 } else { 0 }
        }));
    }
    let sandbox = Sandbox::new();
    sandbox.write("train-images-idx3-ubyte", images).write("train-labels-idx1-ubyte", labels).write(
        "outset.toml",
        "name = \"it\"\n[data]\nsource = \"train-images-idx3-ubyte\"\n[inputs.image]\ntype = \"image\"\n\
         encoder = { kind = \"resnet8\", width = 4, drop_path = 0.1 }\n\
         augment = { kind = \"standard\", mixup = 0.5 }\n\
         [outputs]\nlabel = \"category\"\n[train]\nepochs = 5\nbatch_size = 24\nema = 0.9\n\
         early_stopping = false\ncheckpoint = { every = 2, keep = 2 }\n",
    );
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

#[test]
fn a_run_that_is_killed_thirty_times_ends_as_one_that_never_was() {
    kill_thirty_times(experiment);
}

#[test]
fn so_does_one_on_texts() {
    kill_thirty_times(|| texts("{ kind = \"gru\", embedding_size = 16, hidden_size = 16, dropout = 0.2 }"));
}

#[test]
fn so_does_one_on_pictures() {
    kill_thirty_times(pictures);
}

#[test]
fn so_does_one_on_bags_of_words_that_is_killed_once() {
    kill_once(|| texts("{ kind = \"bag_of_words\", dropout = 0.2 }"));
}

#[test]
fn so_does_one_on_tags_that_is_killed_once() {
    kill_once(tags);
}

/// Kills a run of an experiment behind its first checkpoints, and goes on with it.
fn kill_once(experiment: fn() -> Sandbox) {
    let epochs = "train.epochs=20";
    let whole = experiment();
    whole.ok(&[&RUN[..], &[epochs]].concat());
    let sandbox = experiment();
    let (mut child, _lines) = begin(&sandbox, epochs, 2);
    child.kill().unwrap();
    child.wait().unwrap();
    let (code, said) = resume(&sandbox);
    assert!(code == Some(0) && said.contains("Resume     runs/it-1 · from step "), "{said}");
    assert_equal(&sandbox, &outcome(&whole));
}

/// Kills runs of an experiment thirty times at random moments, going on with each until it ends.
fn kill_thirty_times(experiment: fn() -> Sandbox) {
    let whole = experiment();
    let clock = Instant::now();
    whole.ok(&RUN);
    let lasted = clock.elapsed();
    let expected = outcome(&whole);
    let (mut kills, mut while_writing, mut lot) = (0, 0, 7);
    while kills < 30 {
        let sandbox = experiment();
        loop {
            let begun = sandbox.path("runs/it-1/state.json").exists();
            if !begun {
                let _ = std::fs::remove_dir_all(sandbox.path("runs"));
            }
            let mut child = spawn(&sandbox, if begun { &RESUME } else { &RUN });
            let moment = Instant::now() + lasted.mul_f64((random(&mut lot) % 1000) as f64 / 1000.0);
            // Every third time the moment is that of a checkpoint being written.
            let aimed = kills % 3 == 0;
            let ended = loop {
                if child.try_wait().unwrap().is_some() {
                    break true;
                }
                if Instant::now() >= moment && (!aimed || half_written(&sandbox)) {
                    child.kill().unwrap();
                    break false;
                }
                std::thread::sleep(Duration::from_micros(if aimed { 50 } else { 500 }));
            };
            let status = child.wait().unwrap();
            if ended {
                assert!(status.success(), "{status}");
                break;
            }
            kills += 1;
            while_writing += usize::from(half_written(&sandbox));
        }
        assert_equal(&sandbox, &expected);
    }
    assert!(while_writing > 0, "no kill fell into the writing of a checkpoint");
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
