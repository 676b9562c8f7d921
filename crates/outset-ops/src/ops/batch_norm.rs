//! Batch normalisation of channels.

use crate::{
    flex::{self, contiguous, values},
    track::{Differentiable, Tracked, track},
};
use burn::backend::{
    Autodiff, AutodiffBackend, Backend, Dispatch, Flex, backend_extension, tensor::FloatTensor,
};
use burn::tensor::{Tensor, activation::relu};
use burn_autodiff::checkpoint::strategy::CheckpointStrategy;
use burn_flex::FlexTensor;
use outset_kernels::norm::batch::{self as kernel, Normalise, Sizes, Statistics};

/// What [`batch_norm_train`] returns.
#[derive(Debug)]
pub struct BatchNormed<const D: usize> {
    /// `x` normalised.
    pub output: Tensor<D>,
    /// Mean of each channel, untracked.
    pub mean: Tensor<1>,
    /// Biased variance of each channel, untracked.
    pub variance: Tensor<1>,
}

/// Normalises each channel of `x [batch, channels, ..]` by the mean and variance of the batch (arXiv 1502.03167):
/// `(x - mean) / sqrt(var + eps) * gamma + beta`, and with `and_relu` cuts negative results off.
///
/// # Panics
/// If gamma or beta has another size than the channels.
pub fn batch_norm_train<const D: usize>(
    x: Tensor<D>,
    gamma: Tensor<1>,
    beta: Tensor<1>,
    eps: f64,
    and_relu: bool,
) -> BatchNormed<D> {
    let size = [x.dims()[1]];
    assert!(
        gamma.dims() == size && beta.dims() == size,
        "gamma or beta has another size than the channels"
    );
    let (x, gamma, beta) = (
        x.into_dispatch(),
        gamma.into_dispatch(),
        beta.into_dispatch(),
    );
    if !flex::applies(&[&x, &gamma, &beta]) {
        let x = Tensor::<D>::from_dispatch(x);
        let dims = x.dims();
        let flat = x.reshape([dims[0] as i32, dims[1] as i32, -1]);
        let mean = flat.clone().mean_dim(2).mean_dim(0);
        let variance = (flat.clone() - mean.clone())
            .powi_scalar(2)
            .mean_dim(2)
            .mean_dim(0);
        let (gamma, beta) = (Tensor::from_dispatch(gamma), Tensor::from_dispatch(beta));
        let output = composed(
            flat,
            [gamma, beta],
            mean.clone(),
            variance.clone(),
            eps,
            and_relu,
        );
        return BatchNormed {
            output: output.reshape(dims),
            mean: mean.detach().reshape(size),
            variance: variance.detach().reshape(size),
        };
    }
    let (output, mean, variance) =
        Dispatch::batch_norm_train_with_relu(x, gamma, beta, eps, and_relu);
    BatchNormed {
        output: Tensor::from_dispatch(output),
        mean: Tensor::from_dispatch(mean),
        variance: Tensor::from_dispatch(variance),
    }
}

/// Normalises each channel of `x [batch, channels, ..]` by a given mean and variance, which get no gradient.
///
/// # Panics
/// If a parameter or statistic has another size than the channels.
pub fn batch_norm<const D: usize>(
    x: Tensor<D>,
    [gamma, beta]: [Tensor<1>; 2],
    [mean, variance]: [Tensor<1>; 2],
    eps: f64,
    and_relu: bool,
) -> Tensor<D> {
    let size = x.dims()[1];
    let fits = [&gamma, &beta, &mean, &variance]
        .into_iter()
        .all(|t| t.dims() == [size]);
    assert!(
        fits,
        "a parameter or statistic has another size than the channels"
    );
    let (x, gamma, beta) = (
        x.into_dispatch(),
        gamma.into_dispatch(),
        beta.into_dispatch(),
    );
    let (mean, variance) = (
        mean.detach().into_dispatch(),
        variance.detach().into_dispatch(),
    );
    if !flex::applies(&[&x, &gamma, &beta, &mean, &variance]) {
        let x = Tensor::<D>::from_dispatch(x);
        let dims = x.dims();
        let flat = x.reshape([dims[0] as i32, dims[1] as i32, -1]);
        let across = |t| Tensor::<1>::from_dispatch(t).reshape([1, size, 1]);
        let parameters = [Tensor::from_dispatch(gamma), Tensor::from_dispatch(beta)];
        return composed(
            flat,
            parameters,
            across(mean),
            across(variance),
            eps,
            and_relu,
        )
        .reshape(dims);
    }
    Tensor::from_dispatch(Dispatch::batch_norm_with_relu(
        x, gamma, beta, mean, variance, eps, and_relu,
    ))
}

fn composed(
    x: Tensor<3>,
    parameters: [Tensor<1>; 2],
    mean: Tensor<3>,
    variance: Tensor<3>,
    eps: f64,
    and_relu: bool,
) -> Tensor<3> {
    let [gamma, beta] = parameters.map(|p| p.unsqueeze_dims(&[0, 2]));
    let y = (x - mean) / (variance + eps).sqrt() * gamma + beta;
    if and_relu { relu(y) } else { y }
}

#[backend_extension(Flex, Autodiff)]
trait BatchNormOps: Backend {
    fn batch_norm_train_with_relu(
        x: FloatTensor<Self>,
        gamma: FloatTensor<Self>,
        beta: FloatTensor<Self>,
        eps: f64,
        and_relu: bool,
    ) -> (FloatTensor<Self>, FloatTensor<Self>, FloatTensor<Self>);
    fn batch_norm_with_relu(
        x: FloatTensor<Self>,
        gamma: FloatTensor<Self>,
        beta: FloatTensor<Self>,
        mean: FloatTensor<Self>,
        variance: FloatTensor<Self>,
        eps: f64,
        and_relu: bool,
    ) -> FloatTensor<Self>;
}

impl BatchNormOps for Flex {
    fn batch_norm_train_with_relu(
        x: FlexTensor,
        gamma: FlexTensor,
        beta: FlexTensor,
        eps: f64,
        and_relu: bool,
    ) -> (FlexTensor, FlexTensor, FlexTensor) {
        let saved = Saved::new([x, gamma, beta], None, eps, and_relu);
        let [mean, variance] = saved.statistics_tensors();
        (saved.forward(), mean, variance)
    }

    fn batch_norm_with_relu(
        x: FlexTensor,
        gamma: FlexTensor,
        beta: FlexTensor,
        mean: FlexTensor,
        variance: FlexTensor,
        eps: f64,
        and_relu: bool,
    ) -> FlexTensor {
        Saved::new([x, gamma, beta], Some([mean, variance]), eps, and_relu).forward()
    }
}

impl<C: CheckpointStrategy> BatchNormOps for Autodiff<Flex, C> {
    fn batch_norm_train_with_relu(
        x: Tracked,
        gamma: Tracked,
        beta: Tracked,
        eps: f64,
        and_relu: bool,
    ) -> (Tracked, Tracked, Tracked) {
        let inputs = [x, gamma, beta];
        let saved = Saved::new(
            inputs.each_ref().map(|t| t.primitive().clone()),
            None,
            eps,
            and_relu,
        );
        let [mean, variance] = saved.statistics_tensors().map(Self::from_inner);
        let y = track::<BatchNorm, C, 3>(
            inputs,
            |_| saved.forward(),
            |_| (saved.forward(), saved.clone()),
        );
        (y, mean, variance)
    }

    fn batch_norm_with_relu(
        x: Tracked,
        gamma: Tracked,
        beta: Tracked,
        mean: Tracked,
        variance: Tracked,
        eps: f64,
        and_relu: bool,
    ) -> Tracked {
        let given = [mean, variance].map(Tracked::into_primitive);
        let run = |inputs| {
            let saved = Saved::new(inputs, Some(given.clone()), eps, and_relu);
            (saved.forward(), saved)
        };
        track::<BatchNorm, C, 3>([x, gamma, beta], |inputs| run(inputs).0, run)
    }
}

/// Everything that both passes read.
#[derive(Clone, Debug)]
struct Saved {
    x: FlexTensor,
    gamma: FlexTensor,
    beta: FlexTensor,
    statistics: Statistics,
    /// Whether the statistics are those of `x`, so that they have a gradient.
    of_batch: bool,
    eps: f32,
    relu: bool,
}

impl Saved {
    fn new(inputs: [FlexTensor; 3], given: Option<[FlexTensor; 2]>, eps: f64, relu: bool) -> Saved {
        let [x, gamma, beta] = inputs.map(contiguous);
        let (of_batch, eps) = (given.is_none(), eps as f32);
        let statistics = match given.map(|given| given.map(contiguous)) {
            Some([mean, variance]) => Statistics {
                mean: values(&mean).to_vec(),
                variance: values(&variance).to_vec(),
            },
            None => kernel::statistics(values(&x), sizes(&x)),
        };
        Saved {
            x,
            gamma,
            beta,
            statistics,
            of_batch,
            eps,
            relu,
        }
    }

    fn normalise(&self) -> Normalise<'_> {
        Normalise {
            statistics: &self.statistics,
            gamma: values(&self.gamma),
            beta: values(&self.beta),
            eps: self.eps,
            relu: self.relu,
        }
    }

    fn statistics_tensors(&self) -> [FlexTensor; 2] {
        let Statistics { mean, variance } = self.statistics.clone();
        [mean, variance].map(|s| flex::tensor(s, flex::shape(&self.gamma)))
    }

    fn forward(&self) -> FlexTensor {
        flex::tensor(
            kernel::forward(values(&self.x), sizes(&self.x), &self.normalise()),
            flex::shape(&self.x),
        )
    }
}

/// Takes `[batch, channels, ..]` as batch, channels and space.
fn sizes(x: &FlexTensor) -> Sizes {
    let shape = x.layout().shape();
    Sizes {
        batch: shape[0],
        channels: shape[1],
        spatial: shape[2..].iter().product(),
    }
}

struct BatchNorm;

impl Differentiable<3> for BatchNorm {
    type Saved = Saved;

    fn gradients(saved: Saved, dy: FlexTensor, _needed: [bool; 3]) -> [Option<FlexTensor>; 3] {
        let (dy, x) = (contiguous(dy), &saved.x);
        let got = kernel::backward(
            values(x),
            sizes(x),
            &saved.normalise(),
            values(&dy),
            saved.of_batch,
        );
        let size = flex::shape(&saved.gamma);
        let dgamma = flex::tensor(got.dgamma, size.clone());
        [
            Some(flex::tensor(got.dx, flex::shape(x))),
            Some(dgamma),
            Some(flex::tensor(got.dbeta, size)),
        ]
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{check, close, input, wide};
    use burn::tensor::Device;

    #[test]
    fn agrees_with_the_composed_form_in_f64() {
        for and_relu in [false, true] {
            check(
                [input([9, 5], 1), input([5], 2), input([5], 3)],
                |[x, gamma, beta]| {
                    batch_norm_train::<2>(x.get(), gamma.get(), beta.get(), 1e-5, and_relu).output
                },
            );
            check(
                [input([3, 5, 4, 6], 1), input([5], 2), input([5], 3)],
                |[x, gamma, beta]| {
                    batch_norm_train::<4>(x.get(), gamma.get(), beta.get(), 1e-5, and_relu).output
                },
            );
            let inputs = [
                input([3, 5, 7], 1),
                input([5], 2),
                input([5], 3),
                input([5], 4),
                input([5], 5),
            ];
            check(inputs, |[x, gamma, beta, mean, variance]| {
                let statistics = [mean.get(), variance.get::<1>().abs()];
                batch_norm::<3>(
                    x.get(),
                    [gamma.get(), beta.get()],
                    statistics,
                    1e-5,
                    and_relu,
                )
            });
        }
    }

    #[test]
    fn statistics_come_back_untracked() {
        for device in [Device::flex(), Device::flex().autodiff()] {
            let x = Tensor::<2>::from_data([[1.0, 2.0], [3.0, 6.0]], &device);
            let got = batch_norm_train(
                x,
                Tensor::ones([2], &device),
                Tensor::zeros([2], &device),
                1e-5,
                false,
            );
            close("mean", &wide(got.mean), &[2.0, 4.0]);
            close("variance", &wide(got.variance), &[1.0, 4.0]);
        }
    }
}
