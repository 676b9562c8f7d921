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

/// A step that was made, and what it told of the curvature.
struct Step {
    /// How far the point moved.
    moved: Vec<f64>,
    /// How far the gradient turned.
    turned: Vec<f64>,
    /// One over their product.
    scale: f64,
}

/// A point with the value there and its gradient.
struct Point {
    x: Vec<f64>,
    gradient: Vec<f64>,
    value: f64,
}

impl Point {
    /// Moves here from `x` along a direction.
    fn go(
        &mut self,
        x: &[f64],
        length: f64,
        direction: &[f64],
        f: &mut impl FnMut(&[f64], &mut [f64]) -> f64,
    ) {
        self.x.copy_from_slice(x);
        add(&mut self.x, length, direction);
        self.value = f(&self.x, &mut self.gradient);
    }
}

/// Finds where `f` is least, starting from `start`; `f` writes the gradient and returns the value.
///
/// Stops where the gradient is flat, where a step could gain no more than rounding takes, or after `steps`. Points are used
/// again and again: with many parameters they are what takes the memory.
pub(crate) fn minimize(
    start: Vec<f64>,
    steps: usize,
    mut f: impl FnMut(&[f64], &mut [f64]) -> f64,
) -> Vec<f64> {
    let nowhere = || vec![0.0; start.len()];
    let (mut next, mut direction) = (Point { x: nowhere(), gradient: nowhere(), value: 0.0 }, nowhere());
    let mut here = Point { gradient: nowhere(), x: start, value: 0.0 };
    here.value = f(&here.x, &mut here.gradient);
    let mut memory: VecDeque<Step> = VecDeque::new();
    for _ in 0..steps {
        if !here.value.is_finite() || here.gradient.iter().all(|slope| slope.abs() <= FLAT) {
            break;
        }
        descend(&here.gradient, &memory, &mut direction);
        let mut slope = product(&direction, &here.gradient);
        if slope >= 0.0 {
            // Rounding has spoilt the memory.
            memory.clear();
            descend(&here.gradient, &memory, &mut direction);
            slope = -product(&here.gradient, &here.gradient);
        }
        // About twice what a step of length 1 can gain.
        if -slope <= GAIN * here.value.abs() {
            break;
        }
        let first = if memory.is_empty() { (1.0 / slope.abs().sqrt()).min(1.0) } else { 1.0 };
        if !search(&here, &direction, slope, first, &mut f, &mut next) {
            break;
        }
        let moved = || difference(&next.x, &here.x);
        let turned = || difference(&next.gradient, &here.gradient);
        let curvature: f64 = moved().zip(turned()).map(|(moved, turned)| moved * turned).sum();
        if curvature > 1e-12 * turned().map(|turned| turned * turned).sum::<f64>() {
            let oldest = if memory.len() == MEMORY { memory.pop_front() } else { None };
            let mut step = oldest.unwrap_or_else(|| Step { moved: vec![], turned: vec![], scale: 0.0 });
            step.moved.clear();
            step.moved.extend(moved());
            step.turned.clear();
            step.turned.extend(turned());
            step.scale = 1.0 / curvature;
            memory.push_back(step);
        }
        std::mem::swap(&mut here, &mut next);
    }
    here.x
}

/// The direction of the next step: minus the gradient, bent by what the last steps told of the curvature.
fn descend(gradient: &[f64], memory: &VecDeque<Step>, direction: &mut [f64]) {
    direction.iter_mut().zip(gradient).for_each(|(out, slope)| *out = -slope);
    let mut shares = Vec::with_capacity(memory.len());
    for Step { moved, turned, scale } in memory.iter().rev() {
        let share = scale * product(moved, direction);
        add(direction, -share, turned);
        shares.push(share);
    }
    if let Some(Step { turned, scale, .. }) = memory.back() {
        let stretch = 1.0 / (scale * product(turned, turned));
        direction.iter_mut().for_each(|value| *value *= stretch);
    }
    for (Step { moved, turned, scale }, share) in memory.iter().zip(shares.into_iter().rev()) {
        let back = scale * product(turned, direction);
        add(direction, share - back, moved);
    }
}

/// A step along `direction` that gains enough and flattens the slope enough (Wolfe's conditions), by halving and doubling;
/// tells whether there is one that gains at least.
fn search(
    here: &Point,
    direction: &[f64],
    slope: f64,
    first: f64,
    f: &mut impl FnMut(&[f64], &mut [f64]) -> f64,
    next: &mut Point,
) -> bool {
    let (mut low, mut high, mut length) = (0.0, f64::INFINITY, first);
    for _ in 0..TRIALS {
        next.go(&here.x, length, direction, f);
        if next.value <= here.value + 1e-4 * length * slope {
            if product(&next.gradient, direction) >= 0.9 * slope {
                return true;
            }
            low = length;
        } else {
            high = length;
        }
        length = if high.is_finite() { (low + high) / 2.0 } else { 2.0 * low };
    }
    if low > 0.0 {
        next.go(&here.x, low, direction, f);
    }
    low > 0.0
}

fn product(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

fn add(sums: &mut [f64], factor: f64, values: &[f64]) {
    sums.iter_mut().zip(values).for_each(|(sum, value)| *sum += factor * value);
}

fn difference(a: &[f64], b: &[f64]) -> impl Iterator<Item = f64> {
    a.iter().zip(b).map(|(a, b)| a - b)
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
