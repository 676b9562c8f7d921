//! Products of weights with patches.

use super::padded::{Patches, Run};
use crate::gemm::{
    pair_rows, paired_rows,
    tile::{Depth, Kernel, Left, MOST_COLUMNS, MOST_ROWS, Right, Target},
};
use std::borrow::Cow;

/// Columns whose patches are held at a time, a multiple of every kernel's.
const COLUMNS: usize = 256;

/// Rows of patches held at a time; with their columns they stay in the second-level cache.
const DEPTH: usize = 640;

/// Where the columns of a product go: the output is `[image][row][height][width]`.
#[derive(Clone, Copy, Debug)]
pub(super) struct Place {
    /// Height and width of the output.
    pub(super) size: [usize; 2],
    /// Distance of the grid's places in the output.
    pub(super) step: [usize; 2],
    /// Where the first lies.
    pub(super) first: [usize; 2],
}

impl Place {
    fn pixels(&self) -> usize {
        self.size[0] * self.size[1]
    }

    /// Clears the places of a grid in every image and row.
    pub(super) fn clear(&self, out: &mut [f32], grid: [usize; 2]) {
        for out in out.chunks_exact_mut(self.pixels()) {
            for (y, x) in (0..grid[0]).flat_map(|y| (0..grid[1]).map(move |x| (y, x))) {
                out[self.at([y, x])] = 0.0;
            }
        }
    }

    fn at(&self, [y, x]: [usize; 2]) -> usize {
        (self.first[0] + y * self.step[0]) * self.size[1] + self.first[1] + x * self.step[1]
    }
}

/// Buffers that a task uses again.
#[derive(Default)]
pub(super) struct Scratch {
    panels: Vec<f32>,
    /// A panel before it is rounded.
    single: Vec<f32>,
    runs: Vec<Vec<Run>>,
}

/// Weights as rows of the left factor.
pub(super) struct Weights<'a> {
    cells: Cow<'a, [f32]>,
    kernel: Kernel,
}

impl<'a> Weights<'a> {
    /// Takes rows of `columns` values, in the precision that holds here.
    pub(super) fn new(values: Cow<'a, [f32]>, columns: usize) -> Weights<'a> {
        let kernel = Kernel::current();
        let cells = if kernel.pairs == 1 { values } else { paired_rows(&values, columns).into() };
        Weights { cells, kernel }
    }

    /// Borrows a row of `columns` values that were taken in single precision.
    pub(super) fn row(&self, row: usize, columns: usize) -> &[f32] {
        &self.cells[row * columns..][..columns]
    }
}

/// Writes `weights [rows, channels * taps]`, from some row on, times the patches.
pub(super) fn multiply(
    weights: &Weights,
    first_row: usize,
    rows: usize,
    patches: &Patches,
    out: &mut [f32],
    place: Place,
    scratch: &mut Scratch,
) {
    let Weights { cells: weights, kernel } = weights;
    let (width, taps, pairs) = (kernel.columns, patches.taps.len(), kernel.pairs);
    // Where cells are pairs, every part of the depth but the last has an even number of steps.
    let depth = (DEPTH / taps).next_multiple_of(pairs).clamp(pairs, patches.channels.max(pairs));
    let row_cells = (patches.channels * taps).div_ceil(pairs);
    scratch.panels.resize(COLUMNS * depth * taps, 0.0);
    scratch.single.resize(if pairs == 1 { 0 } else { depth * taps * width }, 0.0);
    scratch.runs.resize_with(COLUMNS / width, Vec::new);
    for start in (0..patches.columns()).step_by(COLUMNS) {
        let end = (start + COLUMNS).min(patches.columns());
        let count = (end - start).div_ceil(width);
        for (panel, runs) in scratch.runs[..count].iter_mut().enumerate() {
            let first = start + panel * width;
            patches.runs(first..(first + width).min(end), runs);
        }
        for channel in (0..patches.channels).step_by(depth) {
            let channels = channel..(channel + depth).min(patches.channels);
            let steps = (channels.len() * taps).div_ceil(pairs);
            let panels = scratch.panels.chunks_exact_mut(steps * width);
            for (panel, runs) in panels.zip(&scratch.runs[..count]) {
                if pairs == 1 {
                    patches.read(channels.clone(), runs, panel, width);
                } else {
                    let single = &mut scratch.single[..channels.len() * taps * width];
                    patches.read(channels.clone(), runs, single, width);
                    pair_rows(single, width, channels.len() * taps, panel, width);
                }
            }
            for first in (0..rows).step_by(kernel.rows) {
                let tile_rows = kernel.rows.min(rows - first);
                let at = |i: usize| {
                    (first_row + first + i.min(tile_rows - 1)) * row_cells + channel * taps / pairs
                };
                let left = Left { data: weights, starts: std::array::from_fn(at), step: 1 };
                for (panel, runs) in scratch.panels.chunks_exact(steps * width).zip(&scratch.runs[..count]) {
                    let right = Right { data: panel, stride: width };
                    let write = Write { rows, first, tile_rows, place, add: channel > 0 };
                    write.tile(kernel, left, right, steps, runs, out);
                }
            }
        }
    }
}

/// Where a tile goes.
struct Write {
    rows: usize,
    first: usize,
    tile_rows: usize,
    place: Place,
    add: bool,
}

impl Write {
    fn tile(&self, kernel: &Kernel, left: Left, right: Right, steps: usize, runs: &[Run], out: &mut [f32]) {
        let Write { rows, first, tile_rows, place, add } = *self;
        let pixels = place.pixels();
        let start = |run: &Run| (run.image * rows + first) * pixels + place.at(run.place);
        let columns: usize = runs.iter().map(|run| run.len).sum();
        let depth = Depth::new(steps);
        // Side by side in the output: the columns of whole rows, or of a part of one.
        let neighbours = runs.windows(2).all(|two| start(&two[0]) + two[0].len == start(&two[1]));
        if neighbours && place.step[1] == 1 {
            let data = &mut out[start(&runs[0])..];
            kernel.run(left, right, depth, Target { data, stride: pixels, rows: tile_rows, columns, add });
            return;
        }
        let mut tile = [0.0f32; MOST_ROWS * MOST_COLUMNS];
        let stride = kernel.columns;
        let target = Target { data: &mut tile, stride, rows: kernel.rows, columns: stride, add: false };
        kernel.run(left, right, depth, target);
        for (row, tile) in tile.chunks_exact(stride).take(tile_rows).enumerate() {
            let mut rest = tile;
            for run in runs {
                let (now, later) = rest.split_at(run.len);
                let out = out[start(run) + row * pixels..].iter_mut().step_by(place.step[1]);
                if add {
                    out.zip(now).for_each(|(out, value)| *out += value);
                } else {
                    out.zip(now).for_each(|(out, value)| *out = *value);
                }
                rest = later;
            }
        }
    }
}
