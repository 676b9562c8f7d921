//! `outset check`.

use super::Failure;
use crate::arguments::What;
use crate::locate::locate;
use crate::printer::Printer;
use outset_learn::event::Event;
use outset_learn::prepare::prepare;

/// Reads file and data, shows what was understood, and prints the file with every default filled in.
pub fn check(what: &What, printer: &Printer) -> Result<(), Failure> {
    let located = locate(what)?;
    let prepared = prepare(&located.experiment, &mut |event| match event {
        Event::Column { name, role, kind, reason } if !printer.is_json() => {
            let what = if kind.is_empty() { role } else { format!("{role}, {kind}") };
            printer.line(&format!("           `{name}` {what}: {reason}"));
        }
        event => printer.event(event),
    })?;
    if printer.is_json() {
        printer.object(&serde_json::json!({
            "event": "checked",
            "experiment": prepared.experiment.to_table().to_json(),
            "data": prepared.data,
        }));
    } else {
        printer.line("");
        printer.answer(&prepared.experiment.to_table().to_toml());
    }
    Ok(())
}
