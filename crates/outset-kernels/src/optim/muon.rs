//! Muon (K. Jordan et al., "Muon: an optimizer for hidden layers in neural networks", 2024).

use crate::{
    buf::uninit,
    gemm::{Matrix, matmul},
    isa::kernel,
    optim::sum_of_squares,
    par::{self, Cut, Rows},
};

/// Settings of a step of [`muon_step`].
#[derive(Clone, Copy, Debug)]
pub struct Muon {
    /// Step size.
    pub learning_rate: f64,
    /// Factor for the step, by which it fits the matrix's shape; weight decay goes without it.
    pub step_factor: f64,
    /// Decay of the mean of gradients.
    pub momentum: f64,
    /// Whether the step looks ahead from the mean towards the gradient (Nesterov).
    pub nesterov: bool,
    /// Newton-Schulz steps.
    pub num_steps: usize,
    /// Weight decay, applied to the weight itself.
    pub weight_decay: f64,
    /// Factor for the gradient.
    pub gradient_scale: f64,
}

impl Default for Muon {
    /// PyTorch's defaults, for a matrix whose shape asks for no other step.
    fn default() -> Self {
        Muon {
            learning_rate: 1e-3,
            step_factor: 1.0,
            momentum: 0.95,
            nesterov: true,
            num_steps: 5,
            weight_decay: 0.1,
            gradient_scale: 1.0,
        }
    }
}

/// Coefficients of the odd quintic that Muon iterates; its slope at zero is large, so that small singular values grow
/// fast, at the price of ending between about 0.7 and 1.2 instead of at 1.
pub const QUINTIC: [f32; 3] = [3.4445, -4.7750, 2.0315];

/// The least norm that a matrix is divided by.
const LEAST_NORM: f64 = 1e-7;

/// Updates a matrix `p [rows, columns]` and its momentum.
///
/// `m = μ m + (1 - μ) g`, `d = m`, or with Nesterov `d = μ m + (1 - μ) g`, then
/// `p = (1 - lr λ) p - lr f orthogonalise(d)`, where `f` is the factor for the step. There is one pass before the products
/// of the orthogonalisation and one after.
pub fn muon_step(p: &mut [f32], g: &[f32], m: &mut [f32], rows: usize, columns: usize, settings: &Muon) {
    assert!(p.len() == g.len() && p.len() == m.len(), "parameter and state differ in size");
    let s = settings;
    let (momentum, taken) = (s.momentum as f32, ((1.0 - s.momentum) * s.gradient_scale) as f32);
    // The direction is `along_gradient * g + along_momentum * m`.
    let (along_gradient, along_momentum) = if s.nesterov { (taken, momentum) } else { (0.0, 1.0) };
    let factors = [momentum, taken, along_gradient, along_momentum];
    let mut direction = uninit(g.len());
    par::run((Rows::new(m, 1), Rows::new(&mut direction, 1)), Cut::new(g.len(), 1), |range, (m, d)| {
        aim(m.data, &g[range], d.data, factors);
    });
    let orthogonal = orthogonalise(direction, rows, columns, s.num_steps);
    let keep = (1.0 - s.learning_rate * s.weight_decay) as f32;
    mix(p, keep, &orthogonal, -(s.learning_rate * s.step_factor) as f32);
}

/// Returns `x [rows, columns]` with its singular values brought near one: `num_steps` Newton-Schulz steps
/// `X ← a X + (b A + c A²) X` with `A = X Xᵀ`, from `x / ‖x‖`; where there are more rows than columns, those of its
/// transpose.
pub fn orthogonalise(mut x: Vec<f32>, rows: usize, columns: usize, num_steps: usize) -> Vec<f32> {
    assert_eq!(x.len(), rows * columns, "the matrix has another size");
    let norm = sum_of_squares(&x).sqrt();
    // Not by `max`: what is not a number must stay.
    let scale = (1.0 / if norm < LEAST_NORM { LEAST_NORM } else { norm }) as f32;
    let cut = Cut::new(x.len(), 1);
    par::run(Rows::new(&mut x, 1), cut, |_, x| x.data.iter_mut().for_each(|v| *v *= scale));
    // `A` is of the smaller side. It is symmetric, so that with more rows than columns the transposed step is
    // `X ← a X + X (b A + c A²)` with `A = Xᵀ X`, and nothing need be turned.
    let tall = rows > columns;
    let side = rows.min(columns);
    let (mut square, mut fourth, mut change) = (uninit(side * side), uninit(side * side), uninit(x.len()));
    let [a, b, c] = QUINTIC;
    for _ in 0..num_steps {
        let view = Matrix::new(&x, rows, columns);
        let (left, right) = if tall { (view.transposed(), view) } else { (view, view.transposed()) };
        matmul(left, right, &mut square);
        matmul(Matrix::new(&square, side, side), Matrix::new(&square, side, side), &mut fourth);
        mix(&mut square, b, &fourth, c);
        let factor = Matrix::new(&square, side, side);
        let (left, right) = if tall { (view, factor) } else { (factor, view) };
        matmul(left, right, &mut change);
        mix(&mut x, a, &change, 1.0);
    }
    x
}

/// Mixes two vectors: `x = keep x + share y`.
fn mix(x: &mut [f32], keep: f32, y: &[f32], share: f32) {
    let cut = Cut::new(y.len(), 1);
    par::run(Rows::new(x, 1), cut, |range, x| mix_part(x.data, keep, &y[range], share));
}

kernel! {
    fn aim<A>(m: &mut [f32], g: &[f32], direction: &mut [f32], factors: [f32; 4]) {
        let [kept, taken, along_gradient, along_momentum] = factors;
        for ((m, g), d) in m.iter_mut().zip(g).zip(direction) {
            *m = A::mul_add(kept, *m, taken * *g);
            *d = A::mul_add(along_momentum, *m, along_gradient * *g);
        }
    }
}

kernel! {
    fn mix_part<A>(x: &mut [f32], keep: f32, y: &[f32], share: f32) {
        for (x, y) in x.iter_mut().zip(y) {
            *x = A::mul_add(*x, keep, share * *y);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        precision::{self, Precision},
        testing::{
            close, close_within, matmul as product64, same_bits_with_one_and_two_threads,
            transpose as transpose64, values, wide,
        },
    };

    const SHAPES: [(usize, usize); 9] =
        [(1, 1), (1, 13), (13, 1), (3, 5), (7, 4), (31, 17), (17, 31), (40, 64), (0, 4)];

    /// The naive twin of the orthogonalisation, whichever side is the smaller.
    fn orthogonal_twin(g: &[f64], rows: usize, columns: usize, num_steps: usize) -> Vec<f64> {
        let norm = g.iter().map(|v| v * v).sum::<f64>().sqrt().max(1e-7);
        let mut x: Vec<f64> = g.iter().map(|v| v / norm).collect();
        let [a, b, c] = QUINTIC.map(f64::from);
        for _ in 0..num_steps {
            let square = product64(&x, &transpose64(&x, columns), columns, rows);
            let fourth = product64(&square, &square, rows, rows);
            let factor: Vec<f64> = square.iter().zip(&fourth).map(|(s, f)| b * s + c * f).collect();
            let add = product64(&factor, &x, rows, columns);
            x.iter_mut().zip(add).for_each(|(x, add)| *x = a * *x + add);
        }
        x
    }

    /// The naive twin of a step, written as PyTorch's single-tensor code.
    fn twin(p: &mut [f64], g: &[f64], m: &mut [f64], rows: usize, columns: usize, s: &Muon) {
        let mut direction = Vec::new();
        for (g, m) in g.iter().zip(m) {
            let g = g * s.gradient_scale;
            *m += (g - *m) * (1.0 - s.momentum);
            direction.push(if s.nesterov { g + (*m - g) * s.momentum } else { *m });
        }
        let orthogonal = orthogonal_twin(&direction, rows, columns, s.num_steps);
        for (p, o) in p.iter_mut().zip(orthogonal) {
            *p *= 1.0 - s.learning_rate * s.weight_decay;
            *p -= s.learning_rate * s.step_factor * o;
        }
    }

    #[test]
    fn matches_the_twin_over_ten_steps() {
        for (num_steps, nesterov) in [(5, true), (5, false), (1, true), (7, true)] {
            let settings = Muon {
                learning_rate: 1e-2,
                step_factor: 0.5,
                nesterov,
                num_steps,
                gradient_scale: 0.5,
                ..Muon::default()
            };
            for (rows, columns) in SHAPES {
                let len = rows * columns;
                let (mut p, mut m) = (values(len, 1), vec![0.0; len]);
                let (mut p64, mut m64) = (wide(&p), vec![0.0; len]);
                for step in 1..=10 {
                    let g = values(len, 100 + step);
                    muon_step(&mut p, &g, &mut m, rows, columns, &settings);
                    twin(&mut p64, &wide(&g), &mut m64, rows, columns, &settings);
                }
                close(&p, &p64);
                close(&m, &m64);
            }
        }
    }

    #[test]
    fn orthogonalisation_matches_the_twin() {
        for (rows, columns) in SHAPES {
            for num_steps in [1, 2, 5, 7] {
                let g = values(rows * columns, 1);
                let expected = orthogonal_twin(&wide(&g), rows, columns, num_steps);
                // Rounding grows by the slope of the quintic in every step.
                close_within(&orthogonalise(g, rows, columns, num_steps), &expected, 5e-6);
            }
        }
    }

    #[test]
    fn bf16_is_close_to_the_twin() {
        let settings = Muon { learning_rate: 1e-2, ..Muon::default() };
        for (rows, columns) in [(40, 64), (64, 40), (130, 70)] {
            let len = rows * columns;
            let (p, g) = (values(len, 1), values(len, 2));
            let run = || {
                let (mut p, mut m) = (p.clone(), vec![0.0; len]);
                muon_step(&mut p, &g, &mut m, rows, columns, &settings);
                (orthogonalise(g.clone(), rows, columns, 5), p)
            };
            let (mut p64, mut m64) = (wide(&p), vec![0.0; len]);
            twin(&mut p64, &wide(&g), &mut m64, rows, columns, &settings);
            let (got, stepped) = precision::with(Precision::Bf16, run);
            // What is rounded away grows in every step too, beyond the 1e-2 of a single product; a weight moves by little of it.
            close_within(&got, &orthogonal_twin(&wide(&g), rows, columns, 5), 8e-2);
            close_within(&stepped, &p64, 1e-3);
            assert!(got != run().0 && stepped != run().1, "the products were not rounded");
        }
    }

    #[test]
    fn rows_come_out_nearly_orthonormal() {
        let x = orthogonalise(values(8 * 64, 3), 8, 64, 5);
        let square = product64(&wide(&x), &transpose64(&wide(&x), 64), 64, 8);
        for (i, v) in square.iter().enumerate() {
            assert!(if i % 9 == 0 { (0.4..1.6).contains(v) } else { v.abs() < 0.4 }, "{i}: {v}");
        }
    }

    #[test]
    fn zero_stays_and_what_is_not_finite_is_seen() {
        let step = |g: [f32; 6]| {
            let mut p = [1.0; 6];
            muon_step(&mut p, &g, &mut [0.0; 6], 2, 3, &Muon { weight_decay: 0.0, ..Muon::default() });
            p
        };
        assert_eq!(step([0.0; 6]), [1.0; 6]);
        for value in [f32::NAN, f32::INFINITY] {
            assert!(step([1.0, 2.0, value, 0.0, 1.0, 3.0]).iter().all(|v| v.is_nan()), "{value}");
        }
    }

    #[test]
    fn bits_do_not_depend_on_threads() {
        for (rows, columns) in [(256, 288), (288, 256)] {
            let (p, g) = (values(rows * columns, 1), values(rows * columns, 2));
            same_bits_with_one_and_two_threads(|| {
                let (mut p, mut m) = (p.clone(), vec![0.0; g.len()]);
                muon_step(&mut p, &g, &mut m, rows, columns, &Muon { num_steps: 2, ..Muon::default() });
                vec![p, m]
            });
        }
    }
}
