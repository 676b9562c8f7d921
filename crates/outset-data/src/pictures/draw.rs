//! Pictures as files that the program makes itself: PNG, base 64, and made-up ones for probes.

use super::{Channels, Shape};
use crate::lot::Lot;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use image::{ExtendedColorType, ImageEncoder as _};

/// Writes pixels `[channels, height, width]` as PNG.
///
/// # Panics
/// If there are more or fewer pixels than the shape says.
pub fn png(values: &[u8], shape: Shape) -> Vec<u8> {
    assert_eq!(values.len(), shape.length(), "the pixels have another shape");
    let plane = shape.height * shape.width;
    let interleaved: Vec<u8> = (0..plane)
        .flat_map(|pixel| (0..shape.channels).map(move |channel| values[channel * plane + pixel]))
        .collect();
    let color = match shape.channels {
        1 => ExtendedColorType::L8,
        3 => ExtendedColorType::Rgb8,
        _ => ExtendedColorType::Rgba8,
    };
    let mut bytes = Vec::new();
    let written = image::codecs::png::PngEncoder::new(&mut bytes).write_image(
        &interleaved,
        shape.width as u32,
        shape.height as u32,
        color,
    );
    written.unwrap_or_else(|error| unreachable!("writing to memory does not fail: {error}"));
    bytes
}

/// Bytes as base 64.
pub fn base64(bytes: &[u8]) -> String {
    STANDARD.encode(bytes)
}

/// Reads base 64, with or without `data:image/png;base64,` in front of it.
pub fn from_base64(text: &str) -> Option<Vec<u8>> {
    let text = match text.strip_prefix("data:") {
        Some(rest) => rest.split_once(";base64,")?.1,
        None => text,
    };
    if text.contains(|letter: char| letter.is_ascii_whitespace()) {
        let bare: String = text.chars().filter(|letter| !letter.is_ascii_whitespace()).collect();
        return STANDARD.decode(bare).ok();
    }
    STANDARD.decode(text).ok()
}

/// Draws a made-up picture: a few soft spots of any colour on a shaded ground.
pub fn made(size: usize, channels: Channels, lot: &mut Lot) -> Vec<u8> {
    let shape = Shape { channels: channels.count(), height: size, width: size };
    let ground: Vec<[f64; 3]> =
        (0..shape.channels).map(|_| [lot.unit(), lot.unit() - 0.5, lot.unit() - 0.5]).collect();
    let spots: Vec<(f64, f64, f64, Vec<f64>)> = (0..2 + lot.below(3))
        .map(|_| {
            let color = (0..shape.channels).map(|_| 2.0 * lot.unit() - 1.0).collect();
            (lot.unit(), lot.unit(), 0.08 + 0.2 * lot.unit(), color)
        })
        .collect();
    let mut values = Vec::with_capacity(shape.length());
    for (channel, [level, down, right]) in ground.iter().enumerate() {
        for y in 0..size {
            for x in 0..size {
                let (x, y) = ((x as f64 + 0.5) / size as f64, (y as f64 + 0.5) / size as f64);
                let mut value = level + down * (y - 0.5) + right * (x - 0.5);
                for (left, top, radius, color) in &spots {
                    let distance = ((x - left).powi(2) + (y - top).powi(2)) / (radius * radius);
                    // Falls off like a bell, in arithmetic that is the same everywhere.
                    value += color[channel] / (1.0 + distance * distance);
                }
                values.push((value.clamp(0.0, 1.0) * 255.0).round() as u8);
            }
        }
    }
    png(&values, shape)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pictures::{Fit, Picture};

    #[test]
    fn what_is_written_is_read_back() {
        let shape = Shape { channels: 3, height: 1, width: 2 };
        let values = [1, 2, 3, 4, 5, 6];
        let text = format!("data:image/png;base64,{}", base64(&png(&values, shape)));
        let picture = Picture::from_bytes("x", from_base64(&text).unwrap());
        assert_eq!(picture.pixels(shape, Fit::Crop).unwrap().values(), values);
        assert_eq!(from_base64("%%%"), None);
        assert_eq!(from_base64("aG k=\n").unwrap(), b"hi");
    }

    #[test]
    fn made_pictures_repeat_and_differ() {
        let draw = |seed| made(16, Channels::Rgb, &mut Lot::new(seed));
        assert_eq!(draw(1), draw(1));
        assert_ne!(draw(1), draw(2));
    }
}
