//! `outset doctor`.

use super::Failure;
use crate::printer::Printer;

/// Shows devices, threads, instruction sets and versions.
pub fn doctor(printer: &Printer) -> Result<(), Failure> {
    let environment = outset_learn::environment();
    let devices = outset_learn::device::available();
    if printer.is_json() {
        let named = devices.iter().map(|(name, about)| serde_json::json!({ "name": name, "about": about }));
        printer.object(&serde_json::json!({
            "version": env!("CARGO_PKG_VERSION"),
            "environment": environment,
            "devices": named.collect::<Vec<_>>(),
        }));
        return Ok(());
    }
    let devices = devices.into_iter().map(|(name, about)| match about.as_str() {
        "" => name,
        about => format!("{name} ({about})"),
    });
    let lines = [
        ("outset", env!("CARGO_PKG_VERSION").to_owned()),
        ("system", environment.os),
        ("processor", environment.processor),
        ("threads", environment.threads.to_string()),
        ("kernels", environment.instruction_set),
        ("devices", devices.collect::<Vec<_>>().join(", ")),
        ("bundles", format!("format {}", outset_learn::bundle::FORMAT)),
        ("records", format!("format {}", outset_spec::record::FORMAT)),
    ];
    for (name, value) in lines {
        printer.answer(&format!("{name:<10} {value}\n"));
    }
    Ok(())
}
