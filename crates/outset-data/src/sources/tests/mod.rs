//! Whole files, from bytes to table and to message.

mod damage;
mod delimited;
mod files;
mod json;
mod parquet;
mod pictures;
mod real;

use super::*;
use crate::table::Cells;
use encoding_rs::GB18030;
use std::fs;
use tempfile::TempDir;

/// Files in a folder of their own.
struct Folder(TempDir);

impl Folder {
    fn new(files: &[(&str, &[u8])]) -> Self {
        let folder = Self(TempDir::new().unwrap());
        for (name, bytes) in files {
            let path = folder.0.path().join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, bytes).unwrap();
        }
        folder
    }

    fn open(&self, data: &Data) -> Result<Loaded, SourceError> {
        open(data, self.0.path(), &|_| Vec::new())
    }
}

fn source(paths: &[&str]) -> Data {
    Data { source: files(paths), ..Data::default() }
}

fn files(paths: &[&str]) -> Files {
    Files(paths.iter().map(|path| (*path).to_owned()).collect())
}

/// A table as text: `name: cells`, numbers bare and texts in quotes.
fn show(table: &Table) -> String {
    let column = |(name, cells): (&String, &Cells)| {
        let cell = |row| match cells {
            Cells::Number(values) => format!("{:?}", values[row]),
            Cells::Text(text) => text.get(row).map_or("-".into(), |text| format!("{text:?}")),
            Cells::Image(images) => images.0[row].as_ref().map_or("-".into(), |picture| picture.name.clone()),
        };
        format!("{name}: {}\n", (0..table.rows()).map(cell).collect::<Vec<_>>().join(" "))
    };
    table.columns.iter().map(column).collect()
}

/// Reads one file under the given settings and expects format words and table.
fn check_with(data: &Data, name: &str, bytes: &[u8], format: &str, expected: &str) {
    let folder = Folder::new(&[(name, bytes)]);
    let data = Data { source: files(&[name]), ..data.clone() };
    let loaded = folder.open(&data).unwrap_or_else(|error| panic!("{error}"));
    assert_eq!(loaded.files[0].format, format);
    assert_eq!(show(&loaded.table), expected);
}

fn check(name: &str, bytes: &[u8], format: &str, expected: &str) {
    check_with(&Data::default(), name, bytes, format, expected);
}

/// Reads one file under the given settings and expects a message, with the hint in a second line.
fn check_error_with(data: &Data, name: &str, bytes: &[u8], expected: &str) {
    let folder = Folder::new(&[(name, bytes)]);
    let data = Data { source: files(&[name]), ..data.clone() };
    assert_eq!(message(&folder.open(&data).unwrap_err()), expected);
}

fn check_error(name: &str, bytes: &[u8], expected: &str) {
    check_error_with(&Data::default(), name, bytes, expected);
}

fn message(error: &SourceError) -> String {
    match error.hint() {
        Some(hint) => format!("{error}\nhint: {hint}"),
        None => error.to_string(),
    }
}
