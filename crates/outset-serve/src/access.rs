//! The optional API key.

use crate::app::App;
use crate::refusal::Refusal;
use axum::extract::{Request, State};
use axum::http::HeaderMap;
use axum::http::header::AUTHORIZATION;
use axum::middleware::Next;
use axum::response::Response;
use sha2::{Digest as _, Sha256};
use std::sync::Arc;

/// A key as its hash, so that comparing takes equally long whatever is sent, its length included.
pub(crate) struct Key([u8; 32]);

impl Key {
    pub fn new(key: &str) -> Self {
        Self(Sha256::digest(key.as_bytes()).into())
    }

    fn is(&self, sent: &[u8]) -> bool {
        let sent: [u8; 32] = Sha256::digest(sent).into();
        let difference = self.0.iter().zip(sent).fold(0, |all, (a, b)| all | (a ^ b));
        std::hint::black_box(difference) == 0
    }
}

/// Lets a request through that brings the key, or any where none is asked for.
pub(crate) async fn ask(
    State(app): State<Arc<App>>,
    request: Request,
    next: Next,
) -> Result<Response, Refusal> {
    if let Some(key) = &app.key {
        let sent = sent_key(request.headers()).ok_or(Refusal::NoKey)?;
        if !key.is(sent) {
            return Err(Refusal::WrongKey);
        }
    }
    Ok(next.run(request).await)
}

/// The key in `Authorization: Bearer …` or `X-API-Key: …`.
fn sent_key(headers: &HeaderMap) -> Option<&[u8]> {
    if let Some(value) = headers.get("x-api-key") {
        return Some(value.as_bytes());
    }
    let value = headers.get(AUTHORIZATION)?.as_bytes();
    let (scheme, key) = value.split_at_checked(7)?;
    scheme.eq_ignore_ascii_case(b"bearer ").then(|| key.trim_ascii())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_very_key_opens() {
        let key = Key::new("secret");
        assert!(key.is(b"secret"));
        for wrong in ["", "secre", "secret ", "Secret", "secretsecret"] {
            assert!(!key.is(wrong.as_bytes()), "{wrong}");
        }
    }
}
