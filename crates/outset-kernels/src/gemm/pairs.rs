//! Factors rounded to bf16: two steps of the depth in each cell of 32 bits, the earlier one in the lower half.
//!
//! A cell travels as the bits of an `f32`, so that panels and rows of either precision are the same slices.

use crate::isa::kernel;

/// Rounds to the nearest bf16, ties to even; a NaN stays one.
#[inline(always)]
fn bits(x: f32) -> u32 {
    let bits = x.to_bits();
    let rounded = bits.wrapping_add(0x7fff + (bits >> 16 & 1)) >> 16;
    if x.is_nan() { bits >> 16 | 0x40 } else { rounded }
}

#[inline(always)]
fn cell(early: f32, late: f32) -> f32 {
    f32::from_bits(bits(early) | bits(late) << 16)
}

kernel! {
    /// Pairs neighbouring values; the last of an odd number is paired with zero.
    pub(super) fn pair_values<A>(values: &[f32], out: &mut [f32]) {
        let (pairs, rest) = values.as_chunks::<2>();
        for (out, [early, late]) in out.iter_mut().zip(pairs) {
            *out = cell(*early, *late);
        }
        if let [last] = rest {
            out[pairs.len()] = cell(*last, 0.0);
        }
    }
}

kernel! {
    /// Pairs neighbouring rows of `width` values that start `stride` apart; the last of an odd number is paired with
    /// zeros.
    pub(crate) fn pair_rows<A>(source: &[f32], stride: usize, rows: usize, out: &mut [f32], width: usize) {
        for (pair, out) in out.chunks_exact_mut(width).enumerate() {
            let early = &source[2 * pair * stride..][..width];
            if 2 * pair + 1 < rows {
                let late = &source[(2 * pair + 1) * stride..][..width];
                for ((out, early), late) in out.iter_mut().zip(early).zip(late) {
                    *out = cell(*early, *late);
                }
            } else {
                out.iter_mut().zip(early).for_each(|(out, early)| *out = cell(*early, 0.0));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rounding_is_to_the_nearest_even_and_keeps_what_is_not_finite() {
        // 1 + 2^-8 lies between two values, of which 1 is the even one; 1 + 3 * 2^-8 goes up.
        let step = 1.0 / 256.0;
        for (value, expected) in
            [(1.0, 0x3f80), (1.0 + step, 0x3f80), (1.0 + 3.0 * step, 0x3f82), (-2.5, 0xc020)]
        {
            assert_eq!(bits(value), expected);
        }
        assert_eq!(bits(f32::INFINITY), 0x7f80);
        for nan in [f32::NAN, f32::from_bits(0x7fff_ffff), f32::from_bits(0xff80_0001)] {
            assert!(f32::from_bits(bits(nan) << 16).is_nan());
        }
    }
}
