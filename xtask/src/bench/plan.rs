//! `bench plan`: forecasts of `outset plan` beside what the runs then take.

use super::experiment::Experiment;
use super::measure::{mebibytes, median};
use super::place::Place;
use super::{Outcome, document, images, process, tables, texts};
use serde_json::Value;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

/// Longest time for one forecast, and for one run.
const LIMIT: Duration = Duration::from_secs(3600);

/// Seconds below which a run is made several times, and how often: what else the machine does then counts for much. The
/// medians count.
const TURNS: [(f64, usize); 2] = [(1.0, 9), (30.0, 3)];

/// Built-in examples that are forecast.
const EXAMPLES: [&str; 7] =
    ["line", "churn", "sentiment", "sentiment-zh", "ticket-priority", "photos", "entities"];

/// A forecast and what came.
struct Pair {
    name: String,
    /// Seconds of the whole run: foretold for the steps that were made, and taken.
    seconds: [f64; 2],
    /// Largest resident set.
    bytes: [f64; 2],
    plan_seconds: f64,
    ended: String,
}

/// Names of all that can be forecast.
pub fn names() -> Vec<&'static str> {
    EXAMPLES.into_iter().chain(experiments().map(|experiment| experiment.name)).collect()
}

/// The experiments of the other benchmarks.
fn experiments() -> impl Iterator<Item = Experiment> {
    let tables = tables::ROWS.iter().map(tables::Row::experiment);
    let texts = texts::ROWS.iter().map(|row| row.experiment);
    tables.chain(texts).chain(images::ROWS.iter().map(|row| row.experiment))
}

/// Forecasts and runs each, prints the comparison and returns it with its heading.
///
/// # Errors
/// If a forecast or a run fails.
pub fn plan(place: &Place, names: &[&str], epochs: Option<usize>) -> Outcome<String> {
    let words = place.words(&[])?;
    let mut pairs = Vec::new();
    for name in names {
        let mut arguments = match experiments().find(|experiment| experiment.name == *name) {
            Some(experiment) => of_data(place, experiment)?,
            None => {
                let folder = place.work.join(name);
                let mut new = place.outset(&["new"]);
                new.arg(&folder).args(["--example", name]);
                process::run(&mut new, &place.work.join(format!("{name}-new")), LIMIT)?;
                vec![folder.display().to_string()]
            }
        };
        if let Some(epochs) = epochs {
            arguments.extend([format!("train.epochs={epochs}"), "train.early_stopping=false".to_owned()]);
        }
        let pair = compare(place, name, &arguments)?;
        println!(
            "{name} · {:.1} s foretold, {:.1} s taken · {:.0} MiB foretold, {:.0} MiB taken",
            pair.seconds[0],
            pair.seconds[1],
            pair.bytes[0] / f64::from(1 << 20),
            pair.bytes[1] / f64::from(1 << 20)
        );
        pairs.push(pair);
    }
    let off = |pair: [f64; 2]| (pair[0] / pair[1] - 1.0) * 100.0;
    let rows: Vec<Vec<String>> = pairs
        .iter()
        .map(|pair| {
            vec![
                pair.name.clone(),
                format!("{:.2}", pair.seconds[0]),
                format!("{:.2}", pair.seconds[1]),
                format!("{:+.0} %", off(pair.seconds)),
                format!("{:.0}", mebibytes(pair.bytes[0] as u64)),
                format!("{:.0}", mebibytes(pair.bytes[1] as u64)),
                format!("{:+.0} %", off(pair.bytes)),
                format!("{:.1}", pair.plan_seconds),
                pair.ended.clone(),
            ]
        })
        .collect();
    let head = [
        "experiment",
        "s foretold",
        "s taken",
        "off",
        "MiB foretold",
        "MiB taken",
        "off",
        "s to plan",
        "ended",
    ];
    let table = document::table(&head, &rows);
    let summary = |of: &dyn Fn(&Pair) -> [f64; 2]| {
        let all: Vec<f64> = pairs.iter().map(|pair| off(of(pair)).abs()).collect();
        (median(&all), all.iter().copied().fold(0.0, f64::max))
    };
    let (time, memory) = (summary(&|pair| pair.seconds), summary(&|pair| pair.bytes));
    let [(tiny, many), (short, some)] = TURNS;
    let summary = format!(
        "Time is off by {:.1} % in the median and {:.1} % at worst, memory by {:.1} % and {:.1} %. Where a run stopped \
         early, the forecast is that for the steps it made. Where a run takes less than {short:.0} s, the figures are \
         medians of {some} forecasts and {some} runs in turns, below {tiny:.0} s of {many} each.",
        time.0, time.1, memory.0, memory.1
    );
    println!("\n{table}\n\n{summary}");
    Ok(format!("{words}\n\n{table}\n\n{summary}"))
}

/// The experiment of a benchmark with its files.
fn of_data(place: &Place, experiment: Experiment) -> Outcome<Vec<String>> {
    let mut arguments = vec![experiment.path(place).display().to_string()];
    for (setting, file) in experiment.files {
        arguments.push(format!("{setting}={}", place.data(file)?.display()));
    }
    Ok(arguments)
}

/// Forecasts, then runs, an experiment: several times in turns where that is quick.
fn compare(place: &Place, name: &str, arguments: &[String]) -> Outcome<Pair> {
    let mut pairs: Vec<Pair> = Vec::new();
    while pairs.len() < pairs.first().map_or(1, |first| turns(first.seconds[1])) {
        pairs.push(compare_once(place, &format!("{name}-{}", pairs.len()), arguments)?);
    }
    let middle = |of: &dyn Fn(&Pair) -> f64| median(&pairs.iter().map(of).collect::<Vec<_>>());
    let of_both = |of: &dyn Fn(&Pair) -> [f64; 2]| [0, 1].map(|side| middle(&|pair| of(pair)[side]));
    Ok(Pair {
        name: name.to_owned(),
        seconds: of_both(&|pair| pair.seconds),
        bytes: of_both(&|pair| pair.bytes),
        plan_seconds: middle(&|pair| pair.plan_seconds),
        ended: pairs.swap_remove(0).ended,
    })
}

/// How often a run of so many seconds is made.
fn turns(seconds: f64) -> usize {
    TURNS.iter().find(|(below, _)| seconds < *below).map_or(1, |(_, turns)| *turns)
}

fn compare_once(place: &Place, name: &str, arguments: &[String]) -> Outcome<Pair> {
    let runs = place.work.join(format!("{name}-runs"));
    std::fs::create_dir_all(&runs)?;
    let of = |command: &str| -> Command {
        let mut process = place.outset(&["--quiet", command]);
        process.args(arguments).arg("--runs").arg(&runs);
        process
    };
    let planned = process::run(&mut of("plan"), &place.work.join(format!("{name}-plan")), LIMIT)?;
    let ran = process::run(&mut of("run"), &place.work.join(format!("{name}-run")), LIMIT)?;
    let record = only_run(&runs)?;
    let forecast = &record["forecast"];
    let number = |value: &Value| value.as_f64().unwrap_or(f64::NAN);
    Ok(Pair {
        name: name.to_owned(),
        seconds: [number(&forecast["seconds_for_steps"]), ran.seconds],
        bytes: [number(&forecast["peak_memory_bytes"]), ran.peak_bytes as f64],
        plan_seconds: planned.seconds,
        ended: record["training"]["ended"].as_str().unwrap_or_default().to_owned(),
    })
}

/// The record of the one run in a folder.
fn only_run(runs: &Path) -> Outcome<Value> {
    for entry in std::fs::read_dir(runs)? {
        let record = entry?.path().join("run.json");
        if record.is_file() {
            return Ok(serde_json::from_str(&std::fs::read_to_string(record)?)?);
        }
    }
    Err(format!("{}: no run", runs.display()).into())
}
