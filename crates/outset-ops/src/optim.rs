//! Optimizer steps on plain tensors: parameter, gradient and state go in, parameter and state come out.
//!
//! The tensors are not tracked: take them with `inner()`, or use those that `burn::optim` hands to an optimizer. On
//! `flex` the step is one pass, Muon's one before its products and one after, in place wherever a tensor is the only
//! owner of its buffer, so *move* the parameter and the state in. Elsewhere the same formula is composed of Burn's
//! operations. Formulas are PyTorch's.

use crate::flex::{contiguous, owned, primitive, values, values_mut};
use burn::backend::Flex;
use burn::tensor::{DType, Device, Tensor};
use burn_flex::FlexTensor;
use outset_kernels::optim as kernel;

pub use outset_kernels::optim::{Adam, Lion, Muon, Sgd};

/// Updates a parameter and its two moments by Adam or AdamW: returns `(param, m, v)`.
///
/// All four have one shape; the moments start as zeros.
pub fn adam_step<const D: usize>(
    param: Tensor<D>,
    grad: Tensor<D>,
    m: Tensor<D>,
    v: Tensor<D>,
    settings: &Adam,
) -> (Tensor<D>, Tensor<D>, Tensor<D>) {
    if !on_flex(&param) {
        return composed_adam(param, grad, m, v, settings);
    }
    let [mut p, mut m, mut v] = [param, m, v].map(|t| owned(primitive(t)));
    let g = contiguous(primitive(grad));
    kernel::adam_step(values_mut(&mut p), values(&g), values_mut(&mut m), values_mut(&mut v), settings);
    (tensor(p), tensor(m), tensor(v))
}

/// Updates a parameter and its velocity by stochastic gradient descent: returns `(param, velocity)`.
///
/// Without momentum no velocity is needed, and `None` comes back.
pub fn sgd_step<const D: usize>(
    param: Tensor<D>,
    grad: Tensor<D>,
    velocity: Option<Tensor<D>>,
    settings: &Sgd,
) -> (Tensor<D>, Option<Tensor<D>>) {
    let velocity = (settings.momentum != 0.0).then(|| velocity.unwrap_or_else(|| param.zeros_like()));
    if !on_flex(&param) {
        return composed_sgd(param, grad, velocity, settings);
    }
    let (mut p, mut u) = (owned(primitive(param)), velocity.map(|u| owned(primitive(u))));
    let g = contiguous(primitive(grad));
    let no_velocity = &mut [][..];
    kernel::sgd_step(values_mut(&mut p), values(&g), u.as_mut().map_or(no_velocity, values_mut), settings);
    (tensor(p), u.map(tensor))
}

/// Updates a parameter and its momentum by Lion: returns `(param, m)`.
pub fn lion_step<const D: usize>(
    param: Tensor<D>,
    grad: Tensor<D>,
    m: Tensor<D>,
    settings: &Lion,
) -> (Tensor<D>, Tensor<D>) {
    if !on_flex(&param) {
        return composed_lion(param, grad, m, settings);
    }
    let [mut p, mut m] = [param, m].map(|t| owned(primitive(t)));
    let g = contiguous(primitive(grad));
    kernel::lion_step(values_mut(&mut p), values(&g), values_mut(&mut m), settings);
    (tensor(p), tensor(m))
}

/// Updates a matrix and its momentum by Muon: returns `(param, m)`.
///
/// All three have one shape; the momentum starts as zeros.
pub fn muon_step(param: Tensor<2>, grad: Tensor<2>, m: Tensor<2>, settings: &Muon) -> (Tensor<2>, Tensor<2>) {
    if !on_flex(&param) {
        return composed_muon(param, grad, m, settings);
    }
    let [rows, columns] = param.dims();
    let [mut p, mut m] = [param, m].map(|t| owned(primitive(t)));
    let g = contiguous(primitive(grad));
    kernel::muon_step(values_mut(&mut p), values(&g), values_mut(&mut m), rows, columns, settings);
    (tensor(p), tensor(m))
}

/// Moves an average towards a value: `average += (x - average) * (1 - decay)`.
pub fn ema_step<const D: usize>(average: Tensor<D>, x: Tensor<D>, decay: f64) -> Tensor<D> {
    if !on_flex(&average) {
        return average.clone() + (x - average) * (1.0 - decay);
    }
    let (mut average, x) = (owned(primitive(average)), contiguous(primitive(x)));
    kernel::ema_step(values_mut(&mut average), values(&x), decay);
    tensor(average)
}

/// Returns the sum of the squares of a tensor's values; the global norm is the root of its sum over all gradients.
///
/// On a GPU this waits for the device.
pub fn sum_of_squares<const D: usize>(x: Tensor<D>) -> f64 {
    if !on_flex(&x) {
        return x.cast(DType::F32).powi_scalar(2).sum().into_scalar::<f32>().into();
    }
    kernel::sum_of_squares(values(&contiguous(primitive(x))))
}

/// Whether a tensor is an untracked `f32` on `flex`.
fn on_flex<const D: usize>(tensor: &Tensor<D>) -> bool {
    tensor.dtype() == DType::F32 && tensor.device() == Device::flex()
}

fn tensor<const D: usize>(primitive: FlexTensor) -> Tensor<D> {
    Tensor::from_primitive::<Flex>(primitive)
}

fn composed_adam<const D: usize>(
    p: Tensor<D>,
    g: Tensor<D>,
    m: Tensor<D>,
    v: Tensor<D>,
    s: &Adam,
) -> (Tensor<D>, Tensor<D>, Tensor<D>) {
    let g = g * s.gradient_scale;
    let (p, g) = if s.decoupled {
        (p * (1.0 - s.learning_rate * s.weight_decay), g)
    } else {
        (p.clone(), g + p * s.weight_decay)
    };
    let m = m * s.beta1 + g.clone() * (1.0 - s.beta1);
    let v = v * s.beta2 + g.powi_scalar(2) * (1.0 - s.beta2);
    let t = s.step as f64;
    let (correction1, correction2) = (1.0 - s.beta1.powf(t), 1.0 - s.beta2.powf(t));
    let root = v.clone().sqrt() / correction2.sqrt() + s.epsilon;
    (p - m.clone() * (s.learning_rate / correction1) / root, m, v)
}

fn composed_sgd<const D: usize>(
    p: Tensor<D>,
    g: Tensor<D>,
    velocity: Option<Tensor<D>>,
    s: &Sgd,
) -> (Tensor<D>, Option<Tensor<D>>) {
    let g = g * s.gradient_scale + p.clone() * s.weight_decay;
    let Some(u) = velocity else {
        return (p - g * s.learning_rate, None);
    };
    let u = if s.step == 1 { g.clone() } else { u * s.momentum + g.clone() * (1.0 - s.dampening) };
    let along = if s.nesterov { g + u.clone() * s.momentum } else { u.clone() };
    (p - along * s.learning_rate, Some(u))
}

fn composed_lion<const D: usize>(
    p: Tensor<D>,
    g: Tensor<D>,
    m: Tensor<D>,
    s: &Lion,
) -> (Tensor<D>, Tensor<D>) {
    let g = g * s.gradient_scale;
    let direction = (m.clone() * s.beta1 + g.clone() * (1.0 - s.beta1)).sign();
    let p = p * (1.0 - s.learning_rate * s.weight_decay) - direction * s.learning_rate;
    (p, m * s.beta2 + g * (1.0 - s.beta2))
}

fn composed_muon(p: Tensor<2>, g: Tensor<2>, m: Tensor<2>, s: &Muon) -> (Tensor<2>, Tensor<2>) {
    let taken = g * (s.gradient_scale * (1.0 - s.momentum));
    let m = m * s.momentum + taken.clone();
    let direction = if s.nesterov { m.clone() * s.momentum + taken } else { m.clone() };
    let p = p * (1.0 - s.learning_rate * s.weight_decay);
    (p - orthogonal(direction, s.num_steps) * (s.learning_rate * s.step_factor), m)
}

/// The matrix with its singular values brought near one by Newton-Schulz steps.
fn orthogonal(matrix: Tensor<2>, num_steps: usize) -> Tensor<2> {
    let [rows, columns] = matrix.dims();
    // The products are over the shorter side.
    let flip = rows > columns;
    let x = if flip { matrix.transpose() } else { matrix };
    let norm = x.clone().powi_scalar(2).sum().sqrt().clamp_min(1e-7);
    let [a, b, c] = kernel::QUINTIC.map(f64::from);
    let mut x = x / norm.unsqueeze();
    for _ in 0..num_steps {
        let square = x.clone().matmul(x.clone().transpose());
        let factor = square.clone() * b + square.clone().matmul(square) * c;
        x = x.clone() * a + factor.matmul(x);
    }
    if flip { x.transpose() } else { x }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{close, wide};
    use burn::tensor::TensorData;

    fn at(dtype: DType, seed: u64) -> Tensor<2> {
        let values = (0..35).map(|i| ((i * 31 + seed * 17) % 19) as f64 / 8.0 - 1.0).collect::<Vec<_>>();
        Tensor::from_data(TensorData::new(values, [5, 7]), (&Device::flex(), dtype))
    }

    /// Runs five steps in f32, where the kernel runs, and in f64, where it is composed, and compares.
    fn check(run: impl Fn(Tensor<2>, &dyn Fn(u64) -> Tensor<2>) -> Vec<Tensor<2>>) {
        let results = |dtype| run(at(dtype, 1), &|step| at(dtype, 10 + step));
        for (got, expected) in results(DType::F32).into_iter().zip(results(DType::F64)) {
            close("state", &wide(got), &wide(expected));
        }
    }

    #[test]
    fn adam_agrees_with_the_composed_form_in_f64() {
        for decoupled in [true, false] {
            check(|mut p, gradient| {
                let (mut m, mut v) = (p.zeros_like(), p.zeros_like());
                for step in 1..=5 {
                    let settings = Adam { step, decoupled, gradient_scale: 0.5, ..Adam::default() };
                    (p, m, v) = adam_step(p, gradient(step), m, v, &settings);
                }
                vec![p, m, v]
            });
        }
    }

    #[test]
    fn sgd_agrees_with_the_composed_form_in_f64() {
        for (momentum, nesterov) in [(0.0, false), (0.9, false), (0.9, true)] {
            check(|mut p, gradient| {
                let mut velocity = None;
                for step in 1..=5 {
                    let settings = Sgd {
                        learning_rate: 0.1,
                        momentum,
                        nesterov,
                        weight_decay: 0.1,
                        step,
                        ..Sgd::default()
                    };
                    (p, velocity) = sgd_step(p, gradient(step), velocity, &settings);
                }
                std::iter::once(p).chain(velocity).collect()
            });
        }
    }

    #[test]
    fn lion_and_the_average_agree_with_the_composed_form_in_f64() {
        check(|mut p, gradient| {
            let (mut m, mut average) = (p.zeros_like(), p.clone());
            for step in 1..=5 {
                let settings = Lion { learning_rate: 0.1, weight_decay: 0.1, ..Lion::default() };
                (p, m) = lion_step(p, gradient(step), m, &settings);
                average = ema_step(average, p.clone(), 0.75);
            }
            vec![p, m, average]
        });
    }

    #[test]
    fn muon_agrees_with_the_composed_form_in_f64() {
        for (num_steps, nesterov, transposed) in
            [(5, true, false), (5, true, true), (5, false, false), (2, true, true)]
        {
            let turned = |matrix: Tensor<2>| if transposed { matrix.transpose() } else { matrix };
            check(|p, gradient| {
                let mut p = turned(p);
                let mut m = p.zeros_like();
                for step in 1..=5 {
                    let settings = Muon {
                        learning_rate: 0.1,
                        step_factor: 0.5,
                        nesterov,
                        num_steps,
                        gradient_scale: 0.5,
                        ..Muon::default()
                    };
                    (p, m) = muon_step(p, turned(gradient(step)), m, &settings);
                }
                vec![p, m]
            });
        }
    }

    #[test]
    fn a_shared_parameter_is_left_alone() {
        let p = at(DType::F32, 1);
        let kept = p.clone();
        let (m, v) = (p.zeros_like(), p.zeros_like());
        adam_step(p, at(DType::F32, 2), m, v, &Adam::default());
        assert_eq!(wide(kept), wide(at(DType::F32, 1)));
    }

    #[test]
    fn the_sum_of_squares_is_that_of_all_values() {
        assert_eq!(sum_of_squares(Tensor::<2>::from_data([[1.0, 2.0], [3.0, 4.0]], &Device::flex())), 30.0);
        let x = at(DType::F32, 3);
        let expected: f64 = wide(x.clone()).iter().map(|v| v * v).sum();
        assert!((sum_of_squares(x.transpose()) - expected).abs() < 1e-9);
    }
}
