//! Experiment files as they are written, and what is wrong with others.

use super::*;

const INCOME: &str = r#"
name = "income"
[data]
source = "adult.csv"
split = { train = 0.8, val = 0.1, test = 0.1, seed = 42, by = "stratified" }
[inputs]
age = "number"
glucose = { type = "number", missing = ["0"] }
[outputs]
income = "category"
[train]
early_stopping = false
optimizer = { kind = "adamw", learning_rate = 1e-3 }
"#;

fn messages(text: &str) -> Vec<String> {
    let problems = Experiment::parse("outset.toml", text, Path::new("x"), &[]).unwrap_err();
    problems.iter().map(|problem| problem.message.clone()).collect()
}

#[test]
fn a_whole_file() {
    let income =
        Experiment::parse("outset.toml", INCOME, Path::new("x"), &["train.epochs=5".into()]).unwrap();
    assert_eq!(income.train.epochs, Some(5));
    assert_eq!(income.train.early_stopping.patience, None);
    assert_eq!(income.inputs.as_ref().unwrap()["glucose"].kind, "number");
    assert_eq!(income.train.optimizer.kind, "adamw");
}

#[test]
fn a_hidden_folder_gives_a_name_too() {
    assert_eq!(
        [".outset", "a/prices", "/"].map(|folder| default_name(Path::new(folder))),
        ["outset", "prices", "run"]
    );
}

#[test]
fn what_is_written_runs_again() {
    let income = Experiment::parse("outset.toml", INCOME, Path::new("x"), &[]).unwrap();
    let text = income.to_table().to_toml();
    let again = Experiment::parse("outset.toml", &text, Path::new("x"), &[]).unwrap();
    assert_eq!(again.to_table(), income.to_table());
}

#[test]
fn every_problem_is_named() {
    assert_eq!(
        messages(
            "[data]\nsorce = \"a.csv\"\nsplit = { train = 0.9 }\n[train]\nepochs = \"x\"\nearly_stopping = 3\n"
        ),
        [
            "unknown key `data.sorce`",
            "`train.epochs` is `\"x\"`, but must be a whole number of at least 0",
            "`train.early_stopping` is `3`, but must be `false` or `{ patience = 5 }`",
            "`data.source` is missing",
            "`data.split` adds up to 1.1, but train, val and test must add up to 1",
            "`[outputs]` is missing",
        ]
    );
}
