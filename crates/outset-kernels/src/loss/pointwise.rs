//! Losses of single predictions: each has a target of its own.
//!
//! For predictions and targets `[rows, outputs]` and a weight `w` for each row, `loss = Σ w mean(l(p, t))`, the mean being
//! over a row's outputs. Formulas and slopes are those of PyTorch's `MSELoss`, `L1Loss`, `HuberLoss` and
//! `BCEWithLogitsLoss`.

use crate::{
    isa::{Arithmetic, kernel},
    math::{exp, sigmoid},
    par::{self, Cut, Rows},
    reduce::LANES,
};

/// What a prediction `p` loses by its target `t`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Pointwise {
    /// `(p − t)²`.
    Squared,
    /// `|p − t|`, with slope 0 where both are equal.
    Absolute,
    /// `e² / 2` for errors up to the given δ, `δ (|e| − δ / 2)` beyond.
    Huber(f64),
    /// `−(q t ln s + (1 − t) ln(1 − s))`, `s` the sigmoid of `p` and `q` the given weight of what is true.
    BinaryCrossEntropy(f64),
}

/// Returns the loss and turns the predictions into its gradient, in one pass; without `weights` every row counts alike and
/// all together 1.
///
/// # Panics
/// If sizes don't fit.
pub fn pointwise_in_place(
    loss: Pointwise,
    predictions: &mut [f32],
    outputs: usize,
    targets: &[f32],
    weights: Option<&[f32]>,
) -> f32 {
    assert_eq!(predictions.len(), targets.len(), "predictions and targets differ in size");
    let rows = par::whole_rows(targets.len(), outputs);
    assert!(weights.is_none_or(|weights| weights.len() == rows), "weights and targets differ in rows");
    let share = 1.0 / (outputs.max(1) * if weights.is_some() { 1 } else { rows.max(1) }) as f32;
    let cut = Cut::new(rows, 4 * outputs);
    let sums = par::run(Rows::new(predictions, outputs), cut, |range, predictions| {
        let targets = &targets[range.start * outputs..range.end * outputs];
        let weights = weights.map(|weights| &weights[range]);
        gradient_rows(loss, predictions.data, outputs, targets, weights, share)
    });
    sums.into_iter().sum::<f64>() as f32
}

kernel! {
    /// Turns predictions into the gradient and returns the sum of their weighted losses.
    fn gradient_rows<A>(
        loss: Pointwise,
        predictions: &mut [f32],
        outputs: usize,
        targets: &[f32],
        weights: Option<&[f32]>,
        share: f32,
    ) -> f64 {
        match loss {
            Pointwise::Squared => each_row(predictions, outputs, targets, weights, share, squared),
            Pointwise::Absolute => each_row(predictions, outputs, targets, weights, share, absolute),
            Pointwise::Huber(delta) => {
                let of = |p, t| huber(p, t, delta as f32);
                each_row(predictions, outputs, targets, weights, share, of)
            }
            Pointwise::BinaryCrossEntropy(weight) => {
                let of = |p, t| binary_cross_entropy::<A>(p, t, weight as f32);
                each_row(predictions, outputs, targets, weights, share, of)
            }
        }
    }
}

/// Goes over rows, `of` giving loss and slope of a prediction by its target.
#[inline(always)]
fn each_row(
    predictions: &mut [f32],
    outputs: usize,
    targets: &[f32],
    weights: Option<&[f32]>,
    share: f32,
    of: impl Fn(f32, f32) -> (f32, f32),
) -> f64 {
    match weights {
        // Values that count alike are one long row.
        None => each(predictions, targets, |_| share, of),
        Some(weights) if outputs == 1 => each(predictions, targets, |at| weights[at] * share, of),
        Some(weights) => {
            let rows = predictions.chunks_exact_mut(outputs.max(1)).zip(targets.chunks_exact(outputs.max(1)));
            let of_row = |((predictions, targets), weight): ((&mut [f32], &[f32]), &f32)| {
                each(predictions, targets, |_| weight * share, &of)
            };
            rows.zip(weights).map(of_row).sum()
        }
    }
}

/// Goes over values, the one at each place counting as `weight` says.
#[inline(always)]
fn each(
    predictions: &mut [f32],
    targets: &[f32],
    weight: impl Fn(usize) -> f32,
    of: impl Fn(f32, f32) -> (f32, f32),
) -> f64 {
    let mut lanes = [0.0f64; LANES];
    for (chunk, (predictions, targets)) in
        predictions.chunks_mut(LANES).zip(targets.chunks(LANES)).enumerate()
    {
        for (lane, (prediction, target)) in predictions.iter_mut().zip(targets).enumerate() {
            let (loss, slope) = of(*prediction, *target);
            let weight = weight(chunk * LANES + lane);
            lanes[lane] += f64::from(loss) * f64::from(weight);
            *prediction = slope * weight;
        }
    }
    lanes.iter().sum()
}

#[inline(always)]
fn squared(p: f32, t: f32) -> (f32, f32) {
    let error = p - t;
    (error * error, 2.0 * error)
}

#[inline(always)]
fn absolute(p: f32, t: f32) -> (f32, f32) {
    let error = p - t;
    // Zero has no sign here, unlike in `signum`, and a NaN keeps being one.
    let sign = if error == 0.0 || error.is_nan() { error } else { 1f32.copysign(error) };
    (error.abs(), sign)
}

#[inline(always)]
fn huber(p: f32, t: f32, delta: f32) -> (f32, f32) {
    let error = p - t;
    // Unlike `min` this keeps a NaN.
    let small = error.clamp(-delta, delta);
    (small * small * 0.5 + (error.abs() - small.abs()) * delta, small)
}

#[inline(always)]
fn binary_cross_entropy<A: Arithmetic>(p: f32, t: f32, positive_weight: f32) -> (f32, f32) {
    // −ln σ(p) = ln(1 + e^−p), and −ln(1 − σ(p)) = ln(1 + e^p).
    let rest = exp::<A>(-p.abs()).ln_1p();
    let (miss, alarm) = (rest + (-p).max(0.0), rest + p.max(0.0));
    let (missed, alarmed) = (positive_weight * t, 1.0 - t);
    (missed * miss + alarmed * alarm, alarmed * sigmoid::<A>(p) - missed * sigmoid::<A>(-p))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{check_gradient, close, refused, same_bits_with_one_and_two_threads, values, wide};

    const ALL: [Pointwise; 5] = [
        Pointwise::Squared,
        Pointwise::Absolute,
        Pointwise::Huber(0.3),
        Pointwise::BinaryCrossEntropy(1.0),
        Pointwise::BinaryCrossEntropy(3.0),
    ];

    /// The naive twin: loss and gradient.
    fn twin(loss: Pointwise, p: &[f64], outputs: usize, t: &[f64], weights: &[f64]) -> (f64, Vec<f64>) {
        let of = |p: f64, t: f64| match loss {
            Pointwise::Squared => ((p - t).powi(2), 2.0 * (p - t)),
            Pointwise::Absolute => ((p - t).abs(), if p == t { 0.0 } else { (p - t).signum() }),
            Pointwise::Huber(delta) if (p - t).abs() <= delta => ((p - t).powi(2) / 2.0, p - t),
            Pointwise::Huber(delta) => (delta * ((p - t).abs() - delta / 2.0), delta * (p - t).signum()),
            Pointwise::BinaryCrossEntropy(q) => {
                let softplus = |x: f64| x.max(0.0) + (-x.abs()).exp().ln_1p();
                let sigmoid = 1.0 / (1.0 + (-p).exp());
                (
                    q * t * softplus(-p) + (1.0 - t) * softplus(p),
                    (1.0 - t) * sigmoid - q * t * (1.0 - sigmoid),
                )
            }
        };
        let (mut sum, mut gradient) = (0.0, vec![]);
        for (at, (p, t)) in p.iter().zip(t).enumerate() {
            let ((loss, slope), share) = (of(*p, *t), weights[at / outputs] / outputs as f64);
            sum += share * loss;
            gradient.push(share * slope);
        }
        (sum, gradient)
    }

    fn made(rows: usize, outputs: usize) -> [Vec<f32>; 3] {
        let p = values(rows * outputs, 1).iter().map(|v| v * 4.0).collect();
        // Between 0 and 1, as labels are, and sometimes just what was foretold.
        let t = values(rows * outputs, 2).iter().map(|v| (v * 4.0).clamp(0.0, 1.0)).collect();
        [p, t, values(rows, 3).iter().map(|v| v.abs()).collect()]
    }

    #[test]
    fn matches_the_twin() {
        for (rows, outputs) in [(0, 1), (1, 1), (17, 1), (80, 1), (5, 3), (3, 16), (7, 37), (30_011, 1)] {
            let [p, t, weights] = made(rows, outputs);
            for loss in ALL {
                for weights in [None, Some(&weights[..])] {
                    let w64 = weights.map_or(vec![1.0 / rows.max(1) as f64; rows], wide);
                    let (expected, gradient) = twin(loss, &wide(&p), outputs, &wide(&t), &w64);
                    let mut dp = p.clone();
                    let got = pointwise_in_place(loss, &mut dp, outputs, &t, weights);
                    close(&[got], &[expected]);
                    close(&dp, &gradient);
                }
            }
        }
    }

    #[test]
    fn the_twin_s_gradient_is_a_slope() {
        let [p, t, weights] = made(7, 3).map(|values| wide(&values));
        for loss in ALL {
            let (_, gradient) = twin(loss, &p, 3, &t, &weights);
            check_gradient(&p, &gradient, |p| twin(loss, p, 3, &t, &weights).0);
        }
    }

    #[test]
    fn where_both_are_equal_there_is_no_slope() {
        for loss in [Pointwise::Squared, Pointwise::Absolute, Pointwise::Huber(1.0)] {
            let mut p = [0.5];
            assert_eq!((pointwise_in_place(loss, &mut p, 1, &[0.5], None), p), (0.0, [0.0]));
        }
    }

    #[test]
    fn large_logits_do_not_overflow() {
        for (t, loss, slope) in [(1.0, 0.0, 0.0), (0.0, 1000.0, 1.0)] {
            let mut p = [1000.0];
            let got = pointwise_in_place(Pointwise::BinaryCrossEntropy(1.0), &mut p, 1, &[t], None);
            assert_eq!((got, p), (loss, [slope]));
        }
    }

    #[test]
    fn nan_reaches_loss_and_gradient() {
        for loss in ALL {
            for at in 0..40 {
                let [mut p, t, weights] = made(40, 1);
                p[at] = f32::NAN;
                assert!(pointwise_in_place(loss, &mut p, 1, &t, Some(&weights)).is_nan(), "{loss:?}");
                assert!(p[at].is_nan(), "{loss:?}");
            }
        }
    }

    #[test]
    #[should_panic(expected = "weights and targets differ in rows")]
    fn weights_for_other_rows_are_refused() {
        pointwise_in_place(Pointwise::Squared, &mut [0.0; 4], 2, &[0.0; 4], Some(&[1.0; 3]));
    }

    #[test]
    fn a_row_that_is_not_whole_is_refused() {
        refused("the last row is not whole", || {
            pointwise_in_place(Pointwise::Squared, &mut [0.0; 5], 2, &[0.0; 5], None);
        });
    }

    #[test]
    fn bits_do_not_depend_on_threads() {
        let [p, t, weights] = made(100_003, 1);
        for loss in ALL {
            same_bits_with_one_and_two_threads(|| {
                let mut dp = p.clone();
                let loss = pointwise_in_place(loss, &mut dp, 1, &t, Some(&weights));
                vec![vec![loss], dp]
            });
        }
    }
}
