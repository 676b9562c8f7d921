//! Running an experiment of `benches/` with the program, as every benchmark of accuracy does.

use super::place::Place;
use super::{Outcome, process};
use serde_json::Value;
use std::path::PathBuf;
use std::time::Duration;

/// Longest time for one run, and for its twin.
pub const LIMIT: Duration = Duration::from_secs(3600);

/// An experiment file of `benches/` and the data that it is run on.
#[derive(Clone, Copy)]
pub struct Experiment {
    /// Folder under `benches/`.
    pub folder: &'static str,
    /// Name of the file and of the experiment.
    pub name: &'static str,
    /// Settings that name the data, with the files under the folder of the data sets.
    pub files: &'static [(&'static str, &'static str)],
    /// The setting that the seeds go to.
    pub seeded: &'static str,
}

/// A run that has come to its end.
pub struct Ran {
    /// The experiment file.
    pub experiment: PathBuf,
    /// The run's folder.
    pub folder: PathBuf,
    /// The data, in the order of the experiment.
    pub files: Vec<PathBuf>,
    /// What `run.json` holds.
    pub record: Value,
    /// Of the whole command.
    pub seconds: f64,
    pub peak_bytes: u64,
}

impl Experiment {
    /// The experiment file.
    pub fn path(&self, place: &Place) -> PathBuf {
        place.root.join(format!("benches/{}/{}.toml", self.folder, self.name))
    }

    /// Runs the experiment with a seed, from its data to the test part.
    ///
    /// # Errors
    /// If a file is missing or the run fails.
    pub fn run(&self, place: &Place, seed: u64) -> Outcome<Ran> {
        self.go(place, "run", seed, seed, &[])
    }

    /// Trains with a seed and further settings, without a look at the test part; the run's folder is named after `number`.
    ///
    /// # Errors
    /// If a file is missing or the run fails.
    pub fn train(&self, place: &Place, number: u64, seed: u64, settings: &[String]) -> Outcome<Ran> {
        self.go(place, "train", number, seed, settings)
    }

    fn go(&self, place: &Place, command: &str, number: u64, seed: u64, settings: &[String]) -> Outcome<Ran> {
        let experiment = self.path(place);
        let runs = place.work.join(format!("{}-{number}", self.name));
        let mut command = place.outset(&["--quiet", command]);
        command.arg(&experiment);
        let mut files = Vec::new();
        for (setting, file) in self.files {
            let file = place.data(file)?;
            command.arg(format!("{setting}={}", file.display()));
            files.push(file);
        }
        command.arg(format!("{}={seed}", self.seeded)).args(settings).arg("--runs").arg(&runs);
        let finished = process::run(&mut command, &self.log(place, number), LIMIT)?;
        let folder = newest(&runs, self.name)?;
        let record = folder.join("run.json");
        let text =
            std::fs::read_to_string(&record).map_err(|error| format!("{}: {error}", record.display()))?;
        Ok(Ran {
            experiment,
            folder,
            files,
            record: serde_json::from_str(&text)?,
            seconds: finished.seconds,
            peak_bytes: finished.peak_bytes,
        })
    }

    /// Asks a twin about the rows of a run; it prints one JSON object.
    ///
    /// # Errors
    /// If it fails.
    pub fn twin(&self, place: &Place, script: &str, ran: &Ran, seed: u64) -> Outcome<Value> {
        let mut twin = place.twin(script);
        twin.arg("--experiment").arg(&ran.experiment).arg("--run").arg(&ran.folder);
        twin.args(["--seed", &seed.to_string()]).args(&ran.files);
        let twin = process::run(&mut twin, &self.log(place, seed), LIMIT)?;
        Ok(serde_json::from_str(twin.output.lines().last().unwrap_or_default())?)
    }

    fn log(&self, place: &Place, seed: u64) -> PathBuf {
        place.work.join(format!("{}-{seed}-log", self.name))
    }
}

/// The last of the runs named `name` in a folder.
fn newest(runs: &std::path::Path, name: &str) -> Outcome<PathBuf> {
    (1..)
        .map(|number| runs.join(format!("{name}-{number}")))
        .take_while(|folder| folder.is_dir())
        .last()
        .ok_or_else(|| format!("no run in {}", runs.display()).into())
}

/// A number, or NaN where there is none.
pub fn number(value: &Value) -> f64 {
    value.as_f64().unwrap_or(f64::NAN)
}

/// Seeds after a `--seeds` flag.
///
/// # Errors
/// If one is no whole number.
pub fn seeds(text: Option<&str>) -> Outcome<Option<Vec<u64>>> {
    Ok(text.map(|text| text.split(',').map(str::parse).collect::<Result<_, _>>()).transpose()?)
}

#[cfg(test)]
pub mod tests {
    use super::*;

    /// Checks that an experiment has its file, with its name and its outputs.
    pub fn check_file(experiment: &Experiment, outputs: &[&str]) {
        let Experiment { folder, name, .. } = experiment;
        let path = format!("{}/../benches/{folder}/{name}.toml", env!("CARGO_MANIFEST_DIR"));
        let text = std::fs::read_to_string(&path).unwrap();
        assert!(text.contains(&format!("name = \"{name}\"")), "{path}");
        for output in outputs {
            assert!(text.contains(&format!("\n{output} = ")), "{path} lacks the output {output}");
        }
    }

    #[test]
    fn seeds_are_a_list_of_numbers() {
        assert_eq!(seeds(Some("0,7")).unwrap(), Some(vec![0, 7]));
        assert_eq!(seeds(None).unwrap(), None);
        assert!(seeds(Some("a")).is_err());
    }
}
