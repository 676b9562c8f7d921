//! Rows from uploads: one picture as the whole body, or a form with files (`multipart/form-data`, RFC 7578).
//!
//! A form is one row: a file or a text for each column. Several files under one name are several rows, which share the
//! other values.

use crate::app::App;
use crate::refusal::Refusal;
use crate::rows::Rows;
use outset_data::pictures::{Fault, Picture, base64};
use serde_json::{Map, Value};

/// What a body says to be.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Kind {
    Json,
    /// What `curl --data` sends unless told otherwise; believed to be JSON if it looks like it.
    Form,
    /// The boundary between the parts.
    Multipart(String),
    Picture,
}

/// Reads the rows of an upload.
pub(crate) fn read(app: &App, body: &[u8], kind: &Kind) -> Result<Rows, Refusal> {
    let pictures: Vec<&str> = app
        .model
        .signature
        .inputs
        .iter()
        .filter(|input| input.kind == "image")
        .map(|input| input.name.as_str())
        .collect();
    let rows = match kind {
        Kind::Multipart(boundary) => form(body, boundary, &pictures)?,
        _ => {
            let (Some(name), true) = (pictures.first(), app.model.signature.inputs.len() == 1) else {
                return Err(Refusal::NoPictureAlone);
            };
            vec![Map::from_iter([((*name).to_owned(), picture("the body", body)?)])]
        }
    };
    if rows.len() > app.max_rows {
        return Err(Refusal::TooManyRows { limit: app.max_rows });
    }
    Ok(Rows {
        one: rows.len() == 1,
        numbers: (0..rows.len()).collect(),
        rows: rows.into_iter().map(Value::Object).collect(),
        problems: Vec::new(),
    })
}

/// A picture as the value of a row; what is none is refused before the model is asked.
fn picture(name: &str, bytes: &[u8]) -> Result<Value, Refusal> {
    match Picture::from_bytes(name, bytes.to_vec()).header() {
        Ok(_) => Ok(base64(bytes).into()),
        Err(Fault::NotAPicture) => Err(Refusal::NotAPicture { name: name.to_owned() }),
        Err(Fault::TooLarge { size }) => Err(Refusal::TooManyPixels { name: name.to_owned(), size: *size }),
        Err(fault) => Err(Refusal::BrokenPicture { name: name.to_owned(), fault: fault.to_string() }),
    }
}

/// One part of a form.
struct Part<'a> {
    name: String,
    is_file: bool,
    content: &'a [u8],
}

fn form(body: &[u8], boundary: &str, pictures: &[&str]) -> Result<Vec<Map<String, Value>>, Refusal> {
    let malformed = |problem: &'static str| Refusal::NotAForm { problem };
    let mut shared = Map::new();
    let mut files: Vec<(String, Vec<Value>)> = Vec::new();
    for part in parts(body, boundary).map_err(malformed)? {
        if part.is_file || pictures.contains(&part.name.as_str()) {
            let value = picture(&part.name, part.content)?;
            match files.iter_mut().find(|(name, _)| *name == part.name) {
                Some((_, values)) => values.push(value),
                None => files.push((part.name, vec![value])),
            }
        } else {
            let text = std::str::from_utf8(part.content).map_err(|_| malformed("a value is not UTF-8"))?;
            if shared.insert(part.name, text.into()).is_some() {
                return Err(malformed("a name stands twice"));
            }
        }
    }
    let count = files.iter().map(|(_, values)| values.len()).max().unwrap_or(1);
    if files.iter().any(|(_, values)| values.len() != count) {
        return Err(malformed("its names have different numbers of files"));
    }
    let mut rows = vec![shared; count];
    for (name, values) in files {
        for (row, value) in rows.iter_mut().zip(values) {
            row.insert(name.clone(), value);
        }
    }
    Ok(rows)
}

/// Cuts a form into its parts.
fn parts<'a>(body: &'a [u8], boundary: &str) -> Result<Vec<Part<'a>>, &'static str> {
    let mark = format!("--{boundary}");
    let mut rest = body.strip_prefix(mark.as_bytes()).or_else(|| {
        // What stands in front of the first boundary does not count.
        find(body, format!("\r\n{mark}").as_bytes()).map(|at| &body[at + 2 + mark.len()..])
    });
    let mark = format!("\r\n{mark}");
    let mut parts = Vec::new();
    while let Some(after) = rest {
        if after.starts_with(b"--") {
            return Ok(parts);
        }
        let start = find(after, b"\r\n").ok_or("it ends too early")? + 2;
        let part = &after[start..];
        let end = find(part, mark.as_bytes()).ok_or("it ends too early")?;
        parts.push(part_of(&part[..end])?);
        rest = Some(&part[end + mark.len()..]);
    }
    Err("its boundary does not occur")
}

fn part_of(part: &[u8]) -> Result<Part<'_>, &'static str> {
    let (head, content) = match part.strip_prefix(b"\r\n") {
        Some(content) => (&b""[..], content),
        None => {
            let end = find(part, b"\r\n\r\n").ok_or("a part has no end of its head")?;
            (&part[..end], &part[end + 4..])
        }
    };
    let head = std::str::from_utf8(head).map_err(|_| "the head of a part is not UTF-8")?;
    let disposition = head.lines().find_map(|line| {
        let (name, value) = line.split_once(':')?;
        name.trim().eq_ignore_ascii_case("content-disposition").then_some(value)
    });
    let disposition = disposition.ok_or("a part has no `Content-Disposition`")?;
    let name = parameter(disposition, "name").ok_or("a part has no name")?;
    Ok(Part { name, is_file: parameter(disposition, "filename").is_some(), content })
}

/// A parameter of a header's value, quoted or not; browsers write a quote within as `%22`.
fn parameter(value: &str, wanted: &str) -> Option<String> {
    let mut rest = value;
    while let Some((_, after)) = rest.split_once(';') {
        let (name, after) = after.split_once('=')?;
        let (text, after) = match after.strip_prefix('"') {
            Some(quoted) => quoted.split_once('"')?,
            None => after.split_at(after.find(';').unwrap_or(after.len())),
        };
        if name.trim().eq_ignore_ascii_case(wanted) {
            return Some(text.trim().replace("%22", "\""));
        }
        rest = after;
    }
    None
}

/// The boundary that a content type names.
pub(crate) fn boundary(content_type: &str) -> Option<String> {
    parameter(content_type, "boundary").filter(|boundary| !boundary.is_empty())
}

fn find(text: &[u8], word: &[u8]) -> Option<usize> {
    text.windows(word.len()).position(|window| window == word)
}

#[cfg(test)]
mod tests {
    use super::*;
    use outset_data::lot::Lot;
    use outset_data::pictures::{Channels, made};

    fn body(parts: &[(&str, &[u8])]) -> Vec<u8> {
        let mut body = b"ignored".to_vec();
        for (head, content) in parts {
            body.extend(format!("\r\n--x y\r\nContent-Disposition: form-data; {head}\r\n\r\n").as_bytes());
            body.extend(*content);
        }
        body.extend(b"\r\n--x y--\r\n");
        body
    }

    #[test]
    fn a_form_is_a_row() {
        let png = made(8, Channels::Grey, &mut Lot::new(1));
        let parts: [(&str, &[u8]); 2] =
            [("name=\"photo\"; filename=\"a.png\"", &png), ("name=\"age\"", b"30")];
        let rows = form(&body(&parts), "x y", &["photo"]).unwrap();
        assert_eq!((rows.len(), &rows[0]["age"]), (1, &Value::from("30")));
        assert_eq!(rows[0]["photo"], base64(&png));
        let twice: [(&str, &[u8]); 3] = [parts[0], parts[1], parts[0]];
        assert_eq!(form(&body(&twice), "x y", &["photo"]).unwrap().len(), 2);
    }

    #[test]
    fn what_is_no_form_or_no_picture() {
        let refused = |body: &[u8]| form(body, "x y", &["photo"]).unwrap_err().to_string();
        assert_eq!(refused(b""), "the form cannot be read: its boundary does not occur");
        assert_eq!(refused(b"--x y\r\nabc"), "the form cannot be read: it ends too early");
        assert_eq!(refused(&body(&[("nome=a", b"")])), "the form cannot be read: a part has no name");
        let text: [(&str, &[u8]); 1] = [("name=photo; filename=a.png", b"text")];
        assert_eq!(
            refused(&body(&text)),
            "`photo` is not a picture, expected PNG, JPEG, WebP, BMP, GIF or TIFF"
        );
        // Nothing panics, wherever a body is cut off.
        let png = made(8, Channels::Grey, &mut Lot::new(1));
        let whole = body(&[("name=photo; filename=a.png", &png), ("name=age", b"3")]);
        for end in 0..whole.len() - 4 {
            assert!(form(&whole[..end], "x y", &["photo"]).is_err(), "{end}");
        }
    }

    #[test]
    fn boundaries() {
        assert_eq!(boundary("multipart/form-data; boundary=ab"), Some("ab".to_owned()));
        assert_eq!(boundary("multipart/form-data; charset=utf-8; boundary=\"a;b\""), Some("a;b".to_owned()));
        assert_eq!(boundary("multipart/form-data"), None);
    }
}
