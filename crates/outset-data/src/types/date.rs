//! Dates: the position in time, and those turns of the calendar (week, month, year, day) that differ between the train rows.
//!
//! A turn is written as sines and cosines of its multiples, as seasonal effects are in Taylor and Letham 2018
//! (<https://doi.org/10.1080/00031305.2017.1380080>): 31 December stands beside 1 January, and few rows are not lost
//! among many bins.

use super::classes::is_missing;
use super::moment::{DateFormat, days, moment_of_days, moment_of_number};
use super::number::Numbers;
use super::scaling::{Scale, Scaling, quantile};
use super::{Column, Entry, InputType, parse_number, part_name};
use crate::error::DataError;
use crate::features::{Component, FeatureShape, Features};
use crate::lot::Lot;
use crate::signature::InputSignature;
use crate::table::Cells;
use jiff::civil::DateTime;
use outset_spec::{choices, settings};
use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::Value;
use std::collections::HashMap;

settings! {
    /// A column of days or moments.
    pub struct DateSettings {
        /// Cell texts that mean "missing" in this column, besides those of `data.missing`.
        missing: Vec<String> = Vec::new();
        /// How the dates are written, for example `%d.%m.%Y`; detected where left out.
        format: Option<String> = None;
    }
}

choices! {
    /// What of a date is turned into numbers.
    pub enum DatePart {
        /// Days since 1970, with the time of day as a fraction.
        Position = "position",
        /// The time of the year.
        Year = "time of year",
        /// The day of the month.
        Month = "day of month",
        /// The day of the week.
        Week = "day of week",
        /// The time of the day.
        Day = "time of day",
    }
}

const PARTS: [DatePart; 5] =
    [DatePart::Position, DatePart::Year, DatePart::Month, DatePart::Week, DatePart::Day];

/// In files a part is its word.
impl Serialize for DatePart {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.word())
    }
}

impl<'de> Deserialize<'de> for DatePart {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let word = String::deserialize(deserializer)?;
        let part = PARTS.into_iter().find(|part| part.word() == word);
        part.ok_or_else(|| D::Error::custom(format!("unknown part of a date `{word}`")))
    }
}

impl DatePart {
    /// The position in days, or the share of the turn that is done, from 0 to below 1.
    fn of(self, moment: DateTime) -> f64 {
        let days_done = |day: i16| f64::from(day - 1);
        match self {
            Self::Position => days(moment),
            Self::Year => days_done(moment.day_of_year()) / f64::from(moment.days_in_year()),
            Self::Month => days_done(moment.day().into()) / f64::from(moment.days_in_month()),
            Self::Week => days_done(moment.weekday().to_monday_one_offset().into()) / 7.0,
            Self::Day => days(moment).rem_euclid(1.0),
        }
    }

    /// How many multiples of a turn are taken, each as a sine and a cosine; none for a position.
    fn multiples(self) -> usize {
        match self {
            Self::Position => 0,
            Self::Month => 1,
            Self::Year => 2,
            Self::Week => 3,
            Self::Day => 4,
        }
    }
}

/// An input column of dates.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct DateInput {
    pub format: DateFormat,
    /// The parts, none of them the same in every train row.
    pub parts: Vec<FittedPart>,
    /// Texts that mean "missing".
    pub missing: Vec<String>,
    /// Share of missing cells in train.
    pub missing_share: f64,
    /// Quantiles of the position in train at 0, 5, … 100 %.
    pub quantiles: Vec<f64>,
    /// Whether no train cell holds a time of day.
    pub whole_days: bool,
}

/// One part of a date.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct FittedPart {
    pub part: DatePart,
    pub scaling: Scaling,
    /// Stands for a missing cell.
    pub median: f64,
    pub knots: Vec<f32>,
}

impl FittedPart {
    /// Name and knots of each component.
    fn components(&self, name: &str) -> Vec<Component> {
        let named = |part: &str, knots| Component { name: part_name(name, part), knots };
        match self.part.multiples() {
            0 => vec![named(self.part.word(), self.knots.clone())],
            multiples => (1..=multiples)
                .flat_map(|multiple| ["sine", "cosine"].map(|wave| (multiple, wave)))
                .map(|(multiple, wave)| named(&format!("{} {wave} {multiple}", self.part.word()), Vec::new()))
                .collect(),
        }
    }

    /// Appends the components of a moment; a missing one lies at the median, or in the middle of the turn's circle.
    fn encode(&self, moment: Option<DateTime>, values: &mut Vec<f32>) {
        let value = moment.map(|moment| self.part.of(moment));
        match self.part.multiples() {
            0 => values.push(self.scaling.apply(value.unwrap_or(self.median))),
            multiples => values.extend((1..=multiples).flat_map(|multiple| match value {
                Some(turn) => {
                    let (sine, cosine) = (std::f64::consts::TAU * turn * multiple as f64).sin_cos();
                    [sine as f32, cosine as f32]
                }
                None => [0.0, 0.0],
            })),
        }
    }
}

/// Cells as moments.
pub(super) enum Moments<'a> {
    Numbers(Numbers<'a>),
    /// Numbers that are digits of a pattern, with the moment of each different one by its bits.
    Digits(Numbers<'a>, HashMap<u64, Option<DateTime>>),
    Coded {
        codes: &'a [u32],
        moments: Vec<Option<DateTime>>,
    },
}

impl<'a> Moments<'a> {
    /// Views the cells of a column as moments.
    ///
    /// # Errors
    /// The first of the rows that holds something else.
    pub fn of(column: Column<'a>, format: &DateFormat, missing: &[String]) -> Result<Self, DataError> {
        let wrong = |row: u32| DataError::NotADate {
            column: column.name.to_owned(),
            row: row as usize + 1,
            found: column.cells.text(row as usize).unwrap_or_default().into_owned(),
            format: format.words(),
        };
        match column.cells {
            Cells::Number(_) => {
                let numbers = Numbers::of(column, missing)?;
                let (is_digits, mut moments) = (format.is_digits(), HashMap::new());
                for row in column.rows {
                    let number = numbers.get(*row);
                    if number.is_nan() {
                        continue;
                    }
                    let moment = if is_digits {
                        *moments.entry(number.to_bits()).or_insert_with(|| format.of_number(number))
                    } else {
                        moment_of_number(number)
                    };
                    if moment.is_none() {
                        return Err(wrong(*row));
                    }
                }
                Ok(if is_digits { Self::Digits(numbers, moments) } else { Self::Numbers(numbers) })
            }
            Cells::Text(text) => {
                let parse = |cell: &String| format.parse(cell).or_else(|| DateFormat::iso().parse(cell));
                let moments: Vec<Option<DateTime>> = text.values.iter().map(parse).collect();
                let absent: Vec<bool> = text.values.iter().map(|cell| is_missing(cell, missing)).collect();
                let bad = |row: &&u32| {
                    let code = text.codes[**row as usize] as usize;
                    code < moments.len() && moments[code].is_none() && !absent[code]
                };
                match column.rows.iter().find(bad) {
                    Some(row) => Err(wrong(*row)),
                    None => Ok(Self::Coded { codes: &text.codes, moments }),
                }
            }
            Cells::Image(_) => Err(wrong(column.rows.first().copied().unwrap_or(0))),
        }
    }

    /// The moment of a row; `None` if it is missing.
    pub fn get(&self, row: u32) -> Option<DateTime> {
        match self {
            Self::Numbers(numbers) => moment_of_number(numbers.get(row)),
            Self::Digits(numbers, moments) => moments.get(&numbers.get(row).to_bits()).copied().flatten(),
            Self::Coded { codes, moments } => moments.get(codes[row as usize] as usize).copied().flatten(),
        }
    }
}

/// The way in which the dates of a column are written.
///
/// # Errors
/// If no common way fits all of them.
pub(super) fn format_of(
    column: Column<'_>,
    format: Option<&str>,
    missing: &[String],
) -> Result<DateFormat, DataError> {
    match (format, column.cells) {
        (Some(format), _) => Ok(DateFormat(format.to_owned())),
        (None, Cells::Image(_)) => Err(DataError::NoDateFormat { column: column.name.to_owned() }),
        (None, Cells::Number(_)) => Ok(DateFormat::number()),
        (None, Cells::Text(text)) => {
            let mut present = vec![false; text.values.len()];
            for row in column.rows {
                if let Some(present) = present.get_mut(text.codes[*row as usize] as usize) {
                    *present = true;
                }
            }
            let cells = text.values.iter().zip(present).filter(|(_, present)| *present);
            let cells: Vec<&str> =
                cells.map(|(cell, _)| cell.as_str()).filter(|cell| !is_missing(cell, missing)).collect();
            if cells.is_empty() {
                return Err(DataError::EmptyColumn { column: column.name.to_owned() });
            }
            DateFormat::detect(cells.iter().copied())
                .ok_or_else(|| DataError::NoDateFormat { column: column.name.to_owned() })
        }
    }
}

/// Positions in time of a column's rows in days since 1970, NaN where missing.
///
/// # Errors
/// If a cell is no date.
pub fn positions(column: Column<'_>, settings: &DateSettings) -> Result<Vec<f64>, DataError> {
    let format = format_of(column, settings.format.as_deref(), &settings.missing)?;
    let moments = Moments::of(column, &format, &settings.missing)?;
    Ok(column.rows.iter().map(|row| moments.get(*row).map_or(f64::NAN, days)).collect())
}

impl InputType for DateInput {
    type Settings = DateSettings;

    fn fit(column: Column<'_>, settings: &DateSettings) -> Result<Self, DataError> {
        let format = format_of(column, settings.format.as_deref(), &settings.missing)?;
        let moments = Moments::of(column, &format, &settings.missing)?;
        let (mut parts, mut quantiles, mut present, mut whole_days) = (Vec::new(), Vec::new(), 0, true);
        for part in PARTS {
            let mut sorted: Vec<f64> = column
                .rows
                .iter()
                .filter_map(|row| moments.get(*row))
                .map(|moment| part.of(moment))
                .collect();
            sorted.sort_unstable_by(f64::total_cmp);
            let (Some(first), Some(last)) = (sorted.first(), sorted.last()) else {
                return Err(DataError::EmptyColumn { column: column.name.to_owned() });
            };
            let constant = first == last;
            if part == DatePart::Position {
                present = sorted.len();
                whole_days = sorted.iter().all(|position| position.fract() == 0.0);
                quantiles = (0..=20).map(|step| quantile(&sorted, f64::from(step) / 20.0)).collect();
            }
            if !constant {
                let turn = part.multiples() > 0;
                let scaling = Scaling::fit(if turn { Scale::None } else { Scale::Robust }, None, &sorted);
                let knots = if turn { Vec::new() } else { scaling.knots(&sorted) };
                let median = quantile(&sorted, 0.5);
                parts.push(FittedPart { part, scaling, median, knots });
            }
        }
        let missing_share = 1.0 - present as f64 / column.rows.len() as f64;
        Ok(Self { format, parts, missing: settings.missing.clone(), missing_share, quantiles, whole_days })
    }

    fn shape(&self, name: &str) -> FeatureShape {
        let mut components: Vec<Component> =
            self.parts.iter().flat_map(|part| part.components(name)).collect();
        if self.missing_share > 0.0 || components.is_empty() {
            components.push(Component { name: part_name(name, "missing"), knots: Vec::new() });
        }
        FeatureShape::Numeric { components }
    }

    fn encode(&self, column: Column<'_>) -> Result<Features, DataError> {
        let moments = Moments::of(column, &self.format, &self.missing)?;
        let indicator = self.missing_share > 0.0 || self.parts.is_empty();
        let width_of = |part: &FittedPart| (2 * part.part.multiples()).max(1);
        let width = self.parts.iter().map(width_of).sum::<usize>() + usize::from(indicator);
        let mut values = Vec::with_capacity(column.rows.len() * width);
        for row in column.rows {
            let moment = moments.get(*row);
            for fitted in &self.parts {
                fitted.encode(moment, &mut values);
            }
            if indicator {
                values.push(f32::from(moment.is_none()));
            }
        }
        Ok(Features::Numeric { width, values })
    }

    fn read(&self, value: &Value) -> Result<Entry, String> {
        let expected = || format!("a date such as `{}`", self.example());
        match value {
            Value::String(text) if is_missing(text, &self.missing) => Ok(Entry::Missing),
            Value::String(text) => {
                let moment = self.format.parse(text).or_else(|| DateFormat::iso().parse(text));
                // The number is read again as one, so that a request's column may mix both.
                match moment {
                    Some(_) if self.format == DateFormat::number() && parse_number(text).is_some() => {
                        Ok(Entry::Number(parse_number(text).unwrap_or(f64::NAN)))
                    }
                    Some(_) => Ok(Entry::Text(text.clone())),
                    None => Err(expected()),
                }
            }
            Value::Number(number) if self.format == DateFormat::number() || self.format.is_digits() => {
                let number = number.as_f64().filter(|number| self.format.of_number(*number).is_some());
                number.map(Entry::Number).ok_or_else(expected)
            }
            _ => Err(expected()),
        }
    }

    fn describe(&self, signature: &mut InputSignature) {
        signature.format = Some(self.format.words());
        signature.example = Value::from(self.example());
    }

    fn draw(&self, lot: &mut Lot) -> Value {
        if lot.unit() < self.missing_share.clamp(0.02, 0.2) {
            return Value::Null;
        }
        Value::from(self.written(lot.unit()))
    }
}

impl DateInput {
    /// Settings that read cells as this column does.
    pub fn settings(&self) -> DateSettings {
        DateSettings { missing: self.missing.clone(), format: Some(self.format.0.clone()) }
    }

    /// The middle date as it would be written.
    fn example(&self) -> String {
        self.written(0.5)
    }

    /// The date at a share of the train dates.
    fn written(&self, share: f64) -> String {
        let position = quantile(&self.quantiles, share);
        self.format.write(moment_of_days(if self.whole_days { position.floor() } else { position }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn fit(cells: &[Option<&str>]) -> Result<(DateInput, Cells), DataError> {
        let rows: Vec<u32> = (0..cells.len() as u32).collect();
        let cells = Cells::Text(cells.iter().copied().collect());
        let column = Column { name: "day", cells: &cells, rows: &rows };
        DateInput::fit(column, &DateSettings::default()).map(|fitted| (fitted, cells))
    }

    fn check(cells: &[Option<&str>], expected: &[&str]) {
        let (fitted, _) = fit(cells).unwrap();
        let FeatureShape::Numeric { components } = fitted.shape("day") else { panic!("a date is numeric") };
        let names: Vec<&str> = components.iter().map(|component| component.name.as_str()).collect();
        assert_eq!(names, expected);
    }

    #[test]
    fn parts_that_never_differ_are_left_out() {
        check(
            &[Some("2011-01-01"), Some("2011-01-02")],
            &[
                "day position",
                "day time of year sine 1",
                "day time of year cosine 1",
                "day time of year sine 2",
                "day time of year cosine 2",
                "day day of month sine 1",
                "day day of month cosine 1",
                "day day of week sine 1",
                "day day of week cosine 1",
                "day day of week sine 2",
                "day day of week cosine 2",
                "day day of week sine 3",
                "day day of week cosine 3",
            ],
        );
        check(&[Some("2011-01-01"), Some("2022-01-01"), None], &["day position", "day missing"]);
    }

    #[test]
    fn cells_are_encoded_by_part() {
        let (fitted, cells) = fit(&[Some("2011-01-01"), Some("2011-01-02"), Some("2011-01-03")]).unwrap();
        let features = fitted.encode(Column { name: "day", cells: &cells, rows: &[1, 0] }).unwrap();
        let Features::Numeric { width, values } = features else { panic!("a date is numeric") };
        assert_eq!((width, values[0], values.len()), (13, 0.0, 26));
        assert!(values[13] < 0.0 && values.iter().all(|value| value.is_finite()));
        // The first of January begins both turns; a Saturday is five sevenths of a week after its Monday.
        assert_eq!(values[14..20], [0.0, 1.0, 0.0, 1.0, 0.0, 1.0]);
        assert!((values[20] - (std::f32::consts::TAU * 5.0 / 7.0).sin()).abs() < 1e-6);
    }

    #[test]
    fn a_turn_ends_where_it_begins() {
        let cells = ["2023-12-31 23:59", "2024-01-01 00:00", "2024-01-01 12:00"].map(Some);
        let (fitted, cells) = fit(&cells).unwrap();
        let all = fitted.encode(Column { name: "day", cells: &cells, rows: &[0, 1, 2] }).unwrap();
        let Features::Numeric { width, values } = all else { panic!("a date is numeric") };
        let distance = |one: usize, other: usize| {
            // The turn of the day comes last, its four multiples as eight numbers.
            let day = |row: usize| &values[(row + 1) * width - 8..(row + 1) * width - 6];
            (day(one)[0] - day(other)[0]).hypot(day(one)[1] - day(other)[1])
        };
        assert!(distance(0, 1) < 0.01 && (distance(1, 2) - 2.0).abs() < 1e-6);
    }

    #[test]
    fn what_is_no_date_names_its_row() {
        assert_eq!(
            fit(&[Some("2011-01-01"), Some("soon")]).unwrap_err().to_string(),
            "column `day` is a date, but no common way of writing dates fits all of its cells"
        );
        let (fitted, _) = fit(&[Some("1/30/2011"), Some("2/1/2011")]).unwrap();
        let cells = Cells::Text([Some("1/30/2012"), Some("30.1.2012")].into_iter().collect());
        let error = fitted.encode(Column { name: "day", cells: &cells, rows: &[0, 1] }).unwrap_err();
        assert_eq!(
            error.to_string(),
            "column `day` is a date written as month/day/year, but row 2 holds `30.1.2012`"
        );
        assert_eq!(
            error.hint().unwrap(),
            "add `\"30.1.2012\"` to `data.missing`, or name the column's `format`, for example `%d.%m.%Y`"
        );
    }

    #[test]
    fn digits_are_read_by_the_format_that_is_named() {
        let settings = DateSettings { format: Some("%Y%m".to_owned()), ..Default::default() };
        let cells = Cells::Number(vec![201_101.0, f64::NAN, 201_112.0]);
        let column = Column { name: "month", cells: &cells, rows: &[0, 1, 2] };
        let read = positions(column, &settings).unwrap();
        assert_eq!((read[0], read[1].is_nan(), read[2]), (14_975.0, true, 15_309.0));
        let fitted = DateInput::fit(column, &settings).unwrap();
        assert_eq!(fitted.read(&json!(201_103)), Ok(Entry::Number(201_103.0)));
        assert_eq!(fitted.read(&json!("201103")), Ok(Entry::Text("201103".into())));
        assert!(fitted.read(&json!(201_113)).is_err() && fitted.read(&json!("201113")).is_err());
        let encode =
            |cells: Cells| fitted.encode(Column { name: "month", cells: &cells, rows: &[0] }).unwrap();
        let text = Cells::Text([Some("201103")].into_iter().collect());
        assert_eq!(encode(Cells::Number(vec![201_103.0])), encode(text));
        let wrong = Cells::Number(vec![201_113.0]);
        let error = fitted.encode(Column { name: "month", cells: &wrong, rows: &[0] }).unwrap_err();
        assert_eq!(error.to_string(), "column `month` is a date written as `%Y%m`, but row 1 holds `201113`");
    }

    #[test]
    fn requests_may_use_the_column_s_way_or_iso() {
        let (fitted, _) = fit(&[Some("1/30/2011"), Some("2/1/2011")]).unwrap();
        for (value, expected) in [
            (json!("3/4/2012"), Ok(Entry::Text("3/4/2012".into()))),
            (json!("2012-03-04"), Ok(Entry::Text("2012-03-04".into()))),
            (json!("soon"), Err("a date such as `01/31/2011`".into())),
            (json!(5), Err("a date such as `01/31/2011`".into())),
        ] {
            assert_eq!(fitted.read(&value), expected, "{value}");
        }
    }
}
