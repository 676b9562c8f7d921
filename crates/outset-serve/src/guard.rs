//! Around every request: its figures, and a net below it.

use crate::app::App;
use crate::refusal::Refusal;
use axum::extract::{Request, State};
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};
use std::future::poll_fn;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::task::Poll;
use std::time::Instant;

/// Answers 500 where a handler panics, so that the connection and all others live on.
pub(crate) async fn catch(request: Request, next: Next) -> Response {
    let mut handler = Box::pin(next.run(request));
    poll_fn(|context| match catch_unwind(AssertUnwindSafe(|| handler.as_mut().poll(context))) {
        Ok(Poll::Ready(response)) => Poll::Ready(response),
        Ok(Poll::Pending) => Poll::Pending,
        Err(_) => Poll::Ready(Refusal::Panicked.into_response()),
    })
    .await
}

/// Counts requests and times them.
pub(crate) async fn measure(State(app): State<Arc<App>>, request: Request, next: Next) -> Response {
    let start = Instant::now();
    let route = route(request.uri().path());
    let _running = app.metrics.begin();
    let response = next.run(request).await;
    app.metrics.request(route, response.status().as_u16(), start.elapsed());
    response
}

/// The route of a path, from a closed list: a label that a caller could choose would grow without end.
fn route(path: &str) -> &'static str {
    const FIXED: [&str; 10] = [
        "/predict",
        "/",
        "/health/live",
        "/health/ready",
        "/metrics",
        "/openapi.json",
        "/signature.json",
        "/v2",
        "/v2/health/live",
        "/v2/health/ready",
    ];
    if let Some(route) = FIXED.into_iter().find(|route| *route == path) {
        return route;
    }
    let Some(rest) = path.strip_prefix("/v2/models/") else { return "other" };
    let segments: Vec<&str> = rest.splitn(5, '/').collect();
    match segments[..] {
        [_] | [_, "versions", _] => "/v2/models/{name}",
        [_, "infer"] | [_, "versions", _, "infer"] => "/v2/models/{name}/infer",
        [_, "ready"] | [_, "versions", _, "ready"] => "/v2/models/{name}/ready",
        _ => "other",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_fall_into_a_closed_list_of_routes() {
        assert_eq!(route("/predict"), "/predict");
        assert_eq!(route("/predict/x"), "other");
        assert_eq!(route("/v2/models/a/versions/1/infer"), "/v2/models/{name}/infer");
        assert_eq!(route("/v2/models/a/ready"), "/v2/models/{name}/ready");
        assert_eq!(route("/v2/models/a/b/c/d/e/f"), "other");
    }
}
