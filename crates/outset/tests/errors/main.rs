//! Every error that a user can meet: exit code, wording and hint.

// A test that the machine does not allow says so.
#![allow(clippy::print_stderr)]

mod bundles;
#[path = "../common/mod.rs"]
mod common;
mod data;
mod declaration;
mod running;

use common::Sandbox;
use expect_test::Expect;

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
