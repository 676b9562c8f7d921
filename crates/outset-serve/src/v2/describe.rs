//! What the server and the model say of themselves.

use super::{Asked, Plain, Shared, check_model, probabilities_of};
use crate::app::json as respond;
use axum::extract::State;
use axum::response::Response;
use outset_data::signature::OutputSignature;
use serde_json::{Map, Value, json};

/// `GET /v2`
pub(super) async fn server() -> Response {
    respond(json!({ "name": "outset", "version": env!("CARGO_PKG_VERSION"), "extensions": [] }).to_string())
}

/// `GET /v2/models/{name}[/versions/{version}]/ready`
pub(super) async fn ready(State(app): Shared, asked: Asked) -> Result<Response, Plain> {
    check_model(&app, asked)?;
    Ok(respond(json!({ "name": app.model.name, "ready": true }).to_string()))
}

/// `GET /v2/models/{name}[/versions/{version}]`
pub(super) async fn model(State(app): Shared, asked: Asked) -> Result<Response, Plain> {
    check_model(&app, asked)?;
    let model = &app.model;
    let inputs: Vec<Value> = model
        .signature
        .inputs
        .iter()
        .map(|input| {
            let datatype = if input.kind == "number" { "FP64" } else { "BYTES" };
            json!({ "name": input.name, "datatype": datatype, "shape": [-1] })
        })
        .collect();
    let mut outputs = Vec::new();
    for output in &model.signature.outputs {
        outputs.push(json!({ "name": output.name, "datatype": datatype(output), "shape": [-1] }));
        if !output.classes.is_empty() {
            outputs.push(json!({
                "name": probabilities_of(&output.name),
                "datatype": "FP64",
                "shape": [-1, output.classes.len()],
                "parameters": class_names(output),
            }));
        }
    }
    let description = json!({
        "name": model.name,
        "versions": [model.version],
        "platform": "outset",
        "inputs": inputs,
        "outputs": outputs,
    });
    Ok(respond(description.to_string()))
}

pub(super) fn datatype(output: &OutputSignature) -> &'static str {
    if output.kind == "number" { "FP64" } else { "BYTES" }
}

/// The classes in the order of the probabilities, flat, because the protocol's parameters hold no lists.
pub(super) fn class_names(output: &OutputSignature) -> Map<String, Value> {
    let name = |(index, class): (usize, &String)| (format!("class_{index}"), json!(class));
    output.classes.iter().enumerate().map(name).collect()
}
