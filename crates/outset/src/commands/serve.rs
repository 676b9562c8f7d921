//! `outset serve`.

use super::{Failure, with_causes};
use crate::printer::Printer;
use outset_learn::predict::Predictor;
use std::path::Path;

/// Answers over HTTP until it is told to stop.
pub fn serve(bundle: &Path, settings: outset_serve::Settings, printer: &Printer) -> Result<(), Failure> {
    let predictor = Predictor::load(bundle)?;
    let name = predictor.name().to_owned();
    let open = !settings.address.ip().is_loopback() && settings.api_key.is_none();
    let address = settings.address;
    outset_serve::serve(predictor, settings, |address| {
        printer.say("Serving", &format!("{name} · http://{address} · Ctrl-C stops"));
        if open {
            printer.say(
                "Note",
                "anyone who reaches this address can use the model; set OUTSET_API_KEY to ask for a key",
            );
        }
        if printer.is_json() {
            printer.object(&serde_json::json!({ "event": "serving", "address": address.to_string() }));
        }
    })
    .map_err(|error| {
        Failure::failed(format!("cannot serve on {address}: {}", with_causes(&error)))
            .hint("choose another port with `--port`")
    })
}
