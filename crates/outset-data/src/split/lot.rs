//! Dividing by lot: every row, within each class, or by group.

use super::{Cut, Part};
use crate::error::DataError;
use crate::lot::Lot;
use crate::preprocess::column;
use crate::table::Cells;
use crate::types::{Classes, Column, NONE, count, natural};
use std::collections::HashMap;

/// Rows that stay together: the first of them and their number.
#[derive(Clone, Copy)]
struct Unit {
    first: u32,
    size: u32,
}

/// Every row by lot, equal rows together.
pub(super) fn random(cut: &Cut<'_>, parts: &mut [Option<Part>]) {
    let mut units = units(cut, |row| cut.first_alike[row as usize]);
    let quotas = quotas(cut.rows.len(), cut.shares, &mut [0.0; 3], cut.parts());
    let mut lot = Lot::new(cut.seed);
    lot.shuffle(&mut units);
    deal(&mut units, quotas, true, parts);
    follow(cut, |row| cut.first_alike[row as usize], parts);
}

/// By lot within each class, so that each part has its share of each class to within one row, and at least one row.
///
/// # Errors
/// If a class has fewer rows than there are parts.
pub(super) fn stratified(
    cut: &Cut<'_>,
    target: &str,
    missing: &[String],
    parts: &mut [Option<Part>],
) -> Result<(), DataError> {
    let cells = column(cut.table, target, cut.rows)?.cells;
    let labels = Column { name: target, cells, rows: cut.rows };
    let mut counted = count(labels, missing);
    counted.sort_unstable_by(|a, b| natural(&a.0, &b.0));
    let wanted = cut.parts();
    if let Some((class, rows)) = counted.iter().find(|(_, rows)| (*rows as usize) < wanted) {
        return Err(DataError::ClassTooSmall {
            column: target.to_owned(),
            class: class.clone(),
            rows: *rows as usize,
            parts: wanted,
        });
    }
    let classes = Classes::new(counted);
    let units = units(cut, |row| cut.first_alike[row as usize]);
    let firsts: Vec<u32> = units.iter().map(|unit| unit.first).collect();
    let codes = classes.codes(Column { rows: &firsts, ..labels });
    let mut by_class: Vec<Vec<Unit>> = vec![Vec::new(); classes.len()];
    for (unit, code) in units.into_iter().zip(codes) {
        if code != NONE {
            by_class[code as usize].push(unit);
        }
    }
    let (mut lot, mut owed) = (Lot::new(cut.seed), [0.0; 3]);
    for (units, rows) in by_class.iter_mut().zip(&classes.counts) {
        let quotas = quotas(*rows as usize, cut.shares, &mut owed, wanted);
        lot.shuffle(units);
        deal(units, quotas, true, parts);
    }
    follow(cut, |row| cut.first_alike[row as usize], parts);
    Ok(())
}

/// All rows with an equal cell in the column, but for the spaces around a text, into one part, in the order of the lot; a
/// row without a cell is a group of its own.
///
/// # Errors
/// If there are fewer groups than parts.
pub(super) fn group(cut: &Cut<'_>, name: &str, parts: &mut [Option<Part>]) -> Result<(), DataError> {
    let leaders = leaders(cut, column(cut.table, name, cut.rows)?.cells);
    let mut units = units(cut, |row| leaders[row as usize]);
    if units.len() < cut.parts() {
        let (column, groups, parts) = (name.to_owned(), units.len(), cut.parts());
        return Err(DataError::TooFewGroups { column, groups, parts });
    }
    Lot::new(cut.seed).shuffle(&mut units);
    let quotas = quotas(cut.rows.len(), cut.shares, &mut [0.0; 3], cut.parts());
    deal(&mut units, quotas, false, parts);
    // Large groups may leave a part without any: it takes the smallest of those that can spare one.
    for part in Part::ALL {
        let of = |unit: &Unit| parts[unit.first as usize];
        if cut.shares[part as usize] > 0.0 && !units.iter().any(|unit| of(unit) == Some(part)) {
            let spare = |unit: &&Unit| units.iter().filter(|other| of(other) == of(unit)).count() > 1;
            if let Some(unit) = units.iter().filter(spare).min_by_key(|unit| unit.size) {
                parts[unit.first as usize] = Some(part);
            }
        }
    }
    follow(cut, |row| leaders[row as usize], parts);
    Ok(())
}

/// By row of the table: the first row of its group.
fn leaders(cut: &Cut<'_>, cells: &Cells) -> Vec<u32> {
    let mut leaders: Vec<u32> = (0..cells.len() as u32).collect();
    let codes = if let Cells::Text(text) = cells { text.first_codes() } else { Vec::new() };
    let mut first: HashMap<u64, u32> = HashMap::new();
    for row in cut.rows {
        let key = match cells {
            _ if cells.is_missing(*row as usize) => continue,
            Cells::Number(values) => (values[*row as usize] + 0.0).to_bits(),
            Cells::Text(text) => u64::from(codes[text.codes[*row as usize] as usize]),
            Cells::Image(images) => images.identity(*row as usize),
        };
        leaders[*row as usize] = *first.entry(key).or_insert(*row);
    }
    leaders
}

/// The rows that stay together, in the order of their first rows.
fn units(cut: &Cut<'_>, leader: impl Fn(u32) -> u32) -> Vec<Unit> {
    let mut sizes = vec![0u32; cut.table.rows()];
    for row in cut.rows {
        sizes[leader(*row) as usize] += 1;
    }
    let unit =
        |(first, size): (usize, &u32)| (*size > 0).then_some(Unit { first: first as u32, size: *size });
    sizes.iter().enumerate().filter_map(unit).collect()
}

/// How many of `count` rows each part is to have: its share rounded down, and the rows left over to those parts that
/// were most short so far; `owed` carries what is due from one class to the next. With as many rows as `wanted` parts,
/// none goes without.
fn quotas(count: usize, shares: [f64; 3], owed: &mut [f64; 3], wanted: usize) -> [i64; 3] {
    let due = shares.map(|share| share * count as f64);
    let mut quotas = due.map(|due| (due + 1e-9) as i64);
    let mut order = [0, 1, 2];
    order.sort_by(|a, b| {
        let short = |part: &usize| due[*part] - quotas[*part] as f64 + owed[*part];
        short(b).total_cmp(&short(a))
    });
    let left = count as i64 - quotas.iter().sum::<i64>();
    let rest: Vec<usize> =
        order.into_iter().filter(|part| due[*part] - quotas[*part] as f64 > 1e-9).collect();
    for part in rest.into_iter().cycle().take(left.max(0) as usize) {
        quotas[part] += 1;
    }
    if count >= wanted {
        for part in 0..3 {
            if shares[part] > 0.0 && quotas[part] == 0 {
                let largest = if quotas[0] >= quotas[1].max(quotas[2]) {
                    0
                } else {
                    1 + usize::from(quotas[2] > quotas[1])
                };
                quotas[largest] -= 1;
                quotas[part] += 1;
            }
        }
    }
    for part in 0..3 {
        owed[part] += due[part] - quotas[part] as f64;
    }
    quotas
}

/// Gives each unit in turn to the part that lacks most rows of its quota; the largest units first where sizes may differ
/// by chance alone.
fn deal(units: &mut [Unit], mut quotas: [i64; 3], largest_first: bool, parts: &mut [Option<Part>]) {
    if largest_first {
        units.sort_by_key(|unit| std::cmp::Reverse(unit.size));
    }
    for unit in units {
        let part =
            if quotas[0] >= quotas[1].max(quotas[2]) { 0 } else { 1 + usize::from(quotas[2] > quotas[1]) };
        quotas[part] -= i64::from(unit.size);
        parts[unit.first as usize] = Some(Part::ALL[part]);
    }
}

/// Puts each row into the part of its leader.
fn follow(cut: &Cut<'_>, leader: impl Fn(u32) -> u32, parts: &mut [Option<Part>]) {
    for row in cut.rows {
        parts[*row as usize] = parts[leader(*row) as usize];
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_are_met_to_within_one_row() {
        let shares = [0.8, 0.1, 0.1];
        let mut owed = [0.0; 3];
        let mut total = [0i64; 3];
        for count in [7, 13, 25, 101, 333, 12, 8] {
            let quotas = quotas(count, shares, &mut owed, 3);
            assert_eq!(quotas.iter().sum::<i64>(), count as i64);
            for part in 0..3 {
                assert!(
                    (quotas[part] as f64 - shares[part] * count as f64).abs() < 1.0,
                    "{count}: {quotas:?}"
                );
                total[part] += quotas[part];
            }
        }
        assert_eq!(total, [399, 50, 50]);
        assert_eq!(quotas(3, shares, &mut [0.0; 3], 3), [1, 1, 1]);
        assert_eq!(quotas(10, [1.0, 0.0, 0.0], &mut [0.0; 3], 1), [10, 0, 0]);
    }
}
