//! What the machine can do at most: a bare loop of fused multiply-adds, and a copy.

use crate::best;
use outset_kernels::isa;
use rayon::prelude::*;
use std::hint::black_box;

/// GFLOP/s of multiply-adds on all threads.
pub fn flops() -> f64 {
    let threads = rayon::current_num_threads();
    let loops = 2_000_000;
    let operations = multiply_add(1000) * loops as f64 / 1000.0 * threads as f64;
    operations / best(|| (0..threads).into_par_iter().for_each(|_| _ = multiply_add(loops))) * 1e-9
}

/// GB/s of a copy on all threads that reads and writes so many values together.
pub fn copy(values: usize) -> f64 {
    let len = (values / 2).max(1);
    let chunk = len.div_ceil(64).max(1 << 12);
    let (from, mut to) = (vec![1.0f32; len], vec![0.0f32; len]);
    let seconds = best(|| {
        to.par_chunks_mut(chunk)
            .zip(from.par_chunks(chunk))
            .for_each(|(to, from)| to.copy_from_slice(black_box(from)));
    });
    (8 * len) as f64 / seconds * 1e-9
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
