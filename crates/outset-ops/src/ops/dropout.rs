//! Dropout with a key instead of a stored mask.

use crate::{
    flex::{self, contiguous, values},
    track::{Differentiable, Tracked, track},
};
use burn::backend::{Autodiff, Backend, Dispatch, Flex, backend_extension, tensor::FloatTensor};
use burn::tensor::{Tensor, TensorData};
use burn_autodiff::checkpoint::strategy::CheckpointStrategy;
use burn_flex::FlexTensor;
use outset_kernels::dropout as kernel;

/// Returns `x` with each value zeroed with `probability` and the others divided by `1 - probability`.
///
/// The mask is a function of the key and the position alone: equal keys give equal masks, on every device and any
/// number of threads. Take a new key for each step and layer.
///
/// # Panics
/// If the probability is not between 0 and 1.
pub fn dropout<const D: usize>(x: Tensor<D>, probability: f64, key: u64) -> Tensor<D> {
    assert!((0.0..=1.0).contains(&probability), "dropout probability {probability} is not between 0 and 1");
    if probability == 0.0 {
        return x;
    }
    let x = x.into_dispatch();
    if !flex::applies(&[&x]) {
        return composed(Tensor::from_dispatch(x), probability, key);
    }
    Tensor::from_dispatch(Dispatch::dropout(x, probability, key))
}

/// Multiplies by a mask that is made here and sent to the device.
fn composed<const D: usize>(x: Tensor<D>, probability: f64, key: u64) -> Tensor<D> {
    let mask = kernel::dropout(&vec![1.0; x.shape().num_elements()], probability, key);
    let mask = Tensor::from_data(TensorData::new(mask, x.shape()), (&x.device(), x.dtype()));
    x * mask
}

#[backend_extension(Flex, Autodiff)]
trait DropoutOps: Backend {
    fn dropout(x: FloatTensor<Self>, probability: f64, key: u64) -> FloatTensor<Self>;
}

impl DropoutOps for Flex {
    fn dropout(x: FlexTensor, probability: f64, key: u64) -> FlexTensor {
        let x = contiguous(x);
        flex::tensor(kernel::dropout(values(&x), probability, key), flex::shape(&x))
    }
}

impl<C: CheckpointStrategy> DropoutOps for Autodiff<Flex, C> {
    fn dropout(x: Tracked, probability: f64, key: u64) -> Tracked {
        let forward = |[x]: [FlexTensor; 1]| Flex::dropout(x, probability, key);
        track::<Dropout, C, 1>([x], forward, |x| (forward(x), (probability, key)))
    }
}

struct Dropout;

impl Differentiable<1> for Dropout {
    /// Probability and key.
    type Saved = (f64, u64);

    fn gradients(
        (probability, key): (f64, u64),
        dy: FlexTensor,
        _needed: [bool; 1],
    ) -> [Option<FlexTensor>; 1] {
        [Some(Flex::dropout(dy, probability, key))]
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{check, input, wide};
    use burn::tensor::Device;

    #[test]
    fn agrees_with_the_composed_form_in_f64() {
        for probability in [0.3, 1.0] {
            check([input([13, 7], 1)], |[x]| dropout::<2>(x.get(), probability, 42));
        }
    }

    #[test]
    fn nothing_is_dropped_with_a_probability_of_zero() {
        let x = Tensor::<2>::ones([13, 7], &Device::flex());
        assert_eq!(wide(dropout(x, 0.0, 42)), [1.0; 13 * 7]);
    }
}
