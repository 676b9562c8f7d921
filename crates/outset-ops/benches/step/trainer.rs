//! What a trainer does in a step round the network: gradients by parameter, clipping by their norm, the optimizer.

use burn::module::{Module, ModuleMapper, ModuleVisitor, Param, ParamId};
use burn::tensor::{Gradients, Tensor};
use outset_ops::optim::{self, Adam, Sgd};
use std::collections::HashMap;

/// The optimizer of a row.
#[derive(Clone, Copy)]
pub enum Rule {
    AdamW,
    Sgd { learning_rate: f64, momentum: f64 },
}

/// A network in training.
pub struct Trainer<M> {
    network: Option<M>,
    rule: Rule,
    clip_norm: Option<f64>,
    state: HashMap<ParamId, Vec<Tensor<1>>>,
    step: u64,
}

impl<M: Module> Trainer<M> {
    pub fn new(network: M, rule: Rule, clip_norm: Option<f64>) -> Trainer<M> {
        Trainer { network: Some(network), rule, clip_norm, state: HashMap::new(), step: 0 }
    }

    /// Makes one step down the loss of the network and returns the loss.
    pub fn step(&mut self, loss: impl FnOnce(&M) -> Tensor<1>) -> f32 {
        let network = self.network.take().expect("the last step put it back");
        let loss = loss(&network);
        let value = loss.clone().inner().into_scalar::<f32>();
        let mut gradients = ByParameter { graph: loss.backward(), found: HashMap::new() };
        network.visit(&mut gradients);
        let mut gradients = gradients.found;
        let scale = self.clip_norm.map_or(1.0, |limit| {
            let squares: f64 = gradients.values().map(|g| optim::sum_of_squares(g.clone())).sum();
            (limit / (squares.sqrt() + 1e-6)).min(1.0)
        });
        self.step += 1;
        let update = Update {
            gradients: &mut gradients,
            state: &mut self.state,
            rule: self.rule,
            scale,
            step: self.step,
        };
        self.network = Some(network.map(&mut { update }));
        value
    }
}

struct ByParameter {
    graph: Gradients,
    found: HashMap<ParamId, Tensor<1>>,
}

impl ModuleVisitor for ByParameter {
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        if let Some(gradient) = param.val().grad_remove(&mut self.graph) {
            let count = gradient.shape().num_elements();
            self.found.insert(param.id, gradient.reshape([count]));
        }
    }
}

struct Update<'a> {
    gradients: &'a mut HashMap<ParamId, Tensor<1>>,
    state: &'a mut HashMap<ParamId, Vec<Tensor<1>>>,
    rule: Rule,
    scale: f64,
    step: u64,
}

impl ModuleMapper for Update<'_> {
    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        let Some(gradient) = self.gradients.remove(&param.id) else { return param };
        let (id, weight, mapper) = param.consume();
        let shape = weight.shape();
        let weight = weight.inner().reshape([shape.num_elements()]);
        let mut state = self.state.remove(&id).unwrap_or_default().into_iter();
        let (step, gradient_scale) = (self.step, self.scale);
        let (weight, state) = match self.rule {
            Rule::AdamW => {
                let m = state.next().unwrap_or_else(|| weight.zeros_like());
                let v = state.next().unwrap_or_else(|| weight.zeros_like());
                let settings = Adam { step, gradient_scale, ..Adam::default() };
                let (weight, m, v) = optim::adam_step(weight, gradient, m, v, &settings);
                (weight, vec![m, v])
            }
            Rule::Sgd { learning_rate, momentum } => {
                let settings = Sgd { learning_rate, momentum, step, gradient_scale, ..Sgd::default() };
                let (weight, velocity) = optim::sgd_step(weight, gradient, state.next(), &settings);
                (weight, velocity.into_iter().collect())
            }
        };
        self.state.insert(id, state);
        Param::from_mapped_value(id, Tensor::from_inner(weight.reshape(shape)).require_grad(), mapper)
    }
}
