//! MNIST's IDX files: a file of grey pictures, and beside it one of their labels.

use super::Given;
use super::error::SourceError;
use super::folders::Set;
use super::input::Input;
use crate::pictures::{Fault, MAX_PIXELS, Picture, Place};
use outset_spec::record::FileRecord;
use rayon::prelude::*;
use std::io::Read as _;
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
    let malformed = |reason: String| SourceError::Idx { path: shown.to_owned(), reason };
    let Some(sizes) = input.head.get(4..16) else {
        return Err(malformed("its head is cut off".to_owned()));
    };
    let [count, height, width] = [&sizes[..4], &sizes[4..8], &sizes[8..]].map(number);
    let each = u64::from(height) * u64::from(width);
    if each > MAX_PIXELS {
        return Err(malformed(format!("each picture {}", Fault::TooLarge { size: [width, height] })));
    }
    // No more is unpacked than the head tells of, and one byte to see whether there is more.
    let length = u64::from(count) * each;
    let bytes = read(&input, 16 + length + 1)?;
    let found = (bytes.len() as u64).saturating_sub(16);
    if found != length || each == 0 {
        let found = if found > length { "more".to_owned() } else { found.to_string() };
        return Err(malformed(format!(
            "its head tells of {count} pictures of {width} × {height} pixels, but {found} bytes follow"
        )));
    }
    let labels = labels_of(shown, path, count)?;
    if let Some(Labels { told, values }) = &labels
        && values.len() != count as usize
    {
        let found =
            if values.len() > count as usize { values.len().max(*told as usize) } else { values.len() };
        return Err(malformed(format!("it holds {count} pictures, but {found} labels are beside it")));
    }
    let buffer: Arc<[u8]> = bytes.into();
    let name = Path::new(shown).file_name().map_or(shown.into(), |name| name.to_string_lossy());
    let rows = (0..count as usize)
        .into_par_iter()
        .map(|index| {
            let start = 16 + index * each as usize;
            let place = Place::Raw { buffer: buffer.clone(), start, width, height };
            let class = labels.as_ref().map(|labels| labels.values[index].to_string());
            (class, Arc::new(Picture::open(format!("{name}[{index}]"), place)))
        })
        .collect();
    let (sha256, length) = input.digest(&AtomicBool::new(false))?;
    let compression = input.compression.word();
    let format = if compression.is_empty() { "IDX".to_owned() } else { format!("IDX, {compression}") };
    let record = FileRecord { path: shown.to_owned(), sha256, bytes: length, rows: count as usize, format };
    Ok(Some(Set { record, rows, given, notes: Vec::new() }))
}

/// The first bytes of a file, at most so many.
fn read(input: &Input, most: u64) -> Result<Vec<u8>, SourceError> {
    let mut bytes = Vec::new();
    input.open()?.take(most).read_to_end(&mut bytes).map_err(|source| input.failed(source))?;
    Ok(bytes)
}

/// A number of four bytes.
fn number(bytes: &[u8]) -> u32 {
    bytes.iter().fold(0, |number, byte| (number << 8) | u32::from(*byte))
}

/// A file of labels.
struct Labels {
    /// How many its head tells of.
    told: u32,
    values: Vec<u8>,
}

/// The labels in the file whose name says `labels` where the other says `images`, compressed or not; at most one more
/// than there are pictures.
fn labels_of(shown: &str, path: &Path, pictures: u32) -> Result<Option<Labels>, SourceError> {
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
            let bytes = read(&Input::file(beside, &shown)?, 8 + u64::from(pictures) + 1)?;
            if !bytes.starts_with(&LABELS) || bytes.len() < 8 {
                return Err(SourceError::Idx { path: shown, reason: "it holds no labels".to_owned() });
            }
            return Ok(Some(Labels { told: number(&bytes[4..8]), values: bytes[8..].to_vec() }));
        }
    }
    Ok(None)
}
