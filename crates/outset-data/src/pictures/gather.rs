//! Whole columns of pictures: found by their paths, described by their headers, decoded on all cores.

use super::{Channels, ENDINGS, Fault, Fit, Images, Picture, Place, Shape};
use crate::table::{MISSING, Text};
use outset_spec::record::FileRecord;
use rayon::prelude::*;
use std::path::{Component, Path, PathBuf};
use std::sync::Arc;

/// Sides up to which pictures keep their size, and to which larger ones are brought where nothing is said.
const USUAL_SIZE: u32 = 64;

/// Broken pictures that are named.
const NAMED: usize = 5;

/// Pictures that cannot be used.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Skipped {
    /// Rows of the table, the first being 0.
    pub rows: Vec<u32>,
    /// Of the first few, what is wrong: `` `a.png` is not a picture ``.
    pub words: Vec<String>,
}

/// Tells whether a text ends as the name of a picture's file does.
pub fn is_path(text: &str) -> bool {
    let ending = Path::new(text.trim()).extension().and_then(|ending| ending.to_str());
    ending.is_some_and(|ending| ENDINGS.contains(&ending.to_ascii_lowercase().as_str()))
}

/// Tells whether the different values of a column are the names of pictures' files, but for a few.
pub fn find_paths(text: &Text) -> bool {
    let paths = text.values.iter().filter(|value| is_path(value)).count();
    paths > 0 && paths * 10 >= text.values.len() * 9
}

/// Opens the pictures that a column of paths names, each starting from the folder of the file that its row came from.
///
/// `folder` is where the paths of `files` start from. A path that leads out of its file's folder is not followed.
pub fn resolve(text: &Text, files: &[FileRecord], folder: &Path) -> Images {
    let mut of_row: Vec<usize> = Vec::with_capacity(text.codes.len());
    for (index, file) in files.iter().enumerate() {
        of_row.extend(std::iter::repeat_n(index, file.rows));
    }
    of_row.resize(text.codes.len(), files.len().saturating_sub(1));
    let homes: Vec<PathBuf> = files.iter().map(|file| home(&folder.join(&file.path))).collect();
    // Each path of each folder is opened once.
    let mut wanted: Vec<(usize, u32)> =
        of_row.iter().copied().zip(text.codes.iter().copied()).filter(|(_, code)| *code != MISSING).collect();
    wanted.sort_unstable();
    wanted.dedup();
    let opened: Vec<Arc<Picture>> = wanted
        .par_iter()
        .map(|(file, code)| {
            let home = homes.get(*file).map_or(Path::new("."), PathBuf::as_path);
            Arc::new(open(home, text.values[*code as usize].trim()))
        })
        .collect();
    let picture = |(file, code): (usize, u32)| {
        wanted.binary_search(&(file, code)).ok().map(|place| opened[place].clone())
    };
    Images(of_row.into_iter().zip(text.codes.iter().copied()).map(picture).collect())
}

/// The folder that a file of rows lies in; the current one for standard input.
fn home(file: &Path) -> PathBuf {
    match file.parent().filter(|parent| file.exists() && !parent.as_os_str().is_empty()) {
        Some(parent) => parent.to_owned(),
        None => PathBuf::from("."),
    }
}

fn open(home: &Path, path: &str) -> Picture {
    let name = path.to_owned();
    let full = home.join(path);
    let climbs = Path::new(path).components().any(|part| part == Component::ParentDir);
    let inside = match (home.canonicalize(), full.canonicalize()) {
        (Ok(home), Ok(full)) => full.starts_with(home),
        // What does not exist is outside if its words lead there.
        _ if climbs || Path::new(path).is_absolute() => false,
        _ => return Picture::faulty(name, Fault::NotFound),
    };
    if !inside {
        return Picture::faulty(name, Fault::Outside);
    }
    Picture::open(name, Place::File(full))
}

/// Side and channels that suit the pictures of a column: the median of their shorter sides, up to 64 pixels, and
/// brightness alone where none has colours.
pub fn describe(images: &Images) -> (usize, Channels) {
    let headers = images.0.iter().flatten().filter_map(|picture| picture.header().as_ref().ok());
    let (mut sides, mut grey) = (Vec::new(), true);
    for header in headers {
        sides.push(header.size[0].min(header.size[1]));
        grey &= header.grey;
    }
    sides.sort_unstable();
    let side = sides.get(sides.len() / 2).copied().unwrap_or(USUAL_SIZE).min(USUAL_SIZE);
    // A network halves its maps a few times.
    (side.max(8) as usize, if grey && !sides.is_empty() { Channels::Grey } else { Channels::Rgb })
}

/// Decodes all pictures on all cores and tells which cannot be used.
pub fn load(images: &Images, shape: Shape, fit: Fit) -> Skipped {
    let faults: Vec<Option<Fault>> = images
        .0
        .par_iter()
        .map(|picture| picture.as_ref().and_then(|picture| picture.pixels(shape, fit).err()))
        .collect();
    let mut skipped = Skipped::default();
    for (row, (fault, picture)) in faults.into_iter().zip(&images.0).enumerate() {
        if let (Some(fault), Some(picture)) = (fault, picture) {
            skipped.rows.push(row as u32);
            if skipped.words.len() < NAMED {
                skipped.words.push(format!("`{}` {fault}", picture.name));
            }
        }
    }
    skipped
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lot::Lot;
    use crate::pictures::made;
    use std::fs;

    #[test]
    fn paths_start_from_their_file_and_stay_in_its_folder() {
        let folder = tempfile::tempdir().unwrap();
        let data = folder.path().join("data");
        fs::create_dir_all(data.join("pictures")).unwrap();
        let png = made(8, Channels::Grey, &mut Lot::new(1));
        fs::write(data.join("pictures/a.png"), &png).unwrap();
        fs::write(folder.path().join("b.png"), &png).unwrap();
        fs::write(data.join("rows.csv"), "x").unwrap();
        fs::write(data.join("no.png"), "no picture").unwrap();
        let absolute = data.join("pictures/a.png").display().to_string();
        let paths = ["pictures/a.png", "../b.png", "c.png", "no.png", &absolute, "/etc/hostname.png"];
        let cells = paths.map(Some).into_iter().chain([None]);
        let text: Text = cells.collect();
        assert!(find_paths(&text));
        let files = [FileRecord { path: "data/rows.csv".into(), rows: 7, ..FileRecord::default() }];
        let images = resolve(&text, &files, folder.path());
        let faults: Vec<Option<Fault>> = images
            .0
            .iter()
            .map(|picture| picture.as_ref().and_then(|picture| picture.fault().cloned()))
            .collect();
        assert_eq!(
            faults,
            [
                None,
                Some(Fault::Outside),
                Some(Fault::NotFound),
                Some(Fault::NotAPicture),
                None,
                Some(Fault::Outside),
                None
            ]
        );
        assert_eq!((images.0[0].clone(), images.0[6].is_none()), (images.0[4].clone(), true));
        assert_eq!(describe(&images), (8, Channels::Grey));
        // The first and the fifth are one file by two names; the others cannot be decoded.
        assert_eq!(images.to_decode(Shape { channels: 1, height: 8, width: 8 }), 2);
        let skipped = load(&images, Shape { channels: 1, height: 8, width: 8 }, Fit::Crop);
        assert_eq!(skipped.rows, [1, 2, 3, 5]);
        assert_eq!(skipped.words[2], "`no.png` is not a picture");
    }
}
