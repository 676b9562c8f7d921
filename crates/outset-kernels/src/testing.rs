//! What the tests of several modules share: made-up data, comparisons, and pools of one and of two threads.

use crate::{
    par,
    precision::{self, Precision},
};

/// Returns `len` reproducible values in `[-1, 1)`.
pub(crate) fn values(len: usize, seed: u64) -> Vec<f32> {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    (0..len)
        .map(|_| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            ((state >> 40) as f32) / (1u64 << 23) as f32 - 1.0
        })
        .collect()
}

/// Widens to f64.
pub(crate) fn wide(x: &[f32]) -> Vec<f64> {
    x.iter().map(|&v| v.into()).collect()
}

/// Asserts that `got` is within 2e-6 of `expected`, relative to its largest value.
#[track_caller]
pub(crate) fn close(got: &[f32], expected: &[f64]) {
    close_within(got, expected, 2e-6);
}

/// Asserts that `got` is within `tolerance` of `expected`, relative to its largest value.
#[track_caller]
pub(crate) fn close_within(got: &[f32], expected: &[f64], tolerance: f64) {
    assert_eq!(got.len(), expected.len());
    let largest = expected.iter().fold(1e-30, |m: f64, v| m.max(v.abs()));
    for (i, (&g, &e)) in got.iter().zip(expected).enumerate() {
        let error = (f64::from(g) - e).abs() / largest;
        assert!(error <= tolerance, "value {i}: {g} instead of {e}, relative error {error:.2e}");
    }
}

/// Asserts that in bf16 each output of `function` is within 1e-2 of what is expected, relative to its largest value, and that
/// it was rounded: none is what single precision gives.
#[track_caller]
pub(crate) fn close_in_bf16(function: impl Fn() -> Vec<Vec<f32>>, expected: &[Vec<f64>]) {
    let got = precision::with(Precision::Bf16, &function);
    assert_eq!(got.len(), expected.len());
    for (at, ((got, single), expected)) in got.iter().zip(function()).zip(expected).enumerate() {
        close_within(got, expected, 1e-2);
        assert!(*got != single, "output {at} was not rounded");
    }
}

/// Asserts that `gradient` is the derivative of `function` at `x`, by central differences in f64.
///
/// The function is a naive twin; that the fast kernel's gradient is right follows from its closeness to the twin's.
#[track_caller]
pub(crate) fn check_gradient(x: &[f64], gradient: &[f64], function: impl Fn(&[f64]) -> f64) {
    let largest = gradient.iter().fold(1e-3, |m: f64, v| m.max(v.abs()));
    for (i, (slope, gradient)) in slopes(x, function).into_iter().zip(gradient).enumerate() {
        assert!((slope - gradient).abs() <= 1e-6 * largest, "input {i}: {gradient} instead of {slope}");
    }
}

/// Returns the derivative of `function` at `x`, by central differences.
pub(crate) fn slopes(x: &[f64], function: impl Fn(&[f64]) -> f64) -> Vec<f64> {
    let slope = |i: usize| {
        let at = |step: f64| {
            let mut moved = x.to_vec();
            moved[i] += step;
            function(&moved)
        };
        (at(1e-5) - at(-1e-5)) / 2e-5
    };
    (0..x.len()).map(slope).collect()
}

/// Asserts that `got` is not finite wherever `expected` isn't, which is so somewhere.
#[track_caller]
pub(crate) fn hides_nothing(got: &[f32], expected: &[f64]) {
    assert_eq!(got.len(), expected.len());
    assert!(expected.iter().any(|v| !v.is_finite()), "all that is expected is finite");
    let hidden =
        got.iter().zip(expected).position(|(got, expected)| got.is_finite() && !expected.is_finite());
    assert_eq!(hidden, None, "the place of a value that is finite but should not be");
}

/// Asserts that `function` gives the very same bits with one and with two threads, and that it is large enough for the threads
/// to share its work: above all that whose parts return something, which are otherwise in order by themselves.
#[track_caller]
pub(crate) fn same_bits_with_one_and_two_threads(function: impl Fn() -> Vec<Vec<f32>> + Sync) {
    let run = |threads| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        let outputs = pool.install(&function);
        // The pool's threads have worked for nothing else.
        let loops = pool.broadcast(|_| par::tests::loops());
        assert!(loops.iter().any(|loops| loops.shared > 0), "no loop is large enough to be shared");
        assert!(
            loops.iter().all(|loops| loops.kept == 0),
            "a loop whose parts return something is not shared"
        );
        outputs.into_iter().map(|o| o.into_iter().map(f32::to_bits).collect::<Vec<_>>()).collect::<Vec<_>>()
    };
    assert!(run(1) == run(2));
}

/// Asserts that `act` panics with words among which these are.
#[track_caller]
pub(crate) fn refused(words: &str, act: impl FnOnce()) {
    let panic = std::panic::catch_unwind(std::panic::AssertUnwindSafe(act)).expect_err("nothing was refused");
    let said = panic.downcast_ref::<String>().map(String::as_str);
    let said = said.or(panic.downcast_ref::<&str>().copied()).unwrap_or_default();
    assert!(said.contains(words), "refused with other words: {said}");
}

/// Returns the distance of `got` from `exact` in units of the last place of `exact` as f32.
pub(crate) fn ulps(got: f32, exact: f64) -> f64 {
    if f64::from(got) == exact {
        return 0.0;
    }
    let rounded = (exact.abs() as f32).max(f32::MIN_POSITIVE);
    let ulp = f64::from(f32::from_bits(rounded.to_bits() + 1)) - f64::from(rounded);
    (f64::from(got) - exact).abs() / ulp
}

/// The error function in f64: its series below 3, a continued fraction of erfc above.
pub(crate) fn erf64(x: f64) -> f64 {
    let t = x.abs();
    let value = if t < 3.0 {
        let (mut term, mut sum) = (t, t);
        for n in 1..200 {
            term *= -t * t / f64::from(n);
            sum += term / f64::from(2 * n + 1);
        }
        sum * std::f64::consts::FRAC_2_SQRT_PI
    } else {
        let fraction = (1..=80).rev().fold(t, |f, n| t + f64::from(n) / 2.0 / f);
        1.0 - (-t * t).exp() / fraction / std::f64::consts::PI.sqrt()
    };
    value.copysign(x)
}

/// `[rows, inner] x [inner, columns]` by the definition.
pub(crate) fn matmul(a: &[f64], b: &[f64], inner: usize, columns: usize) -> Vec<f64> {
    let rows = a.len().checked_div(inner).unwrap_or(0);
    let mut out = vec![0.0; rows * columns];
    for r in 0..rows {
        for c in 0..columns {
            out[r * columns + c] = (0..inner).map(|i| a[r * inner + i] * b[i * columns + c]).sum();
        }
    }
    out
}

/// Transposes `[rows, columns]`.
pub(crate) fn transpose(a: &[f64], columns: usize) -> Vec<f64> {
    let rows = a.len().checked_div(columns).unwrap_or(0);
    (0..a.len()).map(|i| a[(i % rows) * columns + i / rows]).collect()
}

/// Adds the rows of `[rows, columns]`.
pub(crate) fn column_sums(a: &[f64], columns: usize) -> Vec<f64> {
    let mut sums = vec![0.0; columns];
    for (i, v) in a.iter().enumerate() {
        sums[i % columns] += v;
    }
    sums
}
