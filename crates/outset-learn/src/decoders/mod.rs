//! Decoders: the representation to predictions of an output column, with the loss that teaches it.
//!
//! A new decoder is a file here and a line in [`decoders!`].

pub mod category;
pub mod number;
pub mod set;
pub mod tags;

use crate::combiner::Vectors;
use crate::encoders::Wishes;
use crate::init::Init;
use crate::losses::{self, Loss};
use burn::module::{Module, Param};
use burn::tensor::{Device, Tensor, TensorData};
use outset_data::{FittedOutput, Targets};
use outset_spec::{Field, Problems, Reader, Section};

/// What a decoder needs of each row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Needs {
    /// Its features.
    Vector,
    /// The features of each step of the input that it speaks of.
    Sequence,
}

/// Raw outputs of a decoder.
#[derive(Clone, Debug)]
pub struct Raw {
    /// `[members · rows, width]`, of sequences `[members · rows · time, width]`.
    pub values: Tensor<2>,
    /// Of sequences the steps of each row that are not filling, else nothing.
    pub lengths: Vec<usize>,
}

impl Raw {
    /// Raw outputs of vectors.
    pub fn of_rows(values: Tensor<2>) -> Self {
        Self { values, lengths: Vec::new() }
    }
}

/// What every decoder does.
pub trait Decode: Sized {
    /// What it needs of each row.
    const NEEDS: Needs = Needs::Vector;

    /// What it asks of training, which goes before what encoders ask.
    fn wishes(_rows: usize) -> Wishes {
        Wishes { ready: true, rounded: true, ..Wishes::default() }
    }

    /// The linear maps to raw outputs.
    fn head(&self) -> &Head;

    /// What is minimised.
    fn criterion(&self) -> &Loss;

    /// Raw outputs `[rows, width]` to answers; a number needs no squashing.
    fn activate(raw: Tensor<2>) -> Tensor<2> {
        raw
    }

    /// The batch's loss, `[1]`.
    fn loss(&self, raw: Raw, targets: &TargetBatch) -> Tensor<1> {
        self.criterion().forward(raw.values, targets.rows(), targets.weights.clone())
    }

    /// Answers row by row: `[rows, width]` standardised numbers or probabilities; of tags see [`tags`].
    fn answers(&self, raw: Raw, members: usize) -> Vec<f64> {
        mean_over_members(Self::activate(raw.values), members)
    }
}

/// What a batch is to answer: the targets of its rows, repeated for each member, and what each row weighs.
#[derive(Clone, Debug)]
pub struct TargetBatch {
    pub wanted: Wanted,
    /// `[members · rows]`, summing to 1.
    pub weights: Tensor<1>,
}

/// The targets of a batch; there are few of them at a time, so their size is no matter.
#[derive(Clone, Debug)]
#[allow(clippy::large_enum_variant)]
pub enum Wanted {
    /// `[members · rows, width]`, or classes `[members · rows]`.
    Rows(losses::Targets),
    /// `[members · rows]` lists of the tags of each row's steps, and what each row weighs.
    Tags { tags: Vec<Vec<u32>>, shares: Vec<f32> },
}

impl TargetBatch {
    /// The targets of a decoder of vectors.
    fn rows(&self) -> losses::Targets {
        match &self.wanted {
            Wanted::Rows(targets) => targets.clone(),
            Wanted::Tags { .. } => unreachable!("tags are the targets of their own decoder"),
        }
    }
}

impl TargetBatch {
    /// Collects targets and weights of the given rows, once for each member.
    pub fn gather(
        targets: &Targets,
        weights: Option<&[f32]>,
        rows: &[u32],
        members: usize,
        device: &Device,
    ) -> Self {
        let count = rows.len() * members;
        let weight = |row: u32| weights.map_or(1.0, |weights| weights[row as usize]);
        let total: f32 = rows.iter().map(|row| weight(*row)).sum::<f32>() * members as f32;
        let share = if total > 0.0 { 1.0 / total } else { 0.0 };
        let one: Vec<f32> = rows.iter().map(|row| weight(*row) * share).collect();
        let real = |width: usize, values: &[f32]| {
            let one: Vec<f32> = rows
                .iter()
                .flat_map(|row| &values[*row as usize * width..(*row as usize + 1) * width])
                .copied()
                .collect();
            losses::Targets::Values(Tensor::from_data(
                TensorData::new(one.repeat(members), [count, width]),
                device,
            ))
        };
        let wanted = match targets {
            Targets::Number { values } => Wanted::Rows(real(1, values)),
            Targets::Set { width, values } => Wanted::Rows(real(*width, values)),
            Targets::Category(classes) => {
                let one: Vec<i32> = rows.iter().map(|row| classes[*row as usize] as i32).collect();
                Wanted::Rows(losses::Targets::Classes(Tensor::from_data(
                    TensorData::new(one.repeat(members), [count]),
                    device,
                )))
            }
            Targets::Tags { offsets, tags } => {
                let of_row = |row: &u32| tags[offsets[*row as usize]..offsets[*row as usize + 1]].to_vec();
                let tags: Vec<Vec<u32>> = rows.iter().map(of_row).collect();
                Wanted::Tags { tags: vec![tags; members].concat(), shares: one.repeat(members) }
            }
        };
        Self { wanted, weights: Tensor::from_data(TensorData::new(one.repeat(members), [count]), device) }
    }
}

/// One linear map for each member: representation to raw outputs.
#[derive(Module, Debug)]
pub struct Head {
    /// `[members, features, width]`.
    weight: Param<Tensor<3>>,
    /// `[members, width]`.
    bias: Param<Tensor<2>>,
}

impl Head {
    /// Makes the heads of `members` over `features`.
    pub fn new(members: usize, features: usize, width: usize, init: &mut Init) -> Self {
        let bound = 1.0 / (features.max(1) as f64).sqrt();
        Self {
            weight: init.uniform([members, features, width], bound),
            bias: init.constant([members, width], 0.0),
        }
    }

    /// Raw outputs, `[members · rows, width]`.
    pub fn forward(&self, vectors: &Vectors) -> Tensor<2> {
        outset_ops::member_linear(vectors.values.clone(), self.weight.val(), Some(self.bias.val()))
    }
}

/// Averages `[members · rows, width]` over the members.
fn mean_over_members(values: Tensor<2>, members: usize) -> Vec<f64> {
    let [count, width] = values.dims();
    let rows = count / members;
    let values = values.into_data().try_into_vec::<f32>().unwrap_or_default();
    let mut mean = vec![0.0f64; rows * width];
    for member in values.chunks_exact((rows * width).max(1)) {
        for (sum, value) in mean.iter_mut().zip(member) {
            *sum += f64::from(*value);
        }
    }
    mean.iter_mut().for_each(|sum| *sum /= members as f64);
    mean
}

/// Writes the dispatch over all decoders from one list; the kinds are those of the column types.
macro_rules! decoders {
    ($( $(#[doc = $doc:literal])* $variant:ident($module:ident, $kind:literal), )*) => {
        /// A decoder.
        #[derive(Module, Debug)]
        pub enum Decoder { $( $(#[doc = $doc])* $variant($module::Decoder), )* }

        /// The settings of a decoder, read from the output's section.
        #[derive(Clone, Debug, PartialEq)]
        pub enum Settings { $( $(#[doc = $doc])* $variant($module::Settings), )* }

        /// Every decoder: kind, description, settings.
        pub fn all() -> Vec<(&'static str, &'static str, Vec<Field>)> {
            vec![$( ($kind, concat!($($doc, "\n"),*), <$module::Settings as outset_spec::Setting>::fields()), )*]
        }

        impl Settings {
            /// Reads the settings of an output of type `kind`; `None` if nothing can decode it.
            pub fn read(kind: &str, reader: &mut Reader<'_>) -> Option<Self> {
                match kind {
                    $( $kind => Some(Self::$variant($module::Settings::read_from(reader))), )*
                    _ => None,
                }
            }

            /// Adds the settings to the output's section.
            pub fn write_to(&self, section: &mut Section) {
                match self { $( Self::$variant(settings) => settings.write_to(&mut section.parameters), )* }
            }

            /// How much the output's loss counts beside those of other outputs.
            pub fn weight(&self) -> f64 {
                match self { $( Self::$variant(settings) => settings.weight, )* }
            }

            /// What the decoder asks of training; `rows` are those to train on.
            pub fn wishes(&self, rows: usize) -> Wishes {
                match self { $( Self::$variant(_) => <$module::Decoder as Decode>::wishes(rows), )* }
            }

            /// The loss, its kind and parameters checked.
            pub fn loss(&self, path: &str, problems: &mut Problems) -> Loss {
                match self { $( Self::$variant(settings) => $module::loss(settings, path, problems), )* }
            }

            /// Makes the decoder on top of `features`.
            pub fn build(&self, output: &FittedOutput, loss: Loss, members: usize, features: usize, init: &mut Init) -> Decoder {
                match self { $( Self::$variant(_) => Decoder::$variant($module::Decoder::new(output, loss, members, features, init)), )* }
            }
        }

        impl Decoder {
            /// What the decoder needs of each row.
            pub fn needs(&self) -> Needs {
                match self { $( Self::$variant(_) => <$module::Decoder as Decode>::NEEDS, )* }
            }

            /// Raw outputs of vectors, `[members · rows, width]`.
            pub fn forward(&self, vectors: &Vectors) -> Tensor<2> {
                match self { $( Self::$variant(decoder) => decoder.head().forward(vectors), )* }
            }

            /// The batch's loss, `[1]`.
            pub fn loss(&self, raw: Raw, targets: &TargetBatch) -> Tensor<1> {
                match self { $( Self::$variant(decoder) => Decode::loss(decoder, raw, targets), )* }
            }

            /// Answers row by row.
            pub fn answers(&self, raw: Raw, members: usize) -> Vec<f64> {
                match self { $( Self::$variant(decoder) => Decode::answers(decoder, raw, members), )* }
            }
        }
    };
}

decoders! {
    /// A number: one raw output, standardised.
    Number(number, "number"),
    /// One of several classes: a probability for each.
    Category(category, "category"),
    /// Any of several labels: a probability for each.
    Set(set, "set"),
    /// Tags: a label for each word or character, decided for all of a text together.
    Tags(tags, "tags"),
}
