//! Mixing pictures of a batch while training: mixup (Zhang et al. 2017, <https://arxiv.org/abs/1710.09412>) and CutMix
//! (Yun et al. 2019, <https://arxiv.org/abs/1905.04899>).
//!
//! Each picture is mixed with the one `shift` places further on, all of a batch in the same proportion.

use burn::tensor::Tensor;
use outset_data::lot::Lot;
use outset_data::pictures::{Augment, Shape};
use std::ops::Range;

/// How the pictures of a batch are mixed.
#[derive(Clone, Debug, PartialEq)]
pub struct Mixing {
    /// Share of the picture itself; the rest is the other's.
    pub share: f64,
    /// Places from a picture to the one that is mixed in.
    pub shift: usize,
    /// Rows and columns that the other picture is pasted to; all of it is blended in where there are none.
    window: Option<(Range<usize>, Range<usize>)>,
}

impl Mixing {
    /// Draws how a batch of `rows` is mixed; of mixup and CutMix, where both are asked for, either by turns of the lot.
    pub fn draw(augment: &Augment, shape: Shape, rows: usize, key: u64) -> Option<Self> {
        let (mixup, cutmix) = (augment.mixup > 0.0, augment.cutmix > 0.0);
        if rows < 2 || !(mixup || cutmix) {
            return None;
        }
        let mut lot = Lot::new(key);
        let pasted = cutmix && (!mixup || lot.below(2) == 1);
        let shift = 1 + lot.below(rows - 1);
        let share = beta(if pasted { augment.cutmix } else { augment.mixup }, &mut lot);
        if !pasted {
            return Some(Self { share, shift, window: None });
        }
        let side = (1.0 - share).sqrt();
        let span = |length: usize, lot: &mut Lot| {
            let (size, middle) = ((length as f64 * side).round() as usize, lot.below(length));
            middle.saturating_sub(size / 2)..(middle + size - size / 2).min(length)
        };
        let (rows, columns) = (span(shape.height, &mut lot), span(shape.width, &mut lot));
        let hidden = (rows.len() * columns.len()) as f64 / (shape.height * shape.width) as f64;
        Some(Self { share: 1.0 - hidden, shift, window: Some((rows, columns)) })
    }

    /// Mixes pictures that lie one after the other.
    pub fn apply(&self, values: &mut [f32], shape: Shape) {
        let length = shape.length();
        let pictures = values.len() / length.max(1);
        let before = values.to_vec();
        for (place, out) in values.chunks_exact_mut(length).enumerate() {
            let other = &before[(place + self.shift) % pictures * length..][..length];
            let Some((rows, columns)) = &self.window else {
                let share = self.share as f32;
                out.iter_mut().zip(other).for_each(|(out, other)| *out += (other - *out) * (1.0 - share));
                continue;
            };
            for start in (0..length).step_by(shape.height * shape.width) {
                for row in rows.clone() {
                    let at = start + row * shape.width;
                    let span = at + columns.start..at + columns.end;
                    out[span.clone()].copy_from_slice(&other[span]);
                }
            }
        }
    }

    /// The raw outputs `[members · rows, width]` in the order in which the targets of the pictures that were mixed in
    /// stand.
    pub fn of_others(&self, raw: Tensor<2>, members: usize) -> Tensor<2> {
        let [count, width] = raw.dims();
        let rows = count / members;
        let raw = raw.reshape([members, rows, width]);
        let shift = self.shift % rows;
        let turned =
            Tensor::cat(vec![raw.clone().narrow(1, rows - shift, shift), raw.narrow(1, 0, rows - shift)], 1);
        turned.reshape([count, width])
    }
}

/// Draws from the beta distribution of two equal parameters (Jöhnk 1964).
fn beta(parameter: f64, lot: &mut Lot) -> f64 {
    for _ in 0..1000 {
        let (x, y) = (lot.unit().powf(1.0 / parameter), lot.unit().powf(1.0 / parameter));
        if x + y <= 1.0 && x + y > 0.0 {
            return x / (x + y);
        }
    }
    0.5
}

#[cfg(test)]
mod tests {
    use super::*;
    use burn::tensor::Device;

    const SHAPE: Shape = Shape { channels: 1, height: 4, width: 4 };

    fn mixed(augment: Augment, key: u64) -> (Mixing, Vec<f32>) {
        let mixing = Mixing::draw(&augment, SHAPE, 3, key).unwrap();
        let mut values: Vec<f32> = (0..3).flat_map(|picture| vec![picture as f32; 16]).collect();
        mixing.apply(&mut values, SHAPE);
        (mixing, values)
    }

    #[test]
    fn shares_add_up() {
        for key in 0..50 {
            for augment in
                [Augment { mixup: 0.4, ..Augment::default() }, Augment { cutmix: 1.0, ..Augment::default() }]
            {
                let (mixing, values) = mixed(augment, key);
                for (place, picture) in values.chunks(16).enumerate() {
                    let other = (place + mixing.shift) % 3;
                    let expected = mixing.share * place as f64 + (1.0 - mixing.share) * other as f64;
                    let mean = picture.iter().sum::<f32>() / 16.0;
                    assert!((f64::from(mean) - expected).abs() < 1e-5, "{key}: {mean} {expected}");
                }
            }
        }
        assert_eq!(Mixing::draw(&Augment::default(), SHAPE, 3, 0), None);
        assert_eq!(Mixing::draw(&Augment { mixup: 1.0, ..Augment::default() }, SHAPE, 1, 0), None);
    }

    #[test]
    fn outputs_meet_the_targets_of_what_was_mixed_in() {
        let raw = Tensor::<2>::from_floats([[0.0], [1.0], [2.0], [10.0], [11.0], [12.0]], &Device::flex());
        let mixing = Mixing { share: 0.5, shift: 1, window: None };
        // Picture 0 holds picture 1, so its output stands at the place of target 1.
        let turned = mixing.of_others(raw, 2).into_data().try_into_vec::<f32>().unwrap();
        assert_eq!(turned, [2.0, 0.0, 1.0, 12.0, 10.0, 11.0]);
    }

    #[test]
    fn the_beta_distribution_by_its_moments() {
        let mut lot = Lot::new(1);
        for parameter in [0.2, 1.0, 2.0] {
            let drawn: Vec<f64> = (0..20_000).map(|_| beta(parameter, &mut lot)).collect();
            let mean = drawn.iter().sum::<f64>() / 2e4;
            let variance = drawn.iter().map(|value| (value - mean).powi(2)).sum::<f64>() / 2e4;
            let expected = 1.0 / (4.0 * (2.0 * parameter + 1.0));
            assert!(
                (mean - 0.5).abs() < 0.01 && (variance - expected).abs() < 0.005,
                "{parameter}: {variance}"
            );
        }
    }
}
