//! `outset new`.

use super::Failure;
use crate::examples;
use crate::locate::FILE;
use crate::printer::Printer;
use outset_learn::event::Event;
use outset_learn::prepare::prepare;
use outset_spec::{Experiment, Table, problem};
use std::fmt::Write as _;
use std::path::{Path, PathBuf};

/// Drafts an experiment from data, or writes a built-in example with its data.
pub fn new(
    dir: Option<&Path>,
    from: Option<&str>,
    target: &[String],
    example: Option<&str>,
    printer: &Printer,
) -> Result<(), Failure> {
    match (from, example) {
        (None, Some(name)) => {
            let Some(example) = examples::find(name) else {
                let names: Vec<&str> = examples::list().iter().map(|(name, _)| *name).collect();
                return Err(problem::unknown("example", name, &names, None).into());
            };
            let dir = dir.map_or_else(|| PathBuf::from(name), Path::to_owned);
            make(&dir)?;
            for (file, content) in example.files() {
                let path = dir.join(file);
                if let Some(folder) = path.parent() {
                    std::fs::create_dir_all(folder).map_err(|error| {
                        Failure::failed(format!("cannot make `{}`: {error}", folder.display()))
                    })?;
                }
                write(&path, &content)?;
            }
            say_next(&dir, printer);
            Ok(())
        }
        (Some(data), None) => {
            let Some(dir) = dir else {
                return Err(Failure::wrong(
                    "name the folder to make: `outset new DIR --from DATA --target COLUMN`",
                ));
            };
            if target.is_empty() {
                return Err(Failure::wrong("name the column to predict with `--target COLUMN`"));
            }
            let text = draft(dir, data, target, printer)?;
            make(dir)?;
            write(&dir.join(FILE), text.as_bytes())?;
            say_next(dir, printer);
            Ok(())
        }
        _ => Err(Failure::wrong("nothing to begin from")
            .hint("`outset new DIR --from DATA --target COLUMN`, or `outset new --example line`")),
    }
}

/// The experiment file of data, with every column's type as it was understood.
fn draft(dir: &Path, data: &str, targets: &[String], printer: &Printer) -> Result<String, Failure> {
    let (experiment, _) = Experiment::of_data(data, targets, &[]);
    let mut columns: Vec<(String, String, String, String)> = Vec::new();
    let prepared = prepare(&experiment, &mut |event| match event {
        Event::Column { name, role, kind, reason } => columns.push((name, role, kind, reason)),
        event => printer.event(event),
    })?;
    let source = outset_learn::files::relative(Path::new(data), dir);
    let mut text = String::new();
    let mut top = Table::default();
    top.put("name", prepared.experiment.name.as_str());
    let mut data = Table::default();
    data.put("source", source.as_str());
    top.put("data", data);
    text.push_str(&top.to_toml());
    for (heading, wanted) in [("inputs", "input"), ("outputs", "output")] {
        let _ = writeln!(text, "\n[{heading}]");
        for (name, _, kind, reason) in columns.iter().filter(|(_, role, ..)| role == wanted) {
            let mut line = Table::default();
            line.put(name, kind.as_str());
            let _ = writeln!(text, "{:<40} # {}", line.to_toml().trim_end(), comment(reason));
        }
    }
    let left_out: Vec<_> = columns.iter().filter(|(_, role, ..)| role == "left out").collect();
    if !left_out.is_empty() {
        text.push_str("\n# Left out:\n");
        for (name, _, _, reason) in left_out {
            let _ = writeln!(text, "# {}: {}", comment(name), comment(reason));
        }
    }
    text.push_str("\n# `outset check` shows every other setting with its default.\n");
    Ok(text)
}

/// A text for a TOML comment, which ends with its line and holds no control characters.
fn comment(text: &str) -> String {
    text.replace(char::is_control, " ")
}

fn make(dir: &Path) -> Result<(), Failure> {
    if dir.join(FILE).exists() {
        return Err(Failure::wrong(format!("`{}` is there already", dir.join(FILE).display()))
            .hint("choose another folder"));
    }
    std::fs::create_dir_all(dir)
        .map_err(|error| Failure::failed(format!("cannot make `{}`: {error}", dir.display())))
}

fn write(path: &Path, content: &[u8]) -> Result<(), Failure> {
    Ok(outset_learn::files::write(path, content)?)
}

fn say_next(dir: &Path, printer: &Printer) {
    if printer.is_json() {
        printer.object(&serde_json::json!({ "event": "new", "folder": dir.display().to_string() }));
    } else {
        printer.say("Written", &format!("{} · next: `outset run {}`", dir.display(), dir.display()));
    }
}
