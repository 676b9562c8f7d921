//! A multilayer perceptron with dropout, optional normalisation and residual blocks, as an ensemble in one network.
//!
//! The members share all weights but a vector that scales the input of each, and their heads (TabM-mini in Gorishniy
//! et al. 2024, <https://arxiv.org/abs/2410.24210>); their answers are averaged.

use super::{Given, Vectors};
use crate::activations::Activation;
use crate::init::Init;
use crate::initializers::Initializer;
use crate::layers::{LayerNorm, Linear};
use crate::order::mix;
use crate::size::Size;
use burn::module::{Module, Param};
use burn::tensor::Tensor;
use outset_ops::recompute;
use outset_spec::{Bounds, Problems, Section, choices, settings};

choices! {
    /// Normalisation in front of each hidden layer but the first.
    pub enum Normalization {
        /// None.
        Plain = "none",
        /// Over the features of each row.
        Layer = "layer",
    }
}

settings! {
    /// Settings of the multilayer perceptron.
    pub struct Settings {
        /// The one dial: sets width, depth, members and epochs together.
        size: Size = Size::Small;
        /// Units of each hidden layer.
        hidden_size: Option<usize> = None, in Bounds::between(1.0, 1_000_000.0);
        /// Hidden layers; none where text or pictures are the only inputs.
        num_layers: Option<usize> = None, in Bounds::between(0.0, 1024.0);
        /// Networks that share their weights and are averaged; 1 for an ordinary network.
        members: Option<usize> = None, in Bounds::between(1.0, 1024.0);
        /// Distribution of the first weights; evenly within `±1/√inputs`, as PyTorch draws them, where left out.
        initializer: Section = Section::default();
        /// Activation after each hidden layer.
        activation: Activation = Activation::Relu;
        /// Share of units that are dropped while training; more where rows are few.
        dropout: Option<f64> = None, in Bounds::between(0.0, 0.95);
        /// Normalisation in front of each hidden layer but the first.
        normalization: Normalization = Normalization::Plain;
        /// Whether each hidden layer but the first adds to its input instead of replacing it.
        residual: bool = false;
    }
}

impl Settings {
    /// Fills in what the dial sets.
    pub(super) fn resolve(mut self, given: Given, problems: &mut Problems) -> Self {
        self.initializer(problems);
        let (hidden_size, num_layers, members) = match self.size {
            _ if given.ready => (192, 0, 1),
            Size::Tiny => (64, 2, 4),
            Size::Small => (192, 3, 8),
            Size::Base => (384, 3, 32),
        };
        self.hidden_size.get_or_insert(hidden_size);
        self.num_layers.get_or_insert(num_layers);
        self.members.get_or_insert(members);
        self.dropout.get_or_insert(if given.rows < 2_000 { 0.3 } else { 0.1 });
        self
    }

    /// The initializer that the file names, if any.
    fn initializer(&self, problems: &mut Problems) -> Option<Initializer> {
        let named = !self.initializer.kind.is_empty();
        named.then(|| {
            let default = Initializer::Zeros(Default::default());
            Initializer::read(&self.initializer, "model.initializer", &default, problems)
        })
    }
}

/// The hidden layers.
#[derive(Module, Debug)]
pub struct Combiner {
    /// `[members, width]` factors of each member's input.
    scales: Option<Param<Tensor<2>>>,
    layers: Vec<Linear>,
    norms: Vec<LayerNorm>,
    #[module(skip)]
    activation: Activation,
    #[module(skip)]
    dropout: f64,
    #[module(skip)]
    residual: bool,
    #[module(skip)]
    width: usize,
    #[module(skip)]
    members: usize,
}

impl Combiner {
    /// Makes the hidden layers over `width` features.
    pub fn new(settings: &Settings, width: usize, init: &mut Init) -> Self {
        let hidden_size = settings.hidden_size.unwrap_or(192);
        let members = settings.members.unwrap_or(1);
        let num_layers = settings.num_layers.unwrap_or(3);
        // The settings were checked when they were read, so there is nothing to report any more.
        let initializer = settings.initializer(&mut Problems::default());
        let layers = (0..num_layers)
            .map(|layer| {
                let inputs = if layer == 0 { width } else { hidden_size };
                Linear::new(inputs, hidden_size, initializer.as_ref(), init)
            })
            .collect();
        let norms = match settings.normalization {
            Normalization::Plain => Vec::new(),
            Normalization::Layer => (1..num_layers).map(|_| LayerNorm::new(hidden_size, init)).collect(),
        };
        Self {
            scales: (members > 1).then(|| init.signs([members, width])),
            layers,
            norms,
            activation: settings.activation,
            dropout: settings.dropout.unwrap_or(0.0),
            residual: settings.residual,
            width: if num_layers == 0 { width } else { hidden_size },
            members,
        }
    }

    /// Units of the last hidden layer, or of the features where there is none.
    pub fn width(&self) -> usize {
        self.width
    }

    /// Members of the ensemble.
    pub fn members(&self) -> usize {
        self.members
    }

    /// Runs the hidden layers over a batch, `[rows, width]`.
    pub fn forward(&self, features: Tensor<2>, key: Option<u64>) -> Vectors {
        let mut values = match &self.scales {
            Some(scales) => outset_ops::ensemble_scale(features, scales.val()),
            None => features,
        };
        let (activation, dropout) = (self.activation, self.dropout);
        for (index, layer) in self.layers.iter().enumerate() {
            let norm = index.checked_sub(1).and_then(|index| self.norms.get(index));
            let residual = self.residual && index > 0;
            let block = (layer.clone(), norm.cloned());
            values = recompute(&block, values, move |(layer, norm), input| {
                let normed = norm.as_ref().map_or(input.clone(), |norm| norm.forward(input.clone()));
                let mut values = layer.forward(normed, activation);
                if let Some(key) = key
                    && dropout > 0.0
                {
                    values = outset_ops::dropout(values, dropout, mix(key, index as u64));
                }
                if residual { input + values } else { values }
            });
        }
        Vectors { values, members: self.members }
    }
}
