//! Whole steps of training on these operations: the program behind `cargo xtask bench step`.
//!
//! `step ROW PRECISION THREADS` builds the network of a row, warms up and says in a line which instruction set and
//! precisions there are. For each line on standard input, a number of seconds, it then trains for that long and answers
//! with a line: the median of the milliseconds of a step, the number of steps, and the last loss. `benches/step/twin.py` is
//! the same in PyTorch, network for network.
#![allow(clippy::print_stdout)]

#[path = "../../../outset/src/allocator.rs"]
#[expect(dead_code, reason = "what the program does between stages has no place within one")]
mod allocator;
mod images;
mod sequences;
mod tables;
mod trainer;

use burn::tensor::{Device, Distribution, Int, Tensor};
use outset_ops::{Precision, isa, precision};
use std::{io::BufRead as _, time::Instant};

/// One step of training; returns the loss.
type Step = Box<dyn FnMut() -> f32>;

/// The name of a row and what builds its network and data.
type Row = (&'static str, fn(&Device) -> Step);

/// Every row.
const ROWS: [Row; 10] = [
    ("gpt", sequences::gpt),
    ("gpt_recompute", sequences::gpt_recompute),
    ("gpt_long", sequences::gpt_long),
    ("cnn", images::cnn),
    ("resnet18", images::resnet18),
    ("mlp", tables::mlp),
    ("lstm", sequences::lstm),
    ("bert", sequences::bert),
    ("table", tables::table),
    ("line", tables::line),
];

/// Steps before the first that counts.
const WARM_UP: usize = 3;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).filter(|word| word != "--bench").collect();
    let [row, precision, threads] = arguments.as_slice() else {
        let rows: Vec<&str> = ROWS.iter().map(|row| row.0).collect();
        println!("usage: step ROW PRECISION THREADS; rows are {}", rows.join(", "));
        return Ok(());
    };
    allocator::keep_memory();
    rayon::ThreadPoolBuilder::new().num_threads(threads.parse()?).build_global()?;
    let precision = match precision.as_str() {
        "f32" => Precision::Split,
        "bf16" if precision::has_bf16() => Precision::Bf16,
        other => return Err(format!("no precision `{other}` here").into()),
    };
    let device = Device::flex().autodiff();
    device.seed(1);
    let build = ROWS.iter().find(|known| known.0 == row).ok_or_else(|| format!("no row `{row}`"))?.1;
    // On a thread of the pool, as training is: a loop is then shared without a change of threads.
    rayon::scope(|_| answer(build, precision, &device)).map_err(Into::into)
}

/// Warms up and answers each line.
fn answer(build: fn(&Device) -> Step, precision: Precision, device: &Device) -> Result<(), String> {
    let mut step = build(device);
    let mut step = || precision::with(precision, &mut step);
    for _ in 0..WARM_UP {
        step();
    }
    let precisions = if precision::has_bf16() { "f32 bf16" } else { "f32" };
    println!("{} {precisions}", isa::level());
    for line in std::io::stdin().lock().lines() {
        let line = line.map_err(|error| error.to_string())?;
        let seconds: f64 = line.trim().parse().map_err(|_| format!("no number: `{line}`"))?;
        let (clock, mut times, mut loss) = (Instant::now(), Vec::new(), f32::NAN);
        while times.is_empty() || clock.elapsed().as_secs_f64() < seconds {
            let start = Instant::now();
            loss = step();
            times.push(start.elapsed().as_secs_f64() * 1e3);
        }
        times.sort_by(f64::total_cmp);
        println!("{} {} {loss}", times[times.len() / 2], times.len());
    }
    Ok(())
}

/// Whole numbers below `end`, in the given shape.
fn indices<const D: usize>(shape: [usize; D], end: usize, device: &Device) -> Tensor<D, Int> {
    Tensor::random(shape, Distribution::Uniform(0.0, end as f64), device)
}
