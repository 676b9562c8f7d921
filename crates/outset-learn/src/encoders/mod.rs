//! Encoders: features of columns to a vector, a sequence or a map for each row.
//!
//! Columns of a table with the same encoder and the same settings share one module, which makes one tensor of them: a
//! table of a hundred numbers is one matrix, not a hundred. A new encoder is a file here and a line in [`encoders!`].

mod encoded;
mod wishes;

pub mod category;
pub mod number;
pub mod set;

pub use encoded::Encoded;
pub use wishes::Wishes;

use crate::init::Init;
use crate::size::Size;
use burn::module::Module;
use burn::tensor::{Device, Int, Tensor};
use outset_data::{FeatureShape, Features};
use outset_spec::{Field, Problems, Section, problem};

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
                let kind = section.kind_or(fitting.first().copied()?);
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
}
