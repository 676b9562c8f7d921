//! Every error that a user can meet: exit code, wording and hint.

// A test that the machine does not allow says so.
#![allow(clippy::print_stderr)]

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
    check(
        &[],
        &["-q", "run", "data.csv", "--target", "price"],
        expect![[r#"
        exit 2
        error: `data.csv` does not exist
    "#]],
    );
    check(
        &[],
        &["-q", "run", "nowhere.toml"],
        expect![[r#"
        exit 2
        error: there is no `nowhere.toml`
    "#]],
    );
    check(
        &[],
        &["-q", "run"],
        expect![[r#"
        exit 2
        error: there is no `outset.toml` in this folder
        hint: draft one with `outset new DIR --from DATA --target COLUMN`
    "#]],
    );
}

#[test]
fn an_empty_file() {
    check_data(
        "",
        expect![[r#"
        exit 2
        error: `data.csv` is empty, but must hold at least one row
    "#]],
    );
}

#[test]
fn a_header_without_rows() {
    check_data(
        "age,price\n",
        expect![[r#"
        exit 2
        error: `data.csv` has a header line of 2 columns but no rows
        hint: if its line is a row, set `data.header = false`
    "#]],
    );
}

#[test]
fn a_ragged_row() {
    check_data(
        "age,price\n1,2\n3\n",
        expect![[r#"
        exit 2
        error: line 3 of `data.csv` has 1 cell, but must have 2 as the header line does
    "#]],
    );
}

#[test]
fn two_columns_of_one_name() {
    check_data(
        "age,age,price\n1,2,3\n4,5,6\n",
        expect![[r#"
        exit 2
        error: column name `age` stands twice in `data.csv`, at columns 1 and 2, but names must differ
        hint: rename one, or name all with `data.columns` and `data.header = true`
    "#]],
    );
}

#[test]
fn a_binary_file() {
    check_data(
        [0x89, b'P', b'N', b'G', 0x0d, 0x0a, 0x1a, 0x0a, 0, 0, 0, 1],
        expect![[r#"
        exit 2
        error: `data.csv` is a PNG picture, which is not supported yet, but must be CSV, TSV, JSON, JSON Lines, CoNLL or Parquet, plain, `.gz` or `.zst`
    "#]],
    );
}

#[test]
fn data_without_a_target() {
    check(
        &[("data.csv", table().as_bytes())],
        &["-q", "run", "data.csv"],
        expect![[r#"
        exit 2
        error: `data.csv` is data, so say what to predict
        hint: `outset run data.csv --target COLUMN`
    "#]],
    );
    check(
        &[("data.csv", table().as_bytes())],
        &["-q", "run", "data.csv", "--target", "prise"],
        expect![[r#"
            exit 2
            error: `[outputs]` names column `prise`, which `data.csv` does not have
            hint: did you mean `price`?
        "#]],
    );
}

#[test]
fn keys_and_kinds_misspelt() {
    check_file(
        "[data]\nsorce = \"data.csv\"\n[inputs]\nage = \"nummer\"\n[outputs]\nprice = \"number\"\n[model]\nkind = \"mpl\"\n[train]\nepocs = 3\noptimizer = \"adamm\"\n",
        expect![[r#"
            exit 2
            error: unknown key `data.sorce`
             --> outset.toml:2:1
              |
            2 | sorce = "data.csv"
              | ^^^^^
            hint: did you mean `source`?

            error: unknown type `nummer` of column `age`
             --> outset.toml:4:7
              |
            4 | age = "nummer"
              |       ^^^^^^^^
            hint: did you mean `number`?

            error: unknown model `mpl`
             --> outset.toml:8:8
              |
            8 | kind = "mpl"
              |        ^^^^^
            hint: did you mean `mlp`?

            error: unknown key `train.epocs`
              --> outset.toml:10:1
               |
            10 | epocs = 3
               | ^^^^^
            hint: did you mean `epochs`?

            error: unknown optimizer `adamm`
              --> outset.toml:11:13
               |
            11 | optimizer = "adamm"
               |             ^^^^^^^
            hint: did you mean `adam`? `outset list optimizers` shows all

            error: `data.source` is missing
            hint: name the file with your rows, for example `source = "data.csv"`
        "#]],
    );
    check_file(
        "[data]\nsource = \"data.csv\"\n[inputs]\nage = \"nummer\"\n[outputs]\nprice = \"number\"\n[model]\nkind = \"mpl\"\nhidden = 3\n[train]\noptimizer = \"adamm\"\n",
        expect![[r#"
            exit 2
            error: unknown type `nummer` of column `age`
             --> outset.toml:4:7
              |
            4 | age = "nummer"
              |       ^^^^^^^^
            hint: did you mean `number`?

            error: unknown model `mpl`
             --> outset.toml:8:8
              |
            8 | kind = "mpl"
              |        ^^^^^
            hint: did you mean `mlp`?

            error: unknown optimizer `adamm`
              --> outset.toml:11:13
               |
            11 | optimizer = "adamm"
               |             ^^^^^^^
            hint: did you mean `adam`? `outset list optimizers` shows all
        "#]],
    );
}

#[test]
fn values_of_another_type() {
    check_file(
        "[data]\nsource = \"data.csv\"\n[outputs]\nprice = \"number\"\n[model]\ndropout = \"a lot\"\nhidden_size = 0\n[train]\nepochs = -3\noptimizer = { kind = \"sgd\", learning_rate = -0.001 }\n",
        expect![[r#"
            exit 2
            error: `model.dropout` is `"a lot"`, but must be a number
             --> outset.toml:6:11
              |
            6 | dropout = "a lot"
              |           ^^^^^^^

            error: `model.hidden_size` is `0`, but must be at least 1
             --> outset.toml:7:15
              |
            7 | hidden_size = 0
              |               ^

            error: `train.epochs` is `-3`, but must be at least 1
             --> outset.toml:9:10
              |
            9 | epochs = -3
              |          ^^

            error: `train.optimizer.learning_rate` is `-0.001`, but must be greater than 0
              --> outset.toml:10:45
               |
            10 | optimizer = { kind = "sgd", learning_rate = -0.001 }
               |                                             ^^^^^^
        "#]],
    );
}

#[test]
fn text_that_is_not_toml() {
    check_file(
        "[data\nsource = 3\n",
        expect![[r#"
        exit 2
        error: unclosed table, expected `]`
         --> outset.toml:1:6
          |
        1 | [data
          |      ^
    "#]],
    );
}

#[test]
fn columns_that_are_not_there() {
    check_file(
        "[data]\nsource = \"data.csv\"\nexclude = [\"citty\"]\n[inputs]\nagee = \"number\"\n[outputs]\nprice = \"number\"\n",
        expect![[r#"
            exit 2
            error: `[inputs]` names column `agee`, which `data.csv` does not have
             --> outset.toml:5:1
              |
            5 | agee = "number"
              | ^^^^
            hint: did you mean `age`?

            error: `data.exclude` names column `citty`, which `data.csv` does not have
             --> outset.toml:3:12
              |
            3 | exclude = ["citty"]
              |            ^^^^^^^
            hint: did you mean `city`?
        "#]],
    );
}

#[test]
fn a_target_with_one_class() {
    let mut text = String::from("age,price\n");
    (0..30).for_each(|row| text.push_str(&format!("{row},cheap\n")));
    check_data(
        &text,
        expect![[r#"
        exit 2
        error: column `price` cannot be predicted: every row holds `cheap`
    "#]],
    );
}

#[test]
fn a_target_without_values() {
    let mut text = String::from("age,price\n");
    (0..30).for_each(|row| text.push_str(&format!("{row},\n")));
    check_data(
        &text,
        expect![[r#"
        exit 2
        error: column `price` cannot be predicted: no row holds a value
    "#]],
    );
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
    check_data(
        &text,
        expect![[r#"
        exit 2
        error: class `dear` of column `price` has 1 row, but a stratified split into 3 parts needs 3 of each class
        hint: add rows of it, leave it out or join it with another class, or set `data.split.by` to `random`
    "#]],
    );
}

#[test]
fn all_rows_left_out() {
    let mut text = String::from("age,price,plan\n");
    (0..40).for_each(|row| {
        text.push_str(&if row % 2 == 0 { format!("{row},{row},\n") } else { format!("{row},,a\n") })
    });
    let arguments = ["-q", "run", "data.csv", "--target", "price", "--target", "plan"];
    check(
        &[("data.csv", text.as_bytes())],
        &arguments,
        expect![[r#"
        exit 2
        error: no rows are left: 20 rows left out (no value in `price`), 20 rows left out (no value in `plan`)
    "#]],
    );
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
        expect![[r#"
            exit 2
            error: column `age` is a number, but row 2 holds `unknown` (in `data.csv`)
            hint: add `"unknown"` to `data.missing`, or set the column's type to `category`
        "#]],
    );
}

#[test]
fn infinite_numbers() {
    check_data(
        table().replace("27,Oslo", "inf,Oslo"),
        expect![[r#"
        exit 2
        error: column `age` in `data.csv` is a number, but row 2 holds `inf`, which is not finite
        hint: if it stands for a missing value, add `"inf"` to `data.missing`
    "#]],
    );
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
    expect![[r#"
        exit 1
        error: training stopped at step 2: the loss is no longer finite (last finite value 861.6)
        hint: the last good state is `runs/data-1/checkpoints/step-000000`; try a lower `train.optimizer.learning_rate` than 1e30
    "#]]
    .assert_eq(&transcript);
    assert!(!sandbox.path("runs/data-1/run.json").exists());
    let later = sandbox.transcript(&[
        "-q",
        "run",
        "data.csv",
        "--target",
        "price",
        "model.kind=linear",
        "train.optimizer.kind=sgd",
        "train.optimizer.learning_rate=1e5",
        "train.epochs=50",
        "train.schedule=constant",
        "train.clip_norm=0",
    ]);
    assert!(later.contains("hint: the last good state is `runs/data-2/checkpoints/step-0000"), "{later}");
    assert_eq!(std::fs::read_dir(sandbox.path("runs/data-2/checkpoints")).unwrap().count(), 1);
    assert_eq!(sandbox.json("runs/data-2/state.json")["state"], "failed");
    assert!(!sandbox.path("runs/data-2/run.json").exists());
}

#[test]
fn a_folder_that_cannot_be_written() {
    let sandbox = Sandbox::new();
    sandbox.write("data.csv", table()).write("blocked", "a file where a folder should be");
    let arguments = ["-q", "run", "data.csv", "--target", "price", "train.epochs=1", "--runs", "blocked"];
    expect![[r#"
        exit 1
        error: cannot write `blocked`: it is a file, but must be a folder
    "#]]
    .assert_eq(&sandbox.transcript(&arguments));
}

/// Runs a shell script with the program as `$0` while the folder `full` is a file system of `size`; `None`, said in a line,
/// where the machine lets the test mount none.
fn on_a_small_disk(sandbox: &Sandbox, size: &str, script: &str) -> Option<std::process::Output> {
    let mount = format!("mount -t tmpfs -o size={size} none full 2>/dev/null || exit 99; {script}");
    let output = std::process::Command::new("unshare")
        .args(["-m", "sh", "-c", &mount, env!("CARGO_BIN_EXE_outset")])
        .current_dir(sandbox.path(""))
        .output();
    let output = output.ok().filter(|output| output.stderr.starts_with(b"error"));
    if output.is_none() {
        eprintln!("a full disk: left out, no file system can be mounted here");
    }
    output
}

#[test]
fn a_disk_that_is_full() {
    let sandbox = Sandbox::new();
    sandbox.write("data.csv", table()).write("full/.keep", "");
    let script = "\"$0\" -q run data.csv --target price --runs full model.members=2 model.hidden_size=16 \
        train.epochs=1; code=$?; find full -name run.json; exit $code";
    let Some(output) = on_a_small_disk(&sandbox, "16k", script) else { return };
    assert_eq!(output.status.code(), Some(1));
    assert_eq!(String::from_utf8_lossy(&output.stdout), "", "nothing half-written counts as a run");
    // Which file no longer fits depends on the size of the others.
    let error = String::from_utf8_lossy(&output.stderr);
    assert!(error.starts_with("error: cannot write `full/data-1/"), "{error}");
    assert!(error.ends_with("`: No space left on device\n"), "{error}");
}

/// The disk holds the run, but no more: the report is refused as a whole, and the run stays what it was.
#[test]
fn a_disk_that_is_full_when_the_report_is_written() {
    let sandbox = Sandbox::new();
    sandbox.write("data.csv", table()).write("full/.keep", "");
    let run = ["-q", "run", "data.csv", "--target", "price", "train.epochs=1", "model.members=2"];
    sandbox.ok(&run);
    std::fs::remove_file(sandbox.path("runs/data-1/report.html")).unwrap();
    std::fs::remove_dir_all(sandbox.path("runs/data-1/plots")).unwrap();
    let script = "cp -r runs/data-1 full/ && dd if=/dev/zero of=full/rest bs=4k 2>/dev/null; rm full/rest; \
        dd if=/dev/zero of=full/rest bs=4k count=$(($(df --output=avail full | tail -n 1) / 4 - 4)) 2>/dev/null; \
        \"$0\" report full/data-1; code=$?; diff -r runs/data-1 full/data-1 | grep -v '^Only in full/data-1: plots$'; \
        find full/data-1 -name '.*'; \"$0\" -q predict full/data-1 data.csv | head -n 1; exit $code";
    let Some(output) = on_a_small_disk(&sandbox, "8m", script) else { return };
    assert_eq!(output.status.code(), Some(1));
    let left = String::from_utf8_lossy(&output.stdout);
    assert_eq!(left, "row,price_prediction\n", "no half of a file, and the run as it was");
    let error = String::from_utf8_lossy(&output.stderr);
    assert!(error.starts_with("error: cannot write `full/data-1/"), "{error}");
    assert!(error.contains("`: No space left on device\n"), "{error}");
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
    expect![[r#"
        exit 2
        error: `runs/data-1/bundle/model.safetensors` was cut off or altered: its content is not what the bundle's `bundle.json` says
        hint: copy the bundle again from the run that made it
    "#]].assert_eq(&cut);
    // Gone.
    let gone = attempt(&|| std::fs::remove_file(sandbox.path(&bundle("preprocessor.json"))).unwrap());
    expect![[r#"
        exit 2
        error: `runs/data-1` is not a bundle: it has no `preprocessor.json`
        hint: give a run folder or the `bundle` folder in it
    "#]]
    .assert_eq(&gone);
    // Of a newer format.
    let newer = attempt(&|| {
        let text = sandbox.read(&bundle("bundle.json")).replacen("\"format\": 1", "\"format\": 99", 1);
        sandbox.write(&bundle("bundle.json"), text);
    });
    expect![[r#"
        exit 2
        error: the bundle `runs/data-1/bundle` has format 99, but this program reads formats up to 1
        hint: update Outset, or train again with this version
    "#]]
    .assert_eq(&newer);
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
    expect![[r#"
        exit 2
        error: `.` is not a bundle: it has no `bundle.json`
        hint: give a run folder or the `bundle` folder in it
    "#]]
    .assert_eq(&sandbox.transcript(&["-q", "predict", ".", "data.csv"]));
}

#[test]
fn rows_that_cannot_be_answered() {
    let sandbox = Sandbox::new();
    sandbox.write("data.csv", table());
    sandbox.ok(&["-q", "run", "data.csv", "--target", "price", "train.epochs=2", "model.members=2"]);
    sandbox.write("new.csv", "age\n3\n");
    expect![[r#"
        exit 2
        error: cannot answer the rows of `new.csv`: column `city` is missing
    "#]]
    .assert_eq(&sandbox.transcript(&["-q", "predict", "runs/data-1", "new.csv"]));
    sandbox.write("new.csv", "age,city\n3,Rome\nold,Oslo\n");
    expect![[r#"
        exit 2
        error: cannot answer the rows of `new.csv`: column `age` is a number, but row 2 holds `old`
    "#]]
    .assert_eq(&sandbox.transcript(&["-q", "predict", "runs/data-1", "new.csv"]));
}

#[test]
fn arguments_that_are_wrong() {
    check(
        &[],
        &["-q", "new"],
        expect![[r#"
        exit 2
        error: nothing to begin from
        hint: `outset new DIR --from DATA --target COLUMN`, or `outset new --example line`
    "#]],
    );
    check(
        &[],
        &["-q", "new", "--example", "lime"],
        expect![[r#"
        exit 2
        error: unknown example `lime`
        hint: did you mean `line`?
    "#]],
    );
    check(
        &[],
        &["-q", "report", "nowhere"],
        expect![[r#"
        exit 2
        error: `nowhere` holds no `run.json`, but a run folder was expected
        hint: give the folder that `outset run` named after `Saved`, such as `runs/line-1`
    "#]],
    );
}
