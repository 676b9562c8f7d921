//! `POST /v2/models/{name}[/versions/{version}]/infer`

use super::describe::{class_names, datatype};
use super::tensor::{self, Tensor};
use super::{Asked, Plain, Shared, check_model, probabilities_of};
use crate::app::{Model, json as respond};
use crate::predict::{aside, ask};
use crate::refusal::Refusal;
use crate::rows::{Rows, not_json};
use crate::{body, predict, upload};
use axum::extract::{Request, State};
use axum::response::Response;
use outset_data::signature::OutputSignature;
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::time::Instant;

/// The body of a request.
#[derive(Deserialize)]
struct Inference {
    #[serde(default)]
    id: Option<String>,
    inputs: Vec<Tensor>,
    #[serde(default)]
    outputs: Option<Vec<Wanted>>,
}

#[derive(Deserialize)]
struct Wanted {
    name: String,
}

/// Answers tensors with tensors.
pub(super) async fn infer(State(app): Shared, asked: Asked, request: Request) -> Result<Response, Plain> {
    let deadline = Instant::now() + app.timeout;
    check_model(&app, asked)?;
    if request.headers().contains_key("inference-header-content-length") {
        return Err(Refusal::Protocol("binary tensors are not taken, send `data` as JSON".to_owned()).into());
    }
    let body = body::read(&app, request, deadline, upload::JSON).await?;
    if let Some(found) = body.kind.of_upload() {
        return Err(Refusal::ContentType { found: found.to_owned(), expected: upload::JSON }.into());
    }
    let (bytes, limit) = (body.bytes.clone(), app.max_rows);
    let (id, wanted, rows) = aside(bytes.len() >= predict::LARGE_BODY, move || read(&bytes, limit)).await??;
    for wanted in wanted.iter().flatten() {
        if !tensors(&app.model).any(|(name, _)| name == wanted.name) {
            return Err(Refusal::Protocol(format!("the model has no output `{}`", wanted.name)).into());
        }
    }
    let count = rows.len();
    let rows = Rows { rows, numbers: (0..count).collect(), ..Rows::default() };
    let answers = ask(&app, rows, deadline).await?;
    let model = std::sync::Arc::clone(&app);
    let text = aside(count >= predict::LARGE_ANSWER, move || {
        let is_wanted =
            |name: &str| wanted.as_ref().is_none_or(|wanted| wanted.iter().any(|wanted| wanted.name == name));
        write(&model.model, id, &answers, is_wanted).to_string()
    });
    Ok(respond(text.await?))
}

type Read = (Option<String>, Option<Vec<Wanted>>, Vec<Value>);

fn read(body: &[u8], limit: usize) -> Result<Read, Refusal> {
    let inference: Inference = serde_json::from_slice(body).map_err(|error| match error.classify() {
        serde_json::error::Category::Data => {
            Refusal::Protocol(format!("the body is no inference request: {error}"))
        }
        _ => not_json(body, &error),
    })?;
    Ok((inference.id, inference.outputs, tensor::rows(inference.inputs, limit)?))
}

/// All output tensors: name, output, and whether it holds the probabilities.
fn tensors(model: &Model) -> impl Iterator<Item = (String, (&OutputSignature, bool))> {
    model.signature.outputs.iter().flat_map(|output| {
        let probabilities =
            (!output.classes.is_empty()).then(|| (probabilities_of(&output.name), (output, true)));
        std::iter::once((output.name.clone(), (output, false))).chain(probabilities)
    })
}

fn write(model: &Model, id: Option<String>, answers: &[Value], is_wanted: impl Fn(&str) -> bool) -> Value {
    let outputs =
        tensors(model).filter(|(name, _)| is_wanted(name)).map(|(name, (output, probabilities))| {
            let of_output = answers.iter().map(|answer| &answer[&output.name]);
            if probabilities {
                let data = of_output
                    .flat_map(|answer| output.classes.iter().map(|class| &answer["probabilities"][class]));
                return json!({
                    "name": name,
                    "shape": [answers.len(), output.classes.len()],
                    "datatype": "FP64",
                    "parameters": class_names(output),
                    "data": data.collect::<Vec<_>>(),
                });
            }
            let data: Vec<Value> = of_output
                .map(|answer| match &answer["prediction"] {
                    labels @ Value::Array(_) => Value::String(labels.to_string()),
                    prediction => prediction.clone(),
                })
                .collect();
            json!({ "name": name, "shape": [data.len()], "datatype": datatype(output), "data": data })
        });
    let mut response = json!({
        "model_name": model.name,
        "model_version": model.version,
        "outputs": outputs.collect::<Vec<_>>(),
    });
    if let Some(id) = id {
        response["id"] = id.into();
    }
    response
}
