//! Pictures: where the bytes of each one lie, what its header says, and its pixels once they are decoded.
//!
//! A picture is read once for its hash and its header and once more to be decoded; kept are its pixels alone, in the
//! one size that the network takes, and never the file's bytes beside them where the file can be read again.

mod augment;
mod decode;
mod draw;
mod fault;
mod gather;
mod place;
#[cfg(test)]
#[expect(dead_code, reason = "shared with the tests of other crates, which use all of it")]
mod samples;
mod whiten;

pub use augment::{Augment, AugmentSettings, Augmentation};
pub use decode::{Channels, Fit, MAX_PIXELS, Shape, header};
pub use draw::{base64, from_base64, made, png};
pub use fault::Fault;
pub use gather::{Skipped, describe, find_paths, is_path, load, resolve};
pub(crate) use place::{MAX_BYTES, Place, TOO_LONG};
pub(crate) use whiten::whitening;

use sha2::{Digest as _, Sha256};
use std::collections::HashSet;
use std::sync::{Arc, OnceLock};

/// Endings of the files that can be decoded, in small letters.
pub const ENDINGS: [&str; 8] = ["png", "jpg", "jpeg", "webp", "bmp", "gif", "tif", "tiff"];

/// What a picture's header says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header {
    /// Width and height in pixels, as it is to be looked at.
    pub size: [u32; 2],
    pub grey: bool,
    pub alpha: bool,
}

/// One picture.
#[derive(Debug)]
pub struct Picture {
    /// What the user calls it: its path, or its place in a file of many.
    pub name: String,
    place: Place,
    digest: [u8; 32],
    length: u64,
    header: Result<Header, Fault>,
    decoded: OnceLock<(Shape, Fit, Result<Pixels, Fault>)>,
}

/// The pixels of a picture: `[channels, height, width]`, a byte each, perhaps in the middle of a longer buffer.
#[derive(Clone, Debug)]
pub struct Pixels {
    buffer: Arc<[u8]>,
    start: usize,
    length: usize,
}

/// The pictures of a column, by row; `None` is a missing cell.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Images(pub Vec<Option<Arc<Picture>>>);

impl Images {
    /// The hash of a row's picture; zeros for none.
    pub fn digest(&self, row: usize) -> [u8; 32] {
        self.0[row].as_ref().map_or([0; 32], |picture| picture.digest)
    }

    /// A number that pictures of equal content share.
    pub fn identity(&self, row: usize) -> u64 {
        let digest = self.digest(row);
        u64::from_le_bytes(std::array::from_fn(|place| digest[place]))
    }

    /// What was found to be wrong with a row's picture so far.
    pub fn fault(&self, row: usize) -> Option<&Fault> {
        self.0[row].as_ref()?.fault()
    }

    /// How many different pictures take memory for their pixels in a shape; those of a file that holds them so take none.
    pub fn to_decode(&self, shape: Shape) -> usize {
        let mut seen = HashSet::new();
        let takes = |picture: &&Arc<Picture>| {
            picture.header.is_ok() && picture.as_it_lies(shape).is_none() && seen.insert(Arc::as_ptr(picture))
        };
        self.0.iter().flatten().filter(takes).count()
    }

    /// Takes out the pictures that cannot be used; their rows have none then.
    pub fn clear(&mut self, rows: &[u32]) {
        rows.iter().for_each(|row| self.0[*row as usize] = None);
    }
}

impl PartialEq for Picture {
    fn eq(&self, other: &Self) -> bool {
        self.digest == other.digest
    }
}

impl Pixels {
    /// All of a buffer.
    pub fn new(values: Vec<u8>) -> Self {
        Self { length: values.len(), buffer: values.into(), start: 0 }
    }

    /// `[channels, height, width]`.
    pub fn values(&self) -> &[u8] {
        &self.buffer[self.start..self.start + self.length]
    }
}

impl PartialEq for Pixels {
    fn eq(&self, other: &Self) -> bool {
        self.values() == other.values()
    }
}

impl Picture {
    /// Reads hash and header of the picture at `place`; what is wrong with it is kept and told when it is needed.
    pub(crate) fn open(name: String, place: Place) -> Self {
        let (digest, length, header) = match place.bytes() {
            Ok(bytes) => {
                let digest = Sha256::digest(&bytes).into();
                let header = match place.raw_size() {
                    Some(size) => Ok(Header { size, grey: true, alpha: false }),
                    None => decode::header(&bytes),
                };
                (digest, bytes.len() as u64, header)
            }
            Err(fault) => (Sha256::digest(name.as_bytes()).into(), 0, Err(fault)),
        };
        Self { name, place, digest, length, header, decoded: OnceLock::new() }
    }

    /// A picture whose file is held in memory, as it comes with a request.
    pub fn from_bytes(name: &str, bytes: Vec<u8>) -> Self {
        Self::open(name.to_owned(), Place::Memory(bytes.into()))
    }

    /// A picture that cannot be had.
    pub(crate) fn faulty(name: String, fault: Fault) -> Self {
        let digest = Sha256::digest(name.as_bytes()).into();
        Self { name, place: Place::Nowhere, digest, length: 0, header: Err(fault), decoded: OnceLock::new() }
    }

    /// SHA-256 of the file, or of the raw pixels.
    pub fn digest(&self) -> &[u8; 32] {
        &self.digest
    }

    /// Bytes of the file, as far as they are known without reading it again.
    pub fn length(&self) -> u64 {
        self.length
    }

    /// What the header says, or what is wrong with the picture.
    pub fn header(&self) -> &Result<Header, Fault> {
        &self.header
    }

    /// The pixels in a shape, decoded at the first call and kept.
    ///
    /// # Errors
    /// What is wrong with the picture.
    pub fn pixels(&self, shape: Shape, fit: Fit) -> Result<Pixels, Fault> {
        let (of, how, kept) = self.decoded.get_or_init(|| (shape, fit, self.decode(shape, fit)));
        if *of == shape && *how == fit { kept.clone() } else { self.decode(shape, fit) }
    }

    /// The file's bytes, or those of a PNG of the raw pixels.
    ///
    /// # Errors
    /// What is wrong with the picture.
    pub fn file(&self) -> Result<Vec<u8>, Fault> {
        let bytes = self.place.bytes()?;
        Ok(match self.place.raw_size() {
            Some([width, height]) => {
                png(&bytes, Shape { channels: 1, height: height as usize, width: width as usize })
            }
            None => bytes.into_owned(),
        })
    }

    /// The pixels where they lie in memory, if they have that shape there.
    fn as_it_lies(&self, shape: Shape) -> Option<Pixels> {
        let Place::Raw { buffer, start, width, height } = &self.place else { return None };
        let raw = Shape { channels: 1, height: *height as usize, width: *width as usize };
        (shape == raw).then(|| Pixels { buffer: buffer.clone(), start: *start, length: shape.length() })
    }

    fn decode(&self, shape: Shape, fit: Fit) -> Result<Pixels, Fault> {
        self.header.clone()?;
        if let Some(pixels) = self.as_it_lies(shape) {
            return Ok(pixels);
        }
        let bytes = self.place.bytes()?;
        match self.place.raw_size() {
            Some([width, height]) => decode::raw(&bytes, width, height, shape, fit),
            None => decode::file(&bytes, shape, fit),
        }
        .map(Pixels::new)
    }

    /// What was found to be wrong with the picture so far.
    pub fn fault(&self) -> Option<&Fault> {
        match (&self.header, self.decoded.get()) {
            (Err(fault), _) | (_, Some((_, _, Err(fault)))) => Some(fault),
            _ => None,
        }
    }
}
