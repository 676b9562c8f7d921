//! Every error that a user can meet: exit code, wording and hint.

mod common;

use common::Sandbox;
use expect_test::{Expect, expect};

/// Rows of a small but sound table.
fn table() -> String {
    let mut text = String::from("age,city,price\n");
    for row in 0..60 {
        text.push_str(&format!(
            "{},{},{}\n",
            20 + row * 7 % 50,
            ["Rome", "Oslo", "Lima"][row % 3],
            100 + row * 13 % 90
        ));
    }
    text
}

fn check(files: &[(&str, &[u8])], arguments: &[&str], expected: Expect) {
    let sandbox = Sandbox::new();
    for (name, content) in files {
        sandbox.write(name, content);
    }
    expected.assert_eq(&sandbox.transcript(arguments));
    assert!(!sandbox.path("runs").join("data-1/run.json").exists(), "nothing half-written counts as a run");
}

/// Runs `outset run data.csv --target price` on the given bytes.
fn check_data(content: impl AsRef<[u8]>, expected: Expect) {
    check(&[("data.csv", content.as_ref())], &["-q", "run", "data.csv", "--target", "price"], expected);
}

/// Runs an experiment file beside a sound table.
fn check_file(file: &str, expected: Expect) {
    check(&[("data.csv", table().as_bytes()), ("outset.toml", file.as_bytes())], &["-q", "check"], expected);
}

#[test]
fn a_missing_file() {
    check(&[], &["-q", "run", "data.csv", "--target", "price"], expect![[""]]);
    check(&[], &["-q", "run", "nowhere.toml"], expect![[""]]);
    check(&[], &["-q", "run"], expect![[""]]);
}

#[test]
fn an_empty_file() {
    check_data("", expect![[""]]);
}

#[test]
fn a_header_without_rows() {
    check_data("age,price\n", expect![[""]]);
}

#[test]
fn a_ragged_row() {
    check_data("age,price\n1,2\n3\n", expect![[""]]);
}

#[test]
fn two_columns_of_one_name() {
    check_data("age,age,price\n1,2,3\n4,5,6\n", expect![[""]]);
}

#[test]
fn a_binary_file() {
    check_data([0x89, b'P', b'N', b'G', 0x0d, 0x0a, 0x1a, 0x0a, 0, 0, 0, 1], expect![[""]]);
}

#[test]
fn data_without_a_target() {
    check(&[("data.csv", table().as_bytes())], &["-q", "run", "data.csv"], expect![[""]]);
    check(
        &[("data.csv", table().as_bytes())],
        &["-q", "run", "data.csv", "--target", "prise"],
        expect![[""]],
    );
}

#[test]
fn keys_and_kinds_misspelt() {
    check_file(
        "[data]\nsorce = \"data.csv\"\n[inputs]\nage = \"nummer\"\n[outputs]\nprice = \"number\"\n[model]\nkind = \"mpl\"\n[train]\nepocs = 3\noptimizer = \"adamm\"\n",
        expect![[""]],
    );
    check_file(
        "[data]\nsource = \"data.csv\"\n[inputs]\nage = \"nummer\"\n[outputs]\nprice = \"number\"\n[model]\nkind = \"mpl\"\nhidden = 3\n[train]\noptimizer = \"adamm\"\n",
        expect![[""]],
    );
}

#[test]
fn values_of_another_type() {
    check_file(
        "[data]\nsource = \"data.csv\"\n[outputs]\nprice = \"number\"\n[model]\ndropout = \"a lot\"\nnum_layers = 0\n[train]\nepochs = -3\noptimizer = { kind = \"sgd\", learning_rate = -0.001 }\n",
        expect![[""]],
    );
}

#[test]
fn text_that_is_not_toml() {
    check_file("[data\nsource = 3\n", expect![[""]]);
}

#[test]
fn columns_that_are_not_there() {
    check_file(
        "[data]\nsource = \"data.csv\"\nexclude = [\"citty\"]\n[inputs]\nagee = \"number\"\n[outputs]\nprice = \"number\"\n",
        expect![[""]],
    );
}

#[test]
fn a_target_with_one_class() {
    let mut text = String::from("age,price\n");
    (0..30).for_each(|row| text.push_str(&format!("{row},cheap\n")));
    check_data(&text, expect![[""]]);
}

#[test]
fn a_target_without_values() {
    let mut text = String::from("age,price\n");
    (0..30).for_each(|row| text.push_str(&format!("{row},\n")));
    check_data(&text, expect![[""]]);
}

#[test]
fn a_class_with_one_row() {
    let mut text = String::from("age,price\n");
    (0..30).for_each(|row| {
        text.push_str(&format!(
            "{},{}\n",
            row * 7 % 30,
            if row == 11 {
                "dear"
            } else if row % 2 == 0 {
                "cheap"
            } else {
                "fair"
            }
        ))
    });
    check_data(&text, expect![[""]]);
}

#[test]
fn a_number_column_that_holds_text() {
    check(
        &[
            ("data.csv", table().replace("27,Oslo", "unknown,Oslo").as_bytes()),
            (
                "outset.toml",
                b"[data]\nsource = \"data.csv\"\n[inputs]\nage = \"number\"\n[outputs]\nprice = \"number\"\n",
            ),
        ],
        &["-q", "run"],
        expect![[""]],
    );
}

#[test]
fn infinite_numbers() {
    check_data(table().replace("27,Oslo", "inf,Oslo"), expect![[""]]);
}

#[test]
fn a_loss_that_runs_away() {
    let sandbox = Sandbox::new();
    sandbox.write("data.csv", table());
    let transcript = sandbox.transcript(&[
        "-q",
        "run",
        "data.csv",
        "--target",
        "price",
        "model.kind=linear",
        "train.optimizer.kind=sgd",
        "train.optimizer.learning_rate=1e30",
        "train.epochs=9",
        "train.schedule=constant",
    ]);
    expect![[""]].assert_eq(&transcript);
    assert!(!sandbox.path("runs/data-1/run.json").exists());
}

#[test]
fn a_folder_that_cannot_be_written() {
    let sandbox = Sandbox::new();
    sandbox.write("data.csv", table()).write("blocked", "a file where a folder should be");
    let arguments = ["-q", "run", "data.csv", "--target", "price", "train.epochs=1", "--runs", "blocked"];
    expect![[""]].assert_eq(&sandbox.transcript(&arguments));
}

#[test]
fn bundles_that_cannot_be_used() {
    let sandbox = Sandbox::new();
    sandbox.write("data.csv", table());
    sandbox.ok(&["-q", "run", "data.csv", "--target", "price", "train.epochs=2", "model.members=2"]);
    let bundle = |name: &str| format!("runs/data-1/bundle/{name}");
    let attempt = |change: &dyn Fn()| {
        let kept: Vec<(String, Vec<u8>)> =
            ["bundle.json", "preprocessor.json", "model.safetensors", "probes.jsonl"]
                .iter()
                .map(|name| (bundle(name), std::fs::read(sandbox.path(&bundle(name))).unwrap()))
                .collect();
        change();
        let transcript = sandbox.transcript(&["-q", "predict", "runs/data-1", "data.csv"]);
        for (name, content) in kept {
            sandbox.write(&name, content);
        }
        transcript
    };
    // Cut off.
    let cut = attempt(&|| {
        let path = sandbox.path(&bundle("model.safetensors"));
        let bytes = std::fs::read(&path).unwrap();
        std::fs::write(path, &bytes[..bytes.len() / 2]).unwrap();
    });
    expect![[""]].assert_eq(&cut);
    // Gone.
    let gone = attempt(&|| std::fs::remove_file(sandbox.path(&bundle("preprocessor.json"))).unwrap());
    expect![[""]].assert_eq(&gone);
    // Of a newer format.
    let newer = attempt(&|| {
        let text = sandbox.read(&bundle("bundle.json")).replacen("\"format\": 1", "\"format\": 99", 1);
        sandbox.write(&bundle("bundle.json"), text);
    });
    expect![[""]].assert_eq(&newer);
    // Probes whose answers are not the model's, with a hash that fits.
    let probes = attempt(&|| {
        let old = sandbox.read(&bundle("probes.jsonl"));
        let first = old.find("\"prediction\":").unwrap() + "\"prediction\":".len();
        let new = format!("{}9{}", &old[..first], &old[first..]);
        let hash = |text: &str| outset_learn::bundle::sha256(text.as_bytes());
        let manifest = sandbox.read(&bundle("bundle.json")).replace(&hash(&old), &hash(&new));
        sandbox.write(&bundle("probes.jsonl"), new).write(&bundle("bundle.json"), manifest);
    });
    assert!(
        probes.starts_with(
            "exit 2\nerror: the bundle `runs/data-1` does not answer as the trained model did: probe 1 gives"
        ),
        "{probes}"
    );
    // Not a bundle at all.
    expect![[""]].assert_eq(&sandbox.transcript(&["-q", "serve", "."]));
}

#[test]
fn rows_that_cannot_be_answered() {
    let sandbox = Sandbox::new();
    sandbox.write("data.csv", table());
    sandbox.ok(&["-q", "run", "data.csv", "--target", "price", "train.epochs=2", "model.members=2"]);
    sandbox.write("new.csv", "age\n3\n");
    expect![[""]].assert_eq(&sandbox.transcript(&["-q", "predict", "runs/data-1", "new.csv"]));
    sandbox.write("new.csv", "age,city\n3,Rome\nold,Oslo\n");
    expect![[""]].assert_eq(&sandbox.transcript(&["-q", "predict", "runs/data-1", "new.csv"]));
}

#[test]
fn arguments_that_are_wrong() {
    check(&[], &["-q", "new"], expect![[""]]);
    check(&[], &["-q", "new", "--example", "lime"], expect![[""]]);
    check(&[], &["-q", "report", "nowhere"], expect![[""]]);
}
