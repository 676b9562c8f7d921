//! An open part of the declaration: a kind and its parameters, read by the owner of the kind.

use crate::problem::{Place, Problem};
use crate::setting::{Field, Reader, Setting};
use crate::value::{Node, Table, Value};

/// A kind with parameters, such as `{ kind = "adamw", learning_rate = 1e-3 }`, short `"adamw"`.
///
/// An empty kind means that the file leaves the choice to Outset.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Section {
    pub kind: String,
    pub parameters: Table,
    /// Where the section stands, and where its kind does.
    pub place: Option<Place>,
    pub kind_place: Option<Place>,
}

impl Section {
    /// Makes a section without parameters.
    pub fn of(kind: &str) -> Self {
        Self { kind: kind.to_owned(), ..Self::default() }
    }

    /// The kind, or `default` where the file names none.
    pub fn kind_or<'a>(&'a self, default: &'a str) -> &'a str {
        if self.kind.is_empty() { default } else { &self.kind }
    }

    /// Reads a short (`"cnn"`) or long (`{ kind = "cnn", … }`) form; `key` is `kind`, or `type` for columns.
    ///
    /// # Errors
    /// If the value is neither.
    pub fn from_node(node: &Node, key: &'static str) -> Result<Self, Problem> {
        match &node.value {
            Value::String(kind) => Ok(Self {
                kind: kind.clone(),
                kind_place: node.place.clone(),
                place: node.place.clone(),
                ..Self::default()
            }),
            Value::Table(table) => {
                let mut parameters = table.clone();
                let (kind, kind_place) = match parameters.0.shift_remove(key).map(|entry| entry.node) {
                    None => (String::new(), None),
                    Some(Node { value: Value::String(kind), place }) => (kind, place),
                    Some(other) => {
                        return Err(Problem::new(format!(
                            "`{key}` is {}, but must be a string",
                            other.value.kind()
                        ))
                        .at(other.place.as_ref()));
                    }
                };
                Ok(Self { kind, parameters, place: node.place.clone(), kind_place })
            }
            other => Err(Problem::new(format!(
                "expected a kind such as `\"name\"` or `{{ {key} = \"name\", … }}`, found {}",
                other.kind()
            ))
            .at(node.place.as_ref())),
        }
    }

    /// Opens the parameters for reading; `path` is shown in messages, `train.optimizer` say.
    pub fn reader<'a>(&'a self, path: &str, problems: &'a mut crate::Problems) -> Reader<'a> {
        Reader::new(&self.parameters, path, problems).of_section()
    }

    /// The long form as a table, with the kind under `key` first.
    pub fn to_table(&self, key: &str) -> Table {
        let mut table = Table::default();
        if !self.kind.is_empty() {
            table.put(key, self.kind.as_str());
        }
        table.0.extend(self.parameters.0.clone());
        table
    }
}

impl Setting for Section {
    const EXPECTED: &'static str = "a kind or a table with a `kind`";

    fn from_node(node: &Node) -> Result<Self, String> {
        Self::from_node(node, "kind").map_err(|problem| problem.message)
    }

    /// Nothing where the choice is left to Outset.
    fn to_value(&self) -> Option<Value> {
        let table = self.to_table("kind");
        (!table.0.is_empty()).then_some(Value::Table(table))
    }

    fn fields() -> Vec<Field> {
        Vec::new()
    }
}
