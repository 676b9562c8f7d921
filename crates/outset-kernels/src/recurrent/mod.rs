//! Recurrent layers over whole sequences.
//!
//! `x [batch, time, inputs]`, `w_input [inputs, gates * hidden]`, `w_hidden [hidden, gates * hidden]`. The products with
//! the input are one matrix product for all steps; only those with the state go step by step. A task owns some
//! sequences for all their steps, so that no step waits for another task.

pub mod gru;
pub mod lstm;
#[cfg(test)]
mod tests;

use crate::{
    buf::uninit,
    gemm::{Matrix, Output, Packed, matmul},
    linear::{self, Activation},
    par::Cut,
};

/// Sequences of a task.
const TASK_SEQUENCES: usize = 8;

/// Sizes of a recurrent layer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sizes {
    /// Number of sequences.
    pub batch: usize,
    /// Steps of each sequence.
    pub time: usize,
    /// Width of an input.
    pub inputs: usize,
    /// Width of the state.
    pub hidden: usize,
}

impl Sizes {
    fn check(self, x: &[f32], w_input: &[f32], w_hidden: &[f32], gates: usize) {
        assert_eq!(x.len(), self.batch * self.time * self.inputs, "the input has another size");
        assert_eq!(w_input.len(), self.inputs * gates * self.hidden, "the input's weight has another size");
        assert_eq!(w_hidden.len(), self.hidden * gates * self.hidden, "the state's weight has another size");
    }

    /// Cuts the sequences into tasks.
    fn cut(self, gates: usize) -> Cut {
        let cost = self.batch * self.time * self.hidden * self.hidden * gates;
        Cut::tasks(self.batch, cost).at_most(self.batch.div_ceil(TASK_SEQUENCES))
    }
}

/// Weights of a recurrent layer.
#[derive(Clone, Copy, Debug)]
pub struct Weights<'a> {
    /// `[inputs, gates * hidden]`.
    pub input: &'a [f32],
    /// `[hidden, gates * hidden]`.
    pub hidden: &'a [f32],
}

/// Gradients that every recurrent layer has.
#[derive(Debug)]
pub struct Gradients {
    /// Of the input, `[batch, time, inputs]`.
    pub dx: Vec<f32>,
    /// Of the input's weight.
    pub dw_input: Vec<f32>,
    /// Of the state's weight.
    pub dw_hidden: Vec<f32>,
    /// Of the input's bias, `[gates * hidden]`.
    pub db: Vec<f32>,
    /// Of the state before the first step, `[batch, hidden]`; of an LSTM's cell as well.
    pub dstart: Vec<Vec<f32>>,
}

/// Returns `x w_input + b` for every step, `[batch, time, gates * hidden]`.
fn input_products(x: &[f32], w_input: &[f32], b: &[f32]) -> Vec<f32> {
    linear::forward(x, w_input, Some(b), b.len(), Activation::Identity)
}

/// Checks the states before the first step.
fn check_start(states: &[&[f32]], sizes: Sizes) {
    let fits = states.iter().all(|state| state.len() == sizes.batch * sizes.hidden);
    assert!(fits, "the state before the first step has another size");
}

/// Returns the state before each step: the given one or zeros, then the output of the step before.
fn states_before(h: &[f32], start: Option<&[f32]>, sizes: Sizes) -> Vec<f32> {
    let row = sizes.time * sizes.hidden;
    let mut before = uninit(h.len());
    let rows = before.chunks_exact_mut(row.max(1)).zip(h.chunks_exact(row.max(1)));
    for (sequence, (before, h)) in rows.enumerate() {
        let first = sizes.hidden.min(row);
        match start {
            Some(start) => before[..first].copy_from_slice(&start[sequence * sizes.hidden..][..first]),
            None => before[..first].fill(0.0),
        }
        before[first..].copy_from_slice(&h[..row - first]);
    }
    before
}

/// Turns the gradients before the activations into those of input, weights and bias.
///
/// `h` are the states after each step, and before the first where that isn't zeros; `d_state` the gradients of the products
/// with the state, where they differ from those with the input.
fn finish(
    x: &[f32],
    (h, start): (&[f32], Option<&[f32]>),
    w: Weights,
    d: &[f32],
    d_state: Option<&[f32]>,
    gates: usize,
    sizes: Sizes,
) -> Gradients {
    let width = gates * sizes.hidden;
    let before = states_before(h, start, sizes);
    let rows = sizes.batch * sizes.time;
    let mut dw_hidden = uninit(sizes.hidden * width);
    let d_state = Matrix::new(d_state.unwrap_or(d), rows, width);
    matmul(Matrix::new(&before, rows, sizes.hidden).transposed(), d_state, &mut dw_hidden);
    Gradients {
        dx: linear::input_gradient(d, w.input, sizes.inputs, width),
        dw_input: linear::weight_gradient(x, d, sizes.inputs, width),
        dw_hidden,
        db: linear::bias_gradient(d, width),
        dstart: Vec::new(),
    }
}

/// Rows of sequences at one step inside `[sequences, time, width]`.
fn at_step(values: &[f32], sequences: usize, step: usize, time: usize, width: usize) -> Matrix<'_> {
    Matrix::strided(&values[step * width..], sequences, width, time * width)
}

/// Adds `a b` to the rows of one step inside `[sequences, time, width]`.
fn add_at_step(a: Matrix, b: &Packed, values: &mut [f32], step: usize, time: usize, width: usize) {
    b.multiply(a, Output::strided(&mut values[step * width..], time * width).adding());
}
