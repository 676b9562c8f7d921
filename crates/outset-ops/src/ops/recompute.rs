//! Blocks of a network whose activations are computed again in the backward pass instead of being kept (T. Chen et al.
//! 2016, <https://arxiv.org/abs/1604.06174>).
//!
//! The forward pass of such a block keeps its input alone. Its backward pass runs the block once more, on a graph of its
//! own, and goes back through that: the arithmetic is the same, so gradients are equal bit for bit.

use crate::{
    flex::{self, primitive},
    track::Tracked,
};
use burn::backend::{
    Autodiff, Backend, BackendTensor, Dispatch, DispatchTensor, DispatchTensorKind, Flex, backend_extension,
    tensor::FloatTensor,
};
use burn::module::{Module, ModuleMapper, ModuleVisitor, Param, ParamId};
use burn::tensor::{Gradients, Tensor};
use burn_autodiff::{
    NodeId,
    checkpoint::{base::Checkpointer, strategy::CheckpointStrategy},
    grads,
    ops::{Backward, Ops, OpsKind},
};
use burn_flex::FlexTensor;
use std::cell::Cell;
use std::collections::HashMap;
use std::sync::{Arc, Mutex};

thread_local! {
    static WANTED: Cell<bool> = const { Cell::new(false) };
    static AGAIN: Cell<bool> = const { Cell::new(false) };
}

/// Runs `work` with a flag set, and sets it back, also when `work` panics.
fn with_flag<R>(
    flag: &'static std::thread::LocalKey<Cell<bool>>,
    value: bool,
    work: impl FnOnce() -> R,
) -> R {
    struct Restore(&'static std::thread::LocalKey<Cell<bool>>, bool);
    impl Drop for Restore {
        fn drop(&mut self) {
            self.0.set(self.1);
        }
    }
    let _restore = Restore(flag, flag.replace(value));
    work()
}

/// Runs a forward pass in which every [`recompute`] keeps its input alone, if `wanted`, or is an ordinary call.
pub fn with_recompute<R>(wanted: bool, work: impl FnOnce() -> R) -> R {
    with_flag(&WANTED, wanted, work)
}

/// Whether a block runs for its backward pass: what a forward pass does once, such as updating running statistics, was
/// done before.
pub(crate) fn runs_again() -> bool {
    AGAIN.get()
}

/// Returns `forward(module, x)`; inside [`with_recompute`] its activations are not kept but computed again in the backward
/// pass.
///
/// Gradients flow to `x` and the module's parameters. Whatever else `forward` captures must be untracked, and it must
/// give the same result each time.
pub fn recompute<M: Module + 'static, const D: usize, const E: usize>(
    module: &M,
    x: Tensor<D>,
    forward: impl Fn(&M, Tensor<D>) -> Tensor<E> + Send + 'static,
) -> Tensor<E> {
    let x = x.into_dispatch();
    if !WANTED.get() || AGAIN.get() || !flex::applies(&[&x]) || node(&x).is_none() {
        return forward(module, Tensor::from_dispatch(x));
    }
    let mut nodes = Nodes::default();
    module.visit(&mut nodes);
    let quiet = module.clone().no_grad();
    let y = forward(&quiet, Tensor::<D>::from_dispatch(x.clone()).detach());
    let work = move |x: FlexTensor, dy: FlexTensor| {
        let mut leaves = Leaves(&nodes.0);
        let module = quiet.map(&mut leaves);
        let x = leaf(Tensor::<D>::from_primitive::<Flex>(x));
        let y = with_flag(&AGAIN, true, || forward(&module, x.clone()));
        let dy = Tensor::<E>::from_inner(Tensor::from_primitive::<Flex>(dy));
        let mut graph = (y * dy).sum().backward();
        let dx = x.grad_remove(&mut graph).map(primitive);
        let mut found = Found { graph, nodes: &nodes.0, gradients: Vec::new() };
        module.visit(&mut found);
        (dx, found.gradients)
    };
    let block = Block(Arc::new(Mutex::new(Some(Box::new(work)))));
    Tensor::from_dispatch(Dispatch::recomputed(x, y.into_dispatch(), block))
}

/// A tracked leaf that holds the values of a tensor.
fn leaf<const D: usize>(values: Tensor<D>) -> Tensor<D> {
    Tensor::from_inner(values).require_grad()
}

/// The place in the graph of a tensor that is tracked.
pub(crate) fn node(tensor: &DispatchTensor) -> Option<NodeId> {
    let DispatchTensorKind::Autodiff(inner) = &tensor.kind else { return None };
    // With `flex` as the only backend of a build every kind is this one.
    #[allow(irrefutable_let_patterns)]
    let DispatchTensorKind::Flex(BackendTensor::Autodiff(tensor)) = inner.as_ref() else { return None };
    tensor.is_tracked().then(|| tensor.id())
}

/// The places of a module's parameters in the graph, of those that get gradients.
#[derive(Default)]
struct Nodes(HashMap<ParamId, NodeId>);

impl ModuleVisitor for Nodes {
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        if let Some(node) = node(&param.val().into_dispatch()) {
            self.0.insert(param.id, node);
        }
    }
}

/// Makes those parameters leaves of a new graph.
struct Leaves<'a>(&'a HashMap<ParamId, NodeId>);

impl ModuleMapper for Leaves<'_> {
    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        if !self.0.contains_key(&param.id) {
            return param;
        }
        let (id, weight, mapper) = param.consume();
        Param::from_mapped_value(id, leaf(weight.inner()), mapper)
    }
}

/// Collects the gradients of those parameters.
struct Found<'a> {
    graph: Gradients,
    nodes: &'a HashMap<ParamId, NodeId>,
    gradients: Vec<(NodeId, FlexTensor)>,
}

impl ModuleVisitor for Found<'_> {
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        let Some(node) = self.nodes.get(&param.id) else { return };
        if let Some(gradient) = param.val().grad_remove(&mut self.graph) {
            self.gradients.push((*node, primitive(gradient)));
        }
    }
}

/// From input and gradient of the output to the gradients of the input and the parameters.
type Work = Box<dyn FnOnce(FlexTensor, FlexTensor) -> (Option<FlexTensor>, Vec<(NodeId, FlexTensor)>) + Send>;

/// What the backward pass of a block does, once.
#[derive(Clone)]
struct Block(Arc<Mutex<Option<Work>>>);

impl std::fmt::Debug for Block {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Block")
    }
}

#[backend_extension(Flex, Autodiff)]
trait RecomputeOps: Backend {
    /// Puts the output `y` of a block into the graph behind its input `x`.
    fn recomputed(x: FloatTensor<Self>, y: FloatTensor<Self>, block: Block) -> FloatTensor<Self>;
}

impl RecomputeOps for Flex {
    fn recomputed(_x: FlexTensor, y: FlexTensor, _block: Block) -> FlexTensor {
        y
    }
}

impl<C: CheckpointStrategy> RecomputeOps for Autodiff<Flex, C> {
    fn recomputed(x: Tracked, y: Tracked, block: Block) -> Tracked {
        let (node, x, y) = (x.node(), x.into_primitive(), y.into_primitive());
        match Recompute.prepare::<C>([node]).compute_bound().stateful() {
            OpsKind::Tracked(step) => step.finish((x, block), y),
            OpsKind::UnTracked(step) => step.finish(y),
        }
    }
}

#[derive(Debug)]
struct Recompute;

impl Backward<Flex, 1> for Recompute {
    type State = (FlexTensor, Block);

    fn backward(self, ops: Ops<Self::State, 1>, grads: &mut grads::Gradients, _: &mut Checkpointer) {
        let dy = grads.consume::<Flex>(&ops.node);
        let (x, Block(work)) = ops.state;
        let work = work.lock().map(|mut work| work.take()).ok().flatten();
        let (dx, of_parameters) = work.expect("a backward pass runs once")(x, dy);
        let [parent] = ops.parents;
        if let (Some(parent), Some(dx)) = (parent, dx) {
            grads.register::<Flex>(parent.id, dx);
        }
        for (node, gradient) in of_parameters {
            grads.register::<Flex>(node, gradient);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Activation, BatchNorm, Linear, dropout, testing::wide};
    use burn::tensor::{Device, Distribution};
    use std::sync::atomic::{AtomicUsize, Ordering};

    /// A block with weights, running statistics and dropout.
    #[derive(Debug, Module)]
    struct Layer {
        linear: Linear,
        norm: BatchNorm,
    }

    impl Layer {
        fn new(device: &Device) -> Layer {
            Layer { linear: Linear::new(6, 6, true, device), norm: BatchNorm::new(6, device) }
        }

        fn forward(&self, x: Tensor<2>) -> Tensor<2> {
            let y = self.norm.forward(self.linear.forward_with(x.clone(), Activation::Gelu));
            x + dropout(y, 0.25, 7)
        }
    }

    #[test]
    fn gradients_and_running_statistics_are_equal_bit_for_bit() {
        let device = Device::flex().autodiff();
        device.seed(3);
        let (first, second) = (Layer::new(&device), Layer::new(&device));
        let input = Tensor::<2>::random([9, 6], Distribution::Default, &device);
        let run = |wanted| {
            // The running statistics of a clone are shared.
            let fresh = |layer: &Layer| {
                let norm = BatchNorm::new(6, &device);
                Layer { norm, linear: layer.linear.clone() }
            };
            let (first, second) = (fresh(&first), fresh(&second));
            let x = input.clone().require_grad();
            let y = with_recompute(wanted, || {
                let y = recompute(&first, x.clone() * 2.0, |layer, x| layer.forward(x));
                // One module in two places: its gradients add up.
                let y = recompute(&second, y, |layer, x| layer.forward(x));
                recompute(&second, y, |layer, x| layer.forward(x))
            });
            let mut values = vec![wide(y.clone())];
            let mut graph = y.powi_scalar(2).sum().backward();
            values.extend(x.grad_remove(&mut graph).map(wide));
            for layer in [&first, &second] {
                for vector in [&layer.norm.gamma, &layer.norm.beta] {
                    values.extend(vector.val().grad_remove(&mut graph).map(wide));
                }
                values.extend(layer.linear.weight.val().grad_remove(&mut graph).map(wide));
                values.push(wide(layer.norm.running_mean.value_sync()));
                values.push(wide(layer.norm.running_var.value_sync()));
            }
            values
        };
        let (kept, again) = (run(false), run(true));
        assert_eq!(kept.len(), 12);
        for (kept, again) in kept.iter().zip(&again) {
            assert!(kept.iter().any(|v| *v != 0.0));
            assert_eq!(kept, again);
        }
    }

    #[test]
    fn a_block_runs_again_in_the_backward_pass_and_otherwise_once() {
        let device = Device::flex().autodiff();
        let layer = Linear::new(4, 4, true, &device);
        let runs = |wanted| {
            let count = Arc::new(AtomicUsize::new(0));
            let (counted, x) = (count.clone(), Tensor::<2>::ones([2, 4], &device).require_grad());
            let y = with_recompute(wanted, || {
                recompute(&layer, x, move |layer, x| {
                    counted.fetch_add(1, Ordering::Relaxed);
                    layer.forward(x)
                })
            });
            let forward = count.load(Ordering::Relaxed);
            drop(y.sum().backward());
            [forward, count.load(Ordering::Relaxed)]
        };
        assert_eq!(runs(false), [1, 1]);
        assert_eq!(runs(true), [1, 2]);
    }

    #[test]
    fn without_gradients_it_is_an_ordinary_call() {
        let device = Device::flex();
        let layer = Linear::new(4, 4, true, &device);
        let x = Tensor::<2>::ones([2, 4], &device);
        let expected = wide(layer.forward(x.clone()));
        let got = with_recompute(true, || recompute(&layer, x, |layer, x| layer.forward(x)));
        assert_eq!(wide(got), expected);
    }
}
