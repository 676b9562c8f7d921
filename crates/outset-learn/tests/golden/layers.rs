use crate::{cases, close_to_largest, numbers, shape, tensor, values};
use burn::module::Param;
use burn::tensor::{Device, Gradients, Tensor, TensorData};
use outset_ops::modules::{Attention, FeedForward, Linear};
use outset_ops::{AttentionMask, BatchNorm, Convolution, Window};
use serde_json::Value;
use std::cell::RefCell;

/// Reads the gradient of one of a layer's inputs.
type Read = Box<dyn Fn(&Gradients) -> Vec<f64>>;

/// A layer's inputs, weights among them, and what it has to make of them.
struct Case {
    value: Value,
    /// Of each input that was asked for.
    gradients: RefCell<Vec<(usize, Read)>>,
}

impl Case {
    fn new(value: Value) -> Self {
        Self { value, gradients: RefCell::default() }
    }

    /// An input as a leaf of the graph.
    fn input<const D: usize>(&self, index: usize) -> Tensor<D> {
        let value = &self.value["inputs"][index];
        let leaf = tensor::<D>(value, shape(value)).require_grad();
        let kept = leaf.clone();
        let read: Read = Box::new(move |gradients| crate::values(kept.grad(gradients).unwrap()));
        self.gradients.borrow_mut().push((index, read));
        leaf
    }

    fn number(&self, key: &str) -> usize {
        self.value[key].as_u64().unwrap() as usize
    }

    fn pair(&self, key: &str) -> [usize; 2] {
        [0, 1].map(|at| self.value[key][at].as_u64().unwrap() as usize)
    }

    fn linear(&self, weight: usize, bias: Option<usize>) -> Linear {
        let mut layer = Linear::new(1, 1, false, &Device::flex());
        layer.weight = Param::from_tensor(self.input(weight));
        layer.bias = bias.map(|bias| Param::from_tensor(self.input(bias)));
        layer
    }

    /// Compares output and gradients to 1e-4 of the largest value of each.
    fn check<const D: usize>(&self, output: Tensor<D>) {
        let close = |what: &str, found: &[f64], expected: &Value| {
            close_to_largest(&format!("{}: {what}", self.value["name"]), found, expected, 1e-4);
        };
        close("the output", &values(output.clone()), &self.value["output"]);
        let upstream = numbers(&self.value["upstream"]).iter().map(|value| *value as f32).collect();
        let upstream = Tensor::<D>::from_data(TensorData::new(upstream, output.dims()), &output.device());
        let gradients = (output * upstream).sum().backward();
        let read = self.gradients.borrow();
        assert_eq!(read.len(), self.value["inputs"].as_array().unwrap().len());
        for (index, read) in read.iter() {
            let what = format!("the gradient of input {index}");
            close(&what, &read(&gradients), &self.value["gradients"][*index]);
        }
    }
}

fn convolution(case: &Case) -> Convolution {
    Convolution {
        stride: case.pair("stride"),
        padding: case.pair("padding"),
        dilation: case.pair("dilation"),
        groups: case.number("groups"),
    }
}

fn window(case: &Case) -> Window {
    Window { kernel: case.pair("kernel"), stride: case.pair("stride"), padding: case.pair("padding") }
}

fn attention(case: &Case) -> Tensor<3> {
    let (heads, kv_heads) = (case.number("heads"), case.number("kv_heads"));
    let x = case.input::<3>(0);
    let mut layer = Attention::new(x.dims()[2], heads, kv_heads, true, &Device::flex());
    (layer.qkv, layer.output) = (case.linear(1, Some(2)), case.linear(3, Some(4)));
    let causal = case.value["causal"].as_bool().unwrap();
    layer.forward(x, if causal { AttentionMask::causal() } else { AttentionMask::default() })
}

#[test]
fn layers_are_pytorchs() {
    let mut checked = 0;
    for case in cases(include_str!("layers.json")).into_iter().map(Case::new) {
        match case.value["layer"].as_str().unwrap() {
            "convolution" => {
                let how = convolution(&case);
                case.check(outset_ops::conv2d(case.input(0), case.input(1), Some(case.input(2)), how));
            }
            "sequence" => {
                let (padding, dilation) = (case.number("padding"), case.number("dilation"));
                let how =
                    Convolution { padding: [0, padding], dilation: [1, dilation], ..Convolution::default() };
                case.check(outset_ops::conv1d(case.input(0), case.input(1), Some(case.input(2)), how));
            }
            "block" => {
                let mut norm = BatchNorm::new(3, &Device::flex().autodiff()).with_relu();
                norm.gamma = Param::from_tensor(case.input(2));
                norm.beta = Param::from_tensor(case.input(3));
                let how = Convolution { padding: [1, 1], ..Convolution::default() };
                case.check(norm.forward(outset_ops::conv2d(case.input(0), case.input(1), None, how)));
            }
            "batch_norm" => {
                let got = outset_ops::batch_norm_train::<4>(
                    case.input(0),
                    case.input(1),
                    case.input(2),
                    1e-5,
                    false,
                );
                case.check(got.output);
            }
            "layer_norm" => {
                case.check(outset_ops::layer_norm::<3>(case.input(0), case.input(1), case.input(2), 1e-5));
            }
            "group_norm" => {
                let groups = case.number("groups");
                let (x, gamma, beta) = (case.input(0), case.input(1), case.input(2));
                case.check(outset_ops::group_norm::<4>(x, groups, gamma, beta, 1e-5));
            }
            "rms_norm" => case.check(outset_ops::rms_norm::<3>(case.input(0), case.input(1), 1e-6)),
            "max_pool" => case.check(outset_ops::max_pool2d(case.input(0), window(&case))),
            "mean_pool" => case.check(outset_ops::avg_pool2d(case.input(0), window(&case))),
            "global_pool" => case.check(outset_ops::global_avg_pool2d(case.input(0))),
            "attention" => case.check(attention(&case)),
            "gelu" => {
                let layer =
                    FeedForward { gate: None, up: case.linear(1, Some(2)), down: case.linear(3, Some(4)) };
                case.check(layer.forward(case.input::<3>(0)));
            }
            "swiglu" => {
                let layer = FeedForward {
                    gate: Some(case.linear(1, None)),
                    up: case.linear(2, None),
                    down: case.linear(3, None),
                };
                case.check(layer.forward(case.input::<3>(0)));
            }
            layer => panic!("no layer `{layer}`"),
        }
        checked += 1;
    }
    assert_eq!(checked, 23);
}
