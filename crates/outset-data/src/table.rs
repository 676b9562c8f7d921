//! A table in memory: named columns of numbers or of dictionary-coded text.

use crate::pictures::Images;
use indexmap::IndexMap;
use std::borrow::Cow;
use std::collections::HashMap;

/// Code of a text cell without a value.
pub const MISSING: u32 = u32::MAX;

/// Parts the elements of a list within one cell, as sets and given tokens have them; it stands behind a single token, too.
pub const LIST_SEPARATOR: char = '\u{1f}';

/// Rows in the order of the source; row `i` is the source's row `i + 1`, the first after the header being 1.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Table {
    pub columns: IndexMap<String, Cells>,
    rows: usize,
}

/// The cells of one column.
#[derive(Clone, Debug, PartialEq)]
pub enum Cells {
    /// Numbers; NaN is a missing cell.
    Number(Vec<f64>),
    /// Text.
    Text(Text),
    /// Pictures.
    Image(Images),
}

/// Text cells as codes into the list of different values.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Text {
    /// Index into `values`, or [`MISSING`].
    pub codes: Vec<u32>,
    /// The different values, in the order of their first appearance.
    pub values: Vec<String>,
}

impl Table {
    /// Makes a table; every column must have as many cells as `rows` says.
    ///
    /// # Panics
    /// If a column has another length.
    pub fn new(columns: IndexMap<String, Cells>, rows: usize) -> Self {
        for (name, cells) in &columns {
            assert_eq!(cells.len(), rows, "column {name} has the table's length");
        }
        Self { columns, rows }
    }

    /// Number of rows.
    pub fn rows(&self) -> usize {
        self.rows
    }

    /// The cells of a column.
    pub fn get(&self, name: &str) -> Option<&Cells> {
        self.columns.get(name)
    }
}

impl Cells {
    /// Number of cells.
    pub fn len(&self) -> usize {
        match self {
            Self::Number(values) => values.len(),
            Self::Text(text) => text.codes.len(),
            Self::Image(images) => images.0.len(),
        }
    }

    /// Tells whether there are no cells.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Tells whether the cell has no value.
    pub fn is_missing(&self, row: usize) -> bool {
        match self {
            Self::Number(values) => values[row].is_nan(),
            Self::Text(text) => text.codes[row] == MISSING,
            Self::Image(images) => images.0[row].is_none(),
        }
    }

    /// The cell as text, a whole number without a decimal point, a picture by its name; `None` if it is missing.
    pub fn text(&self, row: usize) -> Option<Cow<'_, str>> {
        match self {
            Self::Number(values) if values[row].is_nan() => None,
            Self::Number(values) => Some(Cow::Owned(number_text(values[row]))),
            Self::Text(text) => text.get(row).map(Cow::Borrowed),
            Self::Image(images) => images.0[row].as_ref().map(|picture| Cow::Borrowed(picture.name.as_str())),
        }
    }
}

impl Text {
    /// The cell's text; `None` if it is missing.
    pub fn get(&self, row: usize) -> Option<&str> {
        self.values.get(self.codes[row] as usize).map(String::as_str)
    }

    /// By code: the first code whose text is the same but for the spaces around it.
    pub fn first_codes(&self) -> Vec<u32> {
        let codes = 0..self.values.len() as u32;
        // Most columns hold no such spaces, and no two values that differ by them alone.
        if self.values.iter().all(|value| value.trim().len() == value.len()) {
            return codes.collect();
        }
        let mut first: HashMap<&str, u32> = HashMap::new();
        self.values
            .iter()
            .zip(codes)
            .map(|(value, code)| *first.entry(value.trim()).or_insert(code))
            .collect()
    }
}

/// Builds a text column cell by cell.
#[derive(Debug, Default)]
pub struct TextBuilder {
    text: Text,
    codes: HashMap<String, u32>,
}

impl TextBuilder {
    /// Appends a cell.
    pub fn push(&mut self, value: Option<&str>) {
        let code = match value {
            None => MISSING,
            Some(value) => match self.codes.get(value) {
                Some(code) => *code,
                None => {
                    let code = self.text.values.len() as u32;
                    self.text.values.push(value.to_owned());
                    self.codes.insert(value.to_owned(), code);
                    code
                }
            },
        };
        self.text.codes.push(code);
    }

    /// The finished column.
    pub fn finish(self) -> Text {
        self.text
    }
}

impl<'a> FromIterator<Option<&'a str>> for Text {
    fn from_iter<I: IntoIterator<Item = Option<&'a str>>>(cells: I) -> Self {
        let mut builder = TextBuilder::default();
        cells.into_iter().for_each(|cell| builder.push(cell));
        builder.finish()
    }
}

/// Writes a number as a class is named: `3`, not `3.0`, and `0.5` as it is.
pub fn number_text(value: f64) -> String {
    if value == 0.0 { "0".to_owned() } else { value.to_string() }
}

/// Writes a number of JSON likewise, a whole one with all its digits, of which a float would lose some.
pub(crate) fn json_number_text(number: &serde_json::Number) -> String {
    match number.as_f64().filter(|_| number.is_f64()) {
        Some(value) => number_text(value),
        None => number.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cells_as_text() {
        let numbers = Cells::Number(vec![3.0, 0.5, f64::NAN, -0.0]);
        let texts: Vec<_> = (0..4).map(|row| numbers.text(row).map(Cow::into_owned)).collect();
        assert_eq!(texts, [Some("3".into()), Some("0.5".into()), None, Some("0".into())]);
        let text: Text = [Some("b"), None, Some("a"), Some("b")].into_iter().collect();
        assert_eq!((text.codes.clone(), text.values.len()), (vec![0, MISSING, 1, 0], 2));
        assert_eq!((text.get(3), text.get(1)), (Some("b"), None));
        assert_eq!(text.first_codes(), [0, 1]);
        let text: Text = [Some("b "), Some("a"), Some("b"), Some(" a")].into_iter().collect();
        assert_eq!(text.first_codes(), [0, 1, 0, 1]);
    }
}
