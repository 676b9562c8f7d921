//! The loops of AVX2 and AVX-512 in vector registers.

use super::{Depth, MOST_ROWS};
use std::arch::x86_64::*;

macro_rules! tile_loop {
    (
        $(#[$doc:meta])*
        $name:ident, $features:literal, $rows:literal x $vectors:literal of $lanes:literal, $unrolled:literal,
        $zero:ident, $load:ident, $splat:ident, $fma:ident, $sum:ident, $store:ident
    ) => {
        $(#[$doc])*
        ///
        /// # Safety
        /// The machine has the instructions, and every value addressed lies in its slice.
        #[target_feature(enable = $features)]
        // Some loops are not unrolled.
        #[allow(clippy::too_many_arguments, clippy::modulo_one)]
        pub(super) unsafe fn $name(
            depth: Depth,
            rows: [*const f32; MOST_ROWS],
            step: usize,
            b: *const f32,
            b_stride: usize,
            out: *mut f32,
            out_stride: usize,
            add: bool,
        ) {
            const PANEL: usize = $vectors * $lanes;
            /// Steps between two tests of the loop's end.
            const UNROLLED: usize = $unrolled;
            // The output is on its way while the sums are made.
            for i in 0..$rows {
                for j in 0..$vectors {
                    _mm_prefetch::<_MM_HINT_ET0>(out.wrapping_add(i * out_stride + j * $lanes).cast());
                }
            }
            let mut sums = [[$zero(); $vectors]; $rows];
            let mut b = b;
            // One step: distances that are constants become parts of the instructions.
            macro_rules! step {
                ($starts:ident, $at:expr, $b:expr) => {
                    let mut columns = [$zero(); $vectors];
                    for (j, columns) in columns.iter_mut().enumerate() {
                        // SAFETY: by this function's contract.
                        *columns = unsafe { $load($b.add(j * $lanes)) };
                    }
                    for (row, sums) in $starts.iter().zip(&mut sums) {
                        // SAFETY: as above.
                        let a = $splat(unsafe { *row.add($at) });
                        for (sum, columns) in sums.iter_mut().zip(columns) {
                            *sum = $fma(a, columns, *sum);
                        }
                    }
                };
            }
            macro_rules! run {
                ($starts:ident, $step:expr, $b_stride:expr) => {
                    let mut at = 0;
                    for _ in 0..depth.len / UNROLLED {
                        for i in 0..UNROLLED {
                            step!($starts, at + i * $step, b.wrapping_add(i * $b_stride));
                        }
                        b = b.wrapping_add(UNROLLED * $b_stride);
                        at += UNROLLED * $step;
                    }
                    for _ in 0..depth.len % UNROLLED {
                        step!($starts, at, b);
                        b = b.wrapping_add($b_stride);
                        at += $step;
                    }
                };
            }
            for block in 0..depth.blocks {
                for run in 0..depth.runs {
                    let starts = rows.map(|row| row.wrapping_add(block * depth.leap + run * depth.jump));
                    match (step, b_stride) {
                        (1, PANEL) => { run!(starts, 1, PANEL); }
                        ($rows, PANEL) => { run!(starts, $rows, PANEL); }
                        _ => { run!(starts, step, b_stride); }
                    }
                }
            }
            for (i, sums) in sums.into_iter().enumerate() {
                for (j, sum) in sums.into_iter().enumerate() {
                    // SAFETY: as above.
                    unsafe {
                        let out = out.add(i * out_stride + j * $lanes);
                        $store(out, if add { $sum($load(out), sum) } else { sum });
                    }
                }
            }
        }
    };
}

tile_loop! {
    /// Eight rows by 32 columns in 16 registers.
    avx512, "avx512f", 8 x 2 of 16, 4,
    _mm512_setzero_ps, _mm512_loadu_ps, _mm512_set1_ps, _mm512_fmadd_ps, _mm512_add_ps, _mm512_storeu_ps
}

#[target_feature(enable = "avx512f")]
#[inline]
fn pairs_of_all(cell: f32) -> __m512 {
    _mm512_castsi512_ps(_mm512_set1_epi32(cell.to_bits().cast_signed()))
}

/// Adds the products of 16 times two pairs of bf16.
#[target_feature(enable = "avx512f,avx512bf16")]
#[inline]
fn add_products_of_pairs(a: __m512, b: __m512, sum: __m512) -> __m512 {
    // SAFETY: both types are the same 512 bits, for which every pattern is valid.
    let [a, b] = [a, b].map(|cells| unsafe { std::mem::transmute::<__m512, __m512bh>(cells) });
    _mm512_dpbf16_ps(sum, a, b)
}

tile_loop! {
    /// Eight rows by 32 columns, each cell a pair of bf16.
    bf16, "avx512f,avx512bf16", 8 x 2 of 16, 4,
    _mm512_setzero_ps, _mm512_loadu_ps, pairs_of_all, add_products_of_pairs, _mm512_add_ps, _mm512_storeu_ps
}

tile_loop! {
    /// Six rows by 16 columns in 12 of 16 registers: of several steps at a time the compiler would keep more than that.
    avx2, "avx2,fma", 6 x 2 of 8, 1,
    _mm256_setzero_ps, _mm256_loadu_ps, _mm256_set1_ps, _mm256_fmadd_ps, _mm256_add_ps, _mm256_storeu_ps
}

tile_loop! {
    /// Four rows by 16 columns in 8 registers, where six would mostly lie beyond the last row.
    avx2_of_four, "avx2,fma", 4 x 2 of 8, 1,
    _mm256_setzero_ps, _mm256_loadu_ps, _mm256_set1_ps, _mm256_fmadd_ps, _mm256_add_ps, _mm256_storeu_ps
}
