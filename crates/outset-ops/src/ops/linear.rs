//! A linear map with bias and activation.

use crate::{
    flex::{self, contiguous, owned, values, values_mut, width},
    flops,
    track::{Differentiable, Tracked, track},
};
use burn::backend::{Autodiff, Backend, Dispatch, Flex, backend_extension, tensor::FloatTensor};
use burn::tensor::{Tensor, activation};
use burn_autodiff::checkpoint::strategy::CheckpointStrategy;
use burn_flex::FlexTensor;
use outset_kernels::{Activation, linear as kernel};

/// Returns `act(x W + b)`, for `x [.., inputs]`, `W [inputs, outputs]`, `b [outputs]`: `[.., outputs]`.
///
/// # Panics
/// If the sizes don't fit.
pub fn linear<const D: usize>(
    x: Tensor<D>,
    w: Tensor<2>,
    b: Option<Tensor<1>>,
    activation: Activation,
) -> Tensor<D> {
    let [inputs, outputs] = w.dims();
    assert_eq!(x.dims()[D - 1], inputs, "the input's width is not the number of rows of the weight");
    if let Some(b) = &b {
        assert_eq!(b.dims(), [outputs], "the bias has another size than the output");
    }
    flops::count_sizes([x.dims()[..D - 1].iter().product(), inputs, outputs]);
    let (x, w, b) = (x.into_dispatch(), w.into_dispatch(), b.map(Tensor::into_dispatch));
    if !flex::applies(&[&x, &w]) || b.as_ref().is_some_and(|b| !flex::applies(&[b])) {
        let b = b.map(Tensor::from_dispatch);
        return composed(Tensor::from_dispatch(x), Tensor::from_dispatch(w), b, activation);
    }
    Tensor::from_dispatch(match b {
        Some(b) => Dispatch::linear_with_bias(x, w, b, activation),
        None => Dispatch::linear(x, w, activation),
    })
}

/// Returns `x W + b + residual`, for `x [.., inputs]`, `W [inputs, outputs]`, `b [outputs]` and `residual [.., outputs]`: a
/// layer with a path round it, in one pass.
///
/// # Panics
/// If the sizes don't fit.
pub fn linear_adding<const D: usize>(
    x: Tensor<D>,
    w: Tensor<2>,
    b: Tensor<1>,
    residual: Tensor<D>,
) -> Tensor<D> {
    let [inputs, outputs] = w.dims();
    let mut shape = x.dims();
    assert_eq!(shape[D - 1], inputs, "the input's width is not the number of rows of the weight");
    assert_eq!(b.dims(), [outputs], "the bias has another size than the output");
    shape[D - 1] = outputs;
    assert_eq!(residual.dims(), shape, "what is added has another size than the output");
    flops::count_sizes([shape[..D - 1].iter().product(), inputs, outputs]);
    let inputs = [x.into_dispatch(), w.into_dispatch(), b.into_dispatch(), residual.into_dispatch()];
    if !flex::applies(&inputs.each_ref()) {
        let [x, w, b, residual] = inputs;
        let [x, residual] = [x, residual].map(Tensor::from_dispatch);
        let (w, b) = (Tensor::from_dispatch(w), Tensor::from_dispatch(b));
        return composed(x, w, Some(b), Activation::Identity) + residual;
    }
    let [x, w, b, residual] = inputs;
    Tensor::from_dispatch(Dispatch::linear_with_bias_adding(x, w, b, residual))
}

/// Applies an activation by Burn's own operations.
pub(crate) fn activate<const D: usize>(x: Tensor<D>, activation: Activation) -> Tensor<D> {
    match activation {
        Activation::Identity => x,
        Activation::Relu => activation::relu(x),
        Activation::LeakyRelu(slope) => activation::leaky_relu(x, slope.into()),
        Activation::Gelu => activation::gelu(x),
        Activation::Silu => activation::silu(x),
        Activation::Sigmoid => activation::sigmoid(x),
        Activation::Tanh => activation::tanh(x),
    }
}

pub(crate) fn composed<const D: usize>(
    x: Tensor<D>,
    w: Tensor<2>,
    b: Option<Tensor<1>>,
    activation: Activation,
) -> Tensor<D> {
    let [inputs, outputs] = w.dims();
    let mut shape = x.dims();
    let rows = shape[..D - 1].iter().product();
    shape[D - 1] = outputs;
    let mut y = x.reshape([rows, inputs]).matmul(w);
    if let Some(b) = b {
        y = y + b.unsqueeze();
    }
    activate(y, activation).reshape(shape)
}

#[backend_extension(Flex, Autodiff)]
trait LinearOps: Backend {
    fn linear(x: FloatTensor<Self>, w: FloatTensor<Self>, activation: Activation) -> FloatTensor<Self>;
    fn linear_with_bias(
        x: FloatTensor<Self>,
        w: FloatTensor<Self>,
        b: FloatTensor<Self>,
        activation: Activation,
    ) -> FloatTensor<Self>;
    fn linear_with_bias_adding(
        x: FloatTensor<Self>,
        w: FloatTensor<Self>,
        b: FloatTensor<Self>,
        residual: FloatTensor<Self>,
    ) -> FloatTensor<Self>;
}

impl LinearOps for Flex {
    fn linear(x: FlexTensor, w: FlexTensor, activation: Activation) -> FlexTensor {
        forward(x, w, None, activation)
    }

    fn linear_with_bias(x: FlexTensor, w: FlexTensor, b: FlexTensor, activation: Activation) -> FlexTensor {
        forward(x, w, Some(b), activation)
    }

    fn linear_with_bias_adding(
        x: FlexTensor,
        w: FlexTensor,
        b: FlexTensor,
        residual: FlexTensor,
    ) -> FlexTensor {
        forward_adding([x, w, b, residual]).0
    }
}

impl<C: CheckpointStrategy> LinearOps for Autodiff<Flex, C> {
    fn linear(x: Tracked, w: Tracked, activation: Activation) -> Tracked {
        track::<Linear, C, 2>(
            [x, w],
            |[x, w]| forward(x, w, None, activation),
            |[x, w]| forward_saving(x, w, None, activation),
        )
    }

    fn linear_with_bias(x: Tracked, w: Tracked, b: Tracked, activation: Activation) -> Tracked {
        track::<Linear, C, 3>(
            [x, w, b],
            |[x, w, b]| forward(x, w, Some(b), activation),
            |[x, w, b]| forward_saving(x, w, Some(b), activation),
        )
    }

    fn linear_with_bias_adding(x: Tracked, w: Tracked, b: Tracked, residual: Tracked) -> Tracked {
        track::<Linear, C, 4>([x, w, b, residual], |inputs| forward_adding(inputs).0, forward_adding)
    }
}

fn forward_adding(inputs: [FlexTensor; 4]) -> (FlexTensor, Saved) {
    let [x, w, b, residual] = inputs.map(contiguous);
    let y = kernel::forward_adding(values(&x), values(&w), Some(values(&b)), values(&residual), width(&w));
    let y = flex::tensor(y, flex::shape(&residual));
    (y, Saved { x, w, kept: None, activation: Activation::Identity })
}

fn forward(x: FlexTensor, w: FlexTensor, b: Option<FlexTensor>, activation: Activation) -> FlexTensor {
    let (x, w, b) = (contiguous(x), contiguous(w), b.map(contiguous));
    let outputs = width(&w);
    let y = kernel::forward(values(&x), values(&w), b.as_ref().map(values), outputs, activation);
    flex::tensor(y, flex::shape_with_width(&x, outputs))
}

fn forward_saving(
    x: FlexTensor,
    w: FlexTensor,
    b: Option<FlexTensor>,
    activation: Activation,
) -> (FlexTensor, Saved) {
    let (x, w, b) = (contiguous(x), contiguous(w), b.map(contiguous));
    let outputs = width(&w);
    let result = kernel::forward_saving(values(&x), values(&w), b.as_ref().map(values), outputs, activation);
    let shape = flex::shape_with_width(&x, outputs);
    let y = flex::tensor(result.output, shape.clone());
    let kept = match result.derivative {
        Some(derivative) => Some(flex::tensor(derivative, shape)),
        None if activation == Activation::Identity => None,
        None => Some(y.clone()),
    };
    (y, Saved { x, w, kept, activation })
}

/// Kept for the backward pass: both factors, and the activation's derivative or the output that it comes from.
#[derive(Clone, Debug)]
struct Saved {
    x: FlexTensor,
    w: FlexTensor,
    kept: Option<FlexTensor>,
    activation: Activation,
}

impl Saved {
    /// Returns the gradients of x, w and b.
    fn gradients(self, dy: FlexTensor, [need_x, need_w, need_b]: [bool; 3]) -> [Option<FlexTensor>; 3] {
        let (inputs, outputs) = (width(&self.x), width(&self.w));
        let (dh, db) = match &self.kept {
            None => {
                let dh = contiguous(dy);
                let db = need_b.then(|| kernel::bias_gradient(values(&dh), outputs));
                (dh, db)
            }
            Some(kept) => {
                let mut dh = owned(dy);
                let db =
                    kernel::activation_backward(values_mut(&mut dh), values(kept), outputs, self.activation);
                (dh, Some(db))
            }
        };
        let dx = need_x.then(|| {
            let dx = kernel::input_gradient(values(&dh), values(&self.w), inputs, outputs);
            flex::tensor(dx, flex::shape(&self.x))
        });
        let dw = need_w.then(|| {
            let dw = kernel::weight_gradient(values(&self.x), values(&dh), inputs, outputs);
            flex::tensor(dw, [inputs, outputs])
        });
        let db = db.filter(|_| need_b).map(|db| flex::tensor(db, [outputs]));
        [dx, dw, db]
    }
}

struct Linear;

impl Differentiable<2> for Linear {
    type Saved = Saved;

    fn gradients(saved: Saved, dy: FlexTensor, [need_x, need_w]: [bool; 2]) -> [Option<FlexTensor>; 2] {
        let [dx, dw, _] = saved.gradients(dy, [need_x, need_w, false]);
        [dx, dw]
    }
}

impl Differentiable<3> for Linear {
    type Saved = Saved;

    fn gradients(saved: Saved, dy: FlexTensor, needed: [bool; 3]) -> [Option<FlexTensor>; 3] {
        saved.gradients(dy, needed)
    }
}

impl Differentiable<4> for Linear {
    type Saved = Saved;

    fn gradients(saved: Saved, dy: FlexTensor, needed: [bool; 4]) -> [Option<FlexTensor>; 4] {
        let [need_x, need_w, need_b, _] = needed;
        let [dx, dw, db] = saved.gradients(dy.clone(), [need_x, need_w, need_b]);
        [dx, dw, db, Some(dy)]
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{check, input};

    const ALL: [Activation; 7] = [
        Activation::Identity,
        Activation::Relu,
        Activation::LeakyRelu(0.2),
        Activation::Gelu,
        Activation::Silu,
        Activation::Sigmoid,
        Activation::Tanh,
    ];

    #[test]
    fn agrees_with_the_composed_form_in_f64() {
        for activation in ALL {
            for (rows, inputs, outputs) in [(7, 5, 3), (1, 1, 1), (33, 17, 65)] {
                let leaves = [input([rows, inputs], 1), input([inputs, outputs], 2), input([outputs], 3)];
                check(leaves, |[x, w, b]| linear::<2>(x.get(), w.get(), Some(b.get()), activation));
                let leaves = [input([rows, inputs], 1), input([inputs, outputs], 2)];
                check(leaves, |[x, w]| linear::<2>(x.get(), w.get(), None, activation));
            }
        }
    }

    #[test]
    fn a_residual_agrees_with_the_composed_form_in_f64() {
        let leaves = [input([2, 3, 4], 1), input([4, 5], 2), input([5], 3), input([2, 3, 5], 4)];
        check(leaves, |[x, w, b, r]| linear_adding::<3>(x.get(), w.get(), b.get(), r.get()));
    }

    #[test]
    fn takes_inputs_of_any_rank_and_layout() {
        let leaves = [input([2, 3, 4], 1), input([5, 4], 2), input([5], 3)];
        check(leaves, |[x, w, b]| {
            linear::<3>(x.get(), w.get::<2>().transpose(), Some(b.get()), Activation::Gelu)
        });
    }
}
