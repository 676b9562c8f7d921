//! Rows looked up in several tables, side by side.

use super::recompute::node;
use crate::{
    embedding,
    flex::{self, contiguous, values},
    track::Tracked,
};
use burn::backend::{Autodiff, Backend, Dispatch, Flex, backend_extension, tensor::FloatTensor};
use burn::module::Param;
use burn::tensor::{DType, Device, Int, Tensor};
use burn_autodiff::{
    NodeId,
    checkpoint::{base::Checkpointer, strategy::CheckpointStrategy},
    grads::Gradients,
    ops::{Backward, Ops, OpsKind},
};
use burn_flex::FlexTensor;
use outset_kernels::embedding::{self as kernel, Column};
use std::sync::Arc;

/// Returns for each of `n` examples its values of `beside [n, ..]` and, side by side, its row of each table: `[n, ..]`.
///
/// Table `i` is `[rows, width]` and `indices[i] [n]` names its rows. `beside` gets no gradient. One step in the graph for
/// all tables: with one for each and one for joining them, a small network would spend a fifth of its time on these.
///
/// # Panics
/// If there are other indices than tables, or one is negative or not below its table's number of rows.
pub fn embeddings(
    beside: Option<Tensor<2>>,
    tables: &[Param<Tensor<2>>],
    indices: &[Tensor<1, Int>],
) -> Tensor<2> {
    assert_eq!(tables.len(), indices.len(), "there are indices for each table");
    let tensors: Vec<Tensor<2>> = tables.iter().map(Param::val).collect();
    let fused = !tensors.is_empty()
        && tensors.iter().all(fits)
        && beside
            .as_ref()
            .is_none_or(|beside| fits(beside) && node(&beside.clone().into_dispatch()).is_none());
    if !fused {
        let looked_up =
            tensors.into_iter().zip(indices).map(|(table, index)| embedding(table, index.clone()));
        return Tensor::cat(beside.into_iter().chain(looked_up).collect(), 1);
    }
    let nodes = tensors.iter().map(|table| node(&table.clone().into_dispatch())).collect::<Vec<_>>();
    let columns = Arc::new(Columns {
        beside: beside.map(primitive),
        tables: tensors.iter().cloned().map(primitive).collect(),
        indices: indices.iter().map(|index| index.to_data().iter::<i64>().collect()).collect(),
    });
    let y = columns.forward();
    // The step hangs at one table that is tracked; parameters have nothing behind them, so that the gradients of the others
    // can be left at their places from there.
    let Some(first) = nodes.iter().position(Option::is_some) else {
        let y = Tensor::from_primitive::<Flex>(y);
        return if tensors[0].device().is_autodiff() { Tensor::from_inner(y) } else { y };
    };
    let parent = tensors[first].clone().into_dispatch();
    Tensor::from_dispatch(Dispatch::looked_up(parent, Looked { y: Some(y), columns, nodes }))
}

/// Whether a tensor is one of `f32` on `flex`, tracked or not.
fn fits(tensor: &Tensor<2>) -> bool {
    let device = tensor.device();
    let device = if device.is_autodiff() { device.inner() } else { device };
    tensor.dtype() == DType::F32 && device == Device::flex()
}

fn primitive(tensor: Tensor<2>) -> FlexTensor {
    let tensor = if tensor.device().is_autodiff() { tensor.inner() } else { tensor };
    contiguous(flex::primitive(tensor))
}

/// Everything that both passes read.
#[derive(Debug)]
struct Columns {
    beside: Option<FlexTensor>,
    tables: Vec<FlexTensor>,
    indices: Vec<Vec<i64>>,
}

impl Columns {
    fn columns(&self) -> Vec<Column<'_>> {
        let tables = self.tables.iter().zip(&self.indices);
        tables
            .map(|(table, indices)| Column { table: values(table), width: flex::width(table), indices })
            .collect()
    }

    fn beside(&self) -> (&[f32], usize) {
        self.beside.as_ref().map_or((&[], 0), |beside| (values(beside), flex::width(beside)))
    }

    fn forward(&self) -> FlexTensor {
        let ((beside, width), columns, n) = (self.beside(), self.columns(), self.indices[0].len());
        let total = width + columns.iter().map(|column| column.width).sum::<usize>();
        flex::tensor(kernel::forward_beside(beside, width, &columns, n), [n, total])
    }
}

/// What was looked up, and the places of the tables in the graph.
#[derive(Clone, Debug)]
struct Looked {
    /// The output, until it is taken.
    y: Option<FlexTensor>,
    columns: Arc<Columns>,
    nodes: Vec<Option<NodeId>>,
}

#[backend_extension(Flex, Autodiff)]
trait EmbeddingsOps: Backend {
    /// Puts what was looked up into the graph behind one of its tables.
    fn looked_up(parent: FloatTensor<Self>, looked: Looked) -> FloatTensor<Self>;
}

impl EmbeddingsOps for Flex {
    fn looked_up(_parent: FlexTensor, looked: Looked) -> FlexTensor {
        looked.y.expect("the output is taken once")
    }
}

impl<C: CheckpointStrategy> EmbeddingsOps for Autodiff<Flex, C> {
    fn looked_up(parent: Tracked, mut looked: Looked) -> Tracked {
        let y = looked.y.take().expect("the output is taken once");
        match LookUp.prepare::<C>([parent.node()]).compute_bound().stateful() {
            OpsKind::Tracked(step) => step.finish(looked, y),
            OpsKind::UnTracked(step) => step.finish(y),
        }
    }
}

#[derive(Debug)]
struct LookUp;

impl Backward<Flex, 1> for LookUp {
    type State = Looked;

    fn backward(self, ops: Ops<Looked, 1>, grads: &mut Gradients, _: &mut Checkpointer) {
        let dy = contiguous(grads.consume::<Flex>(&ops.node));
        let Looked { columns, nodes, .. } = ops.state;
        let gradients = kernel::backward_beside(values(&dy), columns.beside().1, &columns.columns());
        for ((node, table), gradient) in nodes.into_iter().zip(&columns.tables).zip(gradients) {
            if let Some(node) = node {
                grads.register::<Flex>(node, flex::tensor(gradient, flex::shape(table)));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{close, wide};
    use burn::tensor::Distribution;

    #[test]
    fn one_step_gives_what_one_for_each_gives() {
        let device = Device::flex().autodiff();
        let random = |shape| Tensor::<2>::random(shape, Distribution::Uniform(-1.0, 1.0), &device);
        let tables = [[3, 2], [5, 4], [2, 1]].map(|shape| Param::from_tensor(random(shape)));
        let index = |values: [i64; 4]| Tensor::<1, Int>::from_data(values, &device);
        let indices = [index([0, 2, 2, 1]), index([4, 4, 0, 3]), index([1, 0, 0, 1])];
        for beside in [None, Some(random([4, 3]))] {
            let each =
                tables.iter().zip(&indices).map(|(table, index)| embedding(table.val(), index.clone()));
            let apart = Tensor::cat(beside.iter().cloned().chain(each).collect(), 1);
            let together = embeddings(beside.clone(), &tables, &indices);
            close("output", &wide(together.clone()), &wide(apart.clone()));
            let weights = random(together.dims());
            let gradients = |y: Tensor<2>| {
                let mut graph = (y * weights.clone()).sum().backward();
                tables.each_ref().map(|table| wide(table.val().grad_remove(&mut graph).unwrap()))
            };
            for (got, expected) in gradients(together).iter().zip(&gradients(apart)) {
                close("gradient", got, expected);
            }
            let untracked = tables.clone().map(|table| Param::from_tensor(table.val().inner()));
            let indices = indices.clone().map(|index| index.inner());
            let plain = embeddings(beside.clone().map(Tensor::inner), &untracked, &indices);
            close(
                "untracked",
                &wide(plain),
                &wide(embeddings(beside, &tables, &indices.map(Tensor::from_inner))),
            );
        }
    }
}
