//! Weighted sums of rows of a table.

use crate::{
    flex::{self, contiguous, values, width},
    flops,
    track::{Differentiable, Tracked, track},
};
use burn::backend::{Autodiff, Backend, Dispatch, Flex, backend_extension, tensor::FloatTensor};
use burn::tensor::{IndexingUpdateOp, Int, Tensor, TensorData};
use burn_autodiff::checkpoint::strategy::CheckpointStrategy;
use burn_flex::FlexTensor;
use outset_kernels::bag::{self as kernel, Bags};
use std::sync::Arc;

/// Returns for each of `n` bags the sum of its rows of `table [rows, width]`, each times its weight: `[n, width]`.
///
/// # Panics
/// If an index is not below the number of rows.
pub fn bag(table: Tensor<2>, bags: Arc<Bags>) -> Tensor<2> {
    flops::count_sizes([bags.indices.len(), table.dims()[1]]);
    let table = table.into_dispatch();
    if !flex::applies(&[&table]) {
        return composed(Tensor::from_dispatch(table), &bags);
    }
    Tensor::from_dispatch(Dispatch::weighted_bag(table, bags))
}

fn composed(table: Tensor<2>, bags: &Bags) -> Tensor<2> {
    let ([_, width], count, device) = (table.dims(), bags.indices.len(), table.device());
    let zeros = Tensor::zeros([bags.len(), width], (&device, table.dtype()));
    if count == 0 {
        return zeros;
    }
    let of_bag: Vec<i32> = (0..bags.len())
        .flat_map(|bag| (bags.offsets[bag]..bags.offsets[bag + 1]).map(move |_| bag as i32))
        .collect();
    let indices: Vec<i32> = bags.indices.iter().map(|index| *index as i32).collect();
    let integers = |values: Vec<i32>| Tensor::<1, Int>::from_data(TensorData::new(values, [count]), &device);
    let weights = TensorData::new(bags.weights.clone(), [count, 1]);
    let weights = Tensor::<2>::from_data(weights, (&device, table.dtype()));
    let rows = table.select(0, integers(indices)) * weights;
    zeros.select_assign(0, integers(of_bag), rows, IndexingUpdateOp::Add)
}

#[backend_extension(Flex, Autodiff)]
trait BagOps: Backend {
    fn weighted_bag(table: FloatTensor<Self>, bags: Arc<Bags>) -> FloatTensor<Self>;
}

impl BagOps for Flex {
    fn weighted_bag(table: FlexTensor, bags: Arc<Bags>) -> FlexTensor {
        let table = contiguous(table);
        let sums = kernel::forward(values(&table), width(&table), &bags);
        flex::tensor(sums, [bags.len(), width(&table)])
    }
}

impl<C: CheckpointStrategy> BagOps for Autodiff<Flex, C> {
    fn weighted_bag(table: Tracked, bags: Arc<Bags>) -> Tracked {
        let forward = |[table]: [FlexTensor; 1]| Flex::weighted_bag(table, bags.clone());
        track::<Bag, C, 1>([table], forward, |[table]| {
            let rows = flex::shape(&table)[0];
            (forward([table]), (bags.clone(), rows))
        })
    }
}

struct Bag;

impl Differentiable<1> for Bag {
    /// The bags and the table's number of rows.
    type Saved = (Arc<Bags>, usize);

    fn gradients((bags, rows): Self::Saved, dy: FlexTensor, _needed: [bool; 1]) -> [Option<FlexTensor>; 1] {
        let dy = contiguous(dy);
        let gradient = kernel::backward(values(&dy), width(&dy), &bags, rows);
        [Some(flex::tensor(gradient, [rows, width(&dy)]))]
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{check, input};
    use burn::tensor::Device;

    #[test]
    fn agrees_with_the_composed_form_in_f64() {
        let bags = Arc::new(Bags {
            offsets: vec![0, 3, 3, 5],
            indices: vec![4, 0, 4, 2, 1],
            weights: vec![0.5, -1.0, 2.0, 0.25, 1.5],
        });
        check([input([5, 3], 1)], |[table]| bag(table.get(), bags.clone()));
    }

    #[test]
    fn nothing_of_a_step_is_kept_after_its_backward_pass() {
        let bags = Arc::new(Bags { offsets: vec![0, 2], indices: vec![1, 0], weights: vec![0.5, 1.0] });
        let device = Device::flex().autodiff();
        let table = Tensor::<2>::ones([3, 2], &device).require_grad();
        let loss = (bag(table.clone(), bags.clone()) * 2.0).sum();
        drop(loss.backward());
        assert_eq!(Arc::strong_count(&bags), 1);
    }
}
