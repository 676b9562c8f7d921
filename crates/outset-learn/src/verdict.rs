//! Whether a model is any good, in plain words: against always giving the same answer, and against a linear model.

use crate::evaluate::{Truth, TruthValues};
use indexmap::IndexMap;
use outset_spec::record::{Metrics, RunRecord};

/// Judges a finished run, a few sentences for each output.
pub fn verdict(record: &RunRecord, truths: &[Truth]) -> Vec<String> {
    let Some(test) = record.metrics.get("test") else { return Vec::new() };
    let rows = record.data.parts.get("test").copied().unwrap_or(0);
    let mut sentences = Vec::new();
    for truth in truths {
        let Some(metrics) = test.get(&truth.name) else { continue };
        let (metric, higher) = headline(truth);
        let Some(value) = metrics.get(metric) else { continue };
        let interval =
            record.intervals.get("test").and_then(|outputs| outputs.get(&truth.name)?.get(metric)).copied();
        sentences.push(result(truth, metric, *value, interval, rows));
        let of =
            |name: &str| record.baselines.get(name).and_then(|parts| baseline(parts, &truth.name, metric));
        if let Some(constant) = of("constant") {
            sentences.push(against_constant(truth, metric, higher, *value, constant));
        }
        // What the linear model of the columns does not see, that of the texts may.
        let better = |a: f64, b: f64| if higher { a > b } else { a < b };
        let linear = of("linear");
        let tf_idf = of("tf_idf").filter(|tf_idf| linear.is_none_or(|linear| better(*tf_idf, linear)));
        if let Some(linear) = tf_idf.or(linear) {
            let role = match truth.values {
                TruthValues::Tags { .. } => Linear::Other,
                _ if tf_idf.is_some() => Linear::Other,
                _ if record.model.kind == "linear" => Linear::Itself,
                _ => Linear::AtHand,
            };
            sentences.push(against_linear(metric, higher, *value, linear, interval, role));
        }
    }
    if rows < 100 {
        sentences.push(format!(
            "The test part has only {rows} rows, so these figures are rough: look at the intervals, and collect more rows if you can."
        ));
    }
    sentences
}

/// How the linear baseline stands to the model.
enum Linear {
    /// The model is a linear one.
    Itself,
    /// The experiment can ask for it.
    AtHand,
    /// It is of a kind that no model is.
    Other,
}

/// The metric to speak of: for a number RMSE, for classes accuracy, for sets micro F1, for tags entity F1.
pub fn headline(truth: &Truth) -> (&'static str, bool) {
    match truth.values {
        TruthValues::Number(_) => ("rmse", false),
        TruthValues::Category(_) => ("accuracy", true),
        TruthValues::Set(_) => ("f1_micro", true),
        TruthValues::Tags { ref output, .. } if output.is_plain() => ("token_accuracy", true),
        TruthValues::Tags { .. } => ("entity_f1", true),
    }
}

fn baseline(parts: &IndexMap<String, Metrics>, output: &str, metric: &str) -> Option<f64> {
    parts.get("test")?.get(output)?.get(metric).copied()
}

fn result(truth: &Truth, metric: &str, value: f64, interval: Option<[f64; 2]>, rows: usize) -> String {
    let name = &truth.name;
    let range = |write: &dyn Fn(f64) -> String| {
        interval.map_or(String::new(), |[low, high]| {
            format!(" (95 % interval {} to {})", write(low), write(high))
        })
    };
    match truth.values {
        TruthValues::Number(_) => format!(
            "On {rows} rows that it never saw, the model's typical error for `{name}` (RMSE) is {}{}.",
            number(value),
            range(&number)
        ),
        TruthValues::Category(_) => format!(
            "On {rows} rows that it never saw, the model is right about `{name}` in {}{}.",
            percent(value),
            range(&percent)
        ),
        TruthValues::Tags { ref output, .. } if output.is_plain() => format!(
            "On {rows} rows that it never saw, the model is right about the tag of a word in {}{}.",
            percent(value),
            range(&percent)
        ),
        TruthValues::Set(_) | TruthValues::Tags { .. } => format!(
            "On {rows} rows that it never saw, the model's {metric} for `{name}` is {}{}.",
            number(value),
            range(&number)
        ),
    }
}

fn against_constant(truth: &Truth, metric: &str, higher: bool, value: f64, constant: f64) -> String {
    let write = writer(metric);
    let better = if higher { value > constant } else { value < constant };
    let always = match truth.values {
        TruthValues::Number(_) => "Always answering the mean",
        TruthValues::Tags { .. } => "Giving every word the most frequent tag",
        _ => "Always giving the most frequent answer",
    };
    if better {
        format!("{always} would give {}, so the model has learned something.", write(constant))
    } else {
        format!(
            "{always} would give {}: the model is no better than that, so do not use it yet.",
            write(constant)
        )
    }
}

fn against_linear(
    metric: &str,
    higher: bool,
    value: f64,
    linear: f64,
    interval: Option<[f64; 2]>,
    role: Linear,
) -> String {
    let write = writer(metric);
    let beyond = interval.map_or(linear != value, |[low, high]| linear < low || linear > high);
    let better = if higher { value > linear } else { value < linear };
    match (role, beyond, better) {
        (Linear::Itself, ..) => {
            format!("The exact linear solution gives {} on the same rows.", write(linear))
        }
        (_, true, true) => {
            format!("A linear model gives {} on the same rows: the network is worth it.", write(linear))
        }
        (Linear::Other, true, false) => format!(
            "A linear model gives {} on the same rows, which is better: give the network more rows or a larger size.",
            write(linear)
        ),
        (_, true, false) => format!(
            "A linear model gives {} on the same rows, which is better: use `model.kind = \"linear\"`, or give the network more rows.",
            write(linear)
        ),
        _ => format!(
            "A linear model gives {} on the same rows: on this test part the two cannot be told apart.",
            write(linear)
        ),
    }
}

fn writer(metric: &str) -> fn(f64) -> String {
    if metric == "accuracy" || metric == "token_accuracy" { percent } else { number }
}

fn percent(value: f64) -> String {
    format!("{:.1} %", value * 100.0)
}

/// Numbers from here on are written with an exponent.
const HUGE: f64 = 1e15;

/// A setting's number as it would be written by hand.
pub fn short(value: f64) -> String {
    if value.abs() >= HUGE { format!("{value:e}") } else { value.to_string() }
}

/// Four significant digits.
pub fn number(value: f64) -> String {
    if value == 0.0 || !value.is_finite() {
        return value.to_string();
    }
    if value.abs() >= HUGE {
        return format!("{value:.3e}");
    }
    let digits = (3 - value.abs().log10().floor() as i32).clamp(0, 12) as usize;
    format!("{value:.digits$}")
}
