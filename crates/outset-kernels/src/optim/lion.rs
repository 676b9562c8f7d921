//! Lion (arXiv 2302.06675): the sign of an interpolated momentum.

use crate::{
    isa::kernel,
    par::{self, Cut, Rows},
};

/// Settings of a step of [`lion_step`].
#[derive(Clone, Copy, Debug)]
pub struct Lion {
    /// Step size.
    pub learning_rate: f64,
    /// Share of the momentum in the step's direction.
    pub beta1: f64,
    /// Decay of the momentum.
    pub beta2: f64,
    /// Weight decay, applied to the weight itself.
    pub weight_decay: f64,
    /// Factor for the gradient.
    pub gradient_scale: f64,
}

impl Default for Lion {
    fn default() -> Self {
        Lion { learning_rate: 1e-4, beta1: 0.9, beta2: 0.99, weight_decay: 0.0, gradient_scale: 1.0 }
    }
}

/// Updates a parameter and its momentum.
///
/// `p *= 1 - lr λ`, `p -= lr sign(β₁ m + (1 - β₁) g)`, then `m = β₂ m + (1 - β₂) g`.
pub fn lion_step(p: &mut [f32], g: &[f32], m: &mut [f32], settings: &Lion) {
    assert!(p.len() == g.len() && p.len() == m.len(), "parameter and state differ in size");
    let s = settings;
    let factors = [
        s.gradient_scale as f32,
        (1.0 - s.learning_rate * s.weight_decay) as f32,
        s.learning_rate as f32,
        s.beta1 as f32,
        (1.0 - s.beta1) as f32,
        s.beta2 as f32,
        (1.0 - s.beta2) as f32,
    ];
    par::run((Rows::new(p, 1), Rows::new(m, 1)), Cut::new(g.len(), 1), |range, (p, m)| {
        update(p.data, &g[range], m.data, factors);
    });
}

kernel! {
    fn update<A>(p: &mut [f32], g: &[f32], m: &mut [f32], factors: [f32; 7]) {
        let [scale, keep, rate, beta1, one_minus_beta1, beta2, one_minus_beta2] = factors;
        for ((p, g), m) in p.iter_mut().zip(g).zip(m) {
            let gradient = *g * scale;
            let direction = A::mul_add(beta1, *m, one_minus_beta1 * gradient);
            // Zero has no sign here, unlike in `signum`, and a NaN keeps being one.
            let sign = if direction == 0.0 { 0.0 } else { 1f32.copysign(direction) };
            let sign = if direction.is_nan() { direction } else { sign };
            *p = A::mul_add(*p, keep, -(rate * sign));
            *m = A::mul_add(beta2, *m, one_minus_beta2 * gradient);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{close, same_bits_with_one_and_two_threads, values, wide};

    fn twin(p: &mut [f64], g: &[f64], m: &mut [f64], s: &Lion) {
        for i in 0..p.len() {
            let g = g[i] * s.gradient_scale;
            let direction = s.beta1 * m[i] + (1.0 - s.beta1) * g;
            p[i] = p[i] * (1.0 - s.learning_rate * s.weight_decay)
                - s.learning_rate * if direction == 0.0 { 0.0 } else { direction.signum() };
            m[i] = s.beta2 * m[i] + (1.0 - s.beta2) * g;
        }
    }

    #[test]
    fn matches_the_twin_over_twenty_steps() {
        for len in [1, 17, 100, 0] {
            let (mut p, mut m) = (values(len, 1), vec![0.0; len]);
            let (mut p64, mut m64) = (wide(&p), vec![0.0; len]);
            let settings =
                Lion { learning_rate: 1e-3, weight_decay: 0.1, gradient_scale: 0.5, ..Lion::default() };
            for step in 1..=20 {
                let g = values(len, 100 + step);
                lion_step(&mut p, &g, &mut m, &settings);
                twin(&mut p64, &wide(&g), &mut m64, &settings);
            }
            close(&p, &p64);
            close(&m, &m64);
        }
    }

    #[test]
    fn zero_stays_and_nan_is_seen() {
        let mut p = [1.0, 1.0];
        lion_step(&mut p, &[0.0, f32::NAN], &mut [0.0, 0.0], &Lion::default());
        assert_eq!(p[0], 1.0);
        assert!(p[1].is_nan());
    }

    #[test]
    fn bits_do_not_depend_on_threads() {
        let (p, g) = (values(100_003, 1), values(100_003, 2));
        same_bits_with_one_and_two_threads(|| {
            let (mut p, mut m) = (p.clone(), vec![0.0; g.len()]);
            lion_step(&mut p, &g, &mut m, &Lion::default());
            vec![p, m]
        });
    }
}
