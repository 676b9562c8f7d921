//! A tile of a product of bf16, or of sums of three of them, in the tile registers of Intel's AMX.
//!
//! Two by two accumulators of 16 by 16 sums; a step multiplies 16 cells, that is 32 values, of each row and column
//! (Intel 64 and IA-32 Architectures Software Developer's Manual, volume 1, chapter 18).

use std::{
    arch::{
        asm,
        x86_64::{_MM_HINT_ET0, _mm_prefetch},
    },
    cell::Cell,
};

/// Rows and columns of a tile.
pub(super) const SIDE: usize = 32;

/// Cells, pairs of bf16, that are multiplied at a time.
pub(super) const CELLS: usize = 16;

/// Rows of a tile register.
const ROWS: u8 = 16;

/// Bytes of a row of a tile register.
const ROW_BYTES: u16 = 64;

/// Shapes of the tile registers, as `ldtilecfg` reads them.
#[repr(C, align(64))]
struct Shapes {
    palette: u8,
    start_row: u8,
    reserved: [u8; 14],
    /// Bytes of a row.
    columns: [u16; 16],
    rows: [u8; 16],
}

static SHAPES: Shapes = {
    let (mut columns, mut rows) = ([0; 16], [0; 16]);
    let mut register = 0;
    while register < 8 {
        columns[register] = ROW_BYTES;
        rows[register] = ROWS;
        register += 1;
    }
    Shapes { palette: 1, start_row: 0, reserved: [0; 14], columns, rows }
};

thread_local! {
    /// Whether this thread's tile registers have their shapes; nothing else in the process uses them.
    static SHAPED: Cell<bool> = const { Cell::new(false) };
}

/// What is multiplied, and where it goes.
#[derive(Clone, Copy)]
pub(super) struct Job {
    /// Cells of a row.
    pub(super) cells: usize,
    /// The first of [`SIDE`] rows of the left factor, and the distance of the rows.
    pub(super) a: *const f32,
    pub(super) apart: usize,
    /// The first of as many rows of [`SIDE`] cells as a row of the left factor has cells, one after the other.
    pub(super) b: *const f32,
    /// The first of [`SIDE`] rows of as many values, and the distance of the rows.
    pub(super) out: *mut f32,
    pub(super) out_stride: usize,
    /// Whether the product is added to what is there.
    pub(super) add: bool,
}

/// Gives the tile registers of this thread their shapes, and has the output on its way while the sums are made.
///
/// # Safety
/// The level in use is [`Amx`](crate::isa::Level::Amx).
#[target_feature(enable = "sse")]
unsafe fn begin(job: Job) {
    if !SHAPED.get() {
        // SAFETY: the machine has the instruction by this function's contract and reads the 64 bytes of the static.
        unsafe {
            asm!("ldtilecfg [{}]", in(reg) &raw const SHAPES, options(nostack, readonly, preserves_flags));
        }
        SHAPED.set(true);
    }
    for row in 0..SIDE {
        let row = job.out.wrapping_add(row * job.out_stride);
        _mm_prefetch::<_MM_HINT_ET0>(row.cast());
        _mm_prefetch::<_MM_HINT_ET0>(row.wrapping_add(SIDE / 2).cast());
    }
}

/// The products of two rows and two columns of registers.
macro_rules! products {
    () => {
        "tdpbf16ps tmm0, tmm4, tmm6
         tdpbf16ps tmm1, tmm4, tmm7
         tdpbf16ps tmm2, tmm5, tmm6
         tdpbf16ps tmm3, tmm5, tmm7"
    };
}

/// Loads a part of the left factor: cells from so many bytes on.
macro_rules! left {
    ($bytes:literal) => {
        concat!(
            "tileloadd tmm4, [{a} + {apart} + ",
            $bytes,
            "]\n",
            "tileloadd tmm5, [{a_below} + {apart} + ",
            $bytes,
            "]"
        )
    };
}

/// Loads a part of the right factor: rows from so many bytes on.
macro_rules! right {
    ($bytes:literal) => {
        concat!(
            "tileloadd tmm6, [{b} + {b_stride} + ",
            $bytes,
            "]\n",
            "tileloadd tmm7, [{b} + {b_stride} + ",
            $bytes,
            " + 64]"
        )
    };
}

/// Multiplies factors in so many parts and writes or adds; what is done for a block of the depth follows.
macro_rules! multiply {
    ($job:expr, $parts:literal, $($block:expr),* $(,)?) => {
        let Job { cells, a, apart, b, out, out_stride, add } = $job;
        let bytes = |cells: usize| cells * size_of::<f32>();
        asm!(
            "test {add:l}, {add:l}",
            "jnz 2f",
            "tilezero tmm0",
            "tilezero tmm1",
            "tilezero tmm2",
            "tilezero tmm3",
            "jmp 3f",
            "2:",
            "tileloadd tmm0, [{top} + {out_stride}]",
            "tileloadd tmm1, [{top} + {out_stride} + 64]",
            "tileloadd tmm2, [{below} + {out_stride}]",
            "tileloadd tmm3, [{below} + {out_stride} + 64]",
            "3:",
            "test {blocks}, {blocks}",
            "jz 5f",
            "4:",
            $($block,)*
            concat!("add {a}, 64 * ", $parts),
            concat!("add {a_below}, 64 * ", $parts),
            concat!("add {b}, 2048 * ", $parts),
            "dec {blocks}",
            "jnz 4b",
            "5:",
            "tilestored [{top} + {out_stride}], tmm0",
            "tilestored [{top} + {out_stride} + 64], tmm1",
            "tilestored [{below} + {out_stride}], tmm2",
            "tilestored [{below} + {out_stride} + 64], tmm3",
            add = in(reg) u64::from(add),
            top = in(reg) out,
            below = in(reg) out.wrapping_add(out_stride * usize::from(ROWS)),
            out_stride = in(reg) bytes(out_stride),
            blocks = inout(reg) cells / ($parts * CELLS) => _,
            a = inout(reg) a => _,
            a_below = inout(reg) a.wrapping_add(apart * usize::from(ROWS)) => _,
            apart = in(reg) bytes(apart),
            b = inout(reg) b => _,
            b_stride = in(reg) bytes(SIDE),
            out("tmm0") _, out("tmm1") _, out("tmm2") _, out("tmm3") _,
            out("tmm4") _, out("tmm5") _, out("tmm6") _, out("tmm7") _,
            options(nostack),
        );
    };
}

/// Multiplies factors of bf16.
///
/// # Safety
/// The level in use is [`Amx`](crate::isa::Level::Amx), the cells are a multiple of [`CELLS`], and every value addressed lies
/// in its slice.
#[target_feature(enable = "sse")]
pub(super) unsafe fn pairs(job: Job) {
    // SAFETY: reads and writes only what lies in the slices by this function's contract; no tile register is in use by
    // the compiler.
    unsafe {
        begin(job);
        multiply!(job, 1, left!(0), right!(0), products!());
    }
}

/// Multiplies factors in three parts ([`thirds`](super::thirds)): all products but the three smallest, and small ones first.
///
/// # Safety
/// The level in use is [`Amx`](crate::isa::Level::Amx), the cells are a multiple of three times [`CELLS`], and every value
/// addressed lies in its slice.
#[target_feature(enable = "sse")]
pub(super) unsafe fn thirds(job: Job) {
    // SAFETY: as in `pairs`.
    unsafe {
        begin(job);
        multiply!(
            job,
            3,
            left!(128),
            right!(0),
            products!(),
            left!(64),
            products!(),
            right!(2048),
            products!(),
            left!(0),
            products!(),
            right!(4096),
            products!(),
            right!(0),
            products!(),
        );
    }
}
