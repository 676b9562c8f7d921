//! The classes of a column, and which of them a cell holds.

use super::{Column, parse_number};
use crate::pictures::Images;
use crate::table::{Cells, number_text};
use serde::{Deserialize, Serialize};
use std::cmp::Ordering;
use std::collections::HashMap;
use std::sync::OnceLock;

/// Stands for a cell that holds no class of the list.
pub const NONE: u32 = u32::MAX;

/// Classes with their counts in the train part.
///
/// A number is the class that is written like it: 3, 3.0 and `"3"` are one class.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Classes {
    pub names: Vec<String>,
    pub counts: Vec<u64>,
    #[serde(skip)]
    lookup: OnceLock<Lookup>,
}

#[derive(Clone, Debug, Default)]
struct Lookup {
    by_name: HashMap<String, u32>,
    by_number: HashMap<u64, u32>,
}

impl Classes {
    /// Makes the list; earlier classes win where two are written like the same number.
    pub fn new(counted: impl IntoIterator<Item = (String, u64)>) -> Self {
        let (names, counts) = counted.into_iter().unzip();
        Self { names, counts, lookup: OnceLock::new() }
    }

    /// Number of classes.
    pub fn len(&self) -> usize {
        self.names.len()
    }

    /// Tells whether there are none.
    pub fn is_empty(&self) -> bool {
        self.names.is_empty()
    }

    fn lookup(&self) -> &Lookup {
        self.lookup.get_or_init(|| {
            let mut lookup = Lookup::default();
            for (index, name) in self.names.iter().enumerate() {
                lookup.by_name.entry(name.clone()).or_insert(index as u32);
                if let Some(number) = parse_number(name) {
                    lookup.by_number.entry(bits(number)).or_insert(index as u32);
                }
            }
            lookup
        })
    }

    /// The index of the class that a text names.
    pub fn find(&self, text: &str) -> Option<u32> {
        let lookup = self.lookup();
        let text = text.trim();
        lookup.by_name.get(text).copied().or_else(|| self.find_number(parse_number(text)?))
    }

    /// The index of the class that is written like the number.
    pub fn find_number(&self, number: f64) -> Option<u32> {
        self.lookup().by_number.get(&bits(number)).copied()
    }

    /// The index of each cell's class, or the largest `u32` for a cell of none.
    pub fn codes(&self, column: Column<'_>) -> Vec<u32> {
        match column.cells {
            Cells::Number(values) => column
                .rows
                .iter()
                .map(|row| self.find_number(values[*row as usize]).unwrap_or(NONE))
                .collect(),
            Cells::Text(text) => {
                let found: Vec<u32> =
                    text.values.iter().map(|value| self.find(value).unwrap_or(NONE)).collect();
                let code = |row: &u32| found.get(text.codes[*row as usize] as usize).copied().unwrap_or(NONE);
                column.rows.iter().map(code).collect()
            }
            Cells::Image(_) => vec![NONE; column.rows.len()],
        }
    }
}

/// The different values of a column with their counts, in no particular order; `missing` texts are left out, and so are
/// the spaces around a text.
pub fn count(column: Column<'_>, missing: &[String]) -> Vec<(String, u64)> {
    let mut counted: Vec<(String, u64)> = match column.cells {
        Cells::Number(values) => {
            let mut counts: HashMap<u64, u64> = HashMap::new();
            for row in column.rows {
                let value = values[*row as usize];
                if !value.is_nan() {
                    *counts.entry(bits(value)).or_default() += 1;
                }
            }
            counts.into_iter().map(|(bits, count)| (number_text(f64::from_bits(bits)), count)).collect()
        }
        Cells::Text(text) => {
            let first = text.first_codes();
            let mut counts = vec![0u64; text.values.len()];
            for row in column.rows {
                if let Some(code) = first.get(text.codes[*row as usize] as usize) {
                    counts[*code as usize] += 1;
                }
            }
            let counted = text.values.iter().zip(counts).filter(|(_, count)| *count > 0);
            counted.map(|(value, count)| (value.trim().to_owned(), count)).collect()
        }
        // A picture is none of several values.
        Cells::Image(_) => Vec::new(),
    };
    counted.retain(|(value, _)| !value.is_empty() && !is_missing(value, missing));
    counted
}

/// Tells whether a text is one of those that mean "missing"; numbers are compared by value.
pub fn is_missing(value: &str, missing: &[String]) -> bool {
    missing.iter().any(|word| {
        word == value || parse_number(word).is_some_and(|number| parse_number(value) == Some(number))
    })
}

/// Tells which rows of a column hold no value, `missing` texts included.
pub enum Absent<'a> {
    Number { values: &'a [f64], missing: Vec<f64> },
    Text { codes: &'a [u32], present: Vec<bool> },
    Image(&'a Images),
}

impl<'a> Absent<'a> {
    /// Looks at the different values of a column once.
    pub fn of(cells: &'a Cells, missing: &[String]) -> Self {
        match cells {
            Cells::Number(values) => Self::Number {
                values,
                missing: missing.iter().filter_map(|word| parse_number(word)).collect(),
            },
            Cells::Text(text) => {
                let present =
                    text.values.iter().map(|value| !value.is_empty() && !is_missing(value, missing));
                Self::Text { codes: &text.codes, present: present.collect() }
            }
            Cells::Image(images) => Self::Image(images),
        }
    }

    /// Looks at the different values of an output of the type `kind` once.
    ///
    /// The empty text of a set is a list without labels, which is a value: an empty cell that is no list has no text.
    pub fn of_output(cells: &'a Cells, kind: &str, missing: &[String]) -> Self {
        let mut absent = Self::of(cells, missing);
        if let (Self::Text { present, .. }, Cells::Text(text)) = (&mut absent, cells)
            && kind == "set"
            && !is_missing("", missing)
        {
            present.iter_mut().zip(&text.values).for_each(|(present, value)| *present |= value.is_empty());
        }
        absent
    }

    /// Tells whether the row holds no value.
    pub fn at(&self, row: u32) -> bool {
        match self {
            Self::Number { values, missing } => {
                let value = values[row as usize];
                value.is_nan() || missing.contains(&value)
            }
            Self::Text { codes, present } => {
                !present.get(codes[row as usize] as usize).is_some_and(|present| *present)
            }
            Self::Image(images) => images.0[row as usize].is_none(),
        }
    }
}

/// Puts the most frequent classes first, equally frequent ones in order.
pub fn sort_by_count(counted: &mut [(String, u64)]) {
    counted.sort_unstable_by(|a, b| b.1.cmp(&a.1).then_with(|| natural(&a.0, &b.0)));
}

/// Compares numbers by value, before all other texts, which are compared by character.
pub fn natural(a: &str, b: &str) -> Ordering {
    match (parse_number(a), parse_number(b)) {
        (Some(x), Some(y)) => x.total_cmp(&y).then_with(|| a.cmp(b)),
        (Some(_), None) => Ordering::Less,
        (None, Some(_)) => Ordering::Greater,
        (None, None) => a.cmp(b),
    }
}

fn bits(number: f64) -> u64 {
    (if number == 0.0 { 0.0 } else { number }).to_bits()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_and_their_texts_are_one_class() {
        let classes = Classes::new([("3".to_owned(), 5), ("x".to_owned(), 2), ("0.5".to_owned(), 1)]);
        for (text, expected) in
            [("3", Some(0)), ("3.0", Some(0)), (" x ", Some(1)), ("X", None), (".5", Some(2))]
        {
            assert_eq!(classes.find(text), expected, "{text}");
        }
        assert_eq!((classes.find_number(3.0), classes.find_number(f64::NAN)), (Some(0), None));
    }

    #[test]
    fn texts_that_differ_by_spaces_are_one_class() {
        let cells =
            Cells::Text([Some("yes"), Some("no"), None, Some("yes "), Some(" ? ")].into_iter().collect());
        let column = Column { name: "y", cells: &cells, rows: &[0, 1, 2, 3, 4] };
        let counted = count(column, &["?".to_owned()]);
        assert_eq!(counted, [("yes".to_owned(), 2), ("no".to_owned(), 1)]);
        assert_eq!(Classes::new(counted).codes(column), [0, 1, NONE, 0, NONE]);
        // The value that comes first need not be among the rows.
        let column = Column { rows: &[3, 1], ..column };
        assert_eq!(count(column, &[]), [("yes".to_owned(), 1), ("no".to_owned(), 1)]);
    }

    #[test]
    fn an_empty_list_is_a_value_of_a_set_output() {
        let cells = Cells::Text([Some("a"), Some(""), None].into_iter().collect());
        let absent = |kind: &str| {
            let absent = Absent::of_output(&cells, kind, &[]);
            [0, 1, 2].map(|row| absent.at(row))
        };
        assert_eq!((absent("set"), absent("category")), ([false, false, true], [false, true, true]));
    }

    #[test]
    fn numbers_come_in_their_order() {
        let mut words = ["b", "10", "9", "a", "-1"];
        words.sort_unstable_by(|a, b| natural(a, b));
        assert_eq!(words, ["-1", "9", "10", "a", "b"]);
    }
}
