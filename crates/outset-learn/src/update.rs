//! One optimizer update of a whole network: global-norm clipping, the optimizer's rule, the moving average.

use crate::network::Network;
use crate::optimizers::{Optimizer, folded};
use crate::weights;
use burn::module::{Module as _, ModuleMapper, ModuleVisitor, Param, ParamId};
use burn::tensor::{Device, Gradients, Tensor, TensorData};
use outset_ops::optim;
use std::collections::{BTreeMap, HashMap};

/// Gradients of a network's parameters, added up over the passes of a step.
#[derive(Default)]
pub struct GradientSum(HashMap<ParamId, Tensor<1>>);

impl GradientSum {
    /// Adds the gradients of one pass.
    pub fn add(&mut self, gradients: Gradients, network: &Network) {
        struct Add<'a>(&'a mut HashMap<ParamId, Tensor<1>>, Gradients);
        impl ModuleVisitor for Add<'_> {
            fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
                if let Some(gradient) = param.val().grad_remove(&mut self.1) {
                    let size = gradient.shape().num_elements();
                    let gradient = gradient.reshape([size]);
                    let sum = match self.0.remove(&param.id) {
                        Some(sum) => sum + gradient,
                        None => gradient,
                    };
                    self.0.insert(param.id, sum);
                }
            }
        }
        network.visit(&mut Add(&mut self.0, gradients));
    }

    /// Length of all gradients together.
    fn norm(&self) -> f64 {
        let squares = self.0.values().map(|gradient| optim::sum_of_squares(gradient.clone()));
        // Summed in a fixed order, so that equal runs stay equal.
        let mut squares: Vec<f64> = squares.collect();
        squares.sort_by(f64::total_cmp);
        squares.iter().sum::<f64>().sqrt()
    }
}

/// The optimizer's memory of each parameter, in the shape of the [`folded`] parameter.
#[derive(Default)]
pub struct State(HashMap<ParamId, Vec<Tensor<2>>>);

impl State {
    /// The memory as named tensors: `<parameter>.<index>`.
    pub fn to_tensors(&self, network: &Network) -> Vec<(String, TensorData)> {
        let of = |(name, id): (String, ParamId)| {
            let state = self.0.get(&id).map_or(&[][..], Vec::as_slice);
            let named = |(index, tensor): (usize, &Tensor<2>)| {
                let size = tensor.shape().num_elements();
                (format!("{name}.{index}"), tensor.clone().reshape([size]).into_data())
            };
            state.iter().enumerate().map(named).collect::<Vec<_>>()
        };
        weights::names(network).into_iter().flat_map(of).collect()
    }

    /// Takes the memory of a network's parameters out of named tensors.
    pub fn from_tensors(network: &Network, mut tensors: BTreeMap<String, Vec<f32>>, device: &Device) -> Self {
        struct Shapes(HashMap<ParamId, [usize; 2]>);
        impl ModuleVisitor for Shapes {
            fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
                self.0.insert(param.id, folded(param.val().dims()));
            }
        }
        let mut shapes = Shapes(HashMap::new());
        network.visit(&mut shapes);
        let Shapes(shapes) = shapes;
        let mut state = HashMap::new();
        for (name, id) in weights::names(network) {
            let shape = shapes.get(&id).copied().unwrap_or([1, 0]);
            let found: Vec<Tensor<2>> = (0..)
                .map_while(|index| tensors.remove(&format!("{name}.{index}")))
                .map(|values| vector(values, device).reshape(shape))
                .collect();
            // A rule without memory, such as plain gradient descent, has an empty list for each parameter, as here.
            state.insert(id, found);
        }
        Self(state)
    }
}

/// A vector without gradients.
fn vector(values: Vec<f32>, device: &Device) -> Tensor<1> {
    let size = values.len();
    Tensor::from_data(TensorData::new(values, [size]), &device.clone().inner())
}

/// Updates every parameter by its gradient.
///
/// `clip_norm` is the length that the gradient of all parameters together is cut to, 0 for no limit; weight decay is
/// left off biases and other vectors.
pub fn update(
    network: Network,
    gradients: GradientSum,
    optimizer: &Optimizer,
    state: &mut State,
    learning_rate: f64,
    step: usize,
    clip_norm: f64,
) -> Network {
    let scale =
        if clip_norm > 0.0 { (clip_norm / gradients.norm().max(f64::MIN_POSITIVE)).min(1.0) } else { 1.0 };
    network.map(&mut Update { gradients, optimizer, state, learning_rate, step, scale })
}

struct Update<'a> {
    gradients: GradientSum,
    optimizer: &'a Optimizer,
    state: &'a mut State,
    learning_rate: f64,
    step: usize,
    scale: f64,
}

impl ModuleMapper for Update<'_> {
    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        let Some(gradient) = self.gradients.0.remove(&param.id) else { return param };
        let (id, weight, mapper) = param.consume();
        let state = self.state.0.remove(&id).unwrap_or_default();
        let (weight, state) = self.optimizer.step_scaled(
            weight.inner(),
            gradient,
            self.scale,
            state,
            self.learning_rate,
            self.step,
            D > 1,
        );
        self.state.0.insert(id, state);
        Param::from_mapped_value(id, Tensor::from_inner(weight).require_grad(), mapper)
    }
}

/// The exponential moving average of a network's weights.
#[derive(Default)]
pub struct MovingAverage(HashMap<ParamId, Tensor<1>>);

impl MovingAverage {
    /// The averages as named tensors.
    pub fn to_tensors(&self, network: &Network) -> Vec<(String, TensorData)> {
        let of =
            |(name, id): (String, ParamId)| self.0.get(&id).map(|tensor| (name, tensor.clone().into_data()));
        weights::names(network).into_iter().filter_map(of).collect()
    }

    /// Takes the averages of a network's parameters out of named tensors.
    pub fn from_tensors(network: &Network, mut tensors: BTreeMap<String, Vec<f32>>, device: &Device) -> Self {
        let of = |(name, id): (String, ParamId)| Some((id, vector(tensors.remove(&name)?, device)));
        Self(weights::names(network).into_iter().filter_map(of).collect())
    }

    /// Moves the average towards the network's weights: `average = decay · average + (1 - decay) · weight`; early on the
    /// decay is smaller, `(1 + step) / (10 + step)`, so that the first weights are soon forgotten.
    pub fn update(&mut self, network: &Network, decay: f64, step: usize) {
        struct Average<'a>(&'a mut HashMap<ParamId, Tensor<1>>, f64);
        impl ModuleVisitor for Average<'_> {
            fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
                let weight = param.val().inner();
                let size = weight.shape().num_elements();
                let weight = weight.reshape([size]);
                let average = match self.0.remove(&param.id) {
                    Some(average) => optim::ema_step(average, weight, self.1),
                    None => weight,
                };
                self.0.insert(param.id, average);
            }
        }
        let decay = decay.min((1.0 + step as f64) / (10.0 + step as f64));
        network.visit(&mut Average(&mut self.0, decay));
    }

    /// A network without gradients that holds the average where there is one, and the network's own weights elsewhere.
    pub fn applied_to(&self, network: &Network) -> Network {
        struct Apply<'a>(&'a HashMap<ParamId, Tensor<1>>);
        impl ModuleMapper for Apply<'_> {
            fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
                let average = self.0.get(&param.id).cloned();
                param.map(|weight| match average {
                    Some(average) => average.reshape(weight.dims()),
                    None => weight,
                })
            }
        }
        network.clone().valid().map(&mut Apply(&self.0))
    }
}
