//! Column types: one file each, joined by the list below.
//!
//! A type says how its columns are recognised ([`infer`]), what is learned of them from the train part, and how their
//! cells become [`Features`] and, if it can be predicted, [`Targets`]. To add one, write its file and its line in the list.

mod alike;
mod category;
mod classes;
mod date;
mod image;
mod infer;
mod moment;
mod number;
mod scaling;
mod set;
pub mod tags;
pub mod text;

pub use alike::{Alike, measured_alike};
pub use category::{CategoryInput, CategoryOutput, CategorySettings};
pub use classes::{Absent, Classes};
pub(crate) use classes::{NONE, count, natural, sort_by_count};
pub use date::{DateInput, DateSettings, positions};
pub use image::{ImageInput, ImageSettings};
pub use infer::{Guess, Inferred, infer, infer_inputs, infer_output};
pub use moment::DateFormat;
pub(crate) use number::number_values;
pub use number::{NumberInput, NumberOutput, NumberSettings, parse_number};
pub use scaling::{Scale, Scaling};
pub(crate) use scaling::{moments, quantile};
pub use set::{SetInput, SetOutput, SetSettings};
pub use tags::{TagsInput, TagsOutput, TagsSettings};
pub use text::{TextInput, TextSettings};

use crate::error::DataError;
use crate::features::{FeatureShape, Features, Targets};
use crate::lot::Lot;
use crate::pictures::Picture;
use crate::signature::{InputSignature, OutputSignature};
use crate::table::Cells;
use outset_spec::{Field, Reader, Setting, Table as Settings};
use serde::{Deserialize, Serialize};
use std::path::Path;
use std::sync::Arc;

/// Some rows of one column.
#[derive(Clone, Copy, Debug)]
pub struct Column<'a> {
    pub name: &'a str,
    pub cells: &'a Cells,
    pub rows: &'a [u32],
}

/// One cell of a request.
#[derive(Clone, Debug, PartialEq)]
pub enum Entry {
    Missing,
    Number(f64),
    Text(String),
    Picture(Arc<Picture>),
}

/// What a column type does for an input.
pub trait InputType: Sized + Send + Sync {
    /// The keys that the experiment file may set.
    type Settings: Setting + Default;

    /// Learns from the train rows.
    ///
    /// # Errors
    /// If a cell cannot be of this type.
    fn fit(column: Column<'_>, settings: &Self::Settings) -> Result<Self, DataError>;

    /// The shape of what [`encode`](Self::encode) yields.
    fn shape(&self, name: &str) -> FeatureShape;

    /// Encodes cells, of whatever part.
    ///
    /// # Errors
    /// If a cell cannot be of this type.
    fn encode(&self, column: Column<'_>) -> Result<Features, DataError>;

    /// Reads one value of a request.
    ///
    /// # Errors
    /// What the value must be, to follow "must be".
    fn read(&self, value: &serde_json::Value) -> Result<Entry, String>;

    /// Fills in what a form or a reference must know of the column.
    fn describe(&self, signature: &mut InputSignature);

    /// Draws a likely value.
    fn draw(&self, lot: &mut Lot) -> serde_json::Value;
}

/// What a column type does for an output.
pub trait OutputType: Sized + Send + Sync {
    /// The keys that the experiment file may set.
    type Settings: Setting + Default;

    /// Reads those settings that matter for an output; the rest of the keys is left to the decoder.
    fn read_settings(reader: &mut Reader<'_>) -> Self::Settings;

    /// Learns from the train rows, all of which hold a value.
    ///
    /// # Errors
    /// If a cell cannot be of this type, or nothing is to be learned from them.
    fn fit(column: Column<'_>, settings: &Self::Settings) -> Result<Self, DataError>;

    /// Encodes cells, of whatever part.
    ///
    /// # Errors
    /// If a cell cannot be of this type or is missing.
    fn encode(&self, column: Column<'_>) -> Result<Targets, DataError>;

    /// Fills in what a client must know of the answers.
    fn describe(&self, signature: &mut OutputSignature);

    /// Mean and standard deviation of the train part, for numbers.
    fn moments(&self) -> Option<(f64, f64)> {
        None
    }

    /// The classes with their counts in train, for categories and sets.
    fn classes(&self) -> Option<&Classes> {
        None
    }
}

/// Writes the enumerations over all column types and the dispatch to them.
macro_rules! column_types {
    ($( $name:ident = $word:literal, $about:literal: $settings:ty => $input:ty $(, $output:ty)? ; )*) => {
        /// Every column type with a line about it.
        pub const KINDS: &[(&str, &str)] = &[$( ($word, $about), )*];

        /// The settings of a column by its type.
        #[derive(Clone, Debug, PartialEq)]
        pub enum ColumnSettings { $( $name($settings), )* }

        impl ColumnSettings {
            /// The default settings of a type; `None` for a word that is none.
            pub fn of(kind: &str) -> Option<Self> {
                match kind {
                    $( $word => Some(Self::$name(Default::default())), )*
                    _ => None,
                }
            }

            /// The word of the type.
            pub fn kind(&self) -> &'static str {
                match self { $( Self::$name(_) => $word, )* }
            }

            /// The settings with the names of files as seen from the current folder, where they start from `folder`.
            pub fn located(&self, folder: &Path) -> Self {
                match self {
                    Self::Text(settings) => Self::Text(settings.located(folder)),
                    settings => settings.clone(),
                }
            }

            /// The files that are read beside the rows, and what each holds.
            pub fn files(&self) -> Vec<(&str, &'static str)> {
                match self {
                    Self::Text(settings) => settings.files(),
                    _ => Vec::new(),
                }
            }

            /// Cell texts that mean "missing" in this column alone.
            pub fn missing(&self) -> &[String] {
                match self { $( Self::$name(settings) => &settings.missing, )* }
            }

            /// Has further cell texts mean "missing" in this column.
            pub fn add_missing(&mut self, words: &[String]) {
                match self { $( Self::$name(settings) => settings.missing.extend_from_slice(words), )* }
            }

            /// Writes every setting, defaults included.
            pub fn write_to(&self, table: &mut Settings) {
                match self { $( Self::$name(settings) => settings.write_to(table), )* }
            }

            /// The documented keys of a type.
            pub fn fields(kind: &str) -> Vec<Field> {
                match kind {
                    $( $word => <$settings as Setting>::fields(), )*
                    _ => Vec::new(),
                }
            }
        }

        /// Reads the settings of an input of the type `kind`; `None` if there is no such type.
        pub fn read_settings(kind: &str, reader: &mut Reader<'_>) -> Option<ColumnSettings> {
            match kind {
                $( $word => Some(ColumnSettings::$name(<$settings>::read_from(reader))), )*
                _ => None,
            }
        }

        /// Reads the settings of an output of the type `kind`; `None` if no such type can be predicted.
        pub fn read_output_settings(kind: &str, reader: &mut Reader<'_>) -> Option<ColumnSettings> {
            match kind {
                $($( $word => Some(ColumnSettings::$name(<$output as OutputType>::read_settings(reader))), )?)*
                _ => None,
            }
        }

        /// The types that can be predicted.
        pub const OUTPUT_KINDS: &[&str] = &[$($( {
            const _: fn() = || { let _ = size_of::<$output>(); };
            $word
        }, )?)*];

        /// What was learned of an input column.
        #[derive(Clone, Debug, Serialize, Deserialize)]
        #[serde(tag = "type", rename_all = "snake_case")]
        pub enum FittedInput { $( $name($input), )* }

        impl FittedInput {
            /// Learns from the train rows of a column.
            ///
            /// # Errors
            /// If a cell cannot be of the type.
            pub fn fit(column: Column<'_>, settings: &ColumnSettings) -> Result<Self, DataError> {
                match settings {
                    $( ColumnSettings::$name(settings) => {
                        <$input as InputType>::fit(column, settings).map(Self::$name)
                    } )*
                }
            }

            /// The word of the type.
            pub fn kind(&self) -> &'static str {
                match self { $( Self::$name(_) => $word, )* }
            }

            /// The shape of the features of this column, whose components are named after `name`.
            pub fn shape_of(&self, name: &str) -> FeatureShape {
                match self { $( Self::$name(fitted) => fitted.shape(name), )* }
            }

            /// Encodes cells, of whatever part.
            ///
            /// # Errors
            /// If a cell cannot be of the type.
            pub fn encode(&self, column: Column<'_>) -> Result<Features, DataError> {
                match self { $( Self::$name(fitted) => fitted.encode(column), )* }
            }

            pub(crate) fn read(&self, value: &serde_json::Value) -> Result<Entry, String> {
                match self { $( Self::$name(fitted) => fitted.read(value), )* }
            }

            pub(crate) fn describe(&self, signature: &mut InputSignature) {
                match self { $( Self::$name(fitted) => fitted.describe(signature), )* }
            }

            pub(crate) fn draw(&self, lot: &mut Lot) -> serde_json::Value {
                match self { $( Self::$name(fitted) => fitted.draw(lot), )* }
            }

            /// Cell texts that mean "missing" in this column alone.
            pub fn missing(&self) -> &[String] {
                match self { $( Self::$name(fitted) => &fitted.missing, )* }
            }
        }

        /// What was learned of an output column.
        #[derive(Clone, Debug, Serialize, Deserialize)]
        #[serde(tag = "type", rename_all = "snake_case")]
        pub enum FittedOutput { $($( $name($output), )?)* }

        impl FittedOutput {
            /// Learns from the train rows of a column.
            ///
            /// # Errors
            /// If the type cannot be predicted, a cell cannot be of it, or nothing is to be learned from the rows.
            pub fn fit(column: Column<'_>, settings: &ColumnSettings) -> Result<Self, DataError> {
                match settings {
                    $($( ColumnSettings::$name(settings) => {
                        <$output as OutputType>::fit(column, settings).map(Self::$name)
                    } )?)*
                    #[allow(unreachable_patterns)]
                    other => Err(DataError::NotAnOutput {
                        column: column.name.to_owned(),
                        kind: other.kind().to_owned(),
                    }),
                }
            }

            /// The word of the type.
            pub fn kind(&self) -> &'static str {
                match self { $($( Self::$name(fitted) => { let _: &$output = fitted; $word } )?)* }
            }

            pub(crate) fn encode(&self, column: Column<'_>) -> Result<Targets, DataError> {
                match self { $($( Self::$name(fitted) => <$output as OutputType>::encode(fitted, column), )?)* }
            }

            pub(crate) fn describe(&self, signature: &mut OutputSignature) {
                match self { $($( Self::$name(fitted) => <$output as OutputType>::describe(fitted, signature), )?)* }
            }

            /// Cell texts that mean "missing" in this column alone.
            pub fn missing(&self) -> &[String] {
                match self { $($( Self::$name(fitted) => { let _: &$output = fitted; &fitted.missing } )?)* }
            }

            fn moments(&self) -> Option<(f64, f64)> {
                match self { $($( Self::$name(fitted) => <$output as OutputType>::moments(fitted), )?)* }
            }

            fn class_list(&self) -> Option<&Classes> {
                match self { $($( Self::$name(fitted) => <$output as OutputType>::classes(fitted), )?)* }
            }
        }
    };
}

column_types! {
    Number = "number", "a quantity": NumberSettings => NumberInput, NumberOutput;
    Category = "category", "one of several classes": CategorySettings => CategoryInput, CategoryOutput;
    Set = "set", "any number of labels in one cell": SetSettings => SetInput, SetOutput;
    Date = "date", "a day or a moment": DateSettings => DateInput;
    Text = "text", "words and sentences in any language": TextSettings => TextInput;
    Tags = "tags", "a label for each word or character of a text": TagsSettings => TagsInput, TagsOutput;
    Image = "image", "a picture": ImageSettings => ImageInput;
}

impl FittedInput {
    /// The shape of the features of this column, its components named after their parts alone.
    pub fn shape(&self) -> FeatureShape {
        self.shape_of("")
    }
}

impl FittedOutput {
    /// The classes of a category or set in the order of the encoded targets: sorted, numbers by value.
    pub fn classes(&self) -> &[String] {
        self.class_list().map_or(&[], |classes| &classes.names)
    }

    /// How many train rows hold each class.
    pub fn train_counts(&self) -> &[u64] {
        self.class_list().map_or(&[], |classes| &classes.counts)
    }

    /// The index of a class by its name.
    pub fn class(&self, name: &str) -> Option<usize> {
        self.class_list()?.find(name).map(|index| index as usize)
    }

    /// The rarer of two classes in train, the later one on a tie; `None` for any other number of classes.
    pub fn positive(&self) -> Option<usize> {
        match self.train_counts() {
            [first, second] => Some(usize::from(second <= first)),
            _ => None,
        }
    }

    /// What was learned of tags, if the output is one of them.
    pub fn tags(&self) -> Option<&TagsOutput> {
        if let Self::Tags(tags) = self { Some(tags) } else { None }
    }

    /// Mean of the train part; 0 for anything but a number.
    pub fn mean(&self) -> f64 {
        self.moments().map_or(0.0, |(mean, _)| mean)
    }

    /// Standard deviation of the train part; 1 for anything but a number.
    pub fn scale(&self) -> f64 {
        self.moments().map_or(1.0, |(_, deviation)| deviation)
    }

    /// Turns a standardised number back into the column's own unit.
    pub fn inverse(&self, standardised: f32) -> f64 {
        self.mean() + self.scale() * f64::from(standardised)
    }
}

/// Joins the name of a column and of one of its parts.
fn part_name(column: &str, part: &str) -> String {
    [column, part].into_iter().filter(|word| !word.is_empty()).collect::<Vec<_>>().join(" ")
}
