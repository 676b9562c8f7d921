//! Which experiment is meant: a folder, a file, or data with a target.

use crate::arguments::What;
use crate::commands::Failure;
use outset_learn::prepare::declared;
use outset_spec::state::Origin;
use outset_spec::{Experiment, Problems};
use std::path::{Path, PathBuf};

/// File that a folder's experiment is read from.
pub const FILE: &str = "outset.toml";

/// An experiment and where its runs go.
pub struct Located {
    pub experiment: Experiment,
    /// `runs` beside the experiment file; for bare data in the current folder.
    pub runs: PathBuf,
    /// The file that the experiment was read from, with the settings of the command line.
    pub origin: Option<Origin>,
}

/// Finds the experiment that the arguments mean.
pub fn locate(what: &What) -> Result<Located, Failure> {
    let mut words = what.words.iter().peekable();
    // The first word is a setting only if it looks like one and no file has its name.
    let first = words.next_if(|word| !is_setting(word) || Path::new(word).exists());
    let overrides: Vec<String> = words.cloned().collect();
    if let Some(stray) = overrides.iter().find(|word| !word.contains('=')) {
        return Err(Failure::wrong(format!("`{stray}` is one argument too many"))
            .hint("one EXPERIMENT, then settings as KEY=VALUE"));
    }
    let path = Path::new(first.map_or(".", String::as_str));
    if !what.target.is_empty() {
        let Some(source) = first else {
            return Err(Failure::wrong("`--target` needs data: `outset run data.csv --target COLUMN`"));
        };
        let experiment = sound(Experiment::of_data(source, &what.target, &overrides))?;
        return Ok(Located { experiment, runs: PathBuf::from("runs"), origin: None });
    }
    let file = if path.is_dir() { path.join(FILE) } else { path.to_owned() };
    if !file.exists() {
        let failure = if path.is_dir() {
            let place =
                if first.is_some() { format!("`{}`", path.display()) } else { "this folder".to_owned() };
            Failure::wrong(format!("there is no `{FILE}` in {place}"))
                .hint("draft one with `outset new DIR --from DATA --target COLUMN`")
        } else {
            Failure::wrong(format!("there is no `{}`", path.display()))
        };
        return Err(failure);
    }
    if file.extension().is_none_or(|ending| ending != "toml") {
        return Err(Failure::wrong(format!("`{}` is data, so say what to predict", path.display()))
            .hint(format!("`outset run {} --target COLUMN`", path.display())));
    }
    let text = std::fs::read_to_string(&file)
        .map_err(|error| Failure::wrong(format!("cannot read `{}`: {error}", file.display())))?;
    let folder = file.parent().map_or_else(PathBuf::new, Path::to_owned);
    let shown = file.strip_prefix(".").unwrap_or(&file).display().to_string();
    let mut experiment =
        sound(Experiment::read(&shown, &text, &folder, &overrides).map_err(Failure::problems)?)?;
    if file.file_name().is_some_and(|name| name != FILE) && !text_names(&text) {
        experiment.name =
            file.file_stem().map_or(experiment.name, |stem| stem.to_string_lossy().into_owned());
    }
    let runs = folder.strip_prefix(".").unwrap_or(&folder).join("runs");
    let origin = Some(Origin { file: file.display().to_string(), overrides });
    Ok(Located { experiment, runs, origin })
}

/// The experiment, unless something is wrong with its closed or its open parts: then all of that at once.
fn sound((experiment, problems): (Experiment, Problems)) -> Result<Experiment, Failure> {
    let problems = problems.with(declared(&experiment));
    problems.or(experiment).map_err(Failure::problems)
}

/// Whether the file itself names the experiment.
fn text_names(text: &str) -> bool {
    outset_spec::Table::parse(FILE, text).is_ok_and(|table| table.get("name").is_some())
}

fn is_setting(word: &str) -> bool {
    word.split_once('=').is_some_and(|(key, _)| !key.contains(['/', '\\']))
}
