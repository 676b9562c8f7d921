//! The top of the page, and the plain facts at its end.

use minijinja::{Value, context};
use outset_spec::record::RunRecord;

use super::known;
use crate::format;
use crate::run::Run;

pub fn name(record: &RunRecord) -> &str {
    if record.name.is_empty() { "run" } else { &record.name }
}

/// How the run ended, and what that means for what is shown.
pub fn state(record: &RunRecord) -> Value {
    let note = match record.state.as_str() {
        "failed" => {
            let ended = &record.training.ended;
            let cause = if ended.is_empty() { String::new() } else { format!(": {ended}") };
            Some(format!("The run failed{cause}. What was recorded until then is shown."))
        }
        "interrupted" => Some(
            "The run was stopped before its end. The figures are those of the best state until then."
                .to_owned(),
        ),
        _ => None,
    };
    let class = match record.state.as_str() {
        "failed" => "failed",
        "interrupted" => "interrupted",
        _ => "",
    };
    let name = if record.state.is_empty() { "unfinished" } else { &record.state };
    context! { name, class, note }
}

/// The sentence that answers whether the model is any good.
pub fn lead(record: &RunRecord) -> String {
    match (record.verdict.first(), record.state.as_str()) {
        (Some(first), _) => first.clone(),
        (None, "failed") => "This run failed, so there is no model to judge.".into(),
        (None, _) => "This run holds no verdict.".into(),
    }
}

/// What else the verdict says.
pub fn reasons(record: &RunRecord) -> Vec<String> {
    record.verdict.iter().skip(1).cloned().collect()
}

/// The most telling metric of each output, then size, time and memory.
pub fn tiles(run: &Run) -> Vec<Value> {
    let record = &run.record;
    let mut tiles = Vec::new();
    let (chosen_output, chosen_metric) = run.objective();
    for (output, metrics) in record.metrics.get("test").into_iter().flatten().take(4) {
        let chosen = metrics.get_key_value(chosen_metric).filter(|_| chosen_output == Some(output));
        let Some((metric, value)) = chosen.or_else(|| metrics.iter().find(|(name, _)| *name != "loss"))
        else {
            continue;
        };
        let mut notes = Vec::new();
        if let Some([low, high]) = interval(record, output, metric) {
            notes.push(format!("95 % interval: {} to {}", format::number(low), format::number(high)));
        }
        let baselines = record.baselines.iter().filter_map(|(name, parts)| {
            let value = parts.get("test")?.get(output)?.get(metric)?;
            Some(format!("{name} {}", format::number(*value)))
        });
        let baselines: Vec<String> = baselines.collect();
        if !baselines.is_empty() {
            notes.push(format!("baselines: {}", baselines.join(", ")));
        }
        let name = format!("{} of {}, test", format::shortened(metric, 40), format::shortened(output, 60));
        tiles.push(context! { main => true, name, value => format::number(*value), notes });
    }
    let mut plain = |name: &str, value: Option<String>, notes: Vec<String>| {
        if let Some(value) = value {
            tiles.push(context! { main => false, name, value, notes });
        }
    };
    let inputs = record.data.columns.iter().filter(|column| column.role == "input").count();
    let notes = known(inputs)
        .map(|count| format!("{count} input {}", if inputs == 1 { "column" } else { "columns" }));
    plain("rows", known(record.data.rows), notes.into_iter().collect());
    let memory = (record.peak_memory_bytes > 0)
        .then(|| format!("{} of memory", format::bytes(record.peak_memory_bytes)));
    let time = record.timings.get("total").map(|seconds| format::seconds(*seconds));
    plain("from file to report", time, memory.into_iter().collect());
    tiles
}

/// A 95 % interval on test, if one was recorded.
pub fn interval(record: &RunRecord, output: &str, metric: &str) -> Option<[f64; 2]> {
    record.intervals.get("test")?.get(output)?.get(metric).copied()
}

/// How much the test part can be trusted.
pub fn test_note(record: &RunRecord) -> Option<String> {
    let rows = *record.data.parts.get("test")?;
    let rows = format!(
        "{} rows that the model never saw while it learned or was chosen",
        format::count(rows as u64)
    );
    Some(match record.test_looks {
        0 => format!("{rows}."),
        1 => format!("{rows}; they were looked at once."),
        looks => format!(
            "{rows}; they were looked at {looks} times. Choosing by them makes the figures look better than they are."
        ),
    })
}

pub fn training(record: &RunRecord) -> Value {
    let training = &record.training;
    context! {
        known => !training.ended.is_empty() || training.steps > 0 || record.model.parameters > 0,
        ended => &training.ended,
        epochs => known(training.epochs),
        steps => known(training.steps),
        best_epoch => known(training.best_epoch),
        objective => &training.objective,
        best => (!training.objective.is_empty()).then(|| format::number(training.best)),
        speed => (training.rows_per_second > 0.0)
            .then(|| format!("{} rows a second", format::significant(training.rows_per_second, 3))),
    }
}

pub fn model(record: &RunRecord) -> Value {
    let layers = record.model.layers.iter();
    let layers: Vec<_> = layers
        .map(|(name, shape, count)| vec![name.clone(), shape.clone(), format::count(*count as u64)])
        .collect();
    context! {
        kind => &record.model.kind,
        parameters => known(record.model.parameters),
        precision => &record.model.precision,
        layers,
    }
}

/// Stages and how long they took.
pub fn timings(record: &RunRecord) -> Vec<Vec<String>> {
    record.timings.iter().map(|(stage, seconds)| vec![stage.clone(), format::seconds(*seconds)]).collect()
}

/// What `plan` had foretold, and how far off it was.
pub fn forecast(record: &RunRecord) -> Option<String> {
    let forecast = record.forecast.as_ref()?;
    let number = |key: &str| forecast.get(key).and_then(serde_json::Value::as_f64);
    let off = |key: &str, foretold: f64| {
        let actual = forecast.get("actual")?.get(key)?.as_f64().filter(|actual| *actual > 0.0)?;
        Some(format!(" ({:+.0} %)", (foretold / actual - 1.0) * 100.0))
    };
    let told = |key: &str, show: fn(f64) -> String| {
        let foretold = number(key)?;
        Some(format!("{}{}", show(foretold), off(key, foretold).unwrap_or_default()))
    };
    let told: Vec<String> = told("seconds", format::seconds)
        .into_iter()
        .chain(told("peak_memory_bytes", |bytes| format::bytes(bytes as u64)))
        .collect();
    (!told.is_empty()).then(|| told.join(", "))
}

pub fn environment(record: &RunRecord) -> Vec<Vec<String>> {
    let machine = &record.environment;
    let facts = [
        ("Outset", record.version.clone()),
        ("device", machine.device.clone()),
        ("processor", machine.processor.clone()),
        ("threads", known(machine.threads).unwrap_or_default()),
        ("instructions", machine.instruction_set.clone()),
        ("system", machine.os.clone()),
        ("seed", record.seed.to_string()),
        ("rows' SHA-256", record.data.rows_sha256.clone()),
    ];
    facts.into_iter().map(|(name, value)| vec![name.to_owned(), value]).collect()
}
