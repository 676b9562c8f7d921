//! Products of weights with patches.

use super::padded::{Layout, Patches, Run};
use crate::{
    buf::uninit,
    gemm::{
        pair_rows,
        tile::{Depth, Kernel, Left, Right, Starts, Target},
    },
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
    runs: Vec<Vec<Run>>,
    /// A tile whose columns lie apart in the output.
    tile: Vec<f32>,
}

/// Weights as rows of the left factor. Where cells are pairs of bf16 they are those of neighbouring channels.
pub(super) struct Weights<'a> {
    cells: Cow<'a, [f32]>,
    /// Cells of a row.
    columns: usize,
    kernel: Kernel,
}

impl<'a> Weights<'a> {
    /// Takes rows `[channels, taps]`, in the precision that holds here.
    pub(super) fn new(values: Cow<'a, [f32]>, channels: usize, taps: usize) -> Weights<'a> {
        let kernel = Kernel::without_parts();
        if kernel.pairs == 1 {
            return Weights { cells: values, columns: channels * taps, kernel };
        }
        let columns = (channels.div_ceil(kernel.pairs) * taps).next_multiple_of(kernel.block);
        let rows = values.len().checked_div(channels * taps).unwrap_or(0);
        let mut cells = uninit(kernel.filled(rows) * columns);
        cells[rows * columns..].fill(0.0);
        for (cells, row) in
            cells.chunks_exact_mut(columns.max(1)).zip(values.chunks_exact((channels * taps).max(1)))
        {
            let whole = channels.div_ceil(kernel.pairs) * taps;
            pair_rows(row, taps, channels, &mut cells[..whole], taps);
            cells[whole..].fill(0.0);
        }
        Weights { cells: cells.into(), columns, kernel }
    }

    /// Borrows a row of one channel that was taken in single precision.
    pub(super) fn row(&self, row: usize) -> &[f32] {
        &self.cells[row * self.columns..][..self.columns]
    }

    /// Channels of the patches that are multiplied with rows of `channels` channels.
    pub(super) fn cells(&self, channels: usize) -> usize {
        channels.div_ceil(self.kernel.pairs)
    }

    /// Rounds the channels of images where cells are pairs: `[image][group][cells of a group][channel]`.
    pub(super) fn round<'b>(
        &self,
        images: &'b [f32],
        layout: &Layout,
        group: usize,
        out: &'b mut Vec<f32>,
    ) -> &'b [f32] {
        if self.kernel.pairs == 1 {
            return images;
        }
        let (channel, cells) = (layout.channel(), self.cells(group) * layout.channel());
        let groups = images.len().checked_div(group * channel).unwrap_or(0);
        make_room(out, groups * cells);
        for (out, group_channels) in
            out.chunks_exact_mut(cells.max(1)).zip(images.chunks_exact((group * channel).max(1)))
        {
            pair_rows(group_channels, channel, group, out, channel);
        }
        out
    }
}

/// Makes a buffer hold at least `len` values, whatever they are.
pub(super) fn make_room(buffer: &mut Vec<f32>, len: usize) {
    if buffer.len() < len {
        *buffer = uninit(len);
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
    let Weights { cells: weights, columns: row_cells, kernel } = weights;
    let kernel = &kernel.for_rows(rows);
    let (width, taps, block) = (kernel.columns, patches.taps.len(), kernel.block);
    // Every part of the depth but the last fills whole blocks.
    let depth = (DEPTH / taps / block * block).clamp(block, patches.channels.max(1).next_multiple_of(block));
    make_room(&mut scratch.panels, COLUMNS * depth * taps);
    make_room(&mut scratch.tile, kernel.rows * width);
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
            let steps = (channels.len() * taps).next_multiple_of(block);
            let panels = scratch.panels.chunks_exact_mut(steps * width);
            for (panel, runs) in panels.zip(&scratch.runs[..count]) {
                let (panel, beyond) = panel.split_at_mut(channels.len() * taps * width);
                patches.read(channels.clone(), runs, panel, width);
                beyond.fill(0.0);
            }
            for first in (0..rows).step_by(kernel.rows) {
                let tile_rows = kernel.rows.min(rows - first);
                let start = (first_row + first) * row_cells + channel * taps;
                let starts = Starts::Even { first: start, apart: *row_cells };
                let left = Left { data: weights, starts, step: 1 };
                for (panel, runs) in scratch.panels.chunks_exact(steps * width).zip(&scratch.runs[..count]) {
                    let right = Right { data: panel, stride: width };
                    let write = Write { rows, first, tile_rows, place, add: channel > 0 };
                    write.tile(kernel, left, right, steps, runs, out, &mut scratch.tile);
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
    #[allow(clippy::too_many_arguments)]
    fn tile(
        &self,
        kernel: &Kernel,
        left: Left,
        right: Right,
        steps: usize,
        runs: &[Run],
        out: &mut [f32],
        tile: &mut [f32],
    ) {
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
        let stride = kernel.columns;
        let target = Target { data: &mut *tile, stride, rows: tile_rows, columns: stride, add: false };
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
