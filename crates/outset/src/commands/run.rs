//! `outset run` and `outset train`.

use super::Failure;
use crate::arguments::What;
use crate::interrupt;
use crate::locate::locate;
use crate::printer::Printer;
use outset_learn::run::{self, Finished, Options};
use std::path::Path;
use std::time::Instant;

/// Runs an experiment to its report and bundle; `without_test` leaves the test part alone.
pub fn run(what: &What, runs: Option<&Path>, without_test: bool, printer: &Printer) -> Result<(), Failure> {
    let located = locate(what)?;
    let options = Options {
        runs: runs.map_or(located.runs, Path::to_owned),
        without_test,
        interrupt: interrupt::listen(),
    };
    let Finished { folder, mut record } =
        run::run(&located.experiment, &options, &mut |event| printer.event(event))?;
    let clock = Instant::now();
    super::report::write(&folder).map_err(|failure| {
        failure.hint(format!("the run itself is whole; write its report with `outset report {}`", folder.display()))
    })?;
    let seconds = clock.elapsed().as_secs_f64();
    record.timings.insert("report".to_owned(), seconds);
    if let Some(total) = record.timings.get_mut("total") {
        *total += seconds;
    }
    run::write_record(&folder, &record)?;
    if printer.is_json() {
        printer.object(&record);
        return Ok(());
    }
    let shown = folder.display();
    printer.say("Saved", &format!("{shown} · report {shown}/report.html · next: `outset serve {shown}`"));
    Ok(())
}
