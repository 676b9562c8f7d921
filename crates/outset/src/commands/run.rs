//! `outset run` and `outset train`.

use super::Failure;
use crate::arguments::{What, Where};
use crate::interrupt;
use crate::locate::locate;
use crate::printer::Printer;
use outset_learn::plan::prices::Prices;
use outset_learn::resume::{Resumed, read_state};
use outset_learn::run::{self, Finished, Options};
use std::path::Path;
use std::time::Instant;

/// Runs an experiment to its report and bundle; `without_test` leaves the test part alone.
pub fn run(what: &What, place: &Where, without_test: bool, printer: &Printer) -> Result<(), Failure> {
    let located = locate(what)?;
    if located.experiment.tune.is_some() && !without_test {
        return super::tune::search(located, place, None, printer);
    }
    let prices = Prices::find(place.prices.as_deref(), &located.experiment.folder)?;
    let options = Options {
        runs: place.runs.clone().unwrap_or(located.runs),
        without_test,
        origin: located.origin,
        price_per_second: prices.per_second(rayon::current_num_threads()),
        interrupt: interrupt::listen(),
    };
    let finished = run::run(&located.experiment, &options, &mut |event| printer.event(event))?;
    finish(finished, &prices, printer)
}

/// Goes on with a run that was stopped.
pub fn resume(folder: &Path, prices: Option<&Path>, printer: &Printer) -> Result<(), Failure> {
    let interrupt = interrupt::listen();
    let origin = read_state(folder).ok().and_then(|state| state.origin);
    // What was begun without a file has its runs in `runs/NAME` beside where it was begun.
    let file = origin.map_or_else(|| folder.join("../../outset.toml"), |origin| folder.join(origin.file));
    let prices = Prices::find(prices, file.parent().unwrap_or(Path::new("")))?;
    let price = prices.per_second(rayon::current_num_threads());
    match outset_learn::resume::resume(folder, price, interrupt, &mut |event| printer.event(event))? {
        Resumed::Finished(finished) => finish(*finished, &prices, printer),
        Resumed::Already(record) => {
            printer.say(
                "Finished",
                &format!("{} had come to its end: there is nothing to resume", folder.display()),
            );
            if folder.join("report.html").is_file() {
                if printer.is_json() {
                    printer.object(&record);
                }
                return Ok(());
            }
            // Killed between the record and the report.
            finish(Finished { folder: folder.to_owned(), record: *record }, &prices, printer)
        }
    }
}

/// Writes the report of a run that has come to its end.
pub fn finish(
    Finished { folder, mut record }: Finished,
    prices: &Prices,
    printer: &Printer,
) -> Result<(), Failure> {
    let clock = Instant::now();
    super::plan::compare(&folder, &mut record, prices);
    run::write_record(&folder, &record)?;
    super::report::write(&folder).map_err(|failure| {
        failure.hint(format!(
            "the run itself is whole; write its report with `outset report {}`",
            folder.display()
        ))
    })?;
    let seconds = clock.elapsed().as_secs_f64();
    record.timings.insert("report".to_owned(), seconds);
    if let Some(total) = record.timings.get_mut("total") {
        *total += seconds;
    }
    record.peak_memory_bytes = record.peak_memory_bytes.max(outset_learn::peak_memory_bytes());
    super::plan::compare(&folder, &mut record, prices);
    run::write_record(&folder, &record)?;
    if printer.is_json() {
        printer.object(&record);
        return Ok(());
    }
    let shown = folder.display();
    if record.state == "interrupted" {
        printer.say("Stopped", &format!("go on with `outset train --resume {shown}`"));
        printer.say("", &format!("the test part was left alone; `outset test {shown}` looks at it"));
    }
    printer.say("Saved", &format!("{shown} · report {shown}/report.html · next: `outset serve {shown}`"));
    Ok(())
}
