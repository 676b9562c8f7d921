//! The [Open Inference Protocol](https://github.com/kserve/open-inference-protocol), version 2 over REST.
//!
//! Each input column is a tensor of shape `[n]` or `[n, 1]`. Each output is a tensor of shape `[n]`: `FP64` for a
//! number, `BYTES` for a category, `BYTES` holding a JSON list for a set. An output with classes has a second tensor
//! `<output>_probabilities` of shape `[n, classes]`, whose parameters `class_0`, `class_1` … name the classes.

mod describe;
mod infer;
mod tensor;

use crate::app::App;
use crate::refusal::Refusal;
use axum::Router;
use axum::extract::rejection::PathRejection;
use axum::extract::{Path, State};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use serde::Deserialize;
use serde_json::json;
use std::sync::Arc;

/// The health calls, which need no key.
pub(crate) fn open() -> Router<Arc<App>> {
    Router::new()
        .route("/v2/health/live", get(async || crate::app::json(r#"{"live":true}"#)))
        .route("/v2/health/ready", get(async || crate::app::json(r#"{"ready":true}"#)))
        .route("/v2/models/{name}/ready", get(describe::ready))
        .route("/v2/models/{name}/versions/{version}/ready", get(describe::ready))
}

/// Descriptions and inference.
pub(crate) fn locked() -> Router<Arc<App>> {
    Router::new()
        .route("/v2", get(describe::server))
        .route("/v2/models/{name}", get(describe::model))
        .route("/v2/models/{name}/versions/{version}", get(describe::model))
        .route("/v2/models/{name}/infer", post(infer::infer))
        .route("/v2/models/{name}/versions/{version}/infer", post(infer::infer))
}

/// A refusal as the protocol wants it: one string.
pub(crate) struct Plain(Refusal);

impl From<Refusal> for Plain {
    fn from(refusal: Refusal) -> Self {
        Self(refusal)
    }
}

impl IntoResponse for Plain {
    fn into_response(self) -> Response {
        self.0.respond(&json!({ "error": self.0.in_one_line() }))
    }
}

/// The model that a path speaks of.
#[derive(Deserialize)]
struct Named {
    name: String,
    #[serde(default)]
    version: Option<String>,
}

/// What the router read from a path; a name may be no UTF-8.
type Asked = Result<Path<Named>, PathRejection>;

/// Makes sure that it is this model which is asked for.
fn check_model(app: &App, asked: Asked) -> Result<(), Refusal> {
    let known = || app.model.name.clone();
    let Ok(Path(asked)) = asked else {
        return Err(Refusal::NoSuchModel { name: "?".to_owned(), known: known() });
    };
    if asked.name != app.model.name {
        return Err(Refusal::NoSuchModel { name: asked.name, known: known() });
    }
    match asked.version {
        Some(version) if version != app.model.version => {
            Err(Refusal::NoSuchVersion { version, known: app.model.version.clone() })
        }
        _ => Ok(()),
    }
}

/// Name of the tensor that holds an output's probabilities.
fn probabilities_of(output: &str) -> String {
    format!("{output}_probabilities")
}

/// State of the handlers in this folder.
type Shared = State<Arc<App>>;
