//! `POST /predict`: rows in, answers out, one object for one object and a list for a list.

use crate::app::{App, json};
use crate::body;
use crate::queue::Failure;
use crate::refusal::{Problem, Refusal};
use crate::rows::{self, Rows};
use crate::upload::{self, Kind};
use axum::extract::{Request, State};
use axum::response::Response;
use serde_json::Value;
use std::sync::Arc;
use tokio::time::{Instant, timeout_at};

/// Bytes and rows from which on JSON is handled beside the threads that serve connections.
pub(crate) const LARGE_BODY: usize = 64 << 10;
pub(crate) const LARGE_ANSWER: usize = 256;

/// Answers rows.
pub(crate) async fn predict(State(app): State<Arc<App>>, request: Request) -> Result<Response, Refusal> {
    let deadline = Instant::now() + app.timeout;
    let body = body::read(&app, request, deadline, upload::expected(&app.model)).await?;
    let (bytes, limit, long) = (body.bytes.clone(), app.max_rows, body.bytes.len() >= LARGE_BODY);
    let rows = match body.kind.clone() {
        Kind::Json | Kind::Form => aside(long, move || rows::read(&bytes, limit)).await??,
        upload => {
            let app = Arc::clone(&app);
            aside(long, move || upload::read(&app, &bytes, &upload)).await??
        }
    };
    let one = rows.one;
    let answers = ask(&app, rows, deadline).await?;
    let text = aside(answers.len() >= LARGE_ANSWER, move || written(answers, one)).await?;
    Ok(json(text))
}

/// Runs what may take long on a thread of its own, and what is short at once.
pub(crate) async fn aside<T: Send + 'static>(
    long: bool,
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, Refusal> {
    if long { tokio::task::spawn_blocking(work).await.map_err(|_| Refusal::Panicked) } else { Ok(work()) }
}

/// Lets the model answer, and puts its complaints beside those that were found before.
pub(crate) async fn ask(app: &App, rows: Rows, deadline: Instant) -> Result<Vec<Value>, Refusal> {
    let Rows { rows, numbers, mut problems, .. } = rows;
    let rows = bounded(app, rows).await?;
    let mut more = 0;
    if !rows.is_empty() {
        let answered = timeout_at(deadline, app.queue.ask(rows)).await;
        match answered.map_err(|_| Refusal::Slow { limit: app.timeout })? {
            Ok(answers) if problems.is_empty() => return Ok(answers),
            Ok(_) => {}
            Err(Failure::Rows { problems: found, more: left }) => {
                let place = |row: usize| numbers.get(row).copied().unwrap_or(row);
                problems.extend(found.into_iter().map(|found| Problem { row: place(found.row), ..found }));
                problems.sort_by_key(|problem| problem.row);
                more = left;
            }
            Err(Failure::Other(problem)) => return Err(Refusal::Failed(problem)),
            Err(Failure::Panicked) => return Err(Refusal::Panicked),
            Err(Failure::Busy) => return Err(Refusal::Busy),
        }
    }
    if problems.is_empty() { Ok(Vec::new()) } else { Err(Refusal::Faulty { problems, more }) }
}

/// Passes rows on, unless their pictures have too many pixels together.
async fn bounded(app: &App, rows: Vec<Value>) -> Result<Vec<Value>, Refusal> {
    let pictures: Vec<String> = app.model.pictures().map(str::to_owned).collect();
    if pictures.is_empty() {
        return Ok(rows);
    }
    aside(true, move || upload::check_pixels(&rows, &pictures).map(|()| rows)).await?
}

fn written(answers: Vec<Value>, one: bool) -> String {
    match &answers[..] {
        [answer] if one => answer.to_string(),
        _ => Value::Array(answers).to_string(),
    }
}
