//! Softmax cross-entropy of a linear map, without all of its logits in memory.

use crate::{
    Activation, cross_entropy,
    flex::{self, contiguous, integers, values, width},
    flops, linear,
    ops::cross_entropy::scaled,
    track::{Differentiable, Tracked, track},
};
use burn::backend::{
    Autodiff, Backend, Dispatch, Flex, backend_extension,
    tensor::{FloatTensor, IntTensor},
};
use burn::tensor::{Int, Tensor};
use burn_autodiff::checkpoint::strategy::CheckpointStrategy;
use burn_flex::FlexTensor;
use outset_kernels::loss as kernel;

/// Returns `cross_entropy(x W, targets)` for `x [rows, width]` and `W [width, classes]`, as [`cross_entropy`] without
/// row weights does.
///
/// Logits exist for some rows at a time, so that a large vocabulary costs little memory. A negative target leaves its
/// row out.
///
/// # Panics
/// If the sizes don't fit or a target is not below the number of classes.
pub fn linear_cross_entropy(
    x: Tensor<2>,
    w: Tensor<2>,
    targets: Tensor<1, Int>,
    smoothing: f64,
) -> Tensor<1> {
    assert_eq!(x.dims()[1], w.dims()[0], "the input's width is not the number of rows of the weight");
    assert_eq!(targets.dims(), [x.dims()[0]], "inputs and targets differ in rows");
    let (x_sizes, w_sizes) = (x.dims(), w.dims());
    let (x, w) = (x.into_dispatch(), w.into_dispatch());
    if !flex::applies(&[&x, &w]) {
        let logits =
            linear::<2>(Tensor::from_dispatch(x), Tensor::from_dispatch(w), None, Activation::Identity);
        return cross_entropy(logits, targets, None, smoothing);
    }
    let ([rows, _], [width, classes]) = (x_sizes, w_sizes);
    flops::count_sizes([rows, width, classes]);
    Tensor::from_dispatch(Dispatch::linear_cross_entropy(x, w, targets.into_dispatch(), smoothing))
}

#[backend_extension(Flex, Autodiff)]
trait LinearCrossEntropyOps: Backend {
    fn linear_cross_entropy(
        x: FloatTensor<Self>,
        w: FloatTensor<Self>,
        targets: IntTensor<Self>,
        smoothing: f64,
    ) -> FloatTensor<Self>;
}

impl LinearCrossEntropyOps for Flex {
    fn linear_cross_entropy(x: FlexTensor, w: FlexTensor, targets: FlexTensor, smoothing: f64) -> FlexTensor {
        let (x, w) = (contiguous(x), contiguous(w));
        let (targets, smoothing) = (integers(&targets), smoothing as f32);
        let loss = kernel::linear_cross_entropy(values(&x), values(&w), width(&w), &targets, None, smoothing);
        flex::tensor(vec![loss], [1])
    }
}

impl<C: CheckpointStrategy> LinearCrossEntropyOps for Autodiff<Flex, C> {
    fn linear_cross_entropy(x: Tracked, w: Tracked, targets: FlexTensor, smoothing: f64) -> Tracked {
        track::<LinearCrossEntropy, C, 2>(
            [x, w],
            |[x, w]| Flex::linear_cross_entropy(x, w, targets.clone(), smoothing),
            |[x, w]| {
                let (x, w) = (contiguous(x), contiguous(w));
                let got = kernel::linear_cross_entropy_gradients(
                    values(&x),
                    values(&w),
                    width(&w),
                    &integers(&targets),
                    None,
                    smoothing as f32,
                );
                let gradients =
                    (flex::tensor(got.dx, flex::shape(&x)), flex::tensor(got.dw, flex::shape(&w)));
                (flex::tensor(vec![got.loss], [1]), gradients)
            },
        )
    }
}

struct LinearCrossEntropy;

impl Differentiable<2> for LinearCrossEntropy {
    /// The gradients of both inputs.
    type Saved = (FlexTensor, FlexTensor);

    fn gradients((dx, dw): Self::Saved, dy: FlexTensor, _needed: [bool; 2]) -> [Option<FlexTensor>; 2] {
        [Some(scaled(dx, dy.clone())), Some(scaled(dw, dy))]
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{check, input};

    #[test]
    fn agrees_with_the_composed_form_in_f64() {
        check([input([5, 4], 1), input([4, 7], 2)], |[x, w]| {
            let targets = Tensor::from_data([6, 0, -1, 3, 3], &x.get::<2>().device());
            linear_cross_entropy(x.get(), w.get(), targets, 0.1) * 2.0
        });
    }
}
