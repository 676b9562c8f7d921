//! The loss of a linear-chain conditional random field, and its best tags.

use crate::{
    flex::{self, contiguous, integers, values},
    flops,
    ops::cross_entropy::scaled,
    track::{Differentiable, Tracked, track},
};
use burn::backend::{
    Autodiff, Backend, Dispatch, Flex, backend_extension,
    tensor::{FloatTensor, IntTensor},
};
use burn::tensor::{DType, Int, Tensor};
use burn_autodiff::checkpoint::strategy::CheckpointStrategy;
use burn_flex::FlexTensor;
use outset_kernels::crf as kernel;
pub use outset_kernels::crf::Best;

/// Returns `Σ weightᵢ · lossᵢ` over sequences, `[1]`: minus the logarithm of the share of the true tags among all.
///
/// `emissions [rows, time, tags]`; `chain [tags + 2, tags]` is what a step from one tag (row) to the next (column) adds to
/// a score, then what beginning with a tag does, then ending. `targets [rows, time]` are looked at up to each row's
/// length. Weights get no gradient.
///
/// # Panics
/// If the sizes don't fit or a target is not below the number of tags.
pub fn crf(
    emissions: Tensor<3>,
    chain: Tensor<2>,
    targets: Tensor<2, Int>,
    lengths: &[usize],
    weights: &[f32],
) -> Tensor<1> {
    let [rows, time, tags] = emissions.dims();
    flops::count_sizes([rows, time, tags, tags]);
    let (emissions, chain) = (emissions.into_dispatch(), chain.into_dispatch());
    if !flex::applies(&[&emissions, &chain]) {
        let (emissions, chain) = (Tensor::from_dispatch(emissions), Tensor::from_dispatch(chain));
        return composed(emissions, chain, targets, lengths, weights);
    }
    let (lengths, weights) = (lengths.to_vec(), weights.to_vec());
    Tensor::from_dispatch(Dispatch::crf_loss(emissions, chain, targets.into_dispatch(), lengths, weights))
}

/// Returns the best tags of each sequence, of those that `allowed [tags + 2, tags]` lets through.
///
/// # Panics
/// If the sizes don't fit.
pub fn crf_best(emissions: Tensor<3>, chain: Tensor<2>, lengths: &[usize], allowed: &[bool]) -> Vec<Best> {
    let [rows, time, tags] = emissions.dims();
    flops::count_sizes([rows, time, tags, tags]);
    let data = |tensor: Tensor<1>| -> Vec<f32> {
        tensor.cast(DType::F32).into_data().try_into_vec().expect("the data was cast")
    };
    let (emissions, chain) = (data(emissions.flatten(0, 2)), data(chain.flatten(0, 1)));
    kernel::best(kernel::Batch { emissions: &emissions, chain: &chain, tags, time, lengths }, allowed)
}

fn composed(
    emissions: Tensor<3>,
    chain: Tensor<2>,
    targets: Tensor<2, Int>,
    lengths: &[usize],
    weights: &[f32],
) -> Tensor<1> {
    let ([_, _, tags], device, dtype) = (emissions.dims(), emissions.device(), emissions.dtype());
    let targets: Vec<i64> =
        targets.into_data().convert::<i64>().try_into_vec().expect("the data was converted");
    let time = emissions.dims()[1];
    let mut total = Tensor::<1>::zeros([1], (&device, dtype));
    for (row, length) in lengths.iter().enumerate().filter(|(_, length)| **length > 0) {
        let of_row: Tensor<2> = emissions.clone().narrow(0, row, 1).squeeze_dim(0);
        let link = |row: usize| chain.clone().narrow(0, row, 1);
        let mut score = Tensor::<1>::zeros([1], (&device, dtype));
        let mut sums = link(tags) + of_row.clone().narrow(0, 0, 1);
        let mut before = tags;
        for step in 0..*length {
            let emission = of_row.clone().narrow(0, step, 1);
            let tag = targets[row * time + step] as usize;
            score = score + (link(before) + emission.clone()).narrow(1, tag, 1).flatten(0, 1);
            before = tag;
            if step > 0 {
                // [from, to]: what was so far, and the step.
                let reach = sums.swap_dims(0, 1) + chain.clone().narrow(0, 0, tags);
                sums = log_sum(reach) + emission;
            }
        }
        score = score + link(tags + 1).narrow(1, before, 1).flatten(0, 1);
        let all = log_sum((sums + link(tags + 1)).swap_dims(0, 1)).flatten(0, 1);
        total = total + (all - score) * f64::from(weights[row]);
    }
    total
}

/// Logarithm of the sum of exponentials over the rows: `[1, columns]`.
fn log_sum(x: Tensor<2>) -> Tensor<2> {
    let largest = x.clone().detach().max_dim(0);
    (x - largest.clone()).exp().sum_dim(0).log() + largest
}

#[backend_extension(Flex, Autodiff)]
trait CrfOps: Backend {
    fn crf_loss(
        emissions: FloatTensor<Self>,
        chain: FloatTensor<Self>,
        targets: IntTensor<Self>,
        lengths: Vec<usize>,
        weights: Vec<f32>,
    ) -> FloatTensor<Self>;
}

/// The sizes and slices of a batch.
fn batch<'a>(emissions: &'a FlexTensor, chain: &'a FlexTensor, lengths: &'a [usize]) -> kernel::Batch<'a> {
    let shape = flex::shape(emissions);
    let (time, tags) = (shape[1], shape[2]);
    kernel::Batch { emissions: values(emissions), chain: values(chain), tags, time, lengths }
}

impl CrfOps for Flex {
    fn crf_loss(
        emissions: FlexTensor,
        chain: FlexTensor,
        targets: FlexTensor,
        lengths: Vec<usize>,
        weights: Vec<f32>,
    ) -> FlexTensor {
        let (emissions, chain) = (contiguous(emissions), contiguous(chain));
        let loss = kernel::loss(batch(&emissions, &chain, &lengths), &integers(&targets), &weights);
        flex::tensor(vec![loss], [1])
    }
}

impl<C: CheckpointStrategy> CrfOps for Autodiff<Flex, C> {
    fn crf_loss(
        emissions: Tracked,
        chain: Tracked,
        targets: FlexTensor,
        lengths: Vec<usize>,
        weights: Vec<f32>,
    ) -> Tracked {
        track::<Crf, C, 2>(
            [emissions, chain],
            |[emissions, chain]| {
                Flex::crf_loss(emissions, chain, targets.clone(), lengths.clone(), weights.clone())
            },
            |[emissions, chain]| {
                let (emissions, chain) = (contiguous(emissions), contiguous(chain));
                let got =
                    kernel::gradients(batch(&emissions, &chain, &lengths), &integers(&targets), &weights);
                let gradients = (
                    flex::tensor(got.demissions, flex::shape(&emissions)),
                    flex::tensor(got.dchain, flex::shape(&chain)),
                );
                (flex::tensor(vec![got.loss], [1]), gradients)
            },
        )
    }
}

struct Crf;

impl Differentiable<2> for Crf {
    /// The gradients of both inputs.
    type Saved = (FlexTensor, FlexTensor);

    fn gradients(
        (emissions, chain): Self::Saved,
        dy: FlexTensor,
        _needed: [bool; 2],
    ) -> [Option<FlexTensor>; 2] {
        [Some(scaled(emissions, dy.clone())), Some(scaled(chain, dy))]
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{check, input};
    use burn::tensor::TensorData;

    #[test]
    fn agrees_with_the_composed_form_in_f64() {
        check([input([3, 4, 3], 1), input([5, 3], 2)], |[emissions, chain]| {
            let emissions: Tensor<3> = emissions.get();
            let targets: Vec<i64> = (0..12).map(|at| (at * 5 + 1) % 3).collect();
            let targets = Tensor::<2, Int>::from_data(TensorData::new(targets, [3, 4]), &emissions.device());
            crf(emissions, chain.get(), targets, &[4, 1, 3], &[0.5, 1.0, 2.0])
        });
    }
}
