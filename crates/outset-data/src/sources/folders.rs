//! Folders and archives of pictures: a folder for each class, perhaps within folders for train, val and test.

use super::archive;
use super::error::SourceError;
use super::idx;
use super::locate::ending;
use super::{Given, Loaded};
use crate::pictures::{Fault, Images, Picture, Place, is_path};
use crate::split::part_of;
use crate::table::{Cells, Table, Text};
use indexmap::IndexMap;
use outset_spec::problem::quote_list;
use outset_spec::record::FileRecord;
use rayon::prelude::*;
use sha2::{Digest as _, Sha256};
use std::fs;
use std::io;
use std::path::Path;
use std::sync::Arc;

/// Folders within each other that are looked into.
const DEPTH: usize = 6;

/// Name of the column that holds the pictures of a folder.
pub const PICTURES: &str = "image";

/// Name of the column that holds their classes.
const CLASSES: &str = "label";

/// Pictures of one folder, archive or pair of files.
pub(super) struct Set {
    pub record: FileRecord,
    /// Each with its class, where it has one.
    pub rows: Vec<(Option<String>, Arc<Picture>)>,
    pub given: Option<Given>,
    pub notes: Vec<String>,
}

/// A file that was found, not yet opened.
pub(super) struct Listed {
    /// Folders from the top, and the name.
    pub path: Vec<String>,
    pub place: Result<Place, Fault>,
}

/// Opens what `path` names if it is one of pictures; `None` for anything else.
///
/// # Errors
/// If it cannot be listed or is damaged.
pub(super) fn open(path: &str, folder: &Path) -> Result<Option<Vec<Set>>, SourceError> {
    let full = folder.join(path);
    if full.is_dir() {
        return of_folder(path, &full);
    }
    if !full.is_file() {
        return Ok(None);
    }
    if let Some(set) = idx::open(path, &full, None)? {
        return Ok(Some(vec![set]));
    }
    if is_path(path) {
        let listed = vec![Listed { path: vec![path.to_owned()], place: Ok(Place::File(full)) }];
        return Ok(Some(arranged(path, "picture", listed, Vec::new())));
    }
    match archive::list(path, &full)? {
        Some((format, listed))
            if listed.iter().any(|file| file.path.last().is_some_and(|name| is_path(name))) =>
        {
            Ok(Some(arranged(path, format, listed, Vec::new())))
        }
        _ => Ok(None),
    }
}

fn of_folder(path: &str, full: &Path) -> Result<Option<Vec<Set>>, SourceError> {
    let failed = |source| SourceError::Io { path: path.to_owned(), source };
    let (mut listed, mut empty) = (Vec::new(), Vec::new());
    let root = full.canonicalize().map_err(failed)?;
    walk(&root, full, &mut Vec::new(), &mut listed, &mut empty).map_err(failed)?;
    let (top, _): (Vec<&Listed>, Vec<&Listed>) = listed.iter().partition(|file| file.path.len() == 1);
    let names: Vec<&str> = top.iter().filter_map(|file| file.path.last()).map(String::as_str).collect();
    // A folder of tables is one, whatever pictures their rows name.
    if names.iter().any(|name| super::locate::kind(name).is_some()) {
        return Ok(None);
    }
    if listed.iter().any(|file| file.path.last().is_some_and(|name| is_path(name))) {
        return Ok(Some(arranged(path, "folder of pictures", listed, empty)));
    }
    let mut sets = Vec::new();
    for name in &names {
        let (shown, inner) = (Path::new(path).join(name).to_string_lossy().into_owned(), full.join(name));
        let part = idx::part_of_name(name);
        if let Some(set) = idx::open(&shown, &inner, part)? {
            sets.push(set);
        } else if ["zip", "tar", "tgz"].contains(&ending(name).unwrap_or_default().as_str())
            && let Some(mut of_archive) = open(name, full)?
        {
            let stem = name.split('.').next().unwrap_or_default();
            for set in &mut of_archive {
                set.record.path.clone_from(&shown);
                set.given = set.given.or(part_of(stem).map(Given::from));
            }
            sets.extend(of_archive);
        }
    }
    if sets.iter().all(|set| set.given == sets[0].given) {
        sets.iter_mut().for_each(|set| set.given = None);
    }
    Ok((!sets.is_empty()).then_some(sets))
}

/// Lists all files below a folder, sorted, and the folders that hold nothing.
fn walk(
    root: &Path,
    folder: &Path,
    above: &mut Vec<String>,
    listed: &mut Vec<Listed>,
    empty: &mut Vec<String>,
) -> io::Result<()> {
    let mut names: Vec<(String, bool)> = Vec::new();
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        if let Ok(name) = entry.file_name().into_string()
            && !name.starts_with(['.', '_'])
        {
            names.push((name, entry.path().is_dir()));
        }
    }
    names.sort();
    if names.is_empty() {
        empty.push(above.join("/"));
    }
    for (name, is_folder) in names {
        let path = folder.join(&name);
        above.push(name);
        let inside = path.canonicalize().is_ok_and(|real| real.starts_with(root));
        if !is_folder {
            let place = if inside { Ok(Place::File(path)) } else { Err(Fault::Outside) };
            listed.push(Listed { path: above.clone(), place });
        } else if inside && above.len() < DEPTH {
            walk(root, &path, above, listed, empty)?;
        }
        above.pop();
    }
    Ok(())
}

/// From a list of files to classes and parts.
fn arranged(shown: &str, format: &str, mut listed: Vec<Listed>, empty: Vec<String>) -> Vec<Set> {
    listed.retain(|file| !file.path.iter().any(|name| name.starts_with(['.', '_'])));
    let all = listed.len();
    listed.retain(|file| file.path.last().is_some_and(|name| is_path(name)));
    let mut notes = Vec::new();
    if listed.len() < all {
        let count = all - listed.len();
        let files = if count == 1 { "1 file".to_owned() } else { format!("{count} files") };
        notes.push(format!("{files} in `{shown}` passed over: not named as pictures are"));
    }
    listed.sort_by(|a, b| a.path.cmp(&b.path));
    // A folder that holds all the others says nothing.
    while let Some(top) = listed.first().filter(|file| file.path.len() > 2).map(|file| file.path[0].clone())
        && listed.iter().all(|file| file.path.len() > 2 && file.path[0] == top)
        && part_of(&top).is_none()
    {
        listed.iter_mut().for_each(|file| {
            file.path.remove(0);
        });
    }
    let part =
        |file: &Listed| file.path.first().filter(|_| file.path.len() > 2).and_then(|name| part_of(name));
    let parts: Vec<Option<Given>> = listed.iter().map(|file| part(file).map(Given::from)).collect();
    let divided = parts.iter().all(Option::is_some) && parts.iter().any(|part| *part != parts[0]);
    let mut sets: Vec<(Option<Given>, Vec<Listed>)> = Vec::new();
    for (mut file, part) in listed.into_iter().zip(parts) {
        let given = part.filter(|_| divided);
        if given.is_some() {
            file.path.remove(0);
        }
        match sets.iter_mut().find(|(of, _)| *of == given) {
            Some((_, files)) => files.push(file),
            None => sets.push((given, vec![file])),
        }
    }
    sets.sort_by_key(|(given, _)| *given);
    let nested = sets.iter().flat_map(|(_, files)| files).filter(|file| file.path.len() > 2).count();
    if nested > 0 {
        notes.push(format!(
            "{nested} pictures in `{shown}` lie in folders within a class's folder and belong to that class"
        ));
    }
    if !empty.is_empty() {
        notes.push(format!("no picture in {} of `{shown}`", quote_list(&empty)));
    }
    let opened = sets.into_iter().map(|(given, files)| opened(shown, format, given, files));
    let mut opened: Vec<Set> = opened.collect();
    if let Some(first) = opened.first_mut() {
        first.notes = notes;
    }
    opened
}

/// Opens pictures on all cores.
fn opened(shown: &str, format: &str, given: Option<Given>, files: Vec<Listed>) -> Set {
    let rows: Vec<(Option<String>, Arc<Picture>)> = files
        .into_par_iter()
        .map(|file| {
            let name = file.path.join("/");
            let class = (file.path.len() > 1).then(|| file.path[0].clone());
            let picture = match file.place {
                Ok(place) => Picture::open(name, place),
                Err(fault) => Picture::faulty(name, fault),
            };
            (class, Arc::new(picture))
        })
        .collect();
    let mut hash = Sha256::new();
    for (_, picture) in &rows {
        hash.update((picture.name.len() as u64).to_le_bytes());
        hash.update(&picture.name);
        hash.update(picture.digest());
    }
    let part = given.map_or("", |given| match given {
        Given::Train => "/train",
        Given::Val => "/val",
        Given::Test => "/test",
    });
    let record = FileRecord {
        path: format!("{shown}{part}"),
        sha256: hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect(),
        bytes: rows.iter().map(|(_, picture)| picture.length()).sum(),
        rows: rows.len(),
        format: format.to_owned(),
    };
    Set { record, rows, given, notes: Vec::new() }
}

/// Puts sets of pictures into one table with the columns `image` and, where there are classes, `label`.
pub(super) fn load(sets: Vec<Set>) -> Loaded {
    let mut loaded = Loaded::default();
    let (mut pictures, mut classes, mut given) = (Vec::new(), Vec::new(), Vec::new());
    for set in sets {
        if let Some(part) = set.given {
            given.resize(given.len() + set.rows.len(), part);
        }
        loaded.notes.extend(set.notes);
        loaded.files.push(set.record);
        for (class, picture) in set.rows {
            classes.push(class);
            pictures.push(Some(picture));
        }
    }
    let rows = pictures.len();
    let mut columns = IndexMap::from([(PICTURES.to_owned(), Cells::Image(Images(pictures)))]);
    if classes.iter().any(Option::is_some) {
        let text: Text = classes.iter().map(Option::as_deref).collect();
        columns.insert(CLASSES.to_owned(), Cells::Text(text));
    }
    loaded.table = Table::new(columns, rows);
    loaded.given = (given.len() == rows && rows > 0).then_some(given);
    loaded
}
