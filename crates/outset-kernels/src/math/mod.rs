//! Elementary functions on one value, written so that a loop over them becomes vector code.
//!
//! Everything is branch-free and `#[inline(always)]`. Coefficients are minimax polynomials printed by
//! `scripts/math_coefficients.py`; the tests state each function's error in units in the last place (ulp).

mod erf;
mod exp;
mod tanh;

pub(crate) use erf::{erf, gelu, gelu_and_gradient};
pub(crate) use exp::{exp, sigmoid, silu, silu_and_gradient};
pub(crate) use tanh::tanh;

use crate::isa::{Arithmetic, kernel};

/// Evaluates a polynomial by Horner's rule, coefficients lowest degree first.
#[inline(always)]
fn polynomial<A: Arithmetic, const N: usize>(x: f32, coefficients: [f32; N]) -> f32 {
    let mut sum = coefficients[N - 1];
    for i in (0..N - 1).rev() {
        sum = A::mul_add(sum, x, coefficients[i]);
    }
    sum
}

kernel! {
    /// Replaces each value by its exponential.
    pub fn exp_slice<A>(x: &mut [f32]) {
        for v in x {
            *v = exp::<A>(*v);
        }
    }
}

kernel! {
    /// Replaces each value by its hyperbolic tangent.
    pub fn tanh_slice<A>(x: &mut [f32]) {
        for v in x {
            *v = tanh::<A>(*v);
        }
    }
}

kernel! {
    /// Replaces each value by its error function.
    pub fn erf_slice<A>(x: &mut [f32]) {
        for v in x {
            *v = erf::<A>(*v);
        }
    }
}

kernel! {
    /// Replaces each value by its logistic sigmoid.
    pub fn sigmoid_slice<A>(x: &mut [f32]) {
        for v in x {
            *v = sigmoid::<A>(*v);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{erf64, ulps};

    /// Asserts that `fast` stays within `limit` ulp of `exact` on half a million points of `[lo, hi]`.
    fn check(fast: fn(&mut [f32]), exact: fn(f64) -> f64, (lo, hi): (f64, f64), limit: f64) {
        let steps = 500_000;
        let points: Vec<f32> =
            (0..=steps).map(|i| (lo + (hi - lo) * i as f64 / steps as f64) as f32).collect();
        let mut results = points.clone();
        fast(&mut results);
        let (worst, at) = points.iter().zip(&results).fold((0.0, 0.0), |(worst, at), (&x, &y)| {
            let error = ulps(y, exact(x.into()));
            if error > worst { (error, x) } else { (worst, at) }
        });
        assert!(worst <= limit, "{worst} ulp at {at}");
    }

    #[test]
    fn exp_is_within_one_and_a_quarter_ulp() {
        check(exp_slice, f64::exp, (-87.0, 88.7), 1.25);
        check(exp_slice, f64::exp, (-1.0, 1.0), 1.25);
    }

    #[test]
    fn exp_underflows_gradually() {
        check(exp_slice, f64::exp, (-103.0, -87.0), 1.5);
    }

    #[test]
    fn erf_is_within_two_ulp() {
        check(erf_slice, erf64, (-5.0, 5.0), 2.0);
        check(erf_slice, erf64, (-1e-3, 1e-3), 2.0);
    }

    #[test]
    fn tanh_is_within_two_ulp() {
        check(tanh_slice, f64::tanh, (-12.0, 12.0), 2.0);
        check(tanh_slice, f64::tanh, (-1e-3, 1e-3), 2.0);
    }

    #[test]
    fn sigmoid_is_within_three_ulp() {
        check(sigmoid_slice, |x| 1.0 / (1.0 + (-x).exp()), (-85.0, 85.0), 3.0);
    }

    #[test]
    fn infinities_and_nan_go_through() {
        let through = |f: fn(&mut [f32])| {
            let mut x = [f32::INFINITY, f32::NEG_INFINITY, f32::NAN];
            f(&mut x);
            x
        };
        for (f, up, down) in [
            (exp_slice as fn(&mut [f32]), f32::INFINITY, 0.0),
            (tanh_slice, 1.0, -1.0),
            (erf_slice, 1.0, -1.0),
            (sigmoid_slice, 1.0, 0.0),
        ] {
            let [a, b, c] = through(f);
            assert_eq!((a, b), (up, down));
            assert!(c.is_nan());
        }
    }
}
