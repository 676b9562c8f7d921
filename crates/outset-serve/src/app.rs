//! What all handlers share, and the list of routes.

use crate::error::ServeError;
use crate::metrics::Metrics;
use crate::queue::{Answer, Failure, Queue};
use crate::refusal::{Problem, Refusal};
use crate::{Settings, access, guard, openapi, page, predict, v2};
use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE, HeaderValue};
use axum::http::{Method, Uri};
use axum::middleware::{from_fn, from_fn_with_state};
use axum::response::Response;
use axum::routing::{get, post};
use outset_data::Signature;
use outset_learn::predict::{PredictError, Predictor};
use serde_json::Value;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Semaphore;

/// What the server says of the model; to ask it something is the queue's matter.
#[derive(Clone, Debug, Default)]
pub(crate) struct Model {
    pub name: String,
    /// Start of the weights' hash: another model has another version.
    pub version: String,
    /// Version of Outset that trained it.
    pub trained_by: String,
    pub signature: Signature,
}

impl Model {
    pub fn of(predictor: &Predictor) -> Self {
        let manifest = predictor.manifest();
        let hash = manifest.sha256.get("model.safetensors").map_or("1", String::as_str);
        Self {
            name: predictor.name().to_owned(),
            version: hash.chars().take(12).collect(),
            trained_by: manifest.version.clone(),
            signature: predictor.signature().clone(),
        }
    }

    /// Names of the columns that hold pictures.
    pub fn pictures(&self) -> impl Iterator<Item = &str> {
        self.signature.inputs.iter().filter(|input| input.kind == "image").map(|input| input.name.as_str())
    }
}

/// Lets a predictor answer the queue.
pub(crate) fn answers_of(predictor: Arc<Predictor>) -> impl FnMut(&[Value]) -> Answer + Send + 'static {
    move |rows| {
        predictor.predict(rows).map_err(|error| match error {
            PredictError::Rows(problems) => {
                Failure::Rows { problems: problems.into_iter().map(Problem::from).collect(), more: 0 }
            }
            PredictError::Data(error) => Failure::Other(error.to_string()),
        })
    }
}

/// Settings, model and everything made from them once.
pub(crate) struct App {
    pub model: Model,
    pub queue: Queue,
    pub metrics: Arc<Metrics>,
    pub max_body: usize,
    pub max_rows: usize,
    pub timeout: Duration,
    pub key: Option<access::Key>,
    /// Bytes of bodies that may be held at once by all requests together.
    pub body_budget: Arc<Semaphore>,
    /// What bodies may take together.
    pub body_bytes: usize,
    page: page::Page,
    openapi: Bytes,
    signature: Bytes,
}

impl App {
    pub fn new(
        model: Model,
        answer: impl FnMut(&[Value]) -> Answer + Send + 'static,
        settings: &Settings,
    ) -> Result<Self, ServeError> {
        let metrics = Arc::new(Metrics::new(&model));
        let queue = Queue::start(answer, Arc::clone(&metrics)).map_err(ServeError::Threads)?;
        let locked = settings.api_key.is_some();
        let body_bytes = settings.max_body.saturating_mul(4).clamp(16 << 20, Semaphore::MAX_PERMITS);
        Ok(Self {
            queue,
            metrics,
            max_body: settings.max_body,
            max_rows: settings.max_rows,
            timeout: settings.timeout,
            key: settings.api_key.as_deref().map(access::Key::new),
            body_budget: Arc::new(Semaphore::new(body_bytes)),
            body_bytes,
            page: page::render(&model, locked),
            openapi: openapi::describe(&model, settings).to_string().into(),
            signature: page::signature(&model).to_string().into(),
            model,
        })
    }
}

/// The routes: all but the health calls and the bare page ask for the key, if there is one.
pub(crate) fn routes(app: App) -> Router {
    let app = Arc::new(app);
    let locked = Router::new()
        .route("/predict", post(predict::predict))
        .route("/openapi.json", get(show_openapi))
        .route("/signature.json", get(show_signature))
        .route("/metrics", get(show_metrics))
        .merge(v2::locked())
        .route_layer(from_fn_with_state(Arc::clone(&app), access::ask));
    Router::new()
        .route("/", get(show_page))
        .route("/health/live", get(async || json(r#"{"live":true}"#)))
        .route("/health/ready", get(async || json(r#"{"ready":true}"#)))
        .merge(v2::open())
        .merge(locked)
        .fallback(async |uri: Uri| Refusal::NoSuchPage { path: uri.path().to_owned() })
        .method_not_allowed_fallback(async |method: Method, uri: Uri| Refusal::Method {
            method: method.to_string(),
            path: uri.path().to_owned(),
        })
        .layer(from_fn(guard::catch))
        .layer(from_fn_with_state(Arc::clone(&app), guard::measure))
        .with_state(app)
}

/// A JSON answer.
pub(crate) fn json(body: impl Into<Body>) -> Response {
    let mut response = Response::new(body.into());
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

async fn show_page(State(app): State<Arc<App>>) -> Response {
    app.page.response()
}

async fn show_openapi(State(app): State<Arc<App>>) -> Response {
    json(app.openapi.clone())
}

async fn show_signature(State(app): State<Arc<App>>) -> Response {
    json(app.signature.clone())
}

async fn show_metrics(State(app): State<Arc<App>>) -> Response {
    let mut response =
        Response::new(Body::from(app.metrics.render(app.body_bytes - app.body_budget.available_permits())));
    let kind = HeaderValue::from_static("text/plain; version=0.0.4; charset=utf-8");
    response.headers_mut().insert(CONTENT_TYPE, kind);
    response
}
