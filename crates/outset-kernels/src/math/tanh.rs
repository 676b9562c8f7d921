//! The hyperbolic tangent.

use super::{exp, polynomial};
use crate::isa::Arithmetic;

/// `(tanh(x) - x) / x³` as a polynomial in `x²` for `|x| <= 0.625`.
const SMALL: [f32; 5] = [-3.333_328_4e-1, 1.333_148_5e-1, -5.374_294e-2, 2.064_865_5e-2, -5.714_781_6e-3];

/// Returns `tanh(x)`: a polynomial near zero, where the quotient below would cancel.
#[inline(always)]
pub(crate) fn tanh<A: Arithmetic>(x: f32) -> f32 {
    let t = x.abs();
    let large = (1.0 - 2.0 / (exp::<A>(2.0 * t) + 1.0)).copysign(x);
    let s = x * x;
    let small = A::mul_add(polynomial::<A, 5>(s, SMALL) * s, x, x);
    if t < 0.625 { small } else { large }
}
