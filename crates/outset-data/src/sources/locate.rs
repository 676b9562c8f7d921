//! From the paths that a user writes to the files to read.

use super::archive::members;
use super::error::SourceError;
use super::input::Input;
use crate::pictures;
use outset_spec::problem::nearest;
use std::ffi::OsString;
use std::fs::{self, File};
use std::io::{self, BufReader};
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
    let near = nearest(wanted, names.iter().filter_map(|name| name.to_str()))?;
    Some(Path::new(path).with_file_name(near).to_string_lossy().into_owned())
}

fn names_in(folder: &Path) -> io::Result<Vec<OsString>> {
    // The folder of a bare file name is the empty path, which cannot be listed.
    let folder = if folder.as_os_str().is_empty() { Path::new(".") } else { folder };
    let mut names = Vec::new();
    for entry in fs::read_dir(folder)? {
        names.push(entry?.file_name());
    }
    names.sort();
    Ok(names)
}

/// The data files of a folder, sorted by name: the path to show and the path to open.
fn files_of(path: &str, full: &Path) -> Result<Vec<(String, PathBuf)>, SourceError> {
    let names = names_in(full).map_err(|source| SourceError::Io { path: path.to_owned(), source })?;
    let (mut files, mut kinds) = (Vec::new(), Vec::new());
    for name in &names {
        let (text, file) = (name.to_string_lossy(), full.join(name));
        if text.starts_with(['.', '_']) || !file.is_file() {
            continue;
        }
        let Some(kind) = kind(&text).or_else(|| kind_within(&file, &names)) else { continue };
        let shown = Path::new(path).join(name).to_string_lossy().into_owned();
        // What a run records of its files could not name it.
        if name.to_str().is_none() {
            return Err(SourceError::Io { path: shown, source: io::Error::other("its name is not UTF-8") });
        }
        kinds.push(kind);
        files.push((shown, file));
    }
    kinds.sort_unstable();
    kinds.dedup();
    match kinds.as_slice() {
        [_] => Ok(files),
        [] => Err(nothing_in(path)),
        several => {
            let kinds = several.iter().map(|kind| (*kind).to_owned()).collect();
            Err(SourceError::MixedFolder { path: path.to_owned(), kinds })
        }
    }
}

/// The kind of the one file that a zip archive holds, unless that lies unpacked among the `names` beside the archive.
fn kind_within(archive: &Path, names: &[OsString]) -> Option<&'static str> {
    let own = archive.file_name()?.to_string_lossy().to_ascii_lowercase();
    let stem = own.strip_suffix(".zip")?;
    let Ok(files) = File::open(archive).and_then(|file| members(BufReader::new(file))) else {
        // A damaged archive named as a table is not to be passed over in silence.
        return kind(stem);
    };
    // What macOS adds is not the user's.
    let mut files = files.into_iter().filter(|(name, _)| !name.starts_with("__MACOSX/"));
    let (Some((path, _)), None) = (files.next(), files.next()) else { return None };
    let name = Path::new(&path).file_name()?;
    if names.iter().any(|beside| beside == name) { None } else { kind(&name.to_string_lossy()) }
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
