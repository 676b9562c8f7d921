//! Categories: one-hot for few classes, a learned vector for each of many.

use super::{Encode, Encoded, Gathered};
use crate::init::Init;
use burn::module::{Module, Param};
use burn::tensor::{Device, Int, Tensor, TensorData};
use outset_data::{FeatureShape, Features};
use outset_spec::{Bounds, settings};

settings! {
    /// Settings of the encoder of categories.
    pub struct Settings {
        /// Columns with at most so many classes are one-hot, the others embedded.
        max_one_hot: usize = 48;
        /// Length of an embedding; grows with the number of classes where left out.
        embedding_size: Option<usize> = None, in Bounds::between(1.0, 4096.0);
    }
}

/// Encodes categories.
#[derive(Module, Debug)]
pub struct Encoder {
    /// For each column how many of its classes are one-hot, 0 where it is embedded.
    #[module(skip)]
    one_hot: Vec<usize>,
    #[module(skip)]
    width: usize,
    /// For each embedded column a vector for each class, `[classes, size]`.
    embeddings: Vec<Param<Tensor<2>>>,
}

impl Encode for Encoder {
    type Settings = Settings;
    const TAKES_MANY: bool = true;

    fn new(settings: &Settings, shapes: &[FeatureShape], init: &mut Init) -> Self {
        let (mut one_hot, mut embeddings, mut width) = (Vec::new(), Vec::new(), 0);
        for shape in shapes {
            let FeatureShape::Index { classes } = shape else { continue };
            if *classes <= settings.max_one_hot + 1 {
                one_hot.push(*classes);
                width += classes;
            } else {
                // The rule of thumb of fastai's tabular models: 1.6 · classes^0.56, at most 64 here.
                let size = settings
                    .embedding_size
                    .unwrap_or((1.6 * (*classes as f64).powf(0.56)).min(64.0) as usize);
                one_hot.push(0);
                width += size;
                embeddings.push(init.normal([*classes, size], (1.0 / size as f64).sqrt()));
            }
        }
        Self { one_hot, width, embeddings }
    }

    fn width(&self) -> usize {
        self.width
    }

    /// Collects one-hot columns, `[rows, classes]`, and the classes of the embedded ones.
    fn gather(&self, features: &[&Features], rows: &[u32], device: &Device) -> Gathered {
        let stride: usize = self.one_hot.iter().sum();
        let mut dense = vec![0.0f32; rows.len() * stride];
        let (mut start, mut indices) = (0, Vec::new());
        for (feature, classes) in features.iter().zip(&self.one_hot) {
            let Features::Index(index) = feature else { continue };
            if *classes == 0 {
                let column: Vec<i32> = rows.iter().map(|row| index[*row as usize] as i32).collect();
                indices.push(Tensor::<1, Int>::from_data(TensorData::new(column, [rows.len()]), device));
            } else {
                for (row, out) in rows.iter().zip(dense.chunks_exact_mut(stride)) {
                    out[start + index[*row as usize] as usize] = 1.0;
                }
                start += classes;
            }
        }
        let dense =
            (stride > 0).then(|| Tensor::from_data(TensorData::new(dense, [rows.len(), stride]), device));
        Gathered::Cells { dense, indices }
    }

    fn forward(&self, gathered: &Gathered, _: Option<u64>) -> Encoded {
        let Gathered::Cells { dense, indices } = gathered else {
            unreachable!("categories are always gathered")
        };
        Encoded::Vector(match dense {
            Some(dense) if self.embeddings.is_empty() => dense.clone(),
            _ => outset_ops::embeddings(dense.clone(), &self.embeddings, indices),
        })
    }
}
