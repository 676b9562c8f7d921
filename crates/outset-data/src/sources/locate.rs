//! From the paths that a user writes to the files to read.

use super::error::SourceError;
use super::input::Input;
use crate::pictures;
use outset_spec::problem::nearest;
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

/// The kinds of data files that a folder is searched for, with their endings.
const KINDS: [(&str, &[&str]); 4] = [
    ("CSV or TSV", &["csv", "tsv", "tab"]),
    ("JSON", &["json", "jsonl", "ndjson"]),
    ("Parquet", &["parquet", "pq"]),
    ("CoNLL", &super::conll::ENDINGS),
];

/// The path that stands for standard input.
pub(super) const STANDARD_INPUT: &str = "-";

/// Opens the file, or the files of the folder, that `path` names, starting from `folder`.
pub(super) fn open(path: &str, folder: &Path) -> Result<Vec<Input>, SourceError> {
    if path == STANDARD_INPUT {
        return Ok(vec![Input::stream(io::stdin().lock(), "standard input")?]);
    }
    let full = folder.join(path);
    let failed = |source| SourceError::Io { path: path.to_owned(), source };
    let kind = match fs::metadata(&full) {
        Ok(metadata) => metadata.file_type(),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            return Err(SourceError::NotFound { path: path.to_owned(), near: similar(path, &full) });
        }
        Err(error) => return Err(failed(error)),
    };
    if kind.is_dir() {
        let inputs = files_of(path, &full)?.into_iter().map(|(shown, file)| Input::file(file, &shown));
        inputs.collect()
    } else if kind.is_file() {
        Ok(vec![Input::file(full, path)?])
    } else {
        // A pipe cannot be read twice.
        Ok(vec![Input::stream(File::open(full).map_err(failed)?, path)?])
    }
}

/// A file beside the missing one whose name is nearly the same, written as the user writes paths.
fn similar(path: &str, full: &Path) -> Option<String> {
    let names = names_in(full.parent()?).ok()?;
    let wanted = full.file_name()?.to_str()?;
    let near = nearest(wanted, names.iter().map(String::as_str))?;
    Some(Path::new(path).with_file_name(near).to_string_lossy().into_owned())
}

fn names_in(folder: &Path) -> io::Result<Vec<String>> {
    // The folder of a bare file name is the empty path, which cannot be listed.
    let folder = if folder.as_os_str().is_empty() { Path::new(".") } else { folder };
    let mut names = Vec::new();
    for entry in fs::read_dir(folder)? {
        names.extend(entry?.file_name().into_string().ok());
    }
    names.sort();
    Ok(names)
}

/// The data files of a folder, sorted by name: the path to show and the path to open.
fn files_of(path: &str, full: &Path) -> Result<Vec<(String, PathBuf)>, SourceError> {
    let names = names_in(full).map_err(|source| SourceError::Io { path: path.to_owned(), source })?;
    let visible: Vec<&String> = names.iter().filter(|name| !name.starts_with(['.', '_'])).collect();
    let mut kinds: Vec<&str> = visible.iter().filter_map(|name| kind(name)).collect();
    kinds.sort_unstable();
    kinds.dedup();
    match kinds.as_slice() {
        [_] => {}
        [] => return Err(nothing_in(path)),
        several => {
            let kinds = several.iter().map(|kind| (*kind).to_owned()).collect();
            return Err(SourceError::MixedFolder { path: path.to_owned(), kinds });
        }
    }
    let shown = |name: &str| Path::new(path).join(name).to_string_lossy().into_owned();
    let files = visible.into_iter().filter(|name| kind(name).is_some() && full.join(name).is_file());
    Ok(files.map(|name| (shown(name), full.join(name))).collect())
}

fn nothing_in(path: &str) -> SourceError {
    let of_tables = KINDS.iter().flat_map(|(_, endings)| *endings);
    let endings = of_tables.chain(&pictures::ENDINGS).map(|ending| format!("`.{ending}`"));
    let endings = endings.collect::<Vec<_>>().join(", ");
    SourceError::EmptyFolder { path: path.to_owned(), endings }
}

pub(super) fn kind(name: &str) -> Option<&'static str> {
    let ending = ending(name)?;
    KINDS.iter().find(|(_, endings)| endings.contains(&ending.as_str())).map(|(kind, _)| *kind)
}

/// A file's ending in small letters, that of a compression left out of account.
pub(super) fn ending(name: &str) -> Option<String> {
    let name = name.to_ascii_lowercase();
    let plain = name.strip_suffix(".gz").or_else(|| name.strip_suffix(".zst")).unwrap_or(&name);
    Path::new(plain).extension().map(|ending| ending.to_string_lossy().into_owned())
}
