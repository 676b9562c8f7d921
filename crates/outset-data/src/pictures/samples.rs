//! Pictures for tests, here and in other crates: files that say more than they hold, and the smallest JPEG.

/// A PNG whose header says that it is of `width` × `height` pixels, with nothing of the kind behind it.
pub fn pretended(mut png: Vec<u8>, width: u32, height: u32) -> Vec<u8> {
    png[16..20].copy_from_slice(&width.to_be_bytes());
    png[20..24].copy_from_slice(&height.to_be_bytes());
    // The checksum of the chunk, bit by bit.
    let sum =
        !png[12..29].iter().fold(u32::MAX, |sum, byte| {
            (0..8).fold(sum ^ u32::from(*byte), |sum, _| {
                if sum & 1 == 1 { (sum >> 1) ^ 0xedb8_8320 } else { sum >> 1 }
            })
        });
    png[29..33].copy_from_slice(&sum.to_be_bytes());
    png
}

/// A JPEG of 8 × 8 grey pixels: one table of ones, two of a single code, and a scan of one block.
pub fn jpeg() -> Vec<u8> {
    let code = |table: u8| [&[0xff, 0xc4, 0, 20, table, 1][..], &[0; 16]].concat();
    [
        &b"\xff\xd8\xff\xdb\0\x43\0"[..],
        &[1; 64],
        b"\xff\xc0\0\x0b\x08\0\x08\0\x08\x01\x01\x11\0",
        &code(0),
        &code(0x10),
        b"\xff\xda\0\x08\x01\x01\0\0\x3f\0\x3f\xff\xd9",
    ]
    .concat()
}
