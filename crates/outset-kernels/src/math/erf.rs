//! The error function and GELU.

use super::{exp, polynomial};
use crate::isa::Arithmetic;
use std::f32::consts::FRAC_1_SQRT_2;

/// `(erf(x) / x) - 1` as a polynomial in `x²` for `|x| <= 0.93`.
const SMALL: [f32; 6] =
    [1.283_791_5e-1, -3.761_249_5e-1, 1.128_180_2e-1, -2.676_553_7e-2, 4.990_934e-3, -5.976_654_4e-4];

/// `-ln(1 - erf(x)) / x - 1` for `0.92 <= x <= 4.1`.
const LARGE: [f32; 7] = [
    1.287_814_2e-1,
    6.346_313_4e-1,
    1.070_642_9e-1,
    -2.444_757_3e-2,
    3.954_299_7e-3,
    -3.966_538e-4,
    1.834_48e-5,
];

/// Returns the error function of `x`.
///
/// Below 0.925 it is an odd polynomial; above, `1 - exp(-x p(x))`, which keeps the error small where erf nears 1.
#[inline(always)]
pub(crate) fn erf<A: Arithmetic>(x: f32) -> f32 {
    let t = x.abs();
    // From here on erf is 1 in f32; a NaN stays.
    let t = if t > 4.1 { 4.1 } else { t };
    let large = (1.0 - exp::<A>(-A::mul_add(polynomial::<A, 7>(t, LARGE), t, t))).copysign(x);
    let small = A::mul_add(polynomial::<A, 6>(x * x, SMALL), x, x);
    if t < 0.925 { small } else { large }
}

/// Returns `x Φ(x) = x (1 + erf(x / √2)) / 2`, the exact GELU (arXiv 1606.08415).
#[inline(always)]
pub(crate) fn gelu<A: Arithmetic>(x: f32) -> f32 {
    let half = 0.5 * x;
    A::mul_add(half, erf::<A>(x * FRAC_1_SQRT_2), half)
}

/// Returns [`gelu`] and its derivative, `Φ(x) + x φ(x)`.
#[inline(always)]
pub(crate) fn gelu_and_gradient<A: Arithmetic>(x: f32) -> (f32, f32) {
    // 1 / √(2π)
    const SCALE: f32 = 0.398_942_3;
    let (half, erf) = (0.5 * x, erf::<A>(x * FRAC_1_SQRT_2));
    let cumulative = A::mul_add(0.5, erf, 0.5);
    (A::mul_add(half, erf, half), A::mul_add(x * SCALE, exp::<A>(-0.5 * x * x), cumulative))
}
