//! Rows looked up in a table, and the gradient added up where they came from.
//!
//! Shapes: `table [rows, width]`, `indices [n]`, output `[n, width]`.

use crate::{
    buf::uninit,
    isa::kernel,
    par::{self, Cut, Rows},
};

/// Returns the rows of `table` that `indices` name.
///
/// # Panics
/// If an index is negative or not below the number of rows.
pub fn forward(table: &[f32], width: usize, indices: &[i64]) -> Vec<f32> {
    check(indices, table.len() / width.max(1));
    let mut y = uninit(indices.len() * width);
    par::run(Rows::new(&mut y, width), Cut::new(indices.len(), width), |range, y| {
        for (y, &index) in y.data.chunks_exact_mut(width.max(1)).zip(&indices[range]) {
            y.copy_from_slice(&table[index as usize * width..][..width]);
        }
    });
    y
}

/// Returns the gradient of a table of `rows` rows, given that of the output.
///
/// Each part owns a range of the table's rows and adds what belongs there in the order of the indices: no conflicts,
/// and one result whatever the threads.
///
/// # Panics
/// If an index is negative or not below `rows`.
pub fn backward(dy: &[f32], width: usize, indices: &[i64], rows: usize) -> Vec<f32> {
    check(indices, rows);
    assert_eq!(dy.len(), indices.len() * width, "gradient and indices differ in size");
    let (starts, order) = sort_by_row(indices, rows);
    let mut dtable = vec![0.0; rows * width];
    // Some rows get many gradients and most none: what a part costs is at best even on the average.
    let row_cost = (indices.len() * width).div_ceil(rows.max(1)) + width;
    par::run(Rows::new(&mut dtable, width), Cut::new(rows, row_cost), |range, dtable| {
        for (sum, row) in dtable.data.chunks_exact_mut(width.max(1)).zip(range) {
            for &at in &order[starts[row]..starts[row + 1]] {
                add(sum, &dy[at * width..][..width]);
            }
        }
    });
    dtable
}

/// A table of some columns of a wider output, and the row that each example takes from it.
#[derive(Clone, Copy, Debug)]
pub struct Column<'a> {
    /// `[rows, width]`.
    pub table: &'a [f32],
    /// Values of a row.
    pub width: usize,
    /// One for each example.
    pub indices: &'a [i64],
}

/// Returns for each example its values of `beside [n, width]` and its row of each table, side by side.
///
/// # Panics
/// If the columns tell of different numbers of examples, or an index is not below its table's number of rows.
pub fn forward_beside(beside: &[f32], beside_width: usize, columns: &[Column], n: usize) -> Vec<f32> {
    assert_eq!(beside.len(), n * beside_width, "what stands beside has another size");
    for column in columns {
        check(column.indices, column.table.len() / column.width.max(1));
        assert_eq!(column.indices.len(), n, "the columns differ in length");
    }
    let width = beside_width + columns.iter().map(|column| column.width).sum::<usize>();
    let mut y = uninit(n * width);
    par::run(Rows::new(&mut y, width), Cut::new(n, width), |range, y| {
        for (y, at) in y.data.chunks_exact_mut(width.max(1)).zip(range) {
            let (first, mut rest) = y.split_at_mut(beside_width);
            first.copy_from_slice(&beside[at * beside_width..][..beside_width]);
            for Column { table, width, indices } in columns {
                let (now, later) = rest.split_at_mut(*width);
                now.copy_from_slice(&table[indices[at] as usize * width..][..*width]);
                rest = later;
            }
        }
    });
    y
}

/// Returns the gradient of each table of [`forward_beside`].
pub fn backward_beside(dy: &[f32], beside_width: usize, columns: &[Column]) -> Vec<Vec<f32>> {
    let width = beside_width + columns.iter().map(|column| column.width).sum::<usize>();
    let starts: Vec<usize> = columns
        .iter()
        .scan(beside_width, |start, column| Some(std::mem::replace(start, *start + column.width)))
        .collect();
    // A task owns a table and adds in the order of the examples.
    let parts = par::run((), Cut::tasks(columns.len(), dy.len()), |range, ()| {
        let gradient = |at: usize| {
            let Column { table, width: own, indices } = columns[at];
            let mut dtable = vec![0.0; table.len()];
            for (dy, &index) in dy.chunks_exact(width.max(1)).zip(indices) {
                add(&mut dtable[index as usize * own..][..own], &dy[starts[at]..][..own]);
            }
            dtable
        };
        range.map(gradient).collect::<Vec<_>>()
    });
    parts.concat()
}

fn check(indices: &[i64], rows: usize) {
    let inside = indices.iter().all(|&i| usize::try_from(i).is_ok_and(|i| i < rows));
    assert!(inside, "an index is outside the table's {rows} rows");
}

/// Returns the positions in `indices` ordered by the row they name, and where each row's positions start.
fn sort_by_row(indices: &[i64], rows: usize) -> (Vec<usize>, Vec<usize>) {
    let mut starts = vec![0; rows + 1];
    for &index in indices {
        starts[index as usize + 1] += 1;
    }
    for row in 0..rows {
        starts[row + 1] += starts[row];
    }
    let mut next = starts.clone();
    let mut order = vec![0; indices.len()];
    for (at, &index) in indices.iter().enumerate() {
        order[next[index as usize]] = at;
        next[index as usize] += 1;
    }
    (starts, order)
}

kernel! {
    fn add<A>(sum: &mut [f32], x: &[f32]) {
        for (s, x) in sum.iter_mut().zip(x) {
            *s += x;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{close, hides_nothing, same_bits_with_one_and_two_threads, values, wide};

    fn indices(n: usize, rows: usize) -> Vec<i64> {
        (0..n).map(|i| (i * i * 7 % rows) as i64).collect()
    }

    /// The naive twin: output and gradient of the table.
    fn twin(table: &[f64], width: usize, indices: &[i64], dy: &[f64]) -> [Vec<f64>; 2] {
        let (mut y, mut dtable) = (vec![], vec![0.0; table.len()]);
        for (i, &row) in indices.iter().enumerate() {
            for j in 0..width {
                y.push(table[row as usize * width + j]);
                dtable[row as usize * width + j] += dy[i * width + j];
            }
        }
        [y, dtable]
    }

    #[test]
    fn matches_the_twin() {
        for (rows, width, n) in [(1, 1, 1), (5, 3, 17), (100, 16, 64), (1000, 33, 700), (4, 2, 0)] {
            let (table, dy, at) = (values(rows * width, 1), values(n * width, 2), indices(n, rows));
            let [y, dtable] = twin(&wide(&table), width, &at, &wide(&dy));
            assert_eq!(wide(&forward(&table, width, &at)), y);
            close(&backward(&dy, width, &at, rows), &dtable);
        }
    }

    #[test]
    fn what_is_not_finite_shows_in_all_that_it_feeds() {
        let (rows, width, n) = (5, 3, 17);
        for value in [f32::NAN, f32::INFINITY] {
            let (mut table, mut dy, at) = (values(rows * width, 1), values(n * width, 2), indices(n, rows));
            (table[at[2] as usize * width + 1], dy[2 * width + 1]) = (value, value);
            let [y, dtable] = twin(&wide(&table), width, &at, &wide(&dy));
            hides_nothing(&forward(&table, width, &at), &y);
            hides_nothing(&backward(&dy, width, &at, rows), &dtable);
            let column = Column { table: &table, width, indices: &at };
            hides_nothing(&forward_beside(&[], 0, &[column], n), &y);
            hides_nothing(&backward_beside(&dy, 0, &[column])[0], &dtable);
        }
    }

    #[test]
    fn tables_beside_each_other_give_what_each_gives_alone() {
        for (n, beside_width, tables) in [
            (1, 0, vec![(1, 1)]),
            (40, 3, vec![(5, 2), (7, 19), (3, 1)]),
            (3000, 0, vec![(9, 33), (50, 4)]),
            (0, 2, vec![(3, 2)]),
        ] {
            let beside = values(n * beside_width, 1);
            let made: Vec<(Vec<f32>, Vec<i64>)> = tables
                .iter()
                .map(|(rows, width)| (values(rows * width, *rows as u64), indices(n, *rows)))
                .collect();
            let columns: Vec<Column> = made
                .iter()
                .zip(&tables)
                .map(|((table, indices), (_, width))| Column { table, width: *width, indices })
                .collect();
            let y = forward_beside(&beside, beside_width, &columns, n);
            let dy = values(y.len(), 2);
            let gradients = backward_beside(&dy, beside_width, &columns);
            let total = beside_width + tables.iter().map(|(_, width)| width).sum::<usize>();
            let mut start = beside_width;
            for (column, gradient) in columns.iter().zip(&gradients) {
                let part = |x: &[f32]| -> Vec<f32> {
                    x.chunks(total).flat_map(|row| row[start..start + column.width].to_vec()).collect()
                };
                assert_eq!(part(&y), forward(column.table, column.width, column.indices));
                let rows = column.table.len() / column.width;
                close(gradient, &wide(&backward(&part(&dy), column.width, column.indices, rows)));
                start += column.width;
            }
            assert!(y.chunks(total).zip(beside.chunks(beside_width.max(1))).all(|(y, b)| y.starts_with(b)));
            if n > 1000 {
                same_bits_with_one_and_two_threads(|| {
                    let mut outputs = backward_beside(&dy, beside_width, &columns);
                    outputs.push(forward_beside(&beside, beside_width, &columns, n));
                    outputs
                });
            }
        }
    }

    #[test]
    #[should_panic(expected = "outside the table's 3 rows")]
    fn an_index_outside_is_refused() {
        forward(&[0.0; 6], 2, &[3]);
    }

    #[test]
    fn bits_do_not_depend_on_threads() {
        let (table, dy, at) = (values(300 * 32, 1), values(5000 * 32, 2), indices(5000, 300));
        same_bits_with_one_and_two_threads(|| vec![forward(&table, 32, &at), backward(&dy, 32, &at, 300)]);
    }
}
