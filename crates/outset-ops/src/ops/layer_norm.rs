//! Layer normalisation.

use crate::{
    flex::{self, contiguous, values, width},
    track::{Differentiable, Tracked, track},
};
use burn::backend::{Autodiff, Backend, Dispatch, Flex, backend_extension, tensor::FloatTensor};
use burn::tensor::Tensor;
use burn_autodiff::checkpoint::strategy::CheckpointStrategy;
use burn_flex::FlexTensor;
use outset_kernels::norm::layer as kernel;

/// Returns `(x - mean) / sqrt(var + eps) * gamma + beta` over the last dimension (arXiv 1607.06450), for
/// `x [.., width]` and `gamma` and `beta` `[width]`.
///
/// # Panics
/// If the sizes don't fit.
pub fn layer_norm<const D: usize>(x: Tensor<D>, gamma: Tensor<1>, beta: Tensor<1>, eps: f64) -> Tensor<D> {
    let size = [x.dims()[D - 1]];
    assert!(
        gamma.dims() == size && beta.dims() == size,
        "gamma or beta has another size than the input's width"
    );
    let (x, gamma, beta) = (x.into_dispatch(), gamma.into_dispatch(), beta.into_dispatch());
    if !flex::applies(&[&x, &gamma, &beta]) {
        return composed(
            Tensor::from_dispatch(x),
            Tensor::from_dispatch(gamma),
            Tensor::from_dispatch(beta),
            eps,
        );
    }
    Tensor::from_dispatch(Dispatch::layer_norm(x, gamma, beta, eps))
}

fn composed<const D: usize>(x: Tensor<D>, gamma: Tensor<1>, beta: Tensor<1>, eps: f64) -> Tensor<D> {
    let centred = x.clone() - x.mean_dim(D - 1);
    let variance = centred.clone().powi_scalar(2).mean_dim(D - 1);
    centred / (variance + eps).sqrt() * gamma.unsqueeze() + beta.unsqueeze()
}

#[backend_extension(Flex, Autodiff)]
trait LayerNormOps: Backend {
    fn layer_norm(
        x: FloatTensor<Self>,
        gamma: FloatTensor<Self>,
        beta: FloatTensor<Self>,
        eps: f64,
    ) -> FloatTensor<Self>;
}

impl LayerNormOps for Flex {
    fn layer_norm(x: FlexTensor, gamma: FlexTensor, beta: FlexTensor, eps: f64) -> FlexTensor {
        forward([x, gamma, beta], eps).0
    }
}

impl<C: CheckpointStrategy> LayerNormOps for Autodiff<Flex, C> {
    fn layer_norm(x: Tracked, gamma: Tracked, beta: Tracked, eps: f64) -> Tracked {
        let inputs = [x, gamma, beta];
        track::<LayerNorm, C, 3>(inputs, |inputs| forward(inputs, eps).0, |inputs| forward(inputs, eps))
    }
}

fn forward([x, gamma, beta]: [FlexTensor; 3], eps: f64) -> (FlexTensor, Saved) {
    let (x, gamma, beta) = (contiguous(x), contiguous(gamma), contiguous(beta));
    let result = kernel::forward(values(&x), values(&gamma), values(&beta), eps as f32);
    let y = flex::tensor(result.output, flex::shape(&x));
    (y, Saved { x, gamma, statistics: result.statistics })
}

#[derive(Clone, Debug)]
struct Saved {
    x: FlexTensor,
    gamma: FlexTensor,
    statistics: Vec<f32>,
}

struct LayerNorm;

impl Differentiable<3> for LayerNorm {
    type Saved = Saved;

    fn gradients(saved: Saved, dy: FlexTensor, _needed: [bool; 3]) -> [Option<FlexTensor>; 3] {
        let dy = contiguous(dy);
        let g = kernel::backward(values(&saved.x), &saved.statistics, values(&saved.gamma), values(&dy));
        let size = [width(&saved.gamma)];
        let dx = flex::tensor(g.dx, flex::shape(&saved.x));
        [Some(dx), Some(flex::tensor(g.dgamma, size)), Some(flex::tensor(g.dbeta, size))]
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{check, input};

    #[test]
    fn agrees_with_the_composed_form_in_f64() {
        for (rows, width) in [(7, 5), (2, 64), (40, 129)] {
            check([input([rows, width], 1), input([width], 2), input([width], 3)], |[x, gamma, beta]| {
                layer_norm::<2>(x.get(), gamma.get(), beta.get(), 1e-5)
            });
        }
        check([input([2, 3, 5], 1), input([5], 2), input([5], 3)], |[x, gamma, beta]| {
            layer_norm::<3>(x.get(), gamma.get(), beta.get(), 1e-5)
        });
    }
}
