//! Rows that are alike in all columns of the model.

use crate::table::{Cells, Table};
use rayon::prelude::*;

/// For each row of the table the first of `rows` that equals it in all `columns`, but for the spaces around texts; a row
/// not among `rows` stands for itself.
///
/// Rows are compared by 64-bit hashes: among five million, two different ones are taken for equal once in a million
/// tables, and then merely share a part.
pub(crate) fn first_alike(table: &Table, columns: &[&str], rows: &[u32]) -> Vec<u32> {
    let hashes = hashes(table, columns, rows);
    let mut pairs: Vec<(u64, u32)> = hashes.into_iter().zip(rows.iter().copied()).collect();
    pairs.par_sort_unstable();
    let mut first: Vec<u32> = (0..table.rows() as u32).collect();
    for alike in pairs.chunk_by(|a, b| a.0 == b.0) {
        for (_, row) in alike {
            first[*row as usize] = alike[0].1;
        }
    }
    first
}

/// A hash of each row.
fn hashes(table: &Table, columns: &[&str], rows: &[u32]) -> Vec<u64> {
    let cells: Vec<(&Cells, Vec<u64>)> = columns
        .iter()
        .filter_map(|name| table.get(name))
        .map(|cells| match cells {
            Cells::Number(_) => (cells, Vec::new()),
            Cells::Image(_) => (cells, Vec::new()),
            Cells::Text(text) => {
                (cells, text.values.par_iter().map(|value| hash_text(value.trim())).collect())
            }
        })
        .collect();
    rows.par_iter()
        .map(|row| {
            cells.iter().fold(0, |hash, (cells, texts)| {
                let cell = match cells {
                    Cells::Number(values) => bits(values[*row as usize]),
                    Cells::Image(images) if images.0[*row as usize].is_none() => 1,
                    Cells::Image(images) => images.identity(*row as usize),
                    Cells::Text(text) => texts.get(text.codes[*row as usize] as usize).copied().unwrap_or(1),
                };
                mix(hash ^ cell)
            })
        })
        .collect()
}

/// The bits of a number; equal numbers and all missing cells have equal ones.
fn bits(value: f64) -> u64 {
    if value.is_nan() {
        1
    } else if value == 0.0 {
        0
    } else {
        value.to_bits()
    }
}

fn hash_text(text: &str) -> u64 {
    text.bytes().fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3)
    })
}

/// Spreads the bits: the finishing step of the generator SplitMix64.
fn mix(hash: u64) -> u64 {
    let hash = hash.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let hash = (hash ^ (hash >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let hash = (hash ^ (hash >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    hash ^ (hash >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn alike_in_all_columns() {
        let columns = [
            ("x", Cells::Number(vec![0.0, -0.0, 1.0, f64::NAN, f64::NAN, 0.0])),
            (
                "y",
                Cells::Text([Some("a"), Some("a "), Some("a"), None, None, Some("b")].into_iter().collect()),
            ),
        ];
        let table =
            Table::new(columns.map(|(name, cells)| (name.to_owned(), cells)).into_iter().collect(), 6);
        let rows: Vec<u32> = (0..6).collect();
        assert_eq!(first_alike(&table, &["x", "y"], &rows), [0, 0, 2, 3, 3, 5]);
        assert_eq!(first_alike(&table, &["x"], &rows), [0, 0, 2, 3, 3, 0]);
        assert_eq!(first_alike(&table, &["x"], &[1, 5]), [0, 1, 2, 3, 4, 1]);
    }
}
