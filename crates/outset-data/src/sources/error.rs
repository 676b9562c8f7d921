//! What can be wrong with a source.

use outset_spec::problem::quote_list;
use std::fmt::Write as _;
use std::io;
use thiserror::Error;

/// What can be read, for messages.
pub(super) const READABLE: &str =
    "CSV, TSV, JSON, JSON Lines, CoNLL or Parquet, plain, `.gz`, `.zst` or a `.zip` of one file";

/// Why a source could not be read.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum SourceError {
    /// The file or folder is not there.
    #[error("`{path}` does not exist")]
    NotFound { path: String, near: Option<String> },
    /// The operating system refused.
    #[error("`{path}` cannot be read")]
    Io { path: String, source: io::Error },
    /// The file has no content.
    #[error("`{path}` is empty, but must hold at least one row")]
    Empty { path: String },
    /// The file has a header line and nothing below it.
    #[error("`{path}` has a header line of {columns} columns but no rows")]
    HeaderOnly { path: String, columns: usize },
    /// The file is of a known kind that holds no table.
    #[error("`{path}` is {found}, but must be {READABLE}")]
    Binary { path: String, found: &'static str, spreadsheet: bool },
    /// The file is a picture where rows must be.
    #[error("`{path}` is {found}, but must be {READABLE}")]
    Picture { path: String, found: &'static str },
    /// The file is of a kind that may be supported later.
    #[error("`{path}` is {found}, which is not supported yet, but must be {READABLE}")]
    NotSupported { path: String, found: &'static str, archive: bool },
    /// The folder holds no data file.
    #[error("folder `{path}` holds no data file, but must hold some that end in {endings}")]
    EmptyFolder { path: String, endings: String },
    /// The folder holds nothing but what is not looked at, such as folders elsewhere that links lead to.
    #[error("folder `{path}` holds no data that is read: {}", unseen.join("; "))]
    Unseen { path: String, unseen: Vec<String>, linked: bool },
    /// The folder holds data files of several kinds.
    #[error(
        "folder `{path}` holds data files of several kinds ({}), but must hold one kind",
        quote_list(kinds)
    )]
    MixedFolder { path: String, kinds: Vec<String> },
    /// The compressed file is damaged.
    #[error("`{path}` cannot be decompressed as {format}: the file is damaged or cut off")]
    Damaged { path: String, format: &'static str, source: io::Error },
    /// `data.encoding` is not the name of an encoding.
    #[error("`data.encoding` is `{found}`, but must be the name of an encoding such as `utf-8` or `gb18030`")]
    UnknownEncoding { found: String },
    /// `data.delimiter` is not one character.
    #[error("`data.delimiter` is `{found}`, but must be one ASCII character or `tab`")]
    Delimiter { found: String },
    /// A setting for delimited text is given for a file of another format.
    #[error("`data.{key}` is set, but `{path}` is {format}, which has no such thing")]
    NotDelimited { path: String, key: &'static str, format: String },
    /// A row has more or fewer cells than there are columns.
    #[error("line {line} of `{path}` has {}, but must have {expected} as {} does", cells(*found), first_line(*header))]
    Ragged { path: String, line: u64, expected: usize, found: usize, header: bool, delimiter: &'static str },
    /// A line of a CoNLL file has more or fewer columns than the first.
    #[error("line {line} of `{path}` has {}, but must have {expected} as the first token has", columns(*found))]
    TokenLine { path: String, line: u64, expected: usize, found: usize },
    /// A cell starts with a quote that is never closed.
    #[error("the quote that opens in line {line} of `{path}` is never closed")]
    OpenQuote { path: String, line: u64 },
    /// A quoted cell goes on behind its closing quote.
    #[error("a quoted cell in line {line} of `{path}` goes on after its closing quote")]
    AfterQuote { path: String, line: u64 },
    /// Two columns have one name.
    #[error(
        "column name `{name}` stands twice in `{path}`, at columns {first} and {second}, but names must differ"
    )]
    DuplicateColumn { path: String, name: String, first: usize, second: usize },
    /// `data.columns` names more or fewer columns than there are.
    #[error("`data.columns` names {}, but `{path}` has {found}", columns(*named))]
    ColumnCount { path: String, named: usize, found: usize },
    /// Files that belong together have different columns.
    #[error("`{path}` has other columns than `{first}`: {}", differences(missing, extra))]
    ColumnsDiffer { path: String, first: String, missing: Vec<String>, extra: Vec<String> },
    /// A number is infinite or too large.
    #[error("column `{column}` in `{path}` is a number, but row {row} holds `{found}`, which is not finite")]
    Infinite { path: String, column: String, row: usize, found: String },
    /// The text is not JSON.
    #[error("line {line} of `{path}` is not valid JSON at column {column}: {reason}")]
    Json { path: String, line: usize, column: usize, reason: String },
    /// A row of a JSON file is not an object.
    #[error("line {line} of `{path}` holds {found}, but a row must be an object")]
    JsonRow { path: String, line: usize, found: &'static str },
    /// A JSON file is one object instead of many rows.
    #[error("`{path}` holds one JSON object, but must hold an array of objects or one object a line")]
    JsonObject { path: String },
    /// A key stands twice in one JSON object.
    #[error("key `{key}` stands twice in row {row} of `{path}`")]
    JsonDuplicate { path: String, row: usize, key: String },
    /// A value is nested deeper than a cell can be.
    #[error(
        "`{key}` in row {row} of `{path}` is {found}, but a cell must be a text, a number, true, false, null \
         or a list of these"
    )]
    Nested { path: String, row: usize, key: String, found: &'static str },
    /// A Parquet column is nested deeper than a cell can be, or of a type that is no cell.
    #[error(
        "column `{column}` of `{path}` is {found}, but must be a number, a text, a boolean, a date, a time or a list \
         of these"
    )]
    ParquetColumn { path: String, column: String, found: &'static str },
    /// The Parquet file is damaged or uses something unknown.
    #[error("`{path}` cannot be read as Parquet")]
    Parquet { path: String, source: parquet::errors::ParquetError },
    /// A file of pictures in MNIST's format is not what its head says.
    #[error("`{path}` cannot be read as IDX: {reason}")]
    Idx { path: String, reason: String },
    /// Folders of pictures stand beside files of rows.
    #[error("`{pictures}` holds pictures and `{table}` rows, but all sources must be of one kind")]
    PicturesAndTables { pictures: String, table: String },
    /// No file was named.
    #[error("no data file is named")]
    Nothing,
}

impl SourceError {
    /// Says what to do about it, where that is sure.
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::NotFound { near, .. } => near.as_ref().map(|near| format!("did you mean `{near}`?")),
            Self::HeaderOnly { .. } => Some("if its line is a row, set `data.header = false`".into()),
            Self::Binary { spreadsheet: true, .. } => Some("save it as CSV".into()),
            Self::Picture { .. } => Some(
                "pictures are read from a folder with a folder for each class, an archive of them, or a table with a \
                 column of paths"
                    .into(),
            ),
            Self::Unseen { linked: true, .. } => {
                Some("put the folders themselves, or copies of them, in place of the links".into())
            }
            Self::NotSupported { archive: true, .. } => {
                Some("unpack it and name the data files inside".into())
            }
            Self::MixedFolder { .. } => Some("name the files: `source = [\"a.csv\", \"b.csv\"]`".to_owned()),
            Self::Ragged { expected, found, delimiter, .. } if found > expected => {
                Some(format!("a cell that holds a {delimiter} must stand in quotes"))
            }
            Self::TokenLine { .. } => Some("an empty line ends a sentence".into()),
            Self::OpenQuote { .. } | Self::AfterQuote { .. } => {
                Some("inside a quoted cell, write each quote twice: `\"\"`".into())
            }
            Self::DuplicateColumn { .. } => {
                Some("rename one, or name all with `data.columns` and `data.header = true`".into())
            }
            Self::Infinite { found, .. } => {
                Some(format!("if it stands for a missing value, add `\"{found}\"` to `data.missing`"))
            }
            Self::NotDelimited { key, .. } => Some(format!("remove `data.{key}`")),
            Self::PicturesAndTables { .. } => {
                Some("name the file of rows alone, with a column that holds the paths of the pictures".into())
            }
            Self::JsonObject { .. } => Some("put the rows into `[` and `]`".into()),
            _ => None,
        }
    }
}

fn cells(count: usize) -> String {
    if count == 1 { "1 cell".into() } else { format!("{count} cells") }
}

fn columns(count: usize) -> String {
    if count == 1 { "1 column".into() } else { format!("{count} columns") }
}

fn first_line(header: bool) -> &'static str {
    if header { "the header line" } else { "the first row" }
}

fn differences(missing: &[String], extra: &[String]) -> String {
    let mut text = String::new();
    for (names, one, many) in [(missing, "is missing", "are missing"), (extra, "is new", "are new")] {
        if !names.is_empty() {
            let verb = if names.len() == 1 { one } else { many };
            let comma = if text.is_empty() { "" } else { ", " };
            let _ = write!(text, "{comma}{} {verb}", quote_list(names));
        }
    }
    text
}
