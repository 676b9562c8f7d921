//! Reads rows from JSON: one object or a list of them.
//!
//! A reader of its own, not `serde_json::Value`, because it stops at the row limit before the rows fill the memory,
//! passes over what cannot be a row without keeping it, and sees a key that is given twice.

use crate::refusal::{Problem, Refusal};
use serde::de::{DeserializeSeed, Deserializer, Error as _, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Value};
use std::fmt;

/// The rows of a request.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct Rows {
    /// Whether they came as one object, so that the answer is one object.
    pub one: bool,
    pub rows: Vec<Value>,
    /// Places of the rows in the list that was sent; they differ from 0, 1, 2 … where something is no row.
    pub numbers: Vec<usize>,
    /// What is no row, or has a key twice.
    pub problems: Vec<Problem>,
}

/// Reads a body.
pub(crate) fn read(body: &[u8], limit: usize) -> Result<Rows, Refusal> {
    let body = body.strip_prefix(b"\xef\xbb\xbf").unwrap_or(body);
    if body.trim_ascii().is_empty() {
        return Err(Refusal::Empty);
    }
    let mut reader = Reader { rows: Rows::default(), limit, sent: 0, refusal: None };
    let mut json = serde_json::Deserializer::from_slice(body);
    let read = reader.deserialize(&mut json).and_then(|()| json.end());
    match (reader.refusal, read) {
        (Some(refusal @ Refusal::TooManyRows { .. }), _) => Err(refusal),
        (_, Err(error)) => Err(not_json(body, &error)),
        (Some(refusal), Ok(())) => Err(refusal),
        (None, Ok(())) => Ok(reader.rows),
    }
}

/// Says where JSON stops to be JSON.
pub(crate) fn not_json(body: &[u8], error: &serde_json::Error) -> Refusal {
    let (line, column) = (error.line(), error.column());
    let place = format!(" at line {line} column {column}");
    let problem = error.to_string();
    let problem = problem.strip_suffix(&place).unwrap_or(&problem).to_owned();
    let at = body.split(|byte| *byte == b'\n').nth(line.saturating_sub(1)).unwrap_or_default();
    let near = at.get(column.saturating_sub(2)..).unwrap_or_default();
    let near = near.get(..16).unwrap_or(near).to_ascii_lowercase();
    let hint = if ["nan", "infinity"].iter().any(|word| contains(&near, word.as_bytes())) {
        Some("JSON has no `NaN` or `Infinity`; send `null` for a missing value")
    } else if near.contains(&b'\'') {
        Some("JSON strings stand in double quotes")
    } else {
        None
    };
    Refusal::NotJson { line, column, problem, hint }
}

fn contains(text: &[u8], word: &[u8]) -> bool {
    text.windows(word.len()).any(|window| window == word)
}

struct Reader {
    rows: Rows,
    limit: usize,
    /// Elements of the list so far, rows or not.
    sent: usize,
    refusal: Option<Refusal>,
}

impl Reader {
    fn problem(&mut self, column: Option<String>, problem: String) {
        // The first thousand tell enough, and a body of nothing else must not fill the memory.
        if self.rows.problems.len() < 1000 {
            self.rows.problems.push(Problem { row: self.sent, column, problem, hint: None });
        }
    }

    fn row<'de, A: MapAccess<'de>>(&mut self, mut access: A) -> Result<(), A::Error> {
        let mut row = Map::new();
        while let Some(key) = access.next_key::<String>()? {
            let value: Value = access.next_value()?;
            if row.contains_key(&key) {
                let problem = format!("`{key}` is given twice");
                self.problem(Some(key), problem);
            } else {
                row.insert(key, value);
            }
        }
        self.rows.numbers.push(self.sent);
        self.rows.rows.push(Value::Object(row));
        Ok(())
    }
}

/// Reads the body as a whole.
impl<'de> DeserializeSeed<'de> for &mut Reader {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, json: D) -> Result<(), D::Error> {
        json.deserialize_any(Body(self))
    }
}

struct Body<'a>(&'a mut Reader);

impl<'de> Visitor<'de> for Body<'_> {
    type Value = ();

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a JSON object or a list of them")
    }

    fn visit_map<A: MapAccess<'de>>(self, access: A) -> Result<(), A::Error> {
        self.0.rows.one = true;
        self.0.row(access)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut access: A) -> Result<(), A::Error> {
        while access.next_element_seed(Element(self.0))?.is_some() {
            self.0.sent += 1;
            if self.0.sent > self.0.limit {
                self.0.refusal = Some(Refusal::TooManyRows { limit: self.0.limit });
                return Err(A::Error::custom("too many rows"));
            }
        }
        Ok(())
    }

    fn visit_bool<E>(self, _: bool) -> Result<(), E> {
        self.no_rows("`true` or `false`")
    }
    fn visit_i64<E>(self, _: i64) -> Result<(), E> {
        self.no_rows("a number")
    }
    fn visit_u64<E>(self, _: u64) -> Result<(), E> {
        self.no_rows("a number")
    }
    fn visit_f64<E>(self, _: f64) -> Result<(), E> {
        self.no_rows("a number")
    }
    fn visit_str<E>(self, _: &str) -> Result<(), E> {
        self.no_rows("a text")
    }
    fn visit_unit<E>(self) -> Result<(), E> {
        self.no_rows("`null`")
    }
}

impl Body<'_> {
    fn no_rows<E>(self, found: &'static str) -> Result<(), E> {
        self.0.refusal = Some(Refusal::NotRows { found });
        Ok(())
    }
}

/// Reads one element of the list.
struct Element<'a>(&'a mut Reader);

impl<'de> DeserializeSeed<'de> for Element<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, json: D) -> Result<(), D::Error> {
        json.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Element<'_> {
    type Value = ();

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a JSON object")
    }

    fn visit_map<A: MapAccess<'de>>(self, access: A) -> Result<(), A::Error> {
        self.0.row(access)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut access: A) -> Result<(), A::Error> {
        while access.next_element::<IgnoredAny>()?.is_some() {}
        self.no_row("a list")
    }

    fn visit_bool<E>(self, value: bool) -> Result<(), E> {
        self.no_row(if value { "`true`" } else { "`false`" })
    }
    fn visit_i64<E>(self, _: i64) -> Result<(), E> {
        self.no_row("a number")
    }
    fn visit_u64<E>(self, _: u64) -> Result<(), E> {
        self.no_row("a number")
    }
    fn visit_f64<E>(self, _: f64) -> Result<(), E> {
        self.no_row("a number")
    }
    fn visit_str<E>(self, _: &str) -> Result<(), E> {
        self.no_row("a text")
    }
    fn visit_unit<E>(self) -> Result<(), E> {
        self.no_row("`null`")
    }
}

impl Element<'_> {
    fn no_row<E>(self, found: &str) -> Result<(), E> {
        self.0.problem(None, format!("the row is {found}, but must be an object"));
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn refused(body: &str, expected: &str) {
        assert_eq!(
            read(body.as_bytes(), 3).unwrap_err().to_string(),
            expected,
            "{}",
            &body[..body.len().min(80)]
        );
    }

    #[test]
    fn one_object_or_a_list() {
        let one = read(br#" {"a": 1} "#, 3).unwrap();
        assert!(one.one);
        assert_eq!(one.rows, [json!({"a": 1})]);
        let many = read(b"\xef\xbb\xbf[{\"a\": 1}, {}]", 3).unwrap();
        assert!(!many.one);
        assert_eq!((many.rows, many.numbers), (vec![json!({"a": 1}), json!({})], vec![0, 1]));
        assert_eq!(read(b"[]", 3).unwrap(), Rows::default());
    }

    #[test]
    fn what_is_no_row_is_named_and_the_rest_is_kept() {
        let rows = read(br#"[1, {"a": 1, "a": 2}, [[2]]]"#, 3).unwrap();
        assert_eq!((rows.rows, rows.numbers), (vec![json!({"a": 1})], vec![1]));
        let problems: Vec<_> =
            rows.problems.iter().map(|p| (p.row, p.column.as_deref(), p.problem.as_str())).collect();
        assert_eq!(
            problems,
            [
                (0, None, "the row is a number, but must be an object"),
                (1, Some("a"), "`a` is given twice"),
                (2, None, "the row is a list, but must be an object")
            ]
        );
    }

    #[test]
    fn places_are_named() {
        refused("", "the body is empty, expected a JSON object or a list of them");
        refused(" \n", "the body is empty, expected a JSON object or a list of them");
        refused("3", "the body is a number, expected a JSON object or a list of them");
        refused("\"x\"", "the body is a text, expected a JSON object or a list of them");
        refused("{\"a\":\n oops}", "the body is not JSON: line 2, column 2: expected value");
        refused("{\"a\": 1", "the body is not JSON: line 1, column 7: EOF while parsing an object");
        refused("{} {}", "the body is not JSON: line 1, column 4: trailing characters");
        refused("3 x", "the body is not JSON: line 1, column 3: trailing characters");
        refused("{\"a\": 1e999}", "the body is not JSON: line 1, column 11: number out of range");
        refused("[{},{},{},{}]", "the body has more than 3 rows");
        // What is no row is passed over without recursion, however deep it is.
        refused(
            &"[".repeat(100_000),
            "the body is not JSON: line 1, column 100000: EOF while parsing a list",
        );
        let deep = format!("{{\"a\": {}", "[".repeat(100_000));
        refused(&deep, "the body is not JSON: line 1, column 133: recursion limit exceeded");
    }

    #[test]
    fn literals_that_json_lacks_come_with_advice() {
        for body in [r#"{"a": NaN}"#, r#"{"a": -Infinity}"#, r#"[{"a": 1, "b": nan}]"#, "{'a': 1}"] {
            let refusal = read(body.as_bytes(), 3).unwrap_err();
            assert!(matches!(refusal, Refusal::NotJson { hint: Some(_), .. }), "{body}: {refusal:?}");
        }
    }

    #[test]
    fn bytes_that_are_no_text_are_refused() {
        assert!(matches!(read(b"{\"a\": \"\xff\xfe\"}", 3), Err(Refusal::NotJson { line: 1, .. })));
    }
}
