//! Factors rounded to bf16: two steps of the depth in each cell of 32 bits, the earlier one in the lower half.
//!
//! A cell travels as the bits of an `f32`, so that panels and rows of either precision are the same slices.

#[cfg(target_arch = "x86_64")]
use crate::precision::has_bf16;

/// Rounds to the nearest bf16, ties to even; a NaN stays one.
#[inline(always)]
pub(super) fn bits(x: f32) -> u32 {
    let bits = x.to_bits();
    let rounded = bits.wrapping_add(0x7fff + (bits >> 16 & 1)) >> 16;
    if x.is_nan() { bits >> 16 | 0x40 } else { rounded }
}

#[inline(always)]
fn cell(early: f32, late: f32) -> f32 {
    f32::from_bits(bits(early) | bits(late) << 16)
}

/// Pairs neighbouring values; the last of an odd number is paired with zero, and cells beyond it are zeros.
pub(crate) fn pair_values(values: &[f32], out: &mut [f32]) {
    #[cfg(target_arch = "x86_64")]
    if has_bf16() {
        // SAFETY: the level in use has the instructions.
        return unsafe { x86::pair_values(values, out) };
    }
    plain_values(values, out);
}

/// Pairs neighbouring rows of `width` values that start `stride` apart; the last of an odd number is paired with zeros,
/// and rows beyond it are zeros.
pub(crate) fn pair_rows(source: &[f32], stride: usize, rows: usize, out: &mut [f32], width: usize) {
    let whole = rows.div_ceil(2) * width;
    out[whole..].fill(0.0);
    #[cfg(target_arch = "x86_64")]
    if has_bf16() {
        // SAFETY: the level in use has the instructions.
        return unsafe { x86::pair_rows(source, stride, rows, &mut out[..whole], width) };
    }
    plain_rows(source, stride, rows, &mut out[..whole], width);
}

fn plain_values(values: &[f32], out: &mut [f32]) {
    let (pairs, rest) = values.as_chunks::<2>();
    let (whole, beyond) = out.split_at_mut(pairs.len());
    for (out, [early, late]) in whole.iter_mut().zip(pairs) {
        *out = cell(*early, *late);
    }
    beyond.fill(0.0);
    if let [last] = rest {
        beyond[0] = cell(*last, 0.0);
    }
}

fn plain_rows(source: &[f32], stride: usize, rows: usize, out: &mut [f32], width: usize) {
    for (pair, out) in out.chunks_exact_mut(width.max(1)).enumerate() {
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

#[cfg(target_arch = "x86_64")]
pub(super) mod x86 {
    use super::cell;
    use std::arch::x86_64::*;

    /// Values in a vector.
    pub(in super::super) const LANES: usize = 16;

    /// Rounds two vectors, those of `early` to the lower half. Values below the normal range become zeros.
    #[target_feature(enable = "avx512f,avx512bw,avx512bf16")]
    #[inline]
    pub(in super::super) fn round(early: __m512, late: __m512) -> __m512i {
        // SAFETY: both types are the same 512 bits.
        unsafe { std::mem::transmute::<__m512bh, __m512i>(_mm512_cvtne2ps_pbh(late, early)) }
    }

    /// Rounds two runs of values.
    #[target_feature(enable = "avx512f,avx512bw,avx512bf16")]
    #[inline]
    fn round_values(early: &[f32; LANES], late: &[f32; LANES]) -> __m512i {
        // SAFETY: both arrays have as many values as a vector.
        let (early, late) = unsafe { (_mm512_loadu_ps(early.as_ptr()), _mm512_loadu_ps(late.as_ptr())) };
        round(early, late)
    }

    /// The order that takes the halves of a vector in turns.
    #[target_feature(enable = "avx512f")]
    #[inline]
    pub(in super::super) fn turns() -> __m512i {
        let mut turns = [0u16; 2 * LANES];
        for (at, from) in turns.iter_mut().enumerate() {
            *from = (at / 2 + at % 2 * LANES) as u16;
        }
        // SAFETY: the array is as large as a vector.
        unsafe { _mm512_loadu_si512(turns.as_ptr().cast()) }
    }

    /// Writes cells.
    #[target_feature(enable = "avx512f")]
    #[inline]
    pub(in super::super) fn store(out: &mut [f32; LANES], cells: __m512i) {
        // SAFETY: the array has as many values as the vector.
        unsafe { _mm512_storeu_ps(out.as_mut_ptr(), _mm512_castsi512_ps(cells)) };
    }

    #[target_feature(enable = "avx512f,avx512bw,avx512bf16")]
    pub(super) fn pair_values(values: &[f32], out: &mut [f32]) {
        let (blocks, rest) = values.as_chunks::<{ 2 * LANES }>();
        let (whole, beyond) = out.split_at_mut(blocks.len() * LANES);
        for (out, block) in whole.as_chunks_mut::<LANES>().0.iter_mut().zip(blocks) {
            let [early, late] = block.as_chunks::<LANES>().0 else { unreachable!("a block is two vectors") };
            store(out, round_values(early, late));
        }
        super::plain_values(rest, beyond);
    }

    #[target_feature(enable = "avx512f,avx512bw,avx512bf16")]
    pub(super) fn pair_rows(source: &[f32], stride: usize, rows: usize, out: &mut [f32], width: usize) {
        let turns = turns();
        for (pair, out) in out.chunks_exact_mut(width.max(1)).enumerate() {
            let early = &source[2 * pair * stride..][..width];
            let late = if 2 * pair + 1 < rows { &source[(2 * pair + 1) * stride..][..width] } else { &[] };
            let ((early, early_rest), (late, late_rest)) =
                (early.as_chunks::<LANES>(), late.as_chunks::<LANES>());
            let (out, out_rest) = out.as_chunks_mut::<LANES>();
            for (at, (out, early)) in out.iter_mut().zip(early).enumerate() {
                let late = late.get(at).unwrap_or(&[0.0; LANES]);
                store(out, _mm512_permutexvar_epi16(turns, round_values(early, late)));
            }
            for (at, (out, early)) in out_rest.iter_mut().zip(early_rest).enumerate() {
                *out = cell(*early, late_rest.get(at).copied().unwrap_or(0.0));
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

    #[test]
    fn vectors_round_as_single_values_do() {
        let mut values = crate::testing::values(7 * 53, 3);
        values[5] = f32::NAN;
        values[60] = f32::NEG_INFINITY;
        let same = |got: &[f32], expected: &[f32]| {
            let bits = |cells: &[f32]| cells.iter().map(|cell| cell.to_bits()).collect::<Vec<_>>();
            assert_eq!(bits(got), bits(expected));
        };
        for len in [0, 1, 31, 32, 33, 371] {
            let (mut got, mut expected) = (vec![1.0; 200], vec![1.0; 200]);
            pair_values(&values[..len], &mut got);
            plain_values(&values[..len], &mut expected);
            same(&got, &expected);
        }
        for (rows, width) in [(1, 53), (2, 16), (7, 53), (6, 40)] {
            let (mut got, mut expected) = (vec![1.0; 5 * width], vec![0.0; 5 * width]);
            pair_rows(&values, 53, rows, &mut got, width);
            plain_rows(&values, 53, rows, &mut expected[..rows.div_ceil(2) * width], width);
            same(&got, &expected);
        }
    }
}
