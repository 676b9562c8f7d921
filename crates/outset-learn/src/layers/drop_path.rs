//! Stochastic depth: residual branches that some rows go without while training (Huang et al. 2016,
//! <https://arxiv.org/abs/1603.09382>).

use crate::order::mix;
use burn::tensor::{Tensor, TensorData};

/// Puts 0 in the place of all values of a row, with the given chance, and makes the others up for it: `[rows, …]`.
///
/// Which rows these are follows from `key` alone.
pub fn drop_path<const D: usize>(values: Tensor<D>, chance: f64, key: u64) -> Tensor<D> {
    if chance <= 0.0 {
        return values;
    }
    let mut shape = [1; D];
    shape[0] = values.dims()[0];
    let unit = |row: usize| (mix(key, row as u64) >> 11) as f64 / (1u64 << 53) as f64;
    let factor = |row: usize| if unit(row) < chance { 0.0 } else { (1.0 / (1.0 - chance)) as f32 };
    let factors: Vec<f32> = (0..shape[0]).map(factor).collect();
    let device = values.device();
    values * Tensor::from_data(TensorData::new(factors, shape), &device)
}

#[cfg(test)]
mod tests {
    use super::*;
    use burn::tensor::Device;

    #[test]
    fn rows_are_dropped_whole_and_the_mean_stays() {
        let ones = || Tensor::<3>::ones([4000, 2, 1], &Device::flex());
        let dropped = drop_path(ones(), 0.2, 7).into_data().try_into_vec::<f32>().unwrap();
        assert!(dropped.chunks(2).all(|row| row == [0.0, 0.0] || row == [1.25, 1.25]));
        let mean = dropped.iter().sum::<f32>() / 8000.0;
        assert!((mean - 1.0).abs() < 0.03, "{mean}");
        assert_eq!(drop_path(ones(), 0.2, 7).into_data().try_into_vec::<f32>().unwrap(), dropped);
        assert_eq!(drop_path(ones(), 0.0, 7).into_data(), ones().into_data());
    }
}
