//! Reads settings from a table, with bounds, and collects what is wrong.

use super::Setting;
use crate::problem::{Problem, Problems};
use crate::value::{Node, Table, Value};

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
        let unknown = self.table.0.iter().filter(|(key, _)| !self.asked.contains(&key.as_str()));
        for (key, entry) in unknown {
            let problem = Problem::new(format!("unknown key `{}`", self.path(key))).at(entry.key.as_ref());
            self.problems.push(match key.as_str() {
                "type" if self.is_section => problem.hint("what it is stands under `kind` here"),
                "kind" if self.is_section => problem.hint("what it is stands under `type` here"),
                _ => problem.hint_known(key, &self.asked),
            });
        }
    }
}
