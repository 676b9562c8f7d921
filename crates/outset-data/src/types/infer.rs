//! Types from content: what a column seems to hold, with the reason in words.

use super::classes::{count, natural};
use super::moment::DateFormat;
use super::set::{SEPARATORS, labels};
use super::{Column, parse_number};
use crate::table::{Cells, Table, number_text};
use indexmap::IndexMap;
use std::collections::HashSet;

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

/// Different values above which only a part of a long text column is looked at.
const MANY_VALUES: usize = 100_000;

/// Infers the type of an input column from its cells in the given rows.
pub fn infer(name: &str, cells: &Cells, rows: &[u32]) -> Guess {
    match cells {
        Cells::Number(values) => infer_number(name, values, rows),
        Cells::Text(_) => infer_text(Column { name, cells, rows }),
    }
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
            Guess::Use(Inferred { kind: "date", .. }) => {
                Guess::LeaveOut("a date, which cannot be predicted".to_owned())
            }
            guess => guess,
        };
    };
    let Some(numbers) = Numbers::of(values, rows) else {
        return Guess::LeaveOut("no row holds a value".to_owned());
    };
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
                "{}; to predict a quantity, set `outputs.{name} = \"number\"`",
                listed(numbers.distinct.iter().map(|value| number_text(*value)).collect())
            ),
        })
    } else {
        let Guess::Use(Inferred { kind, reason }) = numbers.used() else {
            return numbers.used();
        };
        let reason = if numbers.whole && distinct <= 50 {
            format!("{reason}; to predict classes, set `outputs.{name} = \"category\"`")
        } else {
            reason
        };
        Guess::Use(Inferred { kind, reason })
    }
}

/// What the numbers of a column are like.
struct Numbers {
    present: usize,
    missing: usize,
    low: f64,
    high: f64,
    whole: bool,
    /// Whether each is larger than the one before.
    rising: bool,
    /// The different values, sorted, as long as they are few; else as many as it took to see that.
    distinct: Vec<f64>,
    all_different: bool,
}

impl Numbers {
    /// Looks at the cells; `None` if none holds a value.
    fn of(values: &[f64], rows: &[u32]) -> Option<Self> {
        const FEW: usize = 60;
        let mut present: Vec<f64> =
            rows.iter().map(|row| values[*row as usize]).filter(|value| !value.is_nan()).collect();
        let rising = present.windows(2).all(|pair| pair[0] < pair[1]);
        let whole = present.iter().all(|value| value.fract() == 0.0);
        let count = present.len();
        if count == 0 {
            return None;
        }
        let low = present.iter().copied().fold(f64::INFINITY, f64::min);
        let high = present.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        // Only whole numbers can be ids, so only they are sorted in full.
        if !whole {
            present.truncate(10_000);
        }
        present.sort_unstable_by(f64::total_cmp);
        let all_different = present.windows(2).all(|pair| pair[0] != pair[1]);
        present.dedup();
        present.truncate(FEW);
        Some(Self {
            present: count,
            missing: rows.len() - count,
            low,
            high,
            whole,
            rising,
            distinct: present,
            all_different,
        })
    }

    fn used(&self) -> Guess {
        let (low, high) = (shown(self.low), shown(self.high));
        let reason = match self.distinct.len() {
            2 if self.present > 2 => format!("numbers, {low} or {high}"),
            _ if self.whole => format!("whole numbers from {low} to {high}"),
            _ => format!("numbers from {low} to {high}"),
        };
        Guess::Use(Inferred { kind: "number", reason })
    }
}

fn infer_number(name: &str, values: &[f64], rows: &[u32]) -> Guess {
    let Some(numbers) = Numbers::of(values, rows) else {
        return Guess::LeaveOut("no row holds a value".to_owned());
    };
    if numbers.low == numbers.high {
        let value = number_text(numbers.low);
        return if numbers.missing == 0 {
            Guess::LeaveOut(format!("constant: every row holds `{value}`"))
        } else {
            Guess::Use(Inferred { kind: "category", reason: format!("`{value}` or nothing") })
        };
    }
    let (count, range) = (numbers.present as f64, numbers.high - numbers.low + 1.0);
    if numbers.whole && numbers.all_different && numbers.present >= FEW_ROWS {
        if range == count {
            let (low, high) = (number_text(numbers.low), number_text(numbers.high));
            return Guess::LeaveOut(format!("an id: it numbers the rows from {low} to {high}"));
        }
        if numbers.rising {
            return Guess::LeaveOut("an id: it counts up from row to row".to_owned());
        }
        // Drawn at random from such a range, some of so many numbers would be equal, save once in 20,000 times.
        if count * count / (2.0 * range) > 10.0 || is_id_name(name) {
            return Guess::LeaveOut("an id: every row has another whole number".to_owned());
        }
    }
    numbers.used()
}

fn infer_text(column: Column<'_>) -> Guess {
    // Of a very long column with very many values a part tells as much.
    if let Cells::Text(text) = column.cells
        && text.values.len() > MANY_VALUES
        && column.rows.len() > 2 * MANY_VALUES
    {
        let step = column.rows.len() / MANY_VALUES;
        let sampled: Vec<u32> = column.rows.iter().step_by(step).copied().collect();
        return infer_text(Column { rows: &sampled, ..column });
    }
    let counted = count(column, &[]);
    let distinct = counted.len();
    let present: u64 = counted.iter().map(|(_, count)| count).sum();
    let rows = present as usize;
    let share = distinct as f64 / rows as f64;
    match counted.as_slice() {
        [] => return Guess::LeaveOut("no row holds a value".to_owned()),
        [(value, _)] if rows == column.rows.len() => {
            return Guess::LeaveOut(format!("constant: every row holds `{}`", shorten(value)));
        }
        [(value, _)] => {
            return Guess::Use(Inferred {
                kind: "category",
                reason: format!("`{}` or nothing", shorten(value)),
            });
        }
        _ => {}
    }
    if let Some(format) = DateFormat::detect(counted.iter().map(|(value, _)| value.as_str())) {
        return Guess::Use(Inferred {
            kind: "date",
            reason: format!("dates, written as {}", format.words()),
        });
    }
    // A few odd words among many numbers are slips or marks for "missing", which reading the column then names.
    let odd = counted.iter().filter(|(value, _)| parse_number(value).is_none()).count();
    let leading_zeros =
        counted.iter().any(|(value, _)| value.len() > 1 && value.starts_with('0') && !value.contains('.'));
    if odd > 0 && odd <= 3 && distinct >= 20 + odd && !leading_zeros {
        return Guess::Use(Inferred {
            kind: "number",
            reason: format!("numbers but for {}", quantity(odd, "value")),
        });
    }
    let words = mean(counted.iter().map(|(value, _)| words(value)));
    let set = infer_set(&counted, present);
    if let Some(set) = set {
        return Guess::Use(set);
    }
    if words >= 4.0 && share > 0.2 && distinct > 10 {
        return Guess::LeaveOut(format!(
            "free text: {words:.0} words on average; text columns are not supported yet"
        ));
    }
    let repeated: u64 = counted.iter().filter(|(_, count)| *count > 1).map(|(_, count)| count).sum();
    if rows >= FEW_ROWS && distinct == rows {
        return Guess::LeaveOut("an id: every row has another value".to_owned());
    }
    if rows >= FEW_ROWS && repeated * 2 < present {
        return Guess::LeaveOut(format!("mostly different: {distinct} values in {rows} rows"));
    }
    let reason = if distinct <= 3 {
        let mut values: Vec<String> = counted.into_iter().map(|(value, _)| value).collect();
        values.sort_unstable_by(|a, b| natural(a, b));
        listed(values)
    } else {
        quantity(distinct, "value")
    };
    Guess::Use(Inferred { kind: "category", reason })
}

/// A set, if most cells hold a separator, and the labels recur in ever other combinations.
fn infer_set(counted: &[(String, u64)], present: u64) -> Option<Inferred> {
    for separator in SEPARATORS {
        let holding: u64 =
            counted.iter().filter(|(value, _)| value.contains(separator)).map(|(_, count)| count).sum();
        if holding * 2 < present || holding < 2 {
            continue;
        }
        let mut different: HashSet<&str> = HashSet::new();
        let (mut total, mut length) = (0usize, 0.0);
        let mut text = [0u8; 4];
        let separator = separator.encode_utf8(&mut text);
        for (value, _) in counted {
            let labels = labels(value, separator);
            total += labels.len();
            length += labels.iter().map(|label| words(label)).sum::<f64>();
            different.extend(labels);
        }
        let recurring = total >= 3 * different.len() && different.len() < counted.len().max(3);
        if recurring && length / (total as f64) < 4.0 {
            let shown = if separator == "\u{1f}" { "lists" } else { separator };
            let reason = if shown == "lists" {
                format!("lists of {}", quantity(different.len(), "label"))
            } else {
                format!("{} between `{shown}`", quantity(different.len(), "label"))
            };
            return Some(Inferred { kind: "set", reason });
        }
    }
    None
}

/// Names that say that a column identifies rows.
fn is_id_name(name: &str) -> bool {
    let lower = name.to_lowercase();
    ["id", "uuid", "guid", "index", "row", "key"].contains(&lower.as_str())
        || lower.starts_with("unnamed")
        || lower.ends_with("_id")
        || lower.ends_with(" id")
        || (name.ends_with("Id") || name.ends_with("ID")) && name.len() > 2
}

/// Words of a text; two Chinese, Japanese or Korean characters count as one.
fn words(text: &str) -> f64 {
    let wide = text.chars().filter(|letter| ('\u{2e80}'..'\u{fb00}').contains(letter)).count();
    let spaced =
        text.split_whitespace().filter(|word| word.contains(|letter: char| letter.is_alphanumeric()));
    (wide as f64 / 2.0).max(spaced.count() as f64)
}

fn mean(values: impl Iterator<Item = f64>) -> f64 {
    let (sum, count) = values.fold((0.0, 0.0), |(sum, count), value| (sum + value, count + 1.0));
    sum / f64::max(count, 1.0)
}

fn quantity(count: usize, what: &str) -> String {
    if count == 1 { format!("1 {what}") } else { format!("{count} {what}s") }
}

/// `2 values, a or b` for a few, `7 values` for more.
fn listed(values: Vec<String>) -> String {
    let count = quantity(values.len(), "value");
    if values.len() > 3 {
        return count;
    }
    let quoted: Vec<String> = values.iter().map(|value| format!("`{}`", shorten(value))).collect();
    match quoted.split_last() {
        Some((last, rest)) if !rest.is_empty() => format!("{count}, {} or {last}", rest.join(", ")),
        _ => count,
    }
}

/// A number with at most six digits that count.
fn shown(value: f64) -> String {
    let whole = value.fract() == 0.0 && value.abs() < 1e15;
    let rounded: f64 = if whole { value } else { format!("{value:.5e}").parse().unwrap_or(value) };
    let plain = rounded == 0.0 || (1e-4..1e15).contains(&rounded.abs());
    if plain { number_text(rounded) } else { format!("{rounded:e}") }
}

fn shorten(value: &str) -> String {
    match value.char_indices().nth(30) {
        Some((end, _)) => format!("{}…", &value[..end]),
        None => value.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn numbers(values: impl IntoIterator<Item = f64>) -> Cells {
        Cells::Number(values.into_iter().collect())
    }

    fn text(values: impl IntoIterator<Item = String>) -> Cells {
        let values: Vec<String> = values.into_iter().collect();
        Cells::Text(values.iter().map(|value| (!value.is_empty()).then_some(value.as_str())).collect())
    }

    fn words_of(guess: Guess) -> String {
        match guess {
            Guess::Use(Inferred { kind, reason }) => format!("{kind}: {reason}"),
            Guess::LeaveOut(reason) => format!("left out: {reason}"),
        }
    }

    fn check(name: &str, cells: &Cells, expected: &str) {
        let rows: Vec<u32> = (0..cells.len() as u32).collect();
        assert_eq!(words_of(infer(name, cells, &rows)), expected, "{name}");
    }

    fn check_output(cells: &Cells, expected: &str) {
        let rows: Vec<u32> = (0..cells.len() as u32).collect();
        assert_eq!(words_of(infer_output("y", cells, &rows)), expected);
    }

    #[test]
    fn number_columns() {
        check(
            "age",
            &numbers((0..100).map(|i| f64::from(17 + i % 74))),
            "number: whole numbers from 17 to 90",
        );
        check("flag", &numbers((0..100).map(|i| f64::from(i % 2))), "number: numbers, 0 or 1");
        check("weight", &numbers((0..100).map(|i| f64::from(i) * 1.5)), "number: numbers from 0 to 148.5");
        check("empty", &numbers([f64::NAN, f64::NAN]), "left out: no row holds a value");
        check("same", &numbers([3.0, 3.0]), "left out: constant: every row holds `3`");
        check("gap", &numbers([3.0, f64::NAN]), "category: `3` or nothing");
    }

    #[test]
    fn numbers_to_show() {
        for (value, expected) in [
            (0.0, "0"),
            (-4.079999923706056, "-4.08"),
            (1e20, "1e20"),
            (1.234e-7, "1.234e-7"),
            (500001.0, "500001"),
        ] {
            assert_eq!(shown(value), expected);
        }
    }

    #[test]
    fn number_ids() {
        check(
            "instant",
            &numbers((1..=50).map(f64::from)),
            "left out: an id: it numbers the rows from 1 to 50",
        );
        let shuffled = |factor: u32, modulus: u32| (0..100u32).map(move |i| f64::from(i * factor % modulus));
        check("n", &numbers(shuffled(37, 100)), "left out: an id: it numbers the rows from 0 to 99");
        check("n", &numbers(shuffled(37, 151)), "left out: an id: every row has another whole number");
        check(
            "account_id",
            &numbers(shuffled(7919, 1_000_003)),
            "left out: an id: it counts up from row to row",
        );
        check(
            "account_id",
            &numbers(shuffled(791_907, 10_000_019)),
            "left out: an id: every row has another whole number",
        );
        check(
            "population",
            &numbers(shuffled(791_907, 10_000_019)),
            "number: whole numbers from 0 to 9890065",
        );
        check("few", &numbers((1..=10).map(f64::from)), "number: whole numbers from 1 to 10");
    }

    #[test]
    fn text_columns() {
        check(
            "color",
            &text((0..60).map(|i| ["red", "green", "blue"][i % 3].to_owned())),
            "category: 3 values, `blue`, `green` or `red`",
        );
        check("city", &text((0..60).map(|i| format!("city {}", i % 9))), "category: 9 values");
        check(
            "code",
            &text((0..60).map(|i| format!("c:{i}"))),
            "left out: an id: every row has another value",
        );
        check(
            "name",
            &text((0..60).map(|i| format!("n{}", i.max(10)))),
            "left out: mostly different: 50 values in 60 rows",
        );
        check(
            "day",
            &text((0..60).map(|i| format!("2011-02-{:02}", 1 + i % 28))),
            "date: dates, written as year-month-day",
        );
        check(
            "age",
            &text((0..60).map(|i| if i == 7 { "?".into() } else { format!("{i}") })),
            "number: numbers but for 1 value",
        );
        check(
            "zip",
            &text((0..60).map(|i| if i == 7 { "?".into() } else { format!("{:05}", i % 25) })),
            "category: 26 values",
        );
        check(
            "one",
            &text((0..60).map(|i| if i == 7 { "x".into() } else { String::new() })),
            "category: `x` or nothing",
        );
        check("one", &text((0..60).map(|_| "x".into())), "left out: constant: every row holds `x`");
        check(
            "note",
            &text((0..60).map(|i| format!("the machine number {i} stopped again after lunch"))),
            "left out: free text: 8 words on average; text columns are not supported yet",
        );
        check(
            "评论",
            &text((0..60).map(|i| format!("房间{i}很干净服务也好下次还会再来"))),
            "left out: free text: 8 words on average; text columns are not supported yet",
        );
    }

    #[test]
    fn set_columns() {
        let tags = ["a", "b", "c", "d"];
        let pair = |i: usize, mark: &str| format!("{}{mark}{}", tags[i % 4], tags[(i / 4 + 1) % 4]);
        check("tags", &text((0..60).map(|i| pair(i, "|"))), "set: 4 labels between `|`");
        check("tags", &text((0..60).map(|i| pair(i, ", "))), "set: 4 labels between `,`");
        check("tags", &text((0..60).map(|i| pair(i, "\u{1f}"))), "set: lists of 4 labels");
        check(
            "pair",
            &text((0..60).map(|i| ["a|b", "c|d"][i % 2].to_owned())),
            "category: 2 values, `a|b` or `c|d`",
        );
    }

    #[test]
    fn outputs() {
        let cycle =
            |low: u32, high: u32| numbers((0..200).map(move |i| f64::from(low + i % (high - low + 1))));
        check_output(
            &cycle(0, 1),
            "category: 2 values, `0` or `1`; to predict a quantity, set `outputs.y = \"number\"`",
        );
        check_output(&cycle(1, 4), "category: 4 values; to predict a quantity, set `outputs.y = \"number\"`");
        check_output(
            &cycle(0, 9),
            "category: 10 values; to predict a quantity, set `outputs.y = \"number\"`",
        );
        check_output(
            &cycle(1, 29),
            "number: whole numbers from 1 to 29; to predict classes, set `outputs.y = \"category\"`",
        );
        check_output(
            &cycle(3, 9),
            "number: whole numbers from 3 to 9; to predict classes, set `outputs.y = \"category\"`",
        );
        check_output(&cycle(0, 999), "number: whole numbers from 0 to 199");
        check_output(&numbers([1.5, 2.5, 1.0, 7.25]), "number: numbers from 1 to 7.25");
        check_output(&numbers([1.0, 1.0]), "left out: constant: every row holds `1`");
        check_output(
            &text((0..60).map(|i| ["yes", "no"][i % 2].to_owned())),
            "category: 2 values, `no` or `yes`",
        );
        check_output(
            &text((0..60).map(|i| format!("2011-02-{:02}", 1 + i % 28))),
            "left out: a date, which cannot be predicted",
        );
    }

    #[test]
    fn a_lone_row_number_is_used_after_all() {
        let columns = [("x".to_owned(), numbers((0..50).map(f64::from)))];
        let table = Table::new(columns.into_iter().collect(), 50);
        let rows: Vec<u32> = (0..50).collect();
        let guesses = infer_inputs(&table, ["x"], &rows);
        assert_eq!(words_of(guesses["x"].clone()), "number: whole numbers from 0 to 49");
    }
}
