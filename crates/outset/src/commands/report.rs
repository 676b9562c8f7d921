//! `outset report`.

use super::{Failure, with_causes};
use crate::printer::Printer;
use std::path::Path;

/// Writes the report of a run again from its recorded facts.
pub fn report(run: &Path, printer: &Printer) -> Result<(), Failure> {
    let report = write(run)?;
    if printer.is_json() {
        printer.object(&serde_json::json!({ "event": "report", "path": report.display().to_string() }));
    } else {
        printer.answer(&format!("{}\n", report.display()));
    }
    Ok(())
}

/// Writes report and plots of a run.
pub fn write(run: &Path) -> Result<std::path::PathBuf, Failure> {
    let written = outset_report::write(run).map_err(|error| Failure {
        message: with_causes(&error),
        hint: error.hint(),
        is_users: !run.join("run.json").is_file(),
    })?;
    Ok(written.report)
}
