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

/// Returns `cross_entropy(x W, targets)` for `x [rows, width]` and `W [width, classes]`, as [`cross_entropy`] does.
///
/// Logits exist for some rows at a time, so that a large vocabulary costs little memory. A negative target leaves its
/// row out; `weights [rows]` get no gradient.
///
/// # Panics
/// If the sizes don't fit or a target is not below the number of classes.
pub fn linear_cross_entropy(
    x: Tensor<2>,
    w: Tensor<2>,
    targets: Tensor<1, Int>,
    weights: Option<Tensor<1>>,
    smoothing: f64,
) -> Tensor<1> {
    let ([rows, inputs], [width, classes]) = (x.dims(), w.dims());
    assert_eq!(inputs, width, "the input's width is not the number of rows of the weight");
    assert_eq!(targets.dims(), [rows], "inputs and targets differ in rows");
    assert!(
        weights.as_ref().is_none_or(|weights| weights.dims() == [rows]),
        "inputs and row weights differ in rows"
    );
    let weights = weights.unwrap_or_else(|| Tensor::ones([rows], (&x.device(), x.dtype())));
    let (x, w, weights) = (x.into_dispatch(), w.into_dispatch(), weights.into_dispatch());
    if !flex::applies(&[&x, &w, &weights]) {
        let [x, w] = [x, w].map(Tensor::from_dispatch);
        let logits = linear::<2>(x, w, None, Activation::Identity);
        return cross_entropy(logits, targets, Some(Tensor::from_dispatch(weights)), smoothing);
    }
    flops::count_sizes([rows, width, classes]);
    let targets = targets.into_dispatch();
    Tensor::from_dispatch(Dispatch::linear_cross_entropy(x, w, targets, weights, smoothing))
}

#[backend_extension(Flex, Autodiff)]
trait LinearCrossEntropyOps: Backend {
    fn linear_cross_entropy(
        x: FloatTensor<Self>,
        w: FloatTensor<Self>,
        targets: IntTensor<Self>,
        weights: FloatTensor<Self>,
        smoothing: f64,
    ) -> FloatTensor<Self>;
}

impl LinearCrossEntropyOps for Flex {
    fn linear_cross_entropy(
        x: FlexTensor,
        w: FlexTensor,
        targets: FlexTensor,
        weights: FlexTensor,
        smoothing: f64,
    ) -> FlexTensor {
        let [x, w, weights] = [x, w, weights].map(contiguous);
        let loss = kernel::linear_cross_entropy(
            values(&x),
            values(&w),
            width(&w),
            &integers(&targets),
            Some(values(&weights)),
            smoothing as f32,
        );
        flex::tensor(vec![loss], [1])
    }
}

impl<C: CheckpointStrategy> LinearCrossEntropyOps for Autodiff<Flex, C> {
    fn linear_cross_entropy(
        x: Tracked,
        w: Tracked,
        targets: FlexTensor,
        weights: Tracked,
        smoothing: f64,
    ) -> Tracked {
        let weights = contiguous(weights.into_primitive());
        track::<LinearCrossEntropy, C, 2>(
            [x, w],
            |[x, w]| Flex::linear_cross_entropy(x, w, targets.clone(), weights.clone(), smoothing),
            |[x, w]| {
                let (x, w) = (contiguous(x), contiguous(w));
                let got = kernel::linear_cross_entropy_gradients(
                    values(&x),
                    values(&w),
                    width(&w),
                    &integers(&targets),
                    Some(values(&weights)),
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
            linear_cross_entropy(x.get(), w.get(), targets, None, 0.1) * 2.0
        });
        check([input([3, 4], 1), input([4, 7], 2)], |[x, w]| {
            let like = x.get::<2>();
            let targets = Tensor::from_data([6, 0, 3], &like.device());
            let weights = Tensor::from_data([0.5, 0.0, 2.0], (&like.device(), like.dtype()));
            linear_cross_entropy(like, w.get(), targets, Some(weights), 0.1)
        });
    }
}
