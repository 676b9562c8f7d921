//! Activations where no product comes before them.

use crate::{
    flex::{self, owned, values, values_mut},
    ops::linear,
    track::{Differentiable, Tracked, track},
};
use burn::backend::{Autodiff, Backend, Dispatch, Flex, backend_extension, tensor::FloatTensor};
use burn::tensor::Tensor;
use burn_autodiff::checkpoint::strategy::CheckpointStrategy;
use burn_flex::FlexTensor;
use outset_kernels::{Activation, linear as kernel};

/// Returns `max(x, 0)`.
pub fn relu<const D: usize>(x: Tensor<D>) -> Tensor<D> {
    activate(x, Activation::Relu)
}

/// Returns `1 / (1 + exp(−x))`.
pub fn sigmoid<const D: usize>(x: Tensor<D>) -> Tensor<D> {
    activate(x, Activation::Sigmoid)
}

/// Applies an activation whose derivative comes from its output.
fn activate<const D: usize>(x: Tensor<D>, activation: Activation) -> Tensor<D> {
    let x = x.into_dispatch();
    if !flex::applies(&[&x]) {
        return linear::activate(Tensor::from_dispatch(x), activation);
    }
    Tensor::from_dispatch(Dispatch::activate(x, activation))
}

#[backend_extension(Flex, Autodiff)]
trait ActivateOps: Backend {
    fn activate(x: FloatTensor<Self>, activation: Activation) -> FloatTensor<Self>;
}

impl ActivateOps for Flex {
    fn activate(x: FlexTensor, activation: Activation) -> FlexTensor {
        let mut x = owned(x);
        kernel::activate(values_mut(&mut x), activation);
        x
    }
}

impl<C: CheckpointStrategy> ActivateOps for Autodiff<Flex, C> {
    fn activate(x: Tracked, activation: Activation) -> Tracked {
        track::<Activate, C, 1>(
            [x],
            |[x]| Flex::activate(x, activation),
            |[x]| {
                let y = Flex::activate(x, activation);
                (y.clone(), (y, activation))
            },
        )
    }
}

struct Activate;

impl Differentiable<1> for Activate {
    /// The output, and what it came of.
    type Saved = (FlexTensor, Activation);

    fn gradients(
        (y, activation): Self::Saved,
        dy: FlexTensor,
        _needed: [bool; 1],
    ) -> [Option<FlexTensor>; 1] {
        let mut dx = owned(dy);
        kernel::activate_backward(values_mut(&mut dx), values(&y), activation);
        [Some(dx)]
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{check, input};

    #[test]
    fn agrees_with_the_composed_form_in_f64() {
        for activation in [relu::<3>, sigmoid::<3>] {
            check([input([2, 3, 17], 1)], |[x]| activation(x.get()));
            check([input([4, 5, 3], 1)], |[x]| activation(x.get::<3>().swap_dims(0, 2)));
            // What is overwritten in place must be nobody else's.
            check([input([2, 3, 4], 1)], |[x]| {
                let x = x.get::<3>();
                activation(x.clone()) * x.clone() + activation(x)
            });
        }
    }
}
