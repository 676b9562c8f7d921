//! Losses of predictions that each have a target of their own.

use super::cross_entropy::Loss;
use crate::{
    flex::{self, contiguous, owned, values, values_mut, width},
    track::{Tracked, track},
};
use burn::backend::{Autodiff, Backend, Dispatch, Flex, backend_extension, tensor::FloatTensor};
use burn::tensor::Tensor;
use burn_autodiff::checkpoint::strategy::CheckpointStrategy;
use burn_flex::FlexTensor;
use outset_kernels::loss::{Pointwise, pointwise_in_place};

/// Returns `Σ w mean(l(p, t))` of `predictions` and `targets [rows, outputs]`, the mean being over a row's outputs.
///
/// With `weights [rows]` each row counts by its own; without, every row counts alike, so that the loss is a mean. Neither
/// targets nor weights get a gradient.
///
/// # Panics
/// If the sizes don't fit.
pub fn pointwise_loss(
    loss: Pointwise,
    predictions: Tensor<2>,
    targets: Tensor<2>,
    weights: Option<Tensor<1>>,
) -> Tensor<1> {
    let [rows, outputs] = predictions.dims();
    assert_eq!(targets.dims(), [rows, outputs], "predictions and targets differ in size");
    assert!(weights.as_ref().is_none_or(|w| w.dims() == [rows]), "predictions and weights differ in rows");
    let (predictions, targets) = (predictions.into_dispatch(), targets.into_dispatch());
    let weights = weights.map(Tensor::into_dispatch);
    if !flex::applies(&[&predictions, &targets]) || weights.as_ref().is_some_and(|w| !flex::applies(&[w])) {
        return composed(
            loss,
            Tensor::from_dispatch(predictions),
            Tensor::from_dispatch(targets),
            weights.map(Tensor::from_dispatch),
        );
    }
    Tensor::from_dispatch(match weights {
        Some(weights) => Dispatch::weighted_pointwise_loss(predictions, targets, weights, loss),
        None => Dispatch::pointwise_loss(predictions, targets, loss),
    })
}

fn composed(
    loss: Pointwise,
    predictions: Tensor<2>,
    targets: Tensor<2>,
    weights: Option<Tensor<1>>,
) -> Tensor<1> {
    let rows = predictions.dims()[0];
    let targets = targets.detach();
    let losses = match loss {
        Pointwise::Squared => (predictions - targets).powi_scalar(2),
        Pointwise::Absolute => (predictions - targets).abs(),
        Pointwise::Huber(delta) => {
            let error = (predictions - targets).abs();
            let small = error.clone().clamp_max(delta);
            small.clone() * small.clone() * 0.5 + (error - small) * delta
        }
        Pointwise::BinaryCrossEntropy(weight) => {
            // −ln σ(p) = ln(1 + e^−p), and −ln(1 − σ(p)) = ln(1 + e^p).
            let (miss, alarm) = (softplus(predictions.clone().neg()), softplus(predictions));
            miss * targets.clone() * weight + alarm * (targets.neg() + 1.0)
        }
    };
    let per_row: Tensor<1> = losses.mean_dim(1).reshape([rows]);
    match weights {
        Some(weights) => (per_row * weights.detach()).sum(),
        None => per_row.sum() / rows.max(1) as f64,
    }
}

/// `ln(1 + eˣ)`, precise at both ends and with the true derivative ½ at 0.
///
/// Written as `x [x ≥ 0] + ln(1 + e^−|x|)` with the sign taken as given, since `|x|` has no derivative at 0.
pub fn softplus<const D: usize>(x: Tensor<D>) -> Tensor<D> {
    let positive = x.clone().greater_equal_elem(0.0).float().cast(x.dtype());
    let sign = positive.clone() * 2.0 - 1.0;
    x.clone() * positive + (x * sign).neg().exp().log1p()
}

#[backend_extension(Flex, Autodiff)]
trait PointwiseLossOps: Backend {
    fn pointwise_loss(
        predictions: FloatTensor<Self>,
        targets: FloatTensor<Self>,
        loss: Pointwise,
    ) -> FloatTensor<Self>;
    fn weighted_pointwise_loss(
        predictions: FloatTensor<Self>,
        targets: FloatTensor<Self>,
        weights: FloatTensor<Self>,
        loss: Pointwise,
    ) -> FloatTensor<Self>;
}

impl PointwiseLossOps for Flex {
    fn pointwise_loss(predictions: FlexTensor, targets: FlexTensor, loss: Pointwise) -> FlexTensor {
        loss_and_gradient(predictions, targets, None, loss).0
    }

    fn weighted_pointwise_loss(
        predictions: FlexTensor,
        targets: FlexTensor,
        weights: FlexTensor,
        loss: Pointwise,
    ) -> FlexTensor {
        loss_and_gradient(predictions, targets, Some(weights), loss).0
    }
}

impl<C: CheckpointStrategy> PointwiseLossOps for Autodiff<Flex, C> {
    fn pointwise_loss(predictions: Tracked, targets: Tracked, loss: Pointwise) -> Tracked {
        let targets = targets.into_primitive();
        track::<Loss, C, 1>(
            [predictions],
            |[predictions]| loss_and_gradient(predictions, targets.clone(), None, loss).0,
            |[predictions]| loss_and_gradient(predictions, targets.clone(), None, loss),
        )
    }

    fn weighted_pointwise_loss(
        predictions: Tracked,
        targets: Tracked,
        weights: Tracked,
        loss: Pointwise,
    ) -> Tracked {
        let (targets, weights) = (targets.into_primitive(), weights.into_primitive());
        track::<Loss, C, 1>(
            [predictions],
            |[predictions]| loss_and_gradient(predictions, targets.clone(), Some(weights.clone()), loss).0,
            |[predictions]| loss_and_gradient(predictions, targets.clone(), Some(weights.clone()), loss),
        )
    }
}

fn loss_and_gradient(
    predictions: FlexTensor,
    targets: FlexTensor,
    weights: Option<FlexTensor>,
    loss: Pointwise,
) -> (FlexTensor, FlexTensor) {
    let (mut predictions, targets, weights) =
        (owned(predictions), contiguous(targets), weights.map(contiguous));
    let (outputs, weights) = (width(&predictions), weights.as_ref().map(values));
    let loss = pointwise_in_place(loss, values_mut(&mut predictions), outputs, values(&targets), weights);
    (flex::tensor(vec![loss], [1]), predictions)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{check, input};

    #[test]
    fn agrees_with_the_composed_form_in_f64() {
        let all = [
            Pointwise::Squared,
            Pointwise::Absolute,
            Pointwise::Huber(0.3),
            Pointwise::BinaryCrossEntropy(2.0),
        ];
        for loss in all {
            check([input([7, 3], 1)], |[x]| {
                let like = (&x.get::<2>().device(), x.get::<2>().dtype());
                let targets = Tensor::from_data([[0.25, 0.5, 0.75]; 7], like);
                pointwise_loss(loss, x.get(), targets, None) * 3.0
            });
            check([input([4, 1], 2)], |[x]| {
                let like = (&x.get::<2>().device(), x.get::<2>().dtype());
                let targets = Tensor::from_data([[0.0], [1.0], [0.5], [1.0]], like);
                let weights = Tensor::from_data([0.5, 0.0, 2.0, 1.0], like);
                pointwise_loss(loss, x.get(), targets, Some(weights))
            });
        }
    }
}
