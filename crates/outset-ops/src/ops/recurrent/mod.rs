//! Recurrent layers over whole sequences.

#[cfg(test)]
mod tests;

use crate::{
    flex::{self, contiguous, values, width},
    flops,
    track::{Differentiable, Tracked, track},
};
use burn::backend::{
    Autodiff, AutodiffBackend, Backend, Dispatch, Flex, backend_extension, tensor::FloatTensor,
};
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
        return composed_lstm(a, Tensor::from_dispatch(w_hidden), None).0;
    }
    let [x, w_input, w_hidden, b] = inputs;
    Tensor::from_dispatch(Dispatch::lstm_sequence(x, w_input, w_hidden, b))
}

/// State and cell of a long short-term memory between two steps, each `[batch, hidden]`.
#[derive(Clone, Debug)]
pub struct LstmState {
    /// The state, which is also the output.
    pub h: Tensor<2>,
    /// The cell.
    pub c: Tensor<2>,
}

/// Runs a long short-term memory as [`lstm`] does, from a given state, which gets gradients; returns the state after the last
/// step as well, untracked, to go on from.
///
/// # Panics
/// If the sizes don't fit or there is no step.
pub fn lstm_from(
    x: Tensor<3>,
    w_input: Tensor<2>,
    w_hidden: Tensor<2>,
    b: Tensor<1>,
    start: LstmState,
) -> (Tensor<3>, LstmState) {
    check(&x, &w_input, &w_hidden, &[&b], 4);
    count(&x, &w_hidden);
    let ([batch, time, _], [hidden, _]) = (x.dims(), w_hidden.dims());
    check_start(&[&start.h, &start.c], batch, hidden, time);
    let inputs = [x.into_dispatch(), w_input.into_dispatch(), w_hidden.into_dispatch(), b.into_dispatch()];
    let [h, c] = [start.h, start.c].map(Tensor::into_dispatch);
    let fused = flex::applies(&inputs.each_ref()) && flex::applies(&[&h, &c]);
    let [x, w_input, w_hidden, b] = inputs;
    let (y, c) = if fused {
        let (y, c) = Dispatch::lstm_sequence_from(x, w_input, w_hidden, b, h, c);
        (Tensor::from_dispatch(y), Tensor::from_dispatch(c))
    } else {
        let a = products(Tensor::from_dispatch(x), Tensor::from_dispatch(w_input), Tensor::from_dispatch(b));
        let start = [h, c].map(Tensor::from_dispatch);
        let (y, c) = composed_lstm(a, Tensor::from_dispatch(w_hidden), Some(start));
        (y, c.detach())
    };
    let h = last_step(&y);
    (y, LstmState { h, c })
}

/// The state after the last step, untracked.
fn last_step(y: &Tensor<3>) -> Tensor<2> {
    let last = y.dims()[1] - 1;
    y.clone().detach().narrow(1, last, 1).squeeze_dim(1)
}

fn check_start(states: &[&Tensor<2>], batch: usize, hidden: usize, time: usize) {
    let fits = states.iter().all(|state| state.dims() == [batch, hidden]);
    assert!(fits, "the state before the first step is not [batch, hidden]");
    assert!(time > 0, "there is no step to go on with");
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
        return composed_gru(a, Tensor::from_dispatch(w_hidden), Tensor::from_dispatch(b_hidden), None);
    }
    Tensor::from_dispatch(Dispatch::gru_sequence(x, w_input, w_hidden, b, b_hidden))
}

/// Runs a gated recurrent unit as [`gru`] does, from a given state `start [batch, hidden]`, which gets gradients; returns the
/// state after the last step as well, untracked, to go on from. `weights` are those of input and state, `biases` likewise.
///
/// # Panics
/// If the sizes don't fit or there is no step.
pub fn gru_from(
    x: Tensor<3>,
    weights: [Tensor<2>; 2],
    biases: [Tensor<1>; 2],
    start: Tensor<2>,
) -> (Tensor<3>, Tensor<2>) {
    let ([w_input, w_hidden], [b, b_hidden]) = (weights, biases);
    check(&x, &w_input, &w_hidden, &[&b, &b_hidden], 3);
    count(&x, &w_hidden);
    let ([batch, time, _], [hidden, _]) = (x.dims(), w_hidden.dims());
    check_start(&[&start], batch, hidden, time);
    let inputs = [x.into_dispatch(), w_input.into_dispatch(), w_hidden.into_dispatch()];
    let others = [b.into_dispatch(), b_hidden.into_dispatch(), start.into_dispatch()];
    let fused = flex::applies(&inputs.each_ref()) && flex::applies(&others.each_ref());
    let ([x, w_input, w_hidden], [b, b_hidden, start]) = (inputs, others);
    let y = if fused {
        Tensor::from_dispatch(Dispatch::gru_sequence_from(x, w_input, w_hidden, b, b_hidden, start))
    } else {
        let a = products(Tensor::from_dispatch(x), Tensor::from_dispatch(w_input), Tensor::from_dispatch(b));
        let (w_hidden, b_hidden) = (Tensor::from_dispatch(w_hidden), Tensor::from_dispatch(b_hidden));
        composed_gru(a, w_hidden, b_hidden, Some(Tensor::from_dispatch(start)))
    };
    let last = last_step(&y);
    (y, last)
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

/// Returns the state after every step, and the cell after the last.
fn composed_lstm(a: Tensor<3>, w_hidden: Tensor<2>, start: Option<[Tensor<2>; 2]>) -> (Tensor<3>, Tensor<2>) {
    let ([batch, time, _], [hidden, _]) = (a.dims(), w_hidden.dims());
    let [mut h, mut c] = start.unwrap_or_else(|| {
        let zeros = Tensor::zeros([batch, hidden], (&a.device(), a.dtype()));
        [zeros.clone(), zeros]
    });
    let mut outputs = Vec::with_capacity(time);
    for step in 0..time {
        let all = a.clone().narrow(1, step, 1).squeeze_dim(1) + h.matmul(w_hidden.clone());
        let kept = sigmoid(gate(&all, 1, hidden)) * c;
        c = kept + sigmoid(gate(&all, 0, hidden)) * gate(&all, 2, hidden).tanh();
        h = sigmoid(gate(&all, 3, hidden)) * c.clone().tanh();
        outputs.push(h.clone());
    }
    (Tensor::stack(outputs, 1), c)
}

fn composed_gru(
    a: Tensor<3>,
    w_hidden: Tensor<2>,
    b_hidden: Tensor<1>,
    start: Option<Tensor<2>>,
) -> Tensor<3> {
    let ([batch, time, _], [hidden, _]) = (a.dims(), w_hidden.dims());
    let mut h = start.unwrap_or_else(|| Tensor::<2>::zeros([batch, hidden], (&a.device(), a.dtype())));
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
    fn lstm_sequence_from(
        x: FloatTensor<Self>,
        w_input: FloatTensor<Self>,
        w_hidden: FloatTensor<Self>,
        b: FloatTensor<Self>,
        h: FloatTensor<Self>,
        c: FloatTensor<Self>,
    ) -> (FloatTensor<Self>, FloatTensor<Self>);
    fn gru_sequence_from(
        x: FloatTensor<Self>,
        w_input: FloatTensor<Self>,
        w_hidden: FloatTensor<Self>,
        b: FloatTensor<Self>,
        b_hidden: FloatTensor<Self>,
        h: FloatTensor<Self>,
    ) -> FloatTensor<Self>;
}

impl RecurrentOps for Flex {
    fn lstm_sequence(x: FlexTensor, w_input: FlexTensor, w_hidden: FlexTensor, b: FlexTensor) -> FlexTensor {
        lstm_forward([x, w_input, w_hidden, b], Vec::new()).0
    }

    fn gru_sequence(
        x: FlexTensor,
        w_input: FlexTensor,
        w_hidden: FlexTensor,
        b: FlexTensor,
        b_hidden: FlexTensor,
    ) -> FlexTensor {
        gru_forward([x, w_input, w_hidden, b, b_hidden], Vec::new()).0
    }

    fn lstm_sequence_from(
        x: FlexTensor,
        w_input: FlexTensor,
        w_hidden: FlexTensor,
        b: FlexTensor,
        h: FlexTensor,
        c: FlexTensor,
    ) -> (FlexTensor, FlexTensor) {
        let (y, saved) = lstm_forward([x, w_input, w_hidden, b], vec![h, c]);
        (y, saved.last_cell())
    }

    fn gru_sequence_from(
        x: FlexTensor,
        w_input: FlexTensor,
        w_hidden: FlexTensor,
        b: FlexTensor,
        b_hidden: FlexTensor,
        h: FlexTensor,
    ) -> FlexTensor {
        gru_forward([x, w_input, w_hidden, b, b_hidden], vec![h]).0
    }
}

impl<C: CheckpointStrategy> RecurrentOps for Autodiff<Flex, C> {
    fn lstm_sequence(x: Tracked, w_input: Tracked, w_hidden: Tracked, b: Tracked) -> Tracked {
        let run = |inputs| lstm_forward(inputs, Vec::new());
        track::<Lstm, C, 4>([x, w_input, w_hidden, b], |inputs| run(inputs).0, run)
    }

    fn gru_sequence(
        x: Tracked,
        w_input: Tracked,
        w_hidden: Tracked,
        b: Tracked,
        b_hidden: Tracked,
    ) -> Tracked {
        let run = |inputs| gru_forward(inputs, Vec::new());
        track::<Gru, C, 5>([x, w_input, w_hidden, b, b_hidden], |inputs| run(inputs).0, run)
    }

    fn lstm_sequence_from(
        x: Tracked,
        w_input: Tracked,
        w_hidden: Tracked,
        b: Tracked,
        h: Tracked,
        c: Tracked,
    ) -> (Tracked, Tracked) {
        let inputs = [x, w_input, w_hidden, b, h, c];
        let [x, w_input, w_hidden, b, h, c] = inputs.each_ref().map(|input| input.primitive().clone());
        let (y, saved) = lstm_forward([x, w_input, w_hidden, b], vec![h, c]);
        let cell = Self::from_inner(saved.last_cell());
        (track::<Lstm, C, 6>(inputs, |_| y.clone(), |_| (y.clone(), saved)), cell)
    }

    fn gru_sequence_from(
        x: Tracked,
        w_input: Tracked,
        w_hidden: Tracked,
        b: Tracked,
        b_hidden: Tracked,
        h: Tracked,
    ) -> Tracked {
        let run = |[x, w_input, w_hidden, b, b_hidden, h]: [FlexTensor; 6]| {
            gru_forward([x, w_input, w_hidden, b, b_hidden], vec![h])
        };
        track::<Gru, C, 6>([x, w_input, w_hidden, b, b_hidden, h], |inputs| run(inputs).0, run)
    }
}

/// Everything that a backward pass reads: input, both weights, the state before the first step where one was given, output,
/// gates, and the cells or candidates.
#[derive(Clone, Debug)]
struct Saved {
    inputs: [FlexTensor; 3],
    start: Vec<FlexTensor>,
    output: FlexTensor,
    gates: FlexTensor,
    inner: FlexTensor,
}

impl Saved {
    fn new(
        inputs: [FlexTensor; 3],
        start: Vec<FlexTensor>,
        output: Vec<f32>,
        gates: Vec<f32>,
        inner: Vec<f32>,
    ) -> (FlexTensor, Saved) {
        let sizes = sizes(&inputs);
        let [output, inner] =
            [output, inner].map(|v| flex::tensor(v, [sizes.batch, sizes.time, sizes.hidden]));
        let gates = flex::tensor(gates, [sizes.batch, sizes.time, width(&inputs[2])]);
        (output.clone(), Saved { inputs, start, output, gates, inner })
    }

    /// The cell after the last step, `[batch, hidden]`.
    fn last_cell(&self) -> FlexTensor {
        let Sizes { batch, time, hidden, .. } = sizes(&self.inputs);
        let row = (time * hidden).max(1);
        let last: Vec<f32> = values(&self.inner)
            .chunks_exact(row)
            .flat_map(|cells| cells[row - hidden..].iter().copied())
            .collect();
        flex::tensor(last, [batch, hidden])
    }

    /// Wraps the gradients of input, weights and bias, and those of the given state.
    fn wrap(
        &self,
        got: outset_kernels::recurrent::Gradients,
    ) -> ([Option<FlexTensor>; 4], Vec<Option<FlexTensor>>) {
        let [x, w_input, w_hidden] = self.inputs.each_ref().map(flex::shape);
        let b = [got.db.len()].into();
        let start = got.dstart.into_iter().zip(&self.start);
        let start = start.map(|(gradient, state)| Some(flex::tensor(gradient, flex::shape(state)))).collect();
        let others = [(got.dx, x), (got.dw_input, w_input), (got.dw_hidden, w_hidden), (got.db, b)]
            .map(|(gradient, shape)| Some(flex::tensor(gradient, shape)));
        (others, start)
    }
}

fn sizes([x, _, w_hidden]: &[FlexTensor; 3]) -> Sizes {
    let shape = x.layout().shape();
    Sizes { batch: shape[0], time: shape[1], inputs: shape[2], hidden: flex::shape(w_hidden)[0] }
}

fn weights([_, input, hidden]: &[FlexTensor; 3]) -> Weights<'_> {
    Weights { input: values(input), hidden: values(hidden) }
}

/// `start` holds the state and the cell, or nothing.
fn lstm_forward(inputs: [FlexTensor; 4], start: Vec<FlexTensor>) -> (FlexTensor, Saved) {
    let [x, w_input, w_hidden, b] = inputs.map(contiguous);
    let (inputs, start): (_, Vec<_>) = ([x, w_input, w_hidden], start.into_iter().map(contiguous).collect());
    let (x, b) = (values(&inputs[0]), values(&b));
    let got = lstm_kernel::forward(x, weights(&inputs), b, lstm_start(&start), sizes(&inputs));
    Saved::new(inputs, start, got.output, got.gates, got.cells)
}

fn lstm_start(start: &[FlexTensor]) -> Option<lstm_kernel::Start<'_>> {
    let [h, c] = start else { return None };
    Some(lstm_kernel::Start { h: values(h), c: values(c) })
}

/// `start` holds the state, or nothing.
fn gru_forward(inputs: [FlexTensor; 5], start: Vec<FlexTensor>) -> (FlexTensor, Saved) {
    let [x, w_input, w_hidden, b, b_hidden] = inputs.map(contiguous);
    let (inputs, start): (_, Vec<_>) = ([x, w_input, w_hidden], start.into_iter().map(contiguous).collect());
    let (x, b, b_hidden) = (values(&inputs[0]), values(&b), values(&b_hidden));
    let from = start.first().map(values);
    let got = gru_kernel::forward(x, weights(&inputs), b, b_hidden, from, sizes(&inputs));
    Saved::new(inputs, start, got.output, got.gates, got.candidates)
}

struct Lstm;

/// The gradients of input, weights and bias, and those of the given state.
fn lstm_gradients(saved: &Saved, dy: FlexTensor) -> ([Option<FlexTensor>; 4], Vec<Option<FlexTensor>>) {
    let (dy, inputs) = (contiguous(dy), &saved.inputs);
    let (output, gates, cells) = (values(&saved.output), values(&saved.gates), values(&saved.inner));
    let states = lstm_kernel::Saved { output, gates, cells, start: lstm_start(&saved.start) };
    let got = lstm_kernel::backward(values(&inputs[0]), weights(inputs), states, values(&dy), sizes(inputs));
    saved.wrap(got)
}

impl Differentiable<4> for Lstm {
    type Saved = Saved;

    fn gradients(saved: Saved, dy: FlexTensor, _needed: [bool; 4]) -> [Option<FlexTensor>; 4] {
        lstm_gradients(&saved, dy).0
    }
}

impl Differentiable<6> for Lstm {
    type Saved = Saved;

    fn gradients(saved: Saved, dy: FlexTensor, _needed: [bool; 6]) -> [Option<FlexTensor>; 6] {
        let ([dx, dw_input, dw_hidden, db], start) = lstm_gradients(&saved, dy);
        let mut start = start.into_iter().flatten();
        [dx, dw_input, dw_hidden, db, start.next(), start.next()]
    }
}

struct Gru;

/// The gradients of input, weights and biases, and that of the given state.
fn gru_gradients(saved: &Saved, dy: FlexTensor) -> ([Option<FlexTensor>; 5], Vec<Option<FlexTensor>>) {
    let (dy, inputs) = (contiguous(dy), &saved.inputs);
    let (output, gates, candidates) = (values(&saved.output), values(&saved.gates), values(&saved.inner));
    let states = gru_kernel::Saved { output, gates, candidates, start: saved.start.first().map(values) };
    let (got, db_hidden) =
        gru_kernel::backward(values(&inputs[0]), weights(inputs), states, values(&dy), sizes(inputs));
    let size = [db_hidden.len()];
    let ([dx, dw_input, dw_hidden, db], start) = saved.wrap(got);
    ([dx, dw_input, dw_hidden, db, Some(flex::tensor(db_hidden, size))], start)
}

impl Differentiable<5> for Gru {
    type Saved = Saved;

    fn gradients(saved: Saved, dy: FlexTensor, _needed: [bool; 5]) -> [Option<FlexTensor>; 5] {
        gru_gradients(&saved, dy).0
    }
}

impl Differentiable<6> for Gru {
    type Saved = Saved;

    fn gradients(saved: Saved, dy: FlexTensor, _needed: [bool; 6]) -> [Option<FlexTensor>; 6] {
        let ([dx, dw_input, dw_hidden, db, db_hidden], start) = gru_gradients(&saved, dy);
        [dx, dw_input, dw_hidden, db, db_hidden, start.into_iter().flatten().next()]
    }
}
