//! What is done to single tiles and kernels: multiplications from both sides by small matrices.
//!
//! Each goes over lanes of neighbouring values, so that the compiler finds its vectors.

use super::{
    super::padded::{Patches, Run},
    POINTS,
};
use crate::isa::kernel;

/// Most columns of a panel.
const WIDEST: usize = 32;

kernel! {
    /// Transforms the kernels of a row, `[inputs, 3, 3]` to `[point][inputs]`: `GgGᵀ`.
    pub(super) fn filters<A>(w: &[f32], out: &mut [f32]) {
        let inputs = w.len() / 9;
        let mut input = 0;
        while input < inputs {
            input += match inputs - input {
                16.. => filter_group::<16>(&w[input * 9..], inputs, &mut out[input..]),
                _ => filter_group::<1>(&w[input * 9..], inputs, &mut out[input..]),
            };
        }
    }
}

#[expect(clippy::needless_range_loop, reason = "a lane is one of several arrays")]
#[inline(always)]
fn filter_group<const L: usize>(w: &[f32], inputs: usize, out: &mut [f32]) -> usize {
    let w = &w[..9 * L];
    let three = |a: f32, b: f32, c: f32| {
        let (sides, middle) = (0.5 * (a + c), 0.5 * b);
        [a, sides + middle, sides - middle, c]
    };
    let mut half = [[0.0; L]; 12];
    for lane in 0..L {
        for column in 0..3 {
            let at = lane * 9 + column;
            let points = three(w[at], w[at + 3], w[at + 6]);
            (0..4).for_each(|point| half[point * 3 + column][lane] = points[point]);
        }
    }
    for row in 0..4 {
        for lane in 0..L {
            let [a, b, c] = [half[row * 3][lane], half[row * 3 + 1][lane], half[row * 3 + 2][lane]];
            let points = three(a, b, c);
            (0..4).for_each(|point| out[(row * 4 + point) * inputs + lane] = points[point]);
        }
    }
    L
}

kernel! {
    /// Transforms the tiles of some runs, channel by channel: `BᵀdB`, with points `apart` values apart and channels `width`.
    pub(super) fn inputs<A>(patches: &Patches, runs: &[Run], out: &mut [f32], apart: usize, width: usize) {
        let columns: usize = runs.iter().map(|run| run.len).sum();
        for channel in 0..patches.channels {
            let base = channel * patches.layout.channel();
            let mut to = channel * width;
            for run in runs {
                let (mut from, mut rest) = (base + run.start, run.len);
                while rest > 0 {
                    let done = match rest {
                        16.. => input_tiles::<16>(patches, from, &mut out[to..], apart),
                        8.. => input_tiles::<8>(patches, from, &mut out[to..], apart),
                        4.. => input_tiles::<4>(patches, from, &mut out[to..], apart),
                        2.. => input_tiles::<2>(patches, from, &mut out[to..], apart),
                        _ => input_tiles::<1>(patches, from, &mut out[to..], apart),
                    };
                    (from, to, rest) = (from + done, to + done, rest - done);
                }
            }
            // Columns beyond the last tile are multiplied too.
            if columns < width {
                for point in 0..POINTS {
                    out[point * apart + to..][..width - columns].fill(0.0);
                }
            }
        }
    }
}

/// `Bᵀ` times four values.
#[inline(always)]
fn differences([a, b, c, d]: [f32; 4]) -> [f32; 4] {
    [a - c, b + c, c - b, b - d]
}

#[expect(clippy::needless_range_loop, reason = "a lane is one of several arrays")]
#[inline(always)]
fn input_tiles<const L: usize>(patches: &Patches, from: usize, out: &mut [f32], apart: usize) -> usize {
    let mut values = [[0.0; L]; POINTS];
    for (value, place) in values.iter_mut().zip(patches.taps) {
        *value = *patches.buffer[from + place..].first_chunk().expect("a tile lies in its padded image");
    }
    for row in values.as_chunks_mut::<4>().0 {
        for lane in 0..L {
            let points = differences([row[0][lane], row[1][lane], row[2][lane], row[3][lane]]);
            (0..4).for_each(|point| row[point][lane] = points[point]);
        }
    }
    for column in 0..4 {
        for lane in 0..L {
            let of_row = |row: usize| values[row * 4 + column][lane];
            let points = differences([of_row(0), of_row(1), of_row(2), of_row(3)]);
            (0..4).for_each(|point| values[point * 4 + column][lane] = points[point]);
        }
    }
    for (point, values) in values.iter().enumerate() {
        *out[point * apart..].first_chunk_mut().expect("a panel has room for its tiles") = *values;
    }
    L
}

/// `Aᵀ` times four values.
#[inline(always)]
fn both([a, b, c, d]: [f32; 4]) -> [f32; 2] {
    [a + b + c, b - c - d]
}

kernel! {
    /// Writes the outputs of a panel's tiles, to images `[rows, height, width]`: `Aᵀ(…)A` of products whose points and rows
    /// lie so far apart.
    pub(super) fn outputs<A>(
        products: &[f32],
        apart: [usize; 2],
        width: usize,
        runs: &[Run],
        output: [usize; 3],
        y: &mut [f32],
        b: Option<&[f32]>,
    ) {
        let [apart, row_apart] = apart;
        let [rows, height, row_len] = output;
        for row in 0..rows {
            let products = &products[row * row_apart..];
            let mut tiles = [[0.0; WIDEST]; 4];
            match width {
                32 => output_tiles::<32>(products, apart, &mut tiles),
                16 => output_tiles::<16>(products, apart, &mut tiles),
                _ => output_tiles::<8>(products, apart, &mut tiles),
            }
            if let Some(b) = b {
                tiles.iter_mut().flatten().for_each(|value| *value += b[row]);
            }
            let mut at = 0;
            for run in runs {
                let [top, left] = run.place.map(|place| 2 * place);
                let start = ((run.image * rows + row) * height + top) * row_len + left;
                let whole = (2 * run.len).min(row_len - left);
                for below in 0..2.min(height - top) {
                    let [even, odd] = [&tiles[2 * below][at..][..run.len], &tiles[2 * below + 1][at..][..run.len]];
                    let out = &mut y[start + below * row_len..][..whole];
                    let (pairs, last) = out.as_chunks_mut::<2>();
                    for ((pair, even), odd) in pairs.iter_mut().zip(even).zip(odd) {
                        *pair = [*even, *odd];
                    }
                    if let ([last], Some(even)) = (last, even.last()) {
                        *last = *even;
                    }
                }
                at += run.len;
            }
        }
    }
}

#[inline(always)]
fn output_tiles<const W: usize>(products: &[f32], apart: usize, tiles: &mut [[f32; WIDEST]; 4]) {
    let mut half = [[0.0; W]; 8];
    for row in 0..4 {
        let of_point = |point: usize| -> &[f32; W] {
            products[(row * 4 + point) * apart..].first_chunk().expect("a panel has all its columns")
        };
        let points = [of_point(0), of_point(1), of_point(2), of_point(3)];
        for lane in 0..W {
            let [left, right] = both([points[0][lane], points[1][lane], points[2][lane], points[3][lane]]);
            (half[row * 2][lane], half[row * 2 + 1][lane]) = (left, right);
        }
    }
    for side in 0..2 {
        for lane in 0..W {
            let of_row = |row: usize| half[row * 2 + side][lane];
            let [top, bottom] = both([of_row(0), of_row(1), of_row(2), of_row(3)]);
            (tiles[side][lane], tiles[2 + side][lane]) = (top, bottom);
        }
    }
}

kernel! {
    /// Transforms the gradients of some tiles: `A dy Aᵀ`, from what [`turn`](super::turn) copied to `[tile][width]` with points `apart`
    /// values apart.
    pub(super) fn gradients<A>(
        turned: &[f32],
        runs: &[Run],
        output: [usize; 2],
        width: usize,
        out: &mut [f32],
        apart: usize,
    ) {
        let [height, row_len] = output;
        let Some(Run { image: first, place: [top, _], .. }) = runs.first() else { return };
        let mut tile = 0;
        for run in runs {
            let [y, left] = run.place;
            for x in left..left + run.len {
                let pixel = |below: usize, beside: usize| {
                    let [y, x] = [2 * y + below, 2 * x + beside];
                    let at = ((run.image - first) * height + y - 2 * top) * row_len + x;
                    (y < height && x < row_len).then(|| &turned[at * width..][..width])
                };
                let pixels = [pixel(0, 0), pixel(0, 1), pixel(1, 0), pixel(1, 1)];
                let out = &mut out[tile * width..];
                match width {
                    32 => gradient_tile::<32>(pixels, out, apart),
                    16 => gradient_tile::<16>(pixels, out, apart),
                    _ => gradient_tile::<8>(pixels, out, apart),
                }
                tile += 1;
            }
        }
    }
}

/// `A` times two values.
#[inline(always)]
fn spread([a, b]: [f32; 2]) -> [f32; 4] {
    [a, a + b, a - b, -b]
}

#[inline(always)]
fn gradient_tile<const W: usize>(pixels: [Option<&[f32]>; 4], out: &mut [f32], apart: usize) {
    let mut values = [[0.0; W]; 4];
    for (values, pixel) in values.iter_mut().zip(pixels) {
        if let Some(pixel) = pixel {
            *values = *pixel.first_chunk().expect("a pixel has a value of each column");
        }
    }
    let mut points = [[0.0; W]; POINTS];
    for lane in 0..W {
        let left = spread([values[0][lane], values[2][lane]]);
        let right = spread([values[1][lane], values[3][lane]]);
        for row in 0..4 {
            let of_row = spread([left[row], right[row]]);
            for column in 0..4 {
                points[row * 4 + column][lane] = of_row[column];
            }
        }
    }
    for (point, values) in points.iter().enumerate() {
        *out[point * apart..].first_chunk_mut().expect("a panel has room for its tiles") = *values;
    }
}

kernel! {
    /// Transforms sums `[point][inputs][rows]`, whose points lie `apart` values apart, to the gradient of the kernels,
    /// `[inputs][3 · 3][rows]`: `Gᵀ(…)G`.
    pub(super) fn sums<A>(sums: &[f32], apart: usize, rows: usize, out: &mut [f32]) {
        for (input, out) in out.chunks_exact_mut(9 * rows).enumerate() {
            let sums = &sums[input * rows..];
            let mut row = 0;
            while row < rows {
                row += match rows - row {
                    16.. => sum_group::<16>(&sums[row..], apart, rows, &mut out[row..]),
                    _ => sum_group::<1>(&sums[row..], apart, rows, &mut out[row..]),
                };
            }
        }
    }
}

#[inline(always)]
fn sum_group<const L: usize>(sums: &[f32], apart: usize, rows: usize, out: &mut [f32]) -> usize {
    let three = |a: f32, b: f32, c: f32, d: f32| {
        let middle = 0.5 * (b + c);
        [a + middle, 0.5 * (b - c), middle + d]
    };
    let mut points = [[0.0; L]; POINTS];
    for (point, values) in points.iter_mut().enumerate() {
        *values = *sums[point * apart..].first_chunk().expect("a point has a sum of each row");
    }
    let mut half = [[0.0; L]; 12];
    for column in 0..4 {
        for lane in 0..L {
            let at = |row: usize| points[row * 4 + column][lane];
            let of_column = three(at(0), at(1), at(2), at(3));
            for row in 0..3 {
                half[row * 4 + column][lane] = of_column[row];
            }
        }
    }
    for row in 0..3 {
        let mut taps = [[0.0; L]; 3];
        for lane in 0..L {
            let at = |column: usize| half[row * 4 + column][lane];
            let of_row = three(at(0), at(1), at(2), at(3));
            for column in 0..3 {
                taps[column][lane] = of_row[column];
            }
        }
        for (column, values) in taps.iter().enumerate() {
            let out = out[(row * 3 + column) * rows..].first_chunk_mut();
            *out.expect("a tap has a value of each row") = *values;
        }
    }
    L
}
