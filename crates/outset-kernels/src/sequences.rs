//! Sequences of different lengths: filled up to one length, or one after the other without filling.
//!
//! Shapes: `filled [batch, time, width]`, `rows [sum of the lengths, width]`. Whatever works row by row does less on the
//! latter, with equal results.

use crate::{
    buf::uninit,
    par::{self, Cut, Rows},
};

/// Returns where each sequence begins when they lie one after the other, and where the last ends.
pub fn starts(lengths: &[usize]) -> Vec<usize> {
    let mut starts = Vec::with_capacity(lengths.len() + 1);
    starts.push(0);
    for length in lengths {
        starts.push(starts[starts.len() - 1] + length);
    }
    starts
}

/// Returns the rows of the sequences, one after the other.
///
/// # Panics
/// If a length is above `time`.
pub fn without_filling(filled: &[f32], lengths: &[usize], time: usize, width: usize) -> Vec<f32> {
    check(lengths, time);
    assert_eq!(filled.len(), lengths.len() * time * width, "the sequences have another size");
    let starts = starts(lengths);
    let mut rows = uninit(starts[lengths.len()] * width);
    let cut = Cut::new(starts[lengths.len()], width);
    par::run(Rows::new(&mut rows, width), cut, |range, rows| {
        let mut sequence = starts.partition_point(|start| *start <= range.start) - 1;
        let mut row = range.start;
        let mut rest = rows.data;
        while row < range.end {
            let end = starts[sequence + 1].min(range.end);
            let (now, later) = rest.split_at_mut((end - row) * width);
            let from = (sequence * time + row - starts[sequence]) * width;
            now.copy_from_slice(&filled[from..from + now.len()]);
            (rest, row, sequence) = (later, end, sequence + 1);
        }
    });
    rows
}

/// Returns the sequences filled up with zeros to `time`: the inverse of [`without_filling`], and each is the other's
/// gradient.
///
/// # Panics
/// If a length is above `time`.
pub fn filled_up(rows: &[f32], lengths: &[usize], time: usize, width: usize) -> Vec<f32> {
    check(lengths, time);
    let starts = starts(lengths);
    assert_eq!(rows.len(), starts[lengths.len()] * width, "the rows have another size");
    let mut filled = uninit(lengths.len() * time * width);
    let cut = Cut::new(lengths.len(), time * width);
    par::run(Rows::new(&mut filled, time * width), cut, |range, filled| {
        for (filled, sequence) in filled.data.chunks_exact_mut((time * width).max(1)).zip(range) {
            let (inside, filling) = filled.split_at_mut(lengths[sequence] * width);
            inside.copy_from_slice(&rows[starts[sequence] * width..][..inside.len()]);
            filling.fill(0.0);
        }
    });
    filled
}

fn check(lengths: &[usize], time: usize) {
    assert!(lengths.iter().all(|length| *length <= time), "a sequence is longer than {time} steps");
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{same_bits_with_one_and_two_threads, values};

    #[test]
    fn filling_goes_and_comes_back_as_zeros() {
        let filled = [1.0, 2.0, 9.0, 9.0, 9.0, 9.0, 3.0, 4.0, 5.0, 6.0, 9.0, 9.0];
        let lengths = [1, 0, 2];
        let rows = without_filling(&[&filled[..4], &[9.0; 4], &filled[6..10]].concat(), &lengths, 2, 2);
        assert_eq!(rows, [1.0, 2.0, 3.0, 4.0, 5.0, 6.0]);
        let back = filled_up(&rows, &lengths, 2, 2);
        assert_eq!(back, [1.0, 2.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 3.0, 4.0, 5.0, 6.0]);
        assert_eq!(without_filling(&[], &[], 3, 2), [0.0; 0]);
        assert_eq!(filled_up(&[], &[0, 0], 2, 1), [0.0; 4]);
    }

    #[test]
    fn every_row_finds_its_place() {
        for (lengths, time, width) in
            [(vec![1], 1, 1), (vec![5, 0, 7, 1], 9, 3), (vec![400, 1, 0, 0, 399], 400, 64)]
        {
            let filled = values(lengths.len() * time * width, 1);
            let rows = without_filling(&filled, &lengths, time, width);
            let row = |sequence: usize, step: usize| &filled[(sequence * time + step) * width..][..width];
            let expected: Vec<f32> = (0..lengths.len())
                .flat_map(|n| (0..lengths[n]).flat_map(move |t| row(n, t).to_vec()))
                .collect();
            assert_eq!(rows, expected);
            let back = filled_up(&rows, &lengths, time, width);
            assert_eq!(without_filling(&back, &lengths, time, width), rows);
            let filling = back.chunks(time * width).zip(&lengths).map(|(x, length)| &x[length * width..]);
            assert!(filling.flatten().all(|v| *v == 0.0));
        }
    }

    #[test]
    fn bits_do_not_depend_on_threads() {
        let lengths = [400, 1, 0, 0, 399, 700];
        let filled = values(lengths.len() * 700 * 64, 1);
        same_bits_with_one_and_two_threads(|| {
            let rows = without_filling(&filled, &lengths, 700, 64);
            vec![filled_up(&rows, &lengths, 700, 64), rows]
        });
    }
}
