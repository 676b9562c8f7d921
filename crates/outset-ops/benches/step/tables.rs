//! Networks for tables: a multilayer perceptron, one with embedded categories, a straight line.

use crate::{
    Step, indices,
    trainer::{Rule, Trainer},
};
use burn::module::{Module, Param};
use burn::tensor::{Device, Distribution, Tensor};
use outset_ops::{Activation, Embedding, Linear, Pointwise, cross_entropy, embeddings, pointwise_loss};

/// Linear layers with ReLU between them.
#[derive(Debug, Module)]
struct Mlp {
    layers: Vec<Linear>,
}

impl Mlp {
    fn new(sizes: &[usize], device: &Device) -> Mlp {
        Mlp { layers: sizes.windows(2).map(|w| Linear::new(w[0], w[1], true, device)).collect() }
    }

    fn forward(&self, x: Tensor<2>) -> Tensor<2> {
        let last = self.layers.len() - 1;
        self.layers.iter().enumerate().fold(x, |x, (i, layer)| {
            layer.forward_with(x, if i < last { Activation::Relu } else { Activation::Identity })
        })
    }
}

/// 784-512-512-10, a batch of 128.
pub fn mlp(device: &Device) -> Step {
    let x = Tensor::<2>::random([128, 784], Distribution::Default, device);
    let y = indices([128], 10, device);
    let mut trainer = Trainer::new(Mlp::new(&[784, 512, 512, 10], device), Rule::AdamW, None);
    Box::new(move || trainer.step(|net| cross_entropy(net.forward(x.clone()), y.clone(), None, 0.0)))
}

/// Embedded categories beside numbers, into a perceptron.
#[derive(Debug, Module)]
struct Table {
    categories: Vec<Param<Tensor<2>>>,
    mlp: Mlp,
}

/// The shape of the adult data: 6 numbers and 8 categories, two classes, a batch of 256.
pub fn table(device: &Device) -> Step {
    let sizes = [9, 16, 7, 15, 6, 5, 2, 42];
    let width = |size: usize| size.div_ceil(2).min(16);
    let categories: Vec<_> =
        sizes.iter().map(|&size| Embedding::new(size + 1, width(size), device).weight).collect();
    let features = 6 + sizes.iter().map(|&size| width(size)).sum::<usize>();
    let numbers = Tensor::<2>::random([256, 6], Distribution::Default, device);
    let codes: Vec<_> = sizes.iter().map(|&size| indices([256], size, device)).collect();
    let y = indices([256], 2, device);
    let network = Table { categories, mlp: Mlp::new(&[features, 128, 128, 2], device) };
    let mut trainer = Trainer::new(network, Rule::AdamW, Some(1.0));
    Box::new(move || {
        trainer.step(|net| {
            let features = embeddings(Some(numbers.clone()), &net.categories, &codes);
            cross_entropy(net.mlp.forward(features), y.clone(), None, 0.0)
        })
    })
}

/// A straight line through 80 points, by gradient descent on the mean squared error.
pub fn line(device: &Device) -> Step {
    let x = Tensor::<2>::random([80, 1], Distribution::Default, device);
    let y = x.clone() * 3.0 + 2.0;
    let rule = Rule::Sgd { learning_rate: 0.01, momentum: 0.0 };
    let mut trainer = Trainer::new(Linear::new(1, 1, true, device), rule, None);
    Box::new(move || {
        trainer.step(|net| pointwise_loss(Pointwise::Squared, net.forward(x.clone()), y.clone(), None))
    })
}
