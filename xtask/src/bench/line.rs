//! `bench start`, part one: a straight line through 100 points, the whole process, beside PyTorch.

use super::measure::{Comparison, Goal, Unit, mebibytes, median};
use super::place::Place;
use super::{Outcome, process};
use std::time::Duration;

/// Longest time for one run, and for its twin.
const LIMIT: Duration = Duration::from_secs(120);

/// Runs both in turns and compares the medians of wall-clock time and peak memory.
///
/// # Errors
/// If either fails.
pub fn line(place: &Place, rounds: usize) -> Outcome<Vec<Comparison>> {
    let (mut seconds, mut memory) = ([Vec::new(), Vec::new()], [Vec::new(), Vec::new()]);
    let (runs, pictures) = (place.work.join("line"), place.work.join("line-twin"));
    for round in 1..=rounds {
        let mut outset = place.outset(&["run", "examples/line", "--runs"]);
        outset.arg(&runs);
        let mut twin = place.twin("line/twin.py");
        twin.arg("--data").arg(place.root.join("examples/line/line.csv")).arg("--out").arg(&pictures);
        for (side, command) in [&mut outset, &mut twin].into_iter().enumerate() {
            let finished = process::run(command, &place.work.join("line-log"), LIMIT)?;
            seconds[side].push(finished.seconds);
            memory[side].push(mebibytes(finished.peak_bytes));
        }
        println!(
            "line · round {round}/{rounds} · outset {:.3} s, {:.0} MiB · twin {:.3} s, {:.0} MiB",
            seconds[0][round - 1],
            memory[0][round - 1],
            seconds[1][round - 1],
            memory[1][round - 1],
        );
    }
    let compare = |what: &str, [outset, twin]: &[Vec<f64>; 2], unit, goal| Comparison {
        what: what.to_owned(),
        outset: median(outset),
        twin: Some(median(twin)),
        unit,
        goal,
    };
    Ok(vec![
        compare("`outset run examples/line`, whole process", &seconds, Unit::Seconds, Goal::Times(20.0)),
        compare("… its peak memory", &memory, Unit::Mebibytes, Goal::Times(10.0)),
    ])
}
