//! From what a source says of a text to one tag for each of its words or characters.

use super::scheme::{Written, to_iob2};
use crate::error::DataError;
use crate::spans::{self, Span};
use crate::table::{Cells, LIST_SEPARATOR, Text, TextBuilder};
use crate::types::text::units::{self, By, Unit};
use crate::types::text::{first_characters, is_wide};
use rayon::prelude::*;
use std::borrow::Cow;
use std::collections::BTreeSet;

/// Rows that a note names.
const NAMED: usize = 5;

/// A column of texts and one of tags or spans for them.
#[derive(Clone, Copy, Debug)]
pub struct Pair<'a> {
    pub text_name: &'a str,
    pub text: &'a Cells,
    pub tags_name: &'a str,
    pub tags: &'a Cells,
}

/// How a text is read for its tags, where the file says so.
#[derive(Clone, Copy, Debug)]
pub struct Reading {
    pub by: Option<By>,
    /// Characters of a text that are read.
    pub max_characters: usize,
    /// Words or characters of a text that are read.
    pub max_length: usize,
    /// Share of the rows that may be mended.
    pub max_mended: f64,
}

/// Tags that stand beside their texts.
#[derive(Clone, Debug, PartialEq)]
pub struct Aligned {
    /// The texts; of given tokens a single one is marked as such.
    pub text: Cells,
    /// For each row its tags in IOB2, or plain labels, parted by the unit separator.
    pub cells: Cells,
    pub by: By,
    pub written: Written,
    /// What was understood and what had to be mended, one sentence each.
    pub notes: Vec<String>,
}

/// What a row's cell says.
enum Said {
    Tags(Vec<String>),
    Spans(Vec<Span>),
}

/// What had to be mended in the rows, with the numbers of some.
#[derive(Default)]
struct Mended {
    overlaps: Vec<usize>,
    within: Vec<usize>,
    unbegun: Vec<usize>,
    cut: Vec<usize>,
}

/// Gives every word or character of the texts its tag.
///
/// Lists of tags must be as long as the texts; spans must lie within them. Of two spans that overlap the longer is kept. A
/// span that begins or ends within a word takes in all of it. Only then are the tags cut to what is read of a long text.
///
/// # Errors
/// The first row that cannot be understood, or too many rows with spans that overlap.
pub fn align(pair: Pair<'_>, reading: Reading) -> Result<Aligned, DataError> {
    let rows = pair.text.len();
    let said = said(pair)?;
    let text = marked(pair.text);
    let of_row: Vec<Cow<'_, str>> = (0..rows).map(|row| text.text(row).unwrap_or_default()).collect();
    let lists: Vec<Vec<&str>> = said
        .iter()
        .flatten()
        .filter_map(|said| match said {
            Said::Tags(tags) => Some(tags.iter().map(String::as_str).collect()),
            Said::Spans(_) => None,
        })
        .collect();
    let of_spans = lists.is_empty();
    let written = if of_spans { Written::Iob2 } else { Written::of(lists.iter().map(Vec::as_slice)) };
    let by = match reading.by {
        Some(by) => by,
        None => choose(&of_row, &said),
    };
    let mut builder = TextBuilder::default();
    let mut mended = Mended::default();
    let mut kinds: BTreeSet<String> = BTreeSet::new();
    let tagged: Vec<Option<Result<Row, DataError>>> = said
        .into_par_iter()
        .enumerate()
        .map(|(row, said)| {
            let text = &of_row[row];
            said.map(|said| {
                tag(row, text, said, by, written, pair).map(|tagged| cut(tagged, text, by, written, reading))
            })
        })
        .collect();
    for (row, tagged) in tagged.into_iter().enumerate() {
        let Some(tagged) = tagged else {
            builder.push(None);
            continue;
        };
        let tagged = tagged?;
        for (is_so, rows) in [
            (tagged.overlaps > 0, &mut mended.overlaps),
            (tagged.within > 0, &mut mended.within),
            (tagged.unbegun > 0, &mut mended.unbegun),
            (tagged.is_cut, &mut mended.cut),
        ] {
            if is_so {
                rows.push(row + 1);
            }
        }
        kinds.extend(tagged.tags.iter().filter_map(|tag| Some(super::scheme::parts(tag)?.1.to_owned())));
        builder.push(Some(&tagged.tags.join(LIST_SEPARATOR.encode_utf8(&mut [0; 4]))));
    }
    if mended.overlaps.len() as f64 > reading.max_mended * rows as f64 {
        return Err(DataError::TooManyOverlaps {
            column: pair.tags_name.to_owned(),
            rows,
            overlapping: mended.overlaps.len(),
            first: mended.overlaps[0],
            most: reading.max_mended,
        });
    }
    let source = if of_spans { "spans" } else { written.word() };
    let given = of_row.iter().any(|text| text.contains(LIST_SEPARATOR));
    let units = if given { "given tokens" } else { by.units() };
    let types = match (kinds.len(), written) {
        (_, Written::Plain) => String::new(),
        (1, _) => ", 1 type".to_owned(),
        (count, _) => format!(", {count} types"),
    };
    let mut notes =
        vec![format!("`{}` tags the {units} of `{}` ({source}{types})", pair.tags_name, pair.text_name)];
    notes.extend(mended.notes(pair));
    Ok(Aligned { text, cells: Cells::Text(builder.finish()), by, written, notes })
}

/// The texts, where some are lists of tokens all of them so: a list of one came as its only token.
fn marked(text: &Cells) -> Cells {
    match text {
        Cells::Text(text) if text.values.iter().any(|text| text.contains(LIST_SEPARATOR)) => {
            let list = |text: &String| {
                let is_list = text.is_empty() || text.contains(LIST_SEPARATOR);
                if is_list { text.clone() } else { units::of_tokens(&[text.as_str()]) }
            };
            let values = text.values.iter().map(list).collect();
            Cells::Text(Text { codes: text.codes.clone(), values })
        }
        text => text.clone(),
    }
}

impl Mended {
    fn notes(&self, pair: Pair<'_>) -> Vec<String> {
        let sentences = [
            (&self.overlaps, "spans that overlap, of which the longer ones are kept"),
            (&self.within, "spans that begin or end within a word, all of which is taken in"),
            (&self.unbegun, "tags that continue an entity which has not begun, which begins there"),
            (&self.cut, "more than `max_characters` or `max_length` allows; the rest is left out"),
        ];
        let named = |rows: &[usize]| {
            let numbers: Vec<String> = rows.iter().take(NAMED).map(usize::to_string).collect();
            let more = if rows.len() > NAMED { ", …" } else { "" };
            let word = if rows.len() == 1 { "row" } else { "rows" };
            format!("{word} {}{more}", numbers.join(", "))
        };
        sentences
            .into_iter()
            .filter(|(rows, _)| !rows.is_empty())
            .map(|(rows, what)| {
                let count = if rows.len() == 1 { "1 row".into() } else { format!("{} rows", rows.len()) };
                let verb = if rows.len() == 1 { "holds" } else { "hold" };
                format!("{count} of `{}` {verb} {what}: {}", pair.tags_name, named(rows))
            })
            .collect()
    }
}

/// What each row's cell says; `None` where it is missing.
fn said(pair: Pair<'_>) -> Result<Vec<Option<Said>>, DataError> {
    let Cells::Text(tags) = pair.tags else {
        let found = pair.tags.text(0).map(|text| text.into_owned()).unwrap_or_default();
        return Err(DataError::NotTags { column: pair.tags_name.to_owned(), row: 1, found });
    };
    let of_spans = tags.values.iter().any(|cell| spans::is_cell(cell));
    let read = |cell: &str| -> Option<Said> {
        if of_spans {
            return if cell.trim().is_empty() {
                Some(Said::Spans(Vec::new()))
            } else {
                spans::from_cell(cell).map(Said::Spans)
            };
        }
        let owned = |tag: &str| tag.trim().to_owned();
        Some(Said::Tags(match cell {
            "" => Vec::new(),
            cell if cell.contains(LIST_SEPARATOR) => cell.split(LIST_SEPARATOR).map(owned).collect(),
            cell => cell.split_whitespace().map(owned).collect(),
        }))
    };
    (0..tags.codes.len())
        .map(|row| match tags.get(row) {
            None => Ok(None),
            Some(cell) => read(cell).map(Some).ok_or_else(|| DataError::NotTags {
                column: pair.tags_name.to_owned(),
                row: row + 1,
                found: cell.chars().take(60).collect(),
            }),
        })
        .collect()
}

/// How the texts come apart: so that their pieces are as many as the tags; for spans, characters where most letters are
/// Chinese, Japanese or Korean, else words.
fn choose(texts: &[Cow<'_, str>], said: &[Option<Said>]) -> By {
    let mut counts = [0usize; By::ALL.len()];
    let (mut wide, mut letters) = (0usize, 0usize);
    for (text, said) in texts.iter().zip(said) {
        if let Some(Said::Tags(tags)) = said {
            for (count, by) in counts.iter_mut().zip(By::ALL) {
                *count += usize::from(units::split(text, by).len() == tags.len());
            }
        }
        wide += text.chars().filter(|letter| is_wide(*letter)).count();
        letters += text.chars().filter(|letter| letter.is_alphabetic()).count();
    }
    if texts.iter().any(|text| text.contains(LIST_SEPARATOR)) {
        // The tokens of such a file are words with their marks apart; a text to come is read alike.
        return By::Words;
    }
    let most = counts.into_iter().max().unwrap_or(0);
    let wide = wide * 2 > letters;
    let fits =
        |by: &By| most > 0 && By::ALL.iter().zip(counts).any(|(other, count)| other == by && count == most);
    // Where a text without spaces is tagged, words and characters are the same.
    let first = if wide { By::Characters } else { By::Spaces };
    std::iter::once(first).chain(By::ALL).find(fits).unwrap_or(if wide { By::Characters } else { By::Words })
}

/// A row with its tags and what had to be mended.
#[derive(Default)]
struct Row {
    tags: Vec<String>,
    overlaps: usize,
    within: usize,
    unbegun: usize,
    is_cut: bool,
}

/// Leaves out the tags of what is not read of a text, so that each unit that is read has one.
fn cut(mut row: Row, text: &str, by: By, written: Written, reading: Reading) -> Row {
    let part = first_characters(text, reading.max_characters);
    // The mark behind a list of one token is no part of it.
    let length = text.strip_suffix(LIST_SEPARATOR).unwrap_or(text).len();
    row.is_cut = part.len() < length || row.tags.len() > reading.max_length;
    if part.len() < text.len() {
        let whole = units::split(text, by);
        // Each unit lies within one of the whole text. Several do where nothing but a part of a list's first token is left,
        // which comes apart as any other text.
        let tag_of = |unit: &Unit<'_>| {
            let place = whole.partition_point(|other| other.start <= unit.start) - 1;
            let tag = &row.tags[place];
            match super::scheme::parts(tag) {
                Some(('B', kind)) if written != Written::Plain && whole[place].start < unit.start => {
                    format!("I-{kind}")
                }
                _ => tag.clone(),
            }
        };
        row.tags = units::split(part, by).iter().map(tag_of).collect();
    }
    row.tags.truncate(reading.max_length);
    row
}

fn tag(
    row: usize,
    text: &str,
    said: Said,
    by: By,
    written: Written,
    pair: Pair<'_>,
) -> Result<Row, DataError> {
    let units = units::split(text, by);
    // A text without a word is one without a unit, not one with an empty token.
    let units = if text.is_empty() { Vec::new() } else { units };
    match said {
        Said::Tags(tags) => {
            if tags.len() != units.len() {
                let units_word = if text.contains(LIST_SEPARATOR) { "tokens" } else { by.units() };
                return Err(DataError::TagCount {
                    column: pair.tags_name.to_owned(),
                    row: row + 1,
                    tags: tags.len(),
                    text: pair.text_name.to_owned(),
                    units: units.len(),
                    units_word,
                });
            }
            let tags: Vec<&str> = tags.iter().map(String::as_str).collect();
            let (tags, unbegun) = to_iob2(&tags, written);
            Ok(Row { tags, unbegun, ..Row::default() })
        }
        Said::Spans(spans) => place(row, text, spans, &units, pair),
    }
}

/// Puts the spans of a row on its units.
fn place(
    row: usize,
    text: &str,
    mut spans: Vec<Span>,
    units: &[Unit<'_>],
    pair: Pair<'_>,
) -> Result<Row, DataError> {
    let letters: Vec<char> = units::as_read(text).chars().collect();
    for span in &spans {
        let wrong = |expected: Option<String>| DataError::Span {
            column: pair.tags_name.to_owned(),
            row: row + 1,
            start: span.start,
            end: span.end,
            kind: span.kind.clone(),
            length: letters.len(),
            expected,
        };
        if span.start >= span.end || span.end > letters.len() || span.kind.trim().is_empty() {
            return Err(wrong(None));
        }
        let found: String = letters[span.start..span.end].iter().collect();
        if let Some(expected) = &span.text
            && *expected != found
        {
            return Err(wrong(Some(expected.clone())));
        }
    }
    let mut mended = Row { tags: vec!["O".to_owned(); units.len()], ..Row::default() };
    // The longest first: what they have taken is no one else's.
    spans.sort_by_key(|span| (std::cmp::Reverse(span.end - span.start), span.start));
    for span in spans {
        let first = units.partition_point(|unit| unit.end <= span.start);
        let behind = units.partition_point(|unit| unit.start < span.end);
        if first >= behind {
            continue;
        }
        if mended.tags[first..behind].iter().any(|tag| tag != "O") {
            mended.overlaps += 1;
            continue;
        }
        mended.within += usize::from(units[first].start < span.start || units[behind - 1].end > span.end);
        for (place, tag) in mended.tags[first..behind].iter_mut().enumerate() {
            *tag = format!("{}-{}", if place == 0 { 'B' } else { 'I' }, span.kind);
        }
    }
    Ok(mended)
}

/// Tells whether the cells of a column are tags of entities, or spans.
pub fn looks_like_tags<'a>(cells: impl Iterator<Item = &'a str>) -> bool {
    let (mut tags, mut spans, mut all) = (0usize, 0usize, 0usize);
    // A code such as `B-12` looks like a tag, too.
    let (mut listed, mut outside) = (false, false);
    for cell in cells.take(1000) {
        all += 1;
        if spans::is_cell(cell) {
            spans += usize::from(spans::from_cell(cell).is_some());
        } else {
            let list = cell.split([LIST_SEPARATOR, ' ']);
            let is_tag = |tag: &str| tag == "O" || super::scheme::parts(tag).is_some();
            tags += usize::from(!cell.is_empty() && list.clone().all(is_tag));
            listed |= list.clone().count() > 1;
            outside |= list.clone().any(|tag| tag == "O");
        }
    }
    all > 0 && (spans * 10 >= all * 9 || (tags == all && listed && outside))
}

/// Tells whether each list of a column has as many elements as that of another.
pub fn same_lengths(a: &Text, b: &Text) -> bool {
    let count =
        |text: &Text, row: usize| text.get(row).map(|cell| units::tokens(cell).map_or(1, Iterator::count));
    let listed = a.values.iter().any(|cell| cell.contains(LIST_SEPARATOR));
    listed && (0..a.codes.len()).all(|row| count(a, row) == count(b, row))
}

#[cfg(test)]
mod tests;
