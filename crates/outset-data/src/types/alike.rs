//! Columns that are measured alike: many numbers within the same bounds, such as pixels, or answers from 1 to 5.
//!
//! Scaled each by its own spread, a pixel at the edge that is hardly ever bright would count as much as one in the middle;
//! one spread for all keeps what their sizes say.

use super::number::number_values;
use super::scaling::moments;
use super::{Column, DataError};
use crate::table::Cells;
use rayon::prelude::*;

/// Columns that alike ones have to be for it to be no chance.
const LEAST: usize = 16;

/// Columns of one measure.
#[derive(Clone, Debug, PartialEq)]
pub struct Alike {
    pub columns: Vec<String>,
    /// The smallest and the largest value of most of them, and of all of them together.
    pub bounds: (f64, f64),
    /// Root mean square of the distances of their values from their means.
    pub spread: f64,
}

/// What is known of a column.
struct Measured<'a> {
    name: &'a str,
    bounds: (f64, f64),
    deviation: f64,
    /// Whether it takes more than two values.
    graded: bool,
}

impl<'a> Measured<'a> {
    /// Looks at a column; `None` where it has no two values.
    fn of(column: Column<'a>, missing: &[String]) -> Result<Option<Self>, DataError> {
        let mut values = number_values(column, missing)?;
        values.retain(|value| !value.is_nan());
        let low = values.iter().copied().fold(f64::INFINITY, f64::min);
        let high = values.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        let graded = values.iter().any(|value| *value > low && *value < high);
        let (_, deviation) = moments(values.iter().copied());
        Ok((low < high).then_some(Self { name: column.name, bounds: (low, high), deviation, graded }))
    }
}

/// The columns, of those given with the texts that mean "missing", that are measured alike: at least sixteen and at least
/// half of all have the same smallest and the same largest value in the rows, and most of those take values between. Further
/// columns within these bounds belong to them.
///
/// # Errors
/// If a cell is no finite number.
pub fn measured_alike<'a>(
    columns: impl IntoIterator<Item = (&'a str, &'a Cells, Vec<String>)>,
    rows: &[u32],
) -> Result<Option<Alike>, DataError> {
    let columns: Vec<_> = columns.into_iter().collect();
    if columns.len() < LEAST {
        return Ok(None);
    }
    let measured: Vec<_> = columns
        .into_par_iter()
        .map(|(name, cells, missing)| Measured::of(Column { name, cells, rows }, &missing))
        .collect();
    let measured: Vec<_> = measured.into_iter().collect::<Result<_, _>>()?;
    let all: Vec<Measured<'_>> = measured.into_iter().flatten().collect();
    let shared = |bounds: (f64, f64)| all.iter().filter(move |column| column.bounds == bounds);
    // Of bounds that equally many columns share, those of the first column.
    let mut most: Option<(usize, (f64, f64))> = None;
    for column in &all {
        let count = shared(column.bounds).count();
        if most.is_none_or(|(before, _)| count > before) {
            most = Some((count, column.bounds));
        }
    }
    let Some((count, (low, high))) = most else { return Ok(None) };
    let graded = shared((low, high)).filter(|column| column.graded).count();
    if count < LEAST || 2 * count < all.len() || 2 * graded <= count {
        return Ok(None);
    }
    let within: Vec<&Measured<'_>> =
        all.iter().filter(|column| column.bounds.0 >= low && column.bounds.1 <= high).collect();
    let variance = within.iter().map(|column| column.deviation.powi(2)).sum::<f64>() / within.len() as f64;
    let columns = within.iter().map(|column| column.name.to_owned()).collect();
    Ok(Some(Alike { columns, bounds: (low, high), spread: variance.sqrt() }))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Columns of these values, as often as said.
    fn found(columns: &[(usize, [f64; 4])]) -> Option<Alike> {
        let cells: Vec<Cells> = columns
            .iter()
            .flat_map(|(times, values)| std::iter::repeat_n(Cells::Number(values.to_vec()), *times))
            .collect();
        let names: Vec<String> = (0..cells.len()).map(|index| format!("x{index}")).collect();
        let all = names.iter().zip(&cells).map(|(name, cells)| (name.as_str(), cells, vec!["99".to_owned()]));
        measured_alike(all, &[0, 1, 2, 3]).unwrap()
    }

    #[test]
    fn pixels_are_measured_alike_with_those_at_the_edge() {
        let gap = f64::NAN;
        let pixels = [
            (16, [0.0, 16.0, 8.0, 8.0]),
            (3, [0.0, 0.0, gap, 4.0]),
            (1, [5.0; 4]),
            (2, [-1.0, 40.0, 2.0, 3.0]),
        ];
        let alike = found(&pixels).unwrap();
        assert_eq!((alike.columns.len(), alike.bounds), (19, (0.0, 16.0)));
        let variance = (16.0 * 32.0 + 3.0 * 32.0 / 9.0) / 19.0;
        assert!((alike.spread - f64::sqrt(variance)).abs() < 1e-12, "{}", alike.spread);
    }

    #[test]
    fn a_word_for_missing_is_no_bound() {
        let alike = found(&[(16, [1.0, 5.0, 99.0, 2.0])]).unwrap();
        assert_eq!(alike.bounds, (1.0, 5.0));
    }

    #[test]
    fn few_columns_marks_and_other_bounds_are_not_alike() {
        assert_eq!(found(&[(15, [0.0, 16.0, 8.0, 8.0])]), None);
        assert_eq!(found(&[(40, [0.0, 1.0, 0.0, 1.0])]), None);
        assert_eq!(
            found(&[(16, [0.0, 16.0, 8.0, 8.0]), (17, [0.0, 300.0, 8.0, 1.0])]).map(|alike| alike.bounds),
            Some((0.0, 300.0))
        );
        assert_eq!(
            found(&[(16, [0.0, 16.0, 8.0, 8.0]), (9, [0.0, 30.0, 8.0, 1.0]), (9, [0.0, 31.0, 8.0, 1.0])]),
            None
        );
        assert_eq!(found(&[]), None);
    }
}
