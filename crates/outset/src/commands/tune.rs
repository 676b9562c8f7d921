//! `outset tune`.

use super::Failure;
use crate::arguments::What;
use crate::interrupt;
use crate::locate::{Located, locate};
use crate::printer::Printer;
use outset_learn::plan::prices::Prices;
use outset_learn::run::{Options, read_record};
use outset_learn::tune::{self, Tuned};
use std::path::Path;

/// Searches for better settings and tests the best.
pub fn tune(
    what: &What,
    runs: Option<&Path>,
    study: Option<&Path>,
    printer: &Printer,
) -> Result<(), Failure> {
    search(locate(what)?, runs, study, printer)
}

/// Searches for better settings of an experiment that was found.
pub fn search(
    located: Located,
    runs: Option<&Path>,
    study: Option<&Path>,
    printer: &Printer,
) -> Result<(), Failure> {
    let prices = Prices::find(None, &located.experiment.folder)?;
    let options = Options {
        runs: runs.map_or(located.runs, Path::to_owned),
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
