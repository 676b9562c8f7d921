//! Images with zeros round them, laid out so that a tap of the kernel reads neighbouring values.
//!
//! With a stride of `s` the padded image is split into its `s²` phases, each a plane of every `s`-th row and column: what
//! a tap sees at neighbouring outputs then lies side by side, whatever the stride.

use crate::isa::kernel;

/// How the images of a buffer are laid out: `[image][channel][phase][row][column]`.
#[derive(Clone, Copy, Debug)]
pub(super) struct Layout {
    /// Height and width of the image itself.
    image: [usize; 2],
    /// Zeros before the image.
    before: [usize; 2],
    /// Phases.
    split: [usize; 2],
    /// Height and width of a phase.
    plane: [usize; 2],
}

impl Layout {
    /// Lays out images in a padded size.
    pub(super) fn new(image: [usize; 2], before: [usize; 2], size: [usize; 2], split: [usize; 2]) -> Layout {
        Layout { image, before, split, plane: std::array::from_fn(|d| size[d].div_ceil(split[d])) }
    }

    /// Values of a channel.
    pub(super) fn channel(&self) -> usize {
        self.split[0] * self.split[1] * self.plane[0] * self.plane[1]
    }

    /// Values of a row of a phase.
    pub(super) fn row(&self) -> usize {
        self.plane[1]
    }

    /// Where a place of the padded image lies in its channel.
    pub(super) fn at(&self, y: usize, x: usize) -> usize {
        let phase = y % self.split[0] * self.split[1] + x % self.split[1];
        (phase * self.plane[0] + y / self.split[0]) * self.plane[1] + x / self.split[1]
    }

    /// Writes channels with their zeros, one after the other, to a buffer.
    pub(super) fn fill(&self, channels: &[f32], buffer: &mut [f32]) {
        let [height, width] = self.image;
        for (channel, out) in
            channels.chunks_exact(height * width).zip(buffer.chunks_exact_mut(self.channel()))
        {
            fill_channel(self, channel, out);
        }
    }

    /// Copies rows of a length that the compiler knows, twice `HALF`, to the phases of every other row and column, and clears
    /// what is round them.
    #[inline(always)]
    fn split_rows<const WIDTH: usize, const HALF: usize>(&self, channel: &[f32], out: &mut [f32]) {
        out.fill(0.0);
        for (y, row) in channel.as_chunks::<WIDTH>().0.iter().enumerate() {
            for first in 0..2 {
                let mut phase = [0.0; HALF];
                for (x, value) in phase.iter_mut().enumerate() {
                    *value = row[2 * x + first];
                }
                let start = self.at(y + self.before[0], first + self.before[1]);
                *out[start..].first_chunk_mut().expect("a row lies in its padded channel") = phase;
            }
        }
    }

    /// Copies rows of a length that the compiler knows, of one phase, and clears what is round them.
    #[inline(always)]
    fn fill_rows<const WIDTH: usize>(&self, channel: &[f32], out: &mut [f32]) {
        let start = self.at(self.before[0], self.before[1]);
        let (above, mut rest) = out.split_at_mut(start);
        above.fill(0.0);
        let between = self.row() - WIDTH;
        for row in channel.as_chunks::<WIDTH>().0 {
            let (now, later) = rest.split_first_chunk_mut().expect("a row lies in its padded channel");
            *now = *row;
            let (beside, later) = later.split_at_mut(between.min(later.len()));
            beside.iter_mut().for_each(|value| *value = 0.0);
            rest = later;
        }
        rest.fill(0.0);
    }
}

kernel! {
    /// Writes a channel with its zeros; where they go first, they are still in the cache when the image is written over them.
    fn fill_channel<A>(layout: &Layout, channel: &[f32], out: &mut [f32]) {
        match (layout.split, layout.image[1]) {
            ([1, 1], 32) => layout.fill_rows::<32>(channel, out),
            ([1, 1], 16) => layout.fill_rows::<16>(channel, out),
            ([1, 1], 8) => layout.fill_rows::<8>(channel, out),
            ([1, 1], 4) => layout.fill_rows::<4>(channel, out),
            ([2, 2], 32) => layout.split_rows::<32, 16>(channel, out),
            ([2, 2], 16) => layout.split_rows::<16, 8>(channel, out),
            ([2, 2], 8) => layout.split_rows::<8, 4>(channel, out),
            ([2, 2], 4) => layout.split_rows::<4, 2>(channel, out),
            ([_, step], width) => {
                out.fill(0.0);
                for (y, row) in channel.chunks_exact(width).enumerate() {
                    for phase in 0..step.min(width) {
                        let start = layout.at(y + layout.before[0], phase + layout.before[1]);
                        every(&row[phase..], step, &mut out[start..]);
                    }
                }
            }
        }
    }
}

/// Copies every `step`-th value.
#[inline(always)]
fn every(row: &[f32], step: usize, out: &mut [f32]) {
    match step {
        1 => out[..row.len()].copy_from_slice(row),
        2 => {
            let (pairs, rest) = row.as_chunks::<2>();
            for (out, pair) in out.iter_mut().zip(pairs) {
                *out = pair[0];
            }
            if let [last] = rest {
                out[pairs.len()] = *last;
            }
        }
        _ => {
            for (out, value) in out.iter_mut().zip(row.iter().step_by(step)) {
                *out = *value;
            }
        }
    }
}

/// A matrix that is never whole: row `(channel, tap)` and column `(image, y, x)` hold what a tap sees at a place of a grid.
#[derive(Clone, Copy, Debug)]
pub(super) struct Patches<'a> {
    /// Images in a [`Layout`].
    pub(super) buffer: &'a [f32],
    /// How.
    pub(super) layout: Layout,
    /// Number of images.
    pub(super) images: usize,
    /// Channels of each.
    pub(super) channels: usize,
    /// Where each tap lies in its channel at the first place of the grid.
    pub(super) taps: &'a [usize],
    /// Height and width of the grid.
    pub(super) grid: [usize; 2],
}

/// Neighbouring columns of [`Patches`] in one row of the grid.
#[derive(Clone, Copy, Debug)]
pub(super) struct Run {
    /// Where their values start in the first channel, without the tap.
    pub(super) start: usize,
    /// How many there are.
    pub(super) len: usize,
    /// The image.
    pub(super) image: usize,
    /// The first one's place in the grid.
    pub(super) place: [usize; 2],
}

impl Patches<'_> {
    /// Number of columns.
    pub(super) fn columns(&self) -> usize {
        self.images * self.grid[0] * self.grid[1]
    }

    /// Cuts columns at the ends of the grid's rows.
    pub(super) fn runs(&self, columns: std::ops::Range<usize>, runs: &mut Vec<Run>) {
        let [height, width] = self.grid;
        let mut at = columns.start;
        runs.clear();
        while at < columns.end {
            let (image, pixel) = (at / (height * width), at % (height * width));
            let place = [pixel / width, pixel % width];
            let len = (width - place[1]).min(columns.end - at);
            let start =
                image * self.channels * self.layout.channel() + place[0] * self.layout.row() + place[1];
            runs.push(Run { start, len, image, place });
            at += len;
        }
    }

    /// Copies columns of some channels into a panel, rows of `width` values.
    pub(super) fn read(&self, channels: std::ops::Range<usize>, runs: &[Run], out: &mut [f32], width: usize) {
        let rows = channels
            .flat_map(|channel| self.taps.iter().map(move |tap| channel * self.layout.channel() + tap));
        let len = runs.first().map_or(0, |run| run.len);
        if len * runs.len() == width && runs.iter().all(|run| run.len == len) {
            match len {
                32 => return copy::<32>(self.buffer, rows, runs, out),
                16 => return copy::<16>(self.buffer, rows, runs, out),
                8 => return copy::<8>(self.buffer, rows, runs, out),
                4 => return copy::<4>(self.buffer, rows, runs, out),
                _ => {}
            }
        }
        for (out, row) in out.chunks_exact_mut(width).zip(rows) {
            let mut rest = &mut *out;
            for run in runs {
                let (now, later) = rest.split_at_mut(run.len);
                now.copy_from_slice(&self.buffer[row + run.start..][..run.len]);
                rest = later;
            }
            rest.fill(0.0);
        }
    }
}

/// Copies runs of a length that the compiler knows.
fn copy<const LEN: usize>(buffer: &[f32], rows: impl Iterator<Item = usize>, runs: &[Run], out: &mut [f32]) {
    for (out, row) in out.chunks_exact_mut(LEN * runs.len()).zip(rows) {
        for (out, run) in out.as_chunks_mut::<LEN>().0.iter_mut().zip(runs) {
            *out = *buffer[row + run.start..].first_chunk().expect("every tap lies in the padded image");
        }
    }
}
