//! What a run says of itself while it goes on: `state.json`, there from its first moment to its last.

use crate::record::{DataRecord, TuneRecord};
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// Version of the format of `state.json`.
pub const FORMAT: u32 = 1;

/// Where a run stands, and all that is needed to go on with it.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct RunState {
    /// [`FORMAT`] at the time of writing.
    pub format: u32,
    /// Version of Outset that began the run.
    pub version: String,
    /// Name of the experiment.
    pub name: String,
    /// `running`, `finished`, `interrupted` (by the user) or `failed`. A run that says `running` but that no process
    /// works on was killed.
    pub state: String,
    /// Why the run failed.
    pub error: Option<String>,
    /// Whether the run ends before the test part, as `outset train` does.
    pub without_test: bool,
    /// Seconds since 1970 at which the run began.
    pub started: u64,
    /// Threads that computed.
    pub threads: usize,
    /// Metric of val that picks the best state, as `metrics.jsonl` calls it, and whether more is better.
    pub objective: Objective,
    /// How often the test part was looked at; counted before each look.
    pub test_looks: u32,
    /// The file that the experiment was read from, if any.
    pub origin: Option<Origin>,
    /// The experiment as it was declared, before defaults that need the data were filled in.
    pub declared: Value,
    /// The experiment as `experiment.toml` has it.
    pub resolved: Value,
    /// What was read.
    pub data: DataRecord,
    /// The search that the run is the best trial of.
    pub tune: Option<TuneRecord>,
}

/// The metric that picks the best state.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Objective {
    /// `loss` or `<output>/<metric>`.
    pub metric: String,
    pub higher_is_better: bool,
}

/// Where an experiment was read from.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Origin {
    /// The file, as seen from the run's folder.
    pub file: String,
    /// The settings of the command line.
    pub overrides: Vec<String>,
}

/// What differs between two JSON values, a sentence part a key: `` `train.epochs` was 5 and is 6 ``.
pub fn differences(before: &Value, after: &Value) -> Vec<String> {
    let mut found = Vec::new();
    compare("", Some(before), Some(after), &mut found);
    found
}

fn compare(path: &str, before: Option<&Value>, after: Option<&Value>, found: &mut Vec<String>) {
    if before == after {
        return;
    }
    if let (Some(Value::Object(a)), Some(Value::Object(b))) = (before, after) {
        let keys = a.keys().chain(b.keys().filter(|key| !a.contains_key(*key)));
        for key in keys {
            let path = if path.is_empty() { key.clone() } else { format!("{path}.{key}") };
            compare(&path, a.get(key), b.get(key), found);
        }
        return;
    }
    let show = |value: Option<&Value>| value.map_or_else(|| "not set".to_owned(), short);
    found.push(format!("`{path}` was {} and is {}", show(before), show(after)));
}

/// A value in a few words.
fn short(value: &Value) -> String {
    let text = value.to_string();
    if text.chars().count() <= 60 { text } else { text.chars().take(57).chain("...".chars()).collect() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn differences_name_the_key() {
        let before = json!({ "train": { "epochs": 5, "seed": 1 }, "model": { "kind": "mlp" } });
        let after = json!({ "train": { "epochs": 6, "seed": 1 }, "name": "x", "model": { "kind": "mlp" } });
        assert_eq!(
            differences(&before, &after),
            ["`train.epochs` was 5 and is 6", "`name` was not set and is \"x\""]
        );
        assert!(differences(&before, &before).is_empty());
    }
}
