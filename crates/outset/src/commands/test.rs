//! `outset test`.

use super::Failure;
use crate::printer::Printer;
use outset_learn::run;
use std::path::Path;

/// Looks at the test part of a run with its bundle, and counts the look.
pub fn test(folder: &Path, printer: &Printer) -> Result<(), Failure> {
    let record = run::test_again(folder, &mut |event| printer.event(event))?;
    super::report::write(folder)?;
    if printer.is_json() {
        printer.object(&record);
    } else {
        let times = if record.test_looks == 1 { "time" } else { "times" };
        printer.say("Looked", &format!("at the test part of this run {} {times} so far", record.test_looks));
    }
    Ok(())
}
