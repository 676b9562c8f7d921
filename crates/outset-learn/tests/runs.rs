//! Whole runs inside the library: what the choices of an experiment change in what a run leaves.

use outset_learn::run::{Finished, Options, run};
use outset_spec::Experiment;
use outset_spec::record::RunRecord;
use std::fmt::Write as _;
use std::path::Path;
use std::sync::atomic::AtomicBool;

/// Runs an experiment on `data.csv` with the given rows, whose target is `sold`.
fn check(folder: &Path, rows: &str, settings: &str) -> RunRecord {
    std::fs::write(folder.join("data.csv"), rows).unwrap();
    let file = format!(
        "name = \"x\"\ndata = {{ source = \"data.csv\" }}\noutputs = {{ sold = \"category\" }}\n{settings}"
    );
    let experiment = Experiment::parse("outset.toml", &file, folder, &[]).unwrap();
    let interrupt = AtomicBool::new(false);
    let options = Options::new(folder.join("runs"), &interrupt);
    let Finished { record, .. } = run(&experiment, &options, &mut |_| ()).unwrap();
    record
}

/// Things at a price, most of the cheap ones sold; with `tell`, a column that gives that away in words of its own.
fn things(tell: bool) -> String {
    let mut text = String::from(if tell { "price,color,note,sold\n" } else { "price,color,sold\n" });
    for row in 0..240 {
        let lot = row * 7919 % 1013;
        let (price, color) = (lot % 97, ["red", "blue"][lot % 2]);
        let sold = if price + lot % 23 < 60 { "yes" } else { "no" };
        // Rows 0 to 119 come again as 120 to 239, with another note.
        let (price, color, sold) = match row {
            120.. => {
                let before = text.lines().nth(row - 119).unwrap().to_owned();
                let cells: Vec<String> = before.split(',').map(str::to_owned).collect();
                (cells[0].clone(), cells[1].clone(), cells[cells.len() - 1].clone())
            }
            _ => (price.to_string(), color.to_owned(), sold.to_owned()),
        };
        let note = format!("{}{}", if sold == "yes" { "gone" } else { "here" }, row / 120);
        let _ = match tell {
            true => writeln!(text, "{price},{color},{note},{sold}"),
            false => writeln!(text, "{price},{color},{sold}"),
        };
    }
    text
}

#[test]
fn rows_that_are_alike_without_a_telling_column_share_a_part() {
    let folder = tempfile::tempdir().unwrap();
    let record = check(folder.path(), &things(true), "train = { epochs = 1 }\nmodel = { members = 1 }\n");
    let note = record.data.columns.iter().find(|column| column.name == "note").unwrap();
    assert_eq!(note.role, "left out", "{}", note.reason);
    let plain = check(folder.path(), &things(false), "train = { epochs = 1 }\nmodel = { members = 1 }\n");
    assert_eq!(record.data.duplicates, plain.data.duplicates);
    assert!(record.data.duplicates >= 120);
    assert_eq!(record.data.parts, plain.data.parts);
}

#[test]
fn every_initializer_begins_another_training() {
    let folder = tempfile::tempdir().unwrap();
    let mut losses = Vec::new();
    for kind in ["zeros", "normal", "uniform", "xavier_uniform", "kaiming_normal"] {
        let settings =
            format!("train = {{ epochs = 2 }}\nmodel = {{ members = 2, initializer = \"{kind}\" }}\n");
        let record = check(folder.path(), &things(false), &settings);
        losses.push((kind, record.metrics["val"]["sold"]["loss"].to_bits()));
        assert!(record.metrics["val"]["sold"]["loss"].is_finite(), "{kind}");
    }
    for (index, (kind, loss)) in losses.iter().enumerate() {
        assert!(losses[..index].iter().all(|(_, other)| other != loss), "{kind} is like another");
    }
}

#[test]
fn what_is_counted_is_counted_over_val_too_in_the_end() {
    let folder = tempfile::tempdir().unwrap();
    // In train the word `zed` speaks against a sale, in val much more often for one.
    let part = |name: &str, plain: usize, against: usize, for_it: usize| {
        let mut text = String::from("note,sold\n");
        for row in 0..plain {
            let (note, sold) = [("a good thing", "yes"), ("a bad thing", "no")][row % 2];
            let _ = writeln!(text, "{note} {},{sold}", ["red", "blue", "green"][row % 3]);
        }
        (0..against).for_each(|_| text.push_str("zed,no\n"));
        (0..for_it).for_each(|_| text.push_str("zed,yes\n"));
        std::fs::write(folder.path().join(name), text).unwrap();
    };
    part("train.csv", 120, 4, 1);
    part("val.csv", 60, 0, 30);
    part("test.csv", 30, 0, 30);
    let file = "name = \"x\"\ndata = { train = \"train.csv\", val = \"val.csv\", test = \"test.csv\" }\n\
                inputs = { note = \"text\" }\noutputs = { sold = \"category\" }\ntrain = { epochs = 2 }\n";
    let experiment = Experiment::parse("outset.toml", file, folder.path(), &[]).unwrap();
    let interrupt = AtomicBool::new(false);
    let options = Options::new(folder.path().join("runs"), &interrupt);
    let Finished { record, .. } = run(&experiment, &options, &mut |_| ()).unwrap();
    let accuracy = |part: &str| record.metrics[part]["sold"]["accuracy"];
    assert!(accuracy("val") < 0.7, "val was not yet known: {}", accuracy("val"));
    assert_eq!(accuracy("test"), 1.0);
}
