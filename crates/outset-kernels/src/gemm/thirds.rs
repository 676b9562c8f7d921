//! Factors as sums of three bf16: what each leaves of a value is rounded to the next, so that their sum has all bits of it.
//!
//! Of the nine products of two such sums, the three smallest are below 2⁻²⁴ of the whole, about what single precision rounds
//! off; the other six are made at the rate of bf16 (Henry, Tang and Heinecke 2019, <https://arxiv.org/abs/1904.06376>). Cells
//! lie in groups: [`GROUP`] of the first parts, as many of the second, as many of the third, for the same steps of the depth.

use super::pairs::bits;

/// Parts of a value.
pub(super) const PARTS: usize = 3;

/// Cells of one part that lie together, and values of the depth in them.
const GROUP: usize = 16;
const STEPS: usize = 2 * GROUP;

/// The parts of a value, from the largest; of one that is not finite, or rounds to no finite bf16, at least one is not finite.
fn parts(value: f32) -> [u32; PARTS] {
    let mut rest = value;
    std::array::from_fn(|_| {
        let part = bits(rest);
        rest -= f32::from_bits(part << 16);
        part
    })
}

/// Takes neighbouring values apart; those beyond them are zeros.
pub(super) fn values(values: &[f32], out: &mut [f32]) {
    #[cfg(target_arch = "x86_64")]
    if crate::precision::has_bf16() {
        // SAFETY: the level in use has the instructions.
        return unsafe { x86::values(values, out) };
    }
    plain_values(values, out);
}

fn plain_values(values: &[f32], out: &mut [f32]) {
    for (at, out) in out.as_chunks_mut::<{ PARTS * GROUP }>().0.iter_mut().enumerate() {
        for pair in 0..GROUP {
            let [early, late] =
                [0, 1].map(|next| parts(values.get(at * STEPS + 2 * pair + next).copied().unwrap_or(0.0)));
            for (part, (early, late)) in early.into_iter().zip(late).enumerate() {
                out[part * GROUP + pair] = f32::from_bits(early | late << 16);
            }
        }
    }
}

/// Takes neighbouring rows of `width` values apart that start `stride` apart; rows beyond them are zeros.
pub(super) fn rows(source: &[f32], stride: usize, rows: usize, out: &mut [f32], width: usize) {
    #[cfg(target_arch = "x86_64")]
    if crate::precision::has_bf16() && width.is_multiple_of(x86::LANES) {
        // SAFETY: the level in use has the instructions.
        return unsafe { x86::rows(source, stride, rows, out, width) };
    }
    plain_rows(source, stride, rows, out, width);
}

fn plain_rows(source: &[f32], stride: usize, rows: usize, out: &mut [f32], width: usize) {
    let mut cells = vec![0.0; out.len().checked_div(width).unwrap_or(0)];
    for column in 0..width {
        let values: Vec<f32> = (0..rows).map(|row| source[row * stride + column]).collect();
        plain_values(&values, &mut cells);
        for (out, cell) in out.iter_mut().skip(column).step_by(width).zip(&cells) {
            *out = *cell;
        }
    }
}

#[cfg(target_arch = "x86_64")]
mod x86 {
    pub(super) use super::super::pairs::x86::LANES;
    use super::{
        super::pairs::x86::{round, store, turns},
        GROUP, PARTS, STEPS,
    };
    use std::arch::x86_64::*;

    /// The parts of two vectors: those of `early` in the lower halves.
    #[target_feature(enable = "avx512f,avx512bw,avx512bf16")]
    #[inline]
    fn parts(early: &[f32; LANES], late: &[f32; LANES]) -> [__m512i; PARTS] {
        // SAFETY: both arrays have as many values as a vector.
        let (mut early, mut late) =
            unsafe { (_mm512_loadu_ps(early.as_ptr()), _mm512_loadu_ps(late.as_ptr())) };
        let mut parts = [_mm512_setzero_si512(); PARTS];
        for (at, part) in parts.iter_mut().enumerate() {
            *part = round(early, late);
            if at + 1 < PARTS {
                early = _mm512_sub_ps(early, widen(_mm512_castsi512_si256(*part)));
                late = _mm512_sub_ps(late, widen(_mm512_extracti64x4_epi64::<1>(*part)));
            }
        }
        parts
    }

    #[target_feature(enable = "avx512f")]
    #[inline]
    fn widen(halves: __m256i) -> __m512 {
        _mm512_castsi512_ps(_mm512_slli_epi32::<16>(_mm512_cvtepu16_epi32(halves)))
    }

    #[target_feature(enable = "avx512f,avx512bw,avx512bf16")]
    pub(super) fn values(values: &[f32], out: &mut [f32]) {
        for (at, out) in out.as_chunks_mut::<{ PARTS * GROUP }>().0.iter_mut().enumerate() {
            let mut filled = [0.0; STEPS];
            let rest = values.get(at * STEPS..).unwrap_or_default();
            let group = rest.first_chunk().unwrap_or_else(|| {
                filled[..rest.len()].copy_from_slice(rest);
                &filled
            });
            let [early, late] = group.as_chunks().0 else { unreachable!("a group is two vectors") };
            for (out, part) in out.as_chunks_mut().0.iter_mut().zip(parts(early, late)) {
                store(out, part);
            }
        }
    }

    #[target_feature(enable = "avx512f,avx512bw,avx512bf16")]
    pub(super) fn rows(source: &[f32], stride: usize, rows: usize, out: &mut [f32], width: usize) {
        let (turns, zeros) = (turns(), vec![0.0; width]);
        let part = GROUP * width;
        for (group, out) in out.chunks_exact_mut((PARTS * part).max(1)).enumerate() {
            for pair in 0..GROUP {
                let [early, late] = [0, 1].map(|next| match group * STEPS + 2 * pair + next {
                    row if row < rows => &source[row * stride..][..width],
                    _ => &zeros[..],
                });
                let vectors = early.as_chunks().0.iter().zip(late.as_chunks().0);
                for (at, (early, late)) in vectors.enumerate() {
                    for (number, cells) in parts(early, late).into_iter().enumerate() {
                        let out = out[number * part + pair * width + at * LANES..].first_chunk_mut();
                        store(out.expect("the cells fit"), _mm512_permutexvar_epi16(turns, cells));
                    }
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing;

    fn sum(parts: [u32; PARTS]) -> f64 {
        parts.into_iter().map(|part| f64::from(f32::from_bits(part << 16))).sum()
    }

    #[test]
    fn parts_sum_up_to_the_value() {
        for value in testing::values(1000, 1).into_iter().chain([0.0, -1.0, 1e30, 1e-30, f32::EPSILON]) {
            assert_eq!(sum(parts(value)), f64::from(value), "{value}");
        }
        for value in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY, f32::MAX] {
            assert!(!sum(parts(value)).is_finite(), "{value}");
        }
    }

    #[test]
    fn vectors_are_taken_apart_as_single_values_are() {
        let source = testing::values(37 * 70, 2);
        let bits = |cells: &[f32]| cells.iter().map(|cell| cell.to_bits()).collect::<Vec<_>>();
        for len in [0, 1, 31, 32, 33, 70] {
            let (mut got, mut expected) = (vec![1.0; 3 * 48], vec![1.0; 3 * 48]);
            values(&source[..len], &mut got);
            plain_values(&source[..len], &mut expected);
            assert_eq!(bits(&got), bits(&expected));
        }
        for count in [1, 2, 31, 37] {
            let (mut got, mut expected) = (vec![1.0; 2 * 48 * 32], vec![1.0; 2 * 48 * 32]);
            rows(&source, 70, count, &mut got, 32);
            plain_rows(&source, 70, count, &mut expected, 32);
            assert_eq!(bits(&got), bits(&expected));
            let mut turned = vec![1.0; 2 * 48];
            for column in 0..32 {
                let values_of_column: Vec<f32> = (0..count).map(|row| source[row * 70 + column]).collect();
                values(&values_of_column, &mut turned);
                let got: Vec<f32> = got.iter().skip(column).step_by(32).copied().collect();
                assert_eq!(bits(&got), bits(&turned));
            }
        }
    }
}
