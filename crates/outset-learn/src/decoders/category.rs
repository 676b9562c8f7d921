//! One of several classes: a raw output for each, of which softmax makes probabilities.

use super::{Decode, Head};
use crate::init::Init;
use crate::losses::Loss;
use burn::module::Module;
use burn::tensor::Tensor;
use outset_data::FittedOutput;
use outset_ops::softmax;
use outset_spec::{Bounds, Node, Problems, Section, Setting, Value, settings};

settings! {
    /// Settings of a category to predict.
    pub struct Settings {
        /// What is minimised: `cross_entropy` or `focal`.
        loss: Section = Section::of("cross_entropy");
        /// How much this output's loss counts beside those of other outputs.
        weight: f64 = 1.0, in Bounds::at_least(0.0);
        /// The class that precision, recall and F1 speak of; the rarer of two classes where left out.
        positive: Option<String> = None;
        /// For two classes: `"f1"`, or a probability, above which the positive class is predicted; 0.5 where left out.
        threshold: Option<Threshold> = None;
        /// What a missed positive costs; with `cost_of_false_alarm` it chooses the threshold on val.
        cost_of_miss: Option<f64> = None, in Bounds::above(0.0);
        /// What a false alarm costs; with `cost_of_miss` it chooses the threshold on val.
        cost_of_false_alarm: Option<f64> = None, in Bounds::above(0.0);
    }
}

/// How the decision threshold is chosen.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Threshold {
    /// The best F1 of the positive class on val.
    F1,
    /// A fixed probability.
    At(f64),
}

impl Setting for Threshold {
    const EXPECTED: &'static str = "`\"f1\"` or a probability between 0 and 1";

    fn from_node(node: &Node) -> Result<Self, String> {
        match &node.value {
            Value::String(word) if word == "f1" => Ok(Self::F1),
            Value::Float(value) if (0.0..=1.0).contains(value) => Ok(Self::At(*value)),
            _ => Err(String::new()),
        }
    }

    fn to_value(&self) -> Option<Value> {
        Some(match self {
            Self::F1 => "f1".into(),
            Self::At(value) => (*value).into(),
        })
    }
}

/// Decodes a category.
#[derive(Module, Debug)]
pub struct Decoder {
    head: Head,
    #[module(skip)]
    loss: Loss,
}

impl Decoder {
    /// Makes the decoder of a fitted output.
    pub fn new(output: &FittedOutput, loss: Loss, members: usize, features: usize, init: &mut Init) -> Self {
        Self { head: Head::new(members, features, output.classes().len(), init), loss }
    }
}

impl Decode for Decoder {
    fn head(&self) -> &Head {
        &self.head
    }

    fn criterion(&self) -> &Loss {
        &self.loss
    }

    /// Raw outputs to probabilities that add up to 1.
    fn activate(raw: Tensor<2>) -> Tensor<2> {
        softmax(raw)
    }
}

/// Reads the loss, which must be one of classes.
pub(super) fn loss(settings: &Settings, path: &str, problems: &mut Problems) -> Loss {
    Loss::read(&settings.loss, path, &["cross_entropy", "focal"], problems)
}
