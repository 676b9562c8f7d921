//! Text without its order: a vector for each n-gram of words and characters, summed with tf-idf as weights.
//!
//! With the decoder on top it is a linear model of n-grams whose matrix has few columns (fastText, Joulin et al. 2016,
//! <https://arxiv.org/abs/1607.01759>). The vectors begin at 0, so that a rare n-gram says no more than it was seen to.

use super::{Encode, Encoded, Gathered, Wishes};
use crate::evidence::Counted;
use crate::init::Init;
use crate::size::Size;
use burn::module::{Module, Param};
use burn::tensor::{Device, Int, Tensor, TensorData};
use outset_data::{FeatureShape, Features};
use outset_ops::Bags;
use outset_spec::{Bounds, settings};
use std::sync::Arc;

settings! {
    /// Settings of the bag of words.
    pub struct Settings {
        /// Length of the vectors; 16, 32 or 64 by `model.size`.
        embedding_size: Option<usize> = None, in Bounds::between(1.0, 4096.0);
        /// Share of the vector's numbers that are dropped while training.
        dropout: f64 = 0.0, in Bounds::between(0.0, 0.95);
        /// Whether naive Bayes stands beside the network for categories, and n-grams of short texts weigh more the more they tell.
        naive_bayes: bool = true;
        /// Whether a linear support vector machine of the n-grams stands beside the network for categories.
        margin: bool = true;
    }
}

/// Encodes texts as bags of n-grams.
#[derive(Module, Debug)]
pub struct Encoder {
    /// `[n-grams, embedding_size]`.
    table: Param<Tensor<2>>,
    /// `[n-grams]`: what each n-gram's weight is multiplied by; counted, not trained. Were it tracked, autodiff would keep
    /// what each batch looks up in it, as no backward pass comes by.
    emphasis: Option<Param<Tensor<1>>>,
    #[module(skip)]
    margin: bool,
    #[module(skip)]
    width: usize,
    #[module(skip)]
    dropout: f64,
}

impl Encoder {
    /// What the weights of n-grams are multiplied by; only those that are asked for leave the tensor, which is large.
    fn emphasis_of(&self, indices: &[u32]) -> Option<Vec<f32>> {
        let emphasis = self.emphasis.as_ref().filter(|_| !indices.is_empty())?.val();
        let places: Vec<i32> = indices.iter().map(|index| *index as i32).collect();
        let places = TensorData::new(places, [indices.len()]);
        let places = Tensor::<1, Int>::from_data(places, &emphasis.device());
        emphasis.select(0, places).into_data().try_into_vec().ok()
    }
}

impl Encode for Encoder {
    type Settings = Settings;

    fn counted(&self) -> Option<Counted> {
        let (size, naive_bayes) = (self.table.val().dims()[0], self.emphasis.is_some());
        (naive_bayes || self.margin).then_some(Counted { size, naive_bayes, margin: self.margin })
    }

    fn emphasis(&self) -> Option<Vec<f32>> {
        self.emphasis.as_ref()?.val().into_data().try_into_vec().ok()
    }

    fn emphasize(&mut self, factors: Vec<f32>, device: &Device) {
        let size = factors.len();
        let emphasis = Param::from_tensor(Tensor::from_data(TensorData::new(factors, [size]), device));
        self.emphasis = Some(emphasis.set_require_grad(false));
    }

    fn resolve(mut settings: Settings, _: &FeatureShape, size: Size, _: usize) -> Settings {
        settings.embedding_size.get_or_insert(match size {
            Size::Tiny => 16,
            Size::Small => 32,
            Size::Base => 64,
        });
        settings
    }

    fn wishes(_: &Settings, rows: usize) -> Wishes {
        Wishes {
            learning_rate: Some(3e-3),
            weight_decay: Some(0.0),
            epochs: Some(if rows < 4_000 { 12 } else { 6 }),
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
        let width = settings.embedding_size.unwrap_or(32);
        let emphasis =
            settings.naive_bayes.then(|| init.constant([size.max(1)], 1.0).set_require_grad(false));
        let table = init.constant([size.max(1), width], 0.0);
        Self { table, emphasis, margin: settings.margin, width, dropout: settings.dropout }
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
        if let Some(emphasis) = self.emphasis_of(&bags.indices) {
            bags.weights.iter_mut().zip(emphasis).for_each(|(weight, emphasis)| *weight *= emphasis);
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn emphasis_weighs_n_grams_and_leaves_nothing_in_the_graph() {
        let device = Device::flex().autodiff();
        let shape = FeatureShape::Weighted { size: 3 };
        let mut encoder = Encoder::new(&Settings::default(), &[shape], &mut Init::new(1, &device));
        let is_tracked = |encoder: &Encoder| encoder.emphasis.as_ref().unwrap().val().is_require_grad();
        assert!(!is_tracked(&encoder));
        encoder.emphasize(vec![1.0, 2.0, 3.0], &device);
        assert!(!is_tracked(&encoder));

        let features = Features::Weighted {
            offsets: vec![0, 2, 3],
            indices: vec![0, 2, 1],
            weights: vec![0.5, 1.0, 0.25],
        };
        let Gathered::Bags(bags) = encoder.gather(&[&features], &[1, 0], &device) else { panic!("no bags") };
        assert_eq!(
            (&bags.offsets, &bags.indices, &bags.weights),
            (&vec![0, 1, 3], &vec![1, 0, 2], &vec![0.5, 0.5, 3.0])
        );
    }
}
