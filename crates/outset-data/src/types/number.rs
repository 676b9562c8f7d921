//! Numbers: scaled, with the median for what is missing; as outputs standardised.

use super::classes::is_missing;
use super::scaling::{Scale, Scaling, moments, quantile};
use super::{Column, Entry, InputType, OutputType, part_name};
use crate::error::DataError;
use crate::features::{Component, FeatureShape, Features, Targets};
use crate::lot::Lot;
use crate::signature::{InputSignature, OutputSignature};
use crate::table::{Cells, number_text};
use outset_spec::{Bounds, Reader, settings};
use rayon::prelude::*;
use serde::{Deserialize, Serialize};
use serde_json::Value;

settings! {
    /// A column of quantities.
    pub struct NumberSettings {
        /// Cell texts that mean "missing" in this column, besides those of `data.missing`.
        missing: Vec<String> = Vec::new();
        /// How the numbers are scaled.
        scale: Scale = Scale::Robust;
        /// What the numbers less their center are divided by, for columns that are measured alike; by what `scale` finds in the column where left out.
        spread: Option<f64> = None, in Bounds::above(0.0);
    }
}

/// An input column of numbers: one component, and one that says what is missing if any train cell is.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct NumberInput {
    pub scaling: Scaling,
    /// Stands for a missing cell.
    pub median: f64,
    /// Texts that mean "missing".
    pub missing: Vec<String>,
    /// Share of missing cells in train.
    pub missing_share: f64,
    /// Quantiles of the train values at 0, 5, … 100 %.
    pub quantiles: Vec<f64>,
    pub knots: Vec<f32>,
    /// Digits after the decimal point, for values to show.
    pub decimals: u8,
}

/// An output column of numbers.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct NumberOutput {
    pub mean: f64,
    pub standard_deviation: f64,
    pub minimum: f64,
    pub maximum: f64,
    /// Texts that mean "missing".
    pub missing: Vec<String>,
    /// Digits after the decimal point, for values to show.
    pub decimals: u8,
}

/// Reads a number as people and programs write it; not the words for infinity or "not a number".
pub fn parse_number(text: &str) -> Option<f64> {
    let text = text.trim();
    if !text.ends_with(|last: char| last.is_ascii_digit() || last == '.') {
        return None;
    }
    text.parse().ok()
}

/// Cells as numbers, NaN where missing.
pub(super) enum Numbers<'a> {
    Plain { values: &'a [f64], missing: Vec<f64> },
    Coded { codes: &'a [u32], values: Vec<f64> },
}

impl<'a> Numbers<'a> {
    /// Views the cells of a column as numbers.
    ///
    /// # Errors
    /// The first of the rows that holds text or an infinite value.
    pub fn of(column: Column<'a>, missing: &[String]) -> Result<Self, DataError> {
        match column.cells {
            Cells::Number(values) => {
                let infinite = |row: &&u32| values[**row as usize].is_infinite();
                if let Some(row) = column.rows.iter().find(infinite) {
                    let (column, row) = (column.name.to_owned(), *row as usize + 1);
                    return Err(DataError::Infinite { column, row });
                }
                let missing = missing.iter().filter_map(|word| parse_number(word)).collect();
                Ok(Self::Plain { values, missing })
            }
            Cells::Text(text) => {
                let number = |value: &String| {
                    if is_missing(value, missing) { Some(f64::NAN) } else { parse_number(value) }
                };
                let parsed: Vec<Option<f64>> = text.values.iter().map(number).collect();
                if parsed.iter().any(|value| value.is_none_or(f64::is_infinite)) {
                    for row in column.rows {
                        let code = text.codes[*row as usize] as usize;
                        let name = || column.name.to_owned();
                        match parsed.get(code) {
                            Some(None) => {
                                let found = text.values[code].clone();
                                return Err(DataError::NotANumber {
                                    column: name(),
                                    row: *row as usize + 1,
                                    found,
                                });
                            }
                            Some(Some(value)) if value.is_infinite() => {
                                return Err(DataError::Infinite { column: name(), row: *row as usize + 1 });
                            }
                            _ => {}
                        }
                    }
                }
                let values = parsed.into_iter().map(|value| value.unwrap_or(f64::NAN)).collect();
                Ok(Self::Coded { codes: &text.codes, values })
            }
            Cells::Image(_) => {
                let row = column.rows.first().copied().unwrap_or(0) as usize;
                let found = column.cells.text(row).unwrap_or_default().into_owned();
                Err(DataError::NotANumber { column: column.name.to_owned(), row: row + 1, found })
            }
        }
    }

    /// The number of a row.
    pub fn get(&self, row: u32) -> f64 {
        match self {
            Self::Plain { values, missing } => {
                let value = values[row as usize];
                if missing.contains(&value) { f64::NAN } else { value }
            }
            Self::Coded { codes, values } => {
                values.get(codes[row as usize] as usize).copied().unwrap_or(f64::NAN)
            }
        }
    }

    /// The numbers of the rows, sorted, without the missing ones.
    pub fn sorted(&self, rows: &[u32]) -> Vec<f64> {
        let mut sorted: Vec<f64> =
            rows.iter().map(|row| self.get(*row)).filter(|value| !value.is_nan()).collect();
        sorted.par_sort_unstable_by(f64::total_cmp);
        sorted
    }
}

/// The numbers of a column's rows, NaN where missing.
///
/// # Errors
/// The first of the rows that holds text or an infinite value.
pub fn number_values(column: Column<'_>, missing: &[String]) -> Result<Vec<f64>, DataError> {
    let numbers = Numbers::of(column, missing)?;
    Ok(column.rows.iter().map(|row| numbers.get(*row)).collect())
}

impl InputType for NumberInput {
    type Settings = NumberSettings;

    fn fit(column: Column<'_>, settings: &NumberSettings) -> Result<Self, DataError> {
        let sorted = Numbers::of(column, &settings.missing)?.sorted(column.rows);
        if sorted.is_empty() {
            return Err(DataError::EmptyColumn { column: column.name.to_owned() });
        }
        let scaling = Scaling::fit(settings.scale, settings.spread, &sorted);
        Ok(Self {
            median: quantile(&sorted, 0.5),
            missing: settings.missing.clone(),
            missing_share: 1.0 - sorted.len() as f64 / column.rows.len() as f64,
            quantiles: (0..=20).map(|step| quantile(&sorted, f64::from(step) / 20.0)).collect(),
            knots: scaling.knots(&sorted),
            decimals: decimals(&sorted),
            scaling,
        })
    }

    fn shape(&self, name: &str) -> FeatureShape {
        let mut components = vec![Component { name: name.to_owned(), knots: self.knots.clone() }];
        if self.missing_share > 0.0 {
            components.push(Component { name: part_name(name, "missing"), knots: Vec::new() });
        }
        FeatureShape::Numeric { components }
    }

    fn encode(&self, column: Column<'_>) -> Result<Features, DataError> {
        let numbers = Numbers::of(column, &self.missing)?;
        let width = if self.missing_share > 0.0 { 2 } else { 1 };
        let mut values = Vec::with_capacity(column.rows.len() * width);
        for row in column.rows {
            let value = numbers.get(*row);
            let absent = value.is_nan();
            values.push(self.scaling.apply(if absent { self.median } else { value }));
            if width == 2 {
                values.push(f32::from(absent));
            }
        }
        Ok(Features::Numeric { width, values })
    }

    fn read(&self, value: &Value) -> Result<Entry, String> {
        let number = match value {
            Value::Number(number) => number.as_f64(),
            Value::String(text) if is_missing(text, &self.missing) => return Ok(Entry::Missing),
            Value::String(text) => parse_number(text),
            _ => None,
        };
        number
            .filter(|number| number.is_finite())
            .map(Entry::Number)
            .ok_or_else(|| "a finite number".to_owned())
    }

    fn describe(&self, signature: &mut InputSignature) {
        signature.minimum = self.quantiles.first().copied();
        signature.maximum = self.quantiles.last().copied();
        signature.median = Some(self.median);
        signature.decimals = Some(self.decimals);
        signature.example = json_number(self.median, self.decimals);
    }

    fn draw(&self, lot: &mut Lot) -> Value {
        if lot.unit() < self.missing_share.clamp(0.02, 0.2) {
            return Value::Null;
        }
        json_number(quantile(&self.quantiles, lot.unit()), self.decimals)
    }
}

impl OutputType for NumberOutput {
    type Settings = NumberSettings;

    fn read_settings(reader: &mut Reader<'_>) -> NumberSettings {
        NumberSettings { missing: reader.get("missing", Vec::new(), None), ..Default::default() }
    }

    fn fit(column: Column<'_>, settings: &NumberSettings) -> Result<Self, DataError> {
        let sorted = Numbers::of(column, &settings.missing)?.sorted(column.rows);
        let name = || column.name.to_owned();
        let (Some(minimum), Some(maximum)) = (sorted.first().copied(), sorted.last().copied()) else {
            return Err(DataError::NoTargets { column: name() });
        };
        let (mean, standard_deviation) = moments(sorted.iter().copied());
        if standard_deviation == 0.0 {
            return Err(DataError::OneValue { column: name(), value: number_text(minimum) });
        }
        let (missing, decimals) = (settings.missing.clone(), decimals(&sorted));
        Ok(Self { mean, standard_deviation, minimum, maximum, missing, decimals })
    }

    fn encode(&self, column: Column<'_>) -> Result<Targets, DataError> {
        let numbers = Numbers::of(column, &self.missing)?;
        let standardise = |row: &u32| ((numbers.get(*row) - self.mean) / self.standard_deviation) as f32;
        Ok(Targets::Number { values: column.rows.iter().map(standardise).collect() })
    }

    fn describe(&self, signature: &mut OutputSignature) {
        signature.minimum = Some(self.minimum);
        signature.maximum = Some(self.maximum);
        signature.decimals = Some(self.decimals);
    }

    fn moments(&self) -> Option<(f64, f64)> {
        Some((self.mean, self.standard_deviation))
    }
}

/// Digits after the decimal point that the values are written with, at most 6.
fn decimals(sorted: &[f64]) -> u8 {
    let stride = (sorted.len() / 1000).max(1);
    let fits = |digits: i32| {
        let factor = 10f64.powi(digits);
        sorted.iter().step_by(stride).all(|value| {
            let scaled = value * factor;
            (scaled - scaled.round()).abs() <= 1e-9 * scaled.abs().max(1.0)
        })
    };
    (0..6).find(|digits| fits(i32::from(*digits))).unwrap_or(6)
}

/// The number rounded to so many digits, whole numbers as integers.
pub(super) fn json_number(value: f64, decimals: u8) -> Value {
    let factor = 10f64.powi(i32::from(decimals));
    let rounded = (value * factor).round() / factor;
    let rounded = if rounded.is_finite() { rounded } else { value };
    if rounded.fract() == 0.0 && rounded.abs() < 1e15 {
        Value::from(rounded as i64)
    } else {
        Value::from(rounded)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn fit(cells: &Cells, missing: &[&str]) -> Result<NumberInput, DataError> {
        let rows: Vec<u32> = (0..cells.len() as u32).collect();
        let missing = missing.iter().map(|word| (*word).to_owned()).collect();
        let settings = NumberSettings { missing, scale: Scale::None, spread: None };
        NumberInput::fit(Column { name: "x", cells, rows: &rows }, &settings)
    }

    fn check(cells: Cells, missing: &[&str], expected: &[f32]) {
        let rows: Vec<u32> = (0..cells.len() as u32).collect();
        let features =
            fit(&cells, missing).unwrap().encode(Column { name: "x", cells: &cells, rows: &rows }).unwrap();
        let Features::Numeric { values, .. } = features else { panic!("a number is numeric") };
        assert_eq!(values, expected);
    }

    #[test]
    fn missing_cells_hold_the_median_and_are_marked() {
        check(Cells::Number(vec![1.0, 2.0, 6.0]), &[], &[1.0, 2.0, 6.0]);
        check(Cells::Number(vec![1.0, f64::NAN, 6.0, 2.0]), &[], &[1.0, 0.0, 2.0, 1.0, 6.0, 0.0, 2.0, 0.0]);
        check(Cells::Number(vec![4.0, 0.0]), &["0"], &[4.0, 0.0, 4.0, 1.0]);
        check(
            Cells::Text([Some("1.5"), Some("?"), None].into_iter().collect()),
            &["?"],
            &[1.5, 0.0, 1.5, 1.0, 1.5, 1.0],
        );
    }

    #[test]
    fn an_unforeseen_gap_falls_back_to_the_median() {
        let fitted = fit(&Cells::Number(vec![1.0, 2.0, 6.0]), &[]).unwrap();
        let gap = Cells::Number(vec![f64::NAN]);
        let features = fitted.encode(Column { name: "x", cells: &gap, rows: &[0] }).unwrap();
        assert_eq!(features, Features::Numeric { width: 1, values: vec![2.0] });
    }

    #[test]
    fn text_and_infinity_name_their_row() {
        let text = Cells::Text([Some("1"), None, Some("unknown")].into_iter().collect());
        let error = fit(&text, &[]).unwrap_err();
        assert_eq!(error.to_string(), "column `x` is a number, but row 3 holds `unknown`");
        assert_eq!(
            error.hint().unwrap(),
            "add `\"unknown\"` to `data.missing`, or set the column's type to `category`"
        );
        let error = fit(&Cells::Number(vec![1.0, f64::INFINITY]), &[]).unwrap_err();
        assert_eq!(error.to_string(), "column `x` is a number, but row 2 holds an infinite value");
        let error = fit(&Cells::Number(vec![f64::NAN]), &[]).unwrap_err();
        assert_eq!(error.to_string(), "column `x` holds no value in the train part");
    }

    #[test]
    fn requests() {
        let fitted = fit(&Cells::Number(vec![1.0, 2.0]), &["-"]).unwrap();
        let finite = || Err("a finite number".to_owned());
        for (value, expected) in [
            (json!(3), Ok(Entry::Number(3.0))),
            (json!("12.5"), Ok(Entry::Number(12.5))),
            (json!("-"), Ok(Entry::Missing)),
            (json!("inf"), finite()),
            (json!("NaN"), finite()),
            (json!("1e999"), finite()),
            (json!(true), finite()),
            (json!([1]), finite()),
        ] {
            assert_eq!(fitted.read(&value), expected, "{value}");
        }
    }

    #[test]
    fn targets_are_standardised() {
        let cells = Cells::Number(vec![1.0, 3.0]);
        let column = Column { name: "y", cells: &cells, rows: &[0, 1] };
        let fitted = NumberOutput::fit(column, &NumberSettings::default()).unwrap();
        assert_eq!(fitted.encode(column).unwrap(), Targets::Number { values: vec![-1.0, 1.0] });
        let cells = Cells::Number(vec![0.1, 0.1, 0.1]);
        let error =
            NumberOutput::fit(Column { name: "y", cells: &cells, rows: &[0, 1, 2] }, &Default::default());
        assert_eq!(
            error.unwrap_err().to_string(),
            "column `y` is to be predicted, but every row of the train part holds `0.1`"
        );
    }

    #[test]
    fn values_are_shown_with_their_digits() {
        assert_eq!(decimals(&[1.0, 2.0]), 0);
        assert_eq!(decimals(&[0.1, 2.25]), 2);
        assert_eq!(json_number(2.449, 1), json!(2.4));
        assert_eq!(json_number(2.449, 0), json!(2));
    }
}
