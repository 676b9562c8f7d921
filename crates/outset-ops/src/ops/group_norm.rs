//! Group normalisation of channels.

use crate::{
    flex::{self, contiguous, values},
    track::{Differentiable, Tracked, track},
};
use burn::backend::{Autodiff, Backend, Dispatch, Flex, backend_extension, tensor::FloatTensor};
use burn::tensor::Tensor;
use burn_autodiff::checkpoint::strategy::CheckpointStrategy;
use burn_flex::FlexTensor;
use outset_kernels::norm::group::{self as kernel, Sizes};

/// Normalises groups of channels of each example of `x [batch, channels, ..]` (arXiv 1803.08494), then scales and
/// shifts each channel by `gamma` and `beta` `[channels]`.
///
/// # Panics
/// If the channels don't divide into the groups or sizes don't fit.
pub fn group_norm<const D: usize>(
    x: Tensor<D>,
    groups: usize,
    gamma: Tensor<1>,
    beta: Tensor<1>,
    eps: f64,
) -> Tensor<D> {
    let channels = x.dims()[1];
    assert!(
        groups > 0 && channels.is_multiple_of(groups),
        "{channels} channels don't divide into {groups} groups"
    );
    let fits = gamma.dims() == [channels] && beta.dims() == [channels];
    assert!(fits, "gamma or beta has another size than the channels");
    let (x, gamma, beta) = (
        x.into_dispatch(),
        gamma.into_dispatch(),
        beta.into_dispatch(),
    );
    if !flex::applies(&[&x, &gamma, &beta]) {
        let parameters = [Tensor::from_dispatch(gamma), Tensor::from_dispatch(beta)];
        return composed(Tensor::from_dispatch(x), groups, parameters, eps);
    }
    Tensor::from_dispatch(Dispatch::group_norm(x, gamma, beta, groups, eps))
}

fn composed<const D: usize>(
    x: Tensor<D>,
    groups: usize,
    parameters: [Tensor<1>; 2],
    eps: f64,
) -> Tensor<D> {
    let dims = x.dims();
    let rows = x.reshape([(dims[0] * groups) as i32, -1]);
    let centred = rows.clone() - rows.mean_dim(1);
    let variance = centred.clone().powi_scalar(2).mean_dim(1);
    let normal = centred / (variance + eps).sqrt();
    let [gamma, beta] = parameters.map(|p| p.unsqueeze_dims::<3>(&[0, 2]));
    (normal.reshape([dims[0] as i32, dims[1] as i32, -1]) * gamma + beta).reshape(dims)
}

#[backend_extension(Flex, Autodiff)]
trait GroupNormOps: Backend {
    fn group_norm(
        x: FloatTensor<Self>,
        gamma: FloatTensor<Self>,
        beta: FloatTensor<Self>,
        groups: usize,
        eps: f64,
    ) -> FloatTensor<Self>;
}

impl GroupNormOps for Flex {
    fn group_norm(
        x: FlexTensor,
        gamma: FlexTensor,
        beta: FlexTensor,
        groups: usize,
        eps: f64,
    ) -> FlexTensor {
        forward([x, gamma, beta], groups, eps).0
    }
}

impl<C: CheckpointStrategy> GroupNormOps for Autodiff<Flex, C> {
    fn group_norm(x: Tracked, gamma: Tracked, beta: Tracked, groups: usize, eps: f64) -> Tracked {
        let run = |inputs| forward(inputs, groups, eps);
        track::<GroupNorm, C, 3>([x, gamma, beta], |inputs| run(inputs).0, run)
    }
}

fn forward(inputs: [FlexTensor; 3], groups: usize, eps: f64) -> (FlexTensor, Saved) {
    let [x, gamma, beta] = inputs.map(contiguous);
    let shape = x.layout().shape();
    let sizes = Sizes {
        batch: shape[0],
        channels: shape[1],
        spatial: shape[2..].iter().product(),
        groups,
    };
    let result = kernel::forward(values(&x), values(&gamma), values(&beta), sizes, eps as f32);
    let y = flex::tensor(result.output, flex::shape(&x));
    (
        y,
        Saved {
            x,
            gamma,
            statistics: result.statistics,
            sizes,
        },
    )
}

#[derive(Clone, Debug)]
struct Saved {
    x: FlexTensor,
    gamma: FlexTensor,
    statistics: Vec<f32>,
    sizes: Sizes,
}

struct GroupNorm;

impl Differentiable<3> for GroupNorm {
    type Saved = Saved;

    fn gradients(saved: Saved, dy: FlexTensor, _needed: [bool; 3]) -> [Option<FlexTensor>; 3] {
        let Saved {
            x,
            gamma,
            statistics,
            sizes,
        } = saved;
        let dy = contiguous(dy);
        let got = kernel::backward(values(&x), &statistics, values(&gamma), values(&dy), sizes);
        let size = [sizes.channels];
        let dx = flex::tensor(got.dx, flex::shape(&x));
        [
            Some(dx),
            Some(flex::tensor(got.dgamma, size)),
            Some(flex::tensor(got.dbeta, size)),
        ]
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{check, input};

    #[test]
    fn agrees_with_the_composed_form_in_f64() {
        check(
            [input([3, 6, 4, 5], 1), input([6], 2), input([6], 3)],
            |[x, gamma, beta]| group_norm::<4>(x.get(), 2, gamma.get(), beta.get(), 1e-5),
        );
        check(
            [input([5, 12], 1), input([12], 2), input([12], 3)],
            |[x, gamma, beta]| group_norm::<2>(x.get(), 3, gamma.get(), beta.get(), 1e-5),
        );
    }
}
