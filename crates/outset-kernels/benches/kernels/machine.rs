//! What the machine can do at most: a bare loop of fused multiply-adds, and a copy.

use crate::best;
use outset_kernels::isa;
use rayon::prelude::*;
use std::hint::black_box;

/// GFLOP/s of multiply-adds and GB/s of a copy, on all threads.
pub fn peaks() -> (f64, f64) {
    let threads = rayon::current_num_threads();
    let loops = 2_000_000;
    let operations = multiply_add(1000) * loops as f64 / 1000.0 * threads as f64;
    let flops =
        operations / best(|| (0..threads).into_par_iter().for_each(|_| _ = multiply_add(loops))) * 1e-9;
    let (from, mut to) = (vec![1.0f32; 1 << 24], vec![0.0f32; 1 << 24]);
    let copy = best(|| {
        to.par_chunks_mut(1 << 18)
            .zip(from.par_chunks(1 << 18))
            .for_each(|(to, from)| to.copy_from_slice(from));
    });
    (flops, (8 << 24) as f64 / copy * 1e-9)
}

/// Runs `loops` times 12 chains of fused multiply-adds; returns the number of operations.
fn multiply_add(loops: usize) -> f64 {
    #[cfg(target_arch = "x86_64")]
    {
        use std::arch::x86_64::*;
        macro_rules! chains {
            ($name:ident, $features:literal, $set:ident, $fma:ident) => {
                #[target_feature(enable = $features)]
                fn $name(loops: usize) {
                    let (a, b) = ($set(black_box(0.999)), $set(black_box(0.001)));
                    let mut chains = [$set(1.0); 12];
                    for _ in 0..loops {
                        for chain in &mut chains {
                            *chain = $fma(*chain, a, b);
                        }
                    }
                    black_box(chains);
                }
            };
        }
        chains!(avx512, "avx512f", _mm512_set1_ps, _mm512_fmadd_ps);
        chains!(avx2, "avx2,fma", _mm256_set1_ps, _mm256_fmadd_ps);
        if isa::level() >= isa::Level::Avx512 {
            // SAFETY: the level in use exists.
            unsafe { avx512(loops) };
            return (loops * 12 * 16 * 2) as f64;
        }
        if isa::level() >= isa::Level::Avx2 {
            // SAFETY: as above.
            unsafe { avx2(loops) };
            return (loops * 12 * 8 * 2) as f64;
        }
    }
    let mut chains = [1.0f32; 48];
    let (a, b) = (black_box(0.999), black_box(0.001));
    for _ in 0..loops {
        for chain in &mut chains {
            *chain = *chain * a + b;
        }
    }
    black_box(chains);
    (loops * 48 * 2) as f64
}
