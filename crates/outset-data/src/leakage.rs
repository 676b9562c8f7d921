//! Columns that give the target away: what no honest input could know.

use crate::error::DataError;
use crate::lot::Lot;
use crate::preprocess::column;
use crate::table::{Cells, Table};
use crate::types::{Absent, Classes, Column, ColumnSettings, NONE, count, number_values, positions};
use indexmap::IndexMap;
use rayon::prelude::*;

/// Area under the ROC curve above which a single column counts as giving the target away.
pub const LIMIT: f64 = 0.98;

/// Rows that are looked at for two classes, at most; more would change nothing at this limit.
const MAX_ROWS: usize = 50_000;

/// What about a column gives the target away.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum GivenAwayBy {
    Value,
    Absence,
}

/// A column that gives a target away.
#[derive(Clone, Debug, PartialEq)]
pub struct Leak {
    pub column: String,
    /// The output that is given away.
    pub output: String,
    /// Area under the ROC curve; for more than two classes that of the class told worst.
    pub auc: f64,
    pub by: GivenAwayBy,
}

impl Leak {
    /// Why the column is left out, in words.
    pub fn reason(&self) -> String {
        let what = match self.by {
            GivenAwayBy::Value => "value",
            GivenAwayBy::Absence => "absence",
        };
        format!(
            "gives `{}` away: its {what} alone tells the classes apart (AUC {:.3})",
            self.output, self.auc
        )
    }
}

/// Finds the inputs whose value or whose absence alone tells the classes of an output apart, on the train rows.
///
/// Numbers and dates are ranked, whichever direction fits better; for more than two classes, and for categories, the
/// score of a value is the share of the class among the rows of the other folds that hold it, so that a column of many
/// different values is not falsely accused.
///
/// # Errors
/// If a column is missing or a cell is of another type.
pub fn leaks(
    table: &Table,
    train: &[u32],
    inputs: &IndexMap<String, ColumnSettings>,
    outputs: &IndexMap<String, ColumnSettings>,
) -> Result<Vec<Leak>, DataError> {
    let mut found: Vec<Leak> = Vec::new();
    for (output, settings) in outputs.iter().filter(|(_, settings)| settings.kind() == "category") {
        let Some((rows, targets, classes)) = targets(column(table, output, train)?, settings.missing())
        else {
            continue;
        };
        let inputs: Vec<(&String, &ColumnSettings)> = inputs.iter().collect();
        let scored: Vec<Result<Option<Leak>, DataError>> = inputs
            .into_par_iter()
            .map(|(name, settings)| {
                let column = column(table, name, &rows)?;
                let absent = Absent::of(column.cells, settings.missing());
                let absence: Vec<f64> = rows.iter().map(|row| f64::from(u8::from(absent.at(*row)))).collect();
                let by_absence = worst_class(classes, &targets, |is_class| either_way(&absence, is_class));
                let by_value = value_auc(column, settings, &targets, classes)?;
                let (auc, by) = if by_absence >= by_value {
                    (by_absence, GivenAwayBy::Absence)
                } else {
                    (by_value, GivenAwayBy::Value)
                };
                Ok((auc > LIMIT).then(|| Leak { column: name.clone(), output: output.clone(), auc, by }))
            })
            .collect();
        for leak in scored {
            found.extend(leak?);
        }
    }
    Ok(found)
}

/// Evenly chosen rows, the class of each, and the number of classes; `None` for fewer than two.
fn targets(column: Column<'_>, missing: &[String]) -> Option<(Vec<u32>, Vec<u32>, usize)> {
    let counted = count(column, missing);
    let classes = counted.len();
    if classes < 2 {
        return None;
    }
    let most = (MAX_ROWS * 2 / classes).max(5000);
    let rows: Vec<u32> = column.rows.iter().step_by(column.rows.len().div_ceil(most)).copied().collect();
    let codes = Classes::new(counted).codes(Column { rows: &rows, ..column });
    let known = rows.into_iter().zip(codes).filter(|(_, code)| *code != NONE);
    let (rows, codes) = known.unzip();
    Some((rows, codes, classes))
}

fn value_auc(
    column: Column<'_>,
    settings: &ColumnSettings,
    targets: &[u32],
    classes: usize,
) -> Result<f64, DataError> {
    let values = match settings {
        ColumnSettings::Number(settings) => number_values(column, &settings.missing)?,
        ColumnSettings::Date(settings) => positions(column, settings)?,
        ColumnSettings::Category(_) | ColumnSettings::Set(_) => {
            return Ok(out_of_fold(&identities(column), targets, classes));
        }
        ColumnSettings::Tags(_) => return Ok(0.0),
        // Different texts share no value by which one could foretell the other.
        ColumnSettings::Text(_) => return Ok(0.0),
        // Which picture it is says nothing, and what is on it is for the network to see.
        ColumnSettings::Image(_) => return Ok(0.5),
    };
    if classes == 2 {
        let values = filled(values);
        return Ok(worst_class(2, targets, |is_class| either_way(&values, is_class)));
    }
    Ok(out_of_fold(&bins(&values), targets, classes))
}

/// The lowest area among the classes; for two classes that of either.
fn worst_class(classes: usize, targets: &[u32], auc: impl Fn(&dyn Fn(usize) -> bool) -> f64) -> f64 {
    let seen = |class: u32| targets.contains(&class);
    let range = if classes == 2 { 1..2 } else { 0..classes as u32 };
    let areas = range.filter(|class| seen(*class)).map(|class| auc(&|place| targets[place] == class));
    areas.fold(f64::INFINITY, f64::min).min(1.0)
}

/// A number for each different cell, the spaces around a text left aside; missing cells are one more.
fn identities(column: Column<'_>) -> Vec<u64> {
    let first = if let Cells::Text(text) = column.cells { text.first_codes() } else { Vec::new() };
    let identity = |row: &u32| match column.cells {
        Cells::Number(values) => values[*row as usize].to_bits(),
        Cells::Text(text) => {
            let code = text.codes[*row as usize];
            u64::from(first.get(code as usize).copied().unwrap_or(code))
        }
        Cells::Image(images) => images.identity(*row as usize),
    };
    column.rows.iter().map(identity).collect()
}

/// The bin of each number: one for each value if there are few, else as many equally filled ones.
fn bins(values: &[f64]) -> Vec<u64> {
    const BINS: usize = 50;
    let mut edges: Vec<f64> = values.iter().copied().filter(|value| !value.is_nan()).collect();
    edges.sort_unstable_by(f64::total_cmp);
    let mut distinct = edges.clone();
    distinct.dedup();
    if distinct.len() > BINS {
        distinct = (1..BINS).map(|bin| edges[bin * edges.len() / BINS]).collect();
    }
    let bin = |value: &f64| {
        if value.is_nan() { u64::MAX } else { distinct.partition_point(|edge| edge <= value) as u64 }
    };
    values.iter().map(bin).collect()
}

/// Missing numbers stand in the middle.
fn filled(mut values: Vec<f64>) -> Vec<f64> {
    let mut sorted: Vec<f64> = values.iter().copied().filter(|value| !value.is_nan()).collect();
    sorted.sort_unstable_by(f64::total_cmp);
    let middle = sorted.get(sorted.len() / 2).copied().unwrap_or(0.0);
    values.iter_mut().filter(|value| value.is_nan()).for_each(|value| *value = middle);
    values
}

/// The area when each row is scored by the share of the class among equal cells in the other folds.
fn out_of_fold(cells: &[u64], targets: &[u32], classes: usize) -> f64 {
    const FOLDS: usize = 5;
    let mut lot = Lot::new(0);
    let folds: Vec<u8> = (0..cells.len()).map(|_| lot.below(FOLDS) as u8).collect();
    let mut order: Vec<u32> = (0..cells.len() as u32).collect();
    order.sort_unstable_by_key(|place| cells[*place as usize]);
    worst_class(classes, targets, |is_class| {
        let prior = (0..targets.len()).filter(|place| is_class(*place)).count() as f64 / targets.len() as f64;
        let mut scores = vec![0.0; cells.len()];
        for equal in order.chunk_by(|a, b| cells[*a as usize] == cells[*b as usize]) {
            let (mut rows, mut hits) = ([0.0; FOLDS], [0.0; FOLDS]);
            for place in equal {
                let fold = usize::from(folds[*place as usize]);
                rows[fold] += 1.0;
                hits[fold] += f64::from(u8::from(is_class(*place as usize)));
            }
            let (all_rows, all_hits): (f64, f64) = (rows.iter().sum(), hits.iter().sum());
            for place in equal {
                let fold = usize::from(folds[*place as usize]);
                scores[*place as usize] = (all_hits - hits[fold] + prior) / (all_rows - rows[fold] + 1.0);
            }
        }
        auc(&scores, is_class)
    })
}

fn either_way(scores: &[f64], is_class: &dyn Fn(usize) -> bool) -> f64 {
    let auc = auc(scores, is_class);
    auc.max(1.0 - auc)
}

/// The chance that a row of the class has the larger score than a row of another, ties counting half.
fn auc(scores: &[f64], is_class: &dyn Fn(usize) -> bool) -> f64 {
    let mut order: Vec<u32> = (0..scores.len() as u32).collect();
    order.sort_unstable_by(|a, b| scores[*a as usize].total_cmp(&scores[*b as usize]));
    let (mut below, mut wins, mut hits) = (0.0, 0.0, 0.0);
    for equal in order.chunk_by(|a, b| scores[*a as usize] == scores[*b as usize]) {
        let inside = equal.iter().filter(|place| is_class(**place as usize)).count() as f64;
        let outside = equal.len() as f64 - inside;
        wins += inside * (below + outside / 2.0);
        below += outside;
        hits += inside;
    }
    if below == 0.0 || hits == 0.0 { 0.5 } else { wins / (below * hits) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(inputs: &[(&str, &str, Cells)], target: Cells, expected: &[&str]) {
        let rows = target.len();
        let mut columns: IndexMap<String, Cells> =
            inputs.iter().map(|(name, _, cells)| ((*name).to_owned(), cells.clone())).collect();
        columns.insert("y".to_owned(), target);
        let table = Table::new(columns, rows);
        let settings =
            inputs.iter().map(|(name, kind, _)| ((*name).to_owned(), ColumnSettings::of(kind).unwrap()));
        let outputs = [("y".to_owned(), ColumnSettings::of("category").unwrap())].into_iter().collect();
        let train: Vec<u32> = (0..rows as u32).collect();
        let leaks = leaks(&table, &train, &settings.collect(), &outputs).unwrap();
        let words: Vec<String> =
            leaks.iter().map(|leak| format!("{} {}", leak.column, leak.reason())).collect();
        assert_eq!(words, expected);
    }

    fn classes(rows: usize, count: usize) -> Cells {
        text((0..rows).map(|row| Some(format!("class {}", row * row % 7 % count))))
    }

    fn text(cells: impl Iterator<Item = Option<String>>) -> Cells {
        let cells: Vec<Option<String>> = cells.collect();
        Cells::Text(cells.iter().map(Option::as_deref).collect())
    }

    fn class(row: usize, count: usize) -> usize {
        row * row % 7 % count
    }

    #[test]
    fn copies_and_gaps_are_found_and_honest_columns_are_not() {
        let number = |of: &dyn Fn(usize) -> f64| Cells::Number((0..700).map(of).collect());
        let noise = |row: usize| (row * 7919 % 701) as f64;
        let inputs = [
            ("copy", "number", number(&|row| noise(row) / 1000.0 - class(row, 2) as f64)),
            ("gap", "number", number(&|row| if class(row, 2) == 0 { f64::NAN } else { noise(row) })),
            ("word", "category", text((0..700).map(|row| Some(format!("w{}", class(row, 2) * 3 + row % 3))))),
            (
                "closed",
                "date",
                text((0..700).map(|row| (class(row, 2) == 1).then(|| "2020-01-02".to_owned()))),
            ),
            ("noise", "number", number(&noise)),
            ("id", "category", text((0..700).map(|row| Some(format!("id {row}"))))),
            ("pair", "category", text((0..700).map(|row| Some(format!("pair {}", row / 2))))),
        ];
        check(
            &inputs,
            classes(700, 2),
            &[
                "copy gives `y` away: its value alone tells the classes apart (AUC 1.000)",
                "gap gives `y` away: its absence alone tells the classes apart (AUC 1.000)",
                "word gives `y` away: its value alone tells the classes apart (AUC 1.000)",
                "closed gives `y` away: its absence alone tells the classes apart (AUC 1.000)",
            ],
        );
    }

    #[test]
    fn of_several_classes_each_must_be_told() {
        let number = |of: &dyn Fn(usize) -> f64| Cells::Number((0..700).map(of).collect());
        let inputs = [
            ("code", "number", number(&|row| [5.0, 1.0, 3.0][class(row, 3)])),
            (
                "first",
                "number",
                number(&|row| if class(row, 3) == 0 { 0.0 } else { (row % 50) as f64 + 1.0 }),
            ),
        ];
        check(
            &inputs,
            classes(700, 3),
            &["code gives `y` away: its value alone tells the classes apart (AUC 1.000)"],
        );
    }

    #[test]
    fn spaces_around_a_text_make_no_other_value() {
        let cells = text(["a", "b", "a ", " b"].map(|cell| Some(cell.to_owned())).into_iter());
        assert_eq!(identities(Column { name: "x", cells: &cells, rows: &[0, 1, 2, 3] }), [0, 1, 0, 1]);
    }

    #[test]
    fn area_by_hand() {
        let hits = [false, true, false, true];
        assert_eq!(auc(&[0.1, 0.4, 0.35, 0.8], &|place| hits[place]), 1.0);
        assert_eq!(auc(&[0.4, 0.4, 0.35, 0.3], &|place| hits[place]), 0.375);
        assert_eq!(auc(&[0.0; 4], &|place| hits[place]), 0.5);
    }
}
