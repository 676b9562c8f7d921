//! Adam (arXiv 1412.6980) and AdamW (arXiv 1711.05101).

use crate::{
    isa::kernel,
    par::{self, Cut, Rows},
};

/// Settings of a step of [`adam_step`].
#[derive(Clone, Copy, Debug)]
pub struct Adam {
    /// Step size.
    pub learning_rate: f64,
    /// Decay of the mean of gradients.
    pub beta1: f64,
    /// Decay of the mean of squared gradients.
    pub beta2: f64,
    /// Added to the root of the second mean.
    pub epsilon: f64,
    /// Weight decay.
    pub weight_decay: f64,
    /// Whether the decay shrinks the weight itself (AdamW) or is added to the gradient (Adam).
    pub decoupled: bool,
    /// Number of this step, from 1.
    pub step: u64,
    /// Factor for the gradient.
    pub gradient_scale: f64,
}

impl Default for Adam {
    /// PyTorch's defaults for AdamW.
    fn default() -> Self {
        Adam {
            learning_rate: 1e-3,
            beta1: 0.9,
            beta2: 0.999,
            epsilon: 1e-8,
            weight_decay: 1e-2,
            decoupled: true,
            step: 1,
            gradient_scale: 1.0,
        }
    }
}

/// Updates a parameter and its two moments.
///
/// `m = β₁ m + (1 - β₁) g`, `v = β₂ v + (1 - β₂) g²`,
/// `p -= lr / (1 - β₁ᵗ) · m / (√v / √(1 - β₂ᵗ) + ε)`; before that AdamW takes `p *= 1 - lr λ`, Adam `g += λ p`.
pub fn adam_step(p: &mut [f32], g: &[f32], m: &mut [f32], v: &mut [f32], settings: &Adam) {
    assert!(
        p.len() == g.len() && p.len() == m.len() && p.len() == v.len(),
        "parameter and state differ in size"
    );
    let factors = Factors::new(settings);
    let state = (Rows::new(p, 1), Rows::new(m, 1), Rows::new(v, 1));
    par::run(state, Cut::new(g.len(), 1), |range, (p, m, v)| {
        update(p.data, &g[range], m.data, v.data, factors)
    });
}

/// The settings, corrected for the step and rounded to f32 once.
#[derive(Clone, Copy)]
struct Factors {
    gradient: f32,
    coupled_decay: f32,
    keep: f32,
    beta1: f32,
    one_minus_beta1: f32,
    beta2: f32,
    one_minus_beta2: f32,
    step_size: f32,
    root_correction: f32,
    epsilon: f32,
}

impl Factors {
    fn new(s: &Adam) -> Factors {
        let t = s.step as f64;
        let (correction1, correction2) = (1.0 - s.beta1.powf(t), 1.0 - s.beta2.powf(t));
        Factors {
            gradient: s.gradient_scale as f32,
            coupled_decay: if s.decoupled { 0.0 } else { s.weight_decay as f32 },
            keep: if s.decoupled { (1.0 - s.learning_rate * s.weight_decay) as f32 } else { 1.0 },
            beta1: s.beta1 as f32,
            one_minus_beta1: (1.0 - s.beta1) as f32,
            beta2: s.beta2 as f32,
            one_minus_beta2: (1.0 - s.beta2) as f32,
            step_size: (s.learning_rate / correction1) as f32,
            root_correction: (1.0 / correction2.sqrt()) as f32,
            epsilon: s.epsilon as f32,
        }
    }
}

/// Magnitudes below which a gradient and the moments count as zero. A weight would not feel them, while arithmetic with values
/// below the normal range, which squares of tiny gradients are, takes many times as long on most processors.
const LEAST_GRADIENT: f32 = 1e-17;
const LEAST_MEAN: f32 = 1e-30;
const LEAST_SQUARE: f32 = 1e-36;

/// Returns the value, or zero below a magnitude.
#[inline(always)]
fn from_magnitude(value: f32, least: f32) -> f32 {
    // Not the other way round: what is not a number must stay.
    if value.abs() < least { 0.0 } else { value }
}

kernel! {
    fn update<A>(p: &mut [f32], g: &[f32], m: &mut [f32], v: &mut [f32], f: Factors) {
        let n = p.len();
        let (g, m, v) = (&g[..n], &mut m[..n], &mut v[..n]);
        for i in 0..n {
            let gradient = A::mul_add(p[i], f.coupled_decay, g[i] * f.gradient);
            let gradient = from_magnitude(gradient, LEAST_GRADIENT);
            m[i] = from_magnitude(A::mul_add(f.beta1, m[i], f.one_minus_beta1 * gradient), LEAST_MEAN);
            let square = A::mul_add(f.beta2, v[i], f.one_minus_beta2 * gradient * gradient);
            v[i] = from_magnitude(square, LEAST_SQUARE);
            let root = A::mul_add(v[i].sqrt(), f.root_correction, f.epsilon);
            p[i] = A::mul_add(p[i], f.keep, -(f.step_size * m[i] / root));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{close, same_bits_with_one_and_two_threads, values, wide};

    #[test]
    fn what_no_weight_would_feel_counts_as_zero() {
        let settings = Adam { step: 1000, weight_decay: 0.0, ..Adam::default() };
        let (mut p, mut m, mut v) = (vec![1.0; 3], vec![1e-31; 3], vec![1e-38; 3]);
        update(&mut p, &[1e-18, 0.0, f32::NAN], &mut m, &mut v, Factors::new(&settings));
        assert_eq!((&p[..2], &m[..2], &v[..2]), (&[1.0; 2][..], &[0.0; 2][..], &[0.0; 2][..]));
        assert!(p[2].is_nan() && m[2].is_nan() && v[2].is_nan());
    }

    /// The naive twin, written as PyTorch's single-tensor code.
    fn twin(p: &mut [f64], g: &[f64], m: &mut [f64], v: &mut [f64], s: &Adam) {
        for i in 0..p.len() {
            let mut g = g[i] * s.gradient_scale;
            if s.decoupled {
                p[i] *= 1.0 - s.learning_rate * s.weight_decay;
            } else {
                g += s.weight_decay * p[i];
            }
            m[i] += (g - m[i]) * (1.0 - s.beta1);
            v[i] = v[i] * s.beta2 + (1.0 - s.beta2) * g * g;
            let bias1 = 1.0 - s.beta1.powi(s.step as i32);
            let bias2 = (1.0 - s.beta2.powi(s.step as i32)).sqrt();
            p[i] -= s.learning_rate / bias1 * m[i] / (v[i].sqrt() / bias2 + s.epsilon);
        }
    }

    #[test]
    fn matches_the_twin_over_twenty_steps() {
        for decoupled in [true, false] {
            for len in [1, 17, 100, 0] {
                let mut p = values(len, 1);
                let (mut m, mut v) = (vec![0.0; len], vec![0.0; len]);
                let (mut p64, mut m64, mut v64) = (wide(&p), vec![0.0; len], vec![0.0; len]);
                for step in 1..=20 {
                    let settings =
                        Adam { learning_rate: 1e-2, decoupled, step, gradient_scale: 0.5, ..Adam::default() };
                    let g = values(len, 100 + step);
                    adam_step(&mut p, &g, &mut m, &mut v, &settings);
                    twin(&mut p64, &wide(&g), &mut m64, &mut v64, &settings);
                }
                close(&p, &p64);
                close(&m, &m64);
                close(&v, &v64);
            }
        }
    }

    #[test]
    fn the_first_step_of_adam_is_the_learning_rate() {
        let mut p = [1.0];
        let settings = Adam { weight_decay: 0.0, ..Adam::default() };
        adam_step(&mut p, &[3.0], &mut [0.0], &mut [0.0], &settings);
        assert!((p[0] - 0.999).abs() < 1e-6);
    }

    #[test]
    fn a_nan_gradient_is_seen() {
        let mut p = [1.0];
        adam_step(&mut p, &[f32::NAN], &mut [0.0], &mut [0.0], &Adam::default());
        assert!(p[0].is_nan());
    }

    #[test]
    fn bits_do_not_depend_on_threads() {
        let (p, g) = (values(100_003, 1), values(100_003, 2));
        same_bits_with_one_and_two_threads(|| {
            let (mut p, mut m, mut v) = (p.clone(), vec![0.0; g.len()], vec![0.0; g.len()]);
            adam_step(&mut p, &g, &mut m, &mut v, &Adam::default());
            vec![p, m, v]
        });
    }
}
