//! Text without its order: a vector for each n-gram of words and characters, summed with tf-idf as weights.
//!
//! With the decoder on top it is a linear model of n-grams whose matrix has few columns (fastText, Joulin et al. 2016,
//! <https://arxiv.org/abs/1607.01759>). The vectors begin at 0, so that a rare n-gram says no more than it was seen to.

use super::{Encode, Encoded, Gathered, Wishes};
use crate::init::Init;
use crate::size::Size;
use burn::module::{Module, Param};
use burn::tensor::{Device, Tensor};
use outset_data::{FeatureShape, Features};
use outset_ops::Bags;
use outset_spec::{Bounds, settings};
use std::sync::Arc;

settings! {
    /// Settings of the bag of words.
    pub struct Settings {
        /// Length of the vectors; 8, 16 or 32 by `model.size`.
        embedding_size: Option<usize> = None, in Bounds::between(1.0, 4096.0);
        /// Share of the vector's numbers that are dropped while training.
        dropout: f64 = 0.0, in Bounds::between(0.0, 0.95);
    }
}

/// Encodes texts as bags of n-grams.
#[derive(Module, Debug)]
pub struct Encoder {
    /// `[n-grams, embedding_size]`.
    table: Param<Tensor<2>>,
    #[module(skip)]
    width: usize,
    #[module(skip)]
    dropout: f64,
}

impl Encode for Encoder {
    type Settings = Settings;

    fn resolve(mut settings: Settings, _: &FeatureShape, size: Size, _: usize) -> Settings {
        settings.embedding_size.get_or_insert(match size {
            Size::Tiny => 8,
            Size::Small => 16,
            Size::Base => 32,
        });
        settings
    }

    fn wishes(_: &Settings, rows: usize) -> Wishes {
        Wishes {
            learning_rate: Some(1e-3),
            weight_decay: Some(0.0),
            epochs: Some(if rows < 4_000 { 20 } else { 10 }),
            batch_size: Some(match rows {
                0..4_000 => 32,
                4_000..20_000 => 64,
                20_000..100_000 => 128,
                _ => 512,
            }),
            clip_norm: Some(0.0),
            ema: Some(0.0),
            ready: true,
            ..Wishes::default()
        }
    }

    fn new(settings: &Settings, shapes: &[FeatureShape], init: &mut Init) -> Self {
        let size = match shapes {
            [FeatureShape::Weighted { size }] => *size,
            _ => 0,
        };
        let width = settings.embedding_size.unwrap_or(16);
        Self { table: init.constant([size.max(1), width], 0.0), width, dropout: settings.dropout }
    }

    fn width(&self) -> usize {
        self.width
    }

    fn gather(&self, features: &[&Features], rows: &[u32], _: &Device) -> Gathered {
        let mut bags = Bags { offsets: vec![0], ..Bags::default() };
        if let [Features::Weighted { offsets, indices, weights }] = features {
            for row in rows {
                let range = offsets[*row as usize]..offsets[*row as usize + 1];
                bags.indices.extend_from_slice(&indices[range.clone()]);
                bags.weights.extend_from_slice(&weights[range]);
                bags.offsets.push(bags.indices.len());
            }
        }
        Gathered::Bags(Arc::new(bags))
    }

    fn forward(&self, gathered: &Gathered, dropout: Option<u64>) -> Encoded {
        let Gathered::Bags(bags) = gathered else { unreachable!("texts are gathered as bags") };
        let vectors = outset_ops::bag(self.table.val(), bags.clone());
        Encoded::Vector(match dropout {
            Some(key) if self.dropout > 0.0 => outset_ops::dropout(vectors, self.dropout, key),
            _ => vectors,
        })
    }
}
