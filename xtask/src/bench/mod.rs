//! Benchmarks: each is a file here, with its twin in Python under `benches/`.

mod ablation;
mod adult;
mod document;
mod experiment;
mod http;
mod images;
mod kernels;
mod line;
mod measure;
mod place;
mod plan;
mod process;
mod serve;
mod step;
mod tables;
mod texts;
mod tune;

use measure::Comparison;
use place::Place;
use std::error::Error;

/// What went wrong, in words for the one who runs the benchmark.
pub type Outcome<T> = Result<T, Box<dyn Error>>;

/// Runs `bench tables`.
///
/// # Errors
/// If a flag is unknown, or anything could not be run.
pub fn tables(flags: &[&str]) -> Outcome<()> {
    let flags = Flags::read(flags, &["--only", "--seeds"])?;
    let seeds = experiment::seeds(flags.get("--seeds"))?;
    let place = Place::find("tables")?;
    let text = tables::tables(&place, &flags.only(&tables::names())?, seeds.as_deref())?;
    if flags.is_empty() { document::write(&place, "tables", &text) } else { Ok(()) }
}

/// Runs `bench images`.
///
/// # Errors
/// If a flag is unknown, or anything could not be run.
pub fn images(flags: &[&str]) -> Outcome<()> {
    let flags = Flags::read(flags, &["--only", "--seeds", "--epochs"])?;
    let seeds = experiment::seeds(flags.get("--seeds"))?;
    let epochs = flags.get("--epochs").map(str::parse).transpose()?;
    let place = Place::find("images")?;
    let text = images::images(&place, &flags.only(&images::names())?, seeds.as_deref(), epochs)?;
    if flags.is_empty() { document::write(&place, "images", &text) } else { Ok(()) }
}

/// Runs `bench texts`.
///
/// # Errors
/// If a flag is unknown, or anything could not be run.
pub fn texts(flags: &[&str]) -> Outcome<()> {
    let flags = Flags::read(flags, &["--only", "--seeds"])?;
    let seeds = experiment::seeds(flags.get("--seeds"))?;
    let place = Place::find("texts")?;
    let text = texts::texts(&place, &flags.only(&texts::names())?, seeds.as_deref())?;
    if flags.is_empty() { document::write(&place, "texts", &text) } else { Ok(()) }
}

/// Runs `bench ablation`.
///
/// # Errors
/// If a flag is unknown, or anything could not be run.
pub fn ablation(flags: &[&str]) -> Outcome<()> {
    let flags = Flags::read(flags, &["--only", "--seeds"])?;
    let seeds = experiment::seeds(flags.get("--seeds"))?;
    let place = Place::find("ablation")?;
    let only = flags.only(&ablation::names())?;
    let text = ablation::ablation(&place, &only, seeds.as_deref().unwrap_or(ablation::SEEDS))?;
    if flags.is_empty() { document::write(&place, "ablation", &text) } else { Ok(()) }
}

/// Runs `bench plan`.
///
/// # Errors
/// If a flag is unknown, or anything could not be run.
pub fn plan(flags: &[&str]) -> Outcome<()> {
    let flags = Flags::read(flags, &["--only", "--epochs"])?;
    let epochs = flags.get("--epochs").map(str::parse).transpose()?;
    let place = Place::find("plan")?;
    let text = plan::plan(&place, &flags.only(&plan::names())?, epochs)?;
    if flags.is_empty() { document::write(&place, "plan", &text) } else { Ok(()) }
}

/// Runs `bench tune`.
///
/// # Errors
/// If a flag is unknown, or anything could not be run.
pub fn tune(flags: &[&str]) -> Outcome<()> {
    let flags = Flags::read(flags, &["--only", "--seeds", "--runs", "--rows", "--epochs"])?;
    let seeds = match flags.get("--seeds") {
        Some(text) => text.split(',').map(str::parse).collect::<Result<Vec<u64>, _>>()?,
        None => (0..10).collect(),
    };
    let size = tune::Size {
        runs: flags.get("--runs").map_or(Ok(20.0), str::parse)?,
        rows: flags.get("--rows").map(str::parse).transpose()?,
        epochs: flags.get("--epochs").map(str::parse).transpose()?,
    };
    let place = Place::find("tune")?;
    let text = tune::tune(&place, &flags.only(&tune::names())?, &seeds, &size)?;
    document::write(&place, "tune", &text)
}

/// Runs `bench start`.
///
/// # Errors
/// If a flag is unknown, or anything could not be run.
pub fn start(flags: &[&str]) -> Outcome<()> {
    let flags = Flags::read(flags, &["--only", "--rounds"])?;
    let only = flags.only(&["line", "adult", "serve"])?;
    let rounds = flags.get("--rounds").map_or(Ok(7), str::parse)?;
    let place = Place::find("start")?;
    let words = place.words(&["torch", "fastapi", "uvicorn", "matplotlib"])?;
    let mut comparisons: Vec<Comparison> = Vec::new();
    if only.contains(&"line") {
        comparisons.extend(line::line(&place, rounds)?);
    }
    if only.contains(&"adult") || only.contains(&"serve") {
        // The servers serve what is trained here.
        let adult = adult::adult(&place)?;
        comparisons.extend(adult.comparisons);
        if only.contains(&"serve") {
            comparisons.extend(serve::serve(&place, &adult.run, &adult.saved, rounds)?);
        }
    }
    let text = measure::table(&comparisons);
    println!("\n{text}");
    if flags.is_empty() { document::write(&place, "start", &format!("{words}\n\n{text}")) } else { Ok(()) }
}

/// Runs `bench kernels`.
///
/// # Errors
/// If a flag is given, or the benchmark could not be run.
pub fn kernels(flags: &[&str]) -> Outcome<()> {
    Flags::read(flags, &[])?;
    let place = Place::of_tree("kernels")?;
    let text = kernels::kernels(&place)?;
    println!("\n{text}");
    document::write(&place, "kernels", &format!("{} {text}", place.words_of_machine(&[])?))
}

/// Runs `bench step`.
///
/// # Errors
/// If a flag is unknown, or anything could not be run.
pub fn step(flags: &[&str]) -> Outcome<()> {
    let flags = Flags::read(flags, &["--only", "--rounds", "--precision"])?;
    let rounds = flags.get("--rounds").map_or(Ok(7), str::parse)?;
    let precisions: Vec<&str> = flags.get("--precision").unwrap_or("f32,bf16").split(',').collect();
    let place = Place::of_tree("step")?;
    let text = step::step(&place, &flags.only(&step::names())?, &precisions, rounds)?;
    println!("\n{text}");
    if !flags.is_empty() {
        return Ok(());
    }
    let words = format!("{} Medians of {rounds} rounds.", place.words_of_machine(&["torch"])?);
    document::write(&place, "step", &format!("{words} {text}"))
}

/// Flags of a benchmark, each with a value.
struct Flags(Vec<(String, String)>);

impl Flags {
    /// Reads `--flag value` pairs, of the `known` flags alone.
    fn read(words: &[&str], known: &[&str]) -> Outcome<Self> {
        let mut flags = Vec::new();
        for pair in words.chunks(2) {
            match pair {
                [flag, value] if known.contains(flag) => {
                    flags.push(((*flag).to_owned(), (*value).to_owned()))
                }
                [flag, ..] if known.contains(flag) => return Err(format!("`{flag}` needs a value").into()),
                _ => return Err(format!("unknown flag `{}`; known are {}", pair[0], known.join(", ")).into()),
            }
        }
        Ok(Self(flags))
    }

    fn get(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(flag, _)| flag == name).map(|(_, value)| value.as_str())
    }

    fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The names after `--only`, or all of them.
    fn only<'a>(&self, all: &[&'a str]) -> Outcome<Vec<&'a str>> {
        let Some(only) = self.get("--only") else { return Ok(all.to_vec()) };
        let find = |name: &str| {
            let found = all.iter().find(|known| **known == name);
            found.copied().ok_or_else(|| format!("no `{name}` among {}", all.join(", ")).into())
        };
        only.split(',').map(find).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn flags_are_pairs_of_known_names() {
        let flags = Flags::read(&["--only", "a,b"], &["--only"]).unwrap();
        assert_eq!(flags.only(&["a", "b", "c"]).unwrap(), ["a", "b"]);
        assert!(flags.only(&["a"]).is_err());
        assert!(Flags::read(&["--only"], &["--only"]).is_err());
        assert!(Flags::read(&["--what", "x"], &["--only"]).is_err());
    }
}
