//! `outset track`.

use super::{Failure, with_causes};
use crate::printer::Printer;
use outset_report::{ReportError, trackers};
use std::path::Path;

/// Writes the course of a run into the files of other trackers.
pub fn track(
    run: &Path,
    tensorboard: Option<&Path>,
    mlflow: Option<&Path>,
    printer: &Printer,
) -> Result<(), Failure> {
    let failed = |error: ReportError| Failure {
        message: with_causes(&error),
        hint: error.hint(),
        is_users: !run.join("run.json").is_file(),
    };
    let mut written = Vec::new();
    if let Some(output) = tensorboard {
        written.push(("tensorboard", trackers::tensorboard(run, output).map_err(failed)?));
    }
    if let Some(output) = mlflow {
        written.push(("mlflow", trackers::mlflow(run, output).map_err(failed)?));
    }
    for (tracker, path) in written {
        let path = path.display().to_string();
        if printer.is_json() {
            printer.object(&serde_json::json!({ "event": "tracked", "tracker": tracker, "path": path }));
        } else {
            printer.answer(&format!("{path}\n"));
        }
    }
    Ok(())
}
