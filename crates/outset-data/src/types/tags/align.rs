//! From what a source says of a text to one tag for each of its words or characters.

use super::scheme::{Written, to_iob2};
use crate::error::DataError;
use crate::spans::{self, Span};
use crate::table::{Cells, LIST_SEPARATOR, Text, TextBuilder};
use crate::types::text::is_wide;
use crate::types::text::units::{self, By, Unit};
use rayon::prelude::*;
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
/// span that begins or ends within a word takes in all of it.
///
/// # Errors
/// The first row that cannot be understood, or too many rows with spans that overlap.
pub fn align(pair: Pair<'_>, reading: Reading) -> Result<Aligned, DataError> {
    let rows = pair.text.len();
    let said = said(pair)?;
    let text = marked(pair.text);
    let of_row: Vec<String> = (0..rows)
        .map(|row| {
            let text = text.text(row).unwrap_or_default();
            let end = text.char_indices().nth(reading.max_characters).map_or(text.len(), |(end, _)| end);
            text[..end].to_owned()
        })
        .collect();
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
        .map(|(row, said)| said.map(|said| tag(row, &of_row[row], said, by, written, pair)))
        .collect();
    for (row, tagged) in tagged.into_iter().enumerate() {
        let Some(tagged) = tagged else {
            builder.push(None);
            continue;
        };
        let mut tagged = tagged?;
        for (count, rows) in [
            (tagged.overlaps, &mut mended.overlaps),
            (tagged.within, &mut mended.within),
            (tagged.unbegun, &mut mended.unbegun),
        ] {
            if count > 0 {
                rows.push(row + 1);
            }
        }
        if tagged.tags.len() > reading.max_length {
            mended.cut.push(row + 1);
            tagged.tags.truncate(reading.max_length);
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
            (&self.cut, "more than `max_length` allows; the rest is left out"),
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
fn choose(texts: &[String], said: &[Option<Said>]) -> By {
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
mod tests {
    use super::*;

    const READING: Reading = Reading { by: None, max_characters: 1000, max_length: 100, max_mended: 0.5 };

    fn aligned(rows: &[(&str, &str)], reading: Reading) -> Result<Aligned, DataError> {
        let column = |of: &dyn Fn(&(&str, &str)) -> String| {
            let cells: Vec<String> = rows.iter().map(|row| of(row).replace('/', "\u{1f}")).collect();
            Cells::Text(cells.iter().map(|cell| Some(cell.as_str())).collect())
        };
        let (text, tags) = (column(&|row| row.0.to_owned()), column(&|row| row.1.to_owned()));
        align(Pair { text_name: "text", text: &text, tags_name: "tags", tags: &tags }, reading)
    }

    fn check(rows: &[(&str, &str)], by: By, expected: &[&str], notes: &[&str]) {
        let found = aligned(rows, READING).unwrap_or_else(|error| panic!("{error}"));
        let cells: Vec<String> = (0..rows.len())
            .map(|row| found.cells.text(row).unwrap_or_default().replace('\u{1f}', " "))
            .collect();
        assert_eq!((found.by, cells), (by, expected.iter().map(|cell| (*cell).to_owned()).collect()));
        assert_eq!(found.notes, notes);
    }

    fn check_error(rows: &[(&str, &str)], expected: &str) {
        let error = aligned(rows, Reading { max_mended: 0.0, ..READING }).unwrap_err();
        let hint = error.hint().map_or(String::new(), |hint| format!("\nhint: {hint}"));
        assert_eq!(format!("{error}{hint}"), expected);
    }

    #[test]
    fn lists_of_tags_choose_how_texts_come_apart() {
        check(
            &[("U.S./won/it", "I-org/O/O"), ("A/B", "I-org/B-org"), ("can't", "O")],
            By::Words,
            &["B-org O O", "B-org B-org", "O"],
            &["`tags` tags the given tokens of `text` (IOB1, 1 type)"],
        );
        check(
            &[("Ada won.", "B-p O"), ("x, y", "O O")],
            By::Spaces,
            &["B-p O", "O O"],
            &["`tags` tags the words of `text` (IOB2, 1 type)"],
        );
        check(
            &[("Ada won.", "S-p O O"), ("", "")],
            By::Words,
            &["B-p O O", ""],
            &["`tags` tags the words of `text` (BIOES, 1 type)"],
        );
        check(
            &[("在北京", "O B-地 I-地"), ("很大", "O I-地")],
            By::Characters,
            &["O B-地 I-地", "O B-地"],
            &[
                "`tags` tags the characters of `text` (IOB2, 1 type)",
                "1 row of `tags` holds tags that continue an entity which has not begun, which begins there: row 2",
            ],
        );
    }

    #[test]
    fn spans_are_put_on_words_and_characters() {
        check(
            &[
                (
                    "call Ada Byron now",
                    r#"[{"start": 5, "end": 14, "type": "p"}, {"start": 5, "end": 8, "type": "q"}]"#,
                ),
                ("paid 12EUR", r#"[[5, 7, "sum"]]"#),
                ("no", ""),
            ],
            By::Words,
            &["O B-p I-p O", "O B-sum", "O"],
            &[
                "`tags` tags the words of `text` (spans, 2 types)",
                "1 row of `tags` holds spans that overlap, of which the longer ones are kept: row 1",
                "1 row of `tags` holds spans that begin or end within a word, all of which is taken in: row 2",
            ],
        );
        check(
            &[("叶老桂在北京", r#"{"name": {"叶老桂": [[0, 2]]}}"#)],
            By::Characters,
            &["B-name I-name I-name O O O"],
            &["`tags` tags the characters of `text` (spans, 1 type)"],
        );
    }

    #[test]
    fn rows_that_do_not_fit_are_named() {
        check_error(
            &[("a/b", "O/O"), ("a/b/c", "O/B-x")],
            "row 2 of column `tags` holds 2 tags, but `text` has 3 tokens there",
        );
        check_error(
            &[("ab", r#"[[0, 2, "x"]]"#), ("ab", r#"[[1, 3, "x"]]"#)],
            "the span from 1 to 3 (`x`) in row 2 of column `tags` does not lie within the text, which has 2 characters\n\
             hint: places count characters from 0, and `end` is the first character behind the span",
        );
        check_error(
            &[("abc", r#"{"x": {"ab": [[1, 2]]}}"#)],
            "the span from 1 to 3 (`x`) in row 1 of column `tags` should hold `ab`, but the text holds something else there\n\
             hint: places count characters from 0, and `end` is the first character behind the span",
        );
        check_error(
            &[("ab cd", r#"[[0, 5, "x"], [3, 5, "y"]]"#)],
            "1 of 1 rows of column `tags` hold spans that overlap, the first being row 1, but each word can have one tag\n\
             hint: mend them, or set `data.max_skipped` to at least 1 (it is 0), so that the longer span is kept",
        );
        check_error(
            &[("ab", "[[0, 1, \"x\"]]"), ("ab", "B-x")],
            "row 2 of column `tags` holds `B-x`, which is neither a list of tags nor one of spans\n\
             hint: tags come as a list with one for each word, spans as objects with `start`, `end` and `type`",
        );
    }

    #[test]
    fn columns_of_tags_are_recognised() {
        assert!(looks_like_tags(["O\u{1f}B-x", "O"].into_iter()));
        assert!(looks_like_tags([r#"[{"start":0,"end":1,"type":"x"}]"#].into_iter()));
        assert!(!looks_like_tags(["O", "yes"].into_iter()));
        assert!(!looks_like_tags(["B-12", "S-3"].into_iter()));
        assert!(!looks_like_tags([].into_iter()));
    }
}
