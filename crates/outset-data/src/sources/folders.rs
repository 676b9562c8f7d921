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
use std::collections::{BTreeSet, HashSet};
use std::fs;
use std::io;
use std::path::Path;
use std::sync::Arc;

/// Folders within each other that are looked into.
const DEPTH: usize = 6;

/// Files or folders that a note names, at most; the others are counted.
const NAMED: usize = 5;

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

impl Listed {
    fn is_picture(&self) -> bool {
        self.path.last().is_some_and(|name| is_path(name))
    }
}

/// What lies in a folder or an archive, each with the names of the folders from its top.
#[derive(Default)]
pub(super) struct Found {
    pub files: Vec<Listed>,
    /// Folders, those that hold nothing among them.
    pub folders: Vec<Vec<String>>,
    /// Folders elsewhere that links lead to, which are not followed.
    pub linked: Vec<Vec<String>>,
    /// Folders that lie too deep, which are not looked into.
    pub deep: Vec<Vec<String>>,
    /// Files and folders whose names are not UTF-8.
    pub unnamed: Vec<Vec<String>>,
}

impl Found {
    fn has_pictures(&self) -> bool {
        self.files.iter().any(Listed::is_picture)
    }

    /// Leaves out hidden files and folders, and those that macOS adds to an archive.
    fn without_hidden(mut self) -> Self {
        let is_visible = |path: &[String]| !path.iter().any(|name| is_hidden(name));
        self.files.retain(|file| is_visible(&file.path));
        self.folders.retain(|path| is_visible(path));
        self
    }

    /// Folders without a picture in them or further down; of those within each other the uppermost.
    fn barren(&self) -> Vec<String> {
        let pictures = self.files.iter().filter(|file| file.is_picture()).map(|file| &file.path);
        // What is not looked at may be pictures.
        let unseen = self.linked.iter().chain(&self.deep).chain(&self.unnamed);
        let mut full: HashSet<&[String]> = HashSet::new();
        for path in pictures.chain(unseen) {
            full.extend((1..path.len()).map(|length| &path[..length]));
        }
        let of_files = self.files.iter().filter_map(|file| file.path.split_last()).map(|(_, above)| above);
        let mut barren: BTreeSet<&[String]> = BTreeSet::new();
        for folder in self.folders.iter().map(Vec::as_slice).chain(of_files) {
            barren.extend((1..=folder.len()).map(|length| &folder[..length]).find(|top| !full.contains(top)));
        }
        barren.into_iter().map(|path| path.join("/")).collect()
    }

    /// What is not looked at, one sentence each; `within` follows the names.
    fn unseen(&self, within: &str) -> Vec<String> {
        let sentence = |paths: &[Vec<String>], one: &str, many: &str| {
            let mut names: Vec<String> = paths.iter().map(|path| path.join("/")).collect();
            names.sort();
            let verb = if names.len() == 1 { one } else { many };
            (!names.is_empty()).then(|| format!("{}{within} {verb}", named(&names)))
        };
        let linked = sentence(
            &self.linked,
            "leads out of it by a link and is not followed",
            "lead out of it by links and are not followed",
        );
        let deep = sentence(
            &self.deep,
            &format!("lies {DEPTH} folders deep and is not looked into"),
            &format!("lie {DEPTH} folders deep and are not looked into"),
        );
        let unnamed = sentence(
            &self.unnamed,
            "has a name that is not UTF-8 and is passed over",
            "have names that are not UTF-8 and are passed over",
        );
        [linked, deep, unnamed].into_iter().flatten().collect()
    }
}

/// Names in words: the first few, and how many more there are.
fn named(names: &[String]) -> String {
    match names.len().saturating_sub(NAMED) {
        0 => quote_list(names),
        more => format!("{} and {more} more", quote_list(&names[..NAMED])),
    }
}

fn is_hidden(name: &str) -> bool {
    name.starts_with(['.', '_'])
}

/// Opens what `path` names if it is one of pictures; `None` for anything else.
///
/// # Errors
/// If it cannot be listed or is damaged, or if all that may be pictures is not looked at.
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
        let files = vec![Listed { path: vec![path.to_owned()], place: Ok(Place::File(full)) }];
        return Ok(Some(arranged(path, "picture", Found { files, ..Found::default() })));
    }
    // Office files are zip archives too, and are told as what they are.
    let found = match archive::list(path, &full) {
        Err(SourceError::Damaged { format: "zip", .. })
            if ending(path).is_none_or(|ending| ending != "zip") =>
        {
            None
        }
        found => found?,
    };
    match found.map(|(format, found)| (format, found.without_hidden())) {
        Some((format, found)) if found.has_pictures() => Ok(Some(arranged(path, format, found))),
        _ => Ok(None),
    }
}

fn of_folder(path: &str, full: &Path) -> Result<Option<Vec<Set>>, SourceError> {
    let failed = |source| SourceError::Io { path: path.to_owned(), source };
    let mut found = Found::default();
    let root = full.canonicalize().map_err(failed)?;
    walk(&root, full, &mut Vec::new(), &mut found).map_err(failed)?;
    let top = found.files.iter().filter(|file| file.path.len() == 1);
    let names: Vec<&str> = top.filter_map(|file| file.path.last()).map(String::as_str).collect();
    // A folder of tables is one, whatever pictures their rows name.
    if names.iter().any(|name| super::locate::kind(name).is_some()) {
        return Ok(None);
    }
    if found.has_pictures() {
        return Ok(Some(arranged(path, "folder of pictures", found)));
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
    match sets.first_mut() {
        Some(first) => first.notes.extend(found.unseen(&format!(" in `{path}`"))),
        None => {
            let (unseen, linked) = (found.unseen(""), !found.linked.is_empty());
            if unseen.is_empty() {
                return Ok(None);
            }
            return Err(SourceError::Unseen { path: path.to_owned(), unseen, linked });
        }
    }
    Ok(Some(sets))
}

/// Lists all files and folders below a folder, sorted; `above` holds the names of the folders down to it.
fn walk(root: &Path, folder: &Path, above: &mut Vec<String>, found: &mut Found) -> io::Result<()> {
    let mut names: Vec<(String, bool)> = Vec::new();
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let name = entry.file_name();
        if is_hidden(&name.to_string_lossy()) {
            continue;
        }
        match name.into_string() {
            Ok(name) => names.push((name, entry.path().is_dir())),
            Err(name) => {
                found.unnamed.push([&above[..], &[name.to_string_lossy().into_owned()]].concat());
            }
        }
    }
    names.sort();
    for (name, is_folder) in names {
        let path = folder.join(&name);
        above.push(name);
        let inside = path.canonicalize().is_ok_and(|real| real.starts_with(root));
        if !is_folder {
            let place = if inside { Ok(Place::File(path)) } else { Err(Fault::Outside) };
            found.files.push(Listed { path: above.clone(), place });
        } else if !inside {
            found.linked.push(above.clone());
        } else if above.len() < DEPTH {
            found.folders.push(above.clone());
            walk(root, &path, above, found)?;
        } else {
            found.deep.push(above.clone());
        }
        above.pop();
    }
    Ok(())
}

/// From a list of files to classes and parts.
fn arranged(shown: &str, format: &str, found: Found) -> Vec<Set> {
    let (barren, unseen) = (found.barren(), found.unseen(&format!(" in `{shown}`")));
    let mut listed = found.files;
    let all = listed.len();
    listed.retain(Listed::is_picture);
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
    if !barren.is_empty() {
        notes.push(format!("no picture in {} of `{shown}`", named(&barren)));
    }
    notes.extend(unseen);
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
