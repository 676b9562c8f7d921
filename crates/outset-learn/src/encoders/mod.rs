//! Encoders: features of columns to a vector, a sequence or a map for each row.
//!
//! Columns of a table with the same encoder and the same settings share one module, which makes one tensor of them: a
//! table of a hundred numbers is one matrix, not a hundred. A new encoder is a file here and a line in [`encoders!`].

mod encoded;
#[cfg(test)]
mod golden;
mod mixing;
mod sight;
mod wishes;

pub mod bag_of_words;
pub mod category;
pub mod cnn;
pub mod number;
pub mod recurrent;
pub mod resnet;
pub mod set;
pub mod text_cnn;
mod tokens;
pub mod transformer;
pub mod vit;

pub use encoded::Encoded;
pub use mixing::Mixing;
use recurrent::{gru, lstm};
pub use wishes::Wishes;

use resnet::{resnet8, resnet18, resnet20, resnet34, resnet50};

use crate::evidence::Counted;
use crate::init::Init;
use crate::size::Size;
use burn::module::Module;
use burn::tensor::{Device, Int, Tensor};
use outset_data::pictures::Pixels;
use outset_data::{FeatureShape, Features};
use outset_ops::Bags;
use outset_spec::{Field, Problems, Section, problem};
use std::sync::Arc;

/// What an encoder draws from the features of its columns for a batch of rows, still without gradients.
#[derive(Clone, Debug)]
pub enum Gathered {
    /// Cells of a table.
    Cells {
        /// `[rows, width]`.
        dense: Option<Tensor<2>>,
        /// For each embedded column the class of each row, `[rows]`.
        indices: Vec<Tensor<1, Int>>,
    },
    /// Weighted n-grams of each row.
    Bags(Arc<Bags>),
    /// Tokens of each row, filled up with 0 at the end.
    Tokens {
        /// `[rows, time]`.
        tokens: Tensor<2, Int>,
        /// Tokens of each row that are not filling, at least 1.
        lengths: Vec<usize>,
        /// Parts of each of the `rows · time` tokens, where tokens consist of parts.
        parts: Option<Arc<Bags>>,
    },
    /// The pixels of a picture for each row, not yet varied, and where their tensor is to live.
    Pictures { pixels: Vec<Pixels>, device: Device },
}

/// What every encoder does.
pub trait Encode: Sized {
    type Settings;

    /// Whether columns with the same settings share one module.
    const TAKES_MANY: bool = false;

    /// Fills in what the file leaves open, by the column's features, the size of the model and the train rows.
    fn resolve(settings: Self::Settings, _shape: &FeatureShape, _size: Size, _rows: usize) -> Self::Settings {
        settings
    }

    /// What the encoder asks of combiner and training; `rows` are those to train on.
    fn wishes(_settings: &Self::Settings, _rows: usize) -> Wishes {
        Wishes::default()
    }

    /// Makes the encoder of columns with the given shapes: of one column, unless it takes many.
    fn new(settings: &Self::Settings, shapes: &[FeatureShape], init: &mut Init) -> Self;

    /// Features of each row, step or place.
    fn width(&self) -> usize;

    /// Collects what the encoder needs of the given rows.
    fn gather(&self, features: &[&Features], rows: &[u32], device: &Device) -> Gathered;

    /// Encodes a batch; `dropout` is the key of this step's dropout and augmentation, `None` outside of training.
    fn forward(&self, gathered: &Gathered, dropout: Option<u64>) -> Encoded;

    /// The n-grams that models beside the network go by, of an encoder that has such.
    fn counted(&self) -> Option<Counted> {
        None
    }

    /// What the weights of those n-grams are multiplied by, if they are.
    fn emphasis(&self) -> Option<Vec<f32>> {
        None
    }

    /// Sets what the weights of those n-grams are multiplied by.
    fn emphasize(&mut self, _factors: Vec<f32>, _device: &Device) {}

    /// How the rows of a training batch are mixed with each other, if they are.
    fn mixing(&self, _gathered: &Gathered, _key: u64) -> Option<Mixing> {
        None
    }

    /// Makes a vector for each row of what [`forward`](Self::forward) yields: `[rows, width]`.
    fn pool(&self, encoded: Encoded) -> Tensor<2> {
        encoded.pooled()
    }
}

/// Writes the dispatch over all encoders from one list; of those that take the same features the first is the default.
macro_rules! encoders {
    ($( $(#[doc = $doc:literal])* $variant:ident($module:ident, $kind:literal, $shape:pat), )*) => {
        /// An encoder of one or more columns.
        #[derive(Module, Debug)]
        pub enum Encoder { $( $(#[doc = $doc])* $variant($module::Encoder), )* }

        /// The settings of an encoder.
        #[derive(Clone, Debug, PartialEq)]
        pub enum Settings { $( $(#[doc = $doc])* $variant($module::Settings), )* }

        /// Every encoder: kind, description, settings.
        pub fn all() -> Vec<(&'static str, &'static str, Vec<Field>)> {
            vec![$( ($kind, concat!($($doc, "\n"),*), <$module::Settings as outset_spec::Setting>::fields()), )*]
        }

        impl Settings {
            /// Reads an encoder's section; the shape of the column's features chooses where the file does not.
            ///
            /// `size` is that of the model and `rows` the size of the train part, by which some defaults go.
            pub fn read(
                section: &Section,
                shape: &FeatureShape,
                size: Size,
                rows: usize,
                path: &str,
                problems: &mut Problems,
            ) -> Option<Self> {
                let mut fitting = Vec::new();
                $( if matches!(shape, $shape) { fitting.push($kind); } )*
                // What a word is called depends on what stands on either side of it.
                let of_words = matches!(shape, FeatureShape::Tokens { parts: 1.., .. });
                let kind = section.kind_or(if of_words { "lstm" } else { fitting.first().copied()? });
                $( if kind == $kind && matches!(shape, $shape) {
                    let mut reader = section.reader(path, problems);
                    let settings = $module::Settings::read_from(&mut reader);
                    reader.finish();
                    return Some(Self::$variant(<$module::Encoder as Encode>::resolve(settings, shape, size, rows)));
                } )*
                problems.push(problem::unknown("encoder", kind, &fitting, section.kind_place.as_ref()));
                None
            }

            /// Whether columns with these settings share one module.
            pub fn takes_many(&self) -> bool {
                match self { $( Self::$variant(_) => <$module::Encoder as Encode>::TAKES_MANY, )* }
            }

            /// What the encoder asks of combiner and training.
            pub fn wishes(&self, rows: usize) -> Wishes {
                match self { $( Self::$variant(settings) => <$module::Encoder as Encode>::wishes(settings, rows), )* }
            }

            /// The settings as a section with every default filled in.
            pub fn to_section(&self) -> Section {
                let mut section = Section::default();
                match self { $( Self::$variant(settings) => {
                    section.kind = $kind.to_owned();
                    settings.write_to(&mut section.parameters);
                } )* }
                section
            }

            /// Makes the encoder for columns of these shapes.
            pub fn build(&self, shapes: &[FeatureShape], init: &mut Init) -> Encoder {
                match self { $( Self::$variant(settings) => Encoder::$variant($module::Encoder::new(settings, shapes, init)), )* }
            }
        }

        impl Encoder {
            /// Features of each row, step or place.
            pub fn width(&self) -> usize {
                match self { $( Self::$variant(encoder) => encoder.width(), )* }
            }

            /// Collects what the encoder needs of the given rows.
            pub fn gather(&self, features: &[&Features], rows: &[u32], device: &Device) -> Gathered {
                match self { $( Self::$variant(encoder) => encoder.gather(features, rows, device), )* }
            }

            /// Encodes a batch; `dropout` is the key of this step's dropout, or `None` outside of training.
            pub fn forward(&self, gathered: &Gathered, dropout: Option<u64>) -> Encoded {
                match self { $( Self::$variant(encoder) => encoder.forward(gathered, dropout), )* }
            }

            /// The n-grams that models beside the network go by, of an encoder that has such.
            pub fn counted(&self) -> Option<Counted> {
                match self { $( Self::$variant(encoder) => encoder.counted(), )* }
            }

            /// What the weights of those n-grams are multiplied by, if they are.
            pub fn emphasis(&self) -> Option<Vec<f32>> {
                match self { $( Self::$variant(encoder) => encoder.emphasis(), )* }
            }

            /// Sets what the weights of those n-grams are multiplied by.
            pub fn emphasize(&mut self, factors: Vec<f32>, device: &Device) {
                match self { $( Self::$variant(encoder) => encoder.emphasize(factors, device), )* }
            }

            /// How the rows of a training batch are mixed with each other, if they are.
            pub fn mixing(&self, gathered: &Gathered, key: u64) -> Option<Mixing> {
                match self { $( Self::$variant(encoder) => encoder.mixing(gathered, key), )* }
            }

            /// Makes a vector for each row of what [`Encoder::forward`] yields: `[rows, width]`.
            pub fn pool(&self, encoded: Encoded) -> Tensor<2> {
                match self { $( Self::$variant(encoder) => encoder.pool(encoded), )* }
            }
        }
    };
}

encoders! {
    /// Numbers, scaled, and piecewise-linear or periodic features of them.
    Number(number, "number", FeatureShape::Numeric { .. }),
    /// Categories: one-hot for few classes, learned embeddings for many.
    Category(category, "category", FeatureShape::Index { .. }),
    /// Sets of labels: a 0 or 1 for each class.
    Set(set, "set", FeatureShape::Indices { .. }),
    /// Text: a vector for each n-gram of words and characters, summed by tf-idf.
    BagOfWords(bag_of_words, "bag_of_words", FeatureShape::Weighted { .. }),
    /// Text: convolution over windows of tokens (TextCNN).
    TextCnn(text_cnn, "cnn", FeatureShape::Tokens { .. }),
    /// Text: long short-term memory, by default in both directions.
    Lstm(lstm, "lstm", FeatureShape::Tokens { .. }),
    /// Text: gated recurrent units, by default in both directions.
    Gru(gru, "gru", FeatureShape::Tokens { .. }),
    /// Text: attention, as in BERT.
    Transformer(transformer, "transformer", FeatureShape::Tokens { .. }),
    /// Small pictures: a plain convolutional network with a residual convolution in each stage.
    Cnn(cnn, "cnn", FeatureShape::Image { .. }),
    /// A residual network of three stages of one block each, for quick trials.
    Resnet8(resnet8, "resnet8", FeatureShape::Image { .. }),
    /// The narrow residual network of 20 layers for small pictures.
    Resnet20(resnet20, "resnet20", FeatureShape::Image { .. }),
    /// The residual network of 18 layers.
    Resnet18(resnet18, "resnet18", FeatureShape::Image { .. }),
    /// The residual network of 34 layers.
    Resnet34(resnet34, "resnet34", FeatureShape::Image { .. }),
    /// The residual network of 50 layers.
    Resnet50(resnet50, "resnet50", FeatureShape::Image { .. }),
    /// Pictures by attention over their patches (Vision Transformer); wants many of them.
    Vit(vit, "vit", FeatureShape::Image { .. }),
}

#[cfg(test)]
mod tests {
    use super::*;
    use burn::module::{ModuleMapper, Param};
    use outset_data::TokenParts;
    use outset_data::pictures::{Augment, Shape};

    const TEXT: FeatureShape = FeatureShape::Tokens { size: 50, longest: 40, parts: 9, vectors: None };
    const COUNTED: FeatureShape = FeatureShape::Weighted { size: 50 };

    /// Draws every parameter anew: those that begin at 0 would hide whatever they are multiplied by.
    struct Drawn(Init);

    impl ModuleMapper for Drawn {
        fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
            param.map(|before| self.0.normal(before.dims(), 0.2).val())
        }
    }

    fn encoder(kind: &str, parameters: &[(&str, &str)]) -> Encoder {
        let shape = if kind == "bag_of_words" { COUNTED } else { TEXT };
        let mut section = Section::of(kind);
        parameters.iter().for_each(|(key, value)| section.parameters.put(key, *value));
        let mut problems = Problems::default();
        let settings = Settings::read(&section, &shape, Size::Tiny, 100, "encoder", &mut problems);
        assert_eq!(problems, Problems::default());
        let fresh = settings.unwrap().build(&[shape], &mut Init::new(1, &Device::flex()));
        fresh.map(&mut Drawn(Init::new(2, &Device::flex())))
    }

    /// A short text, a long one, and the first token of the short one alone.
    fn texts(kind: &str) -> Features {
        let offsets = vec![0, 3, 40, 41];
        let indices: Vec<u32> = (0..41).map(|i| 1 + i % 40 * 11 % 49).collect();
        if kind == "bag_of_words" {
            return Features::Weighted { offsets, indices, weights: vec![0.5; 41] };
        }
        let parts = TokenParts {
            offsets: (0..42).map(|i| i * 2).collect(),
            indices: (0..82).map(|i| i % 80 * 5 % 9).collect(),
        };
        Features::Tokens { offsets, indices, parts: Some(parts) }
    }

    /// What becomes of the text at `place` of a batch: its vector, and its steps one after the other, which tags go by.
    fn encoded(encoder: &Encoder, texts: &Features, rows: &[u32], place: usize) -> [Vec<f32>; 2] {
        let encoded = encoder.forward(&encoder.gather(&[texts], rows, &Device::flex()), None);
        let vectors = encoder.pool(encoded.clone());
        assert_eq!(vectors.dims(), [rows.len(), encoder.width()]);
        let vector = vectors.narrow(0, place, 1).into_data().try_into_vec().unwrap();
        let Encoded::Sequence { values, lengths } = encoded else { return [vector, Vec::new()] };
        let steps = values.narrow(0, place, 1).narrow(1, 0, lengths[place]);
        [vector, steps.into_data().try_into_vec().unwrap()]
    }

    #[test]
    fn filling_changes_no_answer() {
        let mut cases = vec![("bag_of_words", vec![])];
        for pooling in ["mean", "max", "first", "attention"] {
            let pooling = ("pooling", pooling);
            cases.extend(["cnn", "lstm", "gru"].map(|kind| (kind, vec![pooling])));
            let positions = ["learned", "sinusoidal", "rotary", "none"];
            cases.extend(positions.map(|kind| ("transformer", vec![("positions", kind), pooling])));
        }
        for (kind, parameters) in cases {
            let (encoder, texts) = (encoder(kind, &parameters), texts(kind));
            let [vector, steps] = encoded(&encoder, &texts, &[0], 0);
            let beside = encoded(&encoder, &texts, &[1, 0, 1], 1);
            assert_eq!([vector.len(), steps.len()], [beside[0].len(), beside[1].len()], "{kind}");
            for (alone, beside) in vector.iter().chain(&steps).zip(beside.iter().flatten()) {
                let apart = (alone - beside).abs();
                assert!(apart < 1e-5, "{kind} {parameters:?}: {alone} alone, {beside} between longer texts");
            }
            assert_ne!(vector, encoded(&encoder, &texts, &[1], 0)[0], "{kind}");
            if kind != "bag_of_words" {
                // A step hangs on those around it, so that what else stands in the batch could reach it.
                let [_, lone] = encoded(&encoder, &texts, &[2], 0);
                assert_ne!(lone, steps[..encoder.width()], "{kind} {parameters:?}");
            }
        }
    }

    #[test]
    fn parameters_are_counted_without_making_them() {
        let counts = |settings: &Settings, shapes: &[FeatureShape]| {
            let mut counting = Init::counting(&Device::flex());
            settings.build(shapes, &mut counting);
            let built = settings.build(shapes, &mut Init::new(1, &Device::flex()));
            (counting.counted(), built.num_params() as f64)
        };
        let read = |kind: &str, shape: &FeatureShape| {
            let mut problems = Problems::default();
            Settings::read(&Section::of(kind), shape, Size::Tiny, 100, "encoder", &mut problems).unwrap()
        };
        for kind in ["cnn", "lstm", "gru", "transformer"] {
            let (counted, made) = counts(&read(kind, &TEXT), &[TEXT]);
            assert!(counted == made && made > 1000.0, "{kind}: {counted} counted, {made} made");
        }
        let category = FeatureShape::Index { classes: 900 };
        let (counted, made) = counts(&read("category", &category), &[category.clone(), category]);
        assert!(counted == made && made > 1000.0, "{counted} counted, {made} made");
    }

    #[test]
    fn each_size_is_a_larger_network() {
        let shape = Shape { channels: 3, height: 32, width: 32 };
        let picture = FeatureShape::Image {
            shape,
            mean: vec![0.5; 3],
            deviation: vec![0.2; 3],
            augment: Augment::default(),
            whitening: Vec::new(),
        };
        let texts = ["cnn", "lstm", "gru", "transformer"].map(|kind| (kind, &TEXT));
        let pictures = ["cnn", "resnet8", "resnet18", "vit"].map(|kind| (kind, &picture));
        for (kind, shape) in texts.into_iter().chain(pictures).chain([("bag_of_words", &COUNTED)]) {
            let counts = [Size::Tiny, Size::Small, Size::Base].map(|size| {
                let mut problems = Problems::default();
                let settings = Settings::read(&Section::of(kind), shape, size, 100, "encoder", &mut problems);
                let mut counting = Init::counting(&Device::flex());
                settings.unwrap().build(std::slice::from_ref(shape), &mut counting);
                counting.counted()
            });
            assert!(counts[1] > 1.5 * counts[0] && counts[2] > 1.5 * counts[1], "{kind}: {counts:?}");
        }
    }

    #[test]
    fn columns_of_text_have_encoders_of_their_own() {
        let mut problems = Problems::default();
        let read = |kind: &str, shape: &FeatureShape, problems: &mut Problems| {
            Settings::read(&Section::of(kind), shape, Size::Small, 100, "encoder", problems)
        };
        assert!(!read("lstm", &TEXT, &mut problems).unwrap().takes_many());
        assert!(read("set", &FeatureShape::Indices { classes: 3 }, &mut problems).unwrap().takes_many());
        assert_eq!(problems, Problems::default());
        assert_eq!(read("set", &TEXT, &mut problems), None);
        let hint = problems.iter().next().unwrap().hint.clone().unwrap_or_default();
        assert!(hint.contains("lstm"), "{hint}");
    }
}
