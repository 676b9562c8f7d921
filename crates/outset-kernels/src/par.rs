//! Parallel loops whose results don't depend on the number of threads.
//!
//! A loop over rows is cut into parts by the size of the work alone. Each part owns its rows of every output, and
//! what the parts return comes back in their order. The threads are those of rayon's current pool; small work stays
//! on the calling thread.

use crate::precision;
use rayon::prelude::*;
use std::ops::Range;

/// Elements in a part: some 5 to 20 microseconds of work.
const GRAIN: usize = 16_384;

/// Elements from which on other threads are asked to help: waking one takes longer than a part.
const SHARED_FROM: usize = 4 * GRAIN;

/// Most parts in a loop without partial sums.
const MOST: usize = 128;

/// Most parts in a loop whose parts each return a vector to be added up.
const MOST_PARTIALS: usize = 16;

/// A number of rows and the number of parts that they are cut into.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Cut {
    rows: usize,
    parts: usize,
    /// Whether the parts are worth other threads' while.
    shared: bool,
}

impl Cut {
    /// Cuts `rows` rows, each costing as much as touching `row_cost` elements.
    pub(crate) fn new(rows: usize, row_cost: usize) -> Cut {
        let cost = rows.saturating_mul(row_cost);
        Cut { rows, parts: (cost / GRAIN).clamp(1, MOST).min(rows), shared: cost >= SHARED_FROM }
    }

    /// Cuts a loop whose parts return partial sums.
    pub(crate) fn with_partials(rows: usize, row_cost: usize) -> Cut {
        let cut = Cut::new(rows, row_cost);
        Cut { parts: cut.parts.min(MOST_PARTIALS), ..cut }
    }

    /// Limits the number of parts.
    pub(crate) fn at_most(self, parts: usize) -> Cut {
        Cut { parts: self.parts.min(parts), ..self }
    }

    /// Cuts `rows` rows into `parts` parts.
    pub(crate) fn into(rows: usize, parts: usize) -> Cut {
        Cut { rows, parts: parts.min(rows), shared: true }
    }

    /// Makes each row a part of its own unless all of them together are small.
    pub(crate) fn tasks(rows: usize, cost: usize) -> Cut {
        let parts = if cost < GRAIN { 1 } else { rows };
        Cut { shared: cost >= SHARED_FROM, ..Cut::into(rows, parts) }
    }

    /// Returns the rows of each part.
    pub(crate) fn ranges(self) -> impl Iterator<Item = Range<usize>> {
        (0..self.parts).map(move |part| self.range(part))
    }

    fn range(self, part: usize) -> Range<usize> {
        self.rows * part / self.parts..self.rows * (part + 1) / self.parts
    }
}

/// Returns the number of rows of `width` values.
///
/// # Panics
/// If the last row is not whole.
pub(crate) fn whole_rows(len: usize, width: usize) -> usize {
    assert!(len.is_multiple_of(width), "the last row is not whole: {len} values in rows of {width}");
    len.checked_div(width).unwrap_or(0)
}

/// Something that holds rows and can be cut between two of them.
pub(crate) trait Split: Send + Sized {
    /// Returns the first `row` rows and the others.
    fn split(self, row: usize) -> (Self, Self);
}

/// Rows of a mutable slice, `width` values each; the last may be shorter.
pub(crate) struct Rows<'a, T> {
    /// The rows, one after the other.
    pub(crate) data: &'a mut [T],
    width: usize,
}

impl<'a, T> Rows<'a, T> {
    /// Takes `data` as rows of `width` values.
    pub(crate) fn new(data: &'a mut [T], width: usize) -> Self {
        Rows { data, width }
    }

    /// Counts `rows` rows as one; the last group may be smaller.
    pub(crate) fn in_groups(self, rows: usize) -> Self {
        Rows { width: self.width * rows, ..self }
    }
}

impl<T: Send> Split for Rows<'_, T> {
    fn split(self, row: usize) -> (Self, Self) {
        let (a, b) = self.data.split_at_mut((row * self.width).min(self.data.len()));
        (Rows::new(a, self.width), Rows::new(b, self.width))
    }
}

impl Split for () {
    fn split(self, _row: usize) -> (Self, Self) {
        ((), ())
    }
}

impl<A: Split, B: Split> Split for (A, B) {
    fn split(self, row: usize) -> (Self, Self) {
        let ((a0, a1), (b0, b1)) = (self.0.split(row), self.1.split(row));
        ((a0, b0), (a1, b1))
    }
}

impl<A: Split, B: Split, C: Split> Split for (A, B, C) {
    fn split(self, row: usize) -> (Self, Self) {
        let ((a0, a1), (b0, b1), (c0, c1)) = (self.0.split(row), self.1.split(row), self.2.split(row));
        ((a0, b0, c0), (a1, b1, c1))
    }
}

/// Runs `work(rows, outputs of those rows)` for each part and returns the results in order.
pub(crate) fn run<S: Split, R: Send>(
    outputs: S,
    cut: Cut,
    work: impl Fn(Range<usize>, S) -> R + Sync,
) -> Vec<R> {
    match cut.parts {
        0 => Vec::new(),
        1 => vec![work(0..cut.rows, outputs)],
        parts => {
            let mut rest = outputs;
            let mut jobs = Vec::with_capacity(parts);
            for range in cut.ranges() {
                let (mine, others) = rest.split(range.len());
                jobs.push((range, mine));
                rest = others;
            }
            #[cfg(test)]
            tests::count(cut.shared, size_of::<R>() > 0);
            if !cut.shared || rayon::current_num_threads() == 1 {
                return jobs.into_iter().map(|(range, mine)| work(range, mine)).collect();
            }
            let precision = precision::current();
            let work = |(range, mine)| precision::with(precision, || work(range, mine));
            jobs.into_par_iter().with_max_len(1).map(work).collect()
        }
    }
}

/// Adds vectors of length `len` in their order; no vector gives zeros.
pub(crate) fn add_partials(partials: Vec<Vec<f32>>, len: usize) -> Vec<f32> {
    let mut partials = partials.into_iter();
    let mut total = partials.next().unwrap_or_else(|| vec![0.0; len]);
    for partial in partials {
        for (t, p) in total.iter_mut().zip(&partial) {
            *t += p;
        }
    }
    total
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use std::cell::Cell;

    /// How many loops of several parts a thread has begun.
    #[derive(Clone, Copy)]
    pub(crate) struct Loops {
        /// Those that were shared with other threads.
        pub(crate) shared: usize,
        /// Those that stayed on the thread although their parts return something, such as sums.
        pub(crate) kept: usize,
    }

    thread_local! {
        static LOOPS: Cell<Loops> = const { Cell::new(Loops { shared: 0, kept: 0 }) };
    }

    pub(super) fn count(shared: bool, returns: bool) {
        let mut loops = LOOPS.get();
        loops.shared += usize::from(shared);
        loops.kept += usize::from(!shared && returns);
        LOOPS.set(loops);
    }

    /// What this thread has begun.
    pub(crate) fn loops() -> Loops {
        LOOPS.get()
    }

    #[test]
    fn parts_cover_the_rows_once_and_in_order() {
        for rows in [0, 1, 2, 97, 5000] {
            for row_cost in [1, 100, 40_000] {
                let mut seen = vec![0u8; rows * 3];
                let ranges = run(Rows::new(&mut seen, 3), Cut::new(rows, row_cost), |range, part| {
                    assert_eq!(part.data.len(), range.len() * 3);
                    part.data.iter_mut().for_each(|v| *v += 1);
                    range
                });
                assert!(seen.iter().all(|&v| v == 1));
                assert_eq!(ranges.into_iter().flatten().collect::<Vec<_>>(), (0..rows).collect::<Vec<_>>());
            }
        }
    }

    #[test]
    fn the_cut_ignores_the_number_of_threads() {
        let parts = |threads| {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
            pool.install(|| run((), Cut::with_partials(1000, 1000), |range, ()| range))
        };
        assert_eq!(parts(1), parts(3));
    }

    #[test]
    fn small_work_stays_on_the_calling_thread() {
        let here = std::thread::current().id();
        run((), Cut::new(100, 10), |_, ()| assert_eq!(std::thread::current().id(), here));
    }
}
