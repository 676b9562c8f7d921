//! Values of an experiment file, each with its place in the text.

use crate::problem::{Place, Problem};
use indexmap::IndexMap;
use std::fmt::Write as _;
use std::sync::Arc;
use toml::de::{DeTable, DeValue};

/// A value and where it stands; values from the command line or from defaults have no place.
#[derive(Clone, Debug)]
pub struct Node {
    pub value: Value,
    pub place: Option<Place>,
}

/// The kinds of values that TOML knows; dates and times are kept as text.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    Boolean(bool),
    Integer(i64),
    Float(f64),
    String(String),
    Array(Vec<Node>),
    Table(Table),
}

/// Keys and values in the order of the file.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Table(pub IndexMap<String, Entry>);

/// A key's value and the key's own place.
#[derive(Clone, Debug)]
pub struct Entry {
    pub key: Option<Place>,
    pub node: Node,
}

/// Two values are equal if what they say is equal, wherever they stand.
impl PartialEq for Node {
    fn eq(&self, other: &Self) -> bool {
        self.value == other.value
    }
}

impl PartialEq for Entry {
    fn eq(&self, other: &Self) -> bool {
        self.node == other.node
    }
}

impl<T: Into<Value>> From<T> for Node {
    fn from(value: T) -> Self {
        Self { value: value.into(), place: None }
    }
}

impl From<bool> for Value {
    fn from(value: bool) -> Self {
        Self::Boolean(value)
    }
}

impl From<i64> for Value {
    fn from(value: i64) -> Self {
        Self::Integer(value)
    }
}

impl From<f64> for Value {
    fn from(value: f64) -> Self {
        Self::Float(value)
    }
}

impl From<&str> for Value {
    fn from(value: &str) -> Self {
        Self::String(value.to_owned())
    }
}

impl From<Table> for Value {
    fn from(value: Table) -> Self {
        Self::Table(value)
    }
}

impl Value {
    /// What kind of value this is, for messages.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Boolean(_) => "a boolean",
            Self::Integer(_) => "an integer",
            Self::Float(_) => "a number",
            Self::String(_) => "a string",
            Self::Array(_) => "a list",
            Self::Table(_) => "a table",
        }
    }

    fn to_json(&self) -> serde_json::Value {
        match self {
            Self::Boolean(value) => (*value).into(),
            Self::Integer(value) => (*value).into(),
            Self::Float(value) => (*value).into(),
            Self::String(value) => value.as_str().into(),
            Self::Array(items) => items.iter().map(|item| item.value.to_json()).collect(),
            Self::Table(table) => table.to_json(),
        }
    }

    fn from_json(json: &serde_json::Value) -> Option<Self> {
        Some(match json {
            serde_json::Value::Null => return None,
            serde_json::Value::Bool(value) => Self::Boolean(*value),
            serde_json::Value::Number(value) => match value.as_i64() {
                Some(value) => Self::Integer(value),
                None => Self::Float(value.as_f64().unwrap_or(f64::NAN)),
            },
            serde_json::Value::String(value) => Self::String(value.clone()),
            serde_json::Value::Array(items) => {
                Self::Array(items.iter().filter_map(Self::from_json).map(Node::from).collect())
            }
            serde_json::Value::Object(entries) => Self::Table(Table::from_json(entries)),
        })
    }

    /// The text of a string value.
    pub fn as_str(&self) -> Option<&str> {
        if let Self::String(text) = self { Some(text) } else { None }
    }
}

impl Table {
    /// Reads TOML text; `file` is the name to show in messages.
    ///
    /// # Errors
    /// The first place where the text is not TOML.
    pub fn parse(file: &str, text: &str) -> Result<Self, Problem> {
        let file: Arc<str> = file.into();
        let table = DeTable::parse(text).map_err(|error| {
            let place = error.span().map(|span| Place::of(&file, text, span));
            Problem::new(error.message().trim_end().to_owned()).at(place.as_ref())
        })?;
        Ok(convert_table(&file, text, table.get_ref()))
    }

    /// The value of a key.
    pub fn get(&self, key: &str) -> Option<&Node> {
        self.0.get(key).map(|entry| &entry.node)
    }

    /// The value at a path of keys, `data.split.column`.
    pub fn find(&self, path: &str) -> Option<&Node> {
        match path.split_once('.') {
            None => self.get(path),
            Some((key, rest)) => match &self.get(key)?.value {
                Value::Table(table) => table.find(rest),
                _ => None,
            },
        }
    }

    /// Puts a value that stands nowhere in a file.
    pub fn put(&mut self, key: &str, value: impl Into<Node>) {
        self.0.insert(key.to_owned(), Entry { key: None, node: value.into() });
    }

    /// Applies one `key.path=value` of the command line; a value that is not TOML is taken as a string.
    ///
    /// # Errors
    /// If there is no `=` or the key is not a TOML key.
    pub fn set(&mut self, assignment: &str) -> Result<(), Problem> {
        let malformed = || {
            Problem::new(format!("`{assignment}` is not a setting"))
                .hint("write `key=value`, for example `train.epochs=5`")
        };
        let (key, value) = assignment.split_once('=').ok_or_else(malformed)?;
        // The `=` of a quoted key parts nothing.
        let parsed = Self::parse("command line", &format!("{assignment}\n")).or_else(|_| {
            let quoted = toml::Value::String(value.trim().to_owned()).to_string();
            Self::parse("command line", &format!("{key} = {quoted}\n")).map_err(|_| malformed())
        })?;
        self.merge(parsed.without_places(), &[]);
        Ok(())
    }

    fn merge(&mut self, other: Self, parents: &[&str]) {
        for (key, entry) in other.0 {
            if let Value::Table(inner) = &entry.node.value
                && let Some(mine) = self.0.get_mut(&key)
            {
                // `optimizer = "sgd"` is short for `optimizer = { kind = "sgd" }`, and a column's word for its type, so a
                // key below it joins the long form.
                if let Value::String(kind) = &mine.node.value {
                    let mut long = Self::default();
                    let column = matches!(parents, ["inputs" | "outputs"]);
                    long.put(if column { "type" } else { "kind" }, kind.as_str());
                    mine.node.value = Value::Table(long);
                }
                if let Value::Table(table) = &mut mine.node.value {
                    table.merge(inner.clone(), &[parents, &[key.as_str()]].concat());
                    continue;
                }
            }
            self.0.insert(key, entry);
        }
    }

    fn without_places(mut self) -> Self {
        for entry in self.0.values_mut() {
            entry.key = None;
            entry.node.place = None;
            if let Value::Table(table) = &mut entry.node.value {
                *table = std::mem::take(table).without_places();
            }
        }
        self
    }

    /// The table as JSON.
    pub fn to_json(&self) -> serde_json::Value {
        let entries = self.0.iter().map(|(key, entry)| (key.clone(), entry.node.value.to_json()));
        serde_json::Value::Object(entries.collect())
    }

    /// Reads a table from JSON; `null` entries are left out.
    pub fn from_json(json: &serde_json::Map<String, serde_json::Value>) -> Self {
        let mut table = Self::default();
        for (key, value) in json {
            if let Some(value) = Value::from_json(value) {
                table.put(key, value);
            }
        }
        table
    }

    /// Writes the table as an experiment file: top-level tables as `[headers]`, all else inline.
    pub fn to_toml(&self) -> String {
        let mut text = String::new();
        for (key, entry) in &self.0 {
            if !matches!(entry.node.value, Value::Table(_)) {
                let _ = writeln!(text, "{} = {}", write_key(key), entry.node.value);
            }
        }
        for (key, entry) in &self.0 {
            if let Value::Table(table) = &entry.node.value {
                let _ = writeln!(text, "\n[{}]", write_key(key));
                for (key, entry) in &table.0 {
                    let _ = writeln!(text, "{} = {}", write_key(key), entry.node.value);
                }
            }
        }
        text
    }
}

/// A key as TOML writes it: quoted where it must be.
pub fn write_key(key: &str) -> String {
    let bare = !key.is_empty() && key.chars().all(|c| c.is_ascii_alphanumeric() || c == '_' || c == '-');
    if bare { key.to_owned() } else { quoted(key) }
}

/// A TOML string on one line: a key must not be one of several lines, which the `toml` crate may write.
fn quoted(text: &str) -> String {
    let mut quoted = String::from("\"");
    for letter in text.chars() {
        match letter {
            '"' => quoted.push_str("\\\""),
            '\\' => quoted.push_str("\\\\"),
            '\u{8}' => quoted.push_str("\\b"),
            '\t' => quoted.push_str("\\t"),
            '\n' => quoted.push_str("\\n"),
            '\u{c}' => quoted.push_str("\\f"),
            '\r' => quoted.push_str("\\r"),
            '\0'..='\u{1f}' | '\u{7f}' => {
                let _ = write!(quoted, "\\u{:04X}", u32::from(letter));
            }
            letter => quoted.push(letter),
        }
    }
    quoted + "\""
}

/// Writes the value as TOML on one line.
impl std::fmt::Display for Value {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Boolean(value) => write!(f, "{value}"),
            Self::Integer(value) => write!(f, "{value}"),
            Self::Float(value) => write!(f, "{}", toml::Value::Float(*value)),
            Self::String(value) => write!(f, "{}", toml::Value::String(value.clone())),
            Self::Array(items) => {
                let items: Vec<String> = items.iter().map(|item| item.value.to_string()).collect();
                write!(f, "[{}]", items.join(", "))
            }
            Self::Table(table) if table.0.is_empty() => write!(f, "{{}}"),
            Self::Table(table) => {
                let items: Vec<String> = table
                    .0
                    .iter()
                    .map(|(key, entry)| format!("{} = {}", write_key(key), entry.node.value))
                    .collect();
                write!(f, "{{ {} }}", items.join(", "))
            }
        }
    }
}

fn convert_table(file: &Arc<str>, text: &str, table: &DeTable<'_>) -> Table {
    Table(
        table
            .iter()
            .map(|(key, value)| {
                let node = Node {
                    value: convert(file, text, value.get_ref()),
                    place: Some(Place::of(file, text, value.span())),
                };
                (key.get_ref().to_string(), Entry { key: Some(Place::of(file, text, key.span())), node })
            })
            .collect(),
    )
}

fn convert(file: &Arc<str>, text: &str, value: &DeValue<'_>) -> Value {
    match value {
        DeValue::Boolean(value) => Value::Boolean(*value),
        DeValue::Integer(value) => {
            let parsed = i64::from_str_radix(value.as_str(), value.radix());
            parsed.map_or_else(|_| Value::Float(value.as_str().parse().unwrap_or(f64::NAN)), Value::Integer)
        }
        DeValue::Float(value) => Value::Float(value.as_str().parse().unwrap_or(f64::NAN)),
        DeValue::String(value) => Value::String(value.to_string()),
        DeValue::Datetime(value) => Value::String(value.to_string()),
        DeValue::Array(items) => Value::Array(
            items
                .iter()
                .map(|item| Node {
                    value: convert(file, text, item.get_ref()),
                    place: Some(Place::of(file, text, item.span())),
                })
                .collect(),
        ),
        DeValue::Table(table) => Value::Table(convert_table(file, text, table)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn overrides_reach_into_short_forms() {
        let mut table = Table::parse("x.toml", "[train]\noptimizer = \"sgd\"\n").unwrap();
        table.set("train.optimizer.learning_rate=0.5").unwrap();
        table.set("train.epochs=5").unwrap();
        table.set("name=a word").unwrap();
        table.set("inputs.review=text").unwrap();
        table.set("inputs.review.encoder=cnn").unwrap();
        table.set("inputs.review.encoder.dropout=0.1").unwrap();
        assert_eq!(
            table.to_toml(),
            "name = \"a word\"\n\n[train]\noptimizer = { kind = \"sgd\", learning_rate = 0.5 }\nepochs = 5\n\n\
             [inputs]\nreview = { type = \"text\", encoder = { kind = \"cnn\", dropout = 0.1 } }\n"
        );
    }

    #[test]
    fn what_is_written_is_read_alike() {
        let text = "name = \"a \\\"b\\\"\"\n\n[inputs]\n\"odd key\" = { type = \"number\", missing = [\"0\"] }\nx = 1e-5\n";
        let table = Table::parse("x.toml", text).unwrap();
        assert_eq!(Table::parse("x.toml", &table.to_toml()).unwrap(), table);
    }

    #[test]
    fn any_name_is_a_key() {
        for (name, expected) in [
            ("age_2", "age_2"),
            ("", r#""""#),
            ("odd key", r#""odd key""#),
            ("it's", r#""it's""#),
            ("Größe", r#""Größe""#),
            ("a=b # c", r#""a=b # c""#),
            ("two\nlines", r#""two\nlines""#),
            ("two\r\nlines\n", r#""two\r\nlines\n""#),
            ("Height (5'10\")", r#""Height (5'10\")""#),
            ("\"\"\" and '''", r#""\"\"\" and '''""#),
            ("C:\\new", r#""C:\\new""#),
            ("\u{8}\t\u{c}\0\u{1b}\u{7f}", r#""\b\t\f\u0000\u001B\u007F""#),
        ] {
            assert_eq!(write_key(name), expected);
            // In a header, in a line of a table and in an inline table.
            let (mut table, mut line, mut inline) = (Table::default(), Table::default(), Table::default());
            inline.put(name, 1_i64);
            line.put(name, inline);
            table.put(name, line);
            assert_eq!(Table::parse("x.toml", &table.to_toml()).unwrap(), table);
            let mut set = Table::default();
            set.set(&format!("{expected}.{expected}.{expected}=1")).unwrap();
            assert_eq!(set, table);
        }
    }

    #[test]
    fn json_and_back() {
        let table = Table::parse("x.toml", "a = [1, 2.5, \"x\"]\nb = { c = true }\n").unwrap();
        let json = table.to_json();
        assert_eq!(json.to_string(), r#"{"a":[1,2.5,"x"],"b":{"c":true}}"#);
        assert_eq!(Table::from_json(json.as_object().unwrap()), table);
    }

    #[test]
    fn text_that_is_not_toml_names_its_place() {
        let problem = Table::parse("outset.toml", "a = 1\nb = = 2\n").unwrap_err();
        assert_eq!(problem.place.unwrap().line, 2);
    }
}
