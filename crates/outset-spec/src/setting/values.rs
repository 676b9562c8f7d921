//! Types that a key can have: truth values, numbers, words, lists, files, spans of time.

use super::{Field, Setting};
use crate::problem::Problems;
use crate::value::{Node, Value};

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
