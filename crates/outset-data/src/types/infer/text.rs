//! What a column of text seems to hold.

use super::shown::{listed, quantity, shorten};
use super::{FEW_ROWS, Guess, Inferred};
use crate::table::{Cells, LIST_SEPARATOR};
use crate::types::classes::{count, natural};
use crate::types::moment::DateFormat;
use crate::types::set::{SEPARATORS, labels};
use crate::types::tags::looks_like_tags;
use crate::types::text::{is_wide, split_words};
use crate::types::{Column, parse_number};
use std::collections::{HashMap, HashSet};

/// Different values above which only a part of a long text column is looked at.
const MANY_VALUES: usize = 100_000;

pub(super) fn infer_text(column: Column<'_>) -> Guess {
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
    if looks_like_tags(counted.iter().map(|(value, _)| value.as_str())) {
        return Guess::Use(Inferred { kind: "tags", reason: "tags of words, or spans of a text".to_owned() });
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
    let marked = counted.iter().filter(|(value, _)| is_marked_number(value)).count();
    if distinct > 10 && marked * 10 >= distinct * 9 {
        return Guess::LeaveOut(format!(
            "numbers that are text because of their marks, such as `{}`; write them as plain numbers to use them",
            counted.iter().find(|(value, _)| is_marked_number(value)).map_or("", |(value, _)| value)
        ));
    }
    if words >= 4.0 && share > 0.2 && distinct > 10 {
        return Guess::Use(Inferred {
            kind: "text",
            reason: format!("free text: {words:.0} words on average"),
        });
    }
    let repeated: u64 = counted.iter().filter(|(_, count)| *count > 1).map(|(_, count)| count).sum();
    if rows >= FEW_ROWS && repeated * 2 < present {
        if let Some(words) = recurring_words(&counted) {
            return Guess::Use(Inferred {
                kind: "text",
                reason: format!("short texts: {words:.0} words on average, which recur from row to row"),
            });
        }
        return Guess::LeaveOut(if distinct == rows {
            "an id: every row has another value".to_owned()
        } else {
            format!("mostly different: {distinct} values in {rows} rows")
        });
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

/// Tells whether a text is a number but for a currency sign, a percent sign or marks between thousands.
fn is_marked_number(text: &str) -> bool {
    let bare = text.trim_matches(|mark: char| "$€£¥%".contains(mark) || mark.is_whitespace());
    let mut groups = bare.split(',');
    let first = groups.next().unwrap_or_default();
    let mut thousands = groups.map(|group| group.split('.').next().unwrap_or_default()).peekable();
    let grouped = thousands.peek().is_none() || (first.len() <= 4 && thousands.all(|group| group.len() == 3));
    parse_number(text).is_none() && grouped && parse_number(&bare.replace(',', "")).is_some()
}

/// Words of a text, in a list or not; two Chinese, Japanese or Korean characters count as one.
fn words(text: &str) -> f64 {
    let wide = text.chars().filter(|letter| ('\u{2e80}'..'\u{fb00}').contains(letter)).count();
    (wide as f64 / 2.0).max(spaced(text).count() as f64)
}

/// What holds a letter or digit between white space.
fn spaced(text: &str) -> impl Iterator<Item = &str> {
    text.split(|letter: char| letter.is_whitespace() || letter == LIST_SEPARATOR)
        .filter(|word| word.contains(char::is_alphanumeric))
}

/// The words of a text without marks around them, each Chinese, Japanese or Korean character by itself.
fn spoken(text: &str) -> Vec<&str> {
    let mut words = Vec::new();
    for word in spaced(text) {
        if word.contains(is_wide) {
            words.extend(split_words(word).filter(|part| part.contains(char::is_alphanumeric)));
        } else {
            words.push(word.trim_matches(|mark: char| !mark.is_alphanumeric()));
        }
    }
    words
}

/// Words of a text on average, if different short texts are made of the same words, as titles are: two words or more,
/// each of which stands in two texts or more on average, and in half of the texts one that many share.
///
/// Codes, dates and addresses hold a number in every few words, and of the names of people none is common to many.
fn recurring_words(counted: &[(String, u64)]) -> Option<f64> {
    let (mut total, mut numbers, mut length) = (0usize, 0usize, 0.0);
    let mut texts: Vec<HashSet<String>> = Vec::with_capacity(counted.len());
    for (value, _) in counted {
        let mut text = HashSet::new();
        for word in spoken(value) {
            if word.contains(char::is_numeric) {
                numbers += 1;
                continue;
            }
            total += 1;
            length += if word.contains(is_wide) { 0.5 } else { 1.0 };
            text.insert(word.to_lowercase());
        }
        texts.push(text);
    }
    let mut holding: HashMap<&str, usize> = HashMap::new();
    texts.iter().flatten().for_each(|word| *holding.entry(word).or_default() += 1);
    let many = (texts.len() / 40).max(3);
    let shares = |text: &&HashSet<String>| text.iter().any(|word| holding[word.as_str()] >= many);
    let sharing = texts.iter().filter(shares).count();
    let mean = length / texts.len() as f64;
    let few_numbers = numbers * 3 < total + numbers;
    (mean >= 2.0 && few_numbers && holding.len() * 2 <= total && sharing * 2 >= texts.len()).then_some(mean)
}

fn mean(values: impl Iterator<Item = f64>) -> f64 {
    let (sum, count) = values.fold((0.0, 0.0), |(sum, count), value| (sum + value, count + 1.0));
    sum / f64::max(count, 1.0)
}
