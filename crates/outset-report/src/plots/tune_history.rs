//! The course of a search: the value of each trial, and the best until then.

use super::axis::Axis;
use super::chart::Chart;
use super::{Plot, SIZE, Subject};
use crate::run::Run;
use crate::surface::Stroke;
use crate::surface::palette::{BLUE, MUTED, RED};

pub fn plots(run: &Run) -> Vec<Plot<'_>> {
    let Some(tune) = &run.record.tune else { return Vec::new() };
    let mut values: Vec<(f64, f64)> = tune
        .trials
        .iter()
        .filter(|trial| trial.state != "failed")
        .filter_map(|trial| Some((trial.id as f64, trial.value.filter(|value| value.is_finite())?)))
        .collect();
    if values.len() < 2 {
        return Vec::new();
    }
    values.sort_by(|a, b| a.0.total_cmp(&b.0));
    let note = format!(
        "Each dot is a trial, at its best {} on val; the line is the best until then, the dashed one the settings as they were \
         declared.",
        tune.objective
    );
    let plot = Plot::new(Subject::Tune, "tune_history", "Course of the search", note, move |surface| {
        let ends = [values[0].0, values[values.len() - 1].0];
        let x = Axis::counted("trial", ends[0], ends[1]);
        let y = Axis::fitting(format!("{} on val", tune.objective), values.iter().map(|(_, value)| *value));
        let mut chart = Chart::new(surface, SIZE, x, y, &[]);
        if let Some(default) = tune.default {
            chart.line(ends.map(|end| [end, default]), Stroke::new(MUTED, 1.5).dashed());
        }
        let mut best = values[0].1;
        let line: Vec<[f64; 2]> = values
            .iter()
            .map(|(id, value)| {
                best = if tune.higher_is_better { best.max(*value) } else { best.min(*value) };
                [*id, best]
            })
            .collect();
        chart.line(line, Stroke::new(RED, 2.0));
        let points: Vec<[f64; 2]> = values.iter().map(|(id, value)| [*id, *value]).collect();
        chart.dots(&points, BLUE);
    });
    vec![plot]
}
