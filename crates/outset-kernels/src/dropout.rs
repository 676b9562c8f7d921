//! Dropout (arXiv 1207.0580) whose mask is a function of a key and the element's position.
//!
//! Nothing is stored for the backward pass, which recomputes the mask, and no thread waits for another's random
//! numbers: equal keys give equal masks on any number of threads.

use crate::{
    buf::uninit,
    isa::kernel,
    par::{self, Cut, Rows},
};

/// Returns `x` with each value zeroed with `probability` and the others divided by `1 - probability`.
///
/// The backward pass is the same function, with the same key, on the gradient.
pub fn dropout(x: &[f32], probability: f64, key: u64) -> Vec<f32> {
    let mut y = uninit(x.len());
    let keep = Keep::new(probability);
    par::run(Rows::new(&mut y, 1), Cut::new(x.len(), 1), |range, y| {
        let mut start = range.start;
        // Positions are 32-bit inside a block; each block of 2³² has a key of its own.
        let mut rest = y.data;
        while !rest.is_empty() {
            let (block, at) = ((start >> 32) as u64, start as u32);
            let len = rest.len().min((1usize << 32) - at as usize);
            let (now, later) = rest.split_at_mut(len);
            let key = key.wrapping_add(block.wrapping_mul(0x9e37_79b9_7f4a_7c15));
            apply(&x[start..start + len], now, at, key, keep);
            (rest, start) = (later, start + len);
        }
    });
    y
}

/// What is kept, and its factor.
#[derive(Clone, Copy)]
pub(crate) struct Keep {
    below: u32,
    factor: f32,
}

impl Keep {
    pub(crate) fn new(probability: f64) -> Keep {
        assert!(
            (0.0..=1.0).contains(&probability),
            "dropout probability {probability} is not between 0 and 1"
        );
        // A saturating conversion: with probability 0 one value in 2³² would go, were it not for the callers, who
        // skip dropout then.
        let below = ((1.0 - probability) * 4_294_967_296.0) as u32;
        let factor = if probability < 1.0 { (1.0 / (1.0 - probability)) as f32 } else { 0.0 };
        Keep { below, factor }
    }

    /// Drops some of `x`, whose first value stands at position `at`.
    pub(crate) fn apply_in_place(self, x: &mut [f32], at: u32, key: u64) {
        apply_in_place(x, at, key, self);
    }
}

/// Mixes 32 bits: every input bit changes each output bit with a probability near one half.
///
/// The constants are those of `lowbias32` from C. Wellons, "Prospecting for hash functions" (nullprogram.com, 2018).
#[inline(always)]
fn mix(x: u32) -> u32 {
    let x = (x ^ (x >> 16)).wrapping_mul(0x7feb_352d);
    let x = (x ^ (x >> 15)).wrapping_mul(0x846c_a68b);
    x ^ (x >> 16)
}

kernel! {
    fn apply<A>(x: &[f32], y: &mut [f32], at: u32, key: u64, keep: Keep) {
        let (low, high) = (key as u32, (key >> 32) as u32);
        for (i, (y, x)) in y.iter_mut().zip(x).enumerate() {
            let bits = mix(mix(at.wrapping_add(i as u32) ^ low) ^ high);
            // A product, so that a NaN is seen whether it is kept or not.
            *y = x * if bits < keep.below { keep.factor } else { 0.0 };
        }
    }
}

kernel! {
    fn apply_in_place<A>(x: &mut [f32], at: u32, key: u64, keep: Keep) {
        let (low, high) = (key as u32, (key >> 32) as u32);
        for (i, x) in x.iter_mut().enumerate() {
            let bits = mix(mix(at.wrapping_add(i as u32) ^ low) ^ high);
            *x *= if bits < keep.below { keep.factor } else { 0.0 };
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{same_bits_with_one_and_two_threads, values};

    #[test]
    fn zeroes_the_asked_share_and_keeps_the_mean() {
        for probability in [0.1, 0.5, 0.9] {
            let y = dropout(&vec![1.0; 400_000], probability, 7);
            let dropped = y.iter().filter(|&&v| v == 0.0).count() as f64 / y.len() as f64;
            let mean = y.iter().sum::<f32>() / y.len() as f32;
            assert!((dropped - probability).abs() < 3e-3, "{dropped}");
            assert!((mean - 1.0).abs() < 2e-2, "{mean}");
        }
    }

    #[test]
    fn masks_of_neighbouring_keys_and_positions_are_unrelated() {
        let masks: Vec<Vec<f32>> = (0..8).map(|key| dropout(&vec![1.0; 50_000], 0.5, key)).collect();
        let agreement = |a: &[f32], b: &[f32]| {
            a.iter().zip(b).filter(|(a, b)| a == b).count() as f64 / a.len().min(b.len()) as f64
        };
        for i in 1..8 {
            assert!((agreement(&masks[0], &masks[i]) - 0.5).abs() < 0.015);
            assert!((agreement(&masks[0], &masks[0][i..]) - 0.5).abs() < 0.015);
        }
    }

    #[test]
    fn the_same_key_gives_the_same_mask_on_any_part() {
        let x = values(100_000, 1);
        assert_eq!(dropout(&x, 0.3, 5)[..100], dropout(&x[..100], 0.3, 5));
        assert_ne!(dropout(&x, 0.3, 5), dropout(&x, 0.3, 6));
    }

    #[test]
    fn everything_goes_at_probability_one_and_nan_stays() {
        assert_eq!(dropout(&[1.0, 2.0], 1.0, 1), [0.0, 0.0]);
        assert!(dropout(&[f32::NAN; 9], 0.5, 1).iter().all(|v| v.is_nan()));
        assert!(dropout(&[], 0.5, 1).is_empty());
    }

    #[test]
    fn bits_do_not_depend_on_threads() {
        let x = values(300_001, 1);
        same_bits_with_one_and_two_threads(|| vec![dropout(&x, 0.2, 99)]);
    }
}
