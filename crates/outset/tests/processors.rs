//! What training comes to on one and two threads, on each instruction set and device, and with activations computed again.
#![allow(clippy::print_stderr)]

mod common;

use common::Sandbox;
use std::fmt::Write as _;

/// Reproducible numbers below `end`.
fn number(at: usize, end: usize) -> usize {
    (at * 7919 + at * at * 104_729) % 1_000_003 % end
}

/// A table, texts and pictures, each with settings large enough that its products are shared among threads.
fn experiments() -> Vec<(&'static str, Sandbox, Vec<&'static str>)> {
    let short = ["train.epochs=2", "train.ema=0.9"];
    let mut table = String::from("age,city,price\n");
    for row in 0..600 {
        let (age, city) = (20 + number(row, 50), ["Rome", "Oslo", "Lima"][number(row + 1, 3)]);
        let _ = writeln!(table, "{age},{city},{}", 3 * age + number(row + 2, 17));
    }
    let mut texts = String::from("text,label\n");
    for row in 0..120 {
        let words = 3 + number(row, 40);
        let text: Vec<String> =
            (0..words).map(|word| format!("w{}", number(row * 41 + word, 60) + row % 2 * 30)).collect();
        let _ = writeln!(texts, "{},{}", text.join(" "), ["no", "yes"][row % 2]);
    }
    let (count, side) = (160, 20);
    let pixels = (0..count * side * side).map(|at| {
        let (row, column) = (at / side % side, at % side);
        let bright = if at / side / side % 2 == 0 { row } else { column };
        (bright * 8 + number(at, 60)) as u8
    });
    let head = |magic: u8, sizes: &[usize]| -> Vec<u8> {
        let sizes = sizes.iter().flat_map(|size| (*size as u32).to_be_bytes());
        [0, 0, 8, magic].into_iter().chain(sizes).collect()
    };
    let labels: Vec<u8> = (0..count).map(|picture| (picture % 2) as u8).collect();
    let pictures = |sandbox: &Sandbox| {
        let images: Vec<u8> = head(3, &[count, side, side]).into_iter().chain(pixels.clone()).collect();
        sandbox.write("pictures/train-images-idx3-ubyte", images);
        sandbox.write("pictures/train-labels-idx1-ubyte", [head(1, &[count]), labels.clone()].concat());
    };
    let experiment = |source: &str, others: &str| {
        let sandbox = Sandbox::new();
        let file = format!("name = \"it\"\n[data]\nsource = \"{source}\"\n{others}");
        sandbox.write("outset.toml", file);
        sandbox
    };
    let of_text = |encoder: &str| {
        let others = format!(
            "[inputs]\ntext = {{ type = \"text\", encoder = {encoder} }}\n[outputs]\nlabel = \"category\"\n"
        );
        let sandbox = experiment("texts.csv", &others);
        sandbox.write("texts.csv", &texts);
        sandbox
    };
    let of_pictures = |encoder: &str| {
        let others = format!(
            "[inputs]\nimage = {{ type = \"image\", encoder = {encoder} }}\n[outputs]\nlabel = \"category\"\n"
        );
        let sandbox = experiment("pictures", &others);
        pictures(&sandbox);
        sandbox
    };
    let of_table = experiment("table.csv", "[outputs]\nprice = \"number\"\n");
    of_table.write("table.csv", &table);
    let wide = ["model.hidden_size=256", "model.members=4", "train.batch_size=128"];
    vec![
        ("table", of_table, [&short[..], &wide].concat()),
        ("transformer", of_text("{ kind = \"transformer\", hidden_size = 64 }"), short.to_vec()),
        ("lstm", of_text("{ kind = \"lstm\", hidden_size = 64 }"), short.to_vec()),
        ("cnn", of_pictures("{ kind = \"cnn\", width = 16 }"), short.to_vec()),
        ("resnet8", of_pictures("{ kind = \"resnet8\", width = 16 }"), short.to_vec()),
    ]
}

/// Losses, weights and answers of a run.
fn outcome(sandbox: &Sandbox, run: usize) -> [Vec<u8>; 3] {
    ["metrics.jsonl", "bundle/model.safetensors", "predictions.csv"].map(|name| {
        let path = sandbox.path(&format!("runs/it-{run}/{name}"));
        std::fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
    })
}

#[test]
fn threads_and_computing_again_change_no_bit() {
    for (name, sandbox, settings) in experiments() {
        let run = |threads: &str, others: &[&str]| {
            sandbox.ok(&[&["-q", "--threads", threads, "run"], &settings[..], others].concat());
        };
        run("1", &[]);
        run("2", &[]);
        run("2", &["train.recompute=true"]);
        let first = outcome(&sandbox, 1);
        assert!(outcome(&sandbox, 2) == first, "{name} differs with two threads");
        assert!(outcome(&sandbox, 3) == first, "{name} differs where activations are computed again");
    }
}

/// Seconds of processor time that a process has had so far.
#[cfg(target_os = "linux")]
fn processor_seconds(process: u32) -> Option<f64> {
    let line = std::fs::read_to_string(format!("/proc/{process}/stat")).ok()?;
    // After the name in brackets: fields 14 and 15, in hundredths on every platform that Linux has.
    let fields: Vec<&str> = line.rsplit_once(')')?.1.split_whitespace().collect();
    let ticks = |field: usize| fields.get(field - 3)?.parse::<f64>().ok();
    Some((ticks(14)? + ticks(15)?) / 100.0)
}

#[test]
#[cfg(target_os = "linux")]
fn one_thread_takes_no_more_than_one_core() {
    for (name, sandbox, settings) in experiments() {
        let arguments = [&["-q", "--threads", "1", "train"], &settings[..], &["train.epochs=6"]].concat();
        let clock = std::time::Instant::now();
        let mut child = sandbox.command(&arguments).spawn().expect("the program starts");
        let (mut used, mut elapsed) = (0.0, 0.0);
        while child.try_wait().expect("the child can be asked").is_none() {
            if let Some(seconds) = processor_seconds(child.id()) {
                (used, elapsed) = (seconds, clock.elapsed().as_secs_f64());
            }
            std::thread::sleep(std::time::Duration::from_millis(10));
        }
        // Two hundredths for what the system counts late.
        assert!(used <= 1.05 * elapsed + 0.02, "{name}: {used} s of processor time in {elapsed} s");
    }
}

/// Metrics of the test part of a run of an example, by name.
fn test_metrics(sandbox: &Sandbox, example: &str, run: usize) -> Vec<(String, f64)> {
    let record = sandbox.json(&format!("{example}/runs/{example}-{run}/run.json"));
    let outputs = record["metrics"]["test"].as_object().expect("there are outputs");
    let metrics = outputs.iter().flat_map(|(output, metrics)| {
        let metrics = metrics.as_object().expect("there are metrics");
        metrics
            .iter()
            .filter_map(move |(metric, value)| Some((format!("{output}/{metric}"), value.as_f64()?)))
    });
    metrics.collect()
}

/// Runs examples on the instruction set in use and on lower ones, and compares what the test part says. Pictures and tags are
/// among them for convolutions, pooling, batch normalisation and conditional random fields.
///
/// Sums are rounded differently on each, and training carries that on: weights differ in the last digits at first and by a
/// part in a thousand at the end, so that some row or other near the boundary is answered differently.
#[test]
fn examples_come_to_the_same_on_every_instruction_set() {
    for (example, epochs) in [
        ("line", None),
        ("churn", None),
        ("sentiment", None),
        ("ticket-priority", Some(3)),
        ("digits", Some(8)),
        ("entities", Some(5)),
    ] {
        let sandbox = Sandbox::new();
        sandbox.ok(&["-q", "new", "--example", example]);
        let epochs = epochs.map(|epochs: usize| format!("train.epochs={epochs}"));
        for level in [None, Some("avx2"), Some("scalar")] {
            let mut arguments = vec!["-q", "run", example];
            arguments.extend(epochs.as_deref());
            let mut command = sandbox.command(&arguments);
            if let Some(level) = level {
                command.env("OUTSET_ISA", level);
            }
            let output = command.output().expect("the program starts");
            assert!(output.status.success(), "{example}: {}", String::from_utf8_lossy(&output.stderr));
        }
        let native = test_metrics(&sandbox, example, 1);
        assert!(!native.is_empty());
        for (level, run) in [("avx2", 2), ("scalar", 3)] {
            let lower = test_metrics(&sandbox, example, run);
            assert_eq!(lower.len(), native.len(), "{example} with {level}");
            for ((name, value), (expected_name, expected)) in lower.iter().zip(&native) {
                assert_eq!(name, expected_name, "{example} with {level}");
                let apart = (value - expected).abs();
                assert!(
                    apart <= 0.03 * expected.abs().max(1.0),
                    "{example}, {name}: {value} with {level}, {expected} with what the machine has"
                );
            }
        }
    }
}

/// Losses of train and val after each epoch of a run.
fn losses(sandbox: &Sandbox, run: usize) -> Vec<f64> {
    let lines = sandbox.read(&format!("runs/it-{run}/metrics.jsonl"));
    let values = lines.lines().filter_map(|line| {
        serde_json::from_str::<serde_json::Value>(line).expect("JSON")["values"]["loss"].as_f64()
    });
    values.collect()
}

/// Trains on the processor and on each other device that this build finds, and compares losses.
#[test]
fn other_devices_come_to_the_same_losses() {
    let doctor: serde_json::Value =
        serde_json::from_str(&Sandbox::new().ok(&["doctor", "--json"])).expect("JSON");
    let devices = doctor["devices"].as_array().expect("devices").iter();
    let devices: Vec<&str> = devices.filter_map(|device| device["name"].as_str()).skip(1).collect();
    if devices.is_empty() {
        eprintln!("left out: no device but the processor (see CONTRIBUTING.md)");
    }
    for device in devices {
        for (name, sandbox, settings) in experiments() {
            // A table as small as a step can be for long, the others briefly: the device may be a slow one.
            let settings = match name {
                "table" => vec![
                    "train.steps=200",
                    "train.epochs=100",
                    "train.early_stopping=false",
                    "model.size=tiny",
                ],
                _ => [settings, vec!["train.steps=6"]].concat(),
            };
            for device in ["cpu", device] {
                let fixed = ["-q", "--device", device, "train", "train.precision=f32"];
                sandbox.ok(&[&fixed[..], &settings].concat());
            }
            let (expected, found) = (losses(&sandbox, 1), losses(&sandbox, 2));
            assert_eq!(found.len(), expected.len(), "{name} on {device}");
            for (epoch, (found, expected)) in found.iter().zip(&expected).enumerate() {
                let apart = (found - expected).abs() / expected.abs().max(1e-3);
                assert!(
                    apart < 1e-3,
                    "{name} on {device}, value {epoch}: {found}, {expected} on the processor"
                );
            }
        }
    }
}
