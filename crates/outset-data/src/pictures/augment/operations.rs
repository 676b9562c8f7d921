//! The fourteen operations of RandAugment (Cubuk et al. 2019, <https://arxiv.org/abs/1909.13719>).

use super::color::LUMA;
use super::geometry::affine;
use crate::lot::Lot;
use crate::pictures::Shape;

/// Number of operations.
const COUNT: usize = 14;

/// Changes a picture by one operation; `magnitude` goes from 0 to 10.
pub(super) fn apply(values: &mut Vec<u8>, shape: Shape, magnitude: f64, lot: &mut Lot) {
    let strength = magnitude / 10.0;
    let sign = |lot: &mut Lot| if lot.below(2) == 1 { 1.0 } else { -1.0 };
    let straight = [[1.0, 0.0], [0.0, 1.0]];
    match lot.below(COUNT) {
        0 => {}
        1 => by_channel(values, shape, stretch),
        2 => by_channel(values, shape, equalize),
        3 => {
            let angle = (30.0 * strength * sign(lot)).to_radians();
            warp(values, shape, [[angle.cos(), angle.sin()], [-angle.sin(), angle.cos()]], (0.0, 0.0));
        }
        4 => {
            let threshold = (256.0 * (1.0 - strength)) as i32;
            map(values, |value| if i32::from(value) >= threshold { 255 - value } else { value });
        }
        5 => saturate(values, shape, (1.0 + 0.9 * strength * sign(lot)) as f32),
        6 => {
            let lost = (4.0 * strength).round() as u32;
            map(values, |value| value & (0xff_u8 << lost));
        }
        7 => {
            let mean = values.iter().map(|value| f64::from(*value)).sum::<f64>() / values.len().max(1) as f64;
            let factor = 1.0 + 0.9 * strength * sign(lot);
            map(values, |value| (mean + (f64::from(value) - mean) * factor).clamp(0.0, 255.0) as u8);
        }
        8 => {
            let factor = 1.0 + 0.9 * strength * sign(lot);
            map(values, |value| (f64::from(value) * factor).min(255.0) as u8);
        }
        9 => {
            let factor = (1.0 + 0.9 * strength * sign(lot)) as f32;
            sharpen(values, shape, factor);
        }
        10 => {
            let shear = 0.3 * strength * sign(lot);
            warp(values, shape, [[1.0, 0.0], [shear, 1.0]], (0.0, 0.0));
        }
        11 => {
            let shear = 0.3 * strength * sign(lot);
            warp(values, shape, [[1.0, shear], [0.0, 1.0]], (0.0, 0.0));
        }
        12 => warp(values, shape, straight, (0.0, 0.3 * strength * sign(lot) * shape.width as f64)),
        _ => warp(values, shape, straight, (0.3 * strength * sign(lot) * shape.height as f64, 0.0)),
    }
}

fn map(values: &mut [u8], change: impl Fn(u8) -> u8) {
    values.iter_mut().for_each(|value| *value = change(*value));
}

fn warp(values: &mut Vec<u8>, shape: Shape, by: [[f64; 2]; 2], moved: (f64, f64)) {
    let mut out = vec![0.0; values.len()];
    affine(values, shape, by, moved, &mut out);
    *values = out.into_iter().map(|value| (value * 255.0).round() as u8).collect();
}

fn by_channel(values: &mut [u8], shape: Shape, change: impl Fn(&mut [u8])) {
    values.chunks_exact_mut(shape.height * shape.width).for_each(change);
}

/// Stretches the values from black to white.
fn stretch(plane: &mut [u8]) {
    let (low, high) =
        plane.iter().fold((255, 0), |(low, high), value| (value.min(&low).to_owned(), high.max(*value)));
    if low < high {
        map(plane, |value| (u32::from(value - low) * 255 / u32::from(high - low)) as u8);
    }
}

/// Spreads the values so that each is about as frequent.
fn equalize(plane: &mut [u8]) {
    let mut counts = [0usize; 256];
    plane.iter().for_each(|value| counts[usize::from(*value)] += 1);
    let mut below = 0;
    let table: Vec<u8> = counts
        .iter()
        .map(|count| {
            let level = (below + count / 2) * 255 / plane.len();
            below += count;
            level.min(255) as u8
        })
        .collect();
    map(plane, |value| table[usize::from(value)]);
}

/// Moves colours away from grey or towards it.
fn saturate(values: &mut [u8], shape: Shape, factor: f32) {
    let plane = shape.height * shape.width;
    if shape.channels < 3 {
        return;
    }
    for pixel in 0..plane {
        let grey: f32 =
            LUMA.iter().enumerate().map(|(c, weight)| weight * f32::from(values[c * plane + pixel])).sum();
        for channel in 0..3 {
            let value = &mut values[channel * plane + pixel];
            *value = (grey + (f32::from(*value) - grey) * factor).clamp(0.0, 255.0) as u8;
        }
    }
}

/// Moves values away from the mean of their surroundings or towards it.
fn sharpen(values: &mut [u8], shape: Shape, factor: f32) {
    let (height, width) = (shape.height, shape.width);
    by_channel(values, shape, |plane| {
        let before = plane.to_vec();
        for y in 1..height.saturating_sub(1) {
            for x in 1..width.saturating_sub(1) {
                let mut sum = 0.0;
                for (dy, dx) in (0..3).flat_map(|dy| (0..3).map(move |dx| (dy, dx))) {
                    sum += f32::from(before[(y + dy - 1) * width + x + dx - 1]);
                }
                let mean = sum / 9.0;
                let value = f32::from(before[y * width + x]);
                plane[y * width + x] = (mean + (value - mean) * factor).clamp(0.0, 255.0) as u8;
            }
        }
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_stretched_and_spread() {
        let mut plane = [100, 150, 200, 150];
        stretch(&mut plane);
        assert_eq!(plane, [0, 127, 255, 127]);
        let mut plane = [7, 7, 7, 200];
        equalize(&mut plane);
        assert!(plane[0] < 128 && plane[3] > 190, "{plane:?}");
    }

    #[test]
    fn every_operation_keeps_the_size_of_any_picture() {
        for (channels, height, width) in [(1, 1, 1), (3, 2, 1), (4, 5, 7)] {
            let shape = Shape { channels, height, width };
            let mut lot = Lot::new(1);
            for magnitude in 0..200 {
                let mut values: Vec<u8> = (0..shape.length()).map(|at| (at * 11) as u8).collect();
                apply(&mut values, shape, f64::from(magnitude) / 20.0, &mut lot);
                assert_eq!(values.len(), shape.length());
            }
        }
    }
}
