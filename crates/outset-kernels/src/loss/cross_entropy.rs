//! Softmax cross-entropy over rows, with row weights and label smoothing.
//!
//! For logits `x [rows, classes]`, a target class `t` and a weight `w` for each row, and smoothing `s`,
//! `loss = Σ w (lse(x) - (1 - s) x_t - s mean(x)) / Σ w`, where `lse` is the logarithm of the sum of exponentials:
//! PyTorch's `cross_entropy` with the mean over rows. A negative target leaves its row out, as a weight of zero does;
//! where nothing is left the loss and its gradient are zero.

use crate::{
    isa::{Arithmetic, kernel},
    math::exp,
    par::{self, Cut, Rows},
    reduce::{LANES, add_lanes, max, sum},
};

/// Returns the loss and turns the logits into its gradient, in one pass.
///
/// # Panics
/// If a target is not below the number of classes, or sizes don't fit.
pub fn cross_entropy_in_place(
    logits: &mut [f32],
    classes: usize,
    targets: &[i64],
    weights: Option<&[f32]>,
    smoothing: f32,
) -> f32 {
    assert_eq!(logits.len(), targets.len() * classes, "logits and targets differ in rows");
    let weighing = Weighing::new(targets, weights, classes);
    weighing.mean(gradient_rows(logits, classes, 0, &weighing, smoothing))
}

/// Returns the loss alone, for evaluation.
///
/// # Panics
/// If a target is not below the number of classes, or sizes don't fit.
pub fn cross_entropy(
    logits: &[f32],
    classes: usize,
    targets: &[i64],
    weights: Option<&[f32]>,
    smoothing: f32,
) -> f32 {
    assert_eq!(logits.len(), targets.len() * classes, "logits and targets differ in rows");
    let weighing = Weighing::new(targets, weights, classes);
    weighing.mean(loss_rows(logits, classes, 0, &weighing, smoothing))
}

/// What each row aims at and how much it counts.
pub(super) struct Weighing<'a> {
    targets: &'a [i64],
    weights: Option<&'a [f32]>,
    total: f64,
}

impl<'a> Weighing<'a> {
    /// Checks targets and weights against each other and adds the weights up.
    pub(super) fn new(targets: &'a [i64], weights: Option<&'a [f32]>, classes: usize) -> Self {
        assert!(weights.is_none_or(|w| w.len() == targets.len()), "weights and targets differ in rows");
        let highest = targets.iter().copied().max().unwrap_or(-1);
        assert!(highest < classes as i64, "target {highest} is not below {classes} classes");
        let mut weighing = Weighing { targets, weights, total: 0.0 };
        weighing.total = (0..targets.len()).map(|row| f64::from(weighing.of(row))).sum();
        weighing
    }

    fn of(&self, row: usize) -> f32 {
        if self.targets[row] < 0 { 0.0 } else { self.weights.map_or(1.0, |w| w[row]) }
    }

    /// Divides a weighted sum of losses by the total weight; nothing weighed is nothing lost.
    pub(super) fn mean(&self, sum: f64) -> f32 {
        if self.total == 0.0 { 0.0 } else { (sum / self.total) as f32 }
    }
}

/// Turns rows of logits, the first of them row `first` of the batch, into the gradient of the mean loss; returns their
/// weighted sum of losses.
pub(super) fn gradient_rows(
    logits: &mut [f32],
    classes: usize,
    first: usize,
    weighing: &Weighing,
    smoothing: f32,
) -> f64 {
    let cut = Cut::new(logits.len() / classes.max(1), 4 * classes);
    let sums = par::run(Rows::new(logits, classes), cut, |range, rows| {
        gradient_rows_here(rows.data, classes, first + range.start, weighing, smoothing)
    });
    sums.into_iter().sum()
}

/// The same on the calling thread.
pub(super) fn gradient_rows_here(
    logits: &mut [f32],
    classes: usize,
    first: usize,
    weighing: &Weighing,
    smoothing: f32,
) -> f64 {
    let mut sum = 0.0;
    for (row, x) in logits.chunks_exact_mut(classes.max(1)).enumerate() {
        let weight = f64::from(weighing.of(first + row));
        if weight == 0.0 {
            x.fill(0.0);
        } else {
            let (target, scale) = (weighing.targets[first + row] as usize, (weight / weighing.total) as f32);
            sum += weight * f64::from(gradient_row(x, target, smoothing, scale));
        }
    }
    sum
}

/// Returns the weighted sum of losses of rows of logits, the first of them row `first` of the batch.
pub(super) fn loss_rows(
    logits: &[f32],
    classes: usize,
    first: usize,
    weighing: &Weighing,
    smoothing: f32,
) -> f64 {
    let cut = Cut::new(logits.len() / classes.max(1), 4 * classes);
    let sums = par::run((), cut, |range, ()| {
        let logits = &logits[range.start * classes..range.end * classes];
        loss_rows_here(logits, classes, first + range.start, weighing, smoothing)
    });
    sums.into_iter().sum()
}

/// The same on the calling thread.
pub(super) fn loss_rows_here(
    logits: &[f32],
    classes: usize,
    first: usize,
    weighing: &Weighing,
    smoothing: f32,
) -> f64 {
    let mut sum = 0.0;
    for (row, x) in logits.chunks_exact(classes.max(1)).enumerate() {
        let weight = weighing.of(first + row);
        if weight != 0.0 {
            let target = weighing.targets[first + row] as usize;
            sum += f64::from(weight) * f64::from(loss_row(x, target, smoothing));
        }
    }
    sum
}

kernel! {
    /// Turns a row of logits into `scale` times the gradient of its loss, and returns the loss.
    fn gradient_row<A>(x: &mut [f32], target: usize, smoothing: f32, scale: f32) -> f32 {
        let classes = x.len() as f32;
        let (x_target, x_mean) = (x[target], if smoothing == 0.0 { 0.0 } else { sum(x) / classes });
        let largest = max(x);
        let total = exp_and_sum::<A>(x, largest);
        let (factor, shift) = (scale / total, scale * smoothing / classes);
        for v in x.iter_mut() {
            *v = A::mul_add(*v, factor, -shift);
        }
        x[target] -= scale * (1.0 - smoothing);
        row_loss(total, largest, x_target, x_mean, smoothing)
    }
}

kernel! {
    /// Returns the loss of a row.
    fn loss_row<A>(x: &[f32], target: usize, smoothing: f32) -> f32 {
        let x_mean = if smoothing == 0.0 { 0.0 } else { sum(x) / x.len() as f32 };
        let largest = max(x);
        let mut lanes = [0.0; LANES];
        let (chunks, rest) = x.as_chunks::<LANES>();
        for chunk in chunks {
            for i in 0..LANES {
                lanes[i] += exp::<A>(chunk[i] - largest);
            }
        }
        let mut total = add_lanes(lanes);
        for v in rest {
            total += exp::<A>(v - largest);
        }
        row_loss(total, largest, x[target], x_mean, smoothing)
    }
}

#[inline(always)]
fn row_loss(total: f32, largest: f32, x_target: f32, x_mean: f32, smoothing: f32) -> f32 {
    // Each difference to the largest logit is small where their sum with it would not be.
    let to_target = (1.0 - smoothing) * (largest - x_target);
    let to_mean = if smoothing == 0.0 { 0.0 } else { smoothing * (largest - x_mean) };
    total.ln() + to_target + to_mean
}

/// Multiplies each value by a factor: a gradient by that of what comes after the loss.
pub fn scale(x: &mut [f32], factor: f32) {
    let cut = Cut::new(x.len(), 1);
    par::run(Rows::new(x, 1), cut, |_, x| multiply(x.data, factor));
}

kernel! {
    fn multiply<A>(x: &mut [f32], factor: f32) {
        for v in x {
            *v *= factor;
        }
    }
}

/// Replaces `x` by `exp(x - shift)` and returns the sum.
#[inline(always)]
pub(crate) fn exp_and_sum<A: Arithmetic>(x: &mut [f32], shift: f32) -> f32 {
    exp_and_sum_scaled::<A>(x, 1.0, shift)
}

/// Replaces `x` by `exp(x * factor - shift)` and returns the sum.
#[inline(always)]
pub(crate) fn exp_and_sum_scaled<A: Arithmetic>(x: &mut [f32], factor: f32, shift: f32) -> f32 {
    let mut lanes = [0.0; LANES];
    let (chunks, rest) = x.as_chunks_mut::<LANES>();
    for chunk in chunks {
        for i in 0..LANES {
            chunk[i] = exp::<A>(A::mul_add(chunk[i], factor, -shift));
            lanes[i] += chunk[i];
        }
    }
    let mut total = add_lanes(lanes);
    for v in rest {
        *v = exp::<A>(A::mul_add(*v, factor, -shift));
        total += *v;
    }
    total
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::testing::{check_gradient, close, same_bits_with_one_and_two_threads, values, wide};

    /// The naive twin: loss and gradient.
    pub(in crate::loss) fn twin(
        x: &[f64],
        classes: usize,
        targets: &[i64],
        weights: &[f64],
        smoothing: f64,
    ) -> (f64, Vec<f64>) {
        let weight = |r: usize| if targets[r] < 0 { 0.0 } else { weights[r] };
        let total: f64 = (0..targets.len()).map(weight).sum();
        let (mut loss, mut gradient) = (0.0, vec![]);
        for (r, row) in x.chunks(classes).enumerate() {
            let largest = row.iter().copied().fold(f64::MIN, f64::max);
            let lse = largest + row.iter().map(|v| (v - largest).exp()).sum::<f64>().ln();
            for (c, &v) in row.iter().enumerate() {
                let wanted = f64::from(u8::from(targets[r] == c as i64)) * (1.0 - smoothing)
                    + smoothing / classes as f64;
                let scale = if total == 0.0 { 0.0 } else { weight(r) / total };
                loss += scale * wanted * (lse - v);
                gradient.push(scale * ((v - lse).exp() - wanted));
            }
        }
        (loss, gradient)
    }

    fn targets(rows: usize, classes: usize) -> Vec<i64> {
        (0..rows).map(|r| if r % 5 == 4 { -1 } else { (r * 7 % classes) as i64 }).collect()
    }

    #[test]
    fn matches_the_twin() {
        for (rows, classes) in [(1, 1), (3, 2), (17, 10), (5, 33), (200, 129), (0, 4)] {
            for smoothing in [0.0, 0.1] {
                let x: Vec<f32> = values(rows * classes, 1).iter().map(|v| v * 4.0).collect();
                let weights: Vec<f32> = values(rows, 2).iter().map(|v| v.abs()).collect();
                let t = targets(rows, classes);
                for weights in [None, Some(&weights[..])] {
                    let w64 = weights.map_or(vec![1.0; rows], wide);
                    let (loss, gradient) = twin(&wide(&x), classes, &t, &w64, f64::from(smoothing));
                    let mut dx = x.clone();
                    let got = cross_entropy_in_place(&mut dx, classes, &t, weights, smoothing);
                    close(&dx, &gradient);
                    if classes > 1 {
                        close(&[got], &[loss]);
                        close(&[cross_entropy(&x, classes, &t, weights, smoothing)], &[loss]);
                    }
                }
            }
        }
    }

    #[test]
    fn the_twin_s_gradient_is_a_slope() {
        let x = wide(&values(5 * 4, 1));
        let (t, weights) = (targets(5, 4), [0.5, 1.0, 2.0, 0.0, 1.0]);
        let (_, gradient) = twin(&x, 4, &t, &weights, 0.1);
        check_gradient(&x, &gradient, |x| twin(x, 4, &t, &weights, 0.1).0);
    }

    #[test]
    fn large_logits_do_not_overflow() {
        let mut x = [1000.0, 999.0, -1000.0];
        let loss = cross_entropy_in_place(&mut x, 3, &[1], None, 0.0);
        close(&[loss], &[1.0 + (1.0 + (-1f64).exp()).ln()]);
        assert!(x.iter().all(|v| v.is_finite()));
    }

    #[test]
    fn nothing_to_learn_from_is_a_loss_of_zero() {
        let mut x = [1.0, 2.0];
        assert_eq!(cross_entropy_in_place(&mut x, 2, &[-1], None, 0.0), 0.0);
        assert_eq!(x, [0.0, 0.0]);
    }

    #[test]
    fn nan_reaches_the_loss() {
        for at in 0..40 {
            let mut x = values(40, 1);
            x[at] = f32::NAN;
            assert!(cross_entropy(&x, 20, &[0, 3], None, 0.0).is_nan());
            assert!(cross_entropy_in_place(&mut x, 20, &[0, 3], None, 0.0).is_nan());
        }
    }

    #[test]
    #[should_panic(expected = "target 3 is not below 3 classes")]
    fn a_target_beyond_the_classes_is_refused() {
        cross_entropy(&[0.0; 3], 3, &[3], None, 0.0);
    }

    #[test]
    fn bits_do_not_depend_on_threads() {
        let (x, t) = (values(1000 * 50, 1), targets(1000, 50));
        same_bits_with_one_and_two_threads(|| {
            let mut dx = x.clone();
            let loss = cross_entropy_in_place(&mut dx, 50, &t, None, 0.1);
            vec![vec![loss, cross_entropy(&x, 50, &t, None, 0.1)], dx]
        });
    }
}
