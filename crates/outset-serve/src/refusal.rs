//! Every way in which a request is refused: facts, status, words.

use axum::http::StatusCode;
use axum::http::header::{HeaderValue, RETRY_AFTER, WWW_AUTHENTICATE};
use axum::response::{IntoResponse, Response};
use outset_data::RowProblem;
use outset_data::pictures::MAX_PIXELS;
use serde::Serialize;
use serde_json::{Value, json};
use std::time::Duration;
use thiserror::Error;

/// A value that cannot be used.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(crate) struct Problem {
    /// Place in the list that was sent, the first being 0.
    pub row: usize,
    /// Left out where the row as a whole is at fault.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub column: Option<String>,
    /// What is wrong, with the column in it.
    pub problem: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hint: Option<String>,
}

impl From<RowProblem> for Problem {
    fn from(problem: RowProblem) -> Self {
        let RowProblem { row, key, message, hint } = problem;
        Self { row, column: (!key.is_empty()).then_some(key), problem: message, hint }
    }
}

/// A request that is not answered as asked.
#[derive(Clone, Debug, PartialEq, Error)]
pub(crate) enum Refusal {
    #[error("the body is empty, expected a JSON object or a list of them")]
    Empty,
    #[error("the body is not JSON: line {line}, column {column}: {problem}")]
    NotJson { line: usize, column: usize, problem: String, hint: Option<&'static str> },
    #[error("the body is {found}, expected a JSON object or a list of them")]
    NotRows { found: &'static str },
    #[error("{}", faulty(.problems, *.more))]
    Faulty { problems: Vec<Problem>, more: usize },
    #[error("the body is larger than {limit} bytes")]
    TooLarge { limit: usize },
    #[error("the body has more than {limit} rows")]
    TooManyRows { limit: usize },
    #[error("the form's texts take more than {limit} bytes in its {rows} rows, each of which holds them")]
    RepeatedTexts { rows: usize, limit: usize },
    #[error("the content type is `{found}`, expected {expected}")]
    ContentType { found: String, expected: &'static str },
    #[error("`{name}` is not a picture, expected PNG, JPEG, WebP, BMP, GIF or TIFF")]
    NotAPicture { name: String },
    #[error("`{name}` is not text in UTF-8, and its column holds no pictures")]
    NotText { name: String },
    #[error("`{name}` has {} × {} pixels, but a picture may have {} million", .size[0], .size[1], MAX_PIXELS / 1_000_000)]
    TooManyPixels { name: String, size: [u32; 2] },
    #[error("the pictures of the body have more than {} million pixels together", MAX_PIXELS / 1_000_000)]
    TooManyPixelsTogether,
    #[error("`{name}` {fault}")]
    BrokenPicture { name: String, fault: String },
    #[error("the body is a picture, but the model takes more than one picture alone")]
    NoPictureAlone,
    #[error("the form cannot be read: {problem}")]
    NotAForm { problem: &'static str },
    #[error("the body is compressed as `{found}`, but must be plain")]
    Compressed { found: String },
    #[error("the body ends too early")]
    Cut,
    #[error("the body did not arrive within {} s", .limit.as_secs_f64())]
    SlowBody { limit: Duration },
    #[error("no API key was sent")]
    NoKey,
    #[error("the API key is wrong")]
    WrongKey,
    #[error("there is nothing at `{path}`")]
    NoSuchPage { path: String },
    #[error("there is no model `{name}` here, only `{known}`")]
    NoSuchModel { name: String, known: String },
    #[error("the model has no version `{version}`, only `{known}`")]
    NoSuchVersion { version: String, known: String },
    #[error("`{path}` does not take {method}")]
    Method { method: String, path: String },
    /// A request of the Open Inference Protocol that does not keep to it.
    #[error("{0}")]
    Protocol(String),
    #[error("the server has too much to do")]
    Busy,
    #[error("there was no answer within {} s", .limit.as_secs_f64())]
    Slow { limit: Duration },
    #[error("the model cannot answer: {0}")]
    Failed(String),
    #[error("the server made a mistake over this request; that is a bug in Outset, not in the request")]
    Panicked,
}

impl Refusal {
    pub fn status(&self) -> StatusCode {
        match self {
            Self::Empty | Self::NotJson { .. } | Self::NotAForm { .. } | Self::Cut | Self::Protocol(_) => {
                StatusCode::BAD_REQUEST
            }
            Self::NotRows { .. } | Self::Faulty { .. } | Self::BrokenPicture { .. } => {
                StatusCode::UNPROCESSABLE_ENTITY
            }
            Self::TooLarge { .. }
            | Self::TooManyRows { .. }
            | Self::RepeatedTexts { .. }
            | Self::TooManyPixels { .. }
            | Self::TooManyPixelsTogether => StatusCode::PAYLOAD_TOO_LARGE,
            Self::ContentType { .. }
            | Self::Compressed { .. }
            | Self::NotAPicture { .. }
            | Self::NotText { .. }
            | Self::NoPictureAlone => StatusCode::UNSUPPORTED_MEDIA_TYPE,
            Self::SlowBody { .. } => StatusCode::REQUEST_TIMEOUT,
            Self::NoKey | Self::WrongKey => StatusCode::UNAUTHORIZED,
            Self::NoSuchPage { .. } | Self::NoSuchModel { .. } | Self::NoSuchVersion { .. } => {
                StatusCode::NOT_FOUND
            }
            Self::Method { .. } => StatusCode::METHOD_NOT_ALLOWED,
            Self::Busy | Self::Slow { .. } => StatusCode::SERVICE_UNAVAILABLE,
            Self::Failed(_) | Self::Panicked => StatusCode::INTERNAL_SERVER_ERROR,
        }
    }

    /// What to do about it, where that is sure.
    fn hint(&self) -> Option<&'static str> {
        match self {
            Self::NotJson { hint, .. } => *hint,
            Self::TooManyRows { .. } | Self::RepeatedTexts { .. } | Self::TooManyPixelsTogether => {
                Some("send the rows in several requests")
            }
            Self::NoPictureAlone => Some(
                "send a form (`multipart/form-data`) with a part for each column, or JSON with the picture in base 64",
            ),
            Self::NoKey | Self::WrongKey => {
                Some("send it as `Authorization: Bearer KEY` or `X-API-Key: KEY`")
            }
            Self::NoSuchPage { .. } => {
                Some("`/openapi.json` lists all paths, `/` is a page to try the model")
            }
            _ => None,
        }
    }

    /// The same in one string, for the protocol whose errors are just that.
    pub fn in_one_line(&self) -> String {
        let Self::Faulty { problems, more } = self else { return self.to_string() };
        let shown: Vec<String> = problems.iter().take(20).map(in_words).collect();
        let left = problems.len() - shown.len() + more;
        let rest = if left == 0 { String::new() } else { format!("; and {left} more") };
        format!("{}{rest}", shown.join("; "))
    }

    fn body(&self) -> Value {
        let mut body = json!({ "error": self.to_string() });
        if let Some(hint) = self.hint() {
            body["hint"] = hint.into();
        }
        if let Self::Faulty { problems, more } = self {
            body["problems"] = json!(problems);
            if *more > 0 {
                body["more_problems"] = (*more).into();
            }
        }
        body
    }

    /// Answers with the status of this refusal and a body of the caller's.
    pub fn respond(&self, body: &Value) -> Response {
        let mut response = crate::app::json(body.to_string());
        *response.status_mut() = self.status();
        let (name, value) = match self {
            Self::NoKey => (WWW_AUTHENTICATE, r#"Bearer realm="outset""#),
            Self::WrongKey => (WWW_AUTHENTICATE, r#"Bearer realm="outset", error="invalid_token""#),
            Self::Busy | Self::Slow { .. } => (RETRY_AFTER, "1"),
            _ => return response,
        };
        response.headers_mut().insert(name, HeaderValue::from_static(value));
        response
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        self.respond(&self.body())
    }
}

fn faulty(problems: &[Problem], more: usize) -> String {
    match problems {
        [problem] if more == 0 => in_words(problem),
        problems => format!("{} values cannot be used", problems.len() + more),
    }
}

fn in_words(problem: &Problem) -> String {
    let hint = problem.hint.as_ref().map_or(String::new(), |hint| format!(" ({hint})"));
    format!("row {}: {}{hint}", problem.row, problem.problem)
}
