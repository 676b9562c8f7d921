//! A picture's pixels as a PNG file.

use std::collections::HashMap;

use png::{BitDepth, ColorType, Compression, Encoder, EncodingError, Filter};
use tiny_skia::Pixmap;

/// Encodes opaque pixels: one byte a pixel where 256 colours are enough, as for most plots, else three.
///
/// That makes the file a third as large and encoding it several times as fast.
pub fn encode(pixels: &Pixmap) -> Result<Vec<u8>, EncodingError> {
    let mut bytes = Vec::with_capacity(64 * 1024);
    let mut encoder = Encoder::new(&mut bytes, pixels.width(), pixels.height());
    encoder.set_depth(BitDepth::Eight);
    encoder.set_compression(Compression::Fast);
    match indexed(pixels) {
        Some((palette, indices)) => {
            encoder.set_color(ColorType::Indexed);
            encoder.set_palette(palette);
            // Less the line above, a plot is mostly zeros, which the compressor is quickest with.
            encoder.set_filter(Filter::Up);
            encoder.write_header()?.write_image_data(&indices)?;
        }
        None => {
            encoder.set_color(ColorType::Rgb);
            encoder.write_header()?.write_image_data(&rgb(pixels))?;
        }
    }
    Ok(bytes)
}

/// Colours as a palette, and each pixel's place in it; `None` if there are more than 256.
fn indexed(pixels: &Pixmap) -> Option<(Vec<u8>, Vec<u8>)> {
    let mut known: HashMap<[u8; 3], u8> = HashMap::with_capacity(256);
    let mut palette = Vec::with_capacity(3 * 256);
    let mut indices = Vec::with_capacity(pixels.pixels().len());
    for run in pixels.pixels().chunk_by(|first, second| first == second) {
        let color = [run[0].red(), run[0].green(), run[0].blue()];
        let index = match known.get(&color) {
            Some(index) => *index,
            None => {
                let index = u8::try_from(known.len()).ok()?;
                known.insert(color, index);
                palette.extend_from_slice(&color);
                index
            }
        };
        indices.resize(indices.len() + run.len(), index);
    }
    Some((palette, indices))
}

fn rgb(pixels: &Pixmap) -> Vec<u8> {
    let mut rgb = vec![0; pixels.data().len() / 4 * 3];
    for (rgb, rgba) in rgb.chunks_exact_mut(3).zip(pixels.data().chunks_exact(4)) {
        rgb.copy_from_slice(&rgba[..3]);
    }
    rgb
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Decodes what was encoded, as red, green and blue.
    fn back(pixels: &Pixmap) -> Vec<u8> {
        let bytes = encode(pixels).unwrap();
        let mut decoder = png::Decoder::new(std::io::Cursor::new(bytes));
        decoder.set_transformations(png::Transformations::EXPAND);
        let mut reader = decoder.read_info().unwrap();
        let mut out = vec![0; reader.output_buffer_size().unwrap()];
        reader.next_frame(&mut out).unwrap();
        out
    }

    #[test]
    fn few_and_many_colours_come_back_as_they_were() {
        for colors in [3, 500] {
            let mut pixels = Pixmap::new(64, 40).unwrap();
            for (index, rgba) in pixels.data_mut().chunks_exact_mut(4).enumerate() {
                let color = index % colors;
                rgba.copy_from_slice(&[(color % 256) as u8, (color / 256) as u8, 7, 255]);
            }
            assert_eq!(indexed(&pixels).is_some(), colors == 3);
            assert_eq!(back(&pixels), rgb(&pixels));
        }
    }
}
