//! The one place that writes to the terminal: answers to standard output, all else to standard error.

use crate::arguments::{Color, Global};
use indexmap::IndexMap;
use indicatif::{ProgressBar, ProgressStyle};
use outset_learn::event::Event;
use outset_learn::verdict::number;
use serde::Serialize;
use std::cell::{Cell, RefCell};
use std::io::{IsTerminal as _, Write as _};

/// Writes text or JSON, quietly or not.
pub struct Printer {
    json: bool,
    quiet: bool,
    verbose: bool,
    color: bool,
    /// Whether to show a bar that moves.
    live: bool,
    bar: RefCell<Option<ProgressBar>>,
    /// Whether settings were searched for.
    tuned: Cell<bool>,
}

impl Printer {
    /// Makes the printer that the flags ask for.
    pub fn new(global: &Global) -> Self {
        let terminal = std::io::stderr().is_terminal();
        let color = match global.color {
            Color::Always => true,
            Color::Never => false,
            Color::Auto => terminal && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty()),
        };
        Self {
            json: global.json,
            quiet: global.quiet,
            verbose: global.verbose,
            color,
            live: terminal && !global.json && !global.quiet,
            bar: RefCell::new(None),
            tuned: Cell::new(false),
        }
    }

    /// Whether answers are to be JSON.
    pub fn is_json(&self) -> bool {
        self.json
    }

    /// Writes a piece of the answer to standard output.
    pub fn answer(&self, text: &str) {
        // A reader that has seen enough, such as `head`, is no failure.
        let _ = std::io::stdout().lock().write_all(text.as_bytes());
    }

    /// Writes a table to standard output, the first row being its head; numbers stand right.
    pub fn table<const N: usize>(&self, rows: &[[String; N]]) {
        let width = |column: usize| rows.iter().map(|row| row[column].chars().count()).max().unwrap_or(0);
        let widths: [usize; N] = std::array::from_fn(width);
        let right: [bool; N] = std::array::from_fn(|column| {
            let digit = |row: &[String; N]| row[column].starts_with(|c: char| c.is_ascii_digit() || c == '-');
            column > 0 && rows.iter().skip(1).any(digit)
        });
        for row in rows {
            let cells = row.iter().enumerate().map(|(column, cell)| {
                let pad = " ".repeat(widths[column] - cell.chars().count());
                if right[column] { format!("{pad}{cell}") } else { format!("{cell}{pad}") }
            });
            let line = cells.collect::<Vec<_>>().join("  ");
            self.answer(&format!("{}\n", line.trim_end()));
        }
    }

    /// Writes one JSON object on a line of standard output.
    pub fn object(&self, object: &impl Serialize) {
        if let Ok(mut line) = serde_json::to_string(object) {
            line.push('\n');
            self.answer(&line);
        }
    }

    /// Writes a line beside the answer: a label and what it says.
    pub fn say(&self, label: &str, text: &str) {
        if self.quiet || self.json {
            return;
        }
        let padded = format!("{label:<11}");
        let label = if self.color { format!("\x1b[1m{padded}\x1b[0m") } else { padded };
        self.line(&format!("{label}{text}"));
    }

    /// Writes a plain line beside the answer.
    pub fn line(&self, text: &str) {
        if self.quiet || self.json {
            return;
        }
        match &*self.bar.borrow() {
            Some(bar) => bar.suspend(|| write_error_line(text)),
            None => write_error_line(text),
        }
    }

    /// Writes an error and what to do about it.
    pub fn error(&self, message: &str, hint: Option<&str>) {
        self.bar.borrow_mut().take();
        let paint = |code: &str, word: &str| {
            if self.color { format!("\x1b[{code}m{word}\x1b[0m") } else { word.to_owned() }
        };
        if self.json {
            self.object(&serde_json::json!({ "event": "error", "message": message, "hint": hint }));
        }
        write_error_line(&format!("{}: {message}", paint("1;31", "error")));
        if let Some(hint) = hint {
            write_error_line(&format!("{}: {hint}", paint("1;36", "hint")));
        }
    }

    /// Tells what happened in a run.
    pub fn event(&self, event: Event) {
        if self.json {
            if !matches!(event, Event::Progress { .. }) {
                self.object(&event);
            }
            return;
        }
        match event {
            Event::Data { source, format, rows, inputs, outputs } => self.say(
                "Data",
                &format!(
                    "{source} · {} rows · {inputs} column{} → {} · {format}",
                    count(rows),
                    if inputs == 1 { "" } else { "s" },
                    quoted(&outputs)
                ),
            ),
            Event::Column { name, role, kind, reason } => {
                let what = if kind.is_empty() { role.clone() } else { kind };
                if self.verbose || role != "input" {
                    self.line(&format!("           `{name}` {what}: {reason}"));
                }
            }
            Event::Split { train, val, test, words } => self.say(
                "Split",
                &format!("{} train · {} val · {} test ({words})", count(train), count(val), count(test)),
            ),
            Event::Preprocess { words } => self.say("Preprocess", &words),
            Event::Model { kind, parameters, device, words, .. } => {
                self.say(
                    "Model",
                    &format!("{kind} · {} parameters · {device}, float32 · {words}", count(parameters)),
                );
            }
            Event::Resume { run, step, epoch } => {
                self.say("Resume", &format!("{run} · from step {} (epoch {epoch})", count(step)));
            }
            Event::Study { folder, keys, trials, done, parallel, words } => {
                let known = if done > 0 { format!(" ({done} known)") } else { String::new() };
                self.say(
                    "Tune",
                    &format!("{} · {trials} trials{known}, {parallel} side by side · {words}", quoted(&keys)),
                );
                self.say("", &format!("the search is kept in {folder}"));
                self.tuned.set(true);
            }
            Event::Trial { id, state, epochs, value, best, settings, error } => {
                let settings: Vec<String> = settings
                    .iter()
                    .map(|(key, value)| {
                        let name = key.rsplit('.').next().unwrap_or(key);
                        let value = value.as_f64().map_or_else(|| value.to_string(), number);
                        format!("{name} {value}")
                    })
                    .collect();
                let settings =
                    if settings.is_empty() { "as declared".to_owned() } else { settings.join(", ") };
                let shown = |value: Option<f64>| value.map_or_else(|| "–".to_owned(), number);
                let what = error.unwrap_or(state);
                self.line(&format!(
                    "trial {id:>3} | {what}, epoch {epochs} | val {} | best {} | {settings}",
                    shown(value),
                    shown(best)
                ));
            }
            Event::Tuned { trial, value, default, trials, seconds } => {
                let default =
                    default.map_or_else(String::new, |value| format!(" (as declared: {})", number(value)));
                self.say(
                    "Best",
                    &format!(
                        "trial {trial} of {trials} · val {}{default} · {} of training",
                        number(value),
                        clock(seconds)
                    ),
                );
            }
            Event::Train { epochs, steps_per_epoch, batch_size, words } => {
                let unit = if steps_per_epoch == 1 { "step" } else { "steps" };
                self.say(
                    "Train",
                    &format!(
                        "{epochs} epochs of {} {unit} of {} rows · {words}",
                        count(steps_per_epoch),
                        count(batch_size)
                    ),
                );
                if self.live {
                    let bar = ProgressBar::new((epochs * steps_per_epoch) as u64);
                    let style = ProgressStyle::with_template("{bar:32} {percent:>3}% {msg}");
                    bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()));
                    *self.bar.borrow_mut() = Some(bar);
                }
            }
            Event::Progress { epoch, epochs, step, steps, loss, rows_per_second, eta_seconds } => {
                if let Some(bar) = &*self.bar.borrow() {
                    bar.set_length(steps as u64);
                    bar.set_position(step as u64);
                    bar.set_message(format!(
                        "epoch {epoch}/{epochs} · loss {} · {} rows/s · {} left",
                        number(loss),
                        count(rows_per_second as usize),
                        clock(eta_seconds)
                    ));
                }
            }
            Event::Epoch { epoch, epochs, loss, val, rows_per_second, eta_seconds, logged } => {
                if logged || self.verbose {
                    let width = epochs.to_string().len();
                    let shown = self.shown(&val);
                    self.line(&format!(
                        "epoch {epoch:>width$}/{epochs} | loss {} | {shown} | {} rows/s | eta {}",
                        number(loss),
                        count(rows_per_second as usize),
                        clock(eta_seconds)
                    ));
                }
            }
            Event::Best { epoch, objective, value, ended } => {
                if let Some(bar) = self.bar.borrow_mut().take() {
                    bar.finish_and_clear();
                }
                self.say("Best", &format!("epoch {epoch} · val {objective} {} ({ended})", number(value)));
            }
            Event::Evaluate { metrics } => {
                self.say("Evaluate", &format!("val: {}", self.metrics(&metrics, None)))
            }
            Event::Threshold { output, value, chosen_by } => {
                self.say(
                    "Threshold",
                    &format!("`{output}` is positive from {} on ({chosen_by})", number(value)),
                );
            }
            Event::Test { metrics, intervals } => {
                if !self.tuned.get() {
                    self.say("Tune", "not asked for");
                }
                self.say("Test", &self.metrics(&metrics, Some(&intervals)));
            }
            Event::Baseline { name, metrics } => {
                self.say("", &format!("{name} baseline: {}", self.metrics(&metrics, None)));
            }
            Event::Verdict { sentences } => {
                for (index, sentence) in sentences.iter().enumerate() {
                    self.say(if index == 0 { "Verdict" } else { "" }, sentence);
                }
            }
            Event::Note { text } => self.say("Note", &text),
            Event::Bundle { path, probes } => {
                self.say(
                    "Deploy",
                    &format!("{path} · {probes} probes replayed: what is served is what was tested"),
                );
            }
        }
    }

    /// The metrics that a line has room for.
    fn shown(&self, values: &IndexMap<String, f64>) -> String {
        let few = |name: &str| {
            let metric = name.rsplit('/').next().unwrap_or(name);
            ["loss", "rmse", "r2", "roc_auc", "accuracy", "subset_accuracy", "entity_f1", "token_accuracy"]
                .contains(&metric)
        };
        let shown = values.iter().filter(|(name, _)| self.verbose || few(name));
        shown.map(|(name, value)| format!("val {name} {}", number(*value))).collect::<Vec<_>>().join(" | ")
    }

    fn metrics(
        &self,
        metrics: &IndexMap<String, IndexMap<String, f64>>,
        intervals: Option<&IndexMap<String, IndexMap<String, [f64; 2]>>>,
    ) -> String {
        const FEW: [&str; 14] = [
            "loss",
            "rmse",
            "mae",
            "r2",
            "accuracy",
            "roc_auc",
            "f1",
            "f1_macro",
            "recall",
            "subset_accuracy",
            "entity_f1",
            "entity_precision",
            "entity_recall",
            "token_accuracy",
        ];
        let several = metrics.len() > 1;
        let mut words = Vec::new();
        for (output, values) in metrics {
            for (metric, value) in values {
                if !self.verbose && !FEW.contains(&metric.as_str()) {
                    continue;
                }
                let name = if several { format!("{output}/{metric}") } else { metric.clone() };
                let interval = intervals.and_then(|outputs| outputs.get(output)?.get(metric));
                words.push(match interval {
                    Some([low, high]) => {
                        format!("{name} {} ({}–{})", number(*value), number(*low), number(*high))
                    }
                    None => format!("{name} {}", number(*value)),
                });
            }
        }
        words.join(" · ")
    }
}

fn write_error_line(text: &str) {
    let _ = writeln!(std::io::stderr().lock(), "{text}");
}

fn quoted(words: &[String]) -> String {
    words.iter().map(|word| format!("`{word}`")).collect::<Vec<_>>().join(", ")
}

/// A whole number with its thousands apart.
pub fn count(number: usize) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// Minutes and seconds.
pub fn clock(seconds: f64) -> String {
    let seconds = seconds.clamp(0.0, 1e9) as u64;
    match seconds / 3600 {
        0 => format!("{}:{:02}", seconds / 60, seconds % 60),
        hours => format!("{hours}:{:02}:{:02}", seconds / 60 % 60, seconds % 60),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_as_people_read_them() {
        assert_eq!([count(0), count(999), count(1000), count(1_234_567)], ["0", "999", "1,000", "1,234,567"]);
        assert_eq!([clock(5.4), clock(65.0), clock(3661.0)], ["0:05", "1:05", "1:01:01"]);
    }
}
