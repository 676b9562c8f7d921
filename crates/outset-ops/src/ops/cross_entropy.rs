//! Softmax cross-entropy over rows.

use crate::{
    flex::{self, contiguous, integers, owned, values, values_mut, width},
    track::{Differentiable, Tracked, track},
};
use burn::backend::{
    Autodiff, Backend, Dispatch, Flex, backend_extension,
    tensor::{FloatTensor, IntTensor},
};
use burn::tensor::{Int, Tensor, activation::log_softmax};
use burn_autodiff::checkpoint::strategy::CheckpointStrategy;
use burn_flex::FlexTensor;
use outset_kernels::loss as kernel;

/// Returns the mean cross-entropy of the rows of `logits [rows, classes]` to the classes in `targets [rows]`.
///
/// With `weights [rows]` it is the weighted mean; `smoothing` spreads that share of the target evenly over all
/// classes (arXiv 1512.00567). A negative target leaves its row out. Weights get no gradient. Where no row counts,
/// the loss is zero.
///
/// # Panics
/// If the sizes don't fit or a target is not below the number of classes.
pub fn cross_entropy(
    logits: Tensor<2>,
    targets: Tensor<1, Int>,
    weights: Option<Tensor<1>>,
    smoothing: f64,
) -> Tensor<1> {
    let [rows, _] = logits.dims();
    assert_eq!(targets.dims(), [rows], "logits and targets differ in rows");
    assert!(weights.as_ref().is_none_or(|w| w.dims() == [rows]), "logits and weights differ in rows");
    let (logits, weights) = (logits.into_dispatch(), weights.map(Tensor::into_dispatch));
    if !flex::applies(&[&logits]) || weights.as_ref().is_some_and(|w| !flex::applies(&[w])) {
        return composed(
            Tensor::from_dispatch(logits),
            targets,
            weights.map(Tensor::from_dispatch),
            smoothing,
        );
    }
    let targets = targets.into_dispatch();
    Tensor::from_dispatch(match weights {
        Some(weights) => Dispatch::weighted_cross_entropy(logits, targets, weights, smoothing),
        None => Dispatch::cross_entropy(logits, targets, smoothing),
    })
}

fn composed(
    logits: Tensor<2>,
    targets: Tensor<1, Int>,
    weights: Option<Tensor<1>>,
    smoothing: f64,
) -> Tensor<1> {
    let [rows, classes] = logits.dims();
    let weights = match weights {
        Some(weights) => weights.detach(),
        None => Tensor::ones([rows], (&logits.device(), logits.dtype())),
    };
    let weights = weights.mask_fill(targets.clone().lower_elem(0), 0.0);
    // Whatever the logits of rows that are left out hold: zero times a NaN is one, in the loss and in the gradient.
    let left_out = weights.clone().equal_elem(0.0).unsqueeze_dim::<2>(1).expand([rows, classes]);
    let log_probabilities = log_softmax(logits.mask_fill(left_out, 0.0), 1);
    let targets = targets.clamp_min(0).unsqueeze_dim(1);
    let of_target = log_probabilities.clone().gather(1, targets).squeeze_dim(1);
    let of_all = log_probabilities.mean_dim(1).squeeze_dim(1);
    let loss = (of_target * (1.0 - smoothing) + of_all * smoothing).neg();
    // A total of zero makes the sum zero too; the bound keeps it from becoming a NaN.
    let total = weights.clone().sum().clamp_min(f64::from(f32::MIN_POSITIVE));
    (loss * weights).sum() / total
}

#[backend_extension(Flex, Autodiff)]
trait CrossEntropyOps: Backend {
    fn cross_entropy(
        logits: FloatTensor<Self>,
        targets: IntTensor<Self>,
        smoothing: f64,
    ) -> FloatTensor<Self>;
    fn weighted_cross_entropy(
        logits: FloatTensor<Self>,
        targets: IntTensor<Self>,
        weights: FloatTensor<Self>,
        smoothing: f64,
    ) -> FloatTensor<Self>;
}

impl CrossEntropyOps for Flex {
    fn cross_entropy(logits: FlexTensor, targets: FlexTensor, smoothing: f64) -> FlexTensor {
        loss(logits, &targets, None, smoothing)
    }

    fn weighted_cross_entropy(
        logits: FlexTensor,
        targets: FlexTensor,
        weights: FlexTensor,
        smoothing: f64,
    ) -> FlexTensor {
        loss(logits, &targets, Some(weights), smoothing)
    }
}

impl<C: CheckpointStrategy> CrossEntropyOps for Autodiff<Flex, C> {
    fn cross_entropy(logits: Tracked, targets: FlexTensor, smoothing: f64) -> Tracked {
        track::<Loss, C, 1>(
            [logits],
            |[logits]| loss(logits, &targets, None, smoothing),
            |[logits]| loss_and_gradient(logits, &targets, None, smoothing),
        )
    }

    fn weighted_cross_entropy(
        logits: Tracked,
        targets: FlexTensor,
        weights: Tracked,
        smoothing: f64,
    ) -> Tracked {
        let weights = contiguous(weights.into_primitive());
        track::<Loss, C, 1>(
            [logits],
            |[logits]| loss(logits, &targets, Some(weights.clone()), smoothing),
            |[logits]| loss_and_gradient(logits, &targets, Some(weights.clone()), smoothing),
        )
    }
}

fn loss(logits: FlexTensor, targets: &FlexTensor, weights: Option<FlexTensor>, smoothing: f64) -> FlexTensor {
    let (logits, weights) = (contiguous(logits), weights.map(contiguous));
    let weights = weights.as_ref().map(values);
    let loss =
        kernel::cross_entropy(values(&logits), width(&logits), &integers(targets), weights, smoothing as f32);
    flex::tensor(vec![loss], [1])
}

fn loss_and_gradient(
    logits: FlexTensor,
    targets: &FlexTensor,
    weights: Option<FlexTensor>,
    smoothing: f64,
) -> (FlexTensor, FlexTensor) {
    let (mut logits, weights) = (owned(logits), weights.map(contiguous));
    let (classes, weights) = (width(&logits), weights.as_ref().map(values));
    let smoothing = smoothing as f32;
    let loss = kernel::cross_entropy_in_place(
        values_mut(&mut logits),
        classes,
        &integers(targets),
        weights,
        smoothing,
    );
    (flex::tensor(vec![loss], [1]), logits)
}

/// A loss whose gradient is made together with it.
pub(crate) struct Loss;

impl Differentiable<1> for Loss {
    /// The gradient of the predictions.
    type Saved = FlexTensor;

    fn gradients(gradient: FlexTensor, dy: FlexTensor, _needed: [bool; 1]) -> [Option<FlexTensor>; 1] {
        [Some(scaled(gradient, dy))]
    }
}

/// Multiplies the gradient of a loss by the gradient of what came after it.
pub(crate) fn scaled(gradient: FlexTensor, dy: FlexTensor) -> FlexTensor {
    let factor = values(&contiguous(dy))[0];
    if factor == 1.0 {
        return gradient;
    }
    let mut gradient = owned(gradient);
    kernel::scale(values_mut(&mut gradient), factor);
    gradient
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{Leaf, check, close, input, wide};
    use burn::tensor::{DType, Device, TensorData};

    fn targets(like: &Leaf, targets: &[i64]) -> Tensor<1, Int> {
        Tensor::from_data(TensorData::new(targets.to_vec(), [targets.len()]), &like.get::<2>().device())
    }

    #[test]
    fn agrees_with_the_composed_form_in_f64() {
        for smoothing in [0.0, 0.1] {
            check([input([5, 4], 1)], |[x]| {
                cross_entropy(x.get(), targets(x, &[0, 3, -1, 2, 3]), None, smoothing)
            });
            check([input([3, 19], 1)], |[x]| {
                let weights =
                    Tensor::from_data([0.5, 0.0, 2.0], (&x.get::<2>().device(), x.get::<2>().dtype()));
                cross_entropy(x.get(), targets(x, &[18, 0, 7]), Some(weights), smoothing) * 3.0
            });
        }
    }

    #[test]
    fn a_row_that_is_left_out_may_hold_anything() {
        let device = Device::flex().autodiff();
        for (middle, weights) in [(-1, None), (-1, Some([1.0, 5.0, 2.0])), (0, Some([1.0, 0.0, 2.0]))] {
            let run = |dtype| {
                let logits = TensorData::new(vec![0.5, -1.0, f64::NAN, f64::INFINITY, 1.0, 2.0], [3, 2]);
                let logits = Tensor::<2>::from_data(logits, (&device, dtype)).require_grad();
                let targets = Tensor::from_data(TensorData::new(vec![0i64, middle, 1], [3]), &device);
                let weights = weights.map(|weights: [f64; 3]| Tensor::from_data(weights, (&device, dtype)));
                let loss = cross_entropy(logits.clone(), targets, weights, 0.1);
                let gradient = logits.grad(&loss.backward()).map(wide).unwrap_or_default();
                (wide(loss), gradient)
            };
            let ((loss, gradient), (loss64, gradient64)) = (run(DType::F32), run(DType::F64));
            close("loss", &loss, &loss64);
            close("gradient", &gradient, &gradient64);
            assert_eq!(gradient64[2..4], [0.0, 0.0]);
        }
    }

    #[test]
    fn no_row_gives_no_loss() {
        check([input([2, 3], 1)], |[x]| cross_entropy(x.get(), targets(x, &[-1, -1]), None, 0.0));
    }
}
