//! What is done to one row of scores.

use crate::{
    isa::kernel,
    loss::exp_and_sum_scaled,
    math::exp,
    reduce::{dot, max},
};
use std::ops::Range;

kernel! {
    /// Turns scores into weights against the running maximum, and brings what was summed up before to the new one.
    ///
    /// Scores outside the visible range become zero weights.
    pub(super) fn absorb<A>(
        scores: &mut [f32],
        visible: Range<usize>,
        scale: f32,
        largest: &mut f32,
        sum: &mut f32,
        output: &mut [f32],
    ) {
        scores[..visible.start].fill(0.0);
        scores[visible.end..].fill(0.0);
        let seen = &mut scores[visible];
        if seen.is_empty() {
            return;
        }
        let here = max(seen) * scale;
        // Comparisons with NaN are false: a NaN is taken over and stays.
        let new = if *largest >= here { *largest } else { here };
        if *sum != 0.0 && new != *largest {
            let factor = exp::<A>(*largest - new);
            *sum *= factor;
            for v in output {
                *v *= factor;
            }
        }
        *largest = new;
        *sum += exp_and_sum_scaled::<A>(seen, scale, new);
    }
}

kernel! {
    /// Divides the output by the sum of weights; a query that saw nothing has zeros.
    pub(super) fn finish<A>(output: &mut [f32], sum: f32) {
        if sum != 0.0 {
            let factor = 1.0 / sum;
            for v in output {
                *v *= factor;
            }
        }
    }
}

kernel! {
    /// Turns a row of scores into weights `p` and the gradient of the weights into that of the scores,
    /// `p (dp - delta) scale`, both zero outside the visible range.
    pub(super) fn weights_and_gradient<A>(
        scores: &mut [f32],
        dp: &mut [f32],
        visible: Range<usize>,
        scale: f32,
        log_sum: f32,
        delta: f32,
    ) {
        for row in [&mut *scores, &mut *dp] {
            row[..visible.start].fill(0.0);
            row[visible.end..].fill(0.0);
        }
        for (s, d) in scores[visible.clone()].iter_mut().zip(&mut dp[visible]) {
            *s = exp::<A>(A::mul_add(*s, scale, -log_sum));
            *d = *s * (*d - delta) * scale;
        }
    }
}

kernel! {
    /// Returns the dot product.
    pub(super) fn product<A>(x: &[f32], y: &[f32]) -> f32 {
        dot::<A>(x, y)
    }
}
