//! Convolution with kernels of 3 × 3 in 4/9 of the multiplications: Winograd's minimal filtering of tiles of 2 × 2 outputs
//! (Lavin and Gray 2015, <https://arxiv.org/abs/1509.09308>, section 4.1).
//!
//! A tile of 4 × 4 inputs `d` and a kernel `g` are transformed to `BᵀdB` and `GgGᵀ`, of 16 values each; their products,
//! summed over the channels, are a matrix product for each of the 16; `Aᵀ(…)A` of the sums is the tile of outputs.
//! The gradient of a kernel is `Gᵀ[Σ (BᵀdB) ⊙ (A dy Aᵀ)]G`. What is done to single tiles is in [`transforms`].

mod transforms;

use super::{
    Conv,
    padded::{Layout, Patches, Run},
    product::make_room,
};
use crate::{
    buf::uninit,
    gemm::{
        Matrix, copy_panel,
        tile::{Depth, Kernel, Left, Right, Starts, Target},
    },
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

/// Values between what belongs to two points, or two rows of filters: at distances of powers of two they would throw each
/// other out of the first-level cache.
const GAP: usize = 16;

/// Whether a convolution is made this way.
pub(super) fn applies(conv: &Conv) -> bool {
    let Conv { channels, outputs, kernel, stride, padding, dilation, groups, .. } = *conv;
    kernel == [3, 3]
        && (stride, dilation, groups) == ([1, 1], [1, 1], 1)
        && padding.iter().all(|zeros| *zeros <= 2)
        && channels.min(outputs) >= FEWEST
        && Way::of(conv).tiles() >= COLUMNS
        && Kernel::without_parts().pairs == 1
}

/// A convolution of `[batch, inputs, height, width]` images to `[batch, rows, height, width]` ones.
pub(super) struct Way {
    batch: usize,
    /// Channels and size of the input.
    inputs: usize,
    image: [usize; 2],
    /// Zeros before the image.
    before: [usize; 2],
    /// Channels and size of the output.
    rows: usize,
    output: [usize; 2],
}

impl Way {
    /// That of the output from the input.
    pub(super) fn of(conv: &Conv) -> Way {
        let Conv { batch, channels, outputs, image, padding, .. } = *conv;
        Way { batch, inputs: channels, image, before: padding, rows: outputs, output: conv.output_image() }
    }

    /// That of the input's gradient from the output's, with kernels that are turned.
    pub(super) fn of_gradient(conv: &Conv) -> Way {
        let Conv { batch, channels, outputs, image, padding, .. } = *conv;
        let before = padding.map(|zeros| 2 - zeros);
        Way { batch, inputs: outputs, image: conv.output_image(), before, rows: channels, output: image }
    }

    /// Rows and columns of tiles.
    fn grid(&self) -> [usize; 2] {
        self.output.map(|length| length.div_ceil(2))
    }

    /// Tiles of all images.
    fn tiles(&self) -> usize {
        let [rows, columns] = self.grid();
        self.batch * rows * columns
    }

    /// Images taken together, of so many: small ones, so that there are enough tiles for a pass.
    fn together(&self, images: usize) -> usize {
        let [rows, columns] = self.grid();
        COLUMNS.div_ceil((rows * columns).max(1)).min(images).max(1)
    }

    /// Groups of images that are taken together.
    pub(super) fn groups(&self) -> usize {
        self.batch.div_ceil(self.together(self.batch))
    }

    /// Goes through the tiles of some images, [`COLUMNS`] at a time at most; `act` gets the first image of a group, the padded
    /// images of the group and which of their tiles.
    fn pass(&self, x: &[f32], range: Range<usize>, mut act: impl FnMut(usize, &Patches, Range<usize>)) {
        let grid = self.grid();
        // Split into even and odd rows and columns, so that neighbouring tiles read neighbouring values.
        let layout = Layout::new(self.image, self.before, grid.map(|tiles| 2 * tiles + 2), [2, 2]);
        let taps: Vec<usize> = (0..POINTS).map(|place| layout.at(place / 4, place % 4)).collect();
        let (together, of_image) = (self.together(range.len()), self.inputs * self.image[0] * self.image[1]);
        let mut buffer = uninit(together * self.inputs * layout.channel());
        for first in range.clone().step_by(together) {
            let images = together.min(range.end - first);
            layout.fill(&x[first * of_image..][..images * of_image], &mut buffer);
            let patches =
                Patches { buffer: &buffer, layout, images, channels: self.inputs, taps: &taps, grid };
            for start in (0..patches.columns()).step_by(COLUMNS) {
                act(first, &patches, start..(start + COLUMNS).min(patches.columns()));
            }
        }
    }

    /// Convolves the images with `w [rows, inputs, 3, 3]` and adds `b [rows]`.
    pub(super) fn run(&self, x: &[f32], w: &[f32], b: Option<&[f32]>) -> Vec<f32> {
        let Way { batch, inputs, rows, output, .. } = *self;
        let (kernel, filters) = (Kernel::of_level().for_rows(rows), filters(w, rows, inputs));
        let (width, of_output) = (kernel.columns, rows * output[0] * output[1]);
        let mut y = uninit(batch * of_output);
        let cut = Cut::new(batch, 9 * inputs * of_output).at_most(self.groups());
        par::run(Rows::new(&mut y, of_output), cut, |range, y| {
            let mut transformed = uninit(POINTS * (inputs * COLUMNS + GAP));
            let mut products = uninit(POINTS * (rows * COLUMNS + GAP));
            let mut runs = vec![Vec::new(); COLUMNS / width];
            self.pass(x, range.clone(), |first, patches, tiles| {
                let columns = tiles.len().next_multiple_of(width);
                let runs = &mut runs[..columns / width];
                let (of_inputs, of_rows) = (inputs * columns, rows * columns);
                for (panel, runs) in runs.iter_mut().enumerate() {
                    let start = tiles.start + panel * width;
                    patches.runs(start..(start + width).min(tiles.end), runs);
                    let out = &mut transformed[panel * inputs * width..];
                    transforms::inputs(patches, runs, out, of_inputs + GAP, width);
                }
                for point in 0..POINTS {
                    let left = Left {
                        data: &filters,
                        starts: Starts::Even { first: point * inputs, apart: POINTS * inputs + GAP },
                        step: 1,
                    };
                    let panels = &transformed[point * (of_inputs + GAP)..][..of_inputs];
                    let out = &mut products[point * (of_rows + GAP)..][..of_rows];
                    multiply(&kernel, left, panels, [rows, inputs, columns], out, false);
                }
                let y = &mut y.data[(first - range.start) * of_output..];
                for (panel, runs) in runs.iter().enumerate() {
                    let products = &products[panel * width..];
                    transforms::outputs(
                        products,
                        [of_rows + GAP, columns],
                        width,
                        runs,
                        [rows, output[0], output[1]],
                        y,
                        b,
                    );
                }
            });
        });
        y
    }

    /// Sums the gradient of the kernels over some images: `[inputs][3 · 3][rows]`.
    pub(super) fn weight_gradient(&self, x: &[f32], dy: &[f32], range: Range<usize>) -> Vec<f32> {
        let Way { inputs, rows, output, .. } = *self;
        let kernel = Kernel::of_level().for_rows(inputs);
        let (width, of_sums) = (kernel.columns, inputs * rows);
        let panels = rows.div_ceil(width);
        let mut transformed = uninit(POINTS * (inputs * COLUMNS + GAP));
        let mut gradients = uninit(POINTS * (panels * COLUMNS * width + GAP));
        let mut sums = uninit(POINTS * (of_sums + GAP));
        let (mut turned, mut runs, mut add) = (Vec::new(), Vec::new(), false);
        self.pass(x, range, |first, patches, tiles| {
            let columns = tiles.len();
            let (of_inputs, of_rows) = (inputs * columns, panels * columns * width);
            patches.runs(tiles, &mut runs);
            transforms::inputs(patches, &runs, &mut transformed, of_inputs + GAP, columns);
            let dy = &dy[first * rows * output[0] * output[1]..];
            for panel in 0..panels {
                let of_panel = panel * width..((panel + 1) * width).min(rows);
                turn(dy, rows, &runs, output, of_panel, width, &mut turned);
                let out = &mut gradients[panel * columns * width..];
                transforms::gradients(&turned, &runs, output, width, out, of_rows + GAP);
            }
            for point in 0..POINTS {
                let starts = Starts::Even { first: point * (of_inputs + GAP), apart: columns };
                let left = Left { data: &transformed, starts, step: 1 };
                let panels = &gradients[point * (of_rows + GAP)..][..of_rows];
                let sums = &mut sums[point * (of_sums + GAP)..][..of_sums];
                multiply(&kernel, left, panels, [inputs, columns, rows], sums, add);
            }
            add = true;
        });
        if !add {
            sums.fill(0.0);
        }
        let mut gradient = uninit(9 * of_sums);
        transforms::sums(&sums, of_sums + GAP, rows, &mut gradient);
        gradient
    }
}

/// Writes or adds `left [rows, depth]` times panels `[panel][depth][columns of a panel]` to `out [rows, columns]`.
fn multiply(
    kernel: &Kernel,
    left: Left,
    panels: &[f32],
    [rows, depth, columns]: [usize; 3],
    out: &mut [f32],
    add: bool,
) {
    let width = kernel.columns;
    let Starts::Even { first, apart } = left.starts else { unreachable!("rows lie at even distances") };
    for row in (0..rows).step_by(kernel.rows) {
        let rows = kernel.rows.min(rows - row);
        for (panel, column) in panels.chunks_exact(depth * width).zip((0..columns).step_by(width)) {
            for step in (0..depth).step_by(kernel.depth) {
                let left = Left { starts: Starts::Even { first: first + row * apart + step, apart }, ..left };
                let right = Right { data: &panel[step * width..], stride: width };
                let target = Target {
                    data: &mut out[row * columns + column..],
                    stride: columns,
                    rows,
                    columns: width.min(columns - column),
                    add: add || step > 0,
                };
                kernel.run(left, right, Depth::new(kernel.depth.min(depth - step)), target);
            }
        }
    }
}

/// Transforms kernels `[rows, inputs, 3, 3]` to `[row][point][inputs]`, with a gap after each row.
fn filters(w: &[f32], rows: usize, inputs: usize) -> Vec<f32> {
    let of_row = POINTS * inputs + GAP;
    let mut filters = uninit(rows * of_row);
    par::run(Rows::new(&mut filters, of_row), Cut::new(rows, 32 * inputs), |range, out| {
        for (out, row) in out.data.chunks_exact_mut(of_row).zip(range) {
            transforms::filters(&w[row * inputs * 9..][..inputs * 9], out);
        }
    });
    filters
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
    make_room(out, rows * row_len * width);
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
