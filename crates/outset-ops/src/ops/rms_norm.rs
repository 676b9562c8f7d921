//! Root-mean-square normalisation.

use crate::{
    flex::{self, contiguous, values, width},
    track::{Differentiable, Tracked, track},
};
use burn::backend::{Autodiff, Backend, Dispatch, Flex, backend_extension, tensor::FloatTensor};
use burn::tensor::Tensor;
use burn_autodiff::checkpoint::strategy::CheckpointStrategy;
use burn_flex::FlexTensor;
use outset_kernels::norm::rms as kernel;

/// Returns `x / sqrt(mean(x²) + eps) * gamma` over the last dimension (arXiv 1910.07467), for `x [.., width]` and
/// `gamma [width]`.
///
/// # Panics
/// If the sizes don't fit.
pub fn rms_norm<const D: usize>(x: Tensor<D>, gamma: Tensor<1>, eps: f64) -> Tensor<D> {
    assert_eq!(gamma.dims(), [x.dims()[D - 1]], "gamma has another size than the input's width");
    let (x, gamma) = (x.into_dispatch(), gamma.into_dispatch());
    if !flex::applies(&[&x, &gamma]) {
        return composed(Tensor::from_dispatch(x), Tensor::from_dispatch(gamma), eps);
    }
    Tensor::from_dispatch(Dispatch::rms_norm(x, gamma, eps))
}

fn composed<const D: usize>(x: Tensor<D>, gamma: Tensor<1>, eps: f64) -> Tensor<D> {
    let scale = (x.clone().powi_scalar(2).mean_dim(D - 1) + eps).sqrt();
    x / scale * gamma.unsqueeze()
}

#[backend_extension(Flex, Autodiff)]
trait RmsNormOps: Backend {
    fn rms_norm(x: FloatTensor<Self>, gamma: FloatTensor<Self>, eps: f64) -> FloatTensor<Self>;
}

impl RmsNormOps for Flex {
    fn rms_norm(x: FlexTensor, gamma: FlexTensor, eps: f64) -> FlexTensor {
        forward([x, gamma], eps).0
    }
}

impl<C: CheckpointStrategy> RmsNormOps for Autodiff<Flex, C> {
    fn rms_norm(x: Tracked, gamma: Tracked, eps: f64) -> Tracked {
        track::<RmsNorm, C, 2>([x, gamma], |inputs| forward(inputs, eps).0, |inputs| forward(inputs, eps))
    }
}

fn forward([x, gamma]: [FlexTensor; 2], eps: f64) -> (FlexTensor, Saved) {
    let (x, gamma) = (contiguous(x), contiguous(gamma));
    let result = kernel::forward(values(&x), values(&gamma), eps as f32);
    let y = flex::tensor(result.output, flex::shape(&x));
    (y, Saved { x, gamma, scales: result.scales })
}

#[derive(Clone, Debug)]
struct Saved {
    x: FlexTensor,
    gamma: FlexTensor,
    scales: Vec<f32>,
}

struct RmsNorm;

impl Differentiable<2> for RmsNorm {
    type Saved = Saved;

    fn gradients(saved: Saved, dy: FlexTensor, _needed: [bool; 2]) -> [Option<FlexTensor>; 2] {
        let dy = contiguous(dy);
        let g = kernel::backward(values(&saved.x), &saved.scales, values(&saved.gamma), values(&dy));
        let dgamma = flex::tensor(g.dgamma, [width(&saved.gamma)]);
        [Some(flex::tensor(g.dx, flex::shape(&saved.x))), Some(dgamma)]
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{check, input};

    #[test]
    fn agrees_with_the_composed_form_in_f64() {
        for (rows, width) in [(7, 5), (2, 64), (40, 129)] {
            check([input([rows, width], 1), input([width], 2)], |[x, gamma]| {
                rms_norm::<2>(x.get(), gamma.get(), 1e-6)
            });
        }
        check([input([2, 3, 5], 1), input([5], 2)], |[x, gamma]| rms_norm::<3>(x.get(), gamma.get(), 1e-6));
    }
}
