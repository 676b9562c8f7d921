//! The reference page is what `outset list` says; `cargo xtask reference` writes it anew.

use serde_json::Value;
use std::fmt::Write as _;
use std::process::Command;

/// Kinds of `outset list` in the order of the page, with what the page says of them.
const SECTIONS: [(&str, &str, &str); 12] = [
    ("settings", "The file's tables", "`[inputs]`, `[outputs]` and `[model]` take the kinds further down."),
    (
        "types",
        "Column types",
        "Keys of a column in `[inputs]` or `[outputs]`: `age = { type = \"number\", scale = \"robust\" }`.",
    ),
    (
        "encoders",
        "Encoders",
        "Keys of `encoder` in an input: `age = { type = \"number\", encoder = { kind = \"number\", bins = 32 } }`.",
    ),
    (
        "decoders",
        "Decoders",
        "Further keys of a column in `[outputs]`; the type of the column chooses the decoder.",
    ),
    ("models", "Models", "The kinds of `[model]` with their keys."),
    ("activations", "Activations", "Values of `model.activation`."),
    (
        "losses",
        "Losses",
        "Values of `loss` in an output: `loss = \"huber\"` or `loss = { kind = \"huber\", delta = 2 }`.",
    ),
    (
        "optimizers",
        "Optimizers",
        "Values of `train.optimizer`: `optimizer = { kind = \"adamw\", learning_rate = 1e-3 }`.",
    ),
    ("schedules", "Schedules", "Values of `train.schedule`."),
    ("initializers", "Initializers", "Ways in which weights begin."),
    ("metrics", "Metrics", "Names in the report, in `run.json` and in `train.objective`."),
    ("examples", "Examples", "What `outset new DIR --example NAME` writes."),
];

#[test]
fn the_reference_page_is_fresh() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/reference.md");
    expect_test::expect_file![path].assert_eq(&page());
}

fn page() -> String {
    let mut text = String::from(
        "# Reference\n\n\
         Every key and kind that an experiment file may name. The page is written by `cargo xtask reference` from what\n\
         `outset list` says; a key without a default may be left out, and what then holds is chosen from the data.\n",
    );
    for (kind, title, about) in SECTIONS {
        let _ = write!(text, "\n## {title}\n\n{about}\n");
        let entries = list(kind);
        if entries.iter().all(|entry| settings(entry).is_empty()) {
            text.push_str("\n| name | what it is |\n|---|---|\n");
            for entry in &entries {
                let _ = writeln!(text, "| `{}` | {} |", word(entry, "name"), cell(&word(entry, "about")));
            }
            continue;
        }
        for entry in &entries {
            let _ = write!(text, "\n### `{}`\n\n{}\n", word(entry, "name"), word(entry, "about"));
            if !settings(entry).is_empty() {
                text.push_str("\n| key | what it is | value | default |\n|---|---|---|---|\n");
                rows(settings(entry), "", &mut text);
            }
        }
    }
    text
}

/// One row a key, keys within keys with a dot.
fn rows(settings: &[Value], path: &str, text: &mut String) {
    for setting in settings {
        let name = format!("{path}{}", word(setting, "name"));
        let default = match setting["default"].as_str() {
            Some(default) => format!("`{}`", cell(default)),
            None => String::new(),
        };
        let (about, value) = (cell(&word(setting, "about")), cell(&word(setting, "type")));
        let _ = writeln!(text, "| `{name}` | {about} | {value} | {default} |");
        rows(self::settings(setting), &format!("{name}."), text);
    }
}

fn list(kind: &str) -> Vec<Value> {
    let output = Command::new(env!("CARGO_BIN_EXE_outset")).args(["list", kind, "--json"]).output().unwrap();
    assert!(output.status.success(), "`outset list {kind} --json` failed");
    let text = String::from_utf8(output.stdout).unwrap();
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

fn settings(entry: &Value) -> &[Value] {
    entry["settings"].as_array().map_or(&[], Vec::as_slice)
}

fn word(entry: &Value, key: &str) -> String {
    entry[key].as_str().unwrap_or_default().to_owned()
}

/// Text for a cell of a table: one line, without a bar that would end the cell.
fn cell(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ").replace('|', "\\|")
}
