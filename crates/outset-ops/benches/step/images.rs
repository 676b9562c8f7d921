//! Networks for 32×32 pictures, 64 in a batch, 10 classes.

use crate::{
    Step, indices,
    trainer::{Rule, Trainer},
};
use burn::module::Module;
use burn::tensor::{Device, Distribution, Tensor, activation::relu};
use outset_ops::{BatchNorm, Conv2d, Convolution, Linear, cross_entropy, global_avg_pool2d};

/// A convolution without bias and its normalisation.
#[derive(Debug, Module)]
struct Unit {
    conv: Conv2d,
    norm: BatchNorm,
}

impl Unit {
    fn new(channels: [usize; 2], kernel: usize, stride: usize, and_relu: bool, device: &Device) -> Unit {
        let padding = [kernel / 2; 2];
        let how = Convolution { stride: [stride; 2], padding, ..Convolution::default() };
        let norm = BatchNorm::new(channels[1], device);
        Unit {
            conv: Conv2d::new(channels[0], channels[1], [kernel; 2], how, false, device),
            norm: if and_relu { norm.with_relu() } else { norm },
        }
    }

    fn forward(&self, x: Tensor<4>) -> Tensor<4> {
        self.norm.forward(self.conv.forward(x))
    }
}

/// Five convolutions.
#[derive(Debug, Module)]
struct Cnn {
    units: Vec<Unit>,
    head: Linear,
}

pub fn cnn(device: &Device) -> Step {
    let sizes = [([3, 32], 1), ([32, 64], 1), ([64, 64], 2), ([64, 128], 1), ([128, 128], 2)];
    let unit = |(channels, stride)| Unit::new(channels, 3, stride, true, device);
    let network =
        Cnn { units: sizes.into_iter().map(unit).collect(), head: Linear::new(128, 10, true, device) };
    train(network, Rule::Sgd { learning_rate: 0.01, momentum: 0.0 }, device, |network, x| {
        let x = network.units.iter().fold(x, |x, unit| unit.forward(x));
        network.head.forward(global_avg_pool2d(x))
    })
}

/// Two convolutions round which the input is added (arXiv 1512.03385).
#[derive(Debug, Module)]
struct Block {
    first: Unit,
    second: Unit,
    shortcut: Option<Unit>,
}

impl Block {
    fn forward(&self, x: Tensor<4>) -> Tensor<4> {
        let y = self.second.forward(self.first.forward(x.clone()));
        relu(y + self.shortcut.as_ref().map_or(x.clone(), |unit| unit.forward(x)))
    }
}

/// ResNet-18 with a first convolution for small pictures.
#[derive(Debug, Module)]
struct ResNet {
    stem: Unit,
    blocks: Vec<Block>,
    head: Linear,
}

pub fn resnet18(device: &Device) -> Step {
    let mut blocks = Vec::new();
    let mut channels = 64;
    for (outputs, stride) in [(64, 1), (64, 1), (128, 2), (128, 1), (256, 2), (256, 1), (512, 2), (512, 1)] {
        let differs = stride != 1 || channels != outputs;
        blocks.push(Block {
            first: Unit::new([channels, outputs], 3, stride, true, device),
            second: Unit::new([outputs, outputs], 3, 1, false, device),
            shortcut: differs.then(|| Unit::new([channels, outputs], 1, stride, false, device)),
        });
        channels = outputs;
    }
    let network = ResNet {
        stem: Unit::new([3, 64], 3, 1, true, device),
        blocks,
        head: Linear::new(512, 10, true, device),
    };
    train(network, Rule::Sgd { learning_rate: 0.01, momentum: 0.9 }, device, |network, x| {
        let x = network.blocks.iter().fold(network.stem.forward(x), |x, block| block.forward(x));
        network.head.forward(global_avg_pool2d(x))
    })
}

fn train<M: Module + 'static>(
    network: M,
    rule: Rule,
    device: &Device,
    forward: impl Fn(&M, Tensor<4>) -> Tensor<2> + 'static,
) -> Step {
    let x = Tensor::<4>::random([64, 3, 32, 32], Distribution::Default, device);
    let y = indices([64], 10, device);
    let mut trainer = Trainer::new(network, rule, None);
    Box::new(move || trainer.step(|network| cross_entropy(forward(network, x.clone()), y.clone(), None, 0.0)))
}
