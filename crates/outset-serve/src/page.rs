//! `GET /`: the page to try the model, one file without anything from elsewhere.

use crate::app::Model;
use axum::body::{Body, Bytes};
use axum::http::header::{
    CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, HeaderName, HeaderValue, REFERRER_POLICY,
    X_CONTENT_TYPE_OPTIONS,
};
use axum::response::Response;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

const TEMPLATE: &str = include_str!("page.html");

/// The page as it is sent.
pub(crate) struct Page {
    html: Bytes,
    policy: HeaderValue,
}

impl Page {
    pub fn response(&self) -> Response {
        let mut response = Response::new(Body::from(self.html.clone()));
        let fixed: [(HeaderName, &'static str); 4] = [
            (CONTENT_TYPE, "text/html; charset=utf-8"),
            (CACHE_CONTROL, "no-cache"),
            (X_CONTENT_TYPE_OPTIONS, "nosniff"),
            (REFERRER_POLICY, "no-referrer"),
        ];
        for (name, value) in fixed {
            response.headers_mut().insert(name, HeaderValue::from_static(value));
        }
        response.headers_mut().insert(CONTENT_SECURITY_POLICY, self.policy.clone());
        response
    }
}

/// What the page is made from.
pub(crate) fn signature(model: &Model) -> Value {
    json!({
        "name": model.name,
        "version": model.version,
        "trained_by": model.trained_by,
        "inputs": model.signature.inputs,
        "outputs": model.signature.outputs,
    })
}

/// Makes the page; where a key is needed the columns stay behind it, and the page asks for them with the key.
pub(crate) fn render(model: &Model, locked: bool) -> Page {
    let data = if locked { json!({ "locked": true }) } else { signature(model) };
    // The only place where `<` could end the script element that holds the data.
    let data = data.to_string().replace('<', "\\u003c");
    let title = if locked { "Outset model".to_owned() } else { escape(&model.name) };
    // The title comes first in the file, so that one put in last cannot be taken for a part of the data, nor the reverse.
    let html = TEMPLATE.replacen("{{data}}", &data, 1).replacen("{{title}}", &title, 1);
    let script = hash(between(TEMPLATE, "<script>", "</script>"));
    let style = hash(between(TEMPLATE, "<style>", "</style>"));
    let policy = format!(
        "default-src 'none'; script-src 'sha256-{script}'; style-src 'sha256-{style}'; connect-src 'self'; \
         img-src data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    );
    let policy = HeaderValue::from_str(&policy).unwrap_or(HeaderValue::from_static("default-src 'none'"));
    Page { html: html.into(), policy }
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

fn between<'a>(text: &'a str, start: &str, end: &str) -> &'a str {
    text.split_once(start).and_then(|(_, rest)| rest.split_once(end)).map_or("", |(inner, _)| inner)
}

/// SHA-256 in base 64, as the policy wants it.
fn hash(text: &str) -> String {
    const LETTERS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut encoded = String::new();
    for bytes in Sha256::digest(text.as_bytes()).chunks(3) {
        let all =
            bytes.iter().fold(0u32, |all, byte| (all << 8) | u32::from(*byte)) << (8 * (3 - bytes.len()));
        for place in 0..4 {
            let letter = LETTERS[(all >> (18 - 6 * place)) as usize & 63];
            encoded.push(if place <= bytes.len() { char::from(letter) } else { '=' });
        }
    }
    encoded
}

#[cfg(test)]
mod tests {
    use super::*;
    use outset_data::Signature;
    use outset_data::signature::InputSignature;

    #[test]
    fn hashes_are_in_base_64() {
        assert_eq!(hash(""), "47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=");
    }

    #[test]
    fn names_cannot_break_out_of_the_page() {
        let input = InputSignature { name: "</script><b>\"'".to_owned(), ..Default::default() };
        let signature = Signature { inputs: vec![input], outputs: vec![] };
        let model = Model { name: "<i>&\"{{data}}".to_owned(), signature, ..Default::default() };
        let html = String::from_utf8(render(&model, false).html.to_vec()).unwrap();
        assert!(html.contains("<title>&lt;i&gt;&amp;&quot;"));
        assert!(html.contains(r#"\u003c/script>\u003cb>\"'"#));
        assert_eq!(html.matches("</script>").count(), 2);
        assert!(!String::from_utf8(render(&model, true).html.to_vec()).unwrap().contains("&quot;"));
    }
}
