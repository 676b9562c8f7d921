//! Sequences of different lengths, filled up to one length or one after the other without filling.

use crate::{
    flex::{self, contiguous, values, width},
    track::{Differentiable, Tracked, track},
};
use burn::backend::{Autodiff, Backend, Dispatch, Flex, backend_extension, tensor::FloatTensor};
use burn::tensor::{Int, Tensor, TensorData};
use burn_autodiff::checkpoint::strategy::CheckpointStrategy;
use burn_flex::FlexTensor;
use outset_kernels::sequences as kernel;
use std::sync::Arc;

/// Returns the rows of the sequences, one after the other: `filled [batch, time, width]` gives `[rows, width]`, with as many
/// rows of each sequence as `lengths` says.
///
/// # Panics
/// If there are other lengths than sequences, or one is above `time`.
pub fn without_filling(filled: Tensor<3>, lengths: &[usize]) -> Tensor<2> {
    let [batch, time, width] = filled.dims();
    check(lengths, batch, time);
    let filled = filled.into_dispatch();
    if !flex::applies(&[&filled]) {
        let filled = Tensor::<3>::from_dispatch(filled).reshape([batch * time, width]);
        let places = places(lengths, time, &filled.device());
        return filled.select(0, places);
    }
    Tensor::from_dispatch(Dispatch::rows_without_filling(filled, lengths.into()))
}

/// Returns the sequences filled up with zeros: the rows of all, one after the other, `[rows, width]`, give `[batch, time,
/// width]`.
///
/// # Panics
/// If the rows are not those of the lengths, or one is above `time`.
pub fn filled_up(rows: Tensor<2>, lengths: &[usize], time: usize) -> Tensor<3> {
    let [count, width] = rows.dims();
    check(lengths, lengths.len(), time);
    assert_eq!(count, lengths.iter().sum::<usize>(), "the rows are not those of the lengths");
    let rows = rows.into_dispatch();
    if !flex::applies(&[&rows]) {
        let rows = Tensor::<2>::from_dispatch(rows);
        let filled = Tensor::zeros([lengths.len() * time, width], (&rows.device(), rows.dtype()));
        let places = places(lengths, time, &rows.device());
        let filled = filled.select_assign(0, places, rows, burn::tensor::IndexingUpdateOp::Add);
        return filled.reshape([lengths.len(), time, width]);
    }
    Tensor::from_dispatch(Dispatch::sequences_filled_up(rows, lengths.into(), time))
}

fn check(lengths: &[usize], batch: usize, time: usize) {
    assert_eq!(lengths.len(), batch, "the lengths are those of another number of sequences");
    assert!(lengths.iter().all(|length| *length <= time), "a sequence is longer than {time} steps");
}

/// Where each row stands among the filled up ones.
fn places(lengths: &[usize], time: usize, device: &burn::tensor::Device) -> Tensor<1, Int> {
    let of = |(sequence, length): (usize, &usize)| {
        (sequence * time..sequence * time + length).map(|place| place as i64)
    };
    let places: Vec<i64> = lengths.iter().enumerate().flat_map(of).collect();
    let count = places.len();
    Tensor::from_data(TensorData::new(places, [count]), device)
}

#[backend_extension(Flex, Autodiff)]
trait SequenceOps: Backend {
    fn rows_without_filling(filled: FloatTensor<Self>, lengths: Arc<[usize]>) -> FloatTensor<Self>;
    fn sequences_filled_up(rows: FloatTensor<Self>, lengths: Arc<[usize]>, time: usize) -> FloatTensor<Self>;
}

impl SequenceOps for Flex {
    fn rows_without_filling(filled: FlexTensor, lengths: Arc<[usize]>) -> FlexTensor {
        let filled = contiguous(filled);
        let (time, width) = (flex::shape(&filled)[1], width(&filled));
        let rows = kernel::without_filling(values(&filled), &lengths, time, width);
        flex::tensor(rows, [lengths.iter().sum(), width])
    }

    fn sequences_filled_up(rows: FlexTensor, lengths: Arc<[usize]>, time: usize) -> FlexTensor {
        let rows = contiguous(rows);
        let filled = kernel::filled_up(values(&rows), &lengths, time, width(&rows));
        flex::tensor(filled, [lengths.len(), time, width(&rows)])
    }
}

impl<C: CheckpointStrategy> SequenceOps for Autodiff<Flex, C> {
    fn rows_without_filling(filled: Tracked, lengths: Arc<[usize]>) -> Tracked {
        let forward = |[filled]: [FlexTensor; 1]| Flex::rows_without_filling(filled, lengths.clone());
        track::<WithoutFilling, C, 1>([filled], forward, |[filled]| {
            let time = flex::shape(&filled)[1];
            (forward([filled]), (lengths.clone(), time))
        })
    }

    fn sequences_filled_up(rows: Tracked, lengths: Arc<[usize]>, time: usize) -> Tracked {
        let forward = |[rows]: [FlexTensor; 1]| Flex::sequences_filled_up(rows, lengths.clone(), time);
        track::<FilledUp, C, 1>([rows], forward, |rows| (forward(rows), lengths.clone()))
    }
}

struct WithoutFilling;

impl Differentiable<1> for WithoutFilling {
    /// Lengths, and the steps that the sequences are filled up to.
    type Saved = (Arc<[usize]>, usize);

    fn gradients((lengths, time): Self::Saved, dy: FlexTensor, _: [bool; 1]) -> [Option<FlexTensor>; 1] {
        [Some(Flex::sequences_filled_up(dy, lengths, time))]
    }
}

struct FilledUp;

impl Differentiable<1> for FilledUp {
    type Saved = Arc<[usize]>;

    fn gradients(lengths: Arc<[usize]>, dy: FlexTensor, _: [bool; 1]) -> [Option<FlexTensor>; 1] {
        [Some(Flex::rows_without_filling(dy, lengths))]
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{check, input};

    #[test]
    fn both_agree_with_the_composed_form_in_f64() {
        check([input([3, 4, 2], 1)], |[x]| without_filling(x.get(), &[4, 0, 1]));
        check([input([5, 2], 1)], |[x]| filled_up(x.get(), &[4, 0, 1], 4));
    }
}
