//! Recurrent layers over whole sequences.

use crate::{
    flex::{self, contiguous, values, width},
    flops,
    track::{Differentiable, Tracked, track},
};
use burn::backend::{Autodiff, Backend, Dispatch, Flex, backend_extension, tensor::FloatTensor};
use burn::tensor::{Tensor, activation::sigmoid};
use burn_autodiff::checkpoint::strategy::CheckpointStrategy;
use burn_flex::FlexTensor;
use outset_kernels::recurrent::{Sizes, Weights, gru as gru_kernel, lstm as lstm_kernel};

/// Runs a long short-term memory over `x [batch, time, inputs]`, from a state of zeros: `[batch, time, hidden]`.
///
/// `w_input [inputs, 4 * hidden]`, `w_hidden [hidden, 4 * hidden]` and `b [4 * hidden]` hold the gates in PyTorch's
/// order: input, forget, cell, output.
///
/// # Panics
/// If the sizes don't fit.
pub fn lstm(x: Tensor<3>, w_input: Tensor<2>, w_hidden: Tensor<2>, b: Tensor<1>) -> Tensor<3> {
    check(&x, &w_input, &w_hidden, &[&b], 4);
    count(&x, &w_hidden);
    let inputs = [x.into_dispatch(), w_input.into_dispatch(), w_hidden.into_dispatch(), b.into_dispatch()];
    if !flex::applies(&inputs.each_ref()) {
        let [x, w_input, w_hidden, b] = inputs;
        let a = products(Tensor::from_dispatch(x), Tensor::from_dispatch(w_input), Tensor::from_dispatch(b));
        return composed_lstm(a, Tensor::from_dispatch(w_hidden));
    }
    let [x, w_input, w_hidden, b] = inputs;
    Tensor::from_dispatch(Dispatch::lstm_sequence(x, w_input, w_hidden, b))
}

/// Runs a gated recurrent unit over `x [batch, time, inputs]`, from a state of zeros: `[batch, time, hidden]`.
///
/// `w_input [inputs, 3 * hidden]`, `w_hidden [hidden, 3 * hidden]` and the biases `[3 * hidden]` hold the gates in
/// PyTorch's order: reset, update, new.
///
/// # Panics
/// If the sizes don't fit.
pub fn gru(
    x: Tensor<3>,
    w_input: Tensor<2>,
    w_hidden: Tensor<2>,
    b: Tensor<1>,
    b_hidden: Tensor<1>,
) -> Tensor<3> {
    check(&x, &w_input, &w_hidden, &[&b, &b_hidden], 3);
    count(&x, &w_hidden);
    let weights = [x.into_dispatch(), w_input.into_dispatch(), w_hidden.into_dispatch()];
    let (b, b_hidden) = (b.into_dispatch(), b_hidden.into_dispatch());
    let fused = flex::applies(&weights.each_ref()) && flex::applies(&[&b, &b_hidden]);
    let [x, w_input, w_hidden] = weights;
    if !fused {
        let a = products(Tensor::from_dispatch(x), Tensor::from_dispatch(w_input), Tensor::from_dispatch(b));
        return composed_gru(a, Tensor::from_dispatch(w_hidden), Tensor::from_dispatch(b_hidden));
    }
    Tensor::from_dispatch(Dispatch::gru_sequence(x, w_input, w_hidden, b, b_hidden))
}

fn check(x: &Tensor<3>, w_input: &Tensor<2>, w_hidden: &Tensor<2>, biases: &[&Tensor<1>], gates: usize) {
    let ([_, _, inputs], [hidden, width]) = (x.dims(), w_hidden.dims());
    assert_eq!(width, gates * hidden, "the state's weight is not [hidden, {gates} * hidden]");
    assert_eq!(w_input.dims(), [inputs, width], "the input's weight is not [inputs, {gates} * hidden]");
    assert!(biases.iter().all(|b| b.dims() == [width]), "a bias is not [{gates} * hidden]");
}

/// Counts the products of inputs and states with the weights of the gates.
fn count(x: &Tensor<3>, w_hidden: &Tensor<2>) {
    let ([batch, time, inputs], [hidden, width]) = (x.dims(), w_hidden.dims());
    flops::count_sizes([batch, time, inputs + hidden, width]);
}

/// Returns `x w + b` for every step.
fn products(x: Tensor<3>, w: Tensor<2>, b: Tensor<1>) -> Tensor<3> {
    x.matmul(w.unsqueeze()) + b.unsqueeze()
}

/// Returns the `i`-th of the gates in the columns.
fn gate(all: &Tensor<2>, i: usize, hidden: usize) -> Tensor<2> {
    all.clone().narrow(1, i * hidden, hidden)
}

fn composed_lstm(a: Tensor<3>, w_hidden: Tensor<2>) -> Tensor<3> {
    let ([batch, time, _], [hidden, _]) = (a.dims(), w_hidden.dims());
    let mut h = Tensor::zeros([batch, hidden], (&a.device(), a.dtype()));
    let mut c = h.clone();
    let mut outputs = Vec::with_capacity(time);
    for step in 0..time {
        let all = a.clone().narrow(1, step, 1).squeeze_dim(1) + h.matmul(w_hidden.clone());
        let kept = sigmoid(gate(&all, 1, hidden)) * c;
        c = kept + sigmoid(gate(&all, 0, hidden)) * gate(&all, 2, hidden).tanh();
        h = sigmoid(gate(&all, 3, hidden)) * c.clone().tanh();
        outputs.push(h.clone());
    }
    Tensor::stack(outputs, 1)
}

fn composed_gru(a: Tensor<3>, w_hidden: Tensor<2>, b_hidden: Tensor<1>) -> Tensor<3> {
    let ([batch, time, _], [hidden, _]) = (a.dims(), w_hidden.dims());
    let mut h = Tensor::<2>::zeros([batch, hidden], (&a.device(), a.dtype()));
    let mut outputs = Vec::with_capacity(time);
    for step in 0..time {
        let a: Tensor<2> = a.clone().narrow(1, step, 1).squeeze_dim(1);
        let s = h.clone().matmul(w_hidden.clone()) + b_hidden.clone().unsqueeze();
        let r = sigmoid(gate(&a, 0, hidden) + gate(&s, 0, hidden));
        let z = sigmoid(gate(&a, 1, hidden) + gate(&s, 1, hidden));
        let n = (gate(&a, 2, hidden) + r * gate(&s, 2, hidden)).tanh();
        h = n.clone() + z * (h - n);
        outputs.push(h.clone());
    }
    Tensor::stack(outputs, 1)
}

#[backend_extension(Flex, Autodiff)]
trait RecurrentOps: Backend {
    fn lstm_sequence(
        x: FloatTensor<Self>,
        w_input: FloatTensor<Self>,
        w_hidden: FloatTensor<Self>,
        b: FloatTensor<Self>,
    ) -> FloatTensor<Self>;
    fn gru_sequence(
        x: FloatTensor<Self>,
        w_input: FloatTensor<Self>,
        w_hidden: FloatTensor<Self>,
        b: FloatTensor<Self>,
        b_hidden: FloatTensor<Self>,
    ) -> FloatTensor<Self>;
}

impl RecurrentOps for Flex {
    fn lstm_sequence(x: FlexTensor, w_input: FlexTensor, w_hidden: FlexTensor, b: FlexTensor) -> FlexTensor {
        lstm_forward([x, w_input, w_hidden, b]).0
    }

    fn gru_sequence(
        x: FlexTensor,
        w_input: FlexTensor,
        w_hidden: FlexTensor,
        b: FlexTensor,
        b_hidden: FlexTensor,
    ) -> FlexTensor {
        gru_forward([x, w_input, w_hidden, b, b_hidden]).0
    }
}

impl<C: CheckpointStrategy> RecurrentOps for Autodiff<Flex, C> {
    fn lstm_sequence(x: Tracked, w_input: Tracked, w_hidden: Tracked, b: Tracked) -> Tracked {
        track::<Lstm, C, 4>([x, w_input, w_hidden, b], |inputs| lstm_forward(inputs).0, lstm_forward)
    }

    fn gru_sequence(
        x: Tracked,
        w_input: Tracked,
        w_hidden: Tracked,
        b: Tracked,
        b_hidden: Tracked,
    ) -> Tracked {
        track::<Gru, C, 5>([x, w_input, w_hidden, b, b_hidden], |inputs| gru_forward(inputs).0, gru_forward)
    }
}

/// Everything that a backward pass reads: input, both weights, output, gates, and the cells or candidates.
#[derive(Clone, Debug)]
struct Saved {
    inputs: [FlexTensor; 3],
    output: FlexTensor,
    gates: FlexTensor,
    inner: FlexTensor,
}

impl Saved {
    fn new(
        inputs: [FlexTensor; 3],
        output: Vec<f32>,
        gates: Vec<f32>,
        inner: Vec<f32>,
    ) -> (FlexTensor, Saved) {
        let sizes = sizes(&inputs);
        let [output, inner] =
            [output, inner].map(|v| flex::tensor(v, [sizes.batch, sizes.time, sizes.hidden]));
        let gates = flex::tensor(gates, [sizes.batch, sizes.time, width(&inputs[2])]);
        (output.clone(), Saved { inputs, output, gates, inner })
    }

    /// Wraps the gradients of input, weights and bias.
    fn wrap(&self, got: outset_kernels::recurrent::Gradients) -> [Option<FlexTensor>; 4] {
        let [x, w_input, w_hidden] = self.inputs.each_ref().map(flex::shape);
        let b = [got.db.len()].into();
        [(got.dx, x), (got.dw_input, w_input), (got.dw_hidden, w_hidden), (got.db, b)]
            .map(|(gradient, shape)| Some(flex::tensor(gradient, shape)))
    }
}

fn sizes([x, _, w_hidden]: &[FlexTensor; 3]) -> Sizes {
    let shape = x.layout().shape();
    Sizes { batch: shape[0], time: shape[1], inputs: shape[2], hidden: flex::shape(w_hidden)[0] }
}

fn weights([_, input, hidden]: &[FlexTensor; 3]) -> Weights<'_> {
    Weights { input: values(input), hidden: values(hidden) }
}

fn lstm_forward(inputs: [FlexTensor; 4]) -> (FlexTensor, Saved) {
    let [x, w_input, w_hidden, b] = inputs.map(contiguous);
    let inputs = [x, w_input, w_hidden];
    let got = lstm_kernel::forward(values(&inputs[0]), weights(&inputs), values(&b), sizes(&inputs));
    Saved::new(inputs, got.output, got.gates, got.cells)
}

fn gru_forward(inputs: [FlexTensor; 5]) -> (FlexTensor, Saved) {
    let [x, w_input, w_hidden, b, b_hidden] = inputs.map(contiguous);
    let inputs = [x, w_input, w_hidden];
    let (b, b_hidden) = (values(&b), values(&b_hidden));
    let got = gru_kernel::forward(values(&inputs[0]), weights(&inputs), b, b_hidden, sizes(&inputs));
    Saved::new(inputs, got.output, got.gates, got.candidates)
}

struct Lstm;

impl Differentiable<4> for Lstm {
    type Saved = Saved;

    fn gradients(saved: Saved, dy: FlexTensor, _needed: [bool; 4]) -> [Option<FlexTensor>; 4] {
        let (dy, inputs) = (contiguous(dy), &saved.inputs);
        let (output, gates, cells) = (values(&saved.output), values(&saved.gates), values(&saved.inner));
        let states = lstm_kernel::Saved { output, gates, cells };
        let got =
            lstm_kernel::backward(values(&inputs[0]), weights(inputs), states, values(&dy), sizes(inputs));
        saved.wrap(got)
    }
}

struct Gru;

impl Differentiable<5> for Gru {
    type Saved = Saved;

    fn gradients(saved: Saved, dy: FlexTensor, _needed: [bool; 5]) -> [Option<FlexTensor>; 5] {
        let (dy, inputs) = (contiguous(dy), &saved.inputs);
        let (output, gates, candidates) = (values(&saved.output), values(&saved.gates), values(&saved.inner));
        let states = gru_kernel::Saved { output, gates, candidates };
        let (got, db_hidden) =
            gru_kernel::backward(values(&inputs[0]), weights(inputs), states, values(&dy), sizes(inputs));
        let size = [db_hidden.len()];
        let [dx, dw_input, dw_hidden, db] = saved.wrap(got);
        [dx, dw_input, dw_hidden, db, Some(flex::tensor(db_hidden, size))]
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{check, input};

    #[test]
    fn lstm_agrees_with_the_composed_form_in_f64() {
        check([input([3, 4, 5], 1), input([5, 8], 2), input([2, 8], 3), input([8], 4)], |[x, w, u, b]| {
            lstm(x.get(), w.get(), u.get(), b.get())
        });
    }

    #[test]
    fn gru_agrees_with_the_composed_form_in_f64() {
        let leaves = [input([3, 4, 5], 1), input([5, 6], 2), input([2, 6], 3), input([6], 4), input([6], 5)];
        check(leaves, |[x, w, u, b, c]| gru(x.get(), w.get(), u.get(), b.get(), c.get()));
    }
}
