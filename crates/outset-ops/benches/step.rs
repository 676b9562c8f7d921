//! Milliseconds of a training step, on these operations and on Burn's own, in turns.
//!
//! `cargo bench -p outset-ops --bench step [-- NAME...]`
#![allow(clippy::print_stdout)]

use burn::module::{Module, ModuleMapper, Param, ParamId};
use burn::nn::{self, loss::CrossEntropyLossConfig};
use burn::optim::{AdamWConfig, GradientsParams, SgdConfig};
use burn::tensor::{Device, Distribution, Int, Tensor};
use outset_ops::{Activation, Linear, cross_entropy, isa, optim};
use std::{collections::HashMap, time::Instant};

/// One step of training.
type Step = Box<dyn FnMut()>;

/// Runs `steps` steps of each variant in turns, `rounds` times, and prints medians and the best: on a machine
/// that others use too, only the best says much.
fn compare(name: &str, rounds: usize, steps: usize, variants: &mut [(&str, Step)]) {
    if std::env::args().skip(1).any(|a| !a.starts_with('-')) && !std::env::args().any(|a| a == name)
    {
        return;
    }
    let mut times = vec![vec![]; variants.len()];
    for round in 0..=rounds {
        for (variant, times) in variants.iter_mut().zip(&mut times) {
            let start = Instant::now();
            for _ in 0..steps {
                variant.1();
            }
            if round > 0 {
                times.push(start.elapsed().as_secs_f64() * 1e3 / steps as f64);
            }
        }
    }
    for (variant, times) in variants.iter().zip(&mut times) {
        times.sort_by(f64::total_cmp);
        println!(
            "{name:8} {:12} median {:9.4} ms, best {:9.4} ms",
            variant.0,
            times[times.len() / 2],
            times[0]
        );
    }
}

/// Applies AdamW to each parameter of a module, as a trainer does.
#[derive(Default)]
struct AdamW {
    moments: HashMap<ParamId, (Tensor<1>, Tensor<1>)>,
    step: u64,
    gradients: Option<GradientsParams>,
}

impl AdamW {
    fn update<M: Module>(&mut self, module: M, gradients: GradientsParams) -> M {
        self.gradients = Some(gradients);
        self.step += 1;
        module.map(self)
    }
}

impl ModuleMapper for AdamW {
    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        let (id, tensor, mapper) = param.consume();
        let gradient = self.gradients.as_mut().and_then(|g| g.remove::<D>(id));
        let tensor = match gradient {
            Some(gradient) => {
                let shape = tensor.shape();
                let count = shape.num_elements();
                let p = tensor.inner().reshape([count]);
                let (m, v) = self
                    .moments
                    .remove(&id)
                    .unwrap_or_else(|| (p.zeros_like(), p.zeros_like()));
                let settings = optim::Adam {
                    step: self.step,
                    ..optim::Adam::default()
                };
                let (p, m, v) = optim::adam_step(p, gradient.reshape([count]), m, v, &settings);
                self.moments.insert(id, (m, v));
                Tensor::from_inner(p.reshape(shape)).require_grad()
            }
            None => tensor,
        };
        Param::from_mapped_value(id, tensor, mapper)
    }
}

/// The straight line through 80 points, by plain gradient descent.
fn line(device: &Device) {
    let x = Tensor::<2>::random([80, 1], Distribution::Default, device);
    let y = x.clone() * 3.0 + 2.0;
    let mut ours = Linear::new(1, 1, true, device);
    let mut burns = nn::LinearConfig::new(1, 1).init(device);
    let mut descent = SgdConfig::new().init();
    let (x2, y2) = (x.clone(), y.clone());
    let our_step = move || {
        let loss = (ours.forward(x.clone()) - y.clone()).powi_scalar(2).mean();
        let mut gradients = loss.backward();
        for_each(
            &mut ours,
            &mut gradients,
            &optim::Sgd {
                learning_rate: 0.01,
                ..Default::default()
            },
        );
    };
    let burns_step = move || {
        let loss = (burns.forward(x2.clone()) - y2.clone())
            .powi_scalar(2)
            .mean();
        let gradients = GradientsParams::from_grads(loss.backward(), &burns);
        burns = descent.step(0.01, burns.clone(), gradients);
    };
    compare(
        "line",
        60,
        100,
        &mut [
            ("outset-ops", Box::new(our_step)),
            ("burn", Box::new(burns_step)),
        ],
    );
}

/// Descends along the gradients of a linear layer.
fn for_each(layer: &mut Linear, gradients: &mut burn::tensor::Gradients, settings: &optim::Sgd) {
    struct Descent<'a>(&'a mut burn::tensor::Gradients, &'a optim::Sgd);
    impl ModuleMapper for Descent<'_> {
        fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
            param.map(|tensor| match tensor.grad_remove(self.0) {
                Some(gradient) => {
                    Tensor::from_inner(optim::sgd_step(tensor.inner(), gradient, None, self.1).0)
                        .require_grad()
                }
                None => tensor,
            })
        }
    }
    *layer = layer.clone().map(&mut Descent(gradients, settings));
}

#[derive(Debug, Module)]
struct Mlp {
    layers: Vec<Linear>,
}

#[derive(Debug, Module)]
struct BurnMlp {
    layers: Vec<nn::Linear>,
}

/// 784-512-512-10 with ReLU, a batch of 128, AdamW.
fn mlp(device: &Device) {
    let sizes = [784, 512, 512, 10];
    let x = Tensor::<2>::random([128, 784], Distribution::Default, device);
    let y = Tensor::<1, Int>::random([128], Distribution::Uniform(0.0, 10.0), device);
    let layers = sizes
        .windows(2)
        .map(|w| Linear::new(w[0], w[1], true, device))
        .collect();
    let mut ours = Some(Mlp { layers });
    let layers = sizes
        .windows(2)
        .map(|w| nn::LinearConfig::new(w[0], w[1]).init(device))
        .collect();
    let mut burns = Some(BurnMlp { layers });
    let mut adamw = AdamW::default();
    let mut burns_adamw = AdamWConfig::new()
        .with_epsilon(1e-8)
        .with_weight_decay(0.01)
        .init();
    let (x2, y2, device) = (x.clone(), y.clone(), device.clone());
    let our_step = move || {
        let net = ours.take().expect("the last step put it back");
        let mut h = x.clone();
        for (i, layer) in net.layers.iter().enumerate() {
            h = layer.forward_with(
                h,
                if i < 2 {
                    Activation::Relu
                } else {
                    Activation::Identity
                },
            );
        }
        let gradients =
            GradientsParams::from_grads(cross_entropy(h, y.clone(), None, 0.0).backward(), &net);
        ours = Some(adamw.update(net, gradients));
    };
    let burns_step = move || {
        let net = burns.take().expect("the last step put it back");
        let mut h = x2.clone();
        for (i, layer) in net.layers.iter().enumerate() {
            h = layer.forward(h);
            if i < 2 {
                h = burn::tensor::activation::relu(h);
            }
        }
        let loss = CrossEntropyLossConfig::new()
            .init(&device)
            .forward(h, y2.clone());
        let gradients = GradientsParams::from_grads(loss.backward(), &net);
        burns = Some(burns_adamw.step(1e-3, net, gradients));
    };
    compare(
        "mlp",
        100,
        2,
        &mut [
            ("outset-ops", Box::new(our_step)),
            ("burn", Box::new(burns_step)),
        ],
    );
}

fn main() {
    let device = Device::flex().autodiff();
    device.seed(1);
    println!(
        "{} on {} threads",
        isa::level(),
        std::thread::available_parallelism().map_or(1, usize::from)
    );
    line(&device);
    mlp(&device);
}
