//! Sums and maxima over a slice, in sixteen independent lanes.
//!
//! Several accumulators hide the latency of the addition and let the compiler use vectors; they also make the error
//! of a long sum smaller than that of a running total.

use crate::isa::Arithmetic;

/// Accumulators of a reduction: one AVX-512 register, two of AVX2.
pub(crate) const LANES: usize = 16;

/// Adds the lanes pairwise.
#[inline(always)]
pub(crate) fn add_lanes(lanes: [f32; LANES]) -> f32 {
    let mut lanes = lanes;
    let mut width = LANES / 2;
    while width > 0 {
        for i in 0..width {
            lanes[i] += lanes[i + width];
        }
        width /= 2;
    }
    lanes[0]
}

/// Returns the sum of `x`.
#[inline(always)]
pub(crate) fn sum(x: &[f32]) -> f32 {
    let mut lanes = [0.0; LANES];
    let (chunks, rest) = x.as_chunks::<LANES>();
    for chunk in chunks {
        for i in 0..LANES {
            lanes[i] += chunk[i];
        }
    }
    add_lanes(lanes) + rest.iter().sum::<f32>()
}

/// Returns the sum of `x[i] * y[i]`.
#[inline(always)]
pub(crate) fn dot<A: Arithmetic>(x: &[f32], y: &[f32]) -> f32 {
    let mut lanes = [0.0; LANES];
    let (x_chunks, x_rest) = x.as_chunks::<LANES>();
    let (y_chunks, y_rest) = y.as_chunks::<LANES>();
    for (a, b) in x_chunks.iter().zip(y_chunks) {
        for i in 0..LANES {
            lanes[i] = A::mul_add(a[i], b[i], lanes[i]);
        }
    }
    let rest: f32 = x_rest.iter().zip(y_rest).map(|(a, b)| a * b).sum();
    add_lanes(lanes) + rest
}

/// Returns the largest value of `x`; NaN wins, and an empty slice gives minus infinity.
#[inline(always)]
pub(crate) fn max(x: &[f32]) -> f32 {
    // A comparison with NaN is false, so `larger` keeps a NaN once it is in either place.
    let larger = |a: f32, b: f32| if a > b || a.is_nan() { a } else { b };
    let mut lanes = [f32::NEG_INFINITY; LANES];
    let (chunks, rest) = x.as_chunks::<LANES>();
    for chunk in chunks {
        for i in 0..LANES {
            lanes[i] = larger(lanes[i], chunk[i]);
        }
    }
    lanes.iter().chain(rest).copied().fold(f32::NEG_INFINITY, larger)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::isa::Fused;

    #[test]
    fn reductions_match_plain_loops() {
        for len in [0usize, 1, 15, 16, 17, 100] {
            let x: Vec<f32> = (0..len).map(|i| ((i * 37) % 11) as f32 - 5.0).collect();
            assert_eq!(sum(&x), x.iter().sum::<f32>());
            assert_eq!(dot::<Fused>(&x, &x), x.iter().map(|v| v * v).sum::<f32>());
            assert_eq!(max(&x), x.iter().copied().fold(f32::NEG_INFINITY, f32::max));
        }
    }

    #[test]
    fn a_nan_is_the_maximum() {
        for len in [1, 20, 33] {
            for at in 0..len {
                let mut x = vec![1.0; len];
                x[at] = f32::NAN;
                assert!(max(&x).is_nan());
            }
        }
    }
}
