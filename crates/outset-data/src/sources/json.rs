//! JSON: an array of objects, or one object a line. Each object is a row, each key a column.

use super::columns::{Column, Columns};
use super::encoding::TextFile;
use super::error::SourceError;
use super::{Source, locate};
use crate::spans;
use crate::table::{LIST_SEPARATOR, number_text};
use serde::de::{DeserializeSeed, Deserializer, Error as _, MapAccess, SeqAccess, Visitor};
use std::fmt;
use std::io::{BufRead, BufReader, Read};

/// Bytes that the format is recognised from.
const HEAD: usize = 1 << 16;

/// Largest integer up to which 64-bit floats hold every one.
const EXACT: u64 = 1 << 53;

/// A JSON file of a known layout.
pub(super) struct Json {
    file: TextFile,
    lines: bool,
}

/// Recognises JSON by its first bracket; `Ok(None)` for other text.
pub(super) fn recognise(file: &TextFile) -> Result<Option<Json>, SourceError> {
    let head = file.head(HEAD)?;
    let text = head.trim_ascii_start();
    let ending = locate::ending(&file.input.shown);
    let named = matches!(ending.as_deref(), Some("json" | "jsonl" | "ndjson"));
    let lines = match text {
        [] => return Ok(None),
        [b'[', rest @ ..] => {
            let inner = rest.trim_ascii_start().first();
            if !named && !matches!(inner, Some(b'{' | b']')) {
                return Ok(None);
            }
            matches!(ending.as_deref(), Some("jsonl" | "ndjson")) && inner != Some(&b'{')
        }
        [b'{', rest @ ..] => {
            if !named && !matches!(rest.trim_ascii_start().first(), Some(b'"' | b'}')) {
                return Ok(None);
            }
            let line = text.split(|byte| *byte == b'\n').next().unwrap_or_default();
            // An object that goes on in the next line is one of the whole file.
            if !line.trim_ascii_end().ends_with(b"}") && line.len() < text.len() {
                return Err(SourceError::JsonObject { path: file.input.shown.clone() });
            }
            true
        }
        _ if named => ending.as_deref() != Some("json"),
        _ => return Ok(None),
    };
    Ok(Some(Json { file: file.clone(), lines }))
}

impl Source for Json {
    fn words(&self) -> String {
        format!("{}, {}", if self.lines { "JSON Lines" } else { "JSON array" }, self.file.encoding())
    }

    fn names(&self) -> Option<&[String]> {
        None
    }

    fn expected_rows(&self) -> usize {
        if self.lines { self.file.lines + 1 } else { 0 }
    }

    fn note(&self) -> Option<String> {
        self.file.note()
    }

    fn read(&self, columns: &mut Columns<'_>) -> Result<(), SourceError> {
        columns.decimal_commas(false);
        let before = columns.rows();
        let mut rows = Rows { columns, start: before, wrong: None };
        let text = BufReader::with_capacity(super::input::CHUNK, self.file.open()?);
        if self.lines {
            self.read_lines(text, &mut rows)?;
        } else {
            self.read_array(text, &mut rows)?;
        }
        if columns.rows() == before {
            return Err(SourceError::Empty { path: self.file.input.shown.clone() });
        }
        Ok(())
    }
}

impl Json {
    fn read_lines(&self, mut text: impl BufRead, rows: &mut Rows<'_, '_>) -> Result<(), SourceError> {
        let mut line = Vec::new();
        for number in 1.. {
            line.clear();
            let size = text.read_until(b'\n', &mut line).map_err(|source| self.file.input.failed(source))?;
            if size == 0 {
                break;
            }
            if line.trim_ascii().is_empty() {
                continue;
            }
            let mut json = serde_json::Deserializer::from_slice(&line);
            let row = Row { rows };
            row.deserialize(&mut json)
                .and_then(|()| json.end())
                .map_err(|error| self.error(&error, number, rows))?;
        }
        Ok(())
    }

    fn read_array(&self, text: impl Read, rows: &mut Rows<'_, '_>) -> Result<(), SourceError> {
        let mut json = serde_json::Deserializer::from_reader(text);
        (&mut json)
            .deserialize_any(Array { rows })
            .and_then(|()| json.end())
            .map_err(|error| self.error(&error, error.line(), rows))
    }

    /// What is wrong: a fact about the rows that was found on the way, else about the text.
    fn error(&self, error: &serde_json::Error, line: usize, rows: &mut Rows<'_, '_>) -> SourceError {
        let path = self.file.input.shown.clone();
        let row = rows.columns.rows() - rows.start + 1;
        match rows.wrong.take() {
            Some(Wrong::Row(found)) => SourceError::JsonRow { path, line, found },
            Some(Wrong::Nested { key, found }) => SourceError::Nested { path, row, key, found },
            Some(Wrong::Duplicate(key)) => SourceError::JsonDuplicate { path, row, key },
            None if error.is_io() => self.file.input.failed(std::io::Error::other(error.to_string())),
            None => {
                let mut reason = error.to_string();
                reason.truncate(reason.find(" at line ").unwrap_or(reason.len()));
                SourceError::Json { path, line, column: error.column(), reason }
            }
        }
    }
}

/// The rows read so far, and what is wrong with the current one.
struct Rows<'a, 'c> {
    columns: &'a mut Columns<'c>,
    /// Rows of earlier files.
    start: usize,
    wrong: Option<Wrong>,
}

enum Wrong {
    Row(&'static str),
    Nested { key: String, found: &'static str },
    Duplicate(String),
}

/// The array that holds the rows.
struct Array<'r, 'a, 'c> {
    rows: &'r mut Rows<'a, 'c>,
}

impl<'de> Visitor<'de> for Array<'_, '_, '_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an array of objects")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut array: A) -> Result<(), A::Error> {
        while array.next_element_seed(Row { rows: self.rows })?.is_some() {}
        Ok(())
    }
}

/// One row.
struct Row<'r, 'a, 'c> {
    rows: &'r mut Rows<'a, 'c>,
}

impl Row<'_, '_, '_> {
    fn wrong<T, E: serde::de::Error>(self, found: &'static str) -> Result<T, E> {
        self.rows.wrong = Some(Wrong::Row(found));
        Err(E::custom(found))
    }
}

impl<'de> DeserializeSeed<'de> for Row<'_, '_, '_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, json: D) -> Result<(), D::Error> {
        json.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Row<'_, '_, '_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut object: A) -> Result<(), A::Error> {
        let mut expected = 0;
        while let Some(position) = object.next_key_seed(Key { columns: self.rows.columns, expected })? {
            if self.rows.columns.has_cell(position) {
                let key = self.rows.columns.name(position).to_owned();
                self.rows.wrong = Some(Wrong::Duplicate(key));
                return Err(A::Error::custom("a key stands twice"));
            }
            let wrong = object.next_value_seed(Cell { column: self.rows.columns.column(position) });
            if let Some((place, found)) = wrong? {
                let key = format!("{}{place}", self.rows.columns.name(position));
                self.rows.wrong = Some(Wrong::Nested { key, found });
                return Err(A::Error::custom(found));
            }
            expected = position + 1;
        }
        self.rows.columns.end_rows(1);
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, _: A) -> Result<(), A::Error> {
        self.wrong("an array")
    }

    fn visit_unit<E: serde::de::Error>(self) -> Result<(), E> {
        self.wrong("null")
    }

    fn visit_bool<E: serde::de::Error>(self, _: bool) -> Result<(), E> {
        self.wrong("true or false")
    }

    fn visit_i64<E: serde::de::Error>(self, _: i64) -> Result<(), E> {
        self.wrong("a number")
    }

    fn visit_u64<E: serde::de::Error>(self, _: u64) -> Result<(), E> {
        self.wrong("a number")
    }

    fn visit_f64<E: serde::de::Error>(self, _: f64) -> Result<(), E> {
        self.wrong("a number")
    }

    fn visit_str<E: serde::de::Error>(self, _: &str) -> Result<(), E> {
        self.wrong("a text")
    }
}

/// A key, found among the columns; `expected` is where it stands if the rows repeat their keys in order.
struct Key<'r, 'c> {
    columns: &'r mut Columns<'c>,
    expected: usize,
}

impl<'de> DeserializeSeed<'de> for Key<'_, '_> {
    type Value = usize;

    fn deserialize<D: Deserializer<'de>>(self, json: D) -> Result<usize, D::Error> {
        json.deserialize_str(self)
    }
}

impl Visitor<'_> for Key<'_, '_> {
    type Value = usize;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a key")
    }

    fn visit_str<E: serde::de::Error>(self, key: &str) -> Result<usize, E> {
        Ok(self.columns.position_near(key, self.expected))
    }
}

/// A value, which becomes a cell, or the place within it and the kind of what cannot be in a cell.
struct Cell<'r> {
    column: &'r mut Column,
}

type Misfit = Option<(String, &'static str)>;

impl<'de> DeserializeSeed<'de> for Cell<'_> {
    type Value = Misfit;

    fn deserialize<D: Deserializer<'de>>(self, json: D) -> Result<Misfit, D::Error> {
        json.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Cell<'_> {
    type Value = Misfit;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value")
    }

    fn visit_unit<E>(self) -> Result<Misfit, E> {
        self.column.push_missing();
        Ok(None)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Misfit, E> {
        self.column.push(if value { b"true" } else { b"false" });
        Ok(None)
    }

    fn visit_i64<E>(self, value: i64) -> Result<Misfit, E> {
        if value.unsigned_abs() <= EXACT {
            self.column.push_number(value as f64);
        } else {
            self.column.push(value.to_string().as_bytes());
        }
        Ok(None)
    }

    fn visit_u64<E>(self, value: u64) -> Result<Misfit, E> {
        if value <= EXACT {
            self.column.push_number(value as f64);
        } else {
            self.column.push(value.to_string().as_bytes());
        }
        Ok(None)
    }

    fn visit_f64<E>(self, value: f64) -> Result<Misfit, E> {
        self.column.push_number(value);
        Ok(None)
    }

    fn visit_str<E>(self, value: &str) -> Result<Misfit, E> {
        self.column.push(value.as_bytes());
        Ok(None)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Misfit, A::Error> {
        let (mut text, mut misfit, mut elements) = (String::new(), None, 0);
        let mut all = Vec::new();
        while let Some(element) = list.next_element::<serde_json::Value>()? {
            all.push(element);
        }
        if all.iter().any(|element| element.is_array() || element.is_object())
            && let Some(spans) = spans::read(&serde_json::Value::Array(all.clone()))
        {
            self.column.push_text(&spans::to_cell(&spans));
            return Ok(None);
        }
        for (index, element) in all.into_iter().enumerate() {
            let element = match element {
                serde_json::Value::Null => continue,
                serde_json::Value::String(text) => text,
                serde_json::Value::Number(number) if number.is_f64() => {
                    number_text(number.as_f64().unwrap_or_default())
                }
                serde_json::Value::Array(_) => {
                    misfit.get_or_insert((format!("[{index}]"), "a list within a list"));
                    continue;
                }
                serde_json::Value::Object(_) => {
                    misfit.get_or_insert((format!("[{index}]"), "an object"));
                    continue;
                }
                scalar => scalar.to_string(),
            };
            if elements > 0 {
                text.push(LIST_SEPARATOR);
            }
            text.push_str(&element);
            elements += 1;
        }
        if misfit.is_none() {
            self.column.push_text(&text);
        }
        Ok(misfit)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut object: A) -> Result<Misfit, A::Error> {
        let mut all = serde_json::Map::new();
        while let Some((key, value)) = object.next_entry::<String, serde_json::Value>()? {
            all.insert(key, value);
        }
        match spans::read(&serde_json::Value::Object(all)) {
            Some(spans) => {
                self.column.push_text(&spans::to_cell(&spans));
                Ok(None)
            }
            None => Ok(Some((String::new(), "an object"))),
        }
    }
}
