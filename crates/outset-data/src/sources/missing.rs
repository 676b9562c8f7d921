//! Which cells have no value.

use super::number::{Parsed, parse, trim};

/// Cell texts that always mean "missing"; the empty cell does too.
const ALWAYS: [&str; 9] = ["NA", "N/A", "NaN", "null", "None", "na", "n/a", "nan", "NULL"];

/// The cell texts that mean "missing" in one column.
#[derive(Clone, Debug, Default)]
pub(super) struct Missing {
    texts: Vec<Box<[u8]>>,
    numbers: Vec<f64>,
}

impl Missing {
    /// Collects the texts that hold for all columns and those of this one.
    pub(super) fn new<'a>(extra: impl IntoIterator<Item = &'a str>) -> Self {
        let mut missing = Self::default();
        for text in extra {
            let text = trim(text.as_bytes());
            match parse(text, false) {
                Parsed::Whole(value) | Parsed::Point(value) => missing.numbers.push(value),
                _ => {}
            }
            missing.texts.push(text.into());
        }
        missing
    }

    /// Tells whether a trimmed cell is missing by its text.
    pub(super) fn text(&self, cell: &[u8]) -> bool {
        let short = cell.len() <= 4;
        short && (cell.is_empty() || ALWAYS.iter().any(|always| always.as_bytes() == cell))
            || self.texts.iter().any(|text| **text == *cell)
    }

    /// Tells whether a number is missing by its value: with `-999` also `-999.0`.
    pub(super) fn number(&self, value: f64) -> bool {
        !self.numbers.is_empty() && self.numbers.contains(&value)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_and_numbers() {
        let missing = Missing::new(["?", " -999 "]);
        for cell in ["", "NA", "n/a", "NaN", "NULL", "None", "?", "-999"] {
            assert!(missing.text(cell.as_bytes()), "{cell}");
        }
        for cell in ["Na", "none", "??", "0", "missing", "-999.0"] {
            assert!(!missing.text(cell.as_bytes()), "{cell}");
        }
        assert!(missing.number(-999.0) && !missing.number(0.0));
    }
}
