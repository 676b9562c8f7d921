//! What the encoders of token sequences share: looking tokens up, positions, and pooling that filling has no part in.

use super::encoded::mask;
use super::{Encoded, Gathered};
use crate::init::Init;
use burn::module::{Module, Param};
use burn::tensor::{Device, Int, Tensor, TensorData};
use outset_data::{FeatureShape, Features, TokenParts};
use outset_ops::{Bags, softmax};
use outset_spec::choices;
use std::sync::Arc;

/// Collects the tokens of rows, filled up with 0 to the longest.
pub fn gather(features: &[&Features], rows: &[u32], device: &Device) -> Gathered {
    let [Features::Tokens { offsets, indices, parts }] = features else {
        unreachable!("an encoder of tokens has one column of them")
    };
    let range = |row: u32| offsets[row as usize]..offsets[row as usize + 1];
    let lengths: Vec<usize> = rows.iter().map(|row| range(*row).len()).collect();
    let time = lengths.iter().copied().max().unwrap_or(1);
    let mut tokens = vec![0i32; rows.len() * time];
    for (row, out) in rows.iter().zip(tokens.chunks_exact_mut(time.max(1))) {
        for (token, out) in indices[range(*row)].iter().zip(out) {
            *out = *token as i32;
        }
    }
    let tokens = Tensor::<2, Int>::from_data(TensorData::new(tokens, [rows.len(), time]), device);
    let parts = parts.as_ref().map(|parts| Arc::new(bags(parts, rows, offsets, time)));
    Gathered::Tokens { tokens, lengths, parts }
}

/// The step of each row when texts of these lengths lie one after the other.
pub fn steps(lengths: &[usize]) -> Vec<usize> {
    lengths.iter().flat_map(|length| 0..*length).collect()
}

/// The tokens of the texts one after the other, of `tokens [texts, time]` that are filled up: `[rows]`.
fn rows_of(tokens: &Tensor<2, Int>, lengths: &[usize]) -> Tensor<1, Int> {
    let [texts, time] = tokens.dims();
    let tokens = tokens.clone().reshape([texts * time]);
    if lengths.iter().all(|length| *length == time) {
        return tokens;
    }
    let of = |(text, length): (usize, &usize)| (text * time..text * time + length).map(|place| place as i32);
    let places: Vec<i32> = lengths.iter().enumerate().flat_map(of).collect();
    let places = TensorData::new(places.clone(), [places.len()]);
    let places = Tensor::<1, Int>::from_data(places, &tokens.device());
    tokens.select(0, places)
}

/// The bags of the steps that are not filling, of `bags` of texts that are filled up to `time` steps.
fn unfilled(bags: &Arc<Bags>, lengths: &[usize], time: usize) -> Arc<Bags> {
    if lengths.iter().all(|length| *length == time) {
        return bags.clone();
    }
    // The bags of filling hold nothing, so that those before and behind it lie side by side.
    let of = |(text, length): (usize, &usize)| &bags.offsets[text * time..text * time + length];
    let mut offsets: Vec<usize> = lengths.iter().enumerate().flat_map(of).copied().collect();
    offsets.push(bags.indices.len());
    Arc::new(Bags { offsets, indices: bags.indices.clone(), weights: bags.weights.clone() })
}

/// The parts of each step, none for filling; their weights keep the sum's size whatever their number.
fn bags(parts: &TokenParts, rows: &[u32], offsets: &[usize], time: usize) -> Bags {
    let mut bags = Bags { offsets: vec![0], ..Bags::default() };
    for row in rows {
        let tokens = offsets[*row as usize]..offsets[*row as usize + 1];
        let filling = time - tokens.len();
        for token in tokens {
            let indices = &parts.indices[parts.offsets[token]..parts.offsets[token + 1]];
            let weight = 1.0 / (indices.len().max(1) as f32).sqrt();
            bags.indices.extend_from_slice(indices);
            bags.weights.resize(bags.indices.len(), weight);
            bags.offsets.push(bags.indices.len());
        }
        bags.offsets.resize(bags.offsets.len() + filling, bags.indices.len());
    }
    bags
}

/// What the encoders of tokens must know of their column.
#[derive(Clone, Copy, Debug)]
pub struct Sizes {
    /// Tokens in the vocabulary.
    pub tokens: usize,
    /// The most of one text.
    pub longest: usize,
    /// Parts that tokens may have.
    pub parts: usize,
}

/// The sizes of the one column of an encoder.
pub fn sizes(shapes: &[FeatureShape]) -> Sizes {
    match shapes {
        [FeatureShape::Tokens { size, longest, parts, .. }] => {
            Sizes { tokens: *size, longest: *longest, parts: *parts }
        }
        _ => Sizes { tokens: 1, longest: 1, parts: 0 },
    }
}

/// A learned vector for each token, to which those of its parts are added.
#[derive(Module, Debug)]
pub struct Embedding {
    /// `[tokens, width]`, or the width of the vectors from a file.
    table: Param<Tensor<2>>,
    /// `[vectors' width, width]`, where they differ.
    projection: Option<Param<Tensor<2>>>,
    /// `[parts, width]`.
    parts: Option<Param<Tensor<2>>>,
}

impl Embedding {
    /// Takes the vectors that a column begins with, and draws the others so that their numbers have the given
    /// deviation.
    pub fn new(shapes: &[FeatureShape], width: usize, deviation: f64, init: &mut Init) -> Self {
        let sizes = sizes(shapes);
        let (projection, table) = match shapes {
            [FeatureShape::Tokens { vectors: Some(vectors), .. }] => {
                let bound = (3.0 / vectors.width as f64).sqrt();
                let projection =
                    (vectors.width != width).then(|| init.uniform([vectors.width, width], bound));
                (projection, init.normal_but([sizes.tokens, vectors.width], &vectors.known))
            }
            _ => (None, init.normal([sizes.tokens, width], deviation)),
        };
        let parts = (sizes.parts > 0).then(|| init.normal([sizes.parts, width], deviation));
        Self { table, projection, parts }
    }

    /// Looks the tokens of texts up, one after the other without filling: `[rows, width]`, and how many each text has.
    pub fn forward_rows<'a>(&self, gathered: &'a Gathered) -> (Tensor<2>, &'a [usize]) {
        let Gathered::Tokens { tokens, lengths, parts } = gathered else {
            unreachable!("texts are gathered as tokens")
        };
        let time = tokens.dims()[1];
        let parts = parts.as_ref().map(|parts| unfilled(parts, lengths, time));
        (self.vectors(rows_of(tokens, lengths), parts), lengths)
    }

    /// Looks tokens up: `[rows, time, width]`, and how many of each row's are not filling.
    pub fn forward<'a>(&self, gathered: &'a Gathered) -> (Tensor<3>, &'a [usize]) {
        let Gathered::Tokens { tokens, lengths, parts } = gathered else {
            unreachable!("texts are gathered as tokens")
        };
        let [rows, time] = tokens.dims();
        let values = self.vectors(tokens.clone().reshape([rows * time]), parts.clone());
        let width = values.dims()[1];
        (values.reshape([rows, time, width]), lengths)
    }

    /// The vectors of tokens `[rows]` with those of their parts: `[rows, width]`.
    fn vectors(&self, tokens: Tensor<1, Int>, parts: Option<Arc<Bags>>) -> Tensor<2> {
        let mut values = outset_ops::embedding(self.table.val(), tokens);
        if let Some(matrix) = &self.projection {
            values = outset_ops::linear(values, matrix.val(), None, outset_ops::Activation::Identity);
        }
        match (&self.parts, parts) {
            (Some(table), Some(parts)) => values + outset_ops::bag(table.val(), parts),
            _ => values,
        }
    }
}

/// Puts 0 in the place of filling.
pub fn without_filling(values: Tensor<3>, lengths: &[usize]) -> Tensor<3> {
    if lengths.iter().all(|length| *length == values.dims()[1]) {
        return values;
    }
    let inside = mask(&values, lengths, |_| 1.0);
    values * inside
}

choices! {
    /// How a sequence becomes one vector.
    pub enum Pooling {
        /// The mean over the steps.
        Mean = "mean",
        /// The largest of each feature.
        Max = "max",
        /// The first step.
        First = "first",
        /// A mean whose weights are learned.
        Attention = "attention",
    }
}

/// Makes a vector of a sequence.
#[derive(Module, Debug)]
pub struct Pool {
    #[module(skip)]
    how: Pooling,
    /// `[width, 1]` of the attention.
    query: Option<Param<Tensor<2>>>,
}

impl Pool {
    /// Makes the pooling of steps of `width` features.
    pub fn new(how: Pooling, width: usize, init: &mut Init) -> Self {
        let query = (how == Pooling::Attention).then(|| init.normal([width, 1], 1.0 / (width as f64).sqrt()));
        Self { how, query }
    }

    /// A vector for each row, `[rows, width]`.
    pub fn forward(&self, encoded: Encoded) -> Tensor<2> {
        let Encoded::Sequence { values, lengths } = encoded else { return encoded.pooled() };
        // Far below whatever a feature or score can be.
        let hidden = || (mask(&values, &lengths, |_| 1.0) - 1.0) * 1e9;
        match self.how {
            Pooling::Mean => Encoded::Sequence { values, lengths }.pooled(),
            Pooling::Max => (values.clone() + hidden()).max_dim(1).squeeze_dim(1),
            Pooling::First => values.narrow(1, 0, 1).squeeze_dim(1),
            Pooling::Attention => {
                let Some(query) = &self.query else { unreachable!("attention has a query") };
                let scores =
                    outset_ops::linear(values.clone(), query.val(), None, outset_ops::Activation::Identity);
                let weights = softmax((scores + hidden()).swap_dims(1, 2)).swap_dims(1, 2);
                (values * weights).sum_dim(1).squeeze_dim(1)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_pooling_sees_the_filling() {
        let device = Device::flex();
        let values = |filling: f32| {
            Tensor::<3>::from_floats(
                [[[1.0, -5.0], [3.0, -2.0], [filling, filling]], [[4.0, 0.5], [0.0, 1.0], [2.0, 3.0]]],
                &device,
            )
        };
        for how in [Pooling::Mean, Pooling::Max, Pooling::First, Pooling::Attention] {
            let pool = Pool::new(how, 2, &mut Init::new(1, &device));
            let of = |filling: f32| {
                let encoded = Encoded::Sequence { values: values(filling), lengths: vec![2, 3] };
                pool.forward(encoded).into_data().try_into_vec::<f32>().unwrap()
            };
            assert_eq!(of(0.0), of(100.0), "{how:?}");
        }
        let pool = Pool::new(Pooling::Max, 2, &mut Init::new(1, &device));
        let encoded = Encoded::Sequence { values: values(9.0), lengths: vec![2, 3] };
        assert_eq!(pool.forward(encoded).into_data().try_into_vec::<f32>().unwrap(), [3.0, -2.0, 4.0, 3.0]);
    }
}
