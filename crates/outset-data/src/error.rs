//! What can be wrong with the rows: facts first, wording in `Display`, advice in [`DataError::hint`].

use crate::pictures::Fault;
use outset_spec::problem::{nearest, quote_list};
use outset_spec::record::FileRecord;

/// What is wrong with the data, as facts; rows are numbered as in the source, the first after the header being 1.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum DataError {
    #[error("there is no column `{column}`")]
    UnknownColumn { column: String, known: Vec<String> },
    #[error("{} missing", missing_columns(.columns))]
    MissingColumns { columns: Vec<String>, known: Vec<String> },
    #[error("column `{column}` is a number, but row {row} holds `{found}`")]
    NotANumber { column: String, row: usize, found: String },
    #[error("column `{column}` is a number, but row {row} holds an infinite value")]
    Infinite { column: String, row: usize },
    #[error("column `{column}` is a date written as {format}, but row {row} holds `{found}`")]
    NotADate { column: String, row: usize, found: String, format: String },
    #[error("column `{column}` is a date, but no common way of writing dates fits all of its cells")]
    NoDateFormat { column: String },
    #[error("column `{column}` holds pictures, but row {row} holds `{found}`")]
    NotPictures { column: String, row: usize, found: String },
    #[error("the picture `{name}` in row {row} of column `{column}` {fault}")]
    Picture { column: String, row: usize, name: String, fault: Fault },
    #[error("{skipped} of {rows} pictures in column `{column}` cannot be used: {}", and_more(.words, *.skipped))]
    TooManySkipped { column: String, rows: usize, skipped: usize, words: Vec<String>, most: f64 },
    #[error("column `{column}` holds no value in the train part")]
    EmptyColumn { column: String },
    #[error("column `{column}` has no tokenizer: {}{message}", file.as_ref().map(|file| format!("`{file}`: ")).unwrap_or_default())]
    Tokenizer { column: String, file: Option<String>, message: String },
    #[error("column `{column}` has no word vectors: `{file}`: {message}")]
    Vectors { column: String, file: String, message: String },
    #[error("column `{column}` is to be predicted, but holds no value in any row")]
    NoTargets { column: String },
    #[error("column `{column}` is to be predicted, but every row of the train part holds `{value}`")]
    OneValue { column: String, value: String },
    #[error("column `{column}` is a {kind}, which cannot be predicted")]
    NotAnOutput { column: String, kind: String },
    #[error(
        "class `{class}` of column `{column}` has {}, but a stratified split into {parts} parts needs {parts} of each class",
        rows_of(*.rows)
    )]
    ClassTooSmall { column: String, class: String, rows: usize, parts: usize },
    #[error("a stratified split needs an output that is a category")]
    NothingToStratify,
    #[error("column `{column}` is of tags, which can be predicted but are no input")]
    NotAnInput { column: String },
    #[error(
        "row {row} of column `{column}` holds `{found}`, which is neither a list of tags nor one of spans"
    )]
    NotTags { column: String, row: usize, found: String },
    #[error("row {row} of column `{column}` holds {}, but `{text}` has {units} {units_word} there", tags_of(*.tags))]
    TagCount { column: String, row: usize, tags: usize, text: String, units: usize, units_word: &'static str },
    #[error(
        "the span from {start} to {end} (`{kind}`) in row {row} of column `{column}` {}",
        misplaced(.expected.as_deref(), *.length)
    )]
    Span {
        column: String,
        row: usize,
        start: usize,
        end: usize,
        kind: String,
        length: usize,
        expected: Option<String>,
    },
    #[error(
        "{overlapping} of {rows} rows of column `{column}` hold spans that overlap, the first being row {first}, \
         but each word can have one tag"
    )]
    TooManyOverlaps { column: String, rows: usize, overlapping: usize, first: usize, most: f64 },
    #[error("column `{column}` holds the tag `{class}` in row {row}, but in no row of the train part")]
    UnseenTag { column: String, class: String, row: usize },
    #[error("column `{column}` holds the class `{class}` in row {row}, but in no row of the train part")]
    UnseenClass { column: String, class: String, row: usize },
    #[error("no rows are left: {}", all_dropped(.reasons))]
    NoRows { reasons: Vec<(String, usize)> },
    #[error("there {}, too few for {parts} parts", are_rows(*.rows))]
    TooFewRows { rows: usize, parts: usize },
    #[error("the {part} part would be empty")]
    EmptyPart { part: &'static str },
    #[error("column `{column}` has {groups} different groups, too few for {parts} parts")]
    TooFewGroups { column: String, groups: usize, parts: usize },
    #[error("column `{column}` orders the rows in time, but row {row} holds no value")]
    NoTime { column: String, row: usize },
    #[error("column `{column}` names the part of each row, but row {row} holds `{found}`")]
    NotAPart { column: String, row: usize, found: String },
    #[error("column `{column}` says how much each row counts, but row {row} holds {found}")]
    BadWeight { column: String, row: usize, found: String },
    #[error("{error} (in `{file}`)")]
    InFile { file: String, error: Box<DataError> },
}

impl DataError {
    /// Names the file that the row is in and counts the row from that file's beginning; `files` in the order of their rows.
    #[must_use]
    pub fn located(mut self, files: &[FileRecord]) -> Self {
        let Some(row) = self.row() else { return self };
        let mut before = 0;
        for file in files {
            if *row <= before + file.rows {
                *row -= before;
                return Self::InFile { file: file.path.clone(), error: Box::new(self) };
            }
            before += file.rows;
        }
        self
    }

    fn row(&mut self) -> Option<&mut usize> {
        match self {
            Self::NotANumber { row, .. }
            | Self::Infinite { row, .. }
            | Self::NotADate { row, .. }
            | Self::UnseenClass { row, .. }
            | Self::NotTags { row, .. }
            | Self::TagCount { row, .. }
            | Self::Span { row, .. }
            | Self::UnseenTag { row, .. }
            | Self::NoTime { row, .. }
            | Self::NotAPart { row, .. }
            | Self::BadWeight { row, .. } => Some(row),
            _ => None,
        }
    }

    /// What to do about it, where that is sure.
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::UnknownColumn { column, known } => Some(known_columns(column, known)),
            Self::MissingColumns { columns, known } => {
                let near: Vec<String> = columns
                    .iter()
                    .filter_map(|column| {
                        nearest(column, known.iter().map(String::as_str))
                            .map(|near| format!("`{near}` may be meant for `{column}`"))
                    })
                    .collect();
                (!near.is_empty()).then(|| near.join(", "))
            }
            Self::NotANumber { found, .. } => Some(format!(
                "add `{found:?}` to `data.missing`, or set the column's type to `category`"
            )),
            Self::NotPictures { .. } => Some("write the path of a picture's file, relative to the file of the row".into()),
            // `data.max_skipped` is at most 1.
            Self::TooManySkipped { column, skipped, rows, .. } if skipped >= rows => {
                Some(format!("mend them, or add `{column:?}` to `data.exclude`"))
            }
            Self::TooManySkipped { skipped, rows, most, .. } => Some(format!(
                "mend or remove them, or set `data.max_skipped` to more than {:.2} (it is {most})",
                *skipped as f64 / *rows as f64
            )),
            Self::NotADate { found, .. } => Some(format!(
                "add `{found:?}` to `data.missing`, or name the column's `format`, for example `%d.%m.%Y`"
            )),
            Self::NoDateFormat { .. } => {
                Some("name the column's `format`, for example `%d.%m.%Y`, or set its type to `category`".into())
            }
            Self::EmptyColumn { column } => Some(format!("add `{column:?}` to `data.exclude`")),
            Self::Tokenizer { file: Some(_), .. } => {
                Some("the file must be a `tokenizer.json` as the `tokenizers` library writes it".into())
            }
            Self::Vectors { .. } => Some(
                "a line of the file is a word and its numbers, as GloVe and word2vec write them as text; `tokenizer = \"words\"` reads whole words".into(),
            ),
            Self::NotAnOutput { .. } => Some("an output is a `number`, a `category`, a `set` or of `tags`".into()),
            Self::ClassTooSmall { .. } => {
                Some("add rows of it, leave it out or join it with another class, or set `data.split.by` to `random`".into())
            }
            Self::NothingToStratify => Some("set `data.split.by` to `random`".into()),
            Self::UnseenClass { .. } => {
                Some("set `data.split.by` to `stratified`, or leave the class out or join it with another".into())
            }
            Self::NotTags { .. } => Some(
                "tags come as a list with one for each word, spans as objects with `start`, `end` and `type`".into(),
            ),
            Self::Span { .. } => Some(
                "places count characters from 0, and `end` is the first character behind the span".into(),
            ),
            Self::TooManyOverlaps { overlapping, rows, most, .. } => Some(format!(
                "mend them, or set `data.max_skipped` to at least {} (it is {most}), so that the longer span is kept",
                (*overlapping as f64 / *rows as f64 * 1000.0).ceil() / 1000.0
            )),
            Self::UnseenTag { .. } => {
                Some("add train rows that hold it, leave those rows out, or join it with another type".into())
            }
            Self::TooFewRows { .. } => Some("a model needs at least some dozens of rows".into()),
            Self::EmptyPart { part } => {
                Some(format!("give `data.split.{part}` a larger share, or name a file as `data.{part}`"))
            }
            Self::TooFewGroups { .. } => Some("all rows of a group share one part, so more groups are needed".into()),
            Self::NotAPart { .. } => Some("write `train`, `val` or `test`".into()),
            Self::BadWeight { .. } => Some("a weight is a number of at least 0".into()),
            Self::InFile { error, .. } => error.hint(),
            _ => None,
        }
    }
}

/// Advice on a column name that is none of `known`.
pub(crate) fn known_columns(column: &str, known: &[String]) -> String {
    match nearest(column, known.iter().map(String::as_str)) {
        Some(near) => format!("did you mean `{near}`?"),
        None => format!("known here: {}", quote_list(known)),
    }
}

fn missing_columns(columns: &[String]) -> String {
    match columns {
        [column] => format!("column `{column}` is"),
        columns => format!("columns {} are", quote_list(columns)),
    }
}

fn and_more(words: &[String], count: usize) -> String {
    let rest = if words.len() < count { " …" } else { "" };
    format!("{}{rest}", words.join(", "))
}

fn rows_of(rows: usize) -> String {
    if rows == 1 { "1 row".into() } else { format!("{rows} rows") }
}

fn tags_of(tags: usize) -> String {
    if tags == 1 { "1 tag".into() } else { format!("{tags} tags") }
}

/// What is wrong with a span.
fn misplaced(expected: Option<&str>, length: usize) -> String {
    match expected {
        Some(expected) => {
            format!("should hold `{expected}`, but the text holds something else there")
        }
        None => format!("does not lie within the text, which has {length} characters"),
    }
}

fn are_rows(rows: usize) -> String {
    if rows == 1 { "is 1 row".into() } else { format!("are {rows} rows") }
}

fn all_dropped(reasons: &[(String, usize)]) -> String {
    if reasons.is_empty() {
        return "the source holds none".into();
    }
    let reasons: Vec<String> =
        reasons.iter().map(|(reason, count)| format!("{} left out ({reason})", rows_of(*count))).collect();
    reasons.join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_more_than_all_pictures_can_be_skipped() {
        let hint = |skipped| {
            let (column, words) = ("photo".into(), Vec::new());
            DataError::TooManySkipped { column, rows: 4, skipped, words, most: 0.01 }.hint().unwrap()
        };
        assert_eq!(hint(3), "mend or remove them, or set `data.max_skipped` to more than 0.75 (it is 0.01)");
        assert_eq!(hint(4), "mend them, or add `\"photo\"` to `data.exclude`");
    }

    #[test]
    fn a_row_is_counted_from_the_beginning_of_its_file() {
        let file = |path: &str, rows| FileRecord { path: path.into(), rows, ..FileRecord::default() };
        let files = [file("a.csv", 3), file("b.csv", 5)];
        let infinite = |row| DataError::Infinite { column: "x".into(), row }.located(&files).to_string();
        assert_eq!(infinite(3), "column `x` is a number, but row 3 holds an infinite value (in `a.csv`)");
        assert_eq!(infinite(4), "column `x` is a number, but row 1 holds an infinite value (in `b.csv`)");
        assert_eq!(infinite(9), "column `x` is a number, but row 9 holds an infinite value");
    }
}
