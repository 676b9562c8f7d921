//! Convolution with kernels of 3 × 3 in 4/9 of the multiplications: Winograd's minimal filtering of tiles of 2 × 2 outputs
//! (Lavin and Gray 2015, <https://arxiv.org/abs/1509.09308>, section 4.1).
//!
//! A tile of 4 × 4 inputs `d` and a kernel `g` are transformed to `BᵀdB` and `GgGᵀ`, of 16 values each; their products,
//! summed over the channels, are a matrix product for each of the 16; `Aᵀ(…)A` of the sums is the tile of outputs.
//! The gradient of a kernel is `Gᵀ[Σ (BᵀdB) ⊙ (A dy Aᵀ)]G`.

use super::{
    Conv,
    padded::{Layout, Patches, Run},
};
use crate::{
    buf::uninit,
    gemm::{
        Matrix, copy_panel,
        tile::{Depth, Kernel, Left, Right, Starts, Target},
    },
    isa::kernel,
    par::{self, Cut, Rows},
};
use std::ops::Range;

/// Values of a transformed tile.
const POINTS: usize = 16;

/// Channels from which on the transforms are worth while; there must be [`COLUMNS`] tiles too, for the kernels' sake.
const FEWEST: usize = 32;

/// Tiles whose transforms are held at a time, a multiple of every kernel's columns: with those of some 64 channels they stay
/// in the second-level cache.
const COLUMNS: usize = 128;

/// Values between the ends and beginnings of what belongs to two points: at powers of two they would throw each other out
/// of the first-level cache.
const GAP: usize = 16;

/// Most columns of a panel.
const WIDEST: usize = 32;

/// Whether a convolution is made this way.
pub(super) fn applies(conv: &Conv) -> bool {
    let Conv { channels, outputs, kernel, stride, padding, dilation, groups, .. } = *conv;
    kernel == [3, 3]
        && (stride, dilation, groups) == ([1, 1], [1, 1], 1)
        && padding.iter().all(|zeros| *zeros <= 2)
        && channels.min(outputs) >= FEWEST
        && conv.winograd().tiles() >= COLUMNS
        && Kernel::current().pairs == 1
}

/// A convolution of `[batch, inputs, height, width]` images to `[batch, rows, height, width]` ones.
pub(super) struct Way {
    pub(super) batch: usize,
    /// Channels and size of the input.
    pub(super) inputs: usize,
    pub(super) image: [usize; 2],
    /// Zeros before the image.
    pub(super) before: [usize; 2],
    /// Channels and size of the output.
    pub(super) rows: usize,
    pub(super) output: [usize; 2],
}

impl Way {
    /// Rows and columns of tiles.
    fn grid(&self) -> [usize; 2] {
        self.output.map(|length| length.div_ceil(2))
    }

    /// The padded images, split into even and odd rows and columns.
    fn layout(&self) -> Layout {
        Layout::new(self.image, self.before, self.grid().map(|tiles| 2 * tiles + 2), [2, 2])
    }

    /// Where the values of the first tile lie in its channel.
    fn places(layout: &Layout) -> Vec<usize> {
        (0..POINTS).map(|place| layout.at(place / 4, place % 4)).collect()
    }

    /// Tiles of all images.
    fn tiles(&self) -> usize {
        let [rows, columns] = self.grid();
        self.batch * rows * columns
    }

    /// Images taken together, of so many: small ones, so that there are enough tiles for a pass.
    fn together(&self, images: usize) -> usize {
        let [rows, columns] = self.grid();
        COLUMNS.div_ceil((rows * columns).max(1)).min(images)
    }

    /// Passes that the images take.
    pub(super) fn passes(&self) -> usize {
        self.batch.div_ceil(self.together(self.batch).max(1))
    }

    /// Convolves the images with `w [rows, inputs, 3, 3]` and adds `b [rows]`.
    pub(super) fn run(&self, x: &[f32], w: &[f32], b: Option<&[f32]>) -> Vec<f32> {
        let Way { batch, inputs, image, rows, output, .. } = *self;
        let (kernel, layout, grid) = (Kernel::of_level(), self.layout(), self.grid());
        let (pixels, width, columns) = (output[0] * output[1], kernel.columns, COLUMNS);
        let filters = filters(w, rows, inputs);
        let places = Way::places(&layout);
        let mut y = uninit(batch * rows * pixels);
        let cost = 9 * inputs * rows * pixels;
        let cut = Cut::new(batch, cost).at_most(self.passes());
        par::run(Rows::new(&mut y, rows * pixels), cut, |range, y| {
            let together = self.together(range.len());
            let mut buffer = uninit(together * inputs * layout.channel());
            let (mut transformed, mut products) =
                (uninit(POINTS * (inputs * columns + GAP)), uninit(POINTS * (rows * columns + GAP)));
            let mut runs = vec![Vec::new(); columns / width];
            for (y, first) in y.data.chunks_mut(together * rows * pixels).zip(range.step_by(together)) {
                let images = y.len() / (rows * pixels);
                let of_image = inputs * image[0] * image[1];
                layout.fill(&x[first * of_image..][..images * of_image], &mut buffer);
                let patches =
                    Patches { buffer: &buffer, layout, images, channels: inputs, taps: &places, grid };
                for start in (0..patches.columns()).step_by(columns) {
                    let end = (start + columns).min(patches.columns());
                    let panels = (end - start).div_ceil(width);
                    let (of_inputs, of_rows) = (panels * inputs * width, panels * rows * width);
                    for (panel, runs) in runs[..panels].iter_mut().enumerate() {
                        let first = start + panel * width;
                        patches.runs(first..(first + width).min(end), runs);
                        let out = &mut transformed[panel * inputs * width..];
                        transform_inputs(&patches, runs, out, of_inputs + GAP, width);
                    }
                    for point in 0..POINTS {
                        let filters = &filters[point * rows * inputs..][..rows * inputs];
                        let transformed = &transformed[point * (of_inputs + GAP)..][..of_inputs];
                        let products = &mut products[point * (of_rows + GAP)..][..of_rows];
                        let out =
                            Out { stride: width, panel: rows * width, columns: panels * width, add: false };
                        multiply(&kernel, filters, transformed, [rows, inputs], products, out);
                    }
                    for (panel, runs) in runs[..panels].iter().enumerate() {
                        let products = &products[panel * rows * width..];
                        transform_outputs(products, of_rows + GAP, width, runs, y, self, b);
                    }
                }
            }
        });
        y
    }
}

impl Way {
    /// Sums the gradient of the weights over some images: `[inputs][3 · 3][rows]`.
    pub(super) fn weight_gradient(&self, x: &[f32], dy: &[f32], range: Range<usize>) -> Vec<f32> {
        let Way { inputs, image, rows, output, .. } = *self;
        let (kernel, layout, grid) = (Kernel::of_level(), self.layout(), self.grid());
        let (width, places) = (kernel.columns, Way::places(&layout));
        let together = self.together(range.len());
        let (panels, of_sums) = (rows.div_ceil(width), inputs * rows);
        let mut buffer = uninit(together * inputs * layout.channel());
        let mut transformed = uninit(POINTS * (inputs * COLUMNS + GAP));
        let mut gradients = uninit(POINTS * (panels * COLUMNS * width + GAP));
        let mut sums = uninit(POINTS * (of_sums + GAP));
        let (mut turned, mut runs, mut add) = (Vec::new(), Vec::new(), false);
        for first in range.clone().step_by(together.max(1)) {
            let images = together.min(range.end - first);
            let of_image = inputs * image[0] * image[1];
            layout.fill(&x[first * of_image..][..images * of_image], &mut buffer);
            let patches = Patches { buffer: &buffer, layout, images, channels: inputs, taps: &places, grid };
            for start in (0..patches.columns()).step_by(COLUMNS) {
                let columns = COLUMNS.min(patches.columns() - start);
                let (of_inputs, of_rows) = (inputs * columns, panels * columns * width);
                patches.runs(start..start + columns, &mut runs);
                transform_inputs(&patches, &runs, &mut transformed, of_inputs + GAP, columns);
                for panel in 0..panels {
                    let of_panel = panel * width..((panel + 1) * width).min(rows);
                    turn(
                        &dy[first * rows * output[0] * output[1]..],
                        rows,
                        &runs,
                        output,
                        of_panel,
                        width,
                        &mut turned,
                    );
                    let out = &mut gradients[panel * columns * width..];
                    transform_gradients(&turned, &runs, output, width, out, of_rows + GAP);
                }
                for point in 0..POINTS {
                    let left = &transformed[point * (of_inputs + GAP)..][..of_inputs];
                    let right = &gradients[point * (of_rows + GAP)..][..of_rows];
                    let sums = &mut sums[point * (of_sums + GAP)..][..of_sums];
                    let out = Out { stride: rows, panel: width, columns: rows, add };
                    multiply(&kernel, left, right, [inputs, columns], sums, out);
                }
                add = true;
            }
        }
        if !add {
            sums.fill(0.0);
        }
        let mut gradient = uninit(9 * inputs * rows);
        transform_sums(&sums, of_sums + GAP, rows, &mut gradient);
        gradient
    }
}

/// Where a product goes.
#[derive(Clone, Copy)]
struct Out {
    /// Distance of the rows.
    stride: usize,
    /// Distance of the panels.
    panel: usize,
    /// Columns of all panels.
    columns: usize,
    /// Whether the product is added to what is there.
    add: bool,
}

/// Multiplies `left [rows, depth]` with panels `[panel][depth][columns of a panel]`.
fn multiply(
    kernel: &Kernel,
    left: &[f32],
    panels: &[f32],
    [rows, depth]: [usize; 2],
    out: &mut [f32],
    Out { stride, panel: apart, columns, add }: Out,
) {
    let width = kernel.columns;
    for row in (0..rows).step_by(kernel.rows) {
        let rows = kernel.rows.min(rows - row);
        for (panel, column) in panels.chunks_exact(depth * width).zip((0..columns).step_by(width)) {
            for step in (0..depth).step_by(kernel.depth) {
                let starts = Starts::Even { first: row * depth + step, apart: depth };
                let left = Left { data: left, starts, step: 1 };
                let right = Right { data: &panel[step * width..], stride: width };
                let data = &mut out[column / width * apart + row * stride..];
                let columns = width.min(columns - column);
                let target = Target { data, stride, rows, columns, add: add || step > 0 };
                kernel.run(left, right, Depth::new(kernel.depth.min(depth - step)), target);
            }
        }
    }
}

/// Transforms kernels `[rows, inputs, 3, 3]` to `[point][rows][inputs]`.
fn filters(w: &[f32], rows: usize, inputs: usize) -> Vec<f32> {
    let mut by_row = uninit(POINTS * rows * inputs);
    // Row by row, as tasks own rows; then point by point, as products read them.
    par::run(Rows::new(&mut by_row, POINTS * inputs), Cut::new(rows, 32 * inputs), |range, out| {
        for (out, row) in out.data.chunks_exact_mut(POINTS * inputs).zip(range) {
            transform_filters(&w[row * inputs * 9..][..inputs * 9], out);
        }
    });
    let mut filters = uninit(POINTS * rows * inputs);
    par::run(Rows::new(&mut filters, inputs), Cut::new(POINTS * rows, 4 * inputs), |range, out| {
        for (out, at) in out.data.chunks_exact_mut(inputs).zip(range) {
            let (point, row) = (at / rows, at % rows);
            out.copy_from_slice(&by_row[(row * POINTS + point) * inputs..][..inputs]);
        }
    });
    filters
}

kernel! {
    /// Transforms the kernels of a row, `[inputs, 3, 3]` to `[point][inputs]`: `GgGᵀ`.
    fn transform_filters<A>(w: &[f32], out: &mut [f32]) {
        let inputs = w.len() / 9;
        let mut input = 0;
        while input + 16 <= inputs {
            filter_group::<16>(&w[input * 9..], input, inputs, out);
            input += 16;
        }
        while input < inputs {
            filter_group::<1>(&w[input * 9..], input, inputs, out);
            input += 1;
        }
    }
}

#[expect(clippy::needless_range_loop, reason = "a lane is one of several arrays")]
#[inline(always)]
fn filter_group<const L: usize>(w: &[f32], first: usize, inputs: usize, out: &mut [f32]) {
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
            (0..4).for_each(|point| out[(row * 4 + point) * inputs + first + lane] = points[point]);
        }
    }
}

kernel! {
    /// Transforms the tiles of some runs, channel by channel: `BᵀdB`, with points `apart` values apart and channels `width`.
    fn transform_inputs<A>(patches: &Patches, runs: &[Run], out: &mut [f32], apart: usize, width: usize) {
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
fn sums([a, b, c, d]: [f32; 4]) -> [f32; 2] {
    [a + b + c, b - c - d]
}

kernel! {
    /// Writes the outputs of a panel's tiles: `Aᵀ(…)A` of products whose points lie `apart` values apart, and rows `width`.
    fn transform_outputs<A>(
        products: &[f32],
        apart: usize,
        width: usize,
        runs: &[Run],
        y: &mut [f32],
        way: &Way,
        b: Option<&[f32]>,
    ) {
        let [height, row_len] = way.output;
        for row in 0..way.rows {
            let mut tiles = [[0.0; WIDEST]; 4];
            match width {
                32 => output_tiles::<32>(&products[row * width..], apart, &mut tiles),
                16 => output_tiles::<16>(&products[row * width..], apart, &mut tiles),
                _ => output_tiles::<8>(&products[row * width..], apart, &mut tiles),
            }
            if let Some(b) = b {
                tiles.iter_mut().flatten().for_each(|value| *value += b[row]);
            }
            let mut at = 0;
            for run in runs {
                let [top, left] = run.place.map(|place| 2 * place);
                let start = ((run.image * way.rows + row) * height + top) * row_len + left;
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
            let [left, right] = sums([points[0][lane], points[1][lane], points[2][lane], points[3][lane]]);
            (half[row * 2][lane], half[row * 2 + 1][lane]) = (left, right);
        }
    }
    for side in 0..2 {
        for lane in 0..W {
            let of_row = |row: usize| half[row * 2 + side][lane];
            let [top, bottom] = sums([of_row(0), of_row(1), of_row(2), of_row(3)]);
            (tiles[side][lane], tiles[2 + side][lane]) = (top, bottom);
        }
    }
}

/// Copies some channels of images `[channels, height, width]`, from the first row that the runs' tiles see to the last, to
/// `[pixel][width]`.
fn turn(
    dy: &[f32],
    channels: usize,
    runs: &[Run],
    [height, row_len]: [usize; 2],
    some: Range<usize>,
    width: usize,
    out: &mut Vec<f32>,
) {
    let (Some(first), Some(last)) = (runs.first(), runs.last()) else { return };
    let (top, bottom) = (2 * first.place[0], (2 * last.place[0] + 2).min(height));
    let rows = (last.image - first.image) * height + bottom - top;
    if out.len() < rows * row_len * width {
        *out = uninit(rows * row_len * width);
    }
    let mut rest = &mut out[..];
    for image in first.image..=last.image {
        let from = if image == first.image { top } else { 0 };
        let to = if image == last.image { bottom } else { height };
        let pixels = height * row_len;
        let (now, later) = rest.split_at_mut((to - from) * row_len * width);
        let dy = Matrix::new(&dy[image * channels * pixels..], channels, pixels).transposed();
        copy_panel(dy, from * row_len..to * row_len, some.clone(), now, width);
        rest = later;
    }
}

kernel! {
    /// Transforms the gradients of some tiles: `A dy Aᵀ`, from what [`turn`] copied to `[tile][width]` with points `apart`
    /// values apart.
    fn transform_gradients<A>(
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
    fn transform_sums<A>(sums: &[f32], apart: usize, rows: usize, out: &mut [f32]) {
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
