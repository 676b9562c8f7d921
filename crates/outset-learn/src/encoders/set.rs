//! Sets of labels: a 0 or 1 for each class.

use super::{Encode, Encoded, Gathered};
use crate::init::Init;
use burn::module::Module;
use burn::tensor::{Device, Tensor, TensorData};
use outset_data::{FeatureShape, Features};
use outset_spec::settings;

settings! {
    /// Settings of the encoder of sets.
    pub struct Settings {}
}

/// Encodes sets.
#[derive(Module, Debug)]
pub struct Encoder {
    #[module(skip)]
    classes: Vec<usize>,
}

impl Encode for Encoder {
    type Settings = Settings;
    const TAKES_MANY: bool = true;

    fn new(_: &Settings, shapes: &[FeatureShape], _: &mut Init) -> Self {
        let classes = shapes
            .iter()
            .filter_map(
                |shape| if let FeatureShape::Indices { classes } = shape { Some(*classes) } else { None },
            )
            .collect();
        Self { classes }
    }

    fn width(&self) -> usize {
        self.classes.iter().sum()
    }

    /// Collects a 0 or 1 for each class, `[rows, classes]`.
    fn gather(&self, features: &[&Features], rows: &[u32], device: &Device) -> Gathered {
        let stride = self.width();
        let mut dense = vec![0.0f32; rows.len() * stride];
        let mut start = 0;
        for (feature, classes) in features.iter().zip(&self.classes) {
            let Features::Indices { offsets, indices } = feature else { continue };
            for (row, out) in rows.iter().zip(dense.chunks_exact_mut(stride)) {
                let row = *row as usize;
                for index in &indices[offsets[row] as usize..offsets[row + 1] as usize] {
                    out[start + *index as usize] = 1.0;
                }
            }
            start += classes;
        }
        let dense = Tensor::from_data(TensorData::new(dense, [rows.len(), stride]), device);
        Gathered::Cells { dense: Some(dense), indices: Vec::new() }
    }

    fn forward(&self, gathered: &Gathered, _: Option<u64>) -> Encoded {
        let Gathered::Cells { dense: Some(dense), .. } = gathered else {
            unreachable!("sets are always gathered")
        };
        Encoded::Vector(dense.clone())
    }
}
