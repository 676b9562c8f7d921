//! Long short-term memory (Hochreiter & Schmidhuber, 1997), with PyTorch's equations and order of gates.
//!
//! With `i f g o = x w_input + h w_hidden + b`: `c ← σ(f) c + σ(i) tanh(g)` and `h ← σ(o) tanh(c)`, from zeros
//! or a given state.

use super::{Gradients, Sizes, Weights, add_at_step, at_step, check_start, finish, input_products};
use crate::{
    buf::uninit,
    gemm::{Matrix, Output, Packed},
    isa::kernel,
    math::{sigmoid, tanh},
    par::{self, Rows},
};

const GATES: usize = 4;

/// What [`forward`] returns.
#[derive(Debug)]
pub struct Forward {
    /// The state after each step, `[batch, time, hidden]`.
    pub output: Vec<f32>,
    /// The gates after their activations, `[batch, time, 4 * hidden]`.
    pub gates: Vec<f32>,
    /// The cell after each step, `[batch, time, hidden]`.
    pub cells: Vec<f32>,
}

impl Forward {
    /// Borrows everything for the backward pass of a run from zeros.
    pub fn saved(&self) -> Saved<'_> {
        Saved { output: &self.output, gates: &self.gates, cells: &self.cells, start: None }
    }
}

/// State and cell before the first step, each `[batch, hidden]`.
#[derive(Clone, Copy, Debug)]
pub struct Start<'a> {
    /// The state.
    pub h: &'a [f32],
    /// The cell.
    pub c: &'a [f32],
}

/// What [`backward`] reads of [`Forward`].
#[derive(Clone, Copy, Debug)]
pub struct Saved<'a> {
    /// [`Forward::output`].
    pub output: &'a [f32],
    /// [`Forward::gates`].
    pub gates: &'a [f32],
    /// [`Forward::cells`].
    pub cells: &'a [f32],
    /// What the run started from, if not from zeros.
    pub start: Option<Start<'a>>,
}

/// Runs the layer over every sequence, from zeros if no `start` is given; `b` is `[4 * hidden]`.
pub fn forward(x: &[f32], w: Weights, b: &[f32], start: Option<Start>, sizes: Sizes) -> Forward {
    sizes.check(x, w.input, w.hidden, GATES);
    check_start(&start.map_or(vec![], |start| vec![start.h, start.c]), sizes);
    let Sizes { batch, time, hidden, .. } = sizes;
    let mut gates = input_products(x, w.input, b);
    let (mut output, mut cells) = (uninit(batch * time * hidden), uninit(batch * time * hidden));
    let w_hidden = Packed::new(Matrix::new(w.hidden, hidden, GATES * hidden));
    let rows = (
        Rows::new(&mut gates, time * GATES * hidden),
        Rows::new(&mut output, time * hidden),
        Rows::new(&mut cells, time * hidden),
    );
    par::run(rows, sizes.cut(GATES), |range, (gates, h, c)| {
        for step in 0..time {
            if step > 0 {
                let state = at_step(h.data, range.len(), step - 1, time, hidden);
                add_at_step(state, &w_hidden, gates.data, step, time, GATES * hidden);
            } else if let Some(start) = start {
                let state = Matrix::new(&start.h[range.start * hidden..], range.len(), hidden);
                add_at_step(state, &w_hidden, gates.data, 0, time, GATES * hidden);
            }
            for sequence in 0..range.len() {
                let at = (sequence * time + step) * hidden;
                let (before, now) = c.data.split_at_mut(at);
                let before = match step {
                    0 => start.map(|start| &start.c[(range.start + sequence) * hidden..]),
                    _ => Some(&before[at - hidden..]),
                };
                let gates = &mut gates.data[GATES * at..][..GATES * hidden];
                advance(gates, before, &mut now[..hidden], &mut h.data[at..][..hidden]);
            }
        }
    });
    Forward { output, gates, cells }
}

/// Returns the gradients, given that of every output; those of state and cell before the first step if they were given.
pub fn backward(x: &[f32], w: Weights, saved: Saved, dh: &[f32], sizes: Sizes) -> Gradients {
    let Sizes { batch, time, hidden, .. } = sizes;
    assert_eq!(dh.len(), batch * time * hidden, "the gradient has another size");
    let mut d = uninit(batch * time * GATES * hidden);
    let w_hidden = Packed::new(Matrix::new(w.hidden, hidden, GATES * hidden).transposed());
    let starts = par::run(Rows::new(&mut d, time * GATES * hidden), sizes.cut(GATES), |range, d| {
        let (mut dh_next, mut dc) = (vec![0.0; range.len() * hidden], vec![0.0; range.len() * hidden]);
        for step in (0..time).rev() {
            for (i, sequence) in range.clone().enumerate() {
                let at = (sequence * time + step) * hidden;
                let before = match step {
                    0 => saved.start.map(|start| &start.c[sequence * hidden..][..hidden]),
                    _ => Some(&saved.cells[at - hidden..at]),
                };
                let dh_next = &dh_next[i * hidden..][..hidden];
                let dc = &mut dc[i * hidden..][..hidden];
                let d = &mut d.data[(i * time + step) * GATES * hidden..][..GATES * hidden];
                let gates = &saved.gates[GATES * at..][..GATES * hidden];
                retreat(gates, before, &saved.cells[at..][..hidden], &dh[at..][..hidden], dh_next, dc, d);
            }
            if step > 0 || saved.start.is_some() {
                let d = at_step(d.data, range.len(), step, time, GATES * hidden);
                w_hidden.multiply(d, Output::strided(&mut dh_next, hidden));
            }
        }
        (dh_next, dc)
    });
    let start = saved.start.map(|start| start.h);
    let mut gradients = finish(x, (saved.output, start), w, &d, None, GATES, sizes);
    if start.is_some() {
        let (dh, dc): (Vec<_>, Vec<_>) = starts.into_iter().unzip();
        gradients.dstart = vec![dh.concat(), dc.concat()];
    }
    gradients
}

kernel! {
    /// One step of one sequence: activates the gates and computes cell and state.
    fn advance<A>(gates: &mut [f32], before: Option<&[f32]>, c: &mut [f32], h: &mut [f32]) {
        let hidden = h.len();
        let (i, rest) = gates.split_at_mut(hidden);
        let (f, rest) = rest.split_at_mut(hidden);
        let (g, o) = rest.split_at_mut(hidden);
        let (o, c) = (&mut o[..hidden], &mut c[..hidden]);
        for v in [&mut *i, &mut *f, &mut *o] {
            for v in v {
                *v = sigmoid::<A>(*v);
            }
        }
        for j in 0..hidden {
            g[j] = tanh::<A>(g[j]);
            c[j] = i[j] * g[j];
        }
        if let Some(before) = before {
            for ((c, f), before) in c.iter_mut().zip(&*f).zip(before) {
                *c = A::mul_add(*f, *before, *c);
            }
        }
        for j in 0..hidden {
            h[j] = o[j] * tanh::<A>(c[j]);
        }
    }
}

kernel! {
    /// One step back of one sequence: from the gradients of state and cell to those before the gates' activations.
    fn retreat<A>(
        gates: &[f32],
        before: Option<&[f32]>,
        c: &[f32],
        dh: &[f32],
        dh_next: &[f32],
        dc: &mut [f32],
        d: &mut [f32],
    ) {
        let hidden = c.len();
        let (i, f) = (&gates[..hidden], &gates[hidden..2 * hidden]);
        let (g, o) = (&gates[2 * hidden..3 * hidden], &gates[3 * hidden..4 * hidden]);
        let (di, rest) = d.split_at_mut(hidden);
        let (df, rest) = rest.split_at_mut(hidden);
        let (dg, d_o) = rest.split_at_mut(hidden);
        let (dh, dh_next, dc, d_o) = (&dh[..hidden], &dh_next[..hidden], &mut dc[..hidden], &mut d_o[..hidden]);
        for j in 0..hidden {
            let t = tanh::<A>(c[j]);
            let dh = dh[j] + dh_next[j];
            let dc_now = A::mul_add(dh * o[j], 1.0 - t * t, dc[j]);
            d_o[j] = dh * t * o[j] * (1.0 - o[j]);
            di[j] = dc_now * g[j] * i[j] * (1.0 - i[j]);
            dg[j] = dc_now * i[j] * (1.0 - g[j] * g[j]);
            df[j] = dc_now * f[j] * (1.0 - f[j]);
            dc[j] = dc_now * f[j];
        }
        match before {
            Some(before) => df.iter_mut().zip(before).for_each(|(df, before)| *df *= before),
            None => df.fill(0.0),
        }
    }
}
