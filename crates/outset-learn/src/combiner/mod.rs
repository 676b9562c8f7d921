//! Combiners: the encoders' features, side by side, to one representation that all decoders share.
//!
//! A new combiner is a file here and a line in [`combiners!`].

pub mod linear;
pub mod mlp;

use crate::init::Init;
use burn::module::Module;
use burn::tensor::Tensor;
use outset_spec::{Field, Problems, Section, problem};

/// A vector for each row, or for each of several members of an ensemble and each row.
#[derive(Clone, Debug)]
pub struct Vectors {
    /// `[members · rows, features]`, the rows of one member together.
    pub values: Tensor<2>,
    /// Members of the ensemble, 1 for an ordinary network.
    pub members: usize,
}

/// What some defaults of combiners go by.
#[derive(Clone, Copy, Debug, Default)]
pub struct Given {
    /// Size of the train part.
    pub rows: usize,
    /// Whether the encoders' vectors are ready for the decoders.
    pub ready: bool,
}

/// Writes the dispatch over all combiners from one list; the first is the default.
macro_rules! combiners {
    ($( $(#[doc = $doc:literal])* $variant:ident($module:ident, $kind:literal), )*) => {
        /// A combiner.
        #[derive(Module, Debug)]
        pub enum Combiner { $( $(#[doc = $doc])* $variant($module::Combiner), )* }

        /// The settings of a combiner; there is one of them, so its size is no matter.
        #[derive(Clone, Debug, PartialEq)]
        #[allow(clippy::large_enum_variant)]
        pub enum Settings { $( $(#[doc = $doc])* $variant($module::Settings), )* }

        /// Every combiner: kind, description, settings.
        pub fn all() -> Vec<(&'static str, &'static str, Vec<Field>)> {
            vec![$( ($kind, concat!($($doc, "\n"),*), <$module::Settings as outset_spec::Setting>::fields()), )*]
        }

        impl Settings {
            /// Reads the `[model]` table.
            pub fn read(section: &Section, given: Given, problems: &mut Problems) -> Option<Self> {
                let kinds = [$($kind),*];
                let kind = section.kind_or(kinds[0]);
                if !kinds.contains(&kind) {
                    problems.push(problem::unknown("model", kind, &kinds, section.kind_place.as_ref()));
                    return None;
                }
                let mut reader = section.reader("model", problems);
                let settings = match kind {
                    $( $kind => Self::$variant($module::Settings::read_from(&mut reader).resolve(given, reader.problems())), )*
                    _ => return None,
                };
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

            /// Makes the combiner of `width` features.
            pub fn build(&self, width: usize, init: &mut Init) -> Combiner {
                match self { $( Self::$variant(settings) => Combiner::$variant($module::Combiner::new(settings, width, init)), )* }
            }
        }

        impl Combiner {
            /// Features of the representation.
            pub fn width(&self) -> usize {
                match self { $( Self::$variant(combiner) => combiner.width(), )* }
            }

            /// Members of the ensemble.
            pub fn members(&self) -> usize {
                match self { $( Self::$variant(combiner) => combiner.members(), )* }
            }

            /// Combines the features of a batch, `[rows, width]`; `dropout` is the key of this step's dropout, or
            /// `None` outside of training.
            pub fn forward(&self, features: Tensor<2>, dropout: Option<u64>) -> Vectors {
                match self { $( Self::$variant(combiner) => combiner.forward(features, dropout), )* }
            }
        }
    };
}

combiners! {
    /// A multilayer perceptron, by default a small ensemble in one network (TabM).
    Mlp(mlp, "mlp"),
    /// No hidden layer: linear and logistic regression.
    Linear(linear, "linear"),
}
