//! Gated recurrent unit (arXiv 1406.1078), with PyTorch's equations and order of gates.
//!
//! With `a = x w_input + b` and `s = h w_hidden + b_hidden`, each in three parts: `r = σ(a_r + s_r)`,
//! `z = σ(a_z + s_z)`, `n = tanh(a_n + r s_n)` and `h ← (1 - z) n + z h`, from zeros or a given state.

use super::{Gradients, Sizes, Weights, at_step, check_start, finish, input_products};
use crate::{
    buf::uninit,
    gemm::{Matrix, Output, Packed},
    isa::kernel,
    linear::{add_to_rows, bias_gradient},
    math::{sigmoid, tanh},
    par::{self, Rows},
};

const GATES: usize = 3;

/// What [`forward`] returns.
#[derive(Debug)]
pub struct Forward {
    /// The state after each step, `[batch, time, hidden]`.
    pub output: Vec<f32>,
    /// The gates `r z n` after their activations, `[batch, time, 3 * hidden]`.
    pub gates: Vec<f32>,
    /// `s_n`, `[batch, time, hidden]`.
    pub candidates: Vec<f32>,
}

impl Forward {
    /// Borrows everything for the backward pass of a run from zeros.
    pub fn saved(&self) -> Saved<'_> {
        Saved { output: &self.output, gates: &self.gates, candidates: &self.candidates, start: None }
    }
}

/// What [`backward`] reads of [`Forward`].
#[derive(Clone, Copy, Debug)]
pub struct Saved<'a> {
    /// [`Forward::output`].
    pub output: &'a [f32],
    /// [`Forward::gates`].
    pub gates: &'a [f32],
    /// [`Forward::candidates`].
    pub candidates: &'a [f32],
    /// The state before the first step, `[batch, hidden]`, if it wasn't zeros.
    pub start: Option<&'a [f32]>,
}

/// Runs the layer over every sequence, from zeros if no `start [batch, hidden]` is given; `b` and `b_hidden` are `[3 *
/// hidden]`.
pub fn forward(
    x: &[f32],
    w: Weights,
    b: &[f32],
    b_hidden: &[f32],
    start: Option<&[f32]>,
    sizes: Sizes,
) -> Forward {
    sizes.check(x, w.input, w.hidden, GATES);
    check_start(start.as_slice(), sizes);
    let Sizes { batch, time, hidden, .. } = sizes;
    let width = GATES * hidden;
    let mut gates = input_products(x, w.input, b);
    let (mut output, mut candidates) = (uninit(batch * time * hidden), uninit(batch * time * hidden));
    let w_hidden = Packed::new(Matrix::new(w.hidden, hidden, width));
    let rows = (
        Rows::new(&mut gates, time * width),
        Rows::new(&mut output, time * hidden),
        Rows::new(&mut candidates, time * hidden),
    );
    par::run(rows, sizes.cut(GATES), |range, (gates, h, candidates)| {
        let mut s = vec![0.0; range.len() * width];
        for step in 0..time {
            match (step, start) {
                (0, None) => s.fill(0.0),
                (0, Some(start)) => {
                    let state = Matrix::new(&start[range.start * hidden..], range.len(), hidden);
                    w_hidden.multiply(state, Output::strided(&mut s, width));
                }
                _ => {
                    let state = at_step(h.data, range.len(), step - 1, time, hidden);
                    w_hidden.multiply(state, Output::strided(&mut s, width));
                }
            }
            add_to_rows(&mut s, b_hidden);
            for sequence in 0..range.len() {
                let at = (sequence * time + step) * hidden;
                let (before, now) = h.data.split_at_mut(at);
                let before = match step {
                    0 => start.map(|start| &start[(range.start + sequence) * hidden..]),
                    _ => Some(&before[at - hidden..]),
                };
                let gates = &mut gates.data[GATES * at..][..width];
                let candidate = &mut candidates.data[at..][..hidden];
                advance(gates, &s[sequence * width..][..width], before, candidate, &mut now[..hidden]);
            }
        }
    });
    Forward { output, gates, candidates }
}

/// Returns the gradients, and that of `b_hidden`, given that of every output; that of the state before the first step if it
/// was given.
pub fn backward(x: &[f32], w: Weights, saved: Saved, dh: &[f32], sizes: Sizes) -> (Gradients, Vec<f32>) {
    let Sizes { batch, time, hidden, .. } = sizes;
    assert_eq!(dh.len(), batch * time * hidden, "the gradient has another size");
    let width = GATES * hidden;
    let (mut da, mut ds) = (uninit(batch * time * width), uninit(batch * time * width));
    let w_hidden = Packed::new(Matrix::new(w.hidden, hidden, width).transposed());
    let rows = (Rows::new(&mut da, time * width), Rows::new(&mut ds, time * width));
    let starts = par::run(rows, sizes.cut(GATES), |range, (da, ds)| {
        let mut dh_next = vec![0.0; range.len() * hidden];
        for step in (0..time).rev() {
            for (i, sequence) in range.clone().enumerate() {
                let at = (sequence * time + step) * hidden;
                let own = (i * time + step) * width;
                let before = match step {
                    0 => saved.start.map(|start| &start[sequence * hidden..][..hidden]),
                    _ => Some(&saved.output[at - hidden..at]),
                };
                let gates = &saved.gates[GATES * at..][..width];
                let dh_next = &mut dh_next[i * hidden..][..hidden];
                let gradients = (&mut da.data[own..][..width], &mut ds.data[own..][..width]);
                retreat(
                    gates,
                    &saved.candidates[at..][..hidden],
                    before,
                    &dh[at..][..hidden],
                    dh_next,
                    gradients,
                );
            }
            if step > 0 || saved.start.is_some() {
                let ds = at_step(ds.data, range.len(), step, time, width);
                w_hidden.multiply(ds, Output::strided(&mut dh_next, hidden).adding());
            }
        }
        dh_next
    });
    let mut gradients = finish(x, (saved.output, saved.start), w, &da, Some(&ds), GATES, sizes);
    if saved.start.is_some() {
        gradients.dstart = vec![starts.concat()];
    }
    (gradients, bias_gradient(&ds, width))
}

kernel! {
    /// One step of one sequence: activates the gates and computes the state.
    fn advance<A>(gates: &mut [f32], s: &[f32], before: Option<&[f32]>, candidate: &mut [f32], h: &mut [f32]) {
        let hidden = h.len();
        let (r, rest) = gates.split_at_mut(hidden);
        let (z, n) = rest.split_at_mut(hidden);
        let (n, candidate) = (&mut n[..hidden], &mut candidate[..hidden]);
        for j in 0..hidden {
            r[j] = sigmoid::<A>(r[j] + s[j]);
            z[j] = sigmoid::<A>(z[j] + s[hidden + j]);
            candidate[j] = s[2 * hidden + j];
            n[j] = tanh::<A>(A::mul_add(r[j], candidate[j], n[j]));
            h[j] = (1.0 - z[j]) * n[j];
        }
        if let Some(before) = before {
            for ((h, z), before) in h.iter_mut().zip(&*z).zip(before) {
                *h = A::mul_add(*z, *before, *h);
            }
        }
    }
}

kernel! {
    /// One step back of one sequence: from the gradient of the state to those of `a` and `s`.
    ///
    /// What reaches the state before directly, `z dh`, is left in `dh_next`.
    fn retreat<A>(
        gates: &[f32],
        candidate: &[f32],
        before: Option<&[f32]>,
        dh: &[f32],
        dh_next: &mut [f32],
        gradients: (&mut [f32], &mut [f32]),
    ) {
        let hidden = dh.len();
        let (r, z, n) = (&gates[..hidden], &gates[hidden..2 * hidden], &gates[2 * hidden..3 * hidden]);
        let (da, ds) = gradients;
        for j in 0..hidden {
            let dh = dh[j] + dh_next[j];
            let before = before.map_or(0.0, |before| before[j]);
            let dn = dh * (1.0 - z[j]) * (1.0 - n[j] * n[j]);
            let dr = dn * candidate[j] * r[j] * (1.0 - r[j]);
            let dz = dh * (before - n[j]) * z[j] * (1.0 - z[j]);
            da[j] = dr;
            da[hidden + j] = dz;
            da[2 * hidden + j] = dn;
            ds[j] = dr;
            ds[hidden + j] = dz;
            ds[2 * hidden + j] = dn * r[j];
            dh_next[j] = dh * z[j];
        }
    }
}
