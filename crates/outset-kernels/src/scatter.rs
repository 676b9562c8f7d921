//! Rows of one output written by many threads in an order that isn't the rows'.

use std::{
    marker::PhantomData,
    sync::atomic::{AtomicU8, Ordering},
};

/// Rows of a mutable slice, each given out once to whoever asks for it first.
///
/// [`Rows`](crate::par::Rows) covers loops whose parts own neighbouring rows; this is for the others, such as a loop over channels of
/// an image batch.
pub(crate) struct Scatter<'a> {
    data: *mut f32,
    width: usize,
    taken: Vec<AtomicU8>,
    borrowed: PhantomData<&'a mut [f32]>,
}

// SAFETY: the only access to the data is through `take`, which gives each row to one caller.
unsafe impl Sync for Scatter<'_> {}

impl<'a> Scatter<'a> {
    /// Takes `data` as rows of `width` values.
    pub(crate) fn new(data: &'a mut [f32], width: usize) -> Self {
        let rows = data.len() / width.max(1);
        Scatter {
            data: data.as_mut_ptr(),
            width,
            taken: (0..rows).map(|_| AtomicU8::new(0)).collect(),
            borrowed: PhantomData,
        }
    }

    /// Returns a row, for good.
    ///
    /// # Panics
    /// If the row has been taken before or doesn't exist.
    pub(crate) fn take(&self, row: usize) -> &'a mut [f32] {
        let before = self.taken[row].swap(1, Ordering::Relaxed);
        assert_eq!(before, 0, "row {row} is taken twice");
        // SAFETY: `row` is below the number of whole rows, or the line above had panicked, so the range lies in the
        // slice that is borrowed for `'a`. No other caller has or gets this row.
        unsafe { std::slice::from_raw_parts_mut(self.data.add(row * self.width), self.width) }
    }
}

#[cfg(test)]
mod tests {
    use super::Scatter;
    use rayon::prelude::*;

    #[test]
    fn rows_are_written_from_anywhere() {
        let mut data = vec![0.0; 300];
        let scatter = Scatter::new(&mut data, 3);
        (0..100usize)
            .into_par_iter()
            .for_each(|i| scatter.take(i * 37 % 100).fill(i as f32));
        assert!((0..100).all(|i| data[i * 37 % 100 * 3] == i as f32));
    }

    #[test]
    #[should_panic(expected = "row 1 is taken twice")]
    fn a_row_is_given_once() {
        let mut data = vec![0.0; 4];
        let scatter = Scatter::new(&mut data, 2);
        scatter.take(1);
        scatter.take(1);
    }
}
