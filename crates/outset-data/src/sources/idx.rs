//! MNIST's IDX files: a file of grey pictures, and beside it one of their labels.

use super::Given;
use super::error::SourceError;
use super::folders::Set;
use super::input::Input;
use crate::pictures::{Fault, MAX_PIXELS, Picture, Place};
use outset_spec::record::FileRecord;
use rayon::prelude::*;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

/// First bytes of bytes in three dimensions, and in one.
const PICTURES: [u8; 4] = [0, 0, 8, 3];
const LABELS: [u8; 4] = [0, 0, 8, 1];

/// The part that a file's name tells: `train-images-idx3-ubyte`, `t10k-images-idx3-ubyte`.
pub(super) fn part_of_name(name: &str) -> Option<Given> {
    let name = name.to_ascii_lowercase();
    [("train", Given::Train), ("t10k", Given::Test), ("test", Given::Test), ("val", Given::Val)]
        .into_iter()
        .find_map(|(start, part)| name.starts_with(start).then_some(part))
}

/// Reads a file of pictures with the labels beside it; `None` for any other file.
///
/// # Errors
/// If a file is cut off, if its pictures have too many pixels, or if pictures and labels differ in number.
pub(super) fn open(shown: &str, path: &Path, given: Option<Given>) -> Result<Option<Set>, SourceError> {
    let Ok(input) = Input::file(path.to_owned(), shown) else { return Ok(None) };
    if !input.head.starts_with(&PICTURES) {
        return Ok(None);
    }
    let bytes = read(&input)?;
    let size = |at: usize| u32::from_be_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]]);
    let malformed = |reason: String| SourceError::Idx { path: shown.to_owned(), reason };
    if bytes.len() < 16 {
        return Err(malformed("its head is cut off".to_owned()));
    }
    let [count, height, width] = [size(4), size(8), size(12)];
    let each = u64::from(height) * u64::from(width);
    if each > MAX_PIXELS {
        return Err(malformed(format!("each picture {}", Fault::TooLarge { size: [width, height] })));
    }
    let length = u64::from(count).checked_mul(each);
    if length != Some(bytes.len() as u64 - 16) || each == 0 {
        return Err(malformed(format!(
            "its head tells of {count} pictures of {width} × {height} pixels, but {} bytes follow",
            bytes.len() - 16
        )));
    }
    let labels = labels_of(shown, path)?;
    if let Some(labels) = &labels
        && labels.len() != count as usize
    {
        return Err(malformed(format!(
            "it holds {count} pictures, but {} labels are beside it",
            labels.len()
        )));
    }
    let buffer: Arc<[u8]> = bytes.into();
    let name = Path::new(shown).file_name().map_or(shown.into(), |name| name.to_string_lossy());
    let rows = (0..count as usize)
        .into_par_iter()
        .map(|index| {
            let start = 16 + index * each as usize;
            let place = Place::Raw { buffer: buffer.clone(), start, width, height };
            let class = labels.as_ref().map(|labels| labels[index].to_string());
            (class, Arc::new(Picture::open(format!("{name}[{index}]"), place)))
        })
        .collect();
    let (sha256, length) = input.digest(&AtomicBool::new(false))?;
    let compression = input.compression.word();
    let format = if compression.is_empty() { "IDX".to_owned() } else { format!("IDX, {compression}") };
    let record = FileRecord { path: shown.to_owned(), sha256, bytes: length, rows: count as usize, format };
    Ok(Some(Set { record, rows, given, notes: Vec::new() }))
}

fn read(input: &Input) -> Result<Vec<u8>, SourceError> {
    let mut bytes = Vec::new();
    input.open()?.read_to_end(&mut bytes).map_err(|source| input.failed(source))?;
    Ok(bytes)
}

/// The labels in the file whose name says `labels` where the other says `images`, compressed or not.
fn labels_of(shown: &str, path: &Path) -> Result<Option<Vec<u8>>, SourceError> {
    let Some(name) = path.file_name().and_then(|name| name.to_str()).filter(|name| name.contains("images"))
    else {
        return Ok(None);
    };
    let plain = name.replace("images", "labels").replace("idx3", "idx1");
    let plain = plain.strip_suffix(".gz").unwrap_or(&plain);
    for name in [plain.to_owned(), format!("{plain}.gz")] {
        let beside = path.with_file_name(&name);
        if beside.is_file() {
            let shown = Path::new(shown).with_file_name(&name).to_string_lossy().into_owned();
            let bytes = read(&Input::file(beside, &shown)?)?;
            if !bytes.starts_with(&LABELS) || bytes.len() < 8 {
                return Err(SourceError::Idx { path: shown, reason: "it holds no labels".to_owned() });
            }
            return Ok(Some(bytes[8..].to_vec()));
        }
    }
    Ok(None)
}
