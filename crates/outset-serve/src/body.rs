//! Reads a request's body within the limits on type, size, time and memory.

use crate::app::App;
use crate::refusal::Refusal;
use crate::upload::{self, Kind};
use axum::body::{Body, Bytes, HttpBody};
use axum::http::header::{CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE, EXPECT};
use axum::http::{HeaderMap, Request};
use std::future::poll_fn;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::OwnedSemaphorePermit;
use tokio::time::{Instant, timeout, timeout_at};

/// Bytes of an over-long body that are read and thrown away so that its sender sees the refusal, not a broken pipe.
const THROWN_AWAY: usize = 64 << 20;

/// A body, and its share of the memory that all bodies may take together; held until the request is answered.
pub(crate) struct Held {
    pub bytes: Bytes,
    pub kind: Kind,
    _share: Option<OwnedSemaphorePermit>,
}

/// Reads the whole body; `expected` are the types that the call takes, for those who send another.
pub(crate) async fn read(
    app: &App,
    request: Request<Body>,
    deadline: Instant,
    expected: &'static str,
) -> Result<Held, Refusal> {
    let (head, mut body) = request.into_parts();
    let kind = check_type(&head.headers, expected)?;
    let announced =
        head.headers.get(CONTENT_LENGTH).and_then(|length| length.to_str().ok()?.parse::<u64>().ok());
    if announced.is_some_and(|length| length > app.max_body as u64) {
        if !head.headers.contains_key(EXPECT) {
            throw_away(&mut body).await;
        }
        return Err(Refusal::TooLarge { limit: app.max_body });
    }
    let mut held = timeout_at(deadline, collect(app, &mut body))
        .await
        .map_err(|_| Refusal::SlowBody { limit: app.timeout })??;
    if kind == Kind::Form && !matches!(held.bytes.trim_ascii_start().first(), None | Some(b'{' | b'[')) {
        return Err(Refusal::ContentType { found: FORM.to_owned(), expected });
    }
    held.kind = kind;
    Ok(held)
}

/// What `curl --data` sends unless told otherwise.
const FORM: &str = "application/x-www-form-urlencoded";

/// Tells what a body says to be, and refuses what is neither JSON nor an upload.
fn check_type(headers: &HeaderMap, expected: &'static str) -> Result<Kind, Refusal> {
    let text = |name| {
        headers.get(name).map(|value: &axum::http::HeaderValue| String::from_utf8_lossy(value.as_bytes()))
    };
    if let Some(found) = text(CONTENT_ENCODING).filter(|found| !found.eq_ignore_ascii_case("identity")) {
        return Err(Refusal::Compressed { found: found.into_owned() });
    }
    let Some(found) = text(CONTENT_TYPE) else { return Ok(Kind::Json) };
    let lower = found.to_ascii_lowercase();
    let mut parts = lower.split(';').map(str::trim);
    let kind = parts.next().unwrap_or_default();
    let charset = parts.find_map(|part| part.strip_prefix("charset=")).map(|name| name.trim_matches('"'));
    if kind == "multipart/form-data"
        && let Some(boundary) = upload::boundary(&found)
    {
        return Ok(Kind::Multipart(boundary));
    }
    if kind.starts_with("image/") {
        return Ok(Kind::Picture(found.into_owned()));
    }
    let is_json = matches!(kind, "" | "application/json" | "text/json" | "text/plain" | FORM)
        || (kind.starts_with("application/") && kind.ends_with("+json"));
    if !is_json || !matches!(charset, None | Some("utf-8" | "utf8" | "us-ascii")) {
        return Err(Refusal::ContentType { found: found.into_owned(), expected });
    }
    Ok(if kind == FORM { Kind::Form } else { Kind::Json })
}

async fn collect(app: &App, body: &mut Body) -> Result<Held, Refusal> {
    let mut first = Bytes::new();
    let mut all: Vec<u8> = Vec::new();
    let mut share: Option<OwnedSemaphorePermit> = None;
    while let Some(chunk) = next_chunk(body).await? {
        let length = first.len() + all.len() + chunk.len();
        if length > app.max_body {
            throw_away(body).await;
            return Err(Refusal::TooLarge { limit: app.max_body });
        }
        let more = Arc::clone(&app.body_budget)
            .try_acquire_many_owned(u32::try_from(chunk.len()).unwrap_or(u32::MAX))
            .map_err(|_| Refusal::Busy)?;
        match &mut share {
            Some(share) => share.merge(more),
            None => share = Some(more),
        }
        // Most bodies come in one piece, which is then not copied.
        if first.is_empty() && all.is_empty() {
            first = chunk;
        } else {
            all.extend_from_slice(&std::mem::take(&mut first));
            all.extend_from_slice(&chunk);
        }
    }
    let bytes = if all.is_empty() { first } else { all.into() };
    Ok(Held { bytes, kind: Kind::Json, _share: share })
}

async fn next_chunk(body: &mut Body) -> Result<Option<Bytes>, Refusal> {
    loop {
        match poll_fn(|context| Pin::new(&mut *body).poll_frame(context)).await {
            None => return Ok(None),
            Some(Err(_)) => return Err(Refusal::Cut),
            // Trailers are of no interest.
            Some(Ok(frame)) => match frame.into_data() {
                Ok(data) if !data.is_empty() => return Ok(Some(data)),
                _ => {}
            },
        }
    }
}

async fn throw_away(body: &mut Body) {
    let all = async {
        let mut left = THROWN_AWAY;
        while let Ok(Some(chunk)) = next_chunk(body).await {
            left = left.saturating_sub(chunk.len());
            if left == 0 {
                return;
            }
        }
    };
    // A sender this slow gets the refusal early.
    let _ = timeout(Duration::from_secs(2), all).await;
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(content_type: &str, accepted: bool) {
        let headers = HeaderMap::from_iter([(CONTENT_TYPE, content_type.parse().unwrap())]);
        assert_eq!(check_type(&headers, upload::JSON).is_ok(), accepted, "{content_type}");
    }

    #[test]
    fn types_that_are_json_or_an_upload_are_accepted() {
        check("application/json", true);
        check("Application/JSON; charset=UTF-8", true);
        check("application/json; charset=\"utf-8\"", true);
        check("application/ld+json", true);
        check("text/plain", true);
        check("", true);
        check("text/csv", false);
        check("multipart/form-data; boundary=x", true);
        check("multipart/form-data", false);
        check("image/png", true);
        check("application/xml", false);
        check("application/json; charset=utf-16", false);
        assert!(check_type(&HeaderMap::new(), upload::JSON).is_ok());
    }
}
