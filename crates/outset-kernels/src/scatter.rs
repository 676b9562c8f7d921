//! Rows of one output written by many threads in an order that isn't the rows'.

use crate::par::Cut;
use std::{
    marker::PhantomData,
    sync::atomic::{AtomicU8, Ordering},
};

/// Rows of a mutable slice, or parts of rows, each given out once to whoever asks for it first.
///
/// [`Rows`](crate::par::Rows) covers loops whose parts own neighbouring rows; this is for the others, such as a loop over
/// channels of an image batch.
pub(crate) struct Scatter<'a> {
    data: *mut f32,
    /// Distance of the rows.
    stride: usize,
    /// Where the parts of a row start, and where the last ends.
    cuts: Vec<usize>,
    taken: Vec<AtomicU8>,
    borrowed: PhantomData<&'a mut [f32]>,
}

// SAFETY: the only access to the data is through `take`, which gives each row to one caller.
unsafe impl Sync for Scatter<'_> {}

impl<'a> Scatter<'a> {
    /// Takes `data` as rows of `width` values.
    pub(crate) fn new(data: &'a mut [f32], width: usize) -> Self {
        let rows = data.len() / width.max(1);
        Scatter::of_parts(data, rows, width, vec![0, width])
    }

    /// Takes rows that start `stride` values apart, their first `columns` cut as a loop over units of `unit` columns is.
    ///
    /// # Panics
    /// If the columns don't lie in the rows, or the last row reaches past the end of `data`.
    pub(crate) fn of_columns(
        data: &'a mut [f32],
        [rows, columns]: [usize; 2],
        stride: usize,
        cut: Cut,
        unit: usize,
    ) -> Self {
        let starts = cut.ranges().map(|range| range.start * unit);
        Scatter::of_parts(data, rows, stride, starts.chain([columns]).collect())
    }

    fn of_parts(data: &'a mut [f32], rows: usize, stride: usize, cuts: Vec<usize>) -> Self {
        let columns = cuts[cuts.len() - 1];
        assert!(cuts.is_sorted() && columns <= stride, "parts lie in their row, one after the other");
        let extent = rows.saturating_sub(1).saturating_mul(stride).saturating_add(columns);
        assert!(rows == 0 || extent <= data.len(), "rows reach past their data");
        let taken = (0..rows * (cuts.len() - 1)).map(|_| AtomicU8::new(0)).collect();
        Scatter { data: data.as_mut_ptr(), stride, cuts, taken, borrowed: PhantomData }
    }

    /// Returns the columns from `start` to the next part's, of each row, for good.
    pub(crate) fn take_columns(&self, start: usize) -> impl Iterator<Item = &'a mut [f32]> {
        let parts = self.cuts.len() - 1;
        let part = self.cuts[..parts].partition_point(|cut| *cut < start);
        (0..self.taken.len().checked_div(parts).unwrap_or(0)).map(move |row| self.take(row * parts + part))
    }

    /// Returns a row for good, or a part of one: parts are numbered through all rows.
    ///
    /// # Panics
    /// If it has been taken before or doesn't exist.
    pub(crate) fn take(&self, part: usize) -> &'a mut [f32] {
        let before = self.taken[part].swap(1, Ordering::Relaxed);
        assert_eq!(before, 0, "row or part {part} is taken twice");
        let (row, part) = (part / (self.cuts.len() - 1), part % (self.cuts.len() - 1));
        let (start, end) = (self.cuts[part], self.cuts[part + 1]);
        // SAFETY: the number is below that of all parts, or the first line had panicked, so that by the assertions of
        // the constructor the range lies in the slice that is borrowed for `'a`, and in no other part. No other caller
        // has or gets this one.
        unsafe { std::slice::from_raw_parts_mut(self.data.add(row * self.stride + start), end - start) }
    }
}

#[cfg(test)]
mod tests {
    use super::{Cut, Scatter};
    use rayon::prelude::*;

    #[test]
    fn rows_are_written_from_anywhere() {
        let mut data = vec![0.0; 300];
        let scatter = Scatter::new(&mut data, 3);
        (0..100usize).into_par_iter().for_each(|i| scatter.take(i * 37 % 100).fill(i as f32));
        assert!((0..100).all(|i| data[i * 37 % 100 * 3] == i as f32));
    }

    #[test]
    fn parts_of_rows_leave_what_is_between_them_alone() {
        let mut data = vec![0.0; 14];
        let scatter = Scatter::of_parts(&mut data, 3, 5, vec![0, 1, 4]);
        (0..6usize).into_par_iter().for_each(|part| scatter.take(part).fill(1.0 + part as f32));
        assert_eq!(data, [1.0, 2.0, 2.0, 2.0, 0.0, 3.0, 4.0, 4.0, 4.0, 0.0, 5.0, 6.0, 6.0, 6.0]);
        let scatter = Scatter::of_columns(&mut data, [3, 4], 5, Cut::into(2, 2), 2);
        [0, 2].into_par_iter().for_each(|start| {
            scatter.take_columns(start).for_each(|part| part.fill(start as f32));
        });
        assert_eq!(data, [0.0, 0.0, 2.0, 2.0, 0.0, 0.0, 0.0, 2.0, 2.0, 0.0, 0.0, 0.0, 2.0, 2.0]);
    }

    #[test]
    #[should_panic(expected = "row or part 1 is taken twice")]
    fn a_row_is_given_once() {
        let mut data = vec![0.0; 4];
        let scatter = Scatter::new(&mut data, 2);
        scatter.take(1);
        scatter.take(1);
    }
}
