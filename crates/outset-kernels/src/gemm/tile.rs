//! A tile of a matrix product, held in registers: the innermost loop of every product and convolution.
//!
//! A tile is [`Kernel::rows`] by [`Kernel::columns`] values of the output. Each step along the depth multiplies one
//! value of each row with a run of neighbouring columns. The left factor is read in place, wherever its rows start;
//! the right one from a panel, whose steps are rows of exactly that many columns. [`Kernel::run`] checks every extent once
//! and the loops, here, in `x86` and in [`super::amx`], then go without checks. What else of the products is `unsafe` is the rounding to
//! bf16 in [`super::pairs`] and [`super::thirds`], on arrays of a vector's length.

#[cfg(target_arch = "x86_64")]
mod x86;

#[cfg(all(target_arch = "x86_64", target_os = "linux"))]
use super::amx;
use super::{extent, pairs, thirds};
use crate::{
    isa::{self, Level},
    precision::{self, Precision},
};

/// Most rows of a tile in vector registers.
pub(crate) const MOST_ROWS: usize = 8;
/// Most columns of a tile in vector registers.
const MOST_COLUMNS: usize = 32;

/// Rows from which on factors become cells of bf16, where that is the precision.
const FEWEST_ROWS_OF_CELLS: usize = 32;

/// Rows and columns of a right factor from which on values are taken apart: tiles should have something in them.
const FEWEST_TO_TAKE_APART: usize = 32;

/// Multiplications from which on values are taken apart.
const FEWEST_PRODUCTS_OF_PARTS: usize = 1 << 23;

/// Rows of the left factor, read in place.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Left<'a> {
    /// Where the rows live.
    pub(crate) data: &'a [f32],
    /// Where each row starts.
    pub(crate) starts: Starts,
    /// Distance of neighbouring values of a row.
    pub(crate) step: usize,
}

/// Where the rows of a tile start.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Starts {
    /// The first, and each so far from the one before it. Where the factor is filled up ([`Kernel::filled`]) rows of a
    /// whole tile can be read.
    Even {
        /// The first row.
        first: usize,
        /// Distance of neighbouring rows.
        apart: usize,
    },
    /// Anywhere, for loops in vector registers; entries beyond the tile's rows repeat one that is valid.
    Each([usize; MOST_ROWS]),
}

/// Columns of the right factor.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Right<'a> {
    /// Rows of [`Kernel::columns`] values.
    pub(crate) data: &'a [f32],
    /// Distance of the rows.
    pub(crate) stride: usize,
}

/// How far a product reaches: `blocks` blocks of `runs` runs of `len` steps.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Depth {
    /// Steps of a run.
    pub(crate) len: usize,
    /// Number of runs.
    pub(crate) runs: usize,
    /// Distance of the starts of two runs in the left factor; the right one goes on without a gap.
    pub(crate) jump: usize,
    /// Number of blocks.
    pub(crate) blocks: usize,
    /// Distance of the starts of two blocks in the left factor.
    pub(crate) leap: usize,
}

impl Depth {
    /// One run.
    pub(crate) fn new(len: usize) -> Depth {
        Depth { len, runs: 1, jump: 0, blocks: 1, leap: 0 }
    }

    /// Number of steps; the largest number where it is larger.
    fn steps(&self) -> usize {
        self.len.saturating_mul(self.runs).saturating_mul(self.blocks)
    }
}

/// The part of a tile that exists, and where it goes.
#[derive(Debug)]
pub(crate) struct Target<'a> {
    /// Starts with the first value of the tile.
    pub(crate) data: &'a mut [f32],
    /// Distance of the rows.
    pub(crate) stride: usize,
    /// Rows that exist.
    pub(crate) rows: usize,
    /// Columns that exist.
    pub(crate) columns: usize,
    /// Whether the product is added to what is there.
    pub(crate) add: bool,
}

type Loop = unsafe fn(
    depth: Depth,
    rows: [*const f32; MOST_ROWS],
    step: usize,
    b: *const f32,
    b_stride: usize,
    out: *mut f32,
    out_stride: usize,
    add: bool,
);

/// How a loop holds its tile.
#[derive(Clone, Copy)]
enum Body {
    /// In vector registers.
    Vectors(Loop),
    /// In tile registers.
    #[cfg(all(target_arch = "x86_64", target_os = "linux"))]
    Tiles(unsafe fn(amx::Job)),
}

/// The loop of an instruction set.
#[derive(Clone, Copy)]
pub(crate) struct Kernel {
    /// Rows of a tile.
    pub(crate) rows: usize,
    /// Columns of a tile.
    pub(crate) columns: usize,
    /// Steps that are summed up before the sum is added to the output: without fused multiply-add they are fewer, as
    /// every one rounds twice.
    pub(crate) depth: usize,
    /// Steps in a cell: 1, or 2 where factors are pairs of bf16.
    pub(crate) pairs: usize,
    /// Parts that each value is the sum of, each a bf16 where there are several.
    pub(crate) parts: usize,
    /// Cells of one part that rows of both factors are filled up to a multiple of, with zeros.
    pub(crate) block: usize,
    body: Body,
    /// A loop of fewer rows and the same columns, and how many rows.
    fewer: Option<(usize, Loop)>,
}

impl Kernel {
    /// Returns the loop for the precision that holds here, for a product of so many rows, steps and columns.
    pub(crate) fn for_product(rows: usize, inner: usize, columns: usize) -> Kernel {
        // What becomes of the factors is not worth it for few.
        let kernel = if rows < FEWEST_ROWS_OF_CELLS {
            Kernel::of_level()
        } else if rows * inner * columns < FEWEST_PRODUCTS_OF_PARTS {
            Kernel::without_parts()
        } else {
            Kernel::for_right(inner, columns)
        };
        kernel.for_rows(rows)
    }

    /// Returns the loop of fewer rows where this one would compute too many beyond so many.
    pub(crate) fn for_rows(self, rows: usize) -> Kernel {
        match self.fewer {
            // Small tiles take longer for a row: they read as many columns.
            Some((fewer, body))
                if 20 * rows.next_multiple_of(fewer) < 19 * rows.next_multiple_of(self.rows) =>
            {
                Kernel { rows: fewer, body: Body::Vectors(body), fewer: None, ..self }
            }
            _ => self,
        }
    }

    /// Returns the loop for the precision that holds here, for a right factor that many rows are multiplied with.
    pub(crate) fn for_right(rows: usize, columns: usize) -> Kernel {
        #[cfg(all(target_arch = "x86_64", target_os = "linux"))]
        if precision::current() == Precision::Split
            && precision::has_split()
            && rows.min(columns) >= FEWEST_TO_TAKE_APART
        {
            return Kernel { parts: thirds::PARTS, depth: 512, ..Kernel::of_tiles(amx::thirds) };
        }
        Kernel::without_parts()
    }

    /// Returns the loop for the precision that holds here, where values are not taken apart.
    pub(crate) fn without_parts() -> Kernel {
        #[cfg(target_arch = "x86_64")]
        if precision::current() == Precision::Bf16 && precision::has_bf16() {
            #[cfg(target_os = "linux")]
            if isa::level() >= Level::Amx {
                return Kernel::of_tiles(amx::pairs);
            }
            return Kernel { depth: 1024, pairs: 2, ..Kernel::of_vectors(8, 32, x86::bf16) };
        }
        // Without such instructions rounding gains nothing; tests round all the same, so that they cover it on every machine.
        #[cfg(test)]
        if precision::current() == Precision::Bf16 {
            return Kernel { depth: 1024, pairs: 2, ..Kernel::of_vectors(4, 8, plain::<true>) };
        }
        Kernel::of_level()
    }

    /// Returns the loop for single precision.
    pub(crate) fn of_level() -> Kernel {
        let level = isa::level();
        #[cfg(target_arch = "x86_64")]
        {
            if level >= Level::Avx512 {
                return Kernel::of_vectors(8, 32, x86::avx512);
            }
            if level >= Level::Avx2 {
                return Kernel {
                    fewer: Some((4, x86::avx2_of_four)),
                    ..Kernel::of_vectors(6, 16, x86::avx2)
                };
            }
        }
        let _: Level = level;
        Kernel { depth: 32, ..Kernel::of_vectors(4, 8, plain::<false>) }
    }

    const fn of_vectors(rows: usize, columns: usize, body: Loop) -> Kernel {
        let body = Body::Vectors(body);
        Kernel { rows, columns, depth: 256, pairs: 1, parts: 1, block: 1, body, fewer: None }
    }

    #[cfg(all(target_arch = "x86_64", target_os = "linux"))]
    const fn of_tiles(body: unsafe fn(amx::Job)) -> Kernel {
        let (rows, columns, block) = (amx::SIDE, amx::SIDE, amx::CELLS);
        Kernel { rows, columns, depth: 1024, pairs: 2, parts: 1, block, body: Body::Tiles(body), fewer: None }
    }

    /// Number of cells of some steps of the depth.
    pub(crate) fn cells(&self, steps: usize) -> usize {
        steps.div_ceil(self.pairs).next_multiple_of(self.block) * self.parts
    }

    /// Brings neighbouring values to cells, where these are of bf16; cells beyond the values are zeros.
    pub(super) fn cells_of_values(&self, values: &[f32], out: &mut [f32]) {
        if self.parts > 1 {
            thirds::values(values, out);
        } else {
            pairs::pair_values(values, out);
        }
    }

    /// Brings neighbouring rows of [`Kernel::columns`] values, which start `stride` apart, to rows of cells, where these are of
    /// bf16; rows beyond them are zeros.
    pub(super) fn cells_of_rows(&self, source: &[f32], stride: usize, rows: usize, out: &mut [f32]) {
        if self.parts == 1 {
            pairs::pair_rows(source, stride, rows, out, self.columns);
        } else {
            thirds::rows(source, stride, rows, out, self.columns);
        }
    }

    /// Distance of the rows of a left factor of cells, which would throw each other out of the first-level cache if it were a
    /// multiple of a power of two.
    pub(super) fn row(&self, steps: usize) -> usize {
        self.cells(steps) + if self.block > 1 { self.block } else { 0 }
    }

    /// Number of rows that a left factor of cells is filled up to, so that a tile can be read whole wherever it starts.
    pub(crate) fn filled(&self, rows: usize) -> usize {
        if self.block == 1 { rows } else { rows + self.rows - 1 }
    }

    /// Computes a tile.
    ///
    /// # Panics
    /// If a factor or the target is smaller than the tile needs.
    #[inline(always)]
    pub(crate) fn run(&self, left: Left, right: Right, depth: Depth, target: Target) {
        let Target { data, stride, rows, columns, add: _ } = &target;
        assert!((1..=self.rows).contains(rows) && (1..=self.columns).contains(columns));
        assert!(extent(*rows, *columns, *stride) <= data.len(), "the tile reaches past its output");
        let of_panel = extent(depth.steps(), self.columns, right.stride);
        assert!(of_panel <= right.data.len(), "the panel is too short");
        match self.body {
            Body::Vectors(body) => self.run_vectors(body, left, right, depth, target),
            #[cfg(all(target_arch = "x86_64", target_os = "linux"))]
            Body::Tiles(body) => self.run_tiles(body, left, right, depth, target),
        }
    }

    #[inline(always)]
    fn run_vectors(&self, body: Loop, left: Left, right: Right, depth: Depth, target: Target) {
        let (starts, furthest) = match left.starts {
            Starts::Even { first, apart } => {
                // The furthest is checked below, so that none before it wraps.
                let start = |row: usize| row.min(target.rows - 1).wrapping_mul(apart).wrapping_add(first);
                let furthest = (target.rows - 1).saturating_mul(apart).saturating_add(first);
                (std::array::from_fn(start), furthest)
            }
            Starts::Each(starts) => (starts, starts.into_iter().max().expect("a tile has rows")),
        };
        if depth.steps() > 0 {
            let far = |count: usize, apart: usize| (count - 1).saturating_mul(apart);
            let last = furthest
                .saturating_add(far(depth.blocks, depth.leap))
                .saturating_add(far(depth.runs, depth.jump))
                .saturating_add(far(depth.len, left.step));
            assert!(last < left.data.len(), "the left factor is too short");
        }
        let a = starts.map(|start| left.data.as_ptr().wrapping_add(start));
        let b = right.data.as_ptr();
        self.write::<{ MOST_ROWS * MOST_COLUMNS }>(target, |out, stride, add| {
            // SAFETY: the level in use has the instructions of its loop, and every value that the loop touches lies in
            // the slices by the assertions here, in `run` and in `write`.
            unsafe { body(depth, a, left.step, b, right.stride, out.as_mut_ptr(), stride, add) };
        });
    }

    #[cfg(all(target_arch = "x86_64", target_os = "linux"))]
    fn run_tiles(&self, body: unsafe fn(amx::Job), left: Left, right: Right, depth: Depth, target: Target) {
        let Starts::Even { first, apart } = left.starts else {
            panic!("rows of tiles lie at even distances");
        };
        assert!(depth.runs == 1 && depth.blocks == 1 && left.step == 1, "rows of tiles have no gaps");
        assert!(right.stride == self.columns, "rows of panels have no gaps");
        let cells = depth.len;
        assert!(cells.is_multiple_of(self.block * self.parts), "rows of tiles are filled up");
        let reach = if cells == 0 { 0 } else { extent(self.rows, cells, apart).saturating_add(first) };
        assert!(reach <= left.data.len(), "the left factor is too short");
        let a = left.data.as_ptr().wrapping_add(first);
        let b = right.data.as_ptr();
        self.write::<{ amx::SIDE * amx::SIDE }>(target, |out, out_stride, add| {
            let job = amx::Job { cells, a, apart, b, out: out.as_mut_ptr(), out_stride, add };
            // SAFETY: the level in use has the instructions, and every value that the loop touches lies in the slices by
            // the assertions here, in `run` and in `write`.
            unsafe { body(job) };
        });
    }

    /// Lets `tile` write a whole tile to the target with its stride, adding if told so; by way of a buffer of `LEN`
    /// values where the target is only a part of a tile.
    #[inline(always)]
    fn write<const LEN: usize>(&self, target: Target, tile: impl FnOnce(&mut [f32], usize, bool)) {
        let Target { data, stride, rows, columns, add } = target;
        if rows == self.rows && columns == self.columns {
            tile(data, stride, add);
            return;
        }
        let mut buffer = [0.0f32; LEN];
        assert!(self.rows * self.columns <= LEN, "the buffer is smaller than a tile");
        tile(&mut buffer, self.columns, false);
        for (out, row) in data.chunks_mut(stride.max(columns)).zip(buffer.chunks(self.columns)).take(rows) {
            for (out, value) in out.iter_mut().zip(&row[..columns]) {
                *out = if add { *out + value } else { *value };
            }
        }
    }
}

/// Adds the products of two pairs of bf16.
#[inline(always)]
fn add_products_of_pair(a: f32, b: f32, sum: f32) -> f32 {
    let halves = |cell: f32| [cell.to_bits() << 16, cell.to_bits() & 0xffff_0000].map(f32::from_bits);
    let ([a_early, a_late], [b_early, b_late]) = (halves(a), halves(b));
    sum + a_early * b_early + a_late * b_late
}

/// The loop for the target's baseline: the compiler finds its vectors. With `PAIRS` each cell is a pair of bf16.
///
/// # Safety
/// Every value addressed lies in its slice.
#[allow(clippy::too_many_arguments)]
unsafe fn plain<const PAIRS: bool>(
    depth: Depth,
    rows: [*const f32; MOST_ROWS],
    step: usize,
    b: *const f32,
    b_stride: usize,
    out: *mut f32,
    out_stride: usize,
    add: bool,
) {
    use isa::{Arithmetic as _, Baseline};
    let mut sums = [[0.0f32; 8]; 4];
    let mut b = b;
    for (block, run) in (0..depth.blocks).flat_map(|block| (0..depth.runs).map(move |run| (block, run))) {
        let start = block * depth.leap + run * depth.jump;
        for p in 0..depth.len {
            // SAFETY: by this function's contract.
            let b_row = unsafe { b.cast::<[f32; 8]>().read_unaligned() };
            for (row, sums) in rows.iter().zip(&mut sums) {
                // SAFETY: as above.
                let a = unsafe { *row.add(start + p * step) };
                for (sum, b) in sums.iter_mut().zip(b_row) {
                    *sum =
                        if PAIRS { add_products_of_pair(a, b, *sum) } else { Baseline::mul_add(a, b, *sum) };
                }
            }
            b = b.wrapping_add(b_stride);
        }
    }
    for (i, sums) in sums.iter().enumerate() {
        for (j, sum) in sums.iter().enumerate() {
            // SAFETY: as above.
            unsafe {
                let out = out.add(i * out_stride + j);
                *out = if add { *out + sum } else { *sum };
            }
        }
    }
}

#[cfg(test)]
mod tests;
