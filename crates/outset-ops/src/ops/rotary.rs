//! Rotary positions.

use crate::{
    flex::{self, contiguous, values},
    track::{Differentiable, Tracked, track},
};
use burn::backend::{Autodiff, Backend, Dispatch, Flex, backend_extension, tensor::FloatTensor};
use burn::tensor::{Tensor, TensorData};
use burn_autodiff::checkpoint::strategy::CheckpointStrategy;
use burn_flex::FlexTensor;
use outset_kernels::rotary as kernel;
use std::sync::Arc;

/// Base of the wavelengths, as in the paper.
const BASE: f64 = 10_000.0;

/// Where rows stand in their sequences, with the angles of each place (arXiv 2104.09864).
#[derive(Clone, Debug)]
pub struct Turns {
    places: Arc<[usize]>,
    angles: Arc<kernel::Angles>,
    size: usize,
}

impl Turns {
    /// Computes the angles for heads of `size` features.
    ///
    /// # Panics
    /// If the size is odd.
    pub fn new(places: Vec<usize>, size: usize) -> Turns {
        let count = places.iter().max().map_or(0, |place| place + 1);
        Turns { places: places.into(), angles: Arc::new(kernel::Angles::new(count, size, BASE)), size }
    }

    /// Cosines and sines of rows, `[rows, 1, size / 2]`, beside `like`.
    fn tensors(&self, like: &Tensor<3>) -> [Tensor<3>; 2] {
        let half = self.size / 2;
        let angle = |place: usize, i: usize| place as f64 / BASE.powf(2.0 * i as f64 / self.size as f64);
        let angles: Vec<f64> =
            self.places.iter().flat_map(|place| (0..half).map(|i| angle(*place, i))).collect();
        let tensor = |values: Vec<f64>| {
            let data = TensorData::new(values, [self.places.len(), 1, half]);
            Tensor::from_data(data, (&like.device(), like.dtype()))
        };
        [angles.iter().map(|a| a.cos()).collect(), angles.iter().map(|a| a.sin()).collect()].map(tensor)
    }
}

/// Turns the first `turned` heads of each row by the angles of its place: `x [rows, heads * size]` keeps its shape.
///
/// On rows of queries, keys and values side by side, `turned` counts the heads of the first two.
///
/// # Panics
/// If the rows are not those of the places, or don't divide into heads.
pub fn rotary(x: Tensor<2>, turned: usize, turns: &Turns) -> Tensor<2> {
    let [rows, width] = x.dims();
    let size = turns.size;
    assert_eq!(rows, turns.places.len(), "the rows are not those of the places");
    assert!(size > 0 && width.is_multiple_of(size) && turned * size <= width, "the rows have other heads");
    let x = x.into_dispatch();
    if !flex::applies(&[&x]) {
        let (heads, half) = (width / size, size / 2);
        let x = Tensor::<2>::from_dispatch(x).reshape([rows, heads, size]);
        let [cosines, sines] = turns.tensors(&x);
        let part = |first: usize| x.clone().narrow(1, 0, turned).narrow(2, first, half);
        let (a, b) = (part(0), part(half));
        let c = a.clone() * cosines.clone() - b.clone() * sines.clone();
        let d = b * cosines + a * sines;
        let mut parts = vec![Tensor::cat(vec![c, d], 2)];
        if turned < heads {
            parts.push(x.clone().narrow(1, turned, heads - turned));
        }
        return Tensor::cat(parts, 1).reshape([rows, width]);
    }
    Tensor::from_dispatch(Dispatch::turned(x, turned, turns.clone(), false))
}

#[backend_extension(Flex, Autodiff)]
trait RotaryOps: Backend {
    fn turned(x: FloatTensor<Self>, turned: usize, turns: Turns, back: bool) -> FloatTensor<Self>;
}

impl RotaryOps for Flex {
    fn turned(x: FlexTensor, turned: usize, turns: Turns, back: bool) -> FlexTensor {
        let x = contiguous(x);
        let heads = flex::width(&x) / turns.size;
        let y = kernel::turn(values(&x), heads, turned, &turns.places, &turns.angles, back);
        flex::tensor(y, flex::shape(&x))
    }
}

impl<C: CheckpointStrategy> RotaryOps for Autodiff<Flex, C> {
    fn turned(x: Tracked, turned: usize, turns: Turns, back: bool) -> Tracked {
        let forward = |[x]: [FlexTensor; 1]| Flex::turned(x, turned, turns.clone(), back);
        track::<Rotary, C, 1>([x], forward, |x| (forward(x), (turned, turns.clone(), back)))
    }
}

struct Rotary;

impl Differentiable<1> for Rotary {
    /// Heads turned, the turns, and whether they go back.
    type Saved = (usize, Turns, bool);

    fn gradients(
        (turned, turns, back): Self::Saved,
        dy: FlexTensor,
        _: [bool; 1],
    ) -> [Option<FlexTensor>; 1] {
        [Some(Flex::turned(dy, turned, turns, !back))]
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{check, input};

    #[test]
    fn agrees_with_the_composed_form_in_f64() {
        let turns = Turns::new(vec![0, 1, 2, 0, 1], 4);
        for turned in [1, 2, 3] {
            check([input([5, 12], 1)], |[x]| rotary(x.get(), turned, &turns));
        }
    }
}
