//! Counts the floating-point operations of products and convolutions as they are asked for, forward only.
//!
//! Each operation that multiplies tells what it will do, so that the arithmetic of any network is known by running it once,
//! whatever it is built of. Additions, norms, activations and the like are left out, as is usual.

use std::cell::Cell;

thread_local! {
    /// Operations since the count began; `None` where nobody counts.
    static COUNT: Cell<Option<f64>> = const { Cell::new(None) };
}

/// Does `act` and gives the operations that this thread asked for in it.
pub fn counted<T>(act: impl FnOnce() -> T) -> (T, f64) {
    let outer = COUNT.replace(Some(0.0));
    let done = act();
    let count = COUNT.replace(outer).unwrap_or(0.0);
    count_products(count / 2.0);
    (done, count)
}

/// Adds so many multiplications, each with an addition, to the count.
pub(crate) fn count_products(products: f64) {
    COUNT.with(|count| count.set(count.get().map(|sum| sum + 2.0 * products)));
}

/// Adds the multiplications of sizes whose product they are.
pub(crate) fn count_sizes<const N: usize>(sizes: [usize; N]) {
    count_products(sizes.iter().map(|size| *size as f64).product());
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        Activation, AttentionMask, Convolution, attention, conv2d, gru, linear, lstm, member_linear,
    };
    use burn::tensor::{Device, Tensor};

    fn ones<const D: usize>(shape: [usize; D]) -> Tensor<D> {
        Tensor::ones(shape, &Device::flex())
    }

    #[test]
    fn a_multiplication_and_an_addition_for_each_weight_and_row() {
        let of = |act: &dyn Fn()| counted(act).1;
        let dense = of(&|| drop(linear(ones([2, 5, 3]), ones([3, 4]), None, Activation::Identity)));
        assert_eq!(dense, 2.0 * 10.0 * 12.0);
        let members = of(&|| drop(member_linear(ones([6, 3]), ones([2, 3, 4]), None)));
        assert_eq!(members, 2.0 * 6.0 * 12.0);
        // Every second of 8 × 8 places, each 3 × 3 places of the two channels of its group.
        let how = Convolution { stride: [2, 2], padding: [1, 1], groups: 2, ..Convolution::default() };
        let convolved = of(&|| drop(conv2d(ones([3, 4, 8, 8]), ones([6, 2, 3, 3]), None, how)));
        assert_eq!(convolved, 2.0 * 3.0 * 16.0 * 6.0 * 18.0);
        let q = || ones([2, 7, 4, 8]);
        let attended = of(&|| drop(attention(q(), q(), q(), AttentionMask::default())));
        assert_eq!(attended, 2.0 * 2.0 * (2 * 4 * 7 * 7 * 8) as f64);
        let unit = |gates: usize| [ones([3, gates * 4]), ones([4, gates * 4])];
        let biases = |gates: usize| ones([gates * 4]);
        let [w, u] = unit(4);
        let long = of(&|| drop(lstm(ones([2, 5, 3]), w.clone(), u.clone(), biases(4))));
        assert_eq!(long, 2.0 * 10.0 * (7 * 16) as f64);
        let [w, u] = unit(3);
        let gated = of(&|| drop(gru(ones([2, 5, 3]), w.clone(), u.clone(), biases(3), biases(3))));
        assert_eq!(gated, 2.0 * 10.0 * (7 * 12) as f64);
    }

    #[test]
    fn counts_within_counts_add_up() {
        let product = || drop(linear(ones([1, 3]), ones([3, 4]), None, Activation::Identity));
        let ((inner, _), outer) = counted(|| {
            product();
            (counted(product).1, ())
        });
        assert_eq!((inner, outer), (24.0, 48.0));
        product();
        assert_eq!(COUNT.get(), None);
    }
}
