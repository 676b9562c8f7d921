//! Files of a run, written whole or not at all.

use crate::error::LearnError;
use std::borrow::Cow;
use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};

/// Writes a file under a temporary name and renames it, so that no reader ever sees half of it.
///
/// # Errors
/// If the folder cannot be written or the disk is full; nothing is left then.
pub fn write(path: &Path, bytes: &[u8]) -> Result<(), LearnError> {
    let mut temporary = path.as_os_str().to_owned();
    temporary.push(".partial");
    let temporary = PathBuf::from(temporary);
    let written = fs::File::create(&temporary).and_then(|mut file| {
        file.write_all(bytes)?;
        file.sync_all()
    });
    written.and_then(|()| fs::rename(&temporary, path)).map_err(|source| {
        let _ = fs::remove_file(&temporary);
        LearnError::Write { path: path.to_owned(), source }
    })
}

/// Makes the first free folder `<name>-<number>` under `runs`; two runs started at once get different numbers.
///
/// # Errors
/// If the folder cannot be made.
pub fn new_run(runs: &Path, name: &str) -> Result<PathBuf, LearnError> {
    let failed = |path: &Path| {
        let path = path.to_owned();
        move |source| LearnError::Write { path, source }
    };
    if runs.exists() && !runs.is_dir() {
        let source = std::io::Error::new(std::io::ErrorKind::NotADirectory, "it is a file, but must be a folder");
        return Err(failed(runs)(source));
    }
    fs::create_dir_all(runs).map_err(failed(runs))?;
    for number in 1u32.. {
        let folder = runs.join(format!("{name}-{number}"));
        match fs::create_dir(&folder) {
            Ok(()) => return Ok(folder),
            Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => {}
            Err(error) => return Err(failed(&folder)(error)),
        }
    }
    unreachable!("numbers do not run out")
}

/// Reads a file of a run.
///
/// # Errors
/// If it cannot be read.
pub fn read(path: &Path) -> Result<Vec<u8>, LearnError> {
    fs::read(path).map_err(|source| LearnError::Read { path: path.to_owned(), source })
}

/// A cell of a CSV file, quoted where RFC 4180 asks for it.
pub fn csv_cell(text: &str) -> Cow<'_, str> {
    if text.contains([',', '"', '\n', '\r']) {
        format!("\"{}\"", text.replace('"', "\"\"")).into()
    } else {
        text.into()
    }
}

/// The path of `file` as seen from `folder`, so that a written experiment finds its data wherever it is moved together
/// with it; both are taken from the current folder.
pub fn relative(file: &Path, folder: &Path) -> String {
    let whole = |path: &Path| {
        let absolute = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
        absolute.canonicalize().unwrap_or(absolute)
    };
    let (file, folder) = (whole(file), whole(folder));
    let shared = file.components().zip(folder.components()).take_while(|(a, b)| a == b).count();
    if shared <= 1 {
        return file.to_string_lossy().into_owned();
    }
    let up = folder.components().skip(shared).map(|_| "..".into());
    let down = file.components().skip(shared).map(|part| part.as_os_str().to_string_lossy());
    up.chain(down).collect::<Vec<_>>().join("/")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_between_folders() {
        let folder = tempfile::tempdir().unwrap();
        let (data, run) = (folder.path().join("data.csv"), folder.path().join("runs/a-1"));
        fs::create_dir_all(&run).unwrap();
        fs::write(&data, "x").unwrap();
        assert_eq!(relative(&data, &run), "../../data.csv");
        assert_eq!(relative(&data, folder.path()), "data.csv");
    }

    #[test]
    fn runs_are_numbered() {
        let folder = tempfile::tempdir().unwrap();
        let names: Vec<_> = (0..3).map(|_| new_run(folder.path(), "a").unwrap()).collect();
        assert_eq!(names, ["a-1", "a-2", "a-3"].map(|name| folder.path().join(name)));
    }

    #[test]
    fn cells_are_quoted_where_needed() {
        assert_eq!([csv_cell("a"), csv_cell("a,b"), csv_cell("a\"b")], ["a", "\"a,b\"", "\"a\"\"b\""]);
    }
}
