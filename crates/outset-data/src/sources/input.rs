//! Files and standard input as streams of bytes that can be read again, decompressed on the way.

use super::archive::{Member, members};
use super::error::SourceError;
use sha2::{Digest, Sha256};
use std::fs::File;
use std::io::{self, BufReader, Cursor, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// Bytes looked at to recognise a file.
const HEAD: usize = 1 << 20;

/// Bytes read at once.
pub(super) const CHUNK: usize = 1 << 18;

/// One file, or standard input, which is held in memory because it cannot be read twice.
#[derive(Clone, Debug)]
pub(super) struct Input {
    /// The path as the user wrote it.
    pub(super) shown: String,
    place: Place,
    pub(super) compression: Compression,
    /// The first bytes, decompressed; all of them if there are no more.
    pub(super) head: Arc<[u8]>,
}

#[derive(Clone, Debug)]
enum Place {
    File(PathBuf),
    Memory(Arc<[u8]>),
}

/// How a file is compressed, told by its first bytes.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Compression {
    None,
    Gzip,
    Zstd,
    /// The only file of a zip archive.
    Zip(Member),
}

impl Compression {
    fn of(head: &[u8]) -> Self {
        match head {
            [0x1f, 0x8b, ..] => Self::Gzip,
            [0x28, 0xb5, 0x2f, 0xfd, ..] => Self::Zstd,
            _ => Self::None,
        }
    }

    /// The word for it; empty for none.
    pub(super) fn word(self) -> &'static str {
        match self {
            Self::None => "",
            Self::Gzip => "gzip",
            Self::Zstd => "zstd",
            Self::Zip(_) => "zip",
        }
    }
}

/// How a zip archive that holds something begins.
const ZIP: &[u8] = b"PK\x03\x04";

impl Input {
    /// Opens a file; `shown` is its path as the user wrote it.
    pub(super) fn file(path: PathBuf, shown: &str) -> Result<Self, SourceError> {
        Self::new(Place::File(path), shown)
    }

    /// Reads all of a stream into memory, for standard input.
    pub(super) fn stream(mut stream: impl Read, shown: &str) -> Result<Self, SourceError> {
        let mut bytes = Vec::new();
        match stream.read_to_end(&mut bytes) {
            Ok(_) => Self::new(Place::Memory(bytes.into()), shown),
            Err(source) => Err(SourceError::Io { path: shown.to_owned(), source }),
        }
    }

    fn new(place: Place, shown: &str) -> Result<Self, SourceError> {
        let (shown, head) = (shown.to_owned(), Arc::from([]));
        let mut input = Self { shown, place, compression: Compression::None, head };
        let magic = input.read_head(4)?;
        if magic.is_empty() {
            return Err(SourceError::Empty { path: input.shown });
        }
        input.compression = Compression::of(&magic);
        if let Some(member) = input.only_member(&magic) {
            input.compression = Compression::Zip(member);
        }
        input.head = input.read_head(HEAD)?.into();
        if input.head.is_empty() {
            return Err(SourceError::Empty { path: input.shown });
        }
        Ok(input)
    }

    /// The only file of a zip archive; `None` for any other file, and for an archive that cannot be read as one.
    fn only_member(&self, magic: &[u8]) -> Option<Member> {
        if magic != ZIP {
            return None;
        }
        let files = match &self.place {
            Place::File(path) => File::open(path).and_then(|file| members(BufReader::new(file))),
            Place::Memory(bytes) => members(Cursor::new(bytes.clone())),
        };
        // What macOS adds is not the user's.
        let mut files = files.ok()?.into_iter().filter(|(name, _)| !name.starts_with("__MACOSX/"));
        match (files.next(), files.next()) {
            (Some((_, member)), None) => member.ok(),
            _ => None,
        }
    }

    fn read_head(&self, size: usize) -> Result<Vec<u8>, SourceError> {
        let mut head = Vec::new();
        self.open()?.take(size as u64).read_to_end(&mut head).map_err(|source| self.failed(source))?;
        Ok(head)
    }

    /// Frees the memory of the head, once the file is recognised.
    pub(super) fn forget_head(&mut self) {
        self.head = Arc::from([]);
    }

    /// Opens the bytes from the start, decompressed.
    pub(super) fn open(&self) -> Result<Box<dyn Read + Send>, SourceError> {
        let raw = self.open_raw().map_err(|source| self.failed(source))?;
        Ok(match self.compression {
            Compression::None => raw,
            Compression::Gzip => Box::new(flate2::read::MultiGzDecoder::new(raw)),
            Compression::Zstd => {
                Box::new(zstd::stream::read::Decoder::new(raw).map_err(|source| self.failed(source))?)
            }
            Compression::Zip(Member { start, length, deflated }) => {
                let mut raw = raw;
                io::copy(&mut raw.by_ref().take(start), &mut io::sink())
                    .map_err(|source| self.failed(source))?;
                let raw = raw.take(length);
                if deflated { Box::new(flate2::read::DeflateDecoder::new(raw)) } else { Box::new(raw) }
            }
        })
    }

    fn open_raw(&self) -> io::Result<Box<dyn Read + Send>> {
        Ok(match &self.place {
            Place::File(path) => Box::new(File::open(path)?),
            Place::Memory(bytes) => Box::new(Cursor::new(bytes.clone())),
        })
    }

    /// The path of an uncompressed file, for formats that are read in any order.
    pub(super) fn plain_file(&self) -> Option<&Path> {
        match &self.place {
            Place::File(path) if self.compression == Compression::None => Some(path),
            _ => None,
        }
    }

    /// SHA-256 of the bytes as they lie on disk, in hexadecimal digits, and their number; wrong once it is given up.
    pub(super) fn digest(&self, given_up: &AtomicBool) -> Result<(String, u64), SourceError> {
        let mut hash = Sha256::new();
        let bytes = self
            .open_raw()
            .and_then(|raw| {
                for_each_chunk(raw, |chunk| {
                    hash.update(chunk);
                    !given_up.load(Ordering::Relaxed)
                })
            })
            .map_err(|source| self.failed(source))?;
        let digits = hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect();
        Ok((digits, bytes))
    }

    /// The error of a read that failed.
    pub(super) fn failed(&self, source: io::Error) -> SourceError {
        let path = self.shown.clone();
        let system = source.raw_os_error().is_some();
        match self.compression {
            Compression::None => SourceError::Io { path, source },
            _ if system => SourceError::Io { path, source },
            compression => SourceError::Damaged { path, format: compression.word(), source },
        }
    }
}

/// Hands the bytes of a stream to `take`, piece by piece, until that gives `false`, and counts them.
pub(super) fn for_each_chunk(mut stream: impl Read, mut take: impl FnMut(&[u8]) -> bool) -> io::Result<u64> {
    let mut chunk = vec![0; CHUNK];
    let mut total = 0;
    loop {
        match stream.read(&mut chunk) {
            Ok(0) => return Ok(total),
            Ok(size) => {
                total += size as u64;
                if !take(&chunk[..size]) {
                    return Ok(total);
                }
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
}
