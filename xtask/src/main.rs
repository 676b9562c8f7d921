//! The project's own automation: `cargo xtask`.

mod asan;
mod bench;
mod reference;

use std::process::ExitCode;

const HELP: &str = "\
Usage: cargo xtask <TASK>

Tasks:
  bench tables [--only NAME,…] [--seeds 0,1,…]
      Trains the experiments of benches/tables with the release binary, beside scikit-learn on the same test rows
  bench images [--only NAME,…] [--seeds 0,1,…] [--epochs COUNT]
      Trains the experiments of benches/images with the release binary, beside the same network in PyTorch
  bench texts [--only NAME,…] [--seeds 0,1,…]
      Trains the experiments of benches/texts with the release binary, beside scikit-learn and PyTorch on the same rows
  bench ablation [--only NAME,…] [--seeds 5,6,…]
      Trains the default recipe for texts without one of its choices each, and compares on val
  bench plan [--only NAME,…] [--epochs COUNT]
      Forecasts examples, tables and pictures with `outset plan`, then runs them, and compares
  bench tune [--only NAME,…] [--seeds 0,1,…] [--runs COUNT] [--rows COUNT] [--epochs COUNT]
      Searches with `outset tune`, by lot and with Optuna in the processor time of --runs full runs; searches that were
      made before are taken from target/bench-tune, and the table of all of them is written each time
  bench start [--only line,adult,serve] [--rounds COUNT]
      Times `outset run` and `outset serve`, in turns with the same work in PyTorch
  bench step [--only gpt,cnn,…] [--rounds COUNT] [--precision f32,bf16]
      Times whole steps of training, in turns with the same networks in PyTorch
  bench kernels
      Measures the rate of each kernel beside that of a bare loop of multiply-adds and of a copy
  asan
      Runs the tests of outset-kernels under AddressSanitizer, on every path of instructions
  reference
      Writes docs/reference.md from what `outset list` says

A benchmark that is run whole writes its part of docs/benchmarks.md; with `--only` or `--seeds` it only prints.

Environment:
  OUTSET_DATA     folder of the data sets
  OUTSET_PYTHON   Python with benches/requirements.txt installed [default: python3]
  OUTSET_BINARY   the program to measure [default: a release build of this tree]
  OUTSET_STEP     the program of `bench step` [default: a release build of outset-ops' bench `step`]";

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let done = match words.as_slice() {
        [] | ["help" | "-h" | "--help", ..] => {
            println!("{HELP}");
            return ExitCode::SUCCESS;
        }
        ["bench", "tables", flags @ ..] => bench::tables(flags),
        ["bench", "images", flags @ ..] => bench::images(flags),
        ["bench", "texts", flags @ ..] => bench::texts(flags),
        ["bench", "ablation", flags @ ..] => bench::ablation(flags),
        ["bench", "plan", flags @ ..] => bench::plan(flags),
        ["bench", "tune", flags @ ..] => bench::tune(flags),
        ["bench", "start", flags @ ..] => bench::start(flags),
        ["bench", "step", flags @ ..] => bench::step(flags),
        ["bench", "kernels", flags @ ..] => bench::kernels(flags),
        ["asan"] => asan::asan(),
        ["reference"] => reference::reference(),
        _ => Err(format!("unknown task `{}`\n\n{HELP}", words.join(" ")).into()),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}
