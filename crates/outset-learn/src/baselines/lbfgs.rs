//! Limited-memory BFGS for smooth convex functions. Nocedal and Wright, Numerical Optimization, algorithm 7.5.

use std::collections::VecDeque;

/// Steps that are remembered.
const MEMORY: usize = 10;
/// Largest slope at which the least is taken for reached.
const FLAT: f64 = 1e-9;
/// Share of the value below which a step's gain drowns in rounding.
const GAIN: f64 = 1e-14;
/// Trials of a line search.
const TRIALS: usize = 20;

/// Finds where `f` is least, starting from `start`; `f` writes the gradient and returns the value.
///
/// Stops where the gradient is flat, where a step could gain no more than rounding takes, or after `steps`.
pub(crate) fn minimize(
    start: Vec<f64>,
    steps: usize,
    mut f: impl FnMut(&[f64], &mut [f64]) -> f64,
) -> Vec<f64> {
    let mut x = start;
    let mut gradient = vec![0.0; x.len()];
    let mut value = f(&x, &mut gradient);
    // Moves of the point and of the gradient, and one over their product.
    let mut memory: VecDeque<(Vec<f64>, Vec<f64>, f64)> = VecDeque::new();
    for _ in 0..steps {
        if !value.is_finite() || gradient.iter().all(|slope| slope.abs() <= FLAT) {
            break;
        }
        let mut direction = descend(&gradient, &memory);
        let mut slope = product(&direction, &gradient);
        if slope >= 0.0 {
            // Rounding has spoilt the memory.
            memory.clear();
            direction = gradient.iter().map(|slope| -slope).collect();
            slope = -product(&gradient, &gradient);
        }
        // About twice what a step of length 1 can gain.
        if -slope <= GAIN * value.abs() {
            break;
        }
        let first = if memory.is_empty() { (1.0 / slope.abs().sqrt()).min(1.0) } else { 1.0 };
        let Some((next, next_gradient, next_value)) = search(&x, value, &direction, slope, first, &mut f)
        else {
            break;
        };
        let moved = difference(&next, &x);
        let turned = difference(&next_gradient, &gradient);
        let curvature = product(&moved, &turned);
        if curvature > 1e-12 * product(&turned, &turned) {
            if memory.len() == MEMORY {
                memory.pop_front();
            }
            memory.push_back((moved, turned, 1.0 / curvature));
        }
        (x, gradient, value) = (next, next_gradient, next_value);
    }
    x
}

/// The direction of the next step: minus the gradient, bent by what the last steps told of the curvature.
fn descend(gradient: &[f64], memory: &VecDeque<(Vec<f64>, Vec<f64>, f64)>) -> Vec<f64> {
    let mut direction: Vec<f64> = gradient.iter().map(|slope| -slope).collect();
    let mut shares = Vec::with_capacity(memory.len());
    for (moved, turned, scale) in memory.iter().rev() {
        let share = scale * product(moved, &direction);
        add(&mut direction, -share, turned);
        shares.push(share);
    }
    if let Some((_, turned, scale)) = memory.back() {
        let stretch = 1.0 / (scale * product(turned, turned));
        direction.iter_mut().for_each(|value| *value *= stretch);
    }
    for ((moved, turned, scale), share) in memory.iter().zip(shares.into_iter().rev()) {
        let back = scale * product(turned, &direction);
        add(&mut direction, share - back, moved);
    }
    direction
}

/// A step along `direction` that gains enough and flattens the slope enough (Wolfe's conditions), by halving and doubling.
fn search(
    x: &[f64],
    value: f64,
    direction: &[f64],
    slope: f64,
    first: f64,
    f: &mut impl FnMut(&[f64], &mut [f64]) -> f64,
) -> Option<(Vec<f64>, Vec<f64>, f64)> {
    let (mut low, mut high, mut length) = (0.0, f64::INFINITY, first);
    let mut gradient = vec![0.0; x.len()];
    let mut enough = None;
    for _ in 0..TRIALS {
        let mut next = x.to_vec();
        add(&mut next, length, direction);
        let reached = f(&next, &mut gradient);
        if reached <= value + 1e-4 * length * slope {
            if product(&gradient, direction) >= 0.9 * slope {
                return Some((next, gradient, reached));
            }
            low = length;
            enough = Some((next, gradient.clone(), reached));
        } else {
            high = length;
        }
        length = if high.is_finite() { (low + high) / 2.0 } else { 2.0 * low };
    }
    enough
}

fn product(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

fn add(sums: &mut [f64], factor: f64, values: &[f64]) {
    sums.iter_mut().zip(values).for_each(|(sum, value)| *sum += factor * value);
}

fn difference(a: &[f64], b: &[f64]) -> Vec<f64> {
    a.iter().zip(b).map(|(a, b)| a - b).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_narrow_valley_is_followed_to_its_end() {
        // Rosenbrock's function.
        let found = minimize(vec![-1.2, 1.0], 200, |x, gradient| {
            let (a, b) = (1.0 - x[0], x[1] - x[0] * x[0]);
            gradient.copy_from_slice(&[-2.0 * a - 400.0 * x[0] * b, 200.0 * b]);
            a * a + 100.0 * b * b
        });
        assert!((found[0] - 1.0).abs() < 1e-7 && (found[1] - 1.0).abs() < 1e-7, "{found:?}");
    }

    #[test]
    fn what_has_no_value_stays_where_it_is() {
        assert_eq!(minimize(vec![1.0], 10, |_, _| f64::NAN), [1.0]);
    }
}
