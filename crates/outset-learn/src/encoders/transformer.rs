//! Text by attention: a Transformer encoder with normalisation in front of each part.
//!
//! Vaswani et al. 2017, <https://arxiv.org/abs/1706.03762>; Xiong et al. 2020, <https://arxiv.org/abs/2002.04745>;
//! rotary positions: Su et al. 2021, <https://arxiv.org/abs/2104.09864>.
//!
//! Between the tokens and the pooling, the texts of a batch lie one after the other: nothing is computed for filling.

use super::tokens::{Embedding, Pool, Pooling, gather, sizes, steps};
use super::{Encode, Encoded, Gathered, Wishes};
use crate::init::Init;
use crate::order::mix;
use crate::size::Size;
use burn::module::{Module, Param};
use burn::tensor::{Device, Int, Tensor, TensorData};
use outset_data::{FeatureShape, Features};
use outset_ops::{Activation, AttentionMask, Turns, recompute};
use outset_spec::{Bounds, choices, settings};

choices! {
    /// How a Transformer knows where a token stands.
    pub enum Positions {
        /// A learned vector for each place.
        Learned = "learned",
        /// Sines and cosines of fixed frequencies.
        Sinusoidal = "sinusoidal",
        /// Queries and keys turned by an angle that grows with the place.
        Rotary = "rotary",
        /// Not at all.
        Without = "none",
    }
}

settings! {
    /// Settings of the Transformer.
    pub struct Settings {
        /// Features of each step; 64, 128 or 256 by `model.size`.
        hidden_size: Option<usize> = None, in Bounds::between(2.0, 4096.0);
        /// Blocks of attention and feed-forward layer; 1, 2 or 4 by `model.size`.
        num_layers: Option<usize> = None, in Bounds::between(1.0, 64.0);
        /// Heads of the attention; their number must divide `hidden_size` into even parts.
        num_heads: usize = 4, in Bounds::between(1.0, 64.0);
        /// How a token's place is known: `learned`, `sinusoidal`, `rotary` or `none`.
        positions: Positions = Positions::Rotary;
        /// How the steps become one vector: `mean`, `max`, `first` or `attention`.
        pooling: Pooling = Pooling::Mean;
        /// Share of the numbers that are dropped while training.
        dropout: f64 = 0.2, in Bounds::between(0.0, 0.95);
    }
}

/// Attention and feed-forward layer, each added to its input.
#[derive(Module, Debug)]
pub(super) struct Block {
    norm: [Param<Tensor<1>>; 2],
    /// `[hidden, 3 · hidden]`: queries, keys, values.
    projection: Param<Tensor<2>>,
    projection_bias: Param<Tensor<1>>,
    /// `[hidden, hidden]`, 0 at first, so that the block begins as nothing.
    output: Param<Tensor<2>>,
    output_bias: Param<Tensor<1>>,
    feed_norm: [Param<Tensor<1>>; 2],
    /// `[hidden, 4 · hidden]`.
    up: Param<Tensor<2>>,
    up_bias: Param<Tensor<1>>,
    /// `[4 · hidden, hidden]`, 0 at first.
    down: Param<Tensor<2>>,
    down_bias: Param<Tensor<1>>,
}

impl Block {
    pub(super) fn new(hidden: usize, init: &mut Init) -> Self {
        let norm = |init: &mut Init| [init.constant([hidden], 1.0), init.constant([hidden], 0.0)];
        let bound = 1.0 / (hidden as f64).sqrt();
        Self {
            norm: norm(init),
            projection: init.uniform([hidden, 3 * hidden], bound),
            projection_bias: init.constant([3 * hidden], 0.0),
            output: init.constant([hidden, hidden], 0.0),
            output_bias: init.constant([hidden], 0.0),
            feed_norm: norm(init),
            up: init.uniform([hidden, 4 * hidden], bound),
            up_bias: init.constant([4 * hidden], 0.0),
            down: init.constant([4 * hidden, hidden], 0.0),
            down_bias: init.constant([hidden], 0.0),
        }
    }

    /// `x [rows, hidden]` or `[texts, time, hidden]`, the rows of the texts one after the other, `lengths` of each; `drop` is
    /// what is done to the attention's output (0) and to that of the feed-forward layer (1) before they are added.
    pub(super) fn forward<const D: usize>(
        &self,
        x: Tensor<D>,
        heads: usize,
        turns: Option<&Turns>,
        lengths: &[usize],
        drop: &dyn Fn(Tensor<D>, u64) -> Tensor<D>,
    ) -> Tensor<D> {
        let linear = |x: Tensor<D>, w: &Param<Tensor<2>>, b: &Param<Tensor<1>>, activation| {
            outset_ops::linear(x, w.val(), Some(b.val()), activation)
        };
        let norm = |x: Tensor<D>, [gamma, beta]: &[Param<Tensor<1>>; 2]| {
            outset_ops::layer_norm(x, gamma.val(), beta.val(), 1e-5)
        };
        let shape = x.dims();
        let (rows, hidden) = (shape[..D - 1].iter().product::<usize>(), shape[D - 1]);
        let packed = linear(
            norm(x.clone(), &self.norm),
            &self.projection,
            &self.projection_bias,
            Activation::Identity,
        );
        let packed = packed.reshape([rows, 3 * hidden]);
        let packed = match turns {
            Some(turns) => outset_ops::rotary(packed, 2 * heads, turns),
            None => packed,
        };
        let attended = outset_ops::attention_of_rows(packed, lengths, heads, heads, AttentionMask::default());
        let attended = attended.reshape(shape);
        let x = x + drop(linear(attended, &self.output, &self.output_bias, Activation::Identity), 0);
        let up = linear(norm(x.clone(), &self.feed_norm), &self.up, &self.up_bias, Activation::Gelu);
        x + drop(linear(up, &self.down, &self.down_bias, Activation::Identity), 1)
    }
}

/// Angle of each place and frequency, `place / 10000^(2 i / size)`, row by row for `size / 2` frequencies.
fn angles(time: usize, size: usize) -> Vec<f32> {
    let half = size / 2;
    let angle = |place: usize, i: usize| place as f64 / 10_000f64.powf(2.0 * i as f64 / size as f64);
    (0..time).flat_map(|place| (0..half).map(move |i| angle(place, i) as f32)).collect()
}

/// Encodes texts by attention.
#[derive(Module, Debug)]
pub struct Encoder {
    embedding: Embedding,
    /// `[longest, hidden]`.
    places: Option<Param<Tensor<2>>>,
    blocks: Vec<Block>,
    norm: [Param<Tensor<1>>; 2],
    pool: Pool,
    #[module(skip)]
    heads: usize,
    #[module(skip)]
    positions: Positions,
    #[module(skip)]
    width: usize,
    #[module(skip)]
    dropout: f64,
}

impl Encode for Encoder {
    type Settings = Settings;

    fn resolve(mut settings: Settings, _: &FeatureShape, size: Size, _: usize) -> Settings {
        let (width, layers) = match size {
            Size::Tiny => (64, 1),
            Size::Small => (128, 2),
            Size::Base => (256, 4),
        };
        let heads = settings.num_heads;
        let hidden = *settings.hidden_size.get_or_insert(width);
        // Heads have an even number of features each, which rotary positions turn in pairs.
        settings.num_heads = (1..=heads).rev().find(|heads| hidden.is_multiple_of(2 * heads)).unwrap_or(1);
        settings.hidden_size = Some(hidden.next_multiple_of(2));
        settings.num_layers.get_or_insert(layers);
        settings
    }

    fn wishes(_: &Settings, rows: usize) -> Wishes {
        Wishes {
            learning_rate: Some(1e-3),
            weight_decay: Some(1e-2),
            epochs: Some(if rows < 20_000 { 8 } else { 4 }),
            batch_size: Some(64),
            warmup: Some(0.1),
            rows_at_once: Some(128),
            ready: true,
            ..Wishes::default()
        }
    }

    fn new(settings: &Settings, shapes: &[FeatureShape], init: &mut Init) -> Self {
        let longest = sizes(shapes).longest;
        let width = settings.hidden_size.unwrap_or(128);
        let embedding = Embedding::new(shapes, width, 0.1, init);
        let places = (settings.positions == Positions::Learned).then(|| init.normal([longest, width], 0.02));
        let blocks = (0..settings.num_layers.unwrap_or(2)).map(|_| Block::new(width, init)).collect();
        let norm = [init.constant([width], 1.0), init.constant([width], 0.0)];
        let pool = Pool::new(settings.pooling, width, init);
        Self {
            embedding,
            places,
            blocks,
            norm,
            pool,
            heads: settings.num_heads,
            positions: settings.positions,
            width,
            dropout: settings.dropout,
        }
    }

    fn width(&self) -> usize {
        self.width
    }

    fn gather(&self, features: &[&Features], rows: &[u32], device: &Device) -> Gathered {
        gather(features, rows, device)
    }

    fn forward(&self, gathered: &Gathered, dropout: Option<u64>) -> Encoded {
        let (mut values, lengths) = self.embedding.forward_rows(gathered);
        let rate = self.dropout;
        let drop = move |values: Tensor<2>, place: u64| match dropout {
            Some(key) if rate > 0.0 => outset_ops::dropout(values, rate, mix(key, place)),
            _ => values,
        };
        let time = lengths.iter().copied().max().unwrap_or(0);
        let (device, steps) = (values.device(), steps(lengths));
        let places = || {
            let places: Vec<i32> = steps.iter().map(|step| *step as i32).collect();
            Tensor::<1, Int>::from_data(TensorData::new(places, [steps.len()]), &device)
        };
        let mut turns = None;
        match self.positions {
            Positions::Learned => {
                let Some(learned) = &self.places else { unreachable!("learned positions are parameters") };
                values = values + outset_ops::embedding(learned.val(), places());
            }
            Positions::Sinusoidal => {
                let angles = TensorData::new(angles(time, self.width), [time, self.width / 2]);
                let angles = Tensor::<2>::from_data(angles, &device);
                let waves = Tensor::cat(vec![angles.clone().sin(), angles.cos()], 1);
                values = values + outset_ops::embedding(waves, places());
            }
            Positions::Rotary => turns = Some(Turns::new(steps.clone(), self.width / self.heads)),
            Positions::Without => {}
        }
        values = drop(values, 0);
        for (index, block) in self.blocks.iter().enumerate() {
            let (heads, turns, lengths) = (self.heads, turns.clone(), lengths.to_vec());
            values = recompute(block, values, move |block, values| {
                let drop = |values: Tensor<2>, place: u64| drop(values, 1 + 2 * index as u64 + place);
                block.forward(values, heads, turns.as_ref(), &lengths, &drop)
            });
        }
        let [gamma, beta] = &self.norm;
        values = outset_ops::layer_norm(values, gamma.val(), beta.val(), 1e-5);
        Encoded::Sequence { values: outset_ops::filled_up(values, lengths, time), lengths: lengths.to_vec() }
    }

    fn pool(&self, encoded: Encoded) -> Tensor<2> {
        self.pool.forward(encoded)
    }
}
