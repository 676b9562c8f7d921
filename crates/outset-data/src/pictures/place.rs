//! Where a picture's bytes lie: a file, a part of an archive, a buffer.

use super::Fault;
use std::borrow::Cow;
use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Bytes that the file of one picture may have.
pub(crate) const MAX_BYTES: u64 = 1 << 28;

/// What is said of a file that has more.
pub(crate) const TOO_LONG: &str = "it has more than 256 MiB";

/// Where to find the bytes.
#[derive(Clone, Debug)]
pub(crate) enum Place {
    File(PathBuf),
    /// Bytes within an archive, as they are or deflated.
    Part {
        archive: Arc<Path>,
        start: u64,
        length: u64,
        deflated: bool,
    },
    Memory(Arc<[u8]>),
    /// Grey pixels, row by row.
    Raw {
        buffer: Arc<[u8]>,
        start: usize,
        width: u32,
        height: u32,
    },
    Nowhere,
}

impl Place {
    /// All bytes.
    ///
    /// # Errors
    /// If they cannot be read.
    pub(crate) fn bytes(&self) -> Result<Cow<'_, [u8]>, Fault> {
        let read = match self {
            Self::File(path) => File::open(path).and_then(limited),
            Self::Part { archive, start, length, deflated } => part(archive, *start, *length, *deflated),
            Self::Memory(bytes) => return Ok(Cow::Borrowed(bytes)),
            Self::Raw { buffer, start, width, height } => {
                return Ok(Cow::Borrowed(&buffer[*start..*start + *width as usize * *height as usize]));
            }
            Self::Nowhere => Err(io::Error::other("it has no place")),
        };
        read.map(Cow::Owned).map_err(|error| match error.kind() {
            io::ErrorKind::NotFound => Fault::NotFound,
            io::ErrorKind::InvalidData | io::ErrorKind::InvalidInput => Fault::Damaged(error.to_string()),
            _ => Fault::Unreadable(error.to_string()),
        })
    }

    /// Width and height of raw pixels.
    pub(crate) fn raw_size(&self) -> Option<[u32; 2]> {
        match self {
            Self::Raw { width, height, .. } => Some([*width, *height]),
            _ => None,
        }
    }
}

fn limited(stream: impl Read) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    if stream.take(MAX_BYTES + 1).read_to_end(&mut bytes)? as u64 > MAX_BYTES {
        return Err(io::Error::new(io::ErrorKind::InvalidData, TOO_LONG));
    }
    Ok(bytes)
}

fn part(archive: &Path, start: u64, length: u64, deflated: bool) -> io::Result<Vec<u8>> {
    let mut file = File::open(archive)?;
    file.seek(SeekFrom::Start(start))?;
    let packed = file.take(length);
    if deflated {
        limited(flate2::read::DeflateDecoder::new(io::BufReader::new(packed)))
    } else {
        limited(packed)
    }
}
