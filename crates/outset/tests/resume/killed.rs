//! Runs that are killed, at moments taken by lot and once, on every kind of data.

use super::{
    RESUME, RUN, Sandbox, assert_equal, begin, experiment, half_written, outcome, random, resume, spawn,
};
use serde_json::json;
use std::fmt::Write as _;
use std::time::{Duration, Instant};

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
