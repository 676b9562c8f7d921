//! Text step by step, in both directions: long short-term memory and gated recurrent units.
//!
//! Hochreiter and Schmidhuber 1997, <https://doi.org/10.1162/neco.1997.9.8.1735>; Cho et al. 2014,
//! <https://arxiv.org/abs/1406.1078>. Gates and their order are PyTorch's, all gates in one matrix product.

use super::tokens::{Embedding, Pool, Pooling, gather, without_filling};
use super::{Encode, Encoded, Gathered, Wishes};
use crate::init::Init;
use crate::order::mix;
use crate::size::Size;
use burn::module::{Module, Param};
use burn::tensor::{Device, Int, Tensor, TensorData};
use outset_data::{FeatureShape, Features};
use outset_spec::{Bounds, settings};

settings! {
    /// Settings of the recurrent encoders.
    pub struct Settings {
        /// Length of a token's vector; 64, 128 or 256 by `model.size`.
        embedding_size: Option<usize> = None, in Bounds::between(1.0, 4096.0);
        /// Units of each direction; 64, 128 or 256 by `model.size`.
        hidden_size: Option<usize> = None, in Bounds::between(1.0, 4096.0);
        /// Layers on top of each other; 1, 1 or 2 by `model.size`.
        num_layers: Option<usize> = None, in Bounds::between(1.0, 16.0);
        /// Whether the text is read from its end as well.
        bidirectional: bool = true;
        /// How the steps become one vector: `max`, `mean`, `first` or `attention`.
        pooling: Pooling = Pooling::Max;
        /// Share of the numbers that are dropped while training.
        dropout: f64 = 0.4, in Bounds::between(0.0, 0.95);
    }
}

/// One layer in one direction.
#[derive(Module, Debug)]
pub struct Direction {
    /// `[inputs, gates · hidden]`.
    input: Param<Tensor<2>>,
    /// `[hidden, gates · hidden]`.
    hidden: Param<Tensor<2>>,
    /// `[gates · hidden]`.
    bias: Param<Tensor<1>>,
    /// `[gates · hidden]`, which a gated recurrent unit alone has.
    hidden_bias: Option<Param<Tensor<1>>>,
}

impl Direction {
    fn new(gates: usize, inputs: usize, hidden: usize, init: &mut Init) -> Self {
        let bound = 1.0 / (hidden as f64).sqrt();
        Self {
            input: init.uniform([inputs, gates * hidden], bound),
            hidden: init.uniform([hidden, gates * hidden], bound),
            bias: init.constant([gates * hidden], 0.0),
            hidden_bias: (gates == 3).then(|| init.constant([gates * hidden], 0.0)),
        }
    }

    /// Runs over `[rows, time, inputs]`: `[rows, time, hidden]`.
    fn forward(&self, x: Tensor<3>) -> Tensor<3> {
        let (input, hidden, bias) = (self.input.val(), self.hidden.val(), self.bias.val());
        match &self.hidden_bias {
            None => outset_ops::lstm(x, input, hidden, bias),
            Some(hidden_bias) => outset_ops::gru(x, input, hidden, bias, hidden_bias.val()),
        }
    }
}

/// Layers of a recurrent network over token vectors.
#[derive(Module, Debug)]
pub struct Recurrent {
    embedding: Embedding,
    forwards: Vec<Direction>,
    backwards: Vec<Direction>,
    pool: Pool,
    #[module(skip)]
    width: usize,
    #[module(skip)]
    dropout: f64,
}

impl Recurrent {
    fn new(settings: &Settings, gates: usize, shapes: &[FeatureShape], init: &mut Init) -> Self {
        let (inputs, hidden) = (settings.embedding_size.unwrap_or(128), settings.hidden_size.unwrap_or(128));
        let width = if settings.bidirectional { 2 * hidden } else { hidden };
        let embedding = Embedding::new(shapes, inputs, 0.1, init);
        let (mut forwards, mut backwards) = (Vec::new(), Vec::new());
        for layer in 0..settings.num_layers.unwrap_or(1) {
            let inputs = if layer == 0 { inputs } else { width };
            forwards.push(Direction::new(gates, inputs, hidden, init));
            if settings.bidirectional {
                backwards.push(Direction::new(gates, inputs, hidden, init));
            }
        }
        let pool = Pool::new(settings.pooling, width, init);
        Self { embedding, forwards, backwards, pool, width, dropout: settings.dropout }
    }

    fn forward(&self, gathered: &Gathered, dropout: Option<u64>) -> Encoded {
        let (values, lengths) = self.embedding.forward(gathered);
        let drop = |values: Tensor<3>, place: usize| match dropout {
            Some(key) if self.dropout > 0.0 => {
                outset_ops::dropout(values, self.dropout, mix(key, place as u64))
            }
            _ => values,
        };
        let mut values = drop(values, 0);
        let turned = turned(lengths, values.dims()[1], &values.device());
        for (layer, forwards) in self.forwards.iter().enumerate() {
            let mut outputs = vec![forwards.forward(values.clone())];
            if let Some(backwards) = self.backwards.get(layer) {
                let from_end = backwards.forward(rearranged(values, &turned));
                outputs.push(rearranged(from_end, &turned));
            }
            values = if outputs.len() == 1 { outputs.swap_remove(0) } else { Tensor::cat(outputs, 2) };
            values = drop(values, layer + 1);
        }
        Encoded::Sequence { values: without_filling(values, lengths), lengths: lengths.to_vec() }
    }
}

/// Where each step stands when each row is read from its end, its filling left in place: `[rows · time]`.
fn turned(lengths: &[usize], time: usize, device: &Device) -> Tensor<1, Int> {
    let places: Vec<i32> = lengths
        .iter()
        .enumerate()
        .flat_map(|(row, length)| {
            (0..time).map(move |step| {
                let from = if step < *length { length - 1 - step } else { step };
                (row * time + from) as i32
            })
        })
        .collect();
    Tensor::from_data(TensorData::new(places, [lengths.len() * time]), device)
}

fn rearranged(values: Tensor<3>, places: &Tensor<1, Int>) -> Tensor<3> {
    let [rows, time, width] = values.dims();
    outset_ops::embedding(values.reshape([rows * time, width]), places.clone()).reshape([rows, time, width])
}

/// Fills in what the dial sets.
fn resolve(mut settings: Settings, size: Size) -> Settings {
    let (width, layers) = match size {
        Size::Tiny => (64, 1),
        Size::Small => (128, 1),
        Size::Base => (256, 2),
    };
    settings.embedding_size.get_or_insert(width);
    settings.hidden_size.get_or_insert(width);
    settings.num_layers.get_or_insert(layers);
    settings
}

fn wishes(rows: usize) -> Wishes {
    Wishes {
        learning_rate: Some(2e-3),
        weight_decay: Some(1e-2),
        epochs: Some(if rows < 20_000 { 6 } else { 3 }),
        batch_size: Some(64),
        rows_at_once: Some(128),
        ready: true,
        ..Wishes::default()
    }
}

/// Writes one encoder for a number of gates.
macro_rules! recurrent {
    ($(#[doc = $doc:literal])* $module:ident, $gates:literal) => {
        $(#[doc = $doc])*
        pub mod $module {
            use super::*;
            pub use super::Settings;

            /// Encodes texts step by step.
            #[derive(Module, Debug)]
            pub struct Encoder {
                recurrent: Recurrent,
            }

            impl Encode for Encoder {
                type Settings = Settings;

                fn resolve(settings: Settings, _: &FeatureShape, size: Size, _: usize) -> Settings {
                    resolve(settings, size)
                }

                fn wishes(_: &Settings, rows: usize) -> Wishes {
                    wishes(rows)
                }

                fn new(settings: &Settings, shapes: &[FeatureShape], init: &mut Init) -> Self {
                    Self { recurrent: Recurrent::new(settings, $gates, shapes, init) }
                }

                fn width(&self) -> usize {
                    self.recurrent.width
                }

                fn gather(&self, features: &[&Features], rows: &[u32], device: &Device) -> Gathered {
                    gather(features, rows, device)
                }

                fn forward(&self, gathered: &Gathered, dropout: Option<u64>) -> Encoded {
                    self.recurrent.forward(gathered, dropout)
                }

                fn pool(&self, encoded: Encoded) -> Tensor<2> {
                    self.recurrent.pool.forward(encoded)
                }
            }
        }
    };
}

recurrent! {
    /// Long short-term memory: input, forget, cell and output gate.
    lstm, 4
}
recurrent! {
    /// Gated recurrent unit: reset, update and new gate.
    gru, 3
}
