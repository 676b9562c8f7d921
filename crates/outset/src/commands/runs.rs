//! `outset runs`.

use super::Failure;
use crate::printer::{Printer, clock};
use outset_learn::files;
use outset_learn::resume::read_state;
use outset_learn::run::read_record;
use outset_learn::tune::database::Place;
use outset_learn::tune::engine::STUDY;
use outset_learn::verdict::number;
use outset_spec::record::MetricLine;
use outset_spec::state::{Objective, RunState};
use serde::Serialize;
use std::path::{Path, PathBuf};

/// A run in a line.
#[derive(Serialize)]
struct Line {
    run: String,
    /// `running`, `finished`, `interrupted` or `failed`.
    state: String,
    /// Metric of val that picks the best state.
    objective: String,
    /// Its best value so far.
    value: Option<f64>,
    seconds: Option<f64>,
    cost: Option<serde_json::Value>,
    /// Seconds since 1970.
    started: u64,
    error: Option<String>,
}

/// Lists the runs of a folder, the latest last.
pub fn runs(dir: &str, printer: &Printer) -> Result<(), Failure> {
    let place = super::tune::place(dir)?;
    if matches!(place, Place::Server(_)) || Path::new(dir).join(STUDY).is_file() {
        return super::tune::show(&place, printer);
    }
    let dir = Path::new(dir);
    let nested = dir.join("runs");
    let folder = if nested.is_dir() { nested } else { dir.to_owned() };
    let entries = std::fs::read_dir(&folder)
        .map_err(|error| Failure::wrong(format!("cannot read `{}`: {error}", folder.display())))?;
    let mut lines: Vec<Line> = entries.flatten().filter_map(|entry| line(&entry.path())).collect();
    lines.sort_by(|a, b| (a.started, &a.run).cmp(&(b.started, &b.run)));
    if printer.is_json() {
        lines.iter().for_each(|line| printer.object(line));
        return Ok(());
    }
    if lines.is_empty() {
        printer.line(&format!("there are no runs in `{}`", folder.display()));
        return Ok(());
    }
    let mut rows = vec![["run", "state", "objective", "value", "time", "cost"].map(str::to_owned)];
    for line in lines {
        rows.push([
            line.run,
            line.state,
            line.objective,
            line.value.map_or_else(|| "–".to_owned(), number),
            line.seconds.map_or_else(|| "–".to_owned(), clock),
            line.cost.as_ref().and_then(money).unwrap_or_else(|| "–".to_owned()),
        ]);
    }
    printer.table(&rows);
    Ok(())
}

fn money(cost: &serde_json::Value) -> Option<String> {
    Some(format!("{:.4} {}", cost["amount"].as_f64()?, cost["currency"].as_str()?))
}

/// What a run's files say of it; `None` where the folder is none of a run.
fn line(folder: &Path) -> Option<Line> {
    let (state, record) = (read_state(folder).ok(), read_record(folder).ok());
    if state.is_none() && record.is_none() {
        return None;
    }
    let run = folder.file_name()?.to_string_lossy().into_owned();
    let known = state.clone().unwrap_or_default();
    let at_work = matches!(files::lock(folder), Ok(None));
    let shown = match (at_work, &state, &record) {
        (true, ..) => "running",
        // Nobody works on it any more: it was killed.
        (_, Some(RunState { state, .. }), _) if state == "running" => "interrupted",
        (_, Some(RunState { state, .. }), _) => state.as_str(),
        (_, None, Some(record)) => record.state.as_str(),
        (_, None, None) => "",
    };
    let value = match &record {
        Some(record) if !at_work => Some(record.training.best),
        _ => best_so_far(folder, &known.objective),
    };
    let objective = if known.objective.metric.is_empty() {
        record.as_ref().map(|record| record.training.objective.clone()).unwrap_or_default()
    } else {
        known.objective.metric.clone()
    };
    let cost = record.as_ref().and_then(|record| serde_json::to_value(record.cost.as_ref()?).ok());
    let total = record.as_ref().and_then(|record| record.timings.get("total").copied());
    Some(Line {
        run,
        state: shown.to_owned(),
        objective,
        value,
        seconds: total.or_else(|| age(folder, known.started)),
        cost,
        started: known.started,
        error: known.error,
    })
}

/// The best value of the objective that `metrics.jsonl` holds so far.
fn best_so_far(folder: &Path, objective: &Objective) -> Option<f64> {
    let text = std::fs::read_to_string(folder.join("metrics.jsonl")).ok()?;
    let lines = text.lines().filter_map(|line| serde_json::from_str::<MetricLine>(line).ok());
    let values = lines
        .filter(|line| line.part == "val")
        .filter_map(|line| line.values.get(&objective.metric).copied());
    values.reduce(|best, value| if (value > best) == objective.higher_is_better { value } else { best })
}

/// Seconds from a run's beginning to what it wrote last.
fn age(folder: &Path, started: u64) -> Option<f64> {
    let files: [PathBuf; 2] = ["metrics.jsonl", "state.json"].map(|name| folder.join(name));
    let times = files.iter().filter_map(|file| file.metadata().ok()?.modified().ok());
    let last = times.max()?.duration_since(std::time::UNIX_EPOCH).ok()?.as_secs();
    Some(last.saturating_sub(started) as f64)
}
