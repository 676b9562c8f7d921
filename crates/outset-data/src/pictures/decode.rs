//! From a picture's file to pixels of one shape: orientation, alpha, cropping and resizing.

use super::{Fault, Header};
use image::imageops::FilterType;
use image::metadata::Orientation;
use image::{DynamicImage, ImageDecoder, ImageFormat, ImageReader, Limits, Rgb};
use outset_spec::{Node, Setting, choices};
use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::io::Cursor;

/// Pixels that a picture may have: what a camera takes, far below what a few bytes can pretend to hold.
pub const MAX_PIXELS: u64 = 100_000_000;

/// Bytes that the pixels of a decoded picture may take: four of one byte each for every pixel that there may be.
pub(super) const MAX_DECODED: u64 = 4 * MAX_PIXELS;

/// Bytes that a decoder may ask for beside them.
const MAX_ALLOCATION: u64 = 1 << 30;

/// How much larger than needed a picture must be to be shrunk by plain averaging first.
const MUCH_LARGER: u32 = 4;

choices! {
    /// How a picture that is not square becomes so.
    pub enum Fit {
        /// The middle is cut out.
        Crop = "crop",
        /// It is squeezed.
        Stretch = "stretch",
        /// Black bars are added.
        Pad = "pad",
    }
}

choices! {
    /// What a pixel holds.
    pub enum Channels {
        /// Brightness alone.
        Grey = "grey",
        /// Red, green and blue, upon white where the picture is transparent.
        Rgb = "rgb",
        /// Red, green, blue and how opaque the pixel is.
        Rgba = "rgba",
    }
}

impl Channels {
    /// Numbers of a pixel.
    pub fn count(self) -> usize {
        match self {
            Self::Grey => 1,
            Self::Rgb => 3,
            Self::Rgba => 4,
        }
    }
}

/// Writes and reads choices by their words.
macro_rules! by_word {
    ($($choice:ty),*) => { $(
        impl Serialize for $choice {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_str(self.word())
            }
        }

        impl<'de> Deserialize<'de> for $choice {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let word = String::deserialize(deserializer)?;
                let node = Node { value: word.as_str().into(), place: None };
                Self::from_node(&node)
                    .map_err(|_| D::Error::custom(format!("`{word}`, but must be {}", Self::EXPECTED)))
            }
        }
    )* };
}

by_word!(Fit, Channels);

/// The shape of a picture's pixels.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shape {
    /// 1, 3 or 4.
    pub channels: usize,
    pub height: usize,
    pub width: usize,
}

impl Shape {
    /// Number of all values.
    pub fn length(self) -> usize {
        self.channels * self.height * self.width
    }
}

/// Opens a decoder whose size is known to be harmless.
fn decoder(bytes: &[u8]) -> Result<(impl ImageDecoder + '_, Header, Orientation), Fault> {
    let mut reader = ImageReader::new(Cursor::new(bytes))
        .with_guessed_format()
        .map_err(|error| Fault::Unreadable(error.to_string()))?;
    if reader.format().is_none_or(|format| !format.reading_enabled()) {
        return Err(Fault::NotAPicture);
    }
    let is_jpeg = reader.format() == Some(ImageFormat::Jpeg);
    let mut limits = Limits::default();
    limits.max_alloc = Some(MAX_ALLOCATION);
    reader.limits(limits);
    let mut decoder = reader.into_decoder().map_err(damaged)?;
    let (width, height) = decoder.dimensions();
    if width == 0 || height == 0 {
        return Err(Fault::Damaged("it has no pixels".to_owned()));
    }
    if u64::from(width) * u64::from(height) > MAX_PIXELS {
        return Err(Fault::TooLarge { size: [width, height] });
    }
    // The decoder's limits leave out the buffer that it is given.
    if decoder.total_bytes() > MAX_DECODED {
        return Err(Fault::TooManyBytes { bytes: decoder.total_bytes() });
    }
    if is_jpeg && is_cut_off(bytes) {
        return Err(Fault::Damaged("it is cut off".to_owned()));
    }
    // Broken notes about the camera do not spoil the picture.
    let orientation = decoder.orientation().unwrap_or(Orientation::NoTransforms);
    let turned = matches!(
        orientation,
        Orientation::Rotate90
            | Orientation::Rotate270
            | Orientation::Rotate90FlipH
            | Orientation::Rotate270FlipH
    );
    let color = decoder.color_type();
    let header = Header {
        size: if turned { [height, width] } else { [width, height] },
        grey: !color.has_color(),
        alpha: color.has_alpha(),
    };
    Ok((decoder, header, orientation))
}

/// Tells whether a JPEG lacks the mark of its end, as the decoder fills what is lacking with grey and says nothing.
fn is_cut_off(jpeg: &[u8]) -> bool {
    const END: [u8; 2] = [0xff, 0xd9];
    // The end stands last, but for what some cameras append.
    !scans(jpeg).is_some_and(|scans| scans.windows(END.len()).rev().any(|mark| mark == END))
}

/// What follows the mark of a JPEG's first scan. Segments before it are stepped over: a thumbnail in the camera's notes is
/// a JPEG with an end of its own.
fn scans(jpeg: &[u8]) -> Option<&[u8]> {
    const START_OF_SCAN: u8 = 0xda;
    let mut rest = jpeg.get(2..)?;
    loop {
        rest = &rest[rest.iter().position(|byte| *byte == 0xff)?..];
        // Filling may stand between 0xff and the mark's kind.
        let kind = rest.iter().position(|byte| !matches!(byte, 0 | 0xff))?;
        let segment = &rest[kind + 1..];
        if rest[kind] == START_OF_SCAN {
            return Some(segment);
        }
        // The length counts its own two bytes.
        let length = u16::from_be_bytes(*segment.first_chunk()?);
        rest = segment.get(usize::from(length)..)?;
    }
}

fn damaged(error: image::ImageError) -> Fault {
    Fault::Damaged(error.to_string())
}

/// Reads the header of a file.
///
/// # Errors
/// If it is no picture, or one of too many pixels.
pub fn header(bytes: &[u8]) -> Result<Header, Fault> {
    decoder(bytes).map(|(_, header, _)| header)
}

/// Decodes a file.
///
/// # Errors
/// If it is damaged, no picture, or one of too many pixels.
pub(super) fn file(bytes: &[u8], shape: Shape, fit: Fit) -> Result<Vec<u8>, Fault> {
    let (decoder, _, orientation) = decoder(bytes)?;
    let mut image = DynamicImage::from_decoder(decoder).map_err(damaged)?;
    image.apply_orientation(orientation);
    Ok(shaped(image, shape, fit))
}

/// Brings raw grey pixels into a shape.
///
/// # Errors
/// If there are fewer than the size says.
pub(super) fn raw(bytes: &[u8], width: u32, height: u32, shape: Shape, fit: Fit) -> Result<Vec<u8>, Fault> {
    let image = image::GrayImage::from_raw(width, height, bytes.to_vec())
        .ok_or_else(|| Fault::Damaged("pixels are lacking".to_owned()))?;
    Ok(shaped(image.into(), shape, fit))
}

/// Crops, resizes and takes the channels apart: `[channels, height, width]`.
fn shaped(image: DynamicImage, shape: Shape, fit: Fit) -> Vec<u8> {
    let image = match shape.channels {
        1 => DynamicImage::from(on_white(image).into_luma8()),
        3 => on_white(image).into_rgb8().into(),
        _ => image.into_rgba8().into(),
    };
    let (width, height) = (shape.width as u32, shape.height as u32);
    let image = match fit {
        Fit::Crop => resized(middle(image, width, height), width, height),
        Fit::Stretch => resized(image, width, height),
        Fit::Pad => padded(image, width, height),
    };
    let interleaved = image.as_bytes();
    let plane = shape.height * shape.width;
    let mut planes = vec![0; shape.length()];
    for (pixel, values) in interleaved.chunks_exact(shape.channels).enumerate() {
        for (channel, value) in values.iter().enumerate() {
            planes[channel * plane + pixel] = *value;
        }
    }
    planes
}

/// Puts a transparent picture upon white.
fn on_white(image: DynamicImage) -> DynamicImage {
    if !image.color().has_alpha() {
        return image;
    }
    let image = image.into_rgba8();
    let mix = |value: u8, alpha: u8| {
        let (value, alpha) = (u32::from(value), u32::from(alpha));
        ((value * alpha + 255 * (255 - alpha) + 127) / 255) as u8
    };
    image::RgbImage::from_fn(image.width(), image.height(), |x, y| {
        let [red, green, blue, alpha] = image.get_pixel(x, y).0;
        Rgb([mix(red, alpha), mix(green, alpha), mix(blue, alpha)])
    })
    .into()
}

/// The largest middle part with the proportions of `width` to `height`.
fn middle(image: DynamicImage, width: u32, height: u32) -> DynamicImage {
    let (w, h) = (u64::from(image.width()), u64::from(image.height()));
    let (target_w, target_h) = (u64::from(width), u64::from(height));
    let cut_w = w.min((h * target_w / target_h).max(1));
    let cut_h = h.min((w * target_h / target_w).max(1));
    if (cut_w, cut_h) == (w, h) {
        return image;
    }
    image.crop_imm(((w - cut_w) / 2) as u32, ((h - cut_h) / 2) as u32, cut_w as u32, cut_h as u32)
}

fn resized(image: DynamicImage, width: u32, height: u32) -> DynamicImage {
    let size = (image.width(), image.height());
    if size == (width, height) {
        return image;
    }
    // Each side by itself: a filter takes memory for a picture as wide as the old and as high as the new one, far more than
    // a line of a hundred million pixels holds.
    let shrunk = |side: u32, wanted: u32| if side / wanted >= MUCH_LARGER { wanted * 2 } else { side };
    let near = (shrunk(size.0, width), shrunk(size.1, height));
    let image = if near == size { image } else { image.thumbnail_exact(near.0, near.1) };
    image.resize_exact(width, height, FilterType::Triangle)
}

fn padded(image: DynamicImage, width: u32, height: u32) -> DynamicImage {
    let scale =
        (f64::from(width) / f64::from(image.width())).min(f64::from(height) / f64::from(image.height()));
    let side = |length: u32, most: u32| ((f64::from(length) * scale).round() as u32).clamp(1, most);
    let inner_size = (side(image.width(), width), side(image.height(), height));
    let inner = resized(image, inner_size.0, inner_size.1);
    let mut whole = DynamicImage::new(width, height, inner.color());
    let (left, top) = ((width - inner.width()) / 2, (height - inner.height()) / 2);
    image::imageops::replace(&mut whole, &inner, i64::from(left), i64::from(top));
    whole
}

#[cfg(test)]
mod tests {
    use super::super::samples::pretended;
    use super::*;
    use crate::lot::Lot;
    use image::codecs::gif::GifEncoder;
    use image::{Frame, GrayImage, Luma, RgbImage, Rgba, RgbaImage};

    fn written(image: &DynamicImage, format: ImageFormat) -> Vec<u8> {
        let mut bytes = Cursor::new(Vec::new());
        image.write_to(&mut bytes, format).unwrap();
        bytes.into_inner()
    }

    /// Columns of brightness 0, 100 and 200.
    fn columns() -> DynamicImage {
        GrayImage::from_fn(3, 1, |x, _| Luma([x as u8 * 100])).into()
    }

    #[test]
    fn formats_and_fits() {
        let shape = Shape { channels: 1, height: 1, width: 1 };
        for format in [ImageFormat::Png, ImageFormat::Bmp, ImageFormat::Tiff] {
            let bytes = written(&columns(), format);
            // A bitmap keeps brightness as a palette of colours.
            let grey = format != ImageFormat::Bmp;
            assert_eq!(header(&bytes).unwrap(), Header { size: [3, 1], grey, alpha: false }, "{format:?}");
            assert_eq!(file(&bytes, shape, Fit::Crop).unwrap(), [100], "{format:?}");
        }
        let bytes = written(&columns(), ImageFormat::Png);
        let wide = Shape { channels: 3, height: 3, width: 3 };
        let padded = file(&bytes, wide, Fit::Pad).unwrap();
        assert_eq!(padded[..9], [0, 0, 0, 0, 100, 200, 0, 0, 0]);
        assert_eq!(padded[9..18], padded[..9]);
        assert_eq!(
            file(&bytes, Shape { channels: 1, height: 1, width: 3 }, Fit::Stretch).unwrap(),
            [0, 100, 200]
        );
        let tall = Shape { channels: 1, height: 3, width: 1 };
        assert_eq!(file(&bytes, tall, Fit::Crop).unwrap(), [100, 100, 100]);
    }

    #[test]
    fn transparency_shows_white() {
        let image: DynamicImage = RgbaImage::from_pixel(1, 1, Rgba([0, 0, 200, 51])).into();
        let bytes = written(&image, ImageFormat::Png);
        assert_eq!(
            file(&bytes, Shape { channels: 3, height: 1, width: 1 }, Fit::Crop).unwrap(),
            [204, 204, 244]
        );
        assert_eq!(
            file(&bytes, Shape { channels: 4, height: 1, width: 1 }, Fit::Crop).unwrap(),
            [0, 0, 200, 51]
        );
        assert!(header(&bytes).unwrap().alpha);
    }

    #[test]
    fn what_is_no_picture_is_named() {
        let shape = Shape { channels: 3, height: 8, width: 8 };
        assert_eq!(file(b"hello", shape, Fit::Crop), Err(Fault::NotAPicture));
        assert_eq!(file(b"", shape, Fit::Crop), Err(Fault::NotAPicture));
        let jpeg = written(&DynamicImage::new_rgb8(64, 64), ImageFormat::Jpeg);
        assert!(header(&jpeg).is_ok());
        for length in [3, 20, jpeg.len() / 4] {
            assert!(matches!(file(&jpeg[..length], shape, Fit::Crop), Err(Fault::Damaged(_))), "{length}");
        }
    }

    /// Red, green and blue of 64 × 64 pixels, all by chance.
    fn noise() -> DynamicImage {
        let mut lot = Lot::new(8);
        RgbImage::from_fn(64, 64, |_, _| Rgb([0; 3].map(|_: u8| lot.below(256) as u8))).into()
    }

    /// Expects that a JPEG can be read, and neither its half nor nine tenths of it.
    fn check_cut(jpeg: &[u8]) {
        let shape = Shape { channels: 3, height: 8, width: 8 };
        assert!(header(jpeg).is_ok() && file(jpeg, shape, Fit::Crop).is_ok());
        for percent in [50, 90] {
            let cut = &jpeg[..jpeg.len() * percent / 100];
            let fault = Fault::Damaged("it is cut off".to_owned());
            assert_eq!(header(cut), Err(fault.clone()), "{percent} %");
            assert_eq!(file(cut, shape, Fit::Crop), Err(fault), "{percent} %");
        }
    }

    #[test]
    fn a_jpeg_that_is_cut_off_is_damaged() {
        let jpeg = written(&noise(), ImageFormat::Jpeg);
        check_cut(&jpeg);
        // What is appended changes nothing, nor does filling between marks.
        let shape = Shape { channels: 3, height: 8, width: 8 };
        let longer = [&jpeg[..2], &[0xff, 0xff][..], &jpeg[2..], b"more"].concat();
        assert_eq!(file(&longer, shape, Fit::Crop), file(&jpeg, shape, Fit::Crop));
    }

    #[test]
    fn the_end_of_a_thumbnail_is_not_that_of_the_picture() {
        let jpeg = written(&noise(), ImageFormat::Jpeg);
        let thumbnail = written(&DynamicImage::new_rgb8(8, 8), ImageFormat::Jpeg);
        let notes = [&b"Exif\0\0"[..], &thumbnail].concat();
        let length = (notes.len() as u16 + 2).to_be_bytes();
        check_cut(&[&jpeg[..2], &[0xff, 0xe1][..], &length[..], &notes, &jpeg[2..]].concat());
    }

    #[test]
    fn an_animation_gives_its_first_picture() {
        let mut bytes = Vec::new();
        let mut encoder = GifEncoder::new(&mut bytes);
        for color in [[200, 0, 0, 255], [0, 0, 200, 255]] {
            encoder.encode_frame(Frame::new(RgbaImage::from_pixel(4, 4, Rgba(color)))).unwrap();
        }
        drop(encoder);
        let pixels = file(&bytes, Shape { channels: 3, height: 4, width: 4 }, Fit::Crop).unwrap();
        assert_eq!(pixels, [[200_u8; 16], [0; 16], [0; 16]].concat());
    }

    #[test]
    fn webp_without_loss_is_read_to_the_value() {
        let image = noise();
        let bytes = written(&image, ImageFormat::WebP);
        assert_eq!(&bytes[8..16], b"WEBPVP8L");
        assert_eq!(header(&bytes).unwrap().size, [64, 64]);
        let shape = Shape { channels: 3, height: 64, width: 64 };
        assert_eq!(file(&bytes, shape, Fit::Crop).unwrap(), shaped(image, shape, Fit::Crop));
    }

    #[test]
    fn a_bomb_is_refused_by_its_header() {
        let grey = written(&DynamicImage::new_luma8(1, 1), ImageFormat::Png);
        let bytes = pretended(grey, 20_000, 20_000);
        assert_eq!(header(&bytes), Err(Fault::TooLarge { size: [20_000, 20_000] }));
        // Eight bytes for each pixel, of which there may be half as many.
        let deep = written(&DynamicImage::new_rgba16(1, 1), ImageFormat::Png);
        let fault = header(&pretended(deep.clone(), 10_000, 6_000)).unwrap_err();
        assert_eq!(fault, Fault::TooManyBytes { bytes: 480_000_000 });
        assert_eq!(fault.to_string(), "takes 480 MB once it is decoded, but a picture may take 400 MB");
        assert!(header(&pretended(deep, 10_000, 5_000)).is_ok());
    }

    #[test]
    fn a_line_takes_no_memory_for_a_square() {
        // As wide as a filter by itself would take 16 GB for.
        let shape = Shape { channels: 1, height: 64, width: 64 };
        let line = |width, height| DynamicImage::from(GrayImage::from_pixel(width, height, Luma([200])));
        for image in [line(16_000_000, 1), line(1, 16_000_000)] {
            assert_eq!(shaped(image.clone(), shape, Fit::Stretch), [200; 64 * 64]);
            assert_eq!(shaped(image.clone(), shape, Fit::Crop), [200; 64 * 64]);
            let padded = shaped(image, shape, Fit::Pad);
            assert_eq!(padded.iter().filter(|value| **value == 200).count(), 64);
        }
    }

    #[test]
    fn a_turned_camera_is_turned_back() {
        // A JPEG whose notes say that it is to be turned to the right: its left edge becomes its top.
        let picture =
            DynamicImage::from(GrayImage::from_fn(16, 8, |x, _| Luma([if x < 8 { 0 } else { 255 }])));
        let jpeg = written(&picture, ImageFormat::Jpeg);
        let exif = b"Exif\0\0MM\0*\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01\0\x06\0\0\0\0\0\0";
        let mut turned = jpeg[..2].to_vec();
        turned.extend([0xff, 0xe1, 0, exif.len() as u8 + 2]);
        turned.extend(exif);
        turned.extend(&jpeg[2..]);
        assert_eq!(header(&turned).unwrap().size, [8, 16]);
        let pixels = file(&turned, Shape { channels: 1, height: 16, width: 8 }, Fit::Crop).unwrap();
        assert!(
            pixels[..8].iter().all(|value| *value < 40) && pixels[120..].iter().all(|value| *value > 200)
        );
    }
}
