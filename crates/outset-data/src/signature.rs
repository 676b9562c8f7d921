//! The signature of a model: what goes in and comes out, for forms, API descriptions and documents.

use serde::{Deserialize, Serialize};
use serde_json::Value;

/// The columns that a model takes and answers.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Signature {
    pub inputs: Vec<InputSignature>,
    pub outputs: Vec<OutputSignature>,
}

/// One input column.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct InputSignature {
    pub name: String,
    /// `number`, `category`, `set` or `date`.
    pub kind: String,
    /// Classes of a category or set, the most frequent first, at most [`MAX_CLASSES`](Self::MAX_CLASSES).
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub classes: Vec<String>,
    /// Number of all classes.
    pub class_total: usize,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub minimum: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub maximum: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub median: Option<f64>,
    /// Digits after the decimal point of a number.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub decimals: Option<u8>,
    /// How a date is written, or what parts the labels of a set.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub format: Option<String>,
    /// A typical value.
    pub example: Value,
}

impl InputSignature {
    /// Classes named at most.
    pub const MAX_CLASSES: usize = 200;
}

/// One output column.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct OutputSignature {
    pub name: String,
    /// `number`, `category`, `set` or `tags`.
    pub kind: String,
    /// All classes of a category or set, in the order of the probabilities.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub classes: Vec<String>,
    /// The input that tags are put on.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub of: Option<String>,
    /// Types of entities, or plain labels, of tags.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub types: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub minimum: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub maximum: Option<f64>,
    /// Digits after the decimal point of a number.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub decimals: Option<u8>,
}
