//! What the encoders of token sequences share: looking tokens up, positions, and pooling that filling has no part in.

use super::encoded::mask;
use super::{Encoded, Gathered};
use crate::init::Init;
use burn::module::{Module, Param};
use burn::tensor::activation::softmax;
use burn::tensor::{Device, Int, Tensor, TensorData};
use outset_data::{FeatureShape, Features};
use outset_spec::choices;

/// Collects the tokens of rows, filled up with 0 to the longest.
pub fn gather(features: &[&Features], rows: &[u32], device: &Device) -> Gathered {
    let [Features::Tokens { offsets, indices }] = features else {
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
    Gathered::Tokens { tokens, lengths }
}

/// The step of each row when texts of these lengths lie one after the other.
pub fn steps(lengths: &[usize]) -> Vec<usize> {
    lengths.iter().flat_map(|length| 0..*length).collect()
}

/// The tokens of the texts one after the other, of `tokens [texts, time]` that are filled up: `[rows]`.
pub fn rows_of(tokens: &Tensor<2, Int>, lengths: &[usize]) -> Tensor<1, Int> {
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

/// Tokens in the vocabulary and the most of one text.
pub fn sizes(shapes: &[FeatureShape]) -> (usize, usize) {
    match shapes {
        [FeatureShape::Tokens { size, longest }] => (*size, *longest),
        _ => (1, 1),
    }
}

/// A learned vector for each token.
#[derive(Module, Debug)]
pub struct Embedding {
    /// `[tokens, width]`.
    table: Param<Tensor<2>>,
}

impl Embedding {
    /// Draws vectors whose numbers have the given deviation.
    pub fn new(tokens: usize, width: usize, deviation: f64, init: &mut Init) -> Self {
        Self { table: init.normal([tokens, width], deviation) }
    }

    /// Looks tokens `[rows]` up: `[rows, width]`.
    pub fn forward_rows(&self, tokens: Tensor<1, Int>) -> Tensor<2> {
        outset_ops::embedding(self.table.val(), tokens)
    }

    /// Looks tokens `[rows, time]` up: `[rows, time, width]`.
    pub fn forward(&self, tokens: &Tensor<2, Int>) -> Tensor<3> {
        let [rows, time] = tokens.dims();
        let table = self.table.val();
        let width = table.dims()[1];
        outset_ops::embedding(table, tokens.clone().reshape([rows * time])).reshape([rows, time, width])
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
                let weights = softmax(scores + hidden(), 1);
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
