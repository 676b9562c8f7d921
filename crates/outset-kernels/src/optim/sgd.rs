//! Stochastic gradient descent with momentum, as PyTorch's `SGD`.

use crate::{
    isa::kernel,
    par::{self, Cut, Rows},
};

/// Settings of a step of [`sgd_step`].
#[derive(Clone, Copy, Debug)]
pub struct Sgd {
    /// Step size.
    pub learning_rate: f64,
    /// Share of the last velocity that is kept.
    pub momentum: f64,
    /// Share of the gradient that doesn't enter the velocity.
    pub dampening: f64,
    /// Added to the gradient, times the weight.
    pub weight_decay: f64,
    /// Whether the step looks ahead along the velocity (Nesterov).
    pub nesterov: bool,
    /// Number of this step, from 1; the first makes the gradient the velocity, undampened.
    pub step: u64,
    /// Factor for the gradient.
    pub gradient_scale: f64,
}

impl Default for Sgd {
    fn default() -> Self {
        Sgd {
            learning_rate: 1e-3,
            momentum: 0.0,
            dampening: 0.0,
            weight_decay: 0.0,
            nesterov: false,
            step: 1,
            gradient_scale: 1.0,
        }
    }
}

/// Updates a parameter and, with momentum, its velocity.
///
/// `g += λ p`, `u = μ u + (1 - τ) g`, then `p -= lr u`, or with Nesterov `p -= lr (g + μ u)`. Without momentum the
/// velocity isn't touched and may be empty.
pub fn sgd_step(p: &mut [f32], g: &[f32], velocity: &mut [f32], settings: &Sgd) {
    assert_eq!(p.len(), g.len(), "parameter and gradient differ in size");
    let (rate, decay) = (settings.learning_rate as f32, settings.weight_decay as f32);
    let (scale, cut) = (settings.gradient_scale as f32, Cut::new(g.len(), 1));
    if settings.momentum == 0.0 {
        par::run(Rows::new(p, 1), cut, |range, p| plain(p.data, &g[range], rate, decay, scale));
        return;
    }
    assert_eq!(p.len(), velocity.len(), "parameter and velocity differ in size");
    let momentum = settings.momentum as f32;
    let first = settings.step == 1;
    let kept = if first { 0.0 } else { momentum };
    let taken = if first { 1.0 } else { (1.0 - settings.dampening) as f32 };
    // The step is `along_gradient * g + along_velocity * u`.
    let (along_gradient, along_velocity) = if settings.nesterov { (1.0, momentum) } else { (0.0, 1.0) };
    let factors = [rate, decay, scale, kept, taken, along_gradient, along_velocity];
    par::run((Rows::new(p, 1), Rows::new(velocity, 1)), cut, |range, (p, u)| {
        with_momentum(p.data, &g[range], u.data, factors);
    });
}

kernel! {
    fn plain<A>(p: &mut [f32], g: &[f32], rate: f32, decay: f32, scale: f32) {
        for (p, g) in p.iter_mut().zip(g) {
            *p = A::mul_add(-rate, A::mul_add(*p, decay, *g * scale), *p);
        }
    }
}

kernel! {
    fn with_momentum<A>(p: &mut [f32], g: &[f32], u: &mut [f32], factors: [f32; 7]) {
        let [rate, decay, scale, kept, taken, along_gradient, along_velocity] = factors;
        for ((p, g), u) in p.iter_mut().zip(g).zip(u) {
            let gradient = A::mul_add(*p, decay, *g * scale);
            *u = A::mul_add(*u, kept, taken * gradient);
            let step = A::mul_add(along_gradient, gradient, along_velocity * *u);
            *p = A::mul_add(-rate, step, *p);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{close, same_bits_with_one_and_two_threads, values, wide};

    /// The naive twin, written as PyTorch's single-tensor code.
    fn twin(p: &mut [f64], g: &[f64], u: &mut [f64], s: &Sgd) {
        for i in 0..p.len() {
            let mut g = g[i] * s.gradient_scale + s.weight_decay * p[i];
            if s.momentum != 0.0 {
                u[i] = if s.step == 1 { g } else { s.momentum * u[i] + (1.0 - s.dampening) * g };
                g = if s.nesterov { g + s.momentum * u[i] } else { u[i] };
            }
            p[i] -= s.learning_rate * g;
        }
    }

    #[test]
    fn matches_the_twin_over_twenty_steps() {
        for (momentum, dampening, nesterov) in
            [(0.0, 0.0, false), (0.9, 0.0, false), (0.9, 0.0, true), (0.9, 0.5, false)]
        {
            for len in [1, 17, 100, 0] {
                let (mut p, mut u) = (values(len, 1), vec![0.0; len]);
                let (mut p64, mut u64) = (wide(&p), vec![0.0; len]);
                for step in 1..=20 {
                    let settings = Sgd {
                        learning_rate: 1e-2,
                        momentum,
                        dampening,
                        weight_decay: 1e-2,
                        nesterov,
                        step,
                        gradient_scale: 0.5,
                    };
                    let g = values(len, 100 + step);
                    sgd_step(&mut p, &g, &mut u, &settings);
                    twin(&mut p64, &wide(&g), &mut u64, &settings);
                }
                close(&p, &p64);
                close(&u, &u64);
            }
        }
    }

    #[test]
    fn plain_descent_needs_no_velocity() {
        let mut p = [1.0];
        sgd_step(&mut p, &[2.0], &mut [], &Sgd { learning_rate: 0.25, ..Sgd::default() });
        assert_eq!(p, [0.5]);
    }

    #[test]
    fn what_is_not_finite_is_seen() {
        for (value, momentum, nesterov) in [f32::NAN, f32::INFINITY]
            .into_iter()
            .flat_map(|v| [(v, 0.0, false), (v, 0.9, false), (v, 0.9, true)])
        {
            let (mut p, mut u) = ([1.0; 2], [0.0; 2]);
            sgd_step(&mut p, &[value, 1.0], &mut u, &Sgd { momentum, nesterov, ..Sgd::default() });
            assert!(!p[0].is_finite() && p[1].is_finite(), "{value}, {momentum}");
            assert!(u[0].is_finite() == (momentum == 0.0) && u[1].is_finite(), "{value}, {momentum}");
        }
    }

    #[test]
    fn bits_do_not_depend_on_threads() {
        let (p, g) = (values(100_003, 1), values(100_003, 2));
        for momentum in [0.0, 0.9] {
            same_bits_with_one_and_two_threads(|| {
                let (mut p, mut u) = (p.clone(), vec![0.0; g.len()]);
                sgd_step(&mut p, &g, &mut u, &Sgd { momentum, ..Sgd::default() });
                vec![p, u]
            });
        }
    }
}
