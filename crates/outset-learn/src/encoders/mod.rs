//! Encoders: features of columns to a vector for each row.
//!
//! Columns with the same encoder and the same settings share one module, which makes one tensor of them: a table of a
//! hundred numbers is one matrix, not a hundred. A new encoder is a file here and a line in [`encoders!`].

pub mod category;
pub mod number;
pub mod set;

use crate::init::Init;
use burn::module::Module;
use burn::tensor::{Device, Int, Tensor};
use outset_data::{FeatureShape, Features};
use outset_spec::{Field, Problems, Section, problem};

/// What an encoder draws from the features of its columns for a batch of rows, still without gradients.
#[derive(Clone, Debug)]
pub struct Gathered {
    /// `[rows, width]`.
    pub dense: Option<Tensor<2>>,
    /// For each embedded column the class of each row, `[rows]`.
    pub indices: Vec<Tensor<1, Int>>,
}

/// Writes the dispatch over all encoders from one list.
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
            pub fn read(section: &Section, shape: &FeatureShape, path: &str, problems: &mut Problems) -> Option<Self> {
                let default = match shape { $( $shape => $kind, )* };
                let fits = |kind: &str| match shape { $( $shape => kind == $kind, )* };
                let kind = section.kind_or(default);
                if !fits(kind) {
                    let kinds: Vec<&str> = all().into_iter().map(|(kind, ..)| kind).filter(|kind| fits(kind)).collect();
                    problems.push(problem::unknown("encoder", kind, &kinds, section.kind_place.as_ref()));
                    return None;
                }
                let mut reader = section.reader(path, problems);
                let settings = match kind { $( $kind => Self::$variant($module::Settings::read_from(&mut reader)), )* _ => return None };
                reader.finish();
                Some(settings)
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
            /// Features that the encoder yields for each row.
            pub fn width(&self) -> usize {
                match self { $( Self::$variant(encoder) => encoder.width(), )* }
            }

            /// Collects what the encoder needs of the given rows.
            pub fn gather(&self, features: &[&Features], rows: &[u32], device: &Device) -> Gathered {
                match self { $( Self::$variant(encoder) => encoder.gather(features, rows, device), )* }
            }

            /// Encodes a batch: `[rows, width]`.
            pub fn forward(&self, gathered: &Gathered) -> Tensor<2> {
                match self { $( Self::$variant(encoder) => encoder.forward(gathered), )* }
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
