//! `outset doctor`.

use super::Failure;
use crate::printer::Printer;

/// Shows devices, threads, instruction sets and versions.
pub fn doctor(printer: &Printer) -> Result<(), Failure> {
    let environment = outset_learn::environment("cpu");
    if printer.is_json() {
        printer
            .object(&serde_json::json!({ "version": env!("CARGO_PKG_VERSION"), "environment": environment }));
        return Ok(());
    }
    let lines = [
        ("outset", env!("CARGO_PKG_VERSION").to_owned()),
        ("system", environment.os),
        ("processor", environment.processor),
        ("threads", environment.threads.to_string()),
        ("kernels", environment.instruction_set),
        ("devices", environment.device),
        ("bundles", format!("format {}", outset_learn::bundle::FORMAT)),
        ("records", format!("format {}", outset_spec::record::FORMAT)),
    ];
    for (name, value) in lines {
        printer.answer(&format!("{name:<10} {value}\n"));
    }
    Ok(())
}
