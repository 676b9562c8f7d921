//! From a picture's file to pixels of one shape: orientation, alpha, cropping and resizing.

use super::{Fault, Header};
use image::imageops::FilterType;
use image::metadata::Orientation;
use image::{DynamicImage, ImageDecoder, ImageReader, Limits, Rgb};
use outset_spec::{Node, Setting, choices};
use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::io::Cursor;

/// Pixels that a picture may have: what a camera takes, far below what a few bytes can pretend to hold.
pub const MAX_PIXELS: u64 = 100_000_000;

/// Bytes that a decoder may ask for.
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

fn damaged(error: image::ImageError) -> Fault {
    Fault::Damaged(error.to_string())
}

/// Reads the header of a file.
///
/// # Errors
/// If it is no picture, or one of too many pixels.
pub(super) fn header(bytes: &[u8]) -> Result<Header, Fault> {
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
    if (image.width(), image.height()) == (width, height) {
        return image;
    }
    let larger = (image.width() / width).min(image.height() / height);
    let image = if larger >= MUCH_LARGER { image.thumbnail_exact(width * 2, height * 2) } else { image };
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
    use super::*;
    use image::{GrayImage, ImageFormat, Luma, Rgba, RgbaImage};

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
            assert_eq!(
                header(&bytes).unwrap(),
                Header { size: [3, 1], grey: header(&bytes).unwrap().grey, alpha: false }
            );
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

    #[test]
    fn a_bomb_is_refused_by_its_header() {
        // The header of a PNG of 20,000 × 20,000 pixels, with nothing behind it.
        let mut bytes = written(&DynamicImage::new_luma8(1, 1), ImageFormat::Png);
        bytes[16..24].copy_from_slice(&[0, 0, 0x4e, 0x20, 0, 0, 0x4e, 0x20]);
        let sum = crc(&bytes[12..29]);
        bytes[29..33].copy_from_slice(&sum.to_be_bytes());
        assert_eq!(header(&bytes), Err(Fault::TooLarge { size: [20_000, 20_000] }));
    }

    /// The checksum of a PNG chunk, bit by bit.
    fn crc(bytes: &[u8]) -> u32 {
        !bytes.iter().fold(u32::MAX, |sum, byte| {
            (0..8).fold(sum ^ u32::from(*byte), |sum, _| {
                if sum & 1 == 1 { (sum >> 1) ^ 0xedb8_8320 } else { sum >> 1 }
            })
        })
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
