//! A linear map with bias and activation: `y = act(x W + b)`.
//!
//! Shapes: `x [rows, inputs]`, `W [inputs, outputs]`, `b [outputs]`, `y [rows, outputs]`, all row-major.

mod activation;

pub use activation::Activation;

use crate::{
    buf::uninit,
    gemm::{Matrix, matmul, matmul_then},
    isa::kernel,
    par::{self, Cut, Rows},
};
use activation::{FromInput, FromOutput, Function};

/// What [`forward_saving`] returns: the output, and what the backward pass needs beside it.
#[derive(Debug)]
pub struct Forward {
    /// `y [rows, outputs]`.
    pub output: Vec<f32>,
    /// The activation's derivative, where it can't be had from the output: the forward pass has half of it at hand.
    pub derivative: Option<Vec<f32>>,
}

/// Returns `act(x W + b)`.
pub fn forward(x: &[f32], w: &[f32], b: Option<&[f32]>, outputs: usize, activation: Activation) -> Vec<f32> {
    let mut y = uninit(rows(x, w, outputs) * outputs);
    product_then(x, w, outputs, &mut y, &mut [], |_, y, _| {
        add_bias(y, b, outputs);
        activation.apply(y);
    });
    y
}

/// Returns `x W + b + residual`, with `residual [rows, outputs]`: a layer with a path round it.
pub fn forward_adding(x: &[f32], w: &[f32], b: Option<&[f32]>, residual: &[f32], outputs: usize) -> Vec<f32> {
    let len = rows(x, w, outputs) * outputs;
    assert_eq!(residual.len(), len, "what is added has another size than the output");
    let mut y = uninit(len);
    product_then(x, w, outputs, &mut y, &mut [], |first, y, _| {
        add_bias(y, b, outputs);
        add_rows(y, &residual[first * outputs..][..y.len()]);
    });
    y
}

/// Returns `act(x W + b)` and what the backward pass needs.
pub fn forward_saving(
    x: &[f32],
    w: &[f32],
    b: Option<&[f32]>,
    outputs: usize,
    activation: Activation,
) -> Forward {
    if !activation.needs_input() {
        return Forward { output: forward(x, w, b, outputs, activation), derivative: None };
    }
    let len = rows(x, w, outputs) * outputs;
    let (mut derivative, mut output) = (uninit(len), uninit(len));
    product_then(x, w, outputs, &mut derivative, &mut output, |_, x, y| {
        add_bias(x, b, outputs);
        activation.apply_keeping_derivative(x, y);
    });
    Forward { output, derivative: Some(derivative) }
}

/// Turns the gradient of `y` into that of `x W + b`, in place, and returns the gradient of the bias.
///
/// `saved` is [`Forward::derivative`] where there is one and otherwise the output; the identity ignores it.
pub fn activation_backward(
    dy: &mut [f32],
    saved: &[f32],
    outputs: usize,
    activation: Activation,
) -> Vec<f32> {
    if activation == Activation::Identity {
        return bias_gradient(dy, outputs);
    }
    assert_eq!(dy.len(), saved.len(), "gradient and saved values differ in size");
    let rows = par::whole_rows(dy.len(), outputs);
    let cut = Cut::with_partials(rows, outputs * activation.cost());
    let partials = par::run(Rows::new(dy, outputs), cut, |range, dy| {
        let saved = &saved[range.start * outputs..range.end * outputs];
        activation.multiply_by_gradient(dy.data, saved);
        let mut sums = vec![0.0; outputs];
        add_rows(&mut sums, dy.data);
        sums
    });
    par::add_partials(partials, outputs)
}

/// Applies an activation in place, where no product comes before it.
pub fn activate(x: &mut [f32], activation: Activation) {
    let cut = Cut::new(x.len(), activation.cost());
    par::run(Rows::new(x, 1), cut, |_, x| activation.apply(x.data));
}

/// Turns the gradient of an activation's output into that of its input, in place.
///
/// # Panics
/// If the sizes differ, or if the derivative can't be had from the output.
pub fn activate_backward(dy: &mut [f32], output: &[f32], activation: Activation) {
    assert!(!activation.needs_input(), "this derivative does not come from the output");
    assert_eq!(dy.len(), output.len(), "gradient and output differ in size");
    par::run(Rows::new(dy, 1), Cut::new(output.len(), activation.cost()), |range, dy| {
        activation.multiply_by_gradient(dy.data, &output[range]);
    });
}

/// Returns the gradient of the bias: the sum of the rows of `dy`, which is that of `x W + b`.
pub fn bias_gradient(dy: &[f32], outputs: usize) -> Vec<f32> {
    let rows = par::whole_rows(dy.len(), outputs);
    let partials = par::run((), Cut::with_partials(rows, outputs), |range, ()| {
        let mut sums = vec![0.0; outputs];
        add_rows(&mut sums, &dy[range.start * outputs..range.end * outputs]);
        sums
    });
    par::add_partials(partials, outputs)
}

/// Returns the gradient of the weight, `xᵀ dy`, with `dy` that of `x W + b`.
pub fn weight_gradient(x: &[f32], dy: &[f32], inputs: usize, outputs: usize) -> Vec<f32> {
    // From whichever has any width.
    let [rows, others] = [(x, inputs), (dy, outputs)].map(|(of, width)| par::whole_rows(of.len(), width));
    let rows = if inputs == 0 { others } else { rows };
    assert!(outputs == 0 || rows == others, "input and gradient differ in rows");
    let mut dw = uninit(inputs * outputs);
    matmul(Matrix::new(x, rows, inputs).transposed(), Matrix::new(dy, rows, outputs), &mut dw);
    dw
}

/// Returns the gradient of the input, `dy Wᵀ`, with `dy` that of `x W + b`.
pub fn input_gradient(dy: &[f32], w: &[f32], inputs: usize, outputs: usize) -> Vec<f32> {
    let rows = par::whole_rows(dy.len(), outputs);
    let mut dx = uninit(rows * inputs);
    matmul(Matrix::new(dy, rows, outputs), Matrix::new(w, inputs, outputs).transposed(), &mut dx);
    dx
}

/// Number of rows of `x [rows, inputs]`, given `W [inputs, outputs]`.
fn rows(x: &[f32], w: &[f32], outputs: usize) -> usize {
    match par::whole_rows(w.len(), outputs) {
        // Nothing tells the width, and there is nothing to compute.
        0 => 0,
        inputs => par::whole_rows(x.len(), inputs),
    }
}

/// Writes `x W` to `y` and calls `then` with the number of a row and whole rows of it and of `beside` once they are complete.
fn product_then(
    x: &[f32],
    w: &[f32],
    outputs: usize,
    y: &mut [f32],
    beside: &mut [f32],
    then: impl Fn(usize, &mut [f32], &mut [f32]) + Sync,
) {
    let (rows, inputs) = (rows(x, w, outputs), w.len().checked_div(outputs).unwrap_or(0));
    matmul_then(Matrix::new(x, rows, inputs), Matrix::new(w, inputs, outputs), y, beside, then);
}

fn add_bias(y: &mut [f32], b: Option<&[f32]>, outputs: usize) {
    if let Some(b) = b {
        assert_eq!(b.len(), outputs, "the bias has another size than the output");
        add_to_rows(y, b);
    }
}

kernel! {
    /// Adds `b` to each row of `y`.
    pub(crate) fn add_to_rows<A>(y: &mut [f32], b: &[f32]) {
        for row in y.chunks_exact_mut(b.len().max(1)) {
            for (y, b) in row.iter_mut().zip(b) {
                *y += b;
            }
        }
    }
}

kernel! {
    /// Adds each row of `x` to `sums`.
    pub(crate) fn add_rows<A>(sums: &mut [f32], x: &[f32]) {
        for row in x.chunks_exact(sums.len().max(1)) {
            for (s, x) in sums.iter_mut().zip(row) {
                *s += x;
            }
        }
    }
}

kernel! {
    /// Applies `f` to each value.
    fn map<A>(x: &mut [f32], f: impl Function) {
        for v in x {
            *v = f.value::<A>(*v);
        }
    }
}

kernel! {
    /// Writes `f` of each value to `y` and puts the derivative in its place.
    fn map_with_derivative<A>(x: &mut [f32], y: &mut [f32], f: impl FromInput) {
        for (x, y) in x.iter_mut().zip(y) {
            (*y, *x) = f.both::<A>(*x);
        }
    }
}

kernel! {
    /// Multiplies value by value.
    fn multiply<A>(x: &mut [f32], factors: &[f32]) {
        for (x, factor) in x.iter_mut().zip(factors) {
            *x *= factor;
        }
    }
}

kernel! {
    /// Multiplies each gradient by the derivative of `f` where it is `y`.
    fn multiply_by_derivative<A>(dy: &mut [f32], y: &[f32], f: impl FromOutput) {
        for (d, y) in dy.iter_mut().zip(y) {
            *d *= f.derivative::<A>(*y);
        }
    }
}

#[cfg(test)]
mod tests;
