//! Bags of weighted rows of a table: a sparse matrix times a dense one, and the gradient added up where it came from.
//!
//! Shapes: `table [rows, width]`, `n` bags, output `[n, width]`.

use crate::{
    buf::uninit,
    isa::kernel,
    par::{self, Cut, Rows},
};

/// Bags of weighted indices: bag `i` holds those at `offsets[i]..offsets[i + 1]`.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Bags {
    /// One more than there are bags, rising from 0.
    pub offsets: Vec<usize>,
    pub indices: Vec<u32>,
    /// One for each index.
    pub weights: Vec<f32>,
}

impl Bags {
    /// Number of bags.
    pub fn len(&self) -> usize {
        self.offsets.len().saturating_sub(1)
    }

    /// Tells whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Checks that the parts belong together and that no index is outside of a table of `rows` rows.
    fn check(&self, rows: usize) {
        assert_eq!(self.indices.len(), self.weights.len(), "there is a weight for each index");
        assert_eq!(
            self.offsets.last().copied().unwrap_or(0),
            self.indices.len(),
            "the offsets end at the indices"
        );
        let inside = self.indices.iter().all(|index| (*index as usize) < rows);
        assert!(inside, "an index is outside the table's {rows} rows");
    }

    /// What a part costs, on the average of `parts`.
    fn cost(&self, width: usize, parts: usize) -> usize {
        (self.indices.len() * width).div_ceil(parts.max(1)) + width
    }
}

/// Returns for each bag the sum of its rows of `table`, each times its weight.
///
/// # Panics
/// If an index is not below the number of rows.
pub fn forward(table: &[f32], width: usize, bags: &Bags) -> Vec<f32> {
    bags.check(table.len() / width.max(1));
    let count = bags.len();
    let mut y = uninit(count * width);
    par::run(Rows::new(&mut y, width), Cut::new(count, bags.cost(width, count)), |range, y| {
        for (y, bag) in y.data.chunks_exact_mut(width.max(1)).zip(range) {
            y.fill(0.0);
            for at in bags.offsets[bag]..bags.offsets[bag + 1] {
                add_scaled(y, bags.weights[at], &table[bags.indices[at] as usize * width..][..width]);
            }
        }
    });
    y
}

/// Returns the gradient of a table of `rows` rows, given that of the output.
///
/// Each part owns a range of the table's rows and adds what belongs there in the order of the bags: no conflicts, and one
/// result whatever the threads.
///
/// # Panics
/// If an index is not below `rows`.
pub fn backward(dy: &[f32], width: usize, bags: &Bags, rows: usize) -> Vec<f32> {
    bags.check(rows);
    assert_eq!(dy.len(), bags.len() * width, "gradient and bags differ in size");
    let (starts, order) = sort_by_row(bags, rows);
    let mut dtable = vec![0.0; rows * width];
    par::run(Rows::new(&mut dtable, width), Cut::new(rows, bags.cost(width, rows)), |range, dtable| {
        for (sum, row) in dtable.data.chunks_exact_mut(width.max(1)).zip(range) {
            for &(bag, weight) in &order[starts[row]..starts[row + 1]] {
                add_scaled(sum, weight, &dy[bag as usize * width..][..width]);
            }
        }
    });
    dtable
}

/// Returns bag and weight of each index ordered by the row it names, and where each row's begin.
fn sort_by_row(bags: &Bags, rows: usize) -> (Vec<usize>, Vec<(u32, f32)>) {
    let mut starts = vec![0; rows + 2];
    for &index in &bags.indices {
        starts[index as usize + 2] += 1;
    }
    for row in 2..rows + 2 {
        starts[row] += starts[row - 1];
    }
    let mut order = vec![(0, 0.0); bags.indices.len()];
    for bag in 0..bags.len() {
        for at in bags.offsets[bag]..bags.offsets[bag + 1] {
            let next = &mut starts[bags.indices[at] as usize + 1];
            order[*next] = (bag as u32, bags.weights[at]);
            *next += 1;
        }
    }
    (starts, order)
}

kernel! {
    fn add_scaled<A>(sum: &mut [f32], factor: f32, x: &[f32]) {
        for (s, x) in sum.iter_mut().zip(x) {
            *s += factor * x;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{
        check_gradient, close, hides_nothing, same_bits_with_one_and_two_threads, values, wide,
    };

    fn bags(count: usize, most: usize, rows: usize) -> Bags {
        let mut bags = Bags { offsets: vec![0], ..Bags::default() };
        for bag in 0..count {
            for at in 0..(bag * 7) % (most + 1) {
                bags.indices.push(((bag * 31 + at * at * 17) % rows) as u32);
                bags.weights.push(((bag + 3 * at) % 11) as f32 / 8.0 - 0.5);
            }
            bags.offsets.push(bags.indices.len());
        }
        bags
    }

    /// The naive twin: output and gradient of the table.
    fn twin(table: &[f64], width: usize, bags: &Bags, dy: &[f64]) -> [Vec<f64>; 2] {
        let (mut y, mut dtable) = (vec![0.0; bags.len() * width], vec![0.0; table.len()]);
        for bag in 0..bags.len() {
            for at in bags.offsets[bag]..bags.offsets[bag + 1] {
                let (row, weight) = (bags.indices[at] as usize, f64::from(bags.weights[at]));
                for j in 0..width {
                    y[bag * width + j] += weight * table[row * width + j];
                    dtable[row * width + j] += weight * dy[bag * width + j];
                }
            }
        }
        [y, dtable]
    }

    #[test]
    fn matches_the_twin() {
        for (count, most, rows, width) in [
            (1, 0, 1, 1),
            (3, 2, 1, 1),
            (2, 9, 7, 1),
            (9, 4, 5, 3),
            (64, 40, 900, 16),
            (300, 90, 70, 33),
            (0, 0, 3, 2),
            (0, 0, 0, 2),
        ] {
            let bags = bags(count, most, rows);
            let (table, dy) = (values(rows * width, 1), values(count * width, 2));
            let [y, dtable] = twin(&wide(&table), width, &bags, &wide(&dy));
            close(&forward(&table, width, &bags), &y);
            close(&backward(&dy, width, &bags, rows), &dtable);
        }
        let none = Bags::default();
        assert_eq!((forward(&[1.0; 6], 2, &none), backward(&[], 2, &none, 3)), (vec![], vec![0.0; 6]));
    }

    #[test]
    fn the_twin_s_gradient_is_a_slope() {
        let bags = bags(9, 4, 5);
        let (table, dy) = (wide(&values(15, 1)), wide(&values(27, 2)));
        let [_, dtable] = twin(&table, 3, &bags, &dy);
        check_gradient(&table, &dtable, |table| {
            twin(table, 3, &bags, &dy)[0].iter().zip(&dy).map(|(y, d)| y * d).sum()
        });
    }

    #[test]
    fn what_is_not_finite_shows_in_all_that_it_feeds() {
        for value in [f32::NAN, f32::INFINITY] {
            let of_weights = {
                let mut bags = bags(9, 4, 5);
                bags.weights[7] = value;
                (bags, values(15, 1), values(27, 2))
            };
            let (mut table, mut dy) = (values(15, 1), values(27, 2));
            // A weight of zero does not hide it either.
            let mut with_zero = bags(9, 4, 5);
            (with_zero.weights[0], table[with_zero.indices[0] as usize * 3 + 1]) = (0.0, value);
            dy[3 + 1] = value;
            for (bags, table, dy) in [of_weights, (with_zero, table, dy)] {
                let [y, dtable] = twin(&wide(&table), 3, &bags, &wide(&dy));
                hides_nothing(&forward(&table, 3, &bags), &y);
                hides_nothing(&backward(&dy, 3, &bags, 5), &dtable);
            }
        }
    }

    #[test]
    #[should_panic(expected = "outside the table's 3 rows")]
    fn an_index_outside_is_refused() {
        let bags = Bags { offsets: vec![0, 1], indices: vec![3], weights: vec![1.0] };
        forward(&[0.0; 6], 2, &bags);
    }

    #[test]
    fn bits_do_not_depend_on_threads() {
        let bags = bags(600, 200, 3000);
        let (table, dy) = (values(3000 * 16, 1), values(600 * 16, 2));
        same_bits_with_one_and_two_threads(|| {
            vec![forward(&table, 16, &bags), backward(&dy, 16, &bags, 3000)]
        });
    }
}
