//! `outset tune`.

use super::Failure;
use crate::arguments::{What, Where};
use crate::interrupt;
use crate::locate::{Located, locate};
use crate::printer::{Printer, clock, count};
use outset_learn::plan::prices::Prices;
use outset_learn::run::{Options, read_record};
use outset_learn::tune::database::{Database, Place};
use outset_learn::tune::engine::Address;
use outset_learn::tune::space::assignment;
use outset_learn::tune::{self, Tuned};
use outset_learn::verdict::number;
use serde_json::json;

/// Searches for better settings and tests the best.
pub fn tune(what: &What, runs: &Where, study: Option<&str>, printer: &Printer) -> Result<(), Failure> {
    let study = study.map(place).transpose()?;
    search(locate(what)?, runs, study, printer)
}

/// Shows the trials of the studies at a place, also while processes are at them.
pub fn show(place: &Place, printer: &Printer) -> Result<(), Failure> {
    let studies = Database::look(place)?;
    let head = ["trial", "state", "value", "interval", "epochs", "time", "parameters", "latency", "settings"];
    let mut rows = vec![head.map(str::to_owned)];
    for (name, trials) in &studies {
        for trial in trials {
            if printer.is_json() {
                printer.object(&json!({ "study": name, "trial": trial }));
            }
            let settings: Vec<String> =
                trial.settings.iter().map(|(key, value)| assignment(key, value)).collect();
            let dash = || "–".to_owned();
            rows.push([
                if studies.len() > 1 { format!("{name}/{}", trial.id) } else { trial.id.to_string() },
                trial.state.clone(),
                trial.values.last().map_or_else(dash, |value| number(*value)),
                trial.interval.map_or_else(dash, |[low, high]| format!("{}–{}", number(low), number(high))),
                trial.epochs.to_string(),
                clock(trial.seconds),
                count(trial.parameters),
                trial.latency.map_or_else(dash, |seconds| format!("{:.2} ms", seconds * 1000.0)),
                trial.error.clone().unwrap_or_else(|| settings.join(" ")),
            ]);
        }
    }
    if !printer.is_json() {
        printer.table(&rows);
    }
    Ok(())
}

/// Where a study is: a folder, or a server.
pub fn place(text: &str) -> Result<Place, Failure> {
    if !text.starts_with("postgres://") && !text.starts_with("postgresql://") {
        return Ok(Place::Folder(text.into()));
    }
    // Not repeated, as a password may be in it.
    Address::parse(text).map(Place::Server).ok_or_else(|| {
        Failure::wrong("the address of a study's server must be `postgres://USER@HOST:PORT/DATABASE`")
            .hint("a password may follow the user after `:`, or be given in `PGPASSWORD`")
    })
}

/// Searches for better settings of an experiment that was found.
pub fn search(
    located: Located,
    runs: &Where,
    study: Option<Place>,
    printer: &Printer,
) -> Result<(), Failure> {
    let prices = Prices::find(runs.prices.as_deref(), &located.experiment.folder)?;
    let options = Options {
        runs: runs.runs.clone().unwrap_or(located.runs),
        without_test: false,
        origin: located.origin,
        price_per_second: prices.per_second(rayon::current_num_threads()),
        interrupt: interrupt::listen(),
    };
    let found = tune::tune(&located.experiment, study, &options, &mut |event| printer.event(event))?;
    match found {
        Tuned::Finished(finished) => super::run::finish(*finished, &prices, printer),
        Tuned::Stopped => {
            printer.say("Stopped", "the search goes on when it is asked for again");
            Ok(())
        }
        Tuned::Elsewhere { machine, run } => {
            printer.say("Finished", &format!("the search is over: its best trial is {run} on `{machine}`"));
            printer.say("", "set `tune.trials` higher to go on with it");
            Ok(())
        }
        Tuned::Already(run) => {
            let run = run.canonicalize().unwrap_or(run);
            let current = std::env::current_dir().unwrap_or_default();
            let shown = run.strip_prefix(current).unwrap_or(&run).display();
            printer.say("Finished", &format!("the search is over: {shown} is its best trial"));
            printer.say("", "set `tune.trials` higher to go on with it");
            if printer.is_json() {
                printer.object(&read_record(&run)?);
            }
            Ok(())
        }
    }
}
