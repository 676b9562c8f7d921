//! Text by convolution: windows of a few tokens, of which the strongest answer counts.
//!
//! Kim 2014, <https://arxiv.org/abs/1408.5882>.

use super::tokens::{Embedding, Pool, Pooling, gather, without_filling};
use super::{Encode, Encoded, Gathered, Wishes};
use crate::init::Init;
use crate::order::mix;
use crate::size::Size;
use burn::module::{Module, Param};
use burn::tensor::{Device, Tensor};
use outset_data::{FeatureShape, Features};
use outset_ops::{Convolution, relu};
use outset_spec::{Bounds, settings};

settings! {
    /// Settings of the convolution over text.
    pub struct Settings {
        /// Length of a token's vector; 64, 128 or 256 by `model.size`.
        embedding_size: Option<usize> = None, in Bounds::between(1.0, 4096.0);
        /// Filters of each window; 64, 128 or 256 by `model.size`.
        filters: Option<usize> = None, in Bounds::between(1.0, 4096.0);
        /// Tokens of the smallest window.
        smallest_window: usize = 3, in Bounds::between(1.0, 64.0);
        /// Windows, each a token longer than the one before.
        num_windows: usize = 3, in Bounds::between(1.0, 16.0);
        /// How the windows' answers become one vector: `max`, `mean`, `first` or `attention`.
        pooling: Pooling = Pooling::Max;
        /// Share of the numbers that are dropped while training.
        dropout: f64 = 0.5, in Bounds::between(0.0, 0.95);
    }
}

/// Encodes texts by convolution.
#[derive(Module, Debug)]
pub struct Encoder {
    embedding: Embedding,
    /// For each window `[filters, embedding_size, window]`.
    kernels: Vec<Param<Tensor<3>>>,
    /// For each window `[filters]`.
    biases: Vec<Param<Tensor<1>>>,
    pool: Pool,
    #[module(skip)]
    width: usize,
    #[module(skip)]
    dropout: f64,
}

impl Encode for Encoder {
    type Settings = Settings;

    fn resolve(mut settings: Settings, _: &FeatureShape, size: Size, _: usize) -> Settings {
        let width = match size {
            Size::Tiny => 64,
            Size::Small => 128,
            Size::Base => 256,
        };
        settings.embedding_size.get_or_insert(width);
        settings.filters.get_or_insert(width);
        settings
    }

    fn wishes(_: &Settings, rows: usize) -> Wishes {
        Wishes {
            learning_rate: Some(1e-3),
            weight_decay: Some(1e-2),
            epochs: Some(if rows < 20_000 { 8 } else { 4 }),
            batch_size: Some(64),
            rows_at_once: Some(128),
            ready: true,
            ..Wishes::default()
        }
    }

    fn new(settings: &Settings, shapes: &[FeatureShape], init: &mut Init) -> Self {
        let (inputs, filters) = (settings.embedding_size.unwrap_or(128), settings.filters.unwrap_or(128));
        let embedding = Embedding::new(shapes, inputs, 0.25, init);
        let bound = |window: usize| 1.0 / ((inputs * window) as f64).sqrt();
        let windows = settings.smallest_window..settings.smallest_window + settings.num_windows;
        let kernels: Vec<_> =
            windows.clone().map(|window| init.uniform([filters, inputs, window], bound(window))).collect();
        let biases = windows.map(|_| init.constant([filters], 0.0)).collect();
        let width = filters * kernels.len();
        let pool = Pool::new(settings.pooling, width, init);
        Self { embedding, kernels, biases, pool, width, dropout: settings.dropout }
    }

    fn width(&self) -> usize {
        self.width
    }

    fn gather(&self, features: &[&Features], rows: &[u32], device: &Device) -> Gathered {
        gather(features, rows, device)
    }

    fn forward(&self, gathered: &Gathered, dropout: Option<u64>) -> Encoded {
        let (embedded, lengths) = self.embedding.forward(gathered);
        let drop = |values: Tensor<3>, share: f64, place: u64| match dropout {
            Some(key) if share > 0.0 => outset_ops::dropout(values, share, mix(key, place)),
            _ => values,
        };
        let embedded = without_filling(embedded, lengths);
        let time = embedded.dims()[1];
        // Half the dropout on the way in: a token's vector carries more than one of many filters.
        let channels = drop(embedded, self.dropout / 2.0, 0).swap_dims(1, 2);
        let answers = self.kernels.iter().zip(&self.biases).map(|(kernel, bias)| {
            let window = kernel.val().dims()[2];
            let how = Convolution { padding: [0, window - 1], ..Convolution::default() };
            let wide = outset_ops::conv1d(channels.clone(), kernel.val(), Some(bias.val()), how);
            relu(wide.narrow(2, (window - 1) / 2, time))
        });
        let values = Tensor::cat(answers.collect(), 1).swap_dims(1, 2);
        Encoded::Sequence { values: drop(values, self.dropout, 1), lengths: lengths.to_vec() }
    }

    fn pool(&self, encoded: Encoded) -> Tensor<2> {
        self.pool.forward(encoded)
    }
}
