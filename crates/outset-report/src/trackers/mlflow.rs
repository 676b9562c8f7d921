//! MLflow's file store: `mlruns/<experiment>/<run>/` with a file for each metric and parameter
//! (<https://mlflow.org/docs/latest/ml/tracking/>).

use super::{Course, write};
use crate::ReportError;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};

/// Writes a run into the file store `output`, as a run of the experiment of its name, and gives the run's folder.
///
/// # Errors
/// If the run cannot be read, or a file cannot be written.
pub fn mlflow(folder: &Path, output: &Path) -> Result<PathBuf, ReportError> {
    let course = Course::read(folder)?;
    let record = &course.run.record;
    // Numbers of one name are one experiment, and a run that is written again is itself.
    let experiment_id = format!("{:018}", hash(&record.name) % 1_000_000_000_000_000_000);
    let run_id = {
        let identity = format!("{}/{}/{}", record.name, course.name, course.started);
        format!("{:016x}{:016x}", hash(&identity), hash(&format!("{identity}/again")))
    };
    let store = std::path::absolute(output).unwrap_or_else(|_| output.to_owned());
    let experiment = store.join(&experiment_id);
    let run = experiment.join(&run_id);
    let (started, ended) = ((course.started * 1000.0) as u64, (course.ended * 1000.0) as u64);
    let meta = format!(
        "artifact_location: file://{}\ncreation_time: {started}\nexperiment_id: '{experiment_id}'\n\
         last_update_time: {ended}\nlifecycle_stage: active\nname: {}\n",
        experiment.display(),
        quoted(&record.name)
    );
    write(experiment.join("meta.yaml"), meta.as_bytes())?;
    // 3 stands for finished, 4 for failed, 5 for killed.
    let status = match record.state.as_str() {
        "finished" => 3,
        "failed" => 4,
        _ => 5,
    };
    let meta = format!(
        "artifact_uri: file://{}/artifacts\nend_time: {ended}\nentry_point_name: ''\nexperiment_id: '{experiment_id}'\n\
         lifecycle_stage: active\nrun_id: {run_id}\nrun_name: {}\nrun_uuid: {run_id}\nsource_name: ''\nsource_type: 4\n\
         source_version: ''\nstart_time: {started}\nstatus: {status}\ntags: []\nuser_id: ''\n",
        run.display(),
        quoted(&course.name)
    );
    write(run.join("meta.yaml"), meta.as_bytes())?;
    let mut metrics: Vec<(String, String)> = Vec::new();
    for (step, name, value) in course.values() {
        let at = (course.moment(step) * 1000.0) as u64;
        let line = format!("{at} {value} {step}\n");
        match metrics.iter_mut().find(|(known, _)| *known == name) {
            Some((_, lines)) => lines.push_str(&line),
            None => metrics.push((name, line)),
        }
    }
    for (name, lines) in metrics {
        write(run.join("metrics").join(plain(&name)), lines.as_bytes())?;
    }
    for (name, value) in [
        ("model", record.model.kind.clone()),
        ("parameters", record.model.parameters.to_string()),
        ("seed", record.seed.to_string()),
        ("objective", record.training.objective.clone()),
        ("rows_sha256", record.data.rows_sha256.clone()),
    ] {
        write(run.join("params").join(name), value.as_bytes())?;
    }
    write(run.join("tags/mlflow.runName"), course.name.as_bytes())?;
    write(run.join("tags/outset.version"), record.version.as_bytes())?;
    if let Some(text) = &course.run.experiment {
        write(run.join("artifacts/experiment.toml"), text.as_bytes())?;
    }
    Ok(run)
}

/// A name of letters, digits and what else MLflow takes in the name of a metric.
fn plain(name: &str) -> String {
    let keep = |c: char| if c.is_alphanumeric() || "_-./ ".contains(c) { c } else { '_' };
    name.chars().map(keep).collect::<String>().replace("..", "__")
}

/// A text of YAML in double quotes.
fn quoted(text: &str) -> String {
    let mut quoted = String::from("\"");
    for character in text.chars() {
        match character {
            '"' | '\\' => quoted.extend(['\\', character]),
            c if c.is_control() => {
                let _ = write!(quoted, "\\x{:02x}", c as u32);
            }
            c => quoted.push(c),
        }
    }
    quoted + "\""
}

/// FNV-1a.
fn hash(text: &str) -> u64 {
    text.bytes()
        .fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_mlflow_takes() {
        assert_eq!(plain("val/price (€)/rmse"), "val/price ___/rmse");
        assert_eq!(plain("../x"), "__/x");
        assert_eq!(quoted("a\"b\n"), "\"a\\\"b\\x0a\"");
    }
}
