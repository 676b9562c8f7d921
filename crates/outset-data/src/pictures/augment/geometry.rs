//! Where a picture is moved, turned, scaled and mirrored to.

use super::Augment;
use crate::lot::Lot;
use crate::pictures::Shape;

/// Writes the picture at the place, angle and size that the lot draws, black being 0 and white 1.
pub(super) fn place(values: &[u8], shape: Shape, augment: &Augment, lot: &mut Lot, out: &mut [f32]) {
    let (height, width) = (shape.height, shape.width);
    let mut shift = |length: usize| {
        let most = (augment.crop * length as f64).round() as usize;
        if most == 0 { 0 } else { lot.below(2 * most + 1) as i64 - most as i64 }
    };
    let (down, right) = (shift(height), shift(width));
    let mirrored = augment.flip && lot.below(2) == 1;
    if augment.rotate == 0.0 && augment.scale == 0.0 {
        let columns: Vec<usize> = (0..width as i64)
            .map(|x| reflect(if mirrored { width as i64 - 1 - x } else { x } - right, width))
            .collect();
        for (values, out) in values.chunks_exact(height * width).zip(out.chunks_exact_mut(height * width)) {
            for (y, out) in out.chunks_exact_mut(width).enumerate() {
                let row = &values[reflect(y as i64 - down, height) * width..][..width];
                for (out, column) in out.iter_mut().zip(&columns) {
                    *out = f32::from(row[*column]) / 255.0;
                }
            }
        }
        return;
    }
    let angle = (2.0 * lot.unit() - 1.0) * augment.rotate.to_radians();
    let scale = 1.0 + (2.0 * lot.unit() - 1.0) * augment.scale;
    turn(values, shape, (down, right), mirrored, (angle, scale), out);
}

/// Writes the picture moved, perhaps mirrored, turned by an angle and made larger or smaller.
fn turn(
    values: &[u8],
    shape: Shape,
    (down, right): (i64, i64),
    mirrored: bool,
    (angle, scale): (f64, f64),
    out: &mut [f32],
) {
    let (sine, cosine) = (angle.sin() / scale, angle.cos() / scale);
    let mirror = if mirrored { -1.0 } else { 1.0 };
    let moved = (down as f64, right as f64);
    affine(values, shape, [[cosine, sine], [-sine * mirror, cosine * mirror]], moved, out);
}

/// Writes the picture under a linear map about its middle: the value at `(y, x)` is the one that lies at
/// `map · (y - down, x - right)` in the original, between pixels in proportion.
pub(super) fn affine(
    values: &[u8],
    shape: Shape,
    map: [[f64; 2]; 2],
    (down, right): (f64, f64),
    out: &mut [f32],
) {
    let (height, width) = (shape.height, shape.width);
    let middle = ((height as f64 - 1.0) / 2.0, (width as f64 - 1.0) / 2.0);
    let plane = height * width;
    for y in 0..height {
        for x in 0..width {
            let (dy, dx) = (y as f64 - middle.0 - down, x as f64 - middle.1 - right);
            let from_y = map[0][0] * dy + map[0][1] * dx + middle.0;
            let from_x = map[1][0] * dy + map[1][1] * dx + middle.1;
            let (low_y, low_x) = (from_y.floor(), from_x.floor());
            let (part_y, part_x) = ((from_y - low_y) as f32, (from_x - low_x) as f32);
            let ys = [reflect(low_y as i64, height), reflect(low_y as i64 + 1, height)];
            let xs = [reflect(low_x as i64, width), reflect(low_x as i64 + 1, width)];
            for channel in 0..shape.channels {
                let values = &values[channel * plane..(channel + 1) * plane];
                let at = |y: usize, x: usize| f32::from(values[ys[y] * width + xs[x]]);
                let upper = at(0, 0) + (at(0, 1) - at(0, 0)) * part_x;
                let lower = at(1, 0) + (at(1, 1) - at(1, 0)) * part_x;
                out[channel * plane + y * width + x] = (upper + (lower - upper) * part_y) / 255.0;
            }
        }
    }
}

/// The place within `0..length` that mirrors at the edges lead to; the edge itself is not repeated.
fn reflect(at: i64, length: usize) -> usize {
    let last = length as i64 - 1;
    if last <= 0 {
        return 0;
    }
    let folded = at.rem_euclid(2 * last);
    (if folded > last { 2 * last - folded } else { folded }) as usize
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn the_edge_is_a_mirror() {
        let places: Vec<usize> = (-4..8).map(|at| reflect(at, 4)).collect();
        assert_eq!(places, [2, 3, 2, 1, 0, 1, 2, 3, 2, 1, 0, 1]);
        assert_eq!(reflect(5, 1), 0);
    }

    #[test]
    fn a_quarter_turn_by_hand() {
        let shape = Shape { channels: 1, height: 2, width: 2 };
        let mut out = [0.0; 4];
        affine(&[0, 51, 102, 153], shape, [[0.0, 1.0], [-1.0, 0.0]], (0.0, 0.0), &mut out);
        assert_eq!(out.map(|value| (value * 255.0).round()), [51.0, 153.0, 0.0, 102.0]);
    }

    #[test]
    fn pictures_move_by_a_share_of_their_side() {
        let values = [0, 10, 20, 30, 40, 50, 60, 70];
        // From two to the left to two to the right, the edge being a mirror.
        let all = [
            [20, 30, 40, 50, 60, 70, 60, 50],
            [10, 20, 30, 40, 50, 60, 70, 60],
            values,
            [10, 0, 10, 20, 30, 40, 50, 60],
            [20, 10, 0, 10, 20, 30, 40, 50],
        ];
        let augment = Augment { crop: 0.25, ..Augment::default() };
        for (height, width) in [(1, 8), (8, 1)] {
            let shape = Shape { channels: 1, height, width };
            let moved = |key| {
                let mut out = [f32::NAN; 8];
                place(&values, shape, &augment, &mut Lot::new(key), &mut out);
                out.map(|value| (value * 255.0).round() as u8)
            };
            let found: HashSet<[u8; 8]> = (0..100).map(moved).collect();
            assert_eq!(found, HashSet::from(all));
        }
    }

    #[test]
    fn turned_scaled_and_mirrored_by_hand() {
        let check =
            |values: &[u8], width: usize, (mirrored, angle, scale): (bool, f64, f64), expected: &[f32]| {
                let shape = Shape { channels: 1, height: values.len() / width, width };
                let mut out = vec![f32::NAN; values.len()];
                turn(values, shape, (0, 0), mirrored, (angle, scale), &mut out);
                let found: Vec<f32> = out.iter().map(|value| (value * 255.0).round()).collect();
                assert_eq!(found, expected);
            };
        let quarter = std::f64::consts::FRAC_PI_2;
        check(&[0, 51, 102, 153], 2, (false, quarter, 1.0), &[51.0, 153.0, 0.0, 102.0]);
        check(&[0, 51, 102, 153], 2, (true, 0.0, 1.0), &[51.0, 0.0, 153.0, 102.0]);
        // Twice as large, and half as large with the mirror image beyond the edge.
        check(&[0, 80, 160, 240], 4, (false, 0.0, 2.0), &[60.0, 100.0, 140.0, 180.0]);
        check(&[0, 80, 160, 240], 4, (false, 0.0, 0.5), &[120.0, 40.0, 200.0, 120.0]);
    }

    #[test]
    fn angles_and_sizes_lie_on_either_side() {
        let shape = Shape { channels: 1, height: 9, width: 9 };
        // Brighter by ten from pixel to pixel, so that the middle tells where its neighbours come from.
        let values: Vec<u8> = (0..81).map(|at| 60 + at % 9 * 10).collect();
        let drawn = |rotate, scale| {
            let augment = Augment { rotate, scale, ..Augment::default() };
            let each = (0..60).map(|key| {
                let mut out = vec![f32::NAN; 81];
                place(&values, shape, &augment, &mut Lot::new(key), &mut out);
                let (right, down) = (out[4 * 9 + 5] * 255.0 - 100.0, out[5 * 9 + 4] * 255.0 - 100.0);
                ((-down).atan2(right).to_degrees(), 10.0 / down.hypot(right))
            });
            let (mut angles, mut sizes): (Vec<f32>, Vec<f32>) = each.unzip();
            angles.sort_by(f32::total_cmp);
            sizes.sort_by(f32::total_cmp);
            [angles[0], angles[59], sizes[0], sizes[59]]
        };
        let check = |[low, high]: [f32; 2], middle: f32, most: f32| {
            let near = |end: f32, side: f32| {
                let away = (end - middle) * side;
                away >= most / 2.0 - 1e-3 && away <= most * 1.001 + 1e-3
            };
            assert!(near(low, -1.0) && near(high, 1.0), "{low} to {high}");
        };
        for (rotate, scale) in [(20.0, 0.2), (20.0, 0.0), (0.0, 0.2)] {
            let [least_angle, most_angle, least_size, most_size] = drawn(rotate, scale);
            check([least_angle, most_angle], 0.0, rotate as f32);
            check([least_size, most_size], 1.0, scale as f32);
        }
    }
}
