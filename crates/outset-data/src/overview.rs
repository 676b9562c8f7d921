//! What the columns hold, for the record of a run.

use crate::preprocess::Preprocessor;
use crate::table::{Cells, Table};
use crate::types::{
    Absent, Column, FittedInput, FittedOutput, count, number_values, positions, sort_by_count,
};
use outset_spec::record::{ColumnRecord, Summary};
use rayon::prelude::*;
use sha2::{Digest, Sha256};
use std::collections::HashMap;

/// Bins of a histogram.
const BINS: usize = 20;

/// Most frequent values that are named.
const TOP: usize = 20;

/// Fills in how the values of each column lie in the train part, and how many cells of all rows have no value.
///
/// The records come with name, role, kind and reason. Positions of dates are in days since 1970. Of columns without a
/// kind, such as ids, no value is named.
pub fn overview(
    table: &Table,
    train: &[u32],
    columns: Vec<ColumnRecord>,
    preprocessor: &Preprocessor,
) -> Vec<ColumnRecord> {
    columns.into_par_iter().map(|record| fill(table, train, record, preprocessor)).collect()
}

fn fill(table: &Table, train: &[u32], mut record: ColumnRecord, preprocessor: &Preprocessor) -> ColumnRecord {
    let Some(cells) = table.get(&record.name) else {
        return record;
    };
    let name = record.name.clone();
    let column = Column { name: &name, cells, rows: train };
    let input = preprocessor.inputs.get(&name);
    let output = preprocessor.outputs.get(&name);
    if let Some(FittedInput::Text(text)) = input {
        record.encoding = text.summary();
    }
    let missing = input.map(FittedInput::missing).or(output.map(FittedOutput::missing)).unwrap_or_default();
    let absent = match output {
        Some(output) => Absent::of_output(cells, output.kind(), missing),
        None => Absent::of(cells, missing),
    };
    record.missing = (0..table.rows() as u32).filter(|row| absent.at(*row)).count();
    let separator = match (input, output) {
        (Some(FittedInput::Set(set)), _) => Some(set.separator.as_str()),
        (_, Some(FittedOutput::Set(set))) => Some(set.separator.as_str()),
        _ => None,
    };
    let numbers = match (record.kind.as_str(), input, cells) {
        ("date", Some(FittedInput::Date(date)), _) => positions(column, &date.settings()).ok(),
        ("number", ..) => number_values(column, missing).ok(),
        ("text", ..) => Some(text_lengths(column, missing)),
        ("", _, Cells::Number(_)) => number_values(column, missing).ok(),
        _ => None,
    };
    if let Cells::Image(images) = cells {
        let mut different: Vec<u64> = train
            .iter()
            .filter(|row| !cells.is_missing(**row as usize))
            .map(|row| images.identity(*row as usize))
            .collect();
        different.sort_unstable();
        different.dedup();
        record.distinct = different.len();
        return record;
    }
    if let Some(numbers) = numbers {
        let mut sorted: Vec<f64> = numbers.into_iter().filter(|value| !value.is_nan()).collect();
        sorted.sort_unstable_by(f64::total_cmp);
        record.distinct = sorted.chunk_by(|a, b| a == b).count();
        if !record.kind.is_empty() {
            record.summary = summary(&sorted);
            record.histogram = histogram(&sorted);
        }
        return record;
    }
    if let Some(FittedOutput::Tags(tags)) = output {
        record.distinct = tags.types.len();
        let mut counted: Vec<(String, u64)> =
            tags.types.names.iter().cloned().zip(tags.types.counts.iter().copied()).collect();
        sort_by_count(&mut counted);
        record.top = counted.into_iter().take(TOP).map(|(kind, count)| (kind, count as usize)).collect();
        return record;
    }
    let cells = count(column, missing);
    record.distinct = cells.len();
    let mut counted = match separator {
        None => cells,
        Some(separator) => {
            let mut labels: HashMap<&str, u64> = HashMap::new();
            for (cell, count) in &cells {
                for label in cell.split(separator).map(str::trim).filter(|label| !label.is_empty()) {
                    *labels.entry(label).or_default() += count;
                }
            }
            let labels: Vec<(String, u64)> =
                labels.into_iter().map(|(label, count)| (label.to_owned(), count)).collect();
            record.distinct = labels.len();
            labels
        }
    };
    if !record.kind.is_empty() {
        sort_by_count(&mut counted);
        counted.truncate(TOP);
        record.top = counted.into_iter().map(|(value, count)| (value, count as usize)).collect();
    }
    record
}

/// Characters of each text that is there.
fn text_lengths(column: Column<'_>, missing: &[String]) -> Vec<f64> {
    let counted = count(column, missing);
    counted
        .iter()
        .flat_map(|(text, rows)| std::iter::repeat_n(text.chars().count() as f64, *rows as usize))
        .collect()
}

fn summary(sorted: &[f64]) -> Option<Summary> {
    let (min, max) = (*sorted.first()?, *sorted.last()?);
    let (mean, standard_deviation) = crate::types::moments(sorted.iter().copied());
    Some(Summary { min, median: crate::types::quantile(sorted, 0.5), mean, max, standard_deviation })
}

/// Counts of equally wide bins from the smallest value to the largest.
fn histogram(sorted: &[f64]) -> Vec<usize> {
    let (Some(min), Some(max)) = (sorted.first(), sorted.last()) else {
        return Vec::new();
    };
    let mut counts = vec![0; BINS];
    let width = (max - min) / BINS as f64;
    for value in sorted {
        let bin = if width > 0.0 { ((value - min) / width) as usize } else { 0 };
        counts[bin.min(BINS - 1)] += 1;
    }
    counts
}

/// A hash of the rows in their order, whatever file format they came in: of each column's name and cells, numbers by
/// their bits, texts by their letters, pictures by the bytes of their files.
pub fn rows_sha256(table: &Table) -> String {
    let columns: Vec<(&String, &Cells)> = table.columns.iter().collect();
    let digests: Vec<[u8; 32]> = columns
        .into_par_iter()
        .map(|(name, cells)| {
            let mut hash = Sha256::new();
            let text = |hash: &mut Sha256, text: &str| {
                hash.update((text.len() as u64).to_le_bytes());
                hash.update(text);
            };
            text(&mut hash, name);
            for row in 0..cells.len() {
                match cells {
                    _ if cells.is_missing(row) => hash.update([0]),
                    Cells::Number(values) => {
                        let mut bytes = [1; 9];
                        bytes[1..].copy_from_slice(&(values[row] + 0.0).to_le_bytes());
                        hash.update(bytes);
                    }
                    Cells::Text(cells) => {
                        hash.update([2]);
                        text(&mut hash, cells.get(row).unwrap_or_default());
                    }
                    Cells::Image(images) => {
                        hash.update([3]);
                        hash.update(images.digest(row));
                    }
                }
            }
            hash.finalize().into()
        })
        .collect();
    let mut whole = Sha256::new();
    whole.update((table.rows() as u64).to_le_bytes());
    digests.iter().for_each(|digest| whole.update(digest));
    whole.finalize().iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::types::ColumnSettings;
    use indexmap::IndexMap;

    fn table() -> Table {
        let columns = [
            ("age", Cells::Number(vec![0.0, 10.0, 20.0, f64::NAN, 99.0])),
            ("tags", Cells::Text([Some("a|b"), Some("b"), None, Some("b|c"), None].into_iter().collect())),
            (
                "color",
                Cells::Text([Some("x"), Some("y"), Some("x"), Some("?"), Some("z")].into_iter().collect()),
            ),
            (
                "day",
                Cells::Text([Some("1970-01-02"), Some("1970-01-05"), None, None, None].into_iter().collect()),
            ),
            (
                "id",
                Cells::Text([Some("i"), Some("j"), Some("k"), Some("l"), Some("m")].into_iter().collect()),
            ),
        ];
        Table::new(columns.map(|(name, cells)| (name.to_owned(), cells)).into_iter().collect(), 5)
    }

    #[test]
    fn records_are_filled_from_train() {
        let kinds = [("age", "number"), ("tags", "set"), ("color", "category"), ("day", "date")];
        let mut inputs: IndexMap<String, ColumnSettings> = kinds
            .iter()
            .map(|(name, kind)| ((*name).to_owned(), ColumnSettings::of(kind).unwrap()))
            .collect();
        if let ColumnSettings::Category(settings) = &mut inputs["color"] {
            settings.missing = vec!["?".to_owned()];
        }
        let table = table();
        let train = [0, 1, 2, 3];
        let preprocessor = Preprocessor::fit(&table, &train, &inputs, &IndexMap::new(), vec![]).unwrap();
        let record = |(name, kind): &(&str, &str)| ColumnRecord {
            name: (*name).to_owned(),
            kind: (*kind).to_owned(),
            ..ColumnRecord::default()
        };
        let records = kinds.iter().chain(&[("id", "")]).map(record).collect();
        let records = overview(&table, &train, records, &preprocessor);
        let facts: Vec<(usize, usize)> =
            records.iter().map(|record| (record.missing, record.distinct)).collect();
        assert_eq!(facts, [(1, 3), (2, 3), (1, 2), (3, 2), (0, 4)]);
        let summary = records[0].summary.unwrap();
        assert_eq!((summary.min, summary.median, summary.mean, summary.max), (0.0, 10.0, 10.0, 20.0));
        assert_eq!((records[0].histogram[0], records[0].histogram[10], records[0].histogram[19]), (1, 1, 1));
        assert_eq!(records[1].top, [("b".into(), 3), ("a".into(), 1), ("c".into(), 1)]);
        assert_eq!(records[2].top, [("x".into(), 2), ("y".into(), 1)]);
        assert_eq!(records[3].summary.unwrap().min, 1.0);
        assert!(records[4].top.is_empty());
    }

    #[test]
    fn the_hash_is_of_what_the_rows_say() {
        let hash = rows_sha256(&table());
        assert_eq!(hash.len(), 64);
        let mut other = table();
        other.columns["color"] = Cells::Text(crate::table::Text {
            codes: vec![1, 0, 1, 2, 3],
            values: ["y", "x", "?", "z"].map(String::from).to_vec(),
        });
        assert_eq!(rows_sha256(&other), hash);
        other.columns["age"] = Cells::Number(vec![-0.0, 10.0, 20.0, f64::NAN, 99.0]);
        assert_eq!(rows_sha256(&other), hash);
        other.columns["age"] = Cells::Number(vec![1.0, 10.0, 20.0, f64::NAN, 99.0]);
        assert_ne!(rows_sha256(&other), hash);
    }
}
