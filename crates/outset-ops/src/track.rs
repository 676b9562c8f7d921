//! The autodiff side of an operation: what it saves in its forward pass and how it turns that into gradients.

use burn::backend::{Autodiff, Flex, tensor::FloatTensor};
use burn_autodiff::{
    checkpoint::{base::Checkpointer, strategy::CheckpointStrategy},
    grads::Gradients,
    ops::{Backward, Ops, OpsKind},
};
use burn_flex::FlexTensor;
use std::{fmt::Debug, marker::PhantomData};

/// A tensor with a place in the graph.
pub(crate) type Tracked = FloatTensor<Autodiff<Flex>>;

/// An operation with `N` inputs that may need gradients.
pub(crate) trait Differentiable<const N: usize>: 'static {
    /// What the forward pass keeps for the backward pass.
    type Saved: Clone + Debug + Send + 'static;

    /// Returns a gradient for each input, given that of the output.
    ///
    /// `needed` says which are of use: the others may be `None`.
    fn gradients(saved: Self::Saved, dy: FlexTensor, needed: [bool; N]) -> [Option<FlexTensor>; N];
}

/// Runs an operation: `forward` if nobody needs its gradient, else `forward_saving`, and registers its backward step.
pub(crate) fn track<O: Differentiable<N>, C: CheckpointStrategy, const N: usize>(
    inputs: [Tracked; N],
    forward: impl FnOnce([FlexTensor; N]) -> FlexTensor,
    forward_saving: impl FnOnce([FlexTensor; N]) -> (FlexTensor, O::Saved),
) -> Tracked {
    let nodes = inputs.each_ref().map(Tracked::node);
    let inputs = inputs.map(Tracked::into_primitive);
    match Step::<O>(PhantomData).prepare::<C>(nodes).compute_bound().stateful() {
        OpsKind::Tracked(step) => {
            let (output, saved) = forward_saving(inputs);
            step.finish(saved, output)
        }
        OpsKind::UnTracked(step) => step.finish(forward(inputs)),
    }
}

/// The node of operation `O` in the graph.
struct Step<O>(PhantomData<fn() -> O>);

impl<O> Debug for Step<O> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(std::any::type_name::<O>())
    }
}

impl<O: Differentiable<N>, const N: usize> Backward<Flex, N> for Step<O> {
    type State = O::Saved;

    fn backward(self, ops: Ops<O::Saved, N>, grads: &mut Gradients, _checkpointer: &mut Checkpointer) {
        let dy = grads.consume::<Flex>(&ops.node);
        let needed = ops.parents.each_ref().map(Option::is_some);
        let gradients = O::gradients(ops.state, dy, needed);
        for (parent, gradient) in ops.parents.into_iter().zip(gradients) {
            if let (Some(parent), Some(gradient)) = (parent, gradient) {
                grads.register::<Flex>(parent.id, gradient);
            }
        }
    }
}
