//! Parts that the data names itself.

use super::Part;
use crate::error::DataError;
use crate::preprocess::column;
use crate::table::Table;

/// The part that a word names, also in the spellings of other programs.
pub(crate) fn part_of(word: &str) -> Option<Part> {
    match word.trim().to_lowercase().as_str() {
        "train" | "training" => Some(Part::Train),
        "val" | "valid" | "validation" | "dev" => Some(Part::Val),
        "test" | "testing" => Some(Part::Test),
        _ => None,
    }
}

/// The part of each row as a column names it; `None` for an empty cell.
///
/// # Errors
/// The first of the rows that holds another word.
pub(super) fn parts_of_column(
    table: &Table,
    name: &str,
    rows: &[u32],
) -> Result<Vec<Option<Part>>, DataError> {
    let column = column(table, name, rows)?;
    let mut parts = vec![None; table.rows()];
    for row in rows {
        if let Some(word) = column.cells.text(*row as usize) {
            let part = part_of(&word).ok_or_else(|| DataError::NotAPart {
                column: name.to_owned(),
                row: *row as usize + 1,
                found: word.clone().into_owned(),
            })?;
            parts[*row as usize] = Some(part);
        }
    }
    Ok(parts)
}

/// Number of rows of val and test that equal a train row.
pub(super) fn repeats_of_train(parts: &[Option<Part>], rows: &[u32], first_alike: &[u32]) -> usize {
    let mut in_train = vec![false; parts.len()];
    for row in rows {
        if parts[*row as usize] == Some(Part::Train) {
            in_train[first_alike[*row as usize] as usize] = true;
        }
    }
    let repeats = |row: &&u32| {
        matches!(parts[**row as usize], Some(Part::Val | Part::Test))
            && in_train[first_alike[**row as usize] as usize]
    };
    rows.iter().filter(repeats).count()
}
