//! The settings of every trial side by side: an upright line for each key, a path across them for each trial.

use super::chart::LABEL;
use super::{Plot, SIZE, Subject, fitted};
use crate::format;
use crate::run::Run;
use crate::surface::palette::{BLUE, GRID, INK, MUTED, RED};
use crate::surface::{Anchor, Point, Stroke};
use outset_spec::record::{TrialRecord, TuneRecord};
use serde_json::Value;

/// Keys that are shown at most, those that matter most.
const MAX_KEYS: usize = 7;
/// Top and bottom of the upright lines.
const LINES: (f32, f32) = (34.0, 216.0);

/// An upright line: a key with its ends.
struct Line {
    key: String,
    is_log: bool,
    /// Texts in their order, where the values are no numbers.
    choices: Vec<String>,
    ends: (f64, f64),
}

pub fn plots(run: &Run) -> Vec<Plot<'_>> {
    let Some(tune) = &run.record.tune else { return Vec::new() };
    let mut trials: Vec<&TrialRecord> =
        tune.trials.iter().filter(|trial| trial.value.is_some() && !trial.settings.is_empty()).collect();
    let keys =
        tune.importance.keys().chain(tune.keys.keys().filter(|key| !tune.importance.contains_key(*key)));
    let lines: Vec<Line> = keys.take(MAX_KEYS).filter_map(|key| line(tune, key)).collect();
    if trials.len() < 2 || lines.is_empty() {
        return Vec::new();
    }
    // The best comes first in the record and is drawn last, above all others.
    trials.reverse();
    let won = if trials.iter().any(|trial| trial.id == tune.winner) {
        "the red one won"
    } else {
        "the settings as they were declared, which won, have none"
    };
    let note = format!(
        "Each path is a trial, from key to key; {won}. Where the dark paths run together, a key matters. The most telling keys \
         come first."
    );
    let width = (lines.len().max(2) as f32 * 110.0).max(SIZE.0);
    let plot = Plot::new(Subject::Tune, "tune_parallel", "Settings side by side", note, move |surface| {
        let at = |index: usize| 60.0 + index as f32 * (width - 120.0) / (lines.len().max(2) - 1) as f32;
        for (index, line) in lines.iter().enumerate() {
            let x = at(index);
            surface.line(&[(x, LINES.0), (x, LINES.1)], Stroke::new(GRID, 1.5));
            let name = line.key.rsplit('.').next().unwrap_or(&line.key);
            surface.text(&fitted(name, 104.0, LABEL), (x, LINES.1 + 34.0), LABEL, Anchor::Middle, INK);
            for (end, y) in [(line.ends.1, LINES.0 - 8.0), (line.ends.0, LINES.1 + 16.0)] {
                let text = match line.choices.get(end as usize) {
                    Some(choice) if !line.choices.is_empty() => choice.clone(),
                    _ => format::significant(end, 3),
                };
                surface.text(&fitted(&text, 104.0, LABEL), (x, y), LABEL, Anchor::Middle, MUTED);
            }
        }
        let count = trials.len();
        for (rank, trial) in trials.iter().enumerate() {
            let points: Vec<Point> = lines
                .iter()
                .enumerate()
                .filter_map(|(index, line)| {
                    let place = line.place(trial.settings.get(&line.key)?)? as f32;
                    Some((at(index), LINES.1 + place * (LINES.0 - LINES.1)))
                })
                .collect();
            let is_winner = trial.id == tune.winner;
            let alpha = 0.1 + 0.6 * (rank as f32 / count as f32).powi(2);
            let stroke = if is_winner { Stroke::new(RED, 2.5) } else { Stroke::new(BLUE.alpha(alpha), 1.5) };
            match points.as_slice() {
                [] => {}
                [point] => surface.dot(*point, 3.0, stroke.color),
                points => surface.line(points, stroke),
            }
        }
    });
    vec![plot.sized((width, LINES.1 + 44.0))]
}

fn line(tune: &TuneRecord, key: &str) -> Option<Line> {
    let values: Vec<&Value> = tune.trials.iter().filter_map(|trial| trial.settings.get(key)).collect();
    let is_choice = tune.keys.get(key).is_some_and(|scale| scale == "choice");
    let numbers: Vec<f64> = values.iter().filter_map(|value| value.as_f64()).collect();
    if is_choice || numbers.len() < values.len() {
        let mut choices: Vec<&Value> = Vec::new();
        for value in values {
            if !choices.contains(&value) {
                choices.push(value);
            }
        }
        // Numbers among choices keep their order.
        choices.sort_by(|a, b| a.as_f64().partial_cmp(&b.as_f64()).unwrap_or(std::cmp::Ordering::Equal));
        let choices: Vec<String> = choices.into_iter().map(text).collect();
        let ends = (0.0, choices.len().checked_sub(1)? as f64);
        return Some(Line { key: key.to_owned(), is_log: false, choices, ends });
    }
    let ends = numbers
        .iter()
        .fold((f64::INFINITY, f64::NEG_INFINITY), |ends, value| (ends.0.min(*value), ends.1.max(*value)));
    let is_log = ends.0 > 0.0 && tune.keys.get(key).is_some_and(|scale| scale == "log");
    ends.0.is_finite().then(|| Line { key: key.to_owned(), is_log, choices: Vec::new(), ends })
}

impl Line {
    /// Place of a value from 0 to 1; the middle where all are alike.
    fn place(&self, value: &Value) -> Option<f64> {
        let value = if self.choices.is_empty() {
            value.as_f64()?
        } else {
            self.choices.iter().position(|choice| *choice == text(value))? as f64
        };
        let scale = |value: f64| if self.is_log { value.ln() } else { value };
        let (low, high) = (scale(self.ends.0), scale(self.ends.1));
        Some(if high > low { (scale(value) - low) / (high - low) } else { 0.5 })
    }
}

fn text(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}
