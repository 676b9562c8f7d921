//! Optimizer steps: one pass over a parameter, its gradient and its state, all in place.
//!
//! The formulas are PyTorch's. Every step takes a factor for the gradient, so that clipping by the global norm or
//! averaging over micro-batches costs no pass of its own. Muon, whose direction is that of a whole matrix, has one pass before
//! its products and one after.

mod adam;
mod lion;
mod muon;
mod sgd;

pub use adam::{Adam, adam_step};
pub use lion::{Lion, lion_step};
pub use muon::{Muon, QUINTIC, muon_step, orthogonalise};
pub use sgd::{Sgd, sgd_step};

use crate::{
    isa::kernel,
    par::{self, Cut, Rows},
    reduce::LANES,
};

/// Returns the sum of squares, in f64: the global norm is the root of its sum over all gradients.
pub fn sum_of_squares(x: &[f32]) -> f64 {
    par::run((), Cut::new(x.len(), 1), |range, ()| squares(&x[range])).into_iter().sum()
}

/// Moves `average` towards `x`: `average += (x - average) * (1 - decay)`.
pub fn ema_step(average: &mut [f32], x: &[f32], decay: f64) {
    assert_eq!(average.len(), x.len(), "average and values differ in size");
    // The difference is rounded, not the decay: of 0.9999 in f32 the share would be off in its fourth digit.
    let share = (1.0 - decay) as f32;
    let cut = Cut::new(x.len(), 1);
    par::run(Rows::new(average, 1), cut, |range, average| move_towards(average.data, &x[range], share));
}

kernel! {
    fn squares<A>(x: &[f32]) -> f64 {
        let mut lanes = [0.0f64; LANES];
        let (chunks, rest) = x.as_chunks::<LANES>();
        for chunk in chunks {
            for i in 0..LANES {
                lanes[i] += f64::from(chunk[i]) * f64::from(chunk[i]);
            }
        }
        lanes.iter().sum::<f64>() + rest.iter().map(|&v| f64::from(v) * f64::from(v)).sum::<f64>()
    }
}

kernel! {
    fn move_towards<A>(average: &mut [f32], x: &[f32], share: f32) {
        for (a, x) in average.iter_mut().zip(x) {
            *a = A::mul_add(*x - *a, share, *a);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{close, same_bits_with_one_and_two_threads, values, wide};

    #[test]
    fn sum_of_squares_does_not_overflow_or_hide_nan() {
        for len in [0, 1, 17, 40_001] {
            let x = values(len, 1);
            let expected: f64 = x.iter().map(|&v| f64::from(v).powi(2)).sum();
            assert!((sum_of_squares(&x) - expected).abs() <= 1e-12 * expected);
        }
        assert!(sum_of_squares(&[1e30; 4]).is_finite());
        assert!(sum_of_squares(&[1.0, f32::NAN]).is_nan());
    }

    #[test]
    fn ema_moves_by_its_share() {
        let mut average = [1.0, 2.0];
        ema_step(&mut average, &[3.0, 2.0], 0.75);
        assert_eq!(average, [1.5, 2.0]);
    }

    #[test]
    fn ema_stays_with_the_twin_over_many_steps() {
        for decay in [0.9, 0.999, 0.9999] {
            for len in [1, 17, 0] {
                let mut average = values(len, 1);
                let mut expected = wide(&average);
                for step in 0..5000 {
                    let x = values(len, 100 + step);
                    ema_step(&mut average, &x, decay);
                    let moved = expected.iter_mut().zip(wide(&x));
                    moved.for_each(|(average, x)| *average = decay * *average + (1.0 - decay) * x);
                }
                close(&average, &expected);
            }
        }
    }

    #[test]
    fn ema_hides_nothing() {
        for value in [f32::NAN, f32::INFINITY] {
            let mut average = [1.0, value, 1.0];
            ema_step(&mut average, &[value, 1.0, 1.0], 0.75);
            assert!(!average[0].is_finite() && !average[1].is_finite() && average[2] == 1.0, "{value}");
        }
    }

    #[test]
    fn bits_do_not_depend_on_threads() {
        let x = values(100_003, 1);
        same_bits_with_one_and_two_threads(|| {
            let mut average = x.clone();
            average.reverse();
            ema_step(&mut average, &x, 0.9);
            vec![average, vec![sum_of_squares(&x) as f32]]
        });
    }
}
