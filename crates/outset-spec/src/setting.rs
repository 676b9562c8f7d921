//! Settings: declared once, from which reading, checking, defaults, help and reference pages all follow.
//!
//! [`settings!`](crate::settings) declares a struct whose fields have a doc line, a type, a default and, where it makes
//! sense, bounds. A [`Reader`] reads such a struct from a table of the file and collects every problem instead of
//! stopping at the first.

mod reader;
mod values;

pub use reader::{Bounds, Reader};
pub use values::{Duration, Files};

use crate::problem::{Problem, Problems};
use crate::value::{Node, Value};

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

#[cfg(test)]
mod tests;
