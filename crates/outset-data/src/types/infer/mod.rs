//! Types from content: what a column seems to hold, with the reason in words.

mod number;
mod shown;
mod text;

#[cfg(test)]
mod tests;

use super::Column;
use crate::pictures::{self, Images};
use crate::table::{Cells, Table, Text, number_text};
use indexmap::IndexMap;
use number::{Numbers, infer_number};
use outset_spec::write_key;
use shown::{listed, shorten};
use text::infer_text;

/// A column type that fits, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Inferred {
    /// The word of the type.
    pub kind: &'static str,
    /// `3 values`, `numbers from 17 to 90`.
    pub reason: String,
}

/// What to do with a column that the experiment says nothing about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Guess {
    /// It is of this type.
    Use(Inferred),
    /// It tells nothing, for this reason.
    LeaveOut(String),
}

/// Rows below which a column of different values need not be an id.
const FEW_ROWS: usize = 20;

/// Infers the type of an input column from its cells in the given rows.
pub fn infer(name: &str, cells: &Cells, rows: &[u32]) -> Guess {
    match cells {
        Cells::Number(values) => infer_number(name, values, rows),
        Cells::Image(images) => infer_images(images),
        Cells::Text(text) if pictures::find_paths(text) && are_addresses(text) => {
            Guess::LeaveOut("addresses of pictures on the web, which are not fetched".to_owned())
        }
        Cells::Text(text) if pictures::find_paths(text) => Guess::Use(Inferred {
            kind: "image",
            reason: format!(
                "paths of pictures, such as `{}`",
                shorten(text.values.first().map_or("", |path| path))
            ),
        }),
        Cells::Text(_) => match infer_text(Column { name, cells, rows }) {
            Guess::Use(Inferred { kind: "tags", reason }) => {
                Guess::LeaveOut(format!("{reason}, which can be predicted but are no input"))
            }
            guess => guess,
        },
    }
}

/// Tells whether most of the different values of a column are addresses, as `https://example.org/a.png` is.
fn are_addresses(text: &Text) -> bool {
    text.values.iter().filter(|value| value.contains("://")).count() * 2 > text.values.len()
}

fn infer_images(images: &Images) -> Guess {
    let sizes =
        || images.0.iter().flatten().filter_map(|picture| picture.header().as_ref().ok()).map(|h| h.size);
    let (low, high) = sizes().fold(([u32::MAX; 2], [0; 2]), |(low, high), size| {
        (std::array::from_fn(|d| low[d].min(size[d])), std::array::from_fn(|d| high[d].max(size[d])))
    });
    let shown = |[width, height]: [u32; 2]| format!("{width} × {height}");
    if high == [0; 2] {
        return Guess::LeaveOut("no row holds a picture".to_owned());
    }
    let reason = if low == high {
        format!("pictures of {} pixels", shown(low))
    } else {
        format!("pictures of {} to {} pixels", shown(low), shown(high))
    };
    Guess::Use(Inferred { kind: "image", reason })
}

/// Infers the types of all input columns; if each is left out, whole numbers that count the rows are used after all.
pub fn infer_inputs<'a>(
    table: &Table,
    names: impl IntoIterator<Item = &'a str>,
    rows: &[u32],
) -> IndexMap<String, Guess> {
    let known = names.into_iter().filter_map(|name| Some((name, table.get(name)?)));
    let mut guesses: IndexMap<String, Guess> =
        known.map(|(name, cells)| (name.to_owned(), infer(name, cells, rows))).collect();
    if !guesses.values().any(|guess| matches!(guess, Guess::Use(_))) {
        for (name, guess) in &mut guesses {
            if let Some(Cells::Number(values)) = table.get(name)
                && let Some(numbers) = Numbers::of(values, rows)
                && numbers.low < numbers.high
            {
                *guess = numbers.used();
            }
        }
    }
    guesses
}

/// Infers the type of an output column.
///
/// Text is a category or a set. Whole numbers are a category if they have at most three values, or at most ten that
/// follow each other from 0 or 1 as class numbers do; all other numbers are quantities.
pub fn infer_output(name: &str, cells: &Cells, rows: &[u32]) -> Guess {
    let Cells::Number(values) = cells else {
        return match infer_text(Column { name, cells, rows }) {
            _ if matches!(cells, Cells::Image(_)) => {
                Guess::LeaveOut("it holds pictures, which cannot be predicted".to_owned())
            }
            Guess::Use(Inferred { kind: "date", .. }) => {
                Guess::LeaveOut("a date, which cannot be predicted".to_owned())
            }
            Guess::Use(Inferred { kind: "text", reason }) => {
                Guess::LeaveOut(format!("{reason}, and texts cannot be predicted"))
            }
            guess => guess,
        };
    };
    let Some(numbers) = Numbers::of(values, rows) else {
        return Guess::LeaveOut("no row holds a value".to_owned());
    };
    let key = write_key(name);
    let distinct = numbers.distinct.len();
    let whole = numbers.whole && distinct <= 10;
    let class_numbers = whole
        && (numbers.low == 0.0 || numbers.low == 1.0)
        && numbers.high - numbers.low + 1.0 == distinct as f64;
    if distinct == 1 {
        Guess::LeaveOut(format!("constant: every row holds `{}`", number_text(numbers.low)))
    } else if distinct == 2 || (whole && distinct == 3) || class_numbers {
        Guess::Use(Inferred {
            kind: "category",
            reason: format!(
                "{}; to predict a quantity, set `outputs.{key} = \"number\"`",
                listed(numbers.distinct.iter().map(|value| number_text(*value)).collect())
            ),
        })
    } else {
        let Guess::Use(Inferred { kind, reason }) = numbers.used() else {
            return numbers.used();
        };
        let reason = if numbers.whole && distinct <= 50 {
            format!("{reason}; to predict classes, set `outputs.{key} = \"category\"`")
        } else {
            reason
        };
        Guess::Use(Inferred { kind, reason })
    }
}
