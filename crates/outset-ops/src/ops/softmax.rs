//! Softmax over the last dimension, and its logarithm.

use crate::{
    flex::{self, contiguous, values, width},
    track::{Differentiable, Tracked, track},
};
use burn::backend::{Autodiff, Backend, Dispatch, Flex, backend_extension, tensor::FloatTensor};
use burn::tensor::{Tensor, activation};
use burn_autodiff::checkpoint::strategy::CheckpointStrategy;
use burn_flex::FlexTensor;
use outset_kernels::softmax as kernel;

/// Returns `exp(x) / Σ exp(x)` over the last dimension.
pub fn softmax<const D: usize>(x: Tensor<D>) -> Tensor<D> {
    let x = x.into_dispatch();
    if !flex::applies(&[&x]) {
        return activation::softmax(Tensor::<D>::from_dispatch(x), D - 1);
    }
    Tensor::from_dispatch(Dispatch::softmax_rows(x))
}

/// Returns `x − ln Σ exp(x)` over the last dimension.
pub fn log_softmax<const D: usize>(x: Tensor<D>) -> Tensor<D> {
    let x = x.into_dispatch();
    if !flex::applies(&[&x]) {
        return activation::log_softmax(Tensor::<D>::from_dispatch(x), D - 1);
    }
    Tensor::from_dispatch(Dispatch::log_softmax_rows(x))
}

#[backend_extension(Flex, Autodiff)]
trait SoftmaxOps: Backend {
    fn softmax_rows(x: FloatTensor<Self>) -> FloatTensor<Self>;
    fn log_softmax_rows(x: FloatTensor<Self>) -> FloatTensor<Self>;
}

impl SoftmaxOps for Flex {
    fn softmax_rows(x: FlexTensor) -> FlexTensor {
        let x = contiguous(x);
        flex::tensor(kernel::forward(values(&x), width(&x)), flex::shape(&x))
    }

    fn log_softmax_rows(x: FlexTensor) -> FlexTensor {
        let x = contiguous(x);
        flex::tensor(kernel::log_forward(values(&x), width(&x)), flex::shape(&x))
    }
}

impl<C: CheckpointStrategy> SoftmaxOps for Autodiff<Flex, C> {
    fn softmax_rows(x: Tracked) -> Tracked {
        track::<Softmax, C, 1>(
            [x],
            |[x]| Flex::softmax_rows(x),
            |[x]| {
                let y = Flex::softmax_rows(x);
                (y.clone(), y)
            },
        )
    }

    fn log_softmax_rows(x: Tracked) -> Tracked {
        track::<LogSoftmax, C, 1>(
            [x],
            |[x]| Flex::log_softmax_rows(x),
            |[x]| {
                let y = Flex::log_softmax_rows(x);
                (y.clone(), y)
            },
        )
    }
}

struct Softmax;

impl Differentiable<1> for Softmax {
    /// The output.
    type Saved = FlexTensor;

    fn gradients(y: FlexTensor, dy: FlexTensor, _needed: [bool; 1]) -> [Option<FlexTensor>; 1] {
        let dy = contiguous(dy);
        [Some(flex::tensor(kernel::backward(values(&y), values(&dy), width(&y)), flex::shape(&y)))]
    }
}

struct LogSoftmax;

impl Differentiable<1> for LogSoftmax {
    /// The output.
    type Saved = FlexTensor;

    fn gradients(y: FlexTensor, dy: FlexTensor, _needed: [bool; 1]) -> [Option<FlexTensor>; 1] {
        let dy = contiguous(dy);
        [Some(flex::tensor(kernel::log_backward(values(&y), values(&dy), width(&y)), flex::shape(&y)))]
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{check, input};

    #[test]
    fn agrees_with_the_composed_form_in_f64() {
        check([input([7, 5], 1)], |[x]| softmax::<2>(x.get()));
        check([input([2, 3, 17], 1)], |[x]| softmax::<3>(x.get()));
        check([input([7, 5], 1)], |[x]| log_softmax::<2>(x.get()));
        check([input([2, 3, 17], 1)], |[x]| log_softmax::<3>(x.get()));
    }
}
