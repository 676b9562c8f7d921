//! The fourteen operations of RandAugment (Cubuk et al. 2019, <https://arxiv.org/abs/1909.13719>).
//!
//! Those on colours leave alone how opaque a pixel is; those that move pixels move that with the colours.

use super::color::LUMA;
use super::geometry::affine;
use crate::lot::Lot;
use crate::pictures::Shape;

/// What may be done to a picture.
#[derive(Clone, Copy, Debug)]
enum Operation {
    Nothing,
    Stretch,
    Equalize,
    Rotate,
    Solarize,
    Saturate,
    Posterize,
    Contrast,
    Brightness,
    Sharpen,
    ShearRight,
    ShearDown,
    ShiftRight,
    ShiftDown,
}

impl Operation {
    /// All of them, in the order in which the lot numbers them.
    const ALL: [Self; 14] = [
        Self::Nothing,
        Self::Stretch,
        Self::Equalize,
        Self::Rotate,
        Self::Solarize,
        Self::Saturate,
        Self::Posterize,
        Self::Contrast,
        Self::Brightness,
        Self::Sharpen,
        Self::ShearRight,
        Self::ShearDown,
        Self::ShiftRight,
        Self::ShiftDown,
    ];

    /// Changes a picture with a strength from 0 to 1; `sign`, asked at most once, is 1 for one way and -1 for the other.
    fn perform(self, values: &mut Vec<u8>, shape: Shape, strength: f64, sign: impl FnOnce() -> f64) {
        let straight = [[1.0, 0.0], [0.0, 1.0]];
        match self {
            Self::Nothing => {}
            Self::Stretch => by_color(values, shape, stretch),
            Self::Equalize => by_color(values, shape, equalize),
            Self::Rotate => {
                let angle = (30.0 * strength * sign()).to_radians();
                warp(values, shape, [[angle.cos(), angle.sin()], [-angle.sin(), angle.cos()]], (0.0, 0.0));
            }
            Self::Solarize => {
                let threshold = (256.0 * (1.0 - strength)) as i32;
                let invert = |value: u8| if i32::from(value) >= threshold { 255 - value } else { value };
                map(colors(values, shape), invert);
            }
            Self::Saturate => saturate(values, shape, (1.0 + 0.9 * strength * sign()) as f32),
            Self::Posterize => {
                let lost = (4.0 * strength).round() as u32;
                map(colors(values, shape), |value| value & (0xff_u8 << lost));
            }
            Self::Contrast => {
                let values = colors(values, shape);
                let sum = values.iter().map(|value| f64::from(*value)).sum::<f64>();
                let mean = sum / values.len().max(1) as f64;
                let factor = 1.0 + 0.9 * strength * sign();
                map(values, |value| (mean + (f64::from(value) - mean) * factor).clamp(0.0, 255.0) as u8);
            }
            Self::Brightness => {
                let factor = 1.0 + 0.9 * strength * sign();
                map(colors(values, shape), |value| (f64::from(value) * factor).min(255.0) as u8);
            }
            Self::Sharpen => sharpen(values, shape, (1.0 + 0.9 * strength * sign()) as f32),
            Self::ShearRight => warp(values, shape, [[1.0, 0.0], [0.3 * strength * sign(), 1.0]], (0.0, 0.0)),
            Self::ShearDown => warp(values, shape, [[1.0, 0.3 * strength * sign()], [0.0, 1.0]], (0.0, 0.0)),
            Self::ShiftRight => {
                warp(values, shape, straight, (0.0, 0.3 * strength * sign() * shape.width as f64));
            }
            Self::ShiftDown => {
                warp(values, shape, straight, (0.3 * strength * sign() * shape.height as f64, 0.0));
            }
        }
    }
}

/// Changes a picture by one operation; `magnitude` goes from 0 to 10.
pub(super) fn apply(values: &mut Vec<u8>, shape: Shape, magnitude: f64, lot: &mut Lot) {
    let operation = Operation::ALL[lot.below(Operation::ALL.len())];
    operation.perform(values, shape, magnitude / 10.0, || if lot.below(2) == 1 { 1.0 } else { -1.0 });
}

/// The planes that hold colours: a fourth one says how opaque a pixel is.
fn colors(values: &mut [u8], shape: Shape) -> &mut [u8] {
    &mut values[..shape.channels.min(3) * shape.height * shape.width]
}

fn map(values: &mut [u8], change: impl Fn(u8) -> u8) {
    values.iter_mut().for_each(|value| *value = change(*value));
}

fn warp(values: &mut Vec<u8>, shape: Shape, by: [[f64; 2]; 2], moved: (f64, f64)) {
    let mut out = vec![0.0; values.len()];
    affine(values, shape, by, moved, &mut out);
    *values = out.into_iter().map(|value| (value * 255.0).round() as u8).collect();
}

fn by_color(values: &mut [u8], shape: Shape, change: impl Fn(&mut [u8])) {
    colors(values, shape).chunks_exact_mut(shape.height * shape.width).for_each(change);
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
    by_color(values, shape, |plane| {
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
    use super::Operation::*;
    use super::*;

    const BOTH: [f64; 2] = [1.0, -1.0];

    fn changed(operation: Operation, values: &[u8], shape: Shape, strength: f64, sign: f64) -> Vec<u8> {
        let mut values = values.to_vec();
        operation.perform(&mut values, shape, strength, || sign);
        values
    }

    /// What becomes of a grey line one way and the other.
    fn check(operation: Operation, strength: f64, line: &[u8], expected: [&[u8]; 2]) {
        let shape = Shape { channels: 1, height: 1, width: line.len() };
        let found = BOTH.map(|sign| changed(operation, line, shape, strength, sign));
        assert_eq!(found, expected, "{operation:?}");
    }

    /// What becomes of a grey square one way and the other.
    fn check_square<const N: usize>(
        operation: Operation,
        strength: f64,
        rows: [[u8; N]; N],
        expected: [[[u8; N]; N]; 2],
    ) {
        let shape = Shape { channels: 1, height: N, width: N };
        let found = BOTH.map(|sign| changed(operation, &rows.concat(), shape, strength, sign));
        assert_eq!(found, expected.map(|rows| rows.concat()), "{operation:?}");
    }

    /// Rows as columns.
    fn turned<const N: usize>(rows: [[u8; N]; N]) -> [[u8; N]; N] {
        std::array::from_fn(|y| std::array::from_fn(|x| rows[x][y]))
    }

    #[test]
    fn values_are_stretched_and_spread() {
        check(Stretch, 0.5, &[100, 150, 200, 150], [&[0, 127, 255, 127]; 2]);
        check(Stretch, 0.5, &[9, 9], [&[9, 9]; 2]);
        // As many of four as are darker, and half of those alike: 1, and 3.
        check(Equalize, 0.5, &[7, 7, 7, 200], [&[63, 63, 63, 191]; 2]);
        check(Nothing, 1.0, &[7, 200], [&[7, 200]; 2]);
    }

    #[test]
    fn bright_values_are_turned_round_and_low_bits_lost() {
        check(Solarize, 0.5, &[0, 127, 128, 255], [&[0, 127, 127, 0]; 2]);
        check(Solarize, 0.0, &[0, 255], [&[0, 255]; 2]);
        check(Posterize, 0.5, &[0, 7, 130, 255], [&[0, 4, 128, 252]; 2]);
    }

    #[test]
    fn brightness_and_contrast_go_up_or_down() {
        // By 1.45 or 0.55.
        check(Brightness, 0.5, &[10, 30, 250], [&[14, 43, 255], &[5, 16, 137]]);
        check(Contrast, 0.5, &[90, 100, 110, 100], [&[85, 100, 114, 100], &[94, 100, 105, 100]]);
    }

    #[test]
    fn colors_move_away_from_grey_or_towards_it() {
        // Its brightness is 0.299 · 100 + 0.587 · 50 + 0.114 · 30 = 62.67.
        let shape = Shape { channels: 3, height: 1, width: 1 };
        let found = BOTH.map(|sign| changed(Saturate, &[100, 50, 30], shape, 0.5, sign));
        assert_eq!(found, [[116, 44, 15], [83, 55, 44]]);
        check(Saturate, 0.5, &[100, 50], [&[100, 50]; 2]);
    }

    #[test]
    fn values_move_away_from_their_surroundings_or_towards_them() {
        // The mean is 19, and the middle 72 above it.
        let square = |middle| [[10, 10, 10], [10, middle, 10], [10, 10, 10]];
        check_square(Sharpen, 0.5, square(91), [square(123), square(58)]);
    }

    #[test]
    fn pictures_are_sheared() {
        // The outer rows by three tenths of a pixel, the middle one not at all; what lies beyond the edge is mirrored.
        let rows = [[0, 100, 200]; 3];
        let (left, right) = ([30, 130, 170], [30, 70, 170]);
        let sheared = [[right, rows[1], left], [left, rows[1], right]];
        check_square(ShearRight, 1.0, rows, sheared);
        check_square(ShearDown, 1.0, turned(rows), sheared.map(turned));
    }

    #[test]
    fn pictures_are_shifted() {
        // By three tenths of ten pixels.
        let line: [u8; 10] = std::array::from_fn(|at| at as u8 * 10);
        let right = [30, 20, 10, 0, 10, 20, 30, 40, 50, 60];
        let left = [30, 40, 50, 60, 70, 80, 90, 80, 70, 60];
        check(ShiftRight, 1.0, &line, [&right, &left]);
        let rows = [line; 10];
        check_square(ShiftRight, 1.0, rows, [[right; 10], [left; 10]]);
        check_square(ShiftDown, 1.0, turned(rows), [turned([right; 10]), turned([left; 10])]);
    }

    #[test]
    fn pictures_are_turned() {
        // Three times thirty degrees.
        check_square(Rotate, 3.0, [[0, 51], [102, 153]], [[[51, 153], [0, 102]], [[102, 0], [153, 51]]]);
    }

    #[test]
    fn operations_on_colours_leave_alone_how_opaque_a_pixel_is() {
        let shape = |channels| Shape { channels, height: 5, width: 7 };
        let (colors, all) = (shape(3).length(), shape(4).length());
        let values: Vec<u8> = (0..all).map(|at| (at * 37 % 256) as u8).collect();
        // As opaque as it is red.
        let equal = [&values[..colors], &values[..shape(1).length()]].concat();
        for operation in Operation::ALL {
            for sign in BOTH {
                let change = |values: &[u8], channels| changed(operation, values, shape(channels), 0.7, sign);
                let found = change(&values, 4);
                assert_eq!(found[..colors], change(&values[..colors], 3), "{operation:?}");
                if matches!(operation, Rotate | ShearRight | ShearDown | ShiftRight | ShiftDown) {
                    let moved = change(&equal, 4);
                    assert_eq!(moved[colors..], moved[..shape(1).length()], "{operation:?}");
                } else {
                    assert_eq!(found[colors..], values[colors..], "{operation:?}");
                }
            }
        }
    }

    #[test]
    fn every_operation_keeps_the_size_of_any_picture() {
        for (channels, height, width) in [(1, 1, 1), (3, 2, 1), (4, 5, 7)] {
            let shape = Shape { channels, height, width };
            let mut lot = Lot::new(1);
            for magnitude in 0..200 {
                let mut values: Vec<u8> = (0..shape.length()).map(|at| (at * 11 % 256) as u8).collect();
                apply(&mut values, shape, f64::from(magnitude) / 20.0, &mut lot);
                assert_eq!(values.len(), shape.length());
            }
        }
    }
}
