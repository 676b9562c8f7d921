//! Archives, as lists of the places of their files.

use super::error::SourceError;
use super::folders::{Found, Listed};
use crate::pictures::{Fault, MAX_BYTES, Place, TOO_LONG};
use std::borrow::Cow;
use std::collections::HashMap;
use std::fs::File;
use std::io::{self, BufReader, Read, Seek};
use std::path::Path;
use std::sync::Arc;

/// Bytes that the pictures of a compressed tar archive may have together, since they are held in memory.
const MAX_HELD: u64 = 8 << 30;

/// Lists what lies in a zip or tar archive, with the words for it; `None` for any other file.
///
/// # Errors
/// If the archive is damaged or uses what is not supported.
pub(super) fn list(shown: &str, path: &Path) -> Result<Option<(&'static str, Found)>, SourceError> {
    let failed = |source| SourceError::Io { path: shown.to_owned(), source };
    let mut head = Vec::new();
    File::open(path).and_then(|file| file.take(4).read_to_end(&mut head)).map_err(failed)?;
    let damaged = |format| move |source| SourceError::Damaged { path: shown.to_owned(), format, source };
    match head[..] {
        [b'P', b'K', 3, 4] => {
            zip(path).map(|found| Some(("zip archive of pictures", found))).map_err(damaged("zip"))
        }
        [0x1f, 0x8b, ..] => {
            let open =
                || File::open(path).map(|file| flate2::read::MultiGzDecoder::new(BufReader::new(file)));
            if !is_tar(open().map_err(failed)?) {
                return Ok(None);
            }
            let found = tar(open().map_err(failed)?, None).map_err(damaged("tar.gz"))?;
            Ok(Some(("tar archive of pictures, gzip", found)))
        }
        [0x28, 0xb5, 0x2f, 0xfd] => {
            let open = || File::open(path).and_then(zstd::stream::read::Decoder::new);
            if !is_tar(open().map_err(failed)?) {
                return Ok(None);
            }
            let found = tar(open().map_err(failed)?, None).map_err(damaged("tar.zst"))?;
            Ok(Some(("tar archive of pictures, zstd", found)))
        }
        _ => {
            let file = File::open(path).map_err(failed)?;
            if !is_tar(&file) {
                return Ok(None);
            }
            let file = BufReader::new(File::open(path).map_err(failed)?);
            let found = tar(file, Some(Arc::from(path))).map_err(damaged("tar"))?;
            Ok(Some(("tar archive of pictures", found)))
        }
    }
}

/// Tells by the mark at byte 257 whether a stream is a tar archive.
fn is_tar(stream: impl Read) -> bool {
    let mut head = Vec::new();
    stream.take(262).read_to_end(&mut head).is_ok() && head.get(257..262) == Some(b"ustar")
}

/// The folders and the name in an entry's path; `None` if they lead out of the archive.
fn parts(name: &str) -> Option<Vec<String>> {
    let name = name.replace('\\', "/");
    let parts: Vec<String> =
        name.split('/').filter(|part| !part.is_empty() && *part != ".").map(str::to_owned).collect();
    (!name.starts_with('/') && !parts.iter().any(|part| part == "..")).then_some(parts)
}

fn listed(name: &str, place: Result<Place, Fault>) -> Listed {
    match parts(name) {
        Some(path) => Listed { path, place },
        // Without the dots in front, which hide a file.
        None => {
            let shown = name.trim_start_matches(['.', '/', '\\']).replace(['/', '\\'], " ");
            Listed { path: vec![shown], place: Err(Fault::Outside) }
        }
    }
}

/// Where a file lies in a zip archive.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Member {
    pub(super) start: u64,
    /// Bytes as they lie there.
    pub(super) length: u64,
    pub(super) deflated: bool,
}

/// What a zip archive lists.
#[derive(Default)]
struct Contents {
    /// Files by their names: where each lies, or why it cannot be read there.
    files: Vec<(String, Result<Member, Fault>)>,
    folders: Vec<String>,
}

/// The files of a zip archive by their names: where each lies, or why it cannot be read there.
pub(super) fn members(archive: impl Read + Seek) -> io::Result<Vec<(String, Result<Member, Fault>)>> {
    contents(archive).map(|contents| contents.files)
}

fn contents(archive: impl Read + Seek) -> io::Result<Contents> {
    let mut archive = zip::ZipArchive::new(archive)?;
    let mut contents = Contents::default();
    for index in 0..archive.len() {
        let entry = archive.by_index_raw(index)?;
        if entry.is_dir() {
            contents.folders.extend(entry.name().ok().map(Cow::into_owned));
            continue;
        }
        let deflated = match entry.compression() {
            zip::CompressionMethod::Stored => Some(false),
            zip::CompressionMethod::Deflated => Some(true),
            _ => None,
        };
        let member = match (deflated, entry.data_start()) {
            (Some(deflated), Some(start)) if !entry.encrypted() => {
                Ok(Member { start, length: entry.compressed_size(), deflated })
            }
            (_, _) if entry.encrypted() => Err(Fault::Unreadable("it is encrypted".to_owned())),
            _ => Err(Fault::Unreadable(format!("it is compressed as {}", entry.compression()))),
        };
        contents.files.push((entry.name()?.into_owned(), member));
    }
    Ok(contents)
}

fn zip(path: &Path) -> io::Result<Found> {
    let whole: Arc<Path> = Arc::from(path);
    let place =
        |Member { start, length, deflated }| Place::Part { archive: whole.clone(), start, length, deflated };
    let Contents { files, folders } = contents(BufReader::new(File::open(path)?))?;
    Ok(Found {
        files: files.into_iter().map(|(name, member)| listed(&name, member.map(place))).collect(),
        folders: folders.iter().filter_map(|name| parts(name)).collect(),
        ..Found::default()
    })
}

/// Lists a tar stream, its files by their place where the archive can be read again, else with their bytes.
fn tar(stream: impl Read, whole: Option<Arc<Path>>) -> io::Result<Found> {
    let mut archive = tar::Archive::new(stream);
    let (mut found, mut links, mut held) = (Found::default(), Vec::new(), 0);
    for entry in archive.entries()? {
        let mut entry = entry?;
        let kind = entry.header().entry_type();
        let name = String::from_utf8_lossy(&entry.path_bytes()).into_owned();
        match kind {
            tar::EntryType::Regular | tar::EntryType::Continuous | tar::EntryType::GNUSparse => {}
            tar::EntryType::Directory => {
                found.folders.extend(parts(&name));
                continue;
            }
            tar::EntryType::Link => {
                let target = entry.link_name_bytes().unwrap_or_default();
                links.push((name, String::from_utf8_lossy(&target).into_owned()));
                continue;
            }
            tar::EntryType::Symlink => {
                let fault = Fault::Unreadable("it is a symbolic link".to_owned());
                found.files.push(listed(&name, Err(fault)));
                continue;
            }
            // Devices, and what is said of the archive itself.
            _ => continue,
        }
        let place = match &whole {
            // The pieces of a sparse file do not lie as the file is, so it is held in memory too.
            Some(archive) if !kind.is_gnu_sparse() => Ok(Place::Part {
                archive: archive.clone(),
                start: entry.raw_file_position(),
                length: entry.size(),
                deflated: false,
            }),
            _ if !crate::pictures::is_path(&name) => Ok(Place::Nowhere),
            _ if entry.size() > MAX_BYTES => Err(Fault::Damaged(TOO_LONG.to_owned())),
            _ => {
                let mut bytes = Vec::new();
                entry.read_to_end(&mut bytes)?;
                held += bytes.len() as u64;
                if held > MAX_HELD {
                    return Err(io::Error::other("its pictures take more than 8 GiB; unpack it"));
                }
                Ok(Place::Memory(bytes.into()))
            }
        };
        found.files.push(listed(&name, place));
    }
    let linked = linked(&found.files, links);
    found.files.extend(linked);
    Ok(found)
}

/// Lists hard links, given by their names and those of their targets, at the places of their targets.
fn linked(files: &[Listed], links: Vec<(String, String)>) -> Vec<Listed> {
    if links.is_empty() {
        return Vec::new();
    }
    let places: HashMap<&[String], &Result<Place, Fault>> =
        files.iter().map(|file| (file.path.as_slice(), &file.place)).collect();
    let place = |target: &str| match parts(target) {
        Some(path) => places.get(path.as_slice()).map_or(Err(Fault::NotFound), |place| (*place).clone()),
        None => Err(Fault::Outside),
    };
    links.into_iter().map(|(name, target)| listed(&name, place(&target))).collect()
}
