//! TensorBoard's event files: records of length, checksum, protocol buffer, checksum
//! (<https://github.com/tensorflow/tensorflow/blob/master/tensorflow/core/util/event.proto>).

use super::{Course, write};
use crate::ReportError;
use std::path::{Path, PathBuf};

/// Writes the course of a run as an event file into a folder of the run's name under `output`, and gives its path.
///
/// # Errors
/// If the run cannot be read, or the file cannot be written.
pub fn tensorboard(folder: &Path, output: &Path) -> Result<PathBuf, ReportError> {
    let course = Course::read(folder)?;
    let mut bytes = record(&event(course.started, 0, &field(3, b"brain.Event:2")));
    for (step, name, value) in course.values() {
        let mut scalar = field(1, name.as_bytes());
        scalar.push((2 << 3) | 5);
        scalar.extend((value as f32).to_le_bytes());
        let summary = field(5, &field(1, &scalar));
        bytes.extend(record(&event(course.moment(step), step, &summary)));
    }
    let path =
        output.join(&course.name).join(format!("events.out.tfevents.{:010}.outset", course.started as u64));
    write(path.clone(), &bytes)?;
    Ok(path)
}

/// An event: its time, its step, and what happened.
fn event(moment: f64, step: usize, what: &[u8]) -> Vec<u8> {
    let mut bytes = vec![(1 << 3) | 1];
    bytes.extend(moment.to_le_bytes());
    bytes.push(2 << 3);
    bytes.extend(varint(step as u64));
    bytes.extend(what);
    bytes
}

/// A field of bytes with its number and length.
fn field(number: u8, content: &[u8]) -> Vec<u8> {
    let mut bytes = vec![(number << 3) | 2];
    bytes.extend(varint(content.len() as u64));
    bytes.extend(content);
    bytes
}

fn varint(mut value: u64) -> Vec<u8> {
    let mut bytes = Vec::new();
    while value >= 0x80 {
        bytes.push((value as u8) | 0x80);
        value >>= 7;
    }
    bytes.push(value as u8);
    bytes
}

fn record(data: &[u8]) -> Vec<u8> {
    let length = (data.len() as u64).to_le_bytes();
    let mut bytes = length.to_vec();
    bytes.extend(masked(&length).to_le_bytes());
    bytes.extend(data);
    bytes.extend(masked(data).to_le_bytes());
    bytes
}

/// The checksum of a record: CRC-32C, turned and moved so that a checksum of checksums stays one.
fn masked(bytes: &[u8]) -> u32 {
    crc32c(bytes).rotate_right(15).wrapping_add(0xa282_ead8)
}

fn crc32c(bytes: &[u8]) -> u32 {
    let step = |crc: u32| if crc & 1 == 1 { (crc >> 1) ^ 0x82f6_3b78 } else { crc >> 1 };
    !bytes.iter().fold(!0, |crc, byte| (0..8).fold(crc ^ u32::from(*byte), |crc, _| step(crc)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn checksums_are_those_of_the_standard() {
        // RFC 3720, appendix B.4.
        assert_eq!(crc32c(&[0; 32]), 0x8a91_36aa);
        assert_eq!(crc32c(&[0xff; 32]), 0x62a8_ab43);
        assert_eq!(crc32c(b"123456789"), 0xe306_9283);
    }

    #[test]
    fn numbers_of_any_length() {
        assert_eq!(varint(1), [1]);
        assert_eq!(varint(300), [0xac, 2]);
    }
}
