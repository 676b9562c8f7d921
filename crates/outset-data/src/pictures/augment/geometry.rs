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
}
