//! Dividing by time: the earliest rows to train on, the latest to test on.

use super::{Cut, Part};
use crate::error::DataError;
use crate::preprocess::column;
use crate::table::Cells;
use crate::types::{ColumnSettings, DateSettings, positions};

/// Divides the rows in the order of their times; rows of one time stay together.
///
/// # Errors
/// If a row has no time, or so many share one that a part is left empty.
pub(super) fn time(
    cut: &Cut<'_>,
    name: &str,
    settings: Option<&ColumnSettings>,
    parts: &mut [Option<Part>],
) -> Result<(), DataError> {
    let column = column(cut.table, name, cut.rows)?;
    let times = match (column.cells, settings) {
        (_, Some(ColumnSettings::Date(settings))) => positions(column, settings)?,
        (Cells::Text(_) | Cells::Image(_), _) => positions(column, &DateSettings::default())?,
        (Cells::Number(values), _) => cut.rows.iter().map(|row| values[*row as usize]).collect(),
    };
    if let Some(place) = times.iter().position(|time| time.is_nan()) {
        return Err(DataError::NoTime { column: name.to_owned(), row: cut.rows[place] as usize + 1 });
    }
    let mut ordered: Vec<(f64, u32)> = times.into_iter().zip(cut.rows.iter().copied()).collect();
    ordered.sort_unstable_by(|a, b| a.0.total_cmp(&b.0).then(a.1.cmp(&b.1)));
    let count = ordered.len();
    let near = |share: f64| {
        let wanted = (share * count as f64).round() as usize;
        // The nearest place between two different times.
        let between =
            |place: &usize| *place == 0 || *place >= count || ordered[place - 1].0 < ordered[*place].0;
        (0..=count)
            .find_map(|away| {
                [wanted.checked_sub(away), wanted.checked_add(away)]
                    .into_iter()
                    .flatten()
                    .find(|place| *place <= count && between(place))
            })
            .unwrap_or(count)
    };
    let val = near(cut.shares[0]);
    let test = if cut.shares[2] > 0.0 { near(cut.shares[0] + cut.shares[1]) } else { count };
    for (place, (_, row)) in ordered.iter().enumerate() {
        let part = match place {
            _ if place < val => Part::Train,
            _ if place < test => Part::Val,
            _ => Part::Test,
        };
        parts[*row as usize] = Some(part);
    }
    Ok(())
}
