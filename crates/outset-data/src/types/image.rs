//! Pictures: pixels of one size, normalised by the mean and the deviation of each channel in train.

use super::{Column, Entry, InputType};
use crate::error::DataError;
use crate::features::{FeatureShape, Features};
use crate::lot::Lot;
use crate::pictures::{self, Augment, Augmentation, Channels, Fit, Images, Picture, Pixels, Shape};
use crate::signature::InputSignature;
use crate::table::Cells;
use outset_spec::{Bounds, settings};
use rayon::prelude::*;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::sync::Arc;

/// Sides that a network can work on.
const SIDES: Bounds = Bounds::between(LEAST_SIDE, 1024.0);
const LEAST_SIDE: f64 = 8.0;

settings! {
    /// A column that holds pictures.
    pub struct ImageSettings {
        /// Cell texts that mean "missing" in this column, besides those of `data.missing`.
        missing: Vec<String> = Vec::new();
        /// Width and height in pixels that every picture is brought to; that of the pictures, at most 64, where left out.
        size: Option<usize> = None, in SIDES;
        /// What a pixel holds: `grey`, `rgb` or `rgba`; `grey` where left out and no picture has colours, else `rgb`.
        channels: Option<Channels> = None;
        /// How a picture that is not square becomes so: `crop`, `stretch` or `pad`.
        fit: Fit = Fit::Crop;
        /// How pictures are varied while training: `none`, `light`, `standard` or `random`, and what is to differ from it.
        augment: Augmentation = Augmentation::default();
    }
}

/// An input column of pictures.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct ImageInput {
    pub size: usize,
    pub channels: Channels,
    pub fit: Fit,
    /// Mean of each channel in train, black being 0 and white 1.
    pub mean: Vec<f32>,
    /// Standard deviation of each channel in train.
    pub deviation: Vec<f32>,
    /// How the pictures are varied while training; what is served does not ask.
    #[serde(skip)]
    pub augment: Augment,
    /// Filters that whiten patches of train; in a bundle they are among the weights.
    #[serde(skip)]
    pub whitening: Vec<f32>,
    /// Texts that mean "missing".
    pub missing: Vec<String>,
}

impl ImageSettings {
    /// Fills in what the pictures of a column and the kind of augmentation say.
    pub fn resolve(&self, images: &Images) -> Self {
        let (size, channels) = pictures::describe(images);
        let channels = self.channels.unwrap_or(channels);
        Self {
            size: self.size.or(Some(size)),
            channels: Some(channels),
            augment: self.augment.resolve(channels),
            ..self.clone()
        }
    }

    /// The shape that pictures are decoded to, once size and channels are known.
    pub fn shape(&self) -> Option<Shape> {
        let size = self.size?;
        Some(Shape { channels: self.channels?.count(), height: size, width: size })
    }

    /// The largest `size` at which the pixels of so many pictures take no more than some bytes; `None` where the least
    /// that it can be takes more.
    pub fn largest_size(&self, pictures: usize, bytes: f64) -> Option<usize> {
        let planes = pictures.max(1) * self.channels?.count();
        let size = (bytes / planes as f64).sqrt().floor();
        (size >= LEAST_SIDE).then_some(size as usize)
    }
}

impl ImageInput {
    /// The shape that pictures are decoded to.
    pub fn pixel_shape(&self) -> Shape {
        Shape { channels: self.channels.count(), height: self.size, width: self.size }
    }

    /// The pixels of some rows; a missing picture is of the mean colour.
    fn pixels(&self, column: Column<'_>, images: &Images) -> Result<Vec<Pixels>, DataError> {
        let shape = self.pixel_shape();
        let plane = self.size * self.size;
        let blank = std::sync::LazyLock::new(|| {
            let values =
                self.mean.iter().flat_map(|mean| std::iter::repeat_n((mean * 255.0).round() as u8, plane));
            Pixels::new(values.collect())
        });
        column
            .rows
            .par_iter()
            .map(|row| match &images.0[*row as usize] {
                None => Ok(blank.clone()),
                Some(picture) => picture.pixels(shape, self.fit).map_err(|fault| DataError::Picture {
                    column: column.name.to_owned(),
                    row: *row as usize + 1,
                    name: picture.name.clone(),
                    fault,
                }),
            })
            .collect()
    }
}

/// The pictures of a column.
fn images<'a>(column: Column<'a>) -> Result<&'a Images, DataError> {
    match column.cells {
        Cells::Image(images) => Ok(images),
        cells => Err(DataError::NotPictures {
            column: column.name.to_owned(),
            row: column.rows.first().map_or(1, |row| *row as usize + 1),
            found: column
                .rows
                .iter()
                .find_map(|row| cells.text(*row as usize))
                .unwrap_or_default()
                .into_owned(),
        }),
    }
}

impl InputType for ImageInput {
    type Settings = ImageSettings;

    fn fit(column: Column<'_>, settings: &ImageSettings) -> Result<Self, DataError> {
        let images = images(column)?;
        let settings = settings.resolve(images);
        let (size, channels) = (settings.size.unwrap_or(64), settings.channels.unwrap_or(Channels::Rgb));
        let count = channels.count();
        let mut fitted = Self {
            size,
            channels,
            fit: settings.fit,
            mean: vec![0.5; count],
            deviation: vec![1.0; count],
            augment: Augment::of(&settings.augment, channels),
            whitening: Vec::new(),
            missing: settings.missing.clone(),
        };
        let present: Vec<u32> =
            column.rows.iter().copied().filter(|row| images.0[*row as usize].is_some()).collect();
        if present.is_empty() {
            return Err(DataError::EmptyColumn { column: column.name.to_owned() });
        }
        let pixels = fitted.pixels(Column { rows: &present, ..column }, images)?;
        let plane = size * size;
        for channel in 0..count {
            let sums: Vec<(u64, u64)> = pixels
                .par_iter()
                .map(|pixels| {
                    let values = &pixels.values()[channel * plane..(channel + 1) * plane];
                    let sum = values.iter().map(|value| u64::from(*value)).sum();
                    (sum, values.iter().map(|value| u64::from(*value) * u64::from(*value)).sum())
                })
                .collect();
            let (sum, squares) = sums.iter().fold((0, 0), |all, one| (all.0 + one.0, all.1 + one.1));
            let values = (plane * present.len()) as f64;
            let mean = sum as f64 / values;
            let variance = (squares as f64 / values - mean * mean).max(0.0);
            fitted.mean[channel] = (mean / 255.0) as f32;
            // One step of brightness is the least that pictures can differ by.
            fitted.deviation[channel] = (variance.sqrt().max(1.0) / 255.0) as f32;
        }
        fitted.whitening =
            pictures::whitening(&pixels, fitted.pixel_shape(), &fitted.mean, &fitted.deviation);
        Ok(fitted)
    }

    fn shape(&self, _name: &str) -> FeatureShape {
        FeatureShape::Image {
            shape: self.pixel_shape(),
            mean: self.mean.clone(),
            deviation: self.deviation.clone(),
            augment: self.augment.clone(),
            whitening: self.whitening.clone(),
        }
    }

    fn encode(&self, column: Column<'_>) -> Result<Features, DataError> {
        Ok(Features::Image(self.pixels(column, images(column)?)?))
    }

    fn read(&self, value: &Value) -> Result<Entry, String> {
        let expected = "the file of a picture in base 64";
        let text = value.as_str().ok_or(expected)?;
        let bytes = pictures::from_base64(text).ok_or(expected)?;
        let picture = Picture::from_bytes("the picture", bytes);
        match picture.pixels(self.pixel_shape(), self.fit) {
            Ok(_) => Ok(Entry::Picture(Arc::new(picture))),
            Err(fault) => Err(format!("{expected} that can be decoded; it {fault}")),
        }
    }

    fn describe(&self, signature: &mut InputSignature) {
        signature.format = Some(format!("{} × {}, {}", self.size, self.size, self.channels.word()));
        // A grey square of eight pixels: as good an example as any, and a short one.
        let shape = Shape { channels: 1, height: 8, width: 8 };
        signature.example = pictures::base64(&pictures::png(&[128; 64], shape)).into();
    }

    fn draw(&self, lot: &mut Lot) -> Value {
        pictures::base64(&pictures::made(self.size.min(32), self.channels, lot)).into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn column(pictures: &[Option<Vec<u8>>]) -> Cells {
        let open =
            |bytes: &Option<Vec<u8>>| bytes.clone().map(|bytes| Arc::new(Picture::from_bytes("p", bytes)));
        Cells::Image(Images(pictures.iter().map(open).collect()))
    }

    fn plain(level: u8) -> Option<Vec<u8>> {
        Some(pictures::png(&[level; 64], Shape { channels: 1, height: 8, width: 8 }))
    }

    #[test]
    fn statistics_are_those_of_train() {
        let cells = column(&[plain(0), plain(100), plain(255), None]);
        let rows = |rows: &'static [u32]| Column { name: "x", cells: &cells, rows };
        let fitted = ImageInput::fit(rows(&[0, 1]), &ImageSettings::default()).unwrap();
        assert_eq!((fitted.size, fitted.channels), (8, Channels::Grey));
        assert!(
            (fitted.mean[0] - 50.0 / 255.0).abs() < 1e-6 && (fitted.deviation[0] - 50.0 / 255.0).abs() < 1e-6
        );
        let Features::Image(pixels) = fitted.encode(rows(&[2, 3])).unwrap() else { panic!("pictures") };
        assert_eq!((pixels[0].values()[0], pixels[1].values()[63]), (255, 50));
        let copy: ImageInput = serde_json::from_str(&serde_json::to_string(&fitted).unwrap()).unwrap();
        // What is served is not augmented, so the file does not say how training did it.
        assert_eq!((copy.mean, copy.deviation, copy.size), (fitted.mean, fitted.deviation, fitted.size));
    }

    #[test]
    fn the_largest_size_that_fits() {
        let settings = |channels| ImageSettings { channels: Some(channels), ..Default::default() };
        let rgb = |gib: f64| settings(Channels::Rgb).largest_size(100_000, gib * f64::from(1 << 30));
        // 100,000 · 3 · 119² bytes are 4.25 billion, and with 120² 4.32; 4 GiB are 4.29.
        assert_eq!((rgb(4.0), rgb(0.1)), (Some(119), Some(18)));
        assert_eq!((rgb(0.01), rgb(0.0)), (None, None));
        let grey = |bytes| settings(Channels::Grey).largest_size(2, bytes);
        assert_eq!((grey(128.0), grey(127.0), grey(161.9)), (Some(8), None, Some(8)));
        assert_eq!(ImageSettings::default().largest_size(2, 1e9), None, "its channels are not known");
    }

    #[test]
    fn requests_hold_base_64() {
        let cells = column(&[plain(0), plain(100)]);
        let fitted =
            ImageInput::fit(Column { name: "x", cells: &cells, rows: &[0, 1] }, &Default::default()).unwrap();
        let text = pictures::base64(&plain(7).unwrap());
        assert!(matches!(fitted.read(&text.into()), Ok(Entry::Picture(_))));
        assert!(matches!(fitted.read(&fitted.draw(&mut Lot::new(3))), Ok(Entry::Picture(_))));
        for wrong in [Value::from(3), "***".into(), pictures::base64(b"text").into()] {
            assert!(
                fitted.read(&wrong).unwrap_err().starts_with("the file of a picture in base 64"),
                "{wrong}"
            );
        }
    }

    #[test]
    fn a_broken_picture_is_named() {
        let cells = column(&[plain(0), Some(b"text".to_vec())]);
        let error = ImageInput::fit(Column { name: "x", cells: &cells, rows: &[0, 1] }, &Default::default());
        assert_eq!(error.unwrap_err().to_string(), "the picture `p` in row 2 of column `x` is not a picture");
    }
}
