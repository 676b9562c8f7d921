//! Reads files into a table: recognises format, encoding, delimiter and header line, and says what it recognised.
//!
//! A format is one file that offers `recognise`, which looks at a file and gives a `Source` or passes; the function
//! `recognise` below holds the list of formats. A source hands its cells to `Columns`, which decides what is a number.

mod archive;
mod columns;
mod conll;
mod delimited;
mod dialect;
mod dictionary;
mod encoding;
mod error;
mod folders;
mod idx;
mod input;
mod json;
mod locate;
mod magic;
mod missing;
mod number;
mod parquet;
mod records;
#[cfg(test)]
mod tests;

pub use error::SourceError;
pub use folders::PICTURES;

use crate::table::Table;
use columns::Columns;
use encoding::TextFile;
use input::Input;
use magic::Class;
use missing::Missing;
use outset_spec::problem::quote_list;
use outset_spec::record::FileRecord;
use outset_spec::{Data, Files};
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

/// A file that is read beside the rows, with its hash; `format` says what it holds.
///
/// # Errors
/// If it cannot be read.
pub fn beside(path: &str, format: &str) -> Result<FileRecord, SourceError> {
    let input = Input::file(path.into(), path)?;
    let (sha256, bytes) = input.digest(&AtomicBool::new(false))?;
    Ok(FileRecord { path: path.to_owned(), sha256, bytes, rows: 0, format: format.to_owned() })
}

/// What was read.
#[derive(Clone, Debug, Default)]
pub struct Loaded {
    pub table: Table,
    /// Every file with its hash, in the order of its rows in the table.
    pub files: Vec<FileRecord>,
    /// The part of each row, where the data comes divided.
    pub given: Option<Vec<Given>>,
    /// What the user should know about how the files were read, one sentence each.
    pub notes: Vec<String>,
}

/// The part that a row was given for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Given {
    Train,
    Val,
    Test,
}

/// How files are to be read; what is left out is recognised.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// Cell texts that mean "missing" in every column, besides the usual ones.
    pub missing: Vec<String>,
    /// Whether the first line names the columns.
    pub header: Option<bool>,
    /// Names of the columns, instead of the file's.
    pub columns: Vec<String>,
    /// Character between two cells, or `tab`.
    pub delimiter: Option<String>,
    /// Encoding of the text.
    pub encoding: Option<String>,
    /// Names that columns may have: a first line that holds one of them is a header line.
    pub known: Vec<String>,
}

impl From<&Data> for Options {
    fn from(data: &Data) -> Self {
        Self {
            missing: data.missing.clone(),
            header: data.header,
            columns: data.columns.clone(),
            delimiter: data.delimiter.clone(),
            encoding: data.encoding.clone(),
            known: Vec::new(),
        }
    }
}

/// A file of a known format, which can be read as often as needed.
trait Source {
    /// What was recognised, in words: `CSV, UTF-8, comma, header line`.
    fn words(&self) -> String;

    /// Names of the columns, where they are known before reading.
    fn names(&self) -> Option<&[String]>;

    /// About as many rows as there are, to make room at once.
    fn expected_rows(&self) -> usize;

    /// What the user should know.
    fn note(&self) -> Option<String> {
        None
    }

    /// Whether the file's first line names the columns; `None` for formats that always name them.
    fn header(&self) -> Option<bool> {
        None
    }

    /// Hands all cells over.
    fn read(&self, columns: &mut Columns<'_>) -> Result<(), SourceError>;
}

/// Reads the files of an experiment; `column_missing` gives further cell texts that mean "missing" in a column.
///
/// Relative paths start from `folder`. Rows stand in the order of the files: train, val, test where they are given so.
///
/// # Errors
/// The first file that is missing, of a foreign kind or malformed, or whose columns differ from those of the others.
pub fn open(
    data: &Data,
    folder: &Path,
    column_missing: &dyn Fn(&str) -> Vec<String>,
) -> Result<Loaded, SourceError> {
    let mut sets = Vec::new();
    let mut open_all = |files: &Files, given: Option<Given>, inputs: &mut Vec<(Input, Option<Given>)>| {
        for path in &files.0 {
            if let Some(of_path) = folders::open(path, folder)? {
                // What the experiment says of a path counts more than the names within.
                sets.extend(
                    of_path.into_iter().map(|set| folders::Set { given: given.or(set.given), ..set }),
                );
                continue;
            }
            inputs.extend(locate::open(path, folder)?.into_iter().map(|input| (input, given)));
        }
        Ok(())
    };
    let mut inputs = Vec::new();
    open_all(&data.source, None, &mut inputs)?;
    open_all(&data.train, Some(Given::Train), &mut inputs)?;
    open_all(&data.val, Some(Given::Val), &mut inputs)?;
    open_all(&data.test, Some(Given::Test), &mut inputs)?;
    match (sets.first(), inputs.first()) {
        (Some(set), Some((input, _))) => {
            let (pictures, table) = (set.record.path.clone(), input.shown.clone());
            return Err(SourceError::PicturesAndTables { pictures, table });
        }
        (Some(_), None) => return Ok(folders::load(sets)),
        _ => {}
    }
    load(inputs, Options::from(data), column_missing)
}

/// Reads one file, the files of one folder, or standard input for `-`, as [`open`] does.
///
/// # Errors
/// As [`open`].
pub fn open_file(
    path: &str,
    folder: &Path,
    options: &Options,
    column_missing: &dyn Fn(&str) -> Vec<String>,
) -> Result<Loaded, SourceError> {
    if let Some(sets) = folders::open(path, folder)? {
        return Ok(folders::load(sets));
    }
    let inputs = locate::open(path, folder)?.into_iter().map(|input| (input, None)).collect();
    load(inputs, options.clone(), column_missing)
}

/// Reads files into one table.
fn load(
    inputs: Vec<(Input, Option<Given>)>,
    mut options: Options,
    column_missing: &dyn Fn(&str) -> Vec<String>,
) -> Result<Loaded, SourceError> {
    let mut sources: Vec<(Input, Box<dyn Source>, Option<Given>)> = Vec::new();
    for (mut input, given) in inputs {
        let source = recognise(&input, &options)?;
        input.forget_head();
        match sources.first() {
            Some((first, of_first, _)) => {
                same_columns((first, of_first.as_ref()), (&input, source.as_ref()))?
            }
            None => {
                // The files that follow are written as the first.
                options.known.extend(source.names().unwrap_or_default().iter().cloned());
                options.header = options.header.or(source.header().filter(|header| !header));
            }
        }
        sources.push((input, source, given));
    }
    if sources.is_empty() {
        return Err(SourceError::Nothing);
    }
    let given_up = &AtomicBool::new(false);
    let files: Vec<Input> = sources.iter().map(|(input, ..)| input.clone()).collect();
    let digest = || files.iter().map(|input| input.digest(given_up)).collect::<Result<Vec<_>, _>>();
    thread::scope(|scope| {
        // Hashing takes as long as reading, so it runs beside it where there is a second thread to use.
        let beside = (rayon::current_num_threads() > 1).then(|| scope.spawn(digest));
        let read = read(&sources, &options, column_missing);
        given_up.store(read.is_err(), Ordering::Relaxed);
        let mut loaded = read?;
        let digests = match beside {
            Some(thread) => thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))?,
            None => digest()?,
        };
        for (file, (sha256, bytes)) in loaded.files.iter_mut().zip(digests) {
            (file.sha256, file.bytes) = (sha256, bytes);
        }
        Ok(loaded)
    })
}

/// Reads recognised files: all columns once, and those that turn out to be text a second time.
fn read(
    sources: &[(Input, Box<dyn Source>, Option<Given>)],
    options: &Options,
    column_missing: &dyn Fn(&str) -> Vec<String>,
) -> Result<Loaded, SourceError> {
    let missing = |name: &str| {
        let of_column = column_missing(name);
        Missing::new(options.missing.iter().chain(&of_column).map(String::as_str))
    };
    let expected_rows = sources.iter().map(|(_, source, _)| source.expected_rows()).sum();
    let mut columns = Columns::new(expected_rows, &missing);
    let mut loaded = Loaded::default();
    let mut given = Vec::new();
    for (input, source, part) in sources {
        let before = columns.rows();
        let known = columns.len();
        source.read(&mut columns)?;
        let rows = columns.rows() - before;
        let absent = columns.absent(rows);
        if !loaded.files.is_empty() && known < columns.len() {
            let new: Vec<&str> = (known..columns.len()).map(|position| columns.name(position)).collect();
            loaded.notes.push(format!("first in `{}`, missing before: {}", input.shown, quote_list(&new)));
        }
        if !loaded.files.is_empty() && !absent.is_empty() {
            loaded.notes.push(format!("missing in all of `{}`: {}", input.shown, quote_list(&absent)));
        }
        if let Some(part) = part {
            given.resize(given.len() + rows, *part);
        }
        let compression = input.compression.word();
        let comma = if compression.is_empty() { "" } else { ", " };
        let format = format!("{}{comma}{compression}", source.words());
        loaded.files.push(FileRecord { path: input.shown.clone(), rows, format, ..FileRecord::default() });
        loaded.notes.extend(source.note());
    }
    let commas = columns.settle_commas();
    if let Some(mut second) = columns.again() {
        for (_, source, _) in sources {
            source.read(&mut second)?;
        }
        columns.complete(second);
    }
    if let Some((column, row, found)) = columns.infinite() {
        let (path, row) = place(&loaded.files, row);
        return Err(SourceError::Infinite { path, column: column.to_owned(), row, found: found.to_owned() });
    }
    if !commas.decimal.is_empty() {
        loaded.notes.push(format!("decimal commas in {}", quote_list(&commas.decimal)));
    }
    if !commas.unsure.is_empty() {
        let names = quote_list(&commas.unsure);
        loaded
            .notes
            .push(format!("read as text, since the commas may be decimal marks or part thousands: {names}"));
    }
    let rows = columns.rows();
    loaded.table = Table::new(columns.finish(), rows);
    loaded.given = (!given.is_empty()).then_some(given);
    Ok(loaded)
}

/// File and row within it, the first being 1, of a row of the table, the first being 0.
fn place(files: &[FileRecord], mut row: usize) -> (String, usize) {
    for file in files {
        if row < file.rows {
            return (file.path.clone(), row + 1);
        }
        row -= file.rows;
    }
    (String::new(), row + 1)
}

/// Recognises a file's format by its content; its ending counts only where the content leaves it open.
fn recognise(input: &Input, options: &Options) -> Result<Box<dyn Source>, SourceError> {
    let path = || input.shown.clone();
    if let Some(kind) = magic::kind(&input.head) {
        let found = kind.name;
        return Err(match kind.class {
            Class::Archive => SourceError::NotSupported { path: path(), found, archive: true },
            Class::Picture => SourceError::Picture { path: path(), found },
            Class::Spreadsheet => SourceError::Binary { path: path(), found, spreadsheet: true },
            Class::Other => SourceError::Binary { path: path(), found, spreadsheet: false },
        });
    }
    if let Some(parquet) = parquet::recognise(input)? {
        if options.encoding.is_some() {
            return Err(SourceError::NotDelimited { path: path(), key: "encoding", format: parquet.words() });
        }
        refuse_text_settings(input, options, &parquet)?;
        return Ok(Box::new(parquet));
    }
    let Some(text) = TextFile::new(input.clone(), options.encoding.as_deref())? else {
        return Err(SourceError::Binary { path: path(), found: "a binary file", spreadsheet: false });
    };
    if let Some(json) = json::recognise(&text)? {
        refuse_text_settings(input, options, &json)?;
        return Ok(Box::new(json));
    }
    let as_table = options.delimiter.is_some() || options.header.is_some() || !options.columns.is_empty();
    if !as_table && let Some(conll) = conll::recognise(&text)? {
        return Ok(Box::new(conll));
    }
    Ok(Box::new(delimited::recognise(text, options)?))
}

/// Refuses settings that only delimited text has: they would be passed over in silence.
fn refuse_text_settings(input: &Input, options: &Options, source: &dyn Source) -> Result<(), SourceError> {
    let set = [
        ("delimiter", options.delimiter.is_some()),
        ("header", options.header.is_some()),
        ("columns", !options.columns.is_empty()),
    ];
    match set.into_iter().find(|(_, set)| *set) {
        Some((key, _)) => {
            let (path, format) = (input.shown.clone(), source.words());
            Err(SourceError::NotDelimited { path, key, format })
        }
        None => Ok(()),
    }
}

/// Refuses a file whose columns are not those of the first.
fn same_columns(first: (&Input, &dyn Source), other: (&Input, &dyn Source)) -> Result<(), SourceError> {
    let (Some(expected), Some(found)) = (first.1.names(), other.1.names()) else {
        return Ok(());
    };
    let lacks = |names: &[String], of: &[String]| -> Vec<String> {
        of.iter().filter(|name| !names.contains(name)).cloned().collect()
    };
    let (missing, extra) = (lacks(found, expected), lacks(expected, found));
    if missing.is_empty() && extra.is_empty() {
        return Ok(());
    }
    let (path, first) = (other.0.shown.clone(), first.0.shown.clone());
    Err(SourceError::ColumnsDiffer { path, first, missing, extra })
}
