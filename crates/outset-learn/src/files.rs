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
    put(&temporary, bytes).and_then(|()| fs::rename(&temporary, path)).map_err(|source| {
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
        let source =
            std::io::Error::new(std::io::ErrorKind::NotADirectory, "it is a file, but must be a folder");
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

/// Writes a file to the disk, not just to the system's memory.
fn put(path: &Path, bytes: &[u8]) -> std::io::Result<()> {
    let mut file = fs::File::create(path)?;
    file.write_all(bytes)?;
    file.sync_all()
}

/// Puts a file of a name into a folder that is being written.
pub type Put<'a> = &'a dyn Fn(&str, &[u8]) -> Result<(), LearnError>;

/// Writes a folder of files under a temporary name and renames it, replacing one of that name. `fill` puts in the files one
/// after the other, so that not all have to be in memory at once.
///
/// Where the program dies half-way, the folder before is still there, if only as `<name>.replaced`.
///
/// # Errors
/// If the folder cannot be written or the disk is full, or an error of `fill`; what was there before is left then.
pub fn write_folder(
    path: &Path,
    fill: impl FnOnce(Put<'_>) -> Result<(), LearnError>,
) -> Result<(), LearnError> {
    let beside = |ending: &str| {
        let mut name = path.as_os_str().to_owned();
        name.push(ending);
        PathBuf::from(name)
    };
    let (partial, replaced) = (beside(".partial"), beside(".replaced"));
    let begin = || {
        if partial.exists() {
            fs::remove_dir_all(&partial)?;
        }
        fs::create_dir_all(&partial)
    };
    let end = || {
        sync_folder(&partial)?;
        if path.exists() {
            if replaced.exists() {
                fs::remove_dir_all(&replaced)?;
            }
            fs::rename(path, &replaced)?;
        }
        fs::rename(&partial, path)?;
        sync_folder(path.parent().unwrap_or(Path::new(".")))?;
        if replaced.exists() {
            fs::remove_dir_all(&replaced)?;
        }
        Ok(())
    };
    let failed = |source| LearnError::Write { path: path.to_owned(), source };
    let put = |name: &str, bytes: &[u8]| put(&partial.join(name), bytes).map_err(failed);
    let written = begin().map_err(failed).and_then(|()| fill(&put)).and_then(|()| end().map_err(failed));
    if written.is_err() {
        let _ = fs::remove_dir_all(&partial);
    }
    written
}

/// Makes the names in a folder outlast a power cut, where the system has a way to.
fn sync_folder(folder: &Path) -> std::io::Result<()> {
    if cfg!(unix) { fs::File::open(folder)?.sync_all() } else { Ok(()) }
}

/// Held while a process works on a folder; the system lets go of it when the process ends, however it ends.
pub struct Lock(#[allow(dead_code)] fs::File);

/// Takes a run's folder for this process, or gives `None` where another one has it.
///
/// # Errors
/// If the folder cannot be opened.
pub fn lock(folder: &Path) -> Result<Option<Lock>, LearnError> {
    // Elsewhere than on Unix a folder cannot be opened as a file.
    let path = if cfg!(unix) { folder.to_owned() } else { folder.join("run.lock") };
    let opened = if cfg!(unix) { fs::File::open(&path) } else { fs::File::create(&path) };
    let failed = |source| LearnError::Write { path: path.clone(), source };
    let file = opened.map_err(failed)?;
    match file.try_lock() {
        Ok(()) => Ok(Some(Lock(file))),
        Err(fs::TryLockError::WouldBlock) => Ok(None),
        // A file system without locks gives no protection, but must not keep anyone from working.
        Err(fs::TryLockError::Error(error)) if error.kind() == std::io::ErrorKind::Unsupported => {
            Ok(Some(Lock(file)))
        }
        Err(fs::TryLockError::Error(source)) => Err(failed(source)),
    }
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

/// JSON as files hold it: an item over several lines, with a line end.
pub(crate) fn pretty<T: serde::Serialize>(item: &T) -> Vec<u8> {
    let mut text = serde_json::to_vec_pretty(item).unwrap_or_default();
    text.push(b'\n');
    text
}

/// JSON in a line, with its end.
pub(crate) fn json_line<T: serde::Serialize>(item: &T) -> Vec<u8> {
    let mut line = serde_json::to_vec(item).unwrap_or_default();
    line.push(b'\n');
    line
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
    fn what_cannot_be_written_is_named_as_it_was_asked_for() {
        let folder = tempfile::tempdir().unwrap();
        let refused = |result: Result<(), LearnError>, asked: &Path| match result {
            Err(LearnError::Write { path, .. }) => assert_eq!(path, asked),
            other => panic!("{other:?}"),
        };
        let file = folder.path().join("a.json");
        fs::create_dir(folder.path().join("a.json.partial")).unwrap();
        refused(write(&file, b"{}"), &file);
        let inner = folder.path().join("step");
        refused(write_folder(&inner, |put| put("no/such/folder", b"")), &inner);
        assert!(!inner.exists() && !folder.path().join("step.partial").exists());
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
