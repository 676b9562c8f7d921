//! Dividing the rows into train, val and test.

mod given;
mod lot;
mod time;

pub(crate) use given::part_of;

use crate::duplicates::first_alike;
use crate::error::DataError;
use crate::preprocess::column;
use crate::sources::Given;
use crate::table::{Cells, Table};
use crate::types::{Absent, ColumnSettings};
use indexmap::IndexMap;
use outset_spec::experiment::SplitBy;
use outset_spec::record::Dropped;

/// A part of the rows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Part {
    Train,
    Val,
    Test,
}

impl Part {
    /// All parts in their order.
    pub const ALL: [Self; 3] = [Self::Train, Self::Val, Self::Test];

    /// `train`, `val` or `test`.
    pub fn word(self) -> &'static str {
        match self {
            Self::Train => "train",
            Self::Val => "val",
            Self::Test => "test",
        }
    }
}

impl From<Part> for Given {
    fn from(part: Part) -> Self {
        match part {
            Part::Train => Self::Train,
            Part::Val => Self::Val,
            Part::Test => Self::Test,
        }
    }
}

impl From<Given> for Part {
    fn from(given: Given) -> Self {
        match given {
            Given::Train => Self::Train,
            Given::Val => Self::Val,
            Given::Test => Self::Test,
        }
    }
}

/// The part of each row.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Splits {
    /// By row of the table; `None` if the row was left out.
    pub parts: Vec<Option<Part>>,
    /// Rows that repeat an earlier one, inputs and target alike.
    pub duplicates: usize,
    /// Rows that were left out, by reason.
    pub dropped: Vec<Dropped>,
    /// How the rows were divided: `stratified, seed 42`.
    pub words: String,
}

impl Splits {
    /// The rows of a part, rising.
    pub fn rows(&self, part: Part) -> Vec<u32> {
        let of_part = |(row, of): (usize, &Option<Part>)| (*of == Some(part)).then_some(row as u32);
        self.parts.iter().enumerate().filter_map(of_part).collect()
    }
}

/// What a way of dividing needs to know.
struct Cut<'a> {
    table: &'a Table,
    /// The rows to divide, rising.
    rows: &'a [u32],
    /// Share of train, val and test; they add up to 1.
    shares: [f64; 3],
    seed: u64,
    /// By row of the table: the first of `rows` that equals it.
    first_alike: &'a [u32],
}

impl Cut<'_> {
    /// Number of parts that are to have rows.
    fn parts(&self) -> usize {
        self.shares.iter().filter(|share| **share > 0.0).count()
    }

    /// Whether a part has less than half of its share of the rows.
    fn lacks_rows(&self, parts: &[Option<Part>]) -> bool {
        Part::ALL.into_iter().zip(self.shares).any(|(part, share)| {
            let count = self.rows.iter().filter(|row| parts[**row as usize] == Some(part)).count();
            (count as f64) < (share * self.rows.len() as f64 / 2.0).floor()
        })
    }
}

/// Divides rows into train, val and test as the experiment says.
///
/// Rows without a value in some output, or with a picture that cannot be used, are left out and counted. Rows that are
/// alike in all inputs and outputs share a part, except where files, groups or times say otherwise, or where there are so
/// few different rows that a part would lack half of its rows; the words then say how many rows of val and test repeat a
/// train row. Parts that `given` lacks are cut from the given train rows in proportion. Equal rows and settings give an
/// equal split on any machine and any number of threads.
///
/// # Errors
/// If a column is missing, there are too few rows, classes or groups for all parts, or a cell names no part or time.
pub fn split(
    table: &Table,
    settings: &outset_spec::Split,
    given: Option<&[Part]>,
    inputs: &IndexMap<String, ColumnSettings>,
    outputs: &IndexMap<String, ColumnSettings>,
) -> Result<Splits, DataError> {
    for name in inputs.keys().chain(outputs.keys()).chain(&settings.column) {
        column(table, name, &[])?;
    }
    let mut splits = Splits { parts: vec![None; table.rows()], ..Splits::default() };
    let mut kept = with_targets(table, outputs, &mut splits.dropped)?;
    for (name, _) in inputs {
        if let Some(Cells::Image(images)) = table.get(name) {
            let reason = format!("unusable picture in `{name}`");
            drop_rows(&mut kept, &mut splits.dropped, &reason, |row| images.fault(row as usize).is_some());
        }
    }
    let by_column = settings.by == Some(SplitBy::Column);
    let named: Option<Vec<Option<Part>>> = match (given, &settings.column) {
        (Some(given), _) => Some(given.iter().copied().map(Some).collect()),
        (None, Some(name)) if by_column => Some(given::parts_of_column(table, name, &kept)?),
        _ => None,
    };
    if let Some(named) = &named {
        let reason = format!("no part in `{}`", settings.column.as_deref().unwrap_or_default());
        drop_rows(&mut kept, &mut splits.dropped, &reason, |row| named[row as usize].is_none());
    }
    if kept.is_empty() {
        let reasons = splits.dropped.iter().map(|dropped| (dropped.reason.clone(), dropped.count)).collect();
        return Err(DataError::NoRows { reasons });
    }
    let columns: Vec<&str> = inputs.keys().chain(outputs.keys()).map(String::as_str).collect();
    let alike = |rows: &[u32]| match inputs.len() {
        // Without inputs, equal targets do not make rows alike.
        0 => (0..table.rows() as u32).collect(),
        _ => first_alike(table, &columns, rows),
    };
    let alike_of_all = alike(&kept);
    splits.duplicates = kept.iter().filter(|row| alike_of_all[**row as usize] != **row).count();

    let mut shares = [settings.train, settings.val, settings.test];
    let mut to_divide = kept.clone();
    if let Some(named) = &named {
        to_divide.retain(|row| named[*row as usize] == Some(Part::Train));
        for row in &kept {
            let part = named[*row as usize];
            splits.parts[*row as usize] = part;
            // A part that is given is not cut from train.
            match part {
                Some(Part::Val) => shares[1] = 0.0,
                Some(Part::Test) => shares[2] = 0.0,
                _ => {}
            }
        }
        if to_divide.is_empty() {
            return Err(DataError::EmptyPart { part: "train" });
        }
    }
    let total: f64 = shares.iter().sum();
    shares.iter_mut().for_each(|share| *share /= total);
    let whole = named.is_none();
    let alike_of_train = if whole { Vec::new() } else { alike(&to_divide) };
    let first_alike = if whole { &alike_of_all } else { &alike_of_train };
    let cut = Cut { table, rows: &to_divide, shares, seed: settings.seed, first_alike };
    let mut words = Vec::new();
    let mut lot = String::new();
    if cut.parts() > 1 || whole {
        lot = divide(&cut, settings, inputs, outputs, &mut splits.parts)?;
        let by_lot = !matches!(settings.by, Some(SplitBy::Group | SplitBy::Time));
        if by_lot && cut.lacks_rows(&splits.parts) {
            let alone: Vec<u32> = (0..table.rows() as u32).collect();
            let cut = Cut { first_alike: &alone, ..cut };
            lot = divide(&cut, settings, inputs, outputs, &mut splits.parts)?;
            lot.push_str(", equal rows apart because so few rows differ");
        }
    }
    if whole {
        words.push(lot);
    } else {
        words.push(match (&settings.column, by_column && given.is_none()) {
            (Some(name), true) => format!("by column `{name}`"),
            _ => "given files".to_owned(),
        });
        let missing: Vec<&str> =
            (1..3).filter(|part| shares[*part] > 0.0).map(|part| Part::ALL[part].word()).collect();
        if !missing.is_empty() {
            words.push(format!("{} cut from train ({lot})", missing.join(" and ")));
        }
    }
    let repeats = given::repeats_of_train(&splits.parts, &kept, &alike_of_all);
    if repeats > 0 {
        let rows = if repeats == 1 { "1 row".to_owned() } else { format!("{repeats} rows") };
        let verb = if repeats == 1 { "repeats" } else { "repeat" };
        words.push(format!("{rows} of val and test {verb} a train row"));
    }
    splits.words = words.join("; ");
    for (part, share) in Part::ALL.into_iter().zip(shares) {
        if (share > 0.0 || part != Part::Test) && !splits.parts.contains(&Some(part)) {
            return Err(DataError::EmptyPart { part: part.word() });
        }
    }
    Ok(splits)
}

/// Divides the rows in the way that the settings name, and says it in words.
fn divide(
    cut: &Cut<'_>,
    settings: &outset_spec::Split,
    inputs: &IndexMap<String, ColumnSettings>,
    outputs: &IndexMap<String, ColumnSettings>,
    parts: &mut [Option<Part>],
) -> Result<String, DataError> {
    if cut.rows.len() < cut.parts() {
        return Err(DataError::TooFewRows { rows: cut.rows.len(), parts: cut.parts() });
    }
    let category = outputs.iter().find(|(_, settings)| settings.kind() == "category");
    let single = if outputs.len() == 1 { category } else { None };
    let way = match settings.by {
        None | Some(SplitBy::Column) if single.is_some() => SplitBy::Stratified,
        None | Some(SplitBy::Column) => SplitBy::Random,
        Some(way) => way,
    };
    let seed = settings.seed;
    let name = settings.column.as_deref().unwrap_or_default();
    match way {
        SplitBy::Random | SplitBy::Column => {
            lot::random(cut, parts);
            Ok(format!("random, seed {seed}"))
        }
        SplitBy::Stratified => {
            let (target, target_settings) = category.ok_or(DataError::NothingToStratify)?;
            lot::stratified(cut, target, target_settings.missing(), parts)?;
            Ok(format!("stratified, seed {seed}"))
        }
        SplitBy::Group => {
            lot::group(cut, name, parts)?;
            Ok(format!("by group of `{name}`, seed {seed}"))
        }
        SplitBy::Time => {
            time::time(cut, name, inputs.get(name), parts)?;
            Ok(format!("by time in `{name}`"))
        }
    }
}

/// The rows that hold a value in every output; the others are counted as dropped.
fn with_targets(
    table: &Table,
    outputs: &IndexMap<String, ColumnSettings>,
    dropped: &mut Vec<Dropped>,
) -> Result<Vec<u32>, DataError> {
    let mut kept: Vec<u32> = (0..table.rows() as u32).collect();
    for (name, settings) in outputs {
        let absent = Absent::of_output(column(table, name, &[])?.cells, settings.kind(), settings.missing());
        if table.rows() > 0 && (0..table.rows() as u32).all(|row| absent.at(row)) {
            return Err(DataError::NoTargets { column: name.clone() });
        }
        drop_rows(&mut kept, dropped, &format!("no value in `{name}`"), |row| absent.at(row));
    }
    Ok(kept)
}

/// Takes rows out and counts them.
fn drop_rows(kept: &mut Vec<u32>, dropped: &mut Vec<Dropped>, reason: &str, out: impl Fn(u32) -> bool) {
    const SHOWN: usize = 10;
    let (mut count, mut rows) = (0, Vec::new());
    kept.retain(|row| {
        let leaves = out(*row);
        if leaves {
            count += 1;
            if rows.len() < SHOWN {
                rows.push(*row as usize + 1);
            }
        }
        !leaves
    });
    if count > 0 {
        dropped.push(Dropped { reason: reason.to_owned(), count, rows });
    }
}

#[cfg(test)]
mod tests;
