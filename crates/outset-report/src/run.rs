//! The files of a run folder, read.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use outset_spec::record::{Excerpts, FORMAT, Gallery, MetricLine, RunRecord};
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::ReportError;
use crate::predictions::{self, Predicted};

/// All that the report is made of.
pub struct Run {
    pub record: RunRecord,
    /// The training curves, in order.
    pub lines: Vec<MetricLine>,
    /// The test rows' answers, output by output.
    pub predictions: Vec<Predicted>,
    /// The experiment file with every default filled in.
    pub experiment: Option<String>,
    /// Pictures of the run, where its inputs are pictures.
    pub gallery: Option<Gallery>,
    /// Texts of the run, where its inputs are texts.
    pub excerpts: Option<Excerpts>,
    /// The run's folder.
    pub folder: PathBuf,
}

impl Run {
    /// Reads a run folder. All files but `run.json` may be missing, as they are after a run that failed early.
    pub fn read(folder: &Path) -> Result<Self, ReportError> {
        let record = read_record(folder)?;
        let lines = match text(folder.join("metrics.jsonl"))? {
            Some(text) => read_lines(&folder.join("metrics.jsonl"), &text)?,
            None => Vec::new(),
        };
        let predictions = match text(folder.join("predictions.csv"))? {
            Some(text) => predictions::read(&folder.join("predictions.csv"), &text, &record)?,
            None => Vec::new(),
        };
        let experiment = text(folder.join("experiment.toml"))?;
        let gallery = part(folder.join("pictures.json"))?;
        let excerpts = part(folder.join("texts.json"))?;
        Ok(Self { record, lines, predictions, experiment, gallery, excerpts, folder: folder.to_owned() })
    }

    /// Output and metric that picked the best epoch; no output if it is the loss.
    pub fn objective(&self) -> (Option<&str>, &str) {
        let objective = self.record.training.objective.as_str();
        for part in self.record.metrics.values() {
            for (output, metrics) in part {
                for metric in metrics.keys() {
                    if objective.strip_prefix(metric.as_str()).and_then(|rest| rest.strip_prefix(" of "))
                        == Some(output)
                    {
                        return (Some(output), metric);
                    }
                }
            }
        }
        (None, objective)
    }
}

fn text(path: PathBuf) -> Result<Option<String>, ReportError> {
    match fs::read_to_string(&path) {
        Ok(text) => Ok(Some(text)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(source) => Err(ReportError::Read { path, source }),
    }
}

/// A file of JSON that not every run has.
fn part<T: DeserializeOwned>(path: PathBuf) -> Result<Option<T>, ReportError> {
    let Some(text) = text(path.clone())? else { return Ok(None) };
    let read = serde_json::from_str(&text).and_then(complete);
    read.map(Some).map_err(|source| ReportError::Record { path, source })
}

fn read_record(folder: &Path) -> Result<RunRecord, ReportError> {
    let path = folder.join("run.json");
    let no_record = || ReportError::NoRecord { folder: folder.to_owned() };
    let text = text(path.clone())?.ok_or_else(no_record)?;
    let broken = |source| ReportError::Record { path: path.clone(), source };
    let value: Value = serde_json::from_str(&text).map_err(broken)?;
    let found = value.get("format").and_then(Value::as_u64).unwrap_or(0);
    if found > u64::from(FORMAT) {
        return Err(ReportError::NewerFormat { path, found, expected: FORMAT });
    }
    complete(value).map_err(broken)
}

/// Reads `metrics.jsonl`; a last line that was cut off is left out, since a run may be killed while it writes.
fn read_lines(path: &Path, text: &str) -> Result<Vec<MetricLine>, ReportError> {
    let mut lines = Vec::new();
    for (index, line) in text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty()) {
        match serde_json::from_str(line).and_then(complete) {
            Ok(line) => lines.push(line),
            Err(_) if !text.ends_with('\n') && index + 1 == text.lines().count() => {}
            Err(source) => {
                return Err(ReportError::MetricLine { path: path.to_owned(), line: index + 1, source });
            }
        }
    }
    Ok(lines)
}

/// Deserializes a value without its nulls: JSON writes a number that is not finite, as a loss can be, as null.
fn complete<T: DeserializeOwned>(value: Value) -> Result<T, serde_json::Error> {
    serde_json::from_value(without_nulls(value).unwrap_or(Value::Null))
}

/// Drops null entries of objects, and pairs that hold a null from lists.
fn without_nulls(value: Value) -> Option<Value> {
    match value {
        Value::Null => None,
        Value::Object(entries) => {
            let kept = entries.into_iter().filter_map(|(key, value)| Some((key, without_nulls(value)?)));
            Some(Value::Object(kept.collect()))
        }
        Value::Array(items) => {
            let of_pairs = items.iter().any(|item| item.is_array() || item.is_object());
            let kept: Vec<Option<Value>> = items.into_iter().map(without_nulls).collect();
            if !of_pairs && kept.iter().any(Option::is_none) {
                return None;
            }
            Some(Value::Array(kept.into_iter().flatten().collect()))
        }
        other => Some(other),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_that_are_not_finite_are_left_out() {
        let value = serde_json::json!({
            "metrics": {"r2": null, "mse": 1.0},
            "intervals": {"r2": [null, 1.0], "mse": [0.5, 2.0]},
            "points": [[1.0, null], [1.0, 2.0]],
        });
        let expected = serde_json::json!({
            "metrics": {"mse": 1.0},
            "intervals": {"mse": [0.5, 2.0]},
            "points": [[1.0, 2.0]],
        });
        assert_eq!(without_nulls(value), Some(expected));
    }

    #[test]
    fn a_last_line_that_was_cut_off_is_left_out() {
        let line = r#"{"step":1,"epoch":1,"part":"train","values":{"loss":0.5}}"#;
        let read = |text: &str| read_lines(Path::new("metrics.jsonl"), text);
        assert_eq!(read(&format!("{line}\n{}", &line[..20])).map(|lines| lines.len()).ok(), Some(1));
        let broken = read(&format!("{}\n{line}\n", &line[..20]));
        let message = broken.map(|_| ()).map_err(|error| error.to_string());
        assert!(message.is_err_and(|text| text.starts_with("`metrics.jsonl` line 1 is not a metric line")));
    }
}
