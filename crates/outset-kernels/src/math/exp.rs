//! The exponential and what is built on it.

use super::polynomial;
use crate::isa::Arithmetic;

/// `(exp(r) - 1 - r) / r²` for `|r| <= ln(2) / 2`, relative error of the whole 3e-9.
const TAIL: [f32; 5] = [0.5, 1.666_652e-1, 4.166_620_6e-2, 8.368_882e-3, 1.395_048e-3];

/// `ln(2)` in two parts, the first with enough trailing zeros that a small integer times it is exact.
const LN_2: (f32, f32) = (0.693_359_4, -2.121_944_4e-4);

/// Adding this to a value below 2²² rounds it to an integer, which is left in the low bits.
const ROUND: f32 = 12_582_912.0;

/// Returns `2^k` for `|k| <= 126`.
#[inline(always)]
fn power_of_two(k: i32) -> f32 {
    f32::from_bits(((k + 127) << 23) as u32)
}

/// Returns `exp(x)`: infinity above 88.72, zero below -103.97.
///
/// With `k = round(x / ln 2)` and `r = x - k ln 2` it is `2^k exp(r)`. The power is applied in two steps, so that
/// results near either end of the range come out right.
#[inline(always)]
pub(crate) fn exp<A: Arithmetic>(x: f32) -> f32 {
    // Written as selections that keep a NaN.
    let x = if x > 89.0 { 89.0 } else { x };
    let x = if x < -104.0 { -104.0 } else { x };
    let rounded = A::mul_add(x, std::f32::consts::LOG2_E, ROUND);
    let k = rounded - ROUND;
    let r = A::mul_add(k, -LN_2.1, A::mul_add(k, -LN_2.0, x));
    let e = A::mul_add(polynomial::<A, 5>(r, TAIL), r * r, r) + 1.0;
    let k = (rounded.to_bits() as i32).wrapping_sub(ROUND.to_bits() as i32);
    // A NaN leaves an arbitrary `k`; masking keeps the shifts in range and the NaN is in `e`.
    let half = (k >> 1).clamp(-126, 126);
    let other = k.wrapping_sub(half).clamp(-126, 126);
    e * power_of_two(half) * power_of_two(other)
}

/// Returns `1 / (1 + exp(-x))`.
#[inline(always)]
pub(crate) fn sigmoid<A: Arithmetic>(x: f32) -> f32 {
    1.0 / (1.0 + exp::<A>(-x))
}

/// Returns `x * sigmoid(x)`.
#[inline(always)]
pub(crate) fn silu<A: Arithmetic>(x: f32) -> f32 {
    x * sigmoid::<A>(x)
}

/// Returns [`silu`] and its derivative, `s + x s (1 - s)` with `s = sigmoid(x)`.
#[inline(always)]
pub(crate) fn silu_and_gradient<A: Arithmetic>(x: f32) -> (f32, f32) {
    let s = sigmoid::<A>(x);
    (x * s, A::mul_add(x * s, 1.0 - s, s))
}
