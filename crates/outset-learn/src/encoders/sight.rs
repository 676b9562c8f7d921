//! What all encoders of pictures share: pixels to a normalised tensor, varied while training.

use super::{Gathered, Mixing, Wishes};
use crate::order::mix;
use burn::tensor::{Device, Tensor, TensorData};
use outset_data::pictures::{Augment, Pixels, Shape};
use outset_data::{FeatureShape, Features};
use rayon::prelude::*;

/// How the pictures of a column come before the network.
#[derive(Clone, Debug)]
pub struct Sight {
    shape: Shape,
    mean: Vec<f32>,
    deviation: Vec<f32>,
    augment: Augment,
    whitening: Vec<f32>,
}

impl Sight {
    /// The sight of a column with this shape of features.
    pub fn new(shapes: &[FeatureShape]) -> Self {
        let Some(FeatureShape::Image { shape, mean, deviation, augment, whitening }) = shapes.first() else {
            unreachable!("encoders of pictures get pictures")
        };
        Self {
            shape: *shape,
            mean: mean.clone(),
            deviation: deviation.clone(),
            augment: augment.clone(),
            whitening: whitening.clone(),
        }
    }

    /// Filters that whiten patches of train, `[4 · channels, channels, 2, 2]`; none where the weights are read from a file.
    pub fn whitening(&self) -> &[f32] {
        &self.whitening
    }

    /// Channels, height and width of the pictures.
    pub fn shape(&self) -> Shape {
        self.shape
    }

    /// Collects the pixels of the given rows.
    pub fn gather(&self, features: &[&Features], rows: &[u32], device: &Device) -> Gathered {
        let Some(Features::Image(pixels)) = features.first() else {
            unreachable!("encoders of pictures get pictures")
        };
        let pixels = rows.iter().map(|row| pixels[*row as usize].clone()).collect();
        Gathered::Pictures { pixels, device: device.clone() }
    }

    /// The pictures as the network sees them, `[rows, channels, height, width]`; `key` is that of the step, or `None`
    /// outside of training, where nothing is varied.
    pub fn look(&self, gathered: &Gathered, key: Option<u64>) -> Tensor<4> {
        let Gathered::Pictures { pixels, device, .. } = gathered else {
            unreachable!("encoders of pictures gather pictures")
        };
        let Shape { channels, height, width } = self.shape;
        let mut values = self.values(pixels, key);
        if let Some(mixing) = key.and_then(|key| self.mixing(gathered, key)) {
            mixing.apply(&mut values, self.shape);
        }
        Tensor::from_data(TensorData::new(values, [pixels.len(), channels, height, width]), device)
    }

    /// How the pictures of a training batch are mixed.
    pub fn mixing(&self, gathered: &Gathered, key: u64) -> Option<Mixing> {
        let Gathered::Pictures { pixels, .. } = gathered else { return None };
        Mixing::draw(&self.augment, self.shape, pixels.len(), mix(key, u64::MAX))
    }

    /// Normalised values, one picture after the other.
    fn values(&self, pixels: &[Pixels], key: Option<u64>) -> Vec<f32> {
        let (length, plane) = (self.shape.length(), self.shape.height * self.shape.width);
        let key = key.filter(|_| !self.augment.is_none());
        let mut values = vec![0.0f32; pixels.len() * length];
        values.par_chunks_exact_mut(length).zip(pixels).enumerate().for_each(|(place, (out, pixels))| {
            match key {
                Some(key) => {
                    let key = mix(key, place as u64);
                    self.augment.apply(pixels.values(), self.shape, &self.mean, key, out);
                }
                None => {
                    for (out, value) in out.iter_mut().zip(pixels.values()) {
                        *out = f32::from(*value) / 255.0;
                    }
                }
            }
            for (channel, plane) in out.chunks_exact_mut(plane).enumerate() {
                let (mean, factor) = (self.mean[channel], 1.0 / self.deviation[channel]);
                plane.iter_mut().for_each(|value| *value = (*value - mean) * factor);
            }
        });
        values
    }
}

/// What `see` makes of pictures `[rows, channels, height, width]`; with `mirror` the mean of that and of what it makes of
/// their mirror images, turned `back`.
pub fn with_mirror<const D: usize>(
    x: Tensor<4>,
    mirror: bool,
    see: impl Fn(Tensor<4>) -> Tensor<D>,
    back: impl Fn(Tensor<D>) -> Tensor<D>,
) -> Tensor<D> {
    if !mirror {
        return see(x);
    }
    let mirrored = back(see(x.clone().flip([3])));
    (see(x) + mirrored) * 0.5
}

/// What networks that see ask of training: many passes over few pictures, few over many.
pub fn wishes(rows: usize) -> Wishes {
    let to_see = if rows > 40_000 { 220_000 } else { 340_000 };
    Wishes {
        optimizer: Some("muon"),
        learning_rate: Some(3e-2),
        weight_decay: Some(5e-2),
        schedule: Some("cosine"),
        warmup: Some(0.15),
        epochs: Some((to_see / rows.max(1)).clamp(3, 60)),
        batch_size: Some(match rows {
            0..1_000 => 32,
            1_000..4_000 => 64,
            _ => 256,
        }),
        ema: Some(0.99),
        label_smoothing: Some(0.1),
        rows_at_once: Some(256),
        ready: true,
        rounded: true,
        ..Wishes::default()
    }
}
