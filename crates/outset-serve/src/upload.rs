//! Rows from uploads: one picture as the whole body, or a form with files (`multipart/form-data`, RFC 7578).
//!
//! A form is one row: a file or a text for each column. A file of UTF-8 for a column without pictures is a text as if it
//! were typed in. Several pictures under one name are several rows, which share the other values.

use crate::app::{App, Model};
use crate::refusal::Refusal;
use crate::rows::Rows;
use outset_data::pictures::{Fault, MAX_PIXELS, base64, from_base64, header};
use serde_json::{Map, Value};
use std::collections::BTreeMap;

/// What a body says to be.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Kind {
    Json,
    /// What `curl --data` sends unless told otherwise; believed to be JSON if it looks like it.
    Form,
    /// The boundary between the parts.
    Multipart(String),
    /// The content type, `image/` and whatever else it says.
    Picture(String),
}

impl Kind {
    /// The content type of an upload; `None` for what is read as JSON.
    pub fn of_upload(&self) -> Option<&str> {
        match self {
            Self::Json | Self::Form => None,
            Self::Multipart(_) => Some("multipart/form-data"),
            Self::Picture(found) => Some(found),
        }
    }
}

/// The types of bodies that a call without uploads takes, in words.
pub(crate) const JSON: &str = "`application/json`";

/// The types of bodies that a model takes, in words.
pub(crate) fn expected(model: &Model) -> &'static str {
    match (model.pictures().next(), model.signature.inputs.len()) {
        (None, _) => JSON,
        (Some(_), 1) => "`application/json`, `multipart/form-data` or `image/*`",
        (Some(_), _) => "`application/json` or `multipart/form-data`",
    }
}

/// Reads the rows of an upload.
pub(crate) fn read(app: &App, body: &[u8], kind: &Kind) -> Result<Rows, Refusal> {
    let pictures: Vec<&str> = app.model.pictures().collect();
    let rows = match (kind, &pictures[..]) {
        (Kind::Multipart(boundary), _) => {
            let names = app.model.signature.inputs.iter().map(|input| input.name.as_str());
            let others: Vec<&str> = names.filter(|name| !pictures.contains(name)).collect();
            form(body, boundary, [&pictures, &others], app.max_rows, app.max_body)?
        }
        (Kind::Picture(found), []) => {
            return Err(Refusal::ContentType { found: found.clone(), expected: expected(&app.model) });
        }
        (_, [name]) if app.model.signature.inputs.len() == 1 => {
            vec![Map::from_iter([((*name).to_owned(), picture("the body", body)?)])]
        }
        _ => return Err(Refusal::NoPictureAlone),
    };
    Ok(Rows {
        one: rows.len() == 1,
        numbers: (0..rows.len()).collect(),
        rows: rows.into_iter().map(Value::Object).collect(),
        problems: Vec::new(),
    })
}

/// A picture as the value of a row; what is none is refused before the model is asked.
fn picture(name: &str, bytes: &[u8]) -> Result<Value, Refusal> {
    match header(bytes) {
        Ok(_) => Ok(base64(bytes).into()),
        Err(Fault::NotAPicture) => Err(Refusal::NotAPicture { name: name.to_owned() }),
        Err(Fault::TooLarge { size }) => Err(Refusal::TooManyPixels { name: name.to_owned(), size }),
        Err(fault) => Err(Refusal::BrokenPicture { name: name.to_owned(), fault: fault.to_string() }),
    }
}

/// Refuses rows whose pictures have more pixels together than a single one may have.
///
/// A few bytes can hold many pixels, and while they are decoded other requests wait. Only headers are read here; a value
/// that is no picture is for the model to name.
pub(crate) fn check_pixels(rows: &[Value], pictures: &[String]) -> Result<(), Refusal> {
    let mut left = MAX_PIXELS;
    for row in rows {
        for text in pictures.iter().filter_map(|name| row.get(name)?.as_str()) {
            let Some(bytes) = from_base64(text) else { continue };
            if let Ok(header) = header(&bytes) {
                let [width, height] = header.size.map(u64::from);
                left = left.checked_sub(width * height).ok_or(Refusal::TooManyPixelsTogether)?;
            }
        }
    }
    Ok(())
}

/// One part of a form.
struct Part<'a> {
    name: String,
    is_file: bool,
    content: &'a [u8],
}

/// The rows of a form. Files are as long as in the body and a third for base 64; the texts, which each row holds, may
/// take no more than rows of JSON could.
fn form(
    body: &[u8],
    boundary: &str,
    [pictures, others]: [&[&str]; 2],
    max_rows: usize,
    max_body: usize,
) -> Result<Vec<Map<String, Value>>, Refusal> {
    let malformed = |problem: &'static str| Refusal::NotAForm { problem };
    let mut shared = Map::new();
    let mut files: BTreeMap<String, Vec<Value>> = BTreeMap::new();
    for part in parts(body, boundary).map_err(malformed)? {
        let (name, text) = (part.name.as_str(), std::str::from_utf8(part.content));
        if part.is_file && text.is_err() && others.contains(&name) {
            return Err(Refusal::NotText { name: part.name });
        }
        // A picture under a name that the model does not know is for the model to name.
        if pictures.contains(&name) || (part.is_file && text.is_err()) {
            let value = picture(name, part.content)?;
            files.entry(part.name).or_default().push(value);
        } else {
            let text = text.map_err(|_| malformed("a value is not UTF-8"))?;
            if shared.insert(part.name, text.into()).is_some() {
                return Err(malformed("a name stands twice"));
            }
        }
    }
    let count = files.values().map(Vec::len).max().unwrap_or(1);
    if files.values().any(|values| values.len() != count) {
        return Err(malformed("its names have different numbers of files"));
    }
    if count > max_rows {
        return Err(Refusal::TooManyRows { limit: max_rows });
    }
    // In JSON, a name and a text come with four quotation marks, a colon and a comma.
    let texts: usize =
        shared.iter().map(|(name, text)| name.len() + text.as_str().map_or(0, str::len) + 6).sum();
    if texts.saturating_mul(count) > max_body {
        return Err(Refusal::RepeatedTexts { rows: count, limit: max_body });
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
    use crate::samples::pretended;
    use outset_data::lot::Lot;
    use outset_data::pictures::{Channels, made};
    use serde_json::json;

    fn body(parts: &[(&str, &[u8])]) -> Vec<u8> {
        let mut body = b"ignored".to_vec();
        for (head, content) in parts {
            body.extend(format!("\r\n--x y\r\nContent-Disposition: form-data; {head}\r\n\r\n").as_bytes());
            body.extend(*content);
        }
        body.extend(b"\r\n--x y--\r\n");
        body
    }

    fn read_form(body: &[u8]) -> Result<Vec<Map<String, Value>>, Refusal> {
        form(body, "x y", [&["photo"], &["review"]], 4, 1000)
    }

    #[test]
    fn a_form_is_a_row() {
        let png = made(8, Channels::Grey, &mut Lot::new(1));
        let parts: [(&str, &[u8]); 2] =
            [("name=\"photo\"; filename=\"a.png\"", &png), ("name=\"age\"", b"30")];
        let rows = read_form(&body(&parts)).unwrap();
        assert_eq!((rows.len(), &rows[0]["age"]), (1, &Value::from("30")));
        assert_eq!(rows[0]["photo"], base64(&png));
        let twice: [(&str, &[u8]); 3] = [parts[0], parts[1], parts[0]];
        let rows = read_form(&body(&twice)).unwrap();
        let ages: Vec<&Value> = rows.iter().map(|row| &row["age"]).collect();
        assert_eq!(ages, ["30", "30"]);
    }

    #[test]
    fn a_file_of_text_is_a_text() {
        let review: (&str, &[u8]) = ("name=\"review\"; filename=\"review.txt\"", "a good 电影\n".as_bytes());
        let rows = read_form(&body(&[review, ("name=age; filename=age.txt", b"30")])).unwrap();
        assert_eq!(rows, [json!({"review": "a good 电影\n", "age": "30"}).as_object().unwrap().clone()]);
        let refused = |parts: &[(&str, &[u8])]| read_form(&body(parts)).unwrap_err().to_string();
        assert_eq!(refused(&[review, review]), "the form cannot be read: a name stands twice");
        let png = made(8, Channels::Grey, &mut Lot::new(1));
        let neither = "`review` is not text in UTF-8, and its column holds no pictures";
        assert_eq!(refused(&[("name=review; filename=a.png", &png)]), neither);
        assert_eq!(refused(&[("name=review", b"\xff")]), "the form cannot be read: a value is not UTF-8");
    }

    #[test]
    fn many_rows_do_not_repeat_long_texts() {
        let png = made(8, Channels::Grey, &mut Lot::new(1));
        let photo: (&str, &[u8]) = ("name=photo; filename=a.png", &png);
        let text = [b'x'; 300];
        let with_text = |files: usize| {
            let mut parts = vec![photo; files];
            parts.push(("name=text", &text));
            read_form(&body(&parts))
        };
        // 310 bytes a row: name and text with their marks.
        assert_eq!(with_text(3).unwrap().len(), 3);
        let refusal = with_text(4).unwrap_err();
        assert_eq!(
            refusal.to_string(),
            "the form's texts take more than 1000 bytes in its 4 rows, each of which holds them"
        );
        assert_eq!(refusal.status(), 413);
        assert_eq!(with_text(5).unwrap_err(), Refusal::TooManyRows { limit: 4 });
    }

    #[test]
    fn pixels_of_all_pictures_count_together() {
        let names = ["photo".to_owned(), "other".to_owned()];
        let small = made(8, Channels::Grey, &mut Lot::new(1));
        let png = |side| Value::from(base64(&pretended(small.clone(), side, side)));
        let both = |first: u32, second: u32| {
            check_pixels(&[json!({"photo": png(first)}), json!({"other": png(second)})], &names)
        };
        assert_eq!(both(8_000, 6_000), Ok(()), "exactly as many as one picture may have");
        assert_eq!(both(8_000, 6_001), Err(Refusal::TooManyPixelsTogether));
        // What cannot be decoded is not: too large by itself, no picture, no text at all.
        let others = json!({"photo": png(20_000), "other": base64(b"text")});
        assert_eq!(check_pixels(&[others, json!({"photo": 3, "other": null}), json!(3)], &names), Ok(()));
    }

    #[test]
    fn what_is_no_form_or_no_picture() {
        let refused = |body: &[u8]| read_form(body).unwrap_err().to_string();
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
            assert!(read_form(&whole[..end]).is_err(), "{end}");
        }
    }

    #[test]
    fn boundaries() {
        assert_eq!(boundary("multipart/form-data; boundary=ab"), Some("ab".to_owned()));
        assert_eq!(boundary("multipart/form-data; charset=utf-8; boundary=\"a;b\""), Some("a;b".to_owned()));
        assert_eq!(boundary("multipart/form-data"), None);
    }
}
