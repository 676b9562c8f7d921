//! `bench step`: whole steps of training, in turns with the same networks in PyTorch.

use super::measure::{mebibytes, median};
use super::place::Place;
use super::{Outcome, document};
use std::io::{BufRead as _, BufReader, Write as _};
use std::path::PathBuf;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::time::Duration;

/// Threads of either side.
const THREADS: &str = "2";

/// Seconds of training in a turn; a step that takes longer is made once.
const TURN: f64 = 0.7;

/// Pause between turns, in which idle threads of the last one stop spinning.
const PAUSE: Duration = Duration::from_millis(100);

/// A network with its goals: the time of a step as a share of PyTorch's best.
struct Row {
    name: &'static str,
    about: &'static str,
    /// Of `f32` and `bf16`, the latter where it is measured.
    goals: [Option<f64>; 2],
    pictures: bool,
}

/// Largest share of PyTorch's memory in the first row.
const MEMORY_GOAL: f64 = 0.40;

const fn row(name: &'static str, about: &'static str, goals: [Option<f64>; 2]) -> Row {
    Row { name, about, goals, pictures: false }
}

const fn pictures(name: &'static str, about: &'static str, goals: [Option<f64>; 2]) -> Row {
    Row { name, about, goals, pictures: true }
}

const ROWS: [Row; 9] = [
    row("gpt", "GPT, 4×256, 8×256 tokens of 4096, AdamW", [Some(0.78), Some(0.70)]),
    row("gpt_long", "GPT, 4×512, 2×1024 tokens of 4096, AdamW", [Some(0.85), Some(0.80)]),
    pictures("cnn", "CNN, 5 convolutions, 64×3×32×32, SGD", [Some(1.10), Some(1.25)]),
    pictures("resnet18", "ResNet-18, 64×3×32×32, SGD with momentum", [Some(1.10), Some(1.25)]),
    row("mlp", "MLP 784-512-512-10, batch 128, AdamW", [Some(0.65), None]),
    row("lstm", "LSTM, 2×256, 32×64 of 128, AdamW", [Some(0.95), None]),
    row("bert", "encoder, 4×256, 32×(16–128) padded, AdamW", [Some(0.75), None]),
    row("table", "table, embeddings and MLP, batch 256, AdamW", [Some(0.35), None]),
    row("line", "line, 80×1, SGD", [Some(0.12), None]),
];

/// Names of all rows.
pub fn names() -> Vec<&'static str> {
    ROWS.iter().map(|row| row.name).collect()
}

/// Measures the rows named in `only` and returns the table.
///
/// # Errors
/// If either side cannot be built or run.
pub fn step(place: &Place, only: &[&str], precisions: &[&str], rounds: usize) -> Outcome<String> {
    let program = program(place)?;
    let mut lines = Vec::new();
    let (mut level, mut known) = (String::new(), Vec::new());
    for row in ROWS.iter().filter(|row| only.contains(&row.name)) {
        for (at, precision) in ["f32", "bf16"].into_iter().enumerate() {
            let Some(goal) = row.goals[at].filter(|_| precisions.contains(&precision)) else { continue };
            if !known.is_empty() && !known.iter().any(|known| known == precision) {
                println!("{} · {precision} · left out: this machine does not multiply it", row.name);
                lines.push(left_out(row.about, precision, goal));
                continue;
            }
            let mut outset = Command::new(&program);
            outset.args([row.name, precision, THREADS]);
            let mut sides = vec![Side::start("outset", outset)?];
            let variants: &[&str] = if row.pictures {
                &["eager", "compile", "channels_last", "channels_last_compile"]
            } else {
                &["eager", "compile"]
            };
            // Beside the twins, the same on our side with activations computed again.
            let mut again = match row.name {
                "gpt" => {
                    let mut outset = Command::new(&program);
                    outset.args(["gpt_recompute", precision, THREADS]);
                    Some(Side::start("outset, recomputed", outset)?)
                }
                _ => None,
            };
            for variant in variants {
                let mut twin = place.twin("step/twin.py");
                twin.args([row.name, precision, THREADS, variant]);
                sides.push(Side::start(variant, twin)?);
            }
            let mut words = sides[0].greeting.split(' ').map(str::to_owned);
            level = words.next().unwrap_or_default();
            known = words.collect();
            for _ in 0..rounds {
                for side in sides.iter_mut().chain(&mut again) {
                    side.turn()?;
                }
            }
            let peaks = sides.iter_mut().map(Side::stop).collect::<Outcome<Vec<f64>>>()?;
            for side in &sides {
                println!("{} · {precision} · {} · {}", row.name, side.name, side.words());
            }
            let (ours, twins) = sides.split_first().ok_or("nothing was run")?;
            let best = twins.iter().min_by(|a, b| median(&a.times).total_cmp(&median(&b.times)));
            let best = best.ok_or("no twin was run")?;
            let ratios: Vec<f64> = ours.times.iter().zip(&best.times).map(|(a, b)| a / b).collect();
            let cells = (median(&ours.times), median(&best.times), median(&ratios));
            let twin = format!("{} ({})", milliseconds(cells.1), best.name.replace('_', " "));
            lines.push(line(row.about, precision, [milliseconds(cells.0), twin], cells.2, goal));
            println!("{} · {precision} · ratio {:.2}, at most {goal}", row.name, cells.2);
            if row.name == "gpt" {
                let least = peaks[1..].iter().copied().fold(f64::INFINITY, f64::min);
                let figures = [format!("{:.0} MiB", peaks[0]), format!("{least:.0} MiB")];
                lines.push(line("… its peak memory", precision, figures, peaks[0] / least, MEMORY_GOAL));
                if let Some(again) = &mut again {
                    let peak = again.stop()?;
                    println!("{} · {precision} · {} · {}", row.name, again.name, again.words());
                    let ratios: Vec<f64> = again.times.iter().zip(&best.times).map(|(a, b)| a / b).collect();
                    let figures = [
                        milliseconds(median(&again.times)),
                        format!("{} ({})", milliseconds(cells.1), best.name),
                    ];
                    lines.push(plain("… with `train.recompute`", precision, figures, median(&ratios)));
                    let figures = [format!("{peak:.0} MiB"), format!("{least:.0} MiB")];
                    lines.push(plain("… its peak memory then", precision, figures, peak / least));
                }
            }
        }
    }
    let head = ["step", "precision", "Outset", "PyTorch's best", "share", "at most", "reached"];
    Ok(format!("Instruction set: {level}.\n\n{}", document::table(&head, &lines)))
}

fn line(about: &str, precision: &str, [ours, twin]: [String; 2], share: f64, goal: f64) -> Vec<String> {
    let reached = if share <= goal { "yes" } else { "no" };
    let words = [about, precision, &ours, &twin, &format!("{share:.2}"), &format!("{goal:.2}"), reached];
    words.map(str::to_owned).to_vec()
}

/// A line without a goal.
fn plain(about: &str, precision: &str, [ours, twin]: [String; 2], share: f64) -> Vec<String> {
    [about, precision, &ours, &twin, &format!("{share:.2}"), "–", "–"].map(str::to_owned).to_vec()
}

/// A line for a precision that this machine does not have.
fn left_out(about: &str, precision: &str, goal: f64) -> Vec<String> {
    [about, precision, "–", "–", "–", &format!("{goal:.2}"), "left out"].map(str::to_owned).to_vec()
}

fn milliseconds(value: f64) -> String {
    let digits = if value >= 100.0 {
        0
    } else if value >= 1.0 {
        1
    } else {
        3
    };
    format!("{value:.digits$} ms")
}

/// The program that trains on our side, built unless `OUTSET_STEP` names it.
fn program(place: &Place) -> Outcome<PathBuf> {
    if let Some(path) = std::env::var_os("OUTSET_STEP") {
        return Ok(PathBuf::from(path).canonicalize().map_err(|error| format!("OUTSET_STEP: {error}"))?);
    }
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut build = Command::new(cargo);
    build.args(["build", "--release", "--locked", "--package", "outset-ops", "--bench", "step"]);
    build.arg("--message-format=json-render-diagnostics").current_dir(&place.root);
    let output = build.stderr(Stdio::inherit()).output()?;
    if !output.status.success() {
        return Err("the program of the steps cannot be built".into());
    }
    let messages = String::from_utf8(output.stdout)?;
    let found = messages.lines().rev().find_map(|line| {
        let message: serde_json::Value = serde_json::from_str(line).ok()?;
        Some(PathBuf::from(message.get("executable")?.as_str()?))
    });
    Ok(found.ok_or("cargo names no program of the steps")?)
}

/// One side of the comparison: a process that trains when told to.
struct Side {
    name: &'static str,
    child: Child,
    orders: Option<ChildStdin>,
    answers: BufReader<ChildStdout>,
    greeting: String,
    /// Milliseconds of a step, the median of each turn.
    times: Vec<f64>,
    loss: String,
}

impl Side {
    fn start(name: &'static str, mut command: Command) -> Outcome<Side> {
        let mut child = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .map_err(|error| format!("cannot start {command:?}: {error}"))?;
        let orders = child.stdin.take();
        let answers = BufReader::new(child.stdout.take().ok_or("the child has no output")?);
        let mut side = Side {
            name,
            child,
            orders,
            answers,
            greeting: String::new(),
            times: Vec::new(),
            loss: String::new(),
        };
        side.greeting = side.read()?;
        Ok(side)
    }

    fn read(&mut self) -> Outcome<String> {
        let mut line = String::new();
        if self.answers.read_line(&mut line)? == 0 {
            return Err(format!("`{}` ended early", self.name).into());
        }
        Ok(line.trim().to_owned())
    }

    /// Trains for a turn.
    fn turn(&mut self) -> Outcome<()> {
        std::thread::sleep(PAUSE);
        writeln!(self.orders.as_mut().ok_or("the child was stopped")?, "{TURN}")?;
        let answer = self.read()?;
        let [time, _, loss] = answer.split(' ').collect::<Vec<_>>()[..] else {
            return Err(format!("`{}` answered `{answer}`", self.name).into());
        };
        self.times.push(time.parse()?);
        loss.clone_into(&mut self.loss);
        Ok(())
    }

    /// Ends the process; returns its largest resident set in MiB.
    fn stop(&mut self) -> Outcome<f64> {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id()))?;
        let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:")?.trim().strip_suffix(" kB"));
        let kibibytes: u64 = peak.ok_or("the system tells no peak memory")?.trim().parse()?;
        self.orders = None;
        self.child.wait()?;
        Ok(mebibytes(kibibytes * 1024))
    }

    fn words(&self) -> String {
        let times: Vec<String> = self.times.iter().map(|time| milliseconds(*time)).collect();
        format!(
            "median {} of {} · last loss {}",
            milliseconds(median(&self.times)),
            times.join(", "),
            self.loss
        )
    }
}

impl Drop for Side {
    fn drop(&mut self) {
        if self.orders.is_some() {
            let _ = self.child.kill();
            let _ = self.child.wait();
        }
    }
}
