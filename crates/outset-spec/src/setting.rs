//! Settings: declared once, from which reading, checking, defaults, help and reference pages all follow.
//!
//! [`settings!`](crate::settings) declares a struct whose fields have a doc line, a type, a default and, where it makes
//! sense, bounds. A [`Reader`] reads such a struct from a table of the file and collects every problem instead of
//! stopping at the first.

use crate::problem::{Place, Problem, Problems, nearest, quote_list};
use crate::value::{Node, Table, Value};

/// A type that a key of the experiment file can have.
pub trait Setting: Sized {
    /// What the user is to write, for messages: "an integer", "a list of strings".
    const EXPECTED: &'static str;

    /// Reads the value, or says what is wrong with it beyond being of another kind (empty: nothing more to say).
    ///
    /// # Errors
    /// A text that ends a message, such as "must end in a unit".
    fn from_node(node: &Node) -> Result<Self, String>;

    /// The value to write into the file with every default filled in; `None` leaves the key out.
    fn to_value(&self) -> Option<Value>;

    /// The value as a number, where bounds can be checked.
    fn number(&self) -> Option<f64> {
        None
    }

    /// The fields of a nested struct of settings.
    fn fields() -> Vec<Field> {
        Vec::new()
    }

    /// Reads the value and reports its problems; nested structs report each of theirs.
    fn read(node: &Node, path: &str, problems: &mut Problems) -> Option<Self> {
        match Self::from_node(node) {
            Ok(value) => Some(value),
            Err(why) => {
                let message = if why.is_empty() {
                    format!("`{path}` is {}, but must be {}", show(&node.value), Self::EXPECTED)
                } else {
                    format!("`{path}` is {}, {why}", show(&node.value))
                };
                problems.push(Problem::new(message).at(node.place.as_ref()));
                None
            }
        }
    }
}

/// Writes a short value itself and a long one by its kind.
fn show(value: &Value) -> String {
    match value {
        Value::Array(_) | Value::Table(_) => value.kind().to_owned(),
        value => format!("`{value}`"),
    }
}

/// A documented key, for help and reference pages.
#[derive(Clone, Debug)]
pub struct Field {
    pub name: &'static str,
    /// The doc comment; its first line stands alone.
    pub doc: String,
    pub expected: &'static str,
    /// The default as it would be written, if the key has a fixed one.
    pub default: Option<String>,
    pub fields: Vec<Field>,
}

/// Bounds of a number.
#[derive(Clone, Copy, Debug)]
pub struct Bounds {
    low: f64,
    high: f64,
    open: bool,
}

impl Bounds {
    /// At least `low`.
    pub const fn at_least(low: f64) -> Self {
        Self { low, high: f64::INFINITY, open: false }
    }

    /// Greater than `low`.
    pub const fn above(low: f64) -> Self {
        Self { low, high: f64::INFINITY, open: true }
    }

    /// From `low` to `high`, both allowed.
    pub const fn between(low: f64, high: f64) -> Self {
        Self { low, high, open: false }
    }

    fn violated(self, number: f64) -> Option<String> {
        let low = if self.open { number > self.low } else { number >= self.low };
        if low && number <= self.high {
            None
        } else if self.high.is_finite() {
            Some(format!("but must be from {} to {}", self.low, self.high))
        } else if self.open {
            Some(format!("but must be greater than {}", self.low))
        } else {
            Some(format!("but must be at least {}", self.low))
        }
    }
}

/// Reads the keys of one table, remembers which were asked for, and reports the rest as unknown.
pub struct Reader<'a> {
    table: &'a Table,
    path: String,
    asked: Vec<&'static str>,
    /// Whether the table had a kind, which was taken out.
    is_section: bool,
    problems: &'a mut Problems,
}

impl<'a> Reader<'a> {
    /// Opens a table; `path` is its key in the file, empty for the top.
    pub fn new(table: &'a Table, path: &str, problems: &'a mut Problems) -> Self {
        Self { table, path: path.to_owned(), asked: Vec::new(), is_section: false, problems }
    }

    /// Says that the table is that of a section without its kind.
    #[must_use]
    pub fn of_section(self) -> Self {
        Self { is_section: true, ..self }
    }

    /// The full key of `key`, for messages.
    pub fn path(&self, key: &str) -> String {
        if self.path.is_empty() { key.to_owned() } else { format!("{}.{key}", self.path) }
    }

    /// The node of a key, counted as asked for.
    pub fn node(&mut self, key: &'static str) -> Option<&'a Node> {
        self.asked.push(key);
        self.table.get(key)
    }

    /// Reads one key, or gives the default; a wrong value is reported and replaced by the default.
    pub fn get<T: Setting>(&mut self, key: &'static str, default: T, bounds: Option<Bounds>) -> T {
        let Some(node) = self.node(key) else {
            return default;
        };
        let path = self.path(key);
        // A negative count is out of bounds before it is of another type.
        let written = match node.value {
            Value::Integer(number) => Some(number as f64),
            _ => None,
        };
        let why = |number: Option<f64>| bounds?.violated(number?);
        let outside = |why: String| {
            Problem::new(format!("`{path}` is `{}`, {why}", node.value)).at(node.place.as_ref())
        };
        if let Some(why) = why(written) {
            self.problems.push(outside(why));
            return default;
        }
        let Some(value) = T::read(node, &path, self.problems) else {
            return default;
        };
        if let Some(why) = why(value.number()) {
            self.problems.push(outside(why));
            return default;
        }
        value
    }

    /// The problems found so far, for readers of sections within.
    pub fn problems(&mut self) -> &mut Problems {
        self.problems
    }

    /// Reports a problem with a key.
    pub fn problem(&mut self, problem: Problem) {
        self.problems.push(problem);
    }

    /// Reports every key that nobody asked for.
    pub fn finish(self) {
        for (key, entry) in &self.table.0 {
            if !self.asked.contains(&key.as_str()) {
                let full = self.path(key);
                let problem = Problem::new(format!("unknown key `{full}`")).at(entry.key.as_ref());
                let other = match key.as_str() {
                    "type" if self.is_section => Some("kind"),
                    "kind" if self.is_section => Some("type"),
                    _ => None,
                };
                if let Some(other) = other {
                    self.problems.push(problem.hint(format!("what it is stands under `{other}` here")));
                    continue;
                }
                self.problems.push(match nearest(key, self.asked.iter().copied()) {
                    Some(near) => problem.hint(format!("did you mean `{near}`?")),
                    None if self.asked.is_empty() => problem,
                    None => problem.hint(format!("known here: {}", quote_list(&self.asked))),
                });
            }
        }
    }
}

/// Declares a struct of settings.
///
/// Each field is `name: Type = default` or `name: Type = default, in bounds;` and has a doc comment, whose first line is
/// the reference page's. The struct gets `Default`, [`Setting`], `read_from` (from a [`Reader`]) and `write_to`.
#[macro_export]
macro_rules! settings {
    (
        $(#[doc = $about:literal])*
        pub struct $name:ident {
            $( $(#[doc = $doc:literal])* $field:ident : $type:ty = $default:expr $(, in $bounds:expr)? ; )*
        }
    ) => {
        $(#[doc = $about])*
        #[derive(Clone, Debug, PartialEq)]
        pub struct $name { $( $(#[doc = $doc])* pub $field: $type, )* }

        impl Default for $name {
            fn default() -> Self { Self { $( $field: $default, )* } }
        }

        impl $name {
            /// Reads every field that the reader's table holds; the rest keep their defaults.
            pub fn read_from(reader: &mut $crate::Reader<'_>) -> Self {
                #[allow(unused_mut, unused_assignments)]
                Self { $( $field: {
                    let mut bounds: Option<$crate::Bounds> = None;
                    $( bounds = Some($bounds); )?
                    reader.get(stringify!($field), $default, bounds)
                }, )* }
            }

            /// Writes every field, defaults included.
            pub fn write_to(&self, table: &mut $crate::Table) {
                $( if let Some(value) = $crate::Setting::to_value(&self.$field) {
                    table.put(stringify!($field), value);
                } )*
                let _ = table;
            }
        }

        impl $crate::Setting for $name {
            const EXPECTED: &'static str = "a table";

            fn from_node(_: &$crate::Node) -> Result<Self, String> { Err(String::new()) }

            fn to_value(&self) -> Option<$crate::Value> {
                let mut table = $crate::Table::default();
                self.write_to(&mut table);
                Some($crate::Value::Table(table))
            }

            fn fields() -> Vec<$crate::Field> {
                vec![$( $crate::Field {
                    name: stringify!($field),
                    doc: [$($doc),*].join("\n").trim().to_owned(),
                    expected: <$type as $crate::Setting>::EXPECTED,
                    default: $crate::Setting::to_value(&{ let default: $type = $default; default })
                        .map(|value| value.to_string()),
                    fields: <$type as $crate::Setting>::fields(),
                }, )*]
            }

            fn read(node: &$crate::Node, path: &str, problems: &mut $crate::Problems) -> Option<Self> {
                if let $crate::Value::Table(table) = &node.value {
                    let mut reader = $crate::Reader::new(table, path, problems);
                    let value = Self::read_from(&mut reader);
                    reader.finish();
                    return Some(value);
                }
                let message = format!("`{path}` is {}, but must be a table", node.value.kind());
                problems.push($crate::Problem::new(message).at(node.place.as_ref()));
                None
            }
        }
    };
}

/// Declares an enumeration whose variants are words of the experiment file.
#[macro_export]
macro_rules! choices {
    (
        $(#[doc = $about:literal])*
        pub enum $name:ident { $( $(#[doc = $doc:literal])* $variant:ident = $word:literal, )* }
    ) => {
        $(#[doc = $about])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum $name { $( $(#[doc = $doc])* $variant, )* }

        impl $name {
            /// Every word with the first line of its description.
            pub const ALL: &'static [(&'static str, &'static str)] =
                &[$( ($word, concat!($($doc, "\n"),*)), )*];

            /// The word of this variant.
            pub fn word(self) -> &'static str {
                match self { $( Self::$variant => $word, )* }
            }
        }

        impl $crate::Setting for $name {
            const EXPECTED: &'static str = concat!("one of" $(, " `", $word, "`")*);

            fn from_node(node: &$crate::Node) -> Result<Self, String> {
                match node.value.as_str() {
                    $( Some($word) => Ok(Self::$variant), )*
                    _ => Err(String::new()),
                }
            }

            fn to_value(&self) -> Option<$crate::Value> { Some(self.word().into()) }
        }
    };
}

impl Setting for bool {
    const EXPECTED: &'static str = "`true` or `false`";

    fn from_node(node: &Node) -> Result<Self, String> {
        if let Value::Boolean(value) = node.value { Ok(value) } else { Err(String::new()) }
    }

    fn to_value(&self) -> Option<Value> {
        Some(Value::Boolean(*self))
    }
}

macro_rules! integers {
    ($($type:ty),*) => {$(
        impl Setting for $type {
            const EXPECTED: &'static str = "a whole number of at least 0";

            fn from_node(node: &Node) -> Result<Self, String> {
                match node.value {
                    Value::Integer(value) => value.try_into().map_err(|_| String::new()),
                    _ => Err(String::new()),
                }
            }

            fn to_value(&self) -> Option<Value> {
                Some(Value::Integer(i64::try_from(*self).unwrap_or(i64::MAX)))
            }

            fn number(&self) -> Option<f64> {
                Some(*self as f64)
            }
        }
    )*};
}
integers!(usize, u64, u16);

impl Setting for f64 {
    const EXPECTED: &'static str = "a number";

    fn from_node(node: &Node) -> Result<Self, String> {
        match node.value {
            Value::Float(value) if value.is_finite() => Ok(value),
            Value::Integer(value) => Ok(value as f64),
            Value::Float(_) => Err("but must be finite".to_owned()),
            _ => Err(String::new()),
        }
    }

    fn to_value(&self) -> Option<Value> {
        Some(Value::Float(*self))
    }

    fn number(&self) -> Option<f64> {
        Some(*self)
    }
}

impl Setting for String {
    const EXPECTED: &'static str = "a string";

    fn from_node(node: &Node) -> Result<Self, String> {
        node.value.as_str().map(str::to_owned).ok_or_else(String::new)
    }

    fn to_value(&self) -> Option<Value> {
        Some(Value::String(self.clone()))
    }
}

impl<T: Setting> Setting for Option<T> {
    const EXPECTED: &'static str = T::EXPECTED;

    fn from_node(node: &Node) -> Result<Self, String> {
        T::from_node(node).map(Some)
    }

    fn to_value(&self) -> Option<Value> {
        self.as_ref().and_then(T::to_value)
    }

    fn number(&self) -> Option<f64> {
        self.as_ref().and_then(T::number)
    }

    fn fields() -> Vec<Field> {
        T::fields()
    }

    fn read(node: &Node, path: &str, problems: &mut Problems) -> Option<Self> {
        T::read(node, path, problems).map(Some)
    }
}

impl<T: Setting> Setting for Vec<T> {
    const EXPECTED: &'static str = "a list";

    fn from_node(node: &Node) -> Result<Self, String> {
        let Value::Array(items) = &node.value else {
            return Err(String::new());
        };
        items
            .iter()
            .map(|item| T::from_node(item).map_err(|_| format!("but each item must be {}", T::EXPECTED)))
            .collect()
    }

    fn to_value(&self) -> Option<Value> {
        Some(Value::Array(self.iter().filter_map(T::to_value).map(Node::from).collect()))
    }
}

/// One file name or a list of them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Files(pub Vec<String>);

impl Setting for Files {
    const EXPECTED: &'static str = "a file name or a list of file names";

    fn from_node(node: &Node) -> Result<Self, String> {
        match &node.value {
            Value::String(file) => Ok(Self(vec![file.clone()])),
            Value::Array(_) => Vec::from_node(node).map(Self),
            _ => Err(String::new()),
        }
    }

    fn to_value(&self) -> Option<Value> {
        match self.0.as_slice() {
            [] => None,
            [file] => file.to_value(),
            files => files.to_vec().to_value(),
        }
    }
}

/// A span of time, written with a unit: `"90s"`, `"10m"`, `"1h30m"`, `"500ms"`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Duration(pub std::time::Duration);

impl std::str::FromStr for Duration {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let malformed =
            || "but must be a time with a unit, such as `\"90s\"`, `\"10m\"` or `\"1h30m\"`".to_owned();
        let (mut rest, mut seconds) = (text.trim(), 0.0);
        if rest.is_empty() {
            return Err(malformed());
        }
        while !rest.is_empty() {
            let digits = rest.find(|c: char| !c.is_ascii_digit() && c != '.').ok_or_else(malformed)?;
            let value: f64 = rest[..digits].parse().map_err(|_| malformed())?;
            rest = &rest[digits..];
            let letters = rest.find(|c: char| !c.is_ascii_alphabetic()).unwrap_or(rest.len());
            seconds += value
                * match &rest[..letters] {
                    "ms" => 1e-3,
                    "s" => 1.0,
                    "m" | "min" => 60.0,
                    "h" => 3600.0,
                    "d" => 86400.0,
                    _ => return Err(malformed()),
                };
            rest = &rest[letters..];
        }
        std::time::Duration::try_from_secs_f64(seconds).map(Self).map_err(|_| malformed())
    }
}

impl Setting for Duration {
    const EXPECTED: &'static str = "a time with a unit, such as `\"10m\"`";

    fn from_node(node: &Node) -> Result<Self, String> {
        node.value.as_str().ok_or_else(String::new)?.parse()
    }

    fn to_value(&self) -> Option<Value> {
        let millis = self.0.as_millis();
        Some(Value::String(if millis.is_multiple_of(1000) {
            format!("{}s", millis / 1000)
        } else {
            format!("{millis}ms")
        }))
    }
}

/// The place of a node or of nothing.
pub fn place(node: Option<&Node>) -> Option<&Place> {
    node.and_then(|node| node.place.as_ref())
}

#[cfg(test)]
mod tests;
