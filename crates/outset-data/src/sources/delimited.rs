//! CSV, TSV and other delimited text.

use super::columns::{Column, Columns};
use super::dialect::{self, DELIMITERS, ONE_COLUMN, delimiter_name};
use super::encoding::TextFile;
use super::error::SourceError;
use super::records::{Batch, Malformed, Records, Syntax};
use super::{Options, Source, locate};
use rayon::prelude::*;
use std::collections::HashMap;

/// Bytes that delimiter and header line are recognised from; more where these hold no two records.
const HEAD: usize = 1 << 20;

/// Bytes of text from which on it pays to fill the columns side by side.
const SIDE_BY_SIDE: usize = 1 << 16;

/// A delimited text file whose writing is known.
pub(super) struct Delimited {
    file: TextFile,
    syntax: Syntax,
    header: bool,
    names: Vec<String>,
}

/// Recognises how a text file is delimited and names its columns.
pub(super) fn recognise(file: TextFile, options: &Options) -> Result<Delimited, SourceError> {
    let path = file.input.shown.clone();
    let (head, whole) = head(&file)?;
    if head.trim_ascii().is_empty() {
        return Err(SourceError::Empty { path });
    }
    let line_end = dialect::line_end(&head);
    let delimiter = match &options.delimiter {
        Some(text) => named_delimiter(text)?,
        None => dialect::delimiter(&head, whole, line_end, expected_delimiter(&path)),
    };
    let mut syntax = Syntax { delimiter, quotes: true, line_end };
    if delimiter == b'\t' && head.contains(&b'"') && !quotes_are_sound(&file, syntax)? {
        // Files of text parted by tabs often hold quotes that mean nothing.
        syntax.quotes = false;
    }
    let mut sample = dialect::sample(&head, whole, syntax);
    if sample.is_empty() {
        // The first record is malformed, or longer than the head: reading it tells.
        let (mut records, mut batch) = (Records::new(file.open()?, syntax), Batch::default());
        if !records.next_batch(&mut batch).map_err(|why| malformed(&file, why))? {
            return Err(SourceError::Empty { path });
        }
        sample.push(batch.cells(0).map(<[u8]>::to_vec).collect());
    }
    let first: Vec<String> =
        sample[0].iter().map(|cell| String::from_utf8_lossy(cell).trim().to_owned()).collect();
    let header = match options.header {
        Some(header) => header,
        None if !options.columns.is_empty() => first == options.columns,
        None => {
            // Lines of text without a delimiter are mostly a list, unless the file says that it is a table.
            let table = matches!(locate::ending(&path).as_deref(), Some("csv" | "tsv" | "tab"));
            dialect::has_header(&sample, &options.known, table || delimiter != ONE_COLUMN)
        }
    };
    let names = if !options.columns.is_empty() {
        if options.columns.len() != first.len() {
            let (named, found) = (options.columns.len(), first.len());
            return Err(SourceError::ColumnCount { path, named, found });
        }
        options.columns.clone()
    } else {
        let name = |(index, name): (usize, String)| {
            if header && !name.is_empty() { name } else { format!("column_{}", index + 1) }
        };
        first.into_iter().enumerate().map(name).collect()
    };
    refuse_duplicates(&path, &names)?;
    Ok(Delimited { file, syntax, header, names })
}

impl Source for Delimited {
    fn words(&self) -> String {
        let Syntax { delimiter, quotes, .. } = self.syntax;
        let kind = if delimiter == b'\t' { "TSV" } else { "CSV" };
        let delimiter = match delimiter {
            ONE_COLUMN => "one column".to_owned(),
            delimiter if DELIMITERS.iter().any(|(known, _)| *known == delimiter) => {
                delimiter_name(delimiter).to_owned()
            }
            delimiter => format!("delimiter `{}`", delimiter as char),
        };
        let header = if self.header { "header line" } else { "no header line" };
        let quotes = if quotes { "" } else { ", no quotes" };
        format!("{kind}, {}, {delimiter}, {header}{quotes}", self.file.encoding())
    }

    fn names(&self) -> Option<&[String]> {
        Some(&self.names)
    }

    fn expected_rows(&self) -> usize {
        (self.file.lines + 1).saturating_sub(usize::from(self.header))
    }

    fn header(&self) -> Option<bool> {
        Some(self.header)
    }

    fn note(&self) -> Option<String> {
        self.file.note()
    }

    fn read(&self, columns: &mut Columns<'_>) -> Result<(), SourceError> {
        columns.decimal_commas(self.syntax.delimiter != b',');
        let positions: Vec<usize> = self.names.iter().map(|name| columns.position(name)).collect();
        let (mut batch, mut next) = (Batch::default(), Batch::default());
        let mut records = Records::new(self.file.open()?, self.syntax);
        let mut read =
            |batch: &mut Batch| records.next_batch(batch).map_err(|why| malformed(&self.file, why));
        let before = columns.rows();
        let mut first = usize::from(self.header);
        let mut more = read(&mut batch)?;
        while more {
            self.refuse_ragged(&batch)?;
            let rows = batch.len() - first;
            let fill = |(index, column): (usize, &mut Column)| {
                batch.column(first, index, positions.len()).for_each(|cell| column.push(cell));
            };
            let targets = columns.at(&positions);
            more = if batch.bytes() < SIDE_BY_SIDE {
                targets.into_iter().enumerate().for_each(fill);
                read(&mut next)?
            } else {
                let fill_all = || targets.into_par_iter().enumerate().for_each(fill);
                rayon::join(fill_all, || read(&mut next)).1?
            };
            columns.end_rows(rows);
            std::mem::swap(&mut batch, &mut next);
            first = 0;
        }
        if columns.rows() == before {
            let path = self.file.input.shown.clone();
            return Err(SourceError::HeaderOnly { path, columns: positions.len() });
        }
        Ok(())
    }
}

impl Delimited {
    fn refuse_ragged(&self, batch: &Batch) -> Result<(), SourceError> {
        let expected = self.names.len();
        match (0..batch.len()).find(|record| batch.width(*record) != expected) {
            None => Ok(()),
            Some(record) => Err(SourceError::Ragged {
                path: self.file.input.shown.clone(),
                line: batch.line(record),
                expected,
                found: batch.width(record),
                header: self.header,
                delimiter: delimiter_name(self.syntax.delimiter),
            }),
        }
    }
}

/// The first characters: enough for two records, where the file has so many.
fn head(file: &TextFile) -> Result<(Vec<u8>, bool), SourceError> {
    let mut size = HEAD;
    loop {
        let head = file.head(size)?;
        let whole = head.len() < size;
        if whole
            || size >= HEAD << 6
            || head[..size / 2].contains(&b'\n')
            || head[..size / 2].contains(&b'\r')
        {
            return Ok((head, whole));
        }
        size <<= 2;
    }
}

fn named_delimiter(text: &str) -> Result<u8, SourceError> {
    match text.as_bytes() {
        [byte] if byte.is_ascii() && !matches!(byte, b'"' | b'\n' | b'\r' | 0) => Ok(*byte),
        b"tab" | b"\\t" => Ok(b'\t'),
        _ => Err(SourceError::Delimiter { found: text.to_owned() }),
    }
}

/// The delimiter that a file's ending speaks for.
fn expected_delimiter(path: &str) -> Option<u8> {
    matches!(locate::ending(path).as_deref(), Some("tsv" | "tab")).then_some(b'\t')
}

/// Tells whether every quoted cell of the file is closed before a delimiter and gives records of one length.
fn quotes_are_sound(file: &TextFile, syntax: Syntax) -> Result<bool, SourceError> {
    let (mut records, mut batch) = (Records::new(file.open()?, syntax), Batch::default());
    let mut width = None;
    loop {
        match records.next_batch(&mut batch) {
            Ok(true) => {
                let expected = *width.get_or_insert(batch.width(0));
                if (0..batch.len()).any(|record| batch.width(record) != expected) {
                    return Ok(false);
                }
            }
            Ok(false) => return Ok(true),
            Err(Malformed::Read(source)) => return Err(file.input.failed(source)),
            Err(_) => return Ok(false),
        }
    }
}

fn malformed(file: &TextFile, why: Malformed) -> SourceError {
    let path = file.input.shown.clone();
    match why {
        Malformed::Read(source) => file.input.failed(source),
        Malformed::OpenQuote { line } => SourceError::OpenQuote { path, line },
        Malformed::AfterQuote { line } => SourceError::AfterQuote { path, line },
    }
}

pub(super) fn refuse_duplicates(path: &str, names: &[String]) -> Result<(), SourceError> {
    let mut places = HashMap::new();
    for (index, name) in names.iter().enumerate() {
        if let Some(first) = places.insert(name, index) {
            return Err(SourceError::DuplicateColumn {
                path: path.to_owned(),
                name: name.clone(),
                first: first + 1,
                second: index + 1,
            });
        }
    }
    Ok(())
}
