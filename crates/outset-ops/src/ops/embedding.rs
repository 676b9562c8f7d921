//! Rows looked up in a table.

use crate::{
    flex::{self, contiguous, integers, values, width},
    track::{Differentiable, Tracked, track},
};
use burn::backend::{
    Autodiff, Backend, Dispatch, Flex, backend_extension,
    tensor::{FloatTensor, IntTensor},
};
use burn::tensor::{Int, Tensor};
use burn_autodiff::checkpoint::strategy::CheckpointStrategy;
use burn_flex::FlexTensor;
use outset_kernels::embedding as kernel;

/// Returns the rows of `table [rows, width]` that `indices [n]` name: `[n, width]`.
///
/// # Panics
/// If an index is negative or not below the number of rows.
pub fn embedding(table: Tensor<2>, indices: Tensor<1, Int>) -> Tensor<2> {
    let table = table.into_dispatch();
    if !flex::applies(&[&table]) {
        return Tensor::from_dispatch(table).select(0, indices);
    }
    Tensor::from_dispatch(Dispatch::embedding(table, indices.into_dispatch()))
}

#[backend_extension(Flex, Autodiff)]
trait EmbeddingOps: Backend {
    fn embedding(table: FloatTensor<Self>, indices: IntTensor<Self>) -> FloatTensor<Self>;
}

impl EmbeddingOps for Flex {
    fn embedding(table: FlexTensor, indices: FlexTensor) -> FlexTensor {
        let (table, indices) = (contiguous(table), integers(&indices));
        let rows = kernel::forward(values(&table), width(&table), &indices);
        flex::tensor(rows, [indices.len(), width(&table)])
    }
}

impl<C: CheckpointStrategy> EmbeddingOps for Autodiff<Flex, C> {
    fn embedding(table: Tracked, indices: FlexTensor) -> Tracked {
        let forward = |[table]: [FlexTensor; 1]| Flex::embedding(table, indices.clone());
        track::<Embedding, C, 1>([table], forward, |[table]| {
            let rows = flex::shape(&table)[0];
            (forward([table]), (indices.clone(), rows))
        })
    }
}

struct Embedding;

impl Differentiable<1> for Embedding {
    /// Indices and the table's number of rows.
    type Saved = (FlexTensor, usize);

    fn gradients(
        (indices, rows): Self::Saved,
        dy: FlexTensor,
        _needed: [bool; 1],
    ) -> [Option<FlexTensor>; 1] {
        let dy = contiguous(dy);
        let gradient = kernel::backward(values(&dy), width(&dy), &integers(&indices), rows);
        [Some(flex::tensor(gradient, [rows, width(&dy)]))]
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{check, input};

    #[test]
    fn agrees_with_the_composed_form_in_f64() {
        check([input([5, 3], 1)], |[table]| {
            let indices = Tensor::from_data([4, 0, 4, 2, 4, 0, 1], &table.get::<2>().device());
            embedding(table.get(), indices)
        });
    }
}
