//! Encoded columns: what a batch is made of, still without a tensor.

use crate::pictures::{Augment, Pixels, Shape};

/// The encoded cells of one input column.
#[derive(Clone, Debug, PartialEq)]
pub enum Features {
    /// `width` numbers a row, `[rows, width]` row by row.
    Numeric { width: usize, values: Vec<f32> },
    /// One class a row; 0 is missing or unknown, the classes start at 1.
    Index(Vec<u32>),
    /// Any number of classes a row: row `i` has `indices[offsets[i]..offsets[i + 1]]`, numbered as in `Index`.
    Indices { offsets: Vec<u32>, indices: Vec<u32> },
    /// Any number of weighted n-grams a row: row `i` has those at `offsets[i]..offsets[i + 1]`, each once.
    Weighted { offsets: Vec<usize>, indices: Vec<u32>, weights: Vec<f32> },
    /// At least one token a row in their order: row `i` has `indices[offsets[i]..offsets[i + 1]]`; 0 is nothing.
    Tokens { offsets: Vec<usize>, indices: Vec<u32>, parts: Option<TokenParts> },
    /// The pixels of one picture a row.
    Image(Vec<Pixels>),
}

/// What tokens consist of: the token at place `i` of all rows has the parts `indices[offsets[i]..offsets[i + 1]]`.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct TokenParts {
    pub offsets: Vec<usize>,
    pub indices: Vec<u32>,
}

/// What an encoder must know of an input column to be built.
#[derive(Clone, Debug, PartialEq)]
pub enum FeatureShape {
    /// As many numbers as components.
    Numeric { components: Vec<Component> },
    /// One of `classes`, the 0 for missing or unknown included.
    Index { classes: usize },
    /// Any of `classes`, the 0 for unknown included.
    Indices { classes: usize },
    /// Any of `size` n-grams.
    Weighted { size: usize },
    /// A sequence of up to `longest` tokens of `size`, the 0 for nothing included, each with any of `parts`.
    Tokens { size: usize, longest: usize, parts: usize },
    /// Pixels, the mean and deviation of each channel in train (black being 0 and white 1), how they are varied, and the
    /// filters `[4 · channels, channels, 2, 2]` that whiten patches of train, none where the network is loaded.
    Image { shape: Shape, mean: Vec<f32>, deviation: Vec<f32>, augment: Augment, whitening: Vec<f32> },
}

/// One number of an encoded column.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Component {
    /// `age`, `age missing`, `founded_at month`.
    pub name: String,
    /// Distinct quantiles of the train values in scaled units, rising, for a piecewise-linear encoding: none for an
    /// indicator or a constant, else 2 to 65.
    pub knots: Vec<f32>,
}

/// The encoded cells of one output column.
#[derive(Clone, Debug, PartialEq)]
pub enum Targets {
    /// Standardised by mean and standard deviation of the train part.
    Number { values: Vec<f32> },
    /// Index into the output's classes.
    Category(Vec<u32>),
    /// Index into the output's tags for each unit: row `i` has `tags[offsets[i]..offsets[i + 1]]`.
    Tags { offsets: Vec<usize>, tags: Vec<u32> },
    /// 1 where the row has the class and 0 elsewhere, `[rows, width]` row by row.
    Set { width: usize, values: Vec<f32> },
}
