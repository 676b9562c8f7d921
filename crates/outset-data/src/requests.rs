//! Rows of a request: from JSON objects to a table, with everything that is wrong named at once.

use crate::error::known_columns;
use crate::pictures::{self, Images};
use crate::preprocess::Preprocessor;
use crate::table::{Cells, Table, TextBuilder, number_text};
use crate::types::Entry;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use std::fmt;

/// One thing that is wrong with a row of a request.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RowProblem {
    /// Place of the row in the request, the first being 0.
    pub row: usize,
    /// The faulty key; empty if the row as a whole is at fault.
    pub key: String,
    /// What is wrong, with the key in it.
    pub message: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hint: Option<String>,
}

/// Faults of a request that are told at most.
const MOST_PROBLEMS: usize = 1000;
/// Bytes of an unknown key for which a like name is looked for.
const LONGEST_NAME: usize = 200;

impl fmt::Display for RowProblem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "row {}: {}", self.row, self.message)?;
        match &self.hint {
            Some(hint) => write!(f, " (hint: {hint})"),
            None => Ok(()),
        }
    }
}

impl Preprocessor {
    /// Reads rows as JSON objects into a table of the input columns.
    ///
    /// Outputs and ignored columns may be there and are passed over; `null` and the empty text are missing values.
    ///
    /// # Errors
    /// Every faulty key of every row: missing, unknown, or of a wrong type.
    pub fn read_rows(&self, rows: &[Value]) -> Result<Table, Vec<RowProblem>> {
        let mut problems = Vec::new();
        let mut columns: Vec<Vec<Entry>> = vec![Vec::with_capacity(rows.len()); self.inputs.len()];
        for (row, value) in rows.iter().enumerate() {
            // Whoever sends that many faults needs no longer list, and others wait while it is made.
            if problems.len() >= MOST_PROBLEMS {
                break;
            }
            let Value::Object(object) = value else {
                let message = format!("the row is {}, but must be an object", kind(value));
                problems.push(RowProblem { row, key: String::new(), message, hint: None });
                continue;
            };
            let mut problem = |key: &str, message: String, hint: Option<String>| {
                problems.push(RowProblem { row, key: key.to_owned(), message, hint });
            };
            for ((name, fitted), entries) in self.inputs.iter().zip(&mut columns) {
                let entry = match object.get(name) {
                    None => Err(format!("`{name}` is missing")),
                    Some(Value::Null) => Ok(Entry::Missing),
                    Some(Value::String(text)) if text.trim().is_empty() => Ok(Entry::Missing),
                    Some(value) => fitted
                        .read(value)
                        .map_err(|expected| format!("`{name}` is {}, but must be {expected}", show(value))),
                };
                match entry {
                    Ok(entry) => entries.push(entry),
                    Err(message) => problem(name, message, None),
                }
            }
            let mut unknown = 0;
            for key in object.keys() {
                let known = self.inputs.contains_key(key)
                    || self.outputs.contains_key(key)
                    || self.ignored.contains(key);
                if !known && unknown < MOST_PROBLEMS {
                    unknown += 1;
                    let absent = self.inputs.keys().filter(|name| !object.contains_key(*name)).cloned();
                    let absent: Vec<String> = absent.collect();
                    let all = || self.inputs.keys().cloned().collect::<Vec<_>>();
                    let known = if absent.is_empty() { all() } else { absent };
                    let hint = (key.len() <= LONGEST_NAME).then(|| known_columns(key, &known));
                    problem(key, format!("`{key}` is unknown"), hint);
                }
            }
        }
        if !problems.is_empty() {
            return Err(problems);
        }
        let columns = self.inputs.iter().zip(columns).map(|((name, fitted), entries)| {
            (name.clone(), if fitted.kind() == "image" { picture_cells(entries) } else { cells(entries) })
        });
        Ok(Table::new(columns.collect(), rows.len()))
    }
}

impl Preprocessor {
    /// The input cells of a row as a request would hold them.
    pub fn row_values(&self, table: &Table, row: usize) -> Map<String, Value> {
        let value = |name: &String| match table.get(name)? {
            cells if cells.is_missing(row) => None,
            Cells::Number(values) => Some(match values[row] {
                whole if whole.fract() == 0.0 && whole.abs() < 1e15 => Value::from(whole as i64),
                number => Value::from(number),
            }),
            Cells::Text(text) => text.get(row).map(Value::from),
            Cells::Image(images) => {
                let file = images.0[row].as_ref().and_then(|picture| picture.file().ok());
                file.map(|bytes| Value::from(pictures::base64(&bytes)))
            }
        };
        self.inputs.keys().map(|name| (name.clone(), value(name).unwrap_or(Value::Null))).collect()
    }
}

/// A column of pictures, even if all of them are missing.
fn picture_cells(entries: Vec<Entry>) -> Cells {
    let picture = |entry| if let Entry::Picture(picture) = entry { Some(picture) } else { None };
    Cells::Image(Images(entries.into_iter().map(picture).collect()))
}

/// A column of numbers, or of text if any entry is.
fn cells(entries: Vec<Entry>) -> Cells {
    if entries.iter().any(|entry| matches!(entry, Entry::Text(_))) {
        let mut builder = TextBuilder::default();
        for entry in entries {
            match entry {
                Entry::Missing => builder.push(None),
                Entry::Number(number) => builder.push(Some(&number_text(number))),
                Entry::Text(text) => builder.push(Some(&text)),
                Entry::Picture(_) => builder.push(None),
            }
        }
        return Cells::Text(builder.finish());
    }
    let number = |entry| if let Entry::Number(number) = entry { number } else { f64::NAN };
    Cells::Number(entries.into_iter().map(number).collect())
}

/// Writes a short value itself and a long one by its kind.
fn show(value: &Value) -> String {
    match value {
        Value::String(text) if text.chars().count() <= 40 => format!("`{value}`"),
        Value::Number(_) | Value::Bool(_) => format!("`{value}`"),
        value => kind(value).to_owned(),
    }
}

fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "a boolean",
        Value::Number(_) => "a number",
        Value::String(_) => "a text",
        Value::Array(_) => "a list",
        Value::Object(_) => "an object",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::features::Features;
    use crate::types::ColumnSettings;
    use indexmap::IndexMap;
    use serde_json::json;

    fn preprocessor() -> Preprocessor {
        let text = |cells: [&str; 3]| Cells::Text(cells.into_iter().map(Some).collect());
        let columns = [
            ("age", Cells::Number(vec![20.0, 30.0, 40.0])),
            ("color", text(["red", "blue", "red"])),
            ("rooms", Cells::Number(vec![3.0, 3.0, 2.0])),
            ("sold", text(["yes", "no", "yes"])),
        ];
        let table =
            Table::new(columns.map(|(name, cells)| (name.to_owned(), cells)).into_iter().collect(), 3);
        let settings = |columns: &[(&str, &str)]| -> IndexMap<String, ColumnSettings> {
            columns
                .iter()
                .map(|(name, kind)| ((*name).to_owned(), ColumnSettings::of(kind).unwrap()))
                .collect()
        };
        let inputs = settings(&[("age", "number"), ("color", "category"), ("rooms", "category")]);
        Preprocessor::fit(&table, &[0, 1, 2], &inputs, &settings(&[("sold", "category")]), vec!["id".into()])
            .unwrap()
    }

    fn check(row: Value, age: f32, color: u32, rooms: u32) {
        let fitted = preprocessor();
        let table = fitted
            .read_rows(std::slice::from_ref(&row))
            .unwrap_or_else(|problems| panic!("{row}: {problems:?}"));
        let features = fitted.encode_inputs(&table, &[0]).unwrap();
        let Features::Numeric { values, .. } = &features[0] else { panic!("age is numeric") };
        assert_eq!(
            (values[0], &features[1], &features[2]),
            (age, &Features::Index(vec![color]), &Features::Index(vec![rooms])),
            "{row}"
        );
    }

    #[test]
    fn values_in_any_reasonable_spelling() {
        check(json!({"age": 30, "color": "red", "rooms": 3}), 0.0, 1, 1);
        check(json!({"age": "30", "color": "blue", "rooms": 3.0}), 0.0, 2, 1);
        check(json!({"age": null, "color": "", "rooms": "3"}), 0.0, 0, 1);
        check(json!({"age": "", "color": null, "rooms": "2.0", "sold": "yes", "id": 7}), 0.0, 0, 2);
        check(json!({"age": 30.0, "color": "green", "rooms": 9}), 0.0, 0, 0);
    }

    #[test]
    fn rows_of_a_table_can_be_sent() {
        let fitted = preprocessor();
        let columns = [
            ("age", Cells::Number(vec![20.5, f64::NAN])),
            ("color", Cells::Text([None, Some("red")].into_iter().collect())),
            ("rooms", Cells::Number(vec![3.0, 2.0])),
        ];
        let table =
            Table::new(columns.map(|(name, cells)| (name.to_owned(), cells)).into_iter().collect(), 2);
        let sent: Vec<Value> = (0..2).map(|row| fitted.row_values(&table, row).into()).collect();
        assert_eq!(sent[0], json!({"age": 20.5, "color": null, "rooms": 3}));
        let read = fitted.read_rows(&sent).unwrap();
        let rows = [0, 1];
        assert_eq!(fitted.encode_inputs(&read, &rows).unwrap(), fitted.encode_inputs(&table, &rows).unwrap());
    }

    #[test]
    fn everything_that_is_wrong_is_named_at_once() {
        let rows = [
            json!({"age": "old", "colour": "red", "rooms": [3]}),
            json!({"age": 1, "color": "red", "rooms": 3}),
            json!("red"),
            json!({"age": true, "color": {}, "rooms": 3, "zzz": 1}),
        ];
        let problems = preprocessor().read_rows(&rows).unwrap_err();
        let words: Vec<String> = problems.iter().map(ToString::to_string).collect();
        assert_eq!(
            words,
            [
                "row 0: `age` is `\"old\"`, but must be a finite number",
                "row 0: `color` is missing",
                "row 0: `rooms` is a list, but must be text or a number",
                "row 0: `colour` is unknown (hint: did you mean `color`?)",
                "row 2: the row is a text, but must be an object",
                "row 3: `age` is `true`, but must be a finite number",
                "row 3: `color` is an object, but must be text or a number",
                "row 3: `zzz` is unknown (hint: known here: `age`, `color`, `rooms`)",
            ]
        );
        assert_eq!((problems[3].row, problems[3].key.as_str()), (0, "colour"));
    }
}
