//! Labeled spans of a text, as annotation tools write them, in one form for the cell of a table.
//!
//! Known are `[{"start": 0, "end": 5, "type": "name"}]`, with some other words for each key, `[[0, 5, "name"]]`, and
//! `{"name": {"Alice": [[0, 4]]}}` with the place of the last character. Places count characters from 0; everywhere but
//! in the last form `end` is the first character behind the span.

use serde::{Deserialize, Serialize};
use serde_json::Value;

/// A part of a text with a label.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Span {
    /// First character, counted from 0.
    pub start: usize,
    /// First character behind it.
    pub end: usize,
    #[serde(rename = "type")]
    pub kind: String,
    /// What the text holds there, where the source says so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub text: Option<String>,
}

const STARTS: [&str; 4] = ["start", "start_position", "start_offset", "begin"];
const ENDS: [&str; 3] = ["end", "end_position", "end_offset"];
const KINDS: [&str; 6] = ["type", "label", "entity_type", "entity_group", "tag", "entity"];
const TEXTS: [&str; 4] = ["text", "value", "entity_value", "word"];

/// Reads spans in one of the known forms; `None` for any other value.
pub fn read(value: &Value) -> Option<Vec<Span>> {
    match value {
        Value::Array(items) => items.iter().map(one).collect(),
        Value::Object(kinds) => {
            let mut spans = Vec::new();
            for (kind, texts) in kinds {
                for (text, places) in texts.as_object()? {
                    for place in places.as_array()? {
                        let [start, last] = place.as_array()?.as_slice() else { return None };
                        let (start, end) = (whole(start)?, whole(last)?.checked_add(1)?);
                        spans.push(Span { start, end, kind: kind.clone(), text: Some(text.clone()) });
                    }
                }
            }
            spans.sort_by_key(|span| span.start);
            Some(spans)
        }
        _ => None,
    }
}

fn one(value: &Value) -> Option<Span> {
    match value {
        Value::Array(items) => {
            let [start, end, kind] = items.as_slice() else { return None };
            Some(Span { start: whole(start)?, end: whole(end)?, kind: kind.as_str()?.to_owned(), text: None })
        }
        Value::Object(object) => {
            let find = |keys: &[&str]| keys.iter().find_map(|key| object.get(*key));
            let kind = find(&KINDS)?.as_str()?.to_owned();
            let text = find(&TEXTS).and_then(Value::as_str).map(str::to_owned);
            Some(Span { start: whole(find(&STARTS)?)?, end: whole(find(&ENDS)?)?, kind, text })
        }
        _ => None,
    }
}

fn whole(value: &Value) -> Option<usize> {
    usize::try_from(value.as_u64()?).ok()
}

/// Writes spans as the cell of a table holds them; none are an empty cell.
pub fn to_cell(spans: &[Span]) -> String {
    if spans.is_empty() { String::new() } else { serde_json::to_string(spans).unwrap_or_default() }
}

/// Tells whether a cell holds spans.
pub fn is_cell(cell: &str) -> bool {
    let cell = cell.trim_start();
    cell.starts_with("[{") || cell.starts_with("[[") || cell.starts_with("{\"")
}

/// Reads spans from a cell.
pub fn from_cell(cell: &str) -> Option<Vec<Span>> {
    read(&serde_json::from_str(cell).ok()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(json: &str, expected: &[(usize, usize, &str, Option<&str>)]) {
        let spans = from_cell(json).unwrap_or_else(|| panic!("{json}"));
        let found: Vec<_> =
            spans.iter().map(|s| (s.start, s.end, s.kind.as_str(), s.text.as_deref())).collect();
        assert_eq!(found, expected, "{json}");
        if !spans.is_empty() {
            assert!(is_cell(json));
            assert_eq!(from_cell(&to_cell(&spans)), Some(spans));
        }
    }

    #[test]
    fn the_known_forms() {
        check(r#"[{"start": 1, "end": 3, "label": "x"}]"#, &[(1, 3, "x", None)]);
        check(
            r#"[{"entity_type": "A", "entity_value": "ab", "start_position": 0, "end_position": 2}]"#,
            &[(0, 2, "A", Some("ab"))],
        );
        check(r#"[[4, 6, "y"], [0, 1, "x"]]"#, &[(4, 6, "y", None), (0, 1, "x", None)]);
        check(
            r#"{"name": {"bc": [[1, 2], [5, 6]]}, "place": {"a": [[0, 0]]}}"#,
            &[(0, 1, "place", Some("a")), (1, 3, "name", Some("bc")), (5, 7, "name", Some("bc"))],
        );
        check("[]", &[]);
        check("{}", &[]);
        assert_eq!(to_cell(&[]), "");
    }

    #[test]
    fn other_values_are_no_spans() {
        for json in
            ["5", r#"[{"start": 1}]"#, "[[1, 2]]", r#"[{"start": -1, "end": 2, "type": "x"}]"#, r#"{"a": 1}"#]
        {
            assert_eq!(from_cell(json), None, "{json}");
        }
    }
}
