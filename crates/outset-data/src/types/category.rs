//! Categories: one of several classes.

use super::classes::{Classes, NONE, count, natural, sort_by_count};
use super::{Column, Entry, InputType, OutputType};
use crate::error::DataError;
use crate::features::{FeatureShape, Features, Targets};
use crate::lot::Lot;
use crate::signature::{InputSignature, OutputSignature};
use crate::table::{Cells, json_number_text};
use outset_spec::{Bounds, Reader, settings};
use serde::{Deserialize, Serialize};
use serde_json::Value;

settings! {
    /// A column that holds one of several classes.
    pub struct CategorySettings {
        /// Cell texts that mean "missing" in this column, besides those of `data.missing`.
        missing: Vec<String> = Vec::new();
        /// Largest number of classes; the rarest beyond it are taken for unknown.
        max_classes: usize = 10_000, in Bounds::at_least(1.0);
        /// Train rows that a class must have; rarer ones are taken for unknown.
        min_count: usize = 1, in Bounds::at_least(1.0);
    }
}

/// An input column of categories: the classes from 1, the most frequent first, and 0 for missing or unknown.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct CategoryInput {
    pub classes: Classes,
    /// Texts that mean "missing".
    pub missing: Vec<String>,
    /// Share of cells in train that are missing or of a class left out as too rare.
    pub unknown_share: f64,
}

/// An output column of categories.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct CategoryOutput {
    /// Sorted, numbers by value.
    pub classes: Classes,
    /// Texts that mean "missing".
    pub missing: Vec<String>,
}

impl InputType for CategoryInput {
    type Settings = CategorySettings;

    fn fit(column: Column<'_>, settings: &CategorySettings) -> Result<Self, DataError> {
        let mut counted = count(column, &settings.missing);
        sort_by_count(&mut counted);
        // A column of rare classes alone keeps them: some of them are better than none.
        if counted.iter().any(|(_, count)| *count >= settings.min_count as u64) {
            counted.retain(|(_, count)| *count >= settings.min_count as u64);
        }
        counted.truncate(settings.max_classes);
        let known: u64 = counted.iter().map(|(_, count)| count).sum();
        if counted.is_empty() {
            return Err(DataError::EmptyColumn { column: column.name.to_owned() });
        }
        Ok(Self {
            classes: Classes::new(counted),
            missing: settings.missing.clone(),
            unknown_share: 1.0 - known as f64 / column.rows.len() as f64,
        })
    }

    fn shape(&self, _name: &str) -> FeatureShape {
        FeatureShape::Index { classes: self.classes.len() + 1 }
    }

    fn encode(&self, column: Column<'_>) -> Result<Features, DataError> {
        let mut codes = self.classes.codes(column);
        if let Cells::Text(text) = column.cells
            && codes.contains(&NONE)
        {
            // Booleans of JSON and Parquet, written otherwise than train has them.
            let [no, yes] = [false, true].map(|value| self.classes.find(&self.boolean(value)));
            for (code, row) in codes.iter_mut().zip(column.rows).filter(|(code, _)| **code == NONE) {
                *code = match text.get(*row as usize) {
                    Some("false") => no.unwrap_or(NONE),
                    Some("true") => yes.unwrap_or(NONE),
                    _ => NONE,
                };
            }
        }
        codes.iter_mut().for_each(|code| *code = code.wrapping_add(1));
        Ok(Features::Index(codes))
    }

    fn read(&self, value: &Value) -> Result<Entry, String> {
        match value {
            Value::Bool(value) => Ok(Entry::Text(self.boolean(*value))),
            Value::String(text) => Ok(Entry::Text(text.clone())),
            Value::Number(number) => Ok(Entry::Text(json_number_text(number))),
            _ => Err("text or a number".to_owned()),
        }
    }

    fn describe(&self, signature: &mut InputSignature) {
        signature.class_total = self.classes.len();
        signature.classes = self.classes.names.iter().take(InputSignature::MAX_CLASSES).cloned().collect();
        signature.example = self.classes.names.first().cloned().into();
    }

    fn draw(&self, lot: &mut Lot) -> Value {
        if lot.unit() < self.unknown_share.clamp(0.02, 0.2) {
            return Value::Null;
        }
        Value::from(draw_class(&self.classes, lot))
    }
}

impl CategoryInput {
    /// The class that a boolean means, however the training data wrote it.
    fn boolean(&self, value: bool) -> String {
        let (word, digit) = if value { ("true", "1") } else { ("false", "0") };
        let class = self.classes.names.iter().find(|name| name.eq_ignore_ascii_case(word));
        class
            .cloned()
            .unwrap_or_else(|| if self.classes.find(digit).is_some() { digit } else { word }.to_owned())
    }
}

/// Draws a class by its share in train.
pub(super) fn draw_class<'a>(classes: &'a Classes, lot: &mut Lot) -> &'a str {
    let mut place = lot.unit() * classes.counts.iter().sum::<u64>() as f64;
    for (name, count) in classes.names.iter().zip(&classes.counts) {
        place -= *count as f64;
        if place < 0.0 {
            return name;
        }
    }
    classes.names.first().map_or("", String::as_str)
}

impl OutputType for CategoryOutput {
    type Settings = CategorySettings;

    fn read_settings(reader: &mut Reader<'_>) -> CategorySettings {
        CategorySettings { missing: reader.get("missing", Vec::new(), None), ..Default::default() }
    }

    fn fit(column: Column<'_>, settings: &CategorySettings) -> Result<Self, DataError> {
        let mut counted = count(column, &settings.missing);
        counted.sort_unstable_by(|a, b| natural(&a.0, &b.0));
        match counted.as_slice() {
            [] => Err(DataError::NoTargets { column: column.name.to_owned() }),
            [(value, _)] => Err(DataError::OneValue { column: column.name.to_owned(), value: value.clone() }),
            _ => Ok(Self { classes: Classes::new(counted), missing: settings.missing.clone() }),
        }
    }

    fn encode(&self, column: Column<'_>) -> Result<Targets, DataError> {
        let codes = self.classes.codes(column);
        match codes.iter().position(|code| *code == NONE) {
            None => Ok(Targets::Category(codes)),
            Some(place) => {
                let row = column.rows[place] as usize;
                let class = column.cells.text(row).unwrap_or_default().into_owned();
                Err(DataError::UnseenClass { column: column.name.to_owned(), class, row: row + 1 })
            }
        }
    }

    fn describe(&self, signature: &mut OutputSignature) {
        signature.classes.clone_from(&self.classes.names);
    }

    fn classes(&self) -> Option<&Classes> {
        Some(&self.classes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn fit(cells: &Cells, settings: CategorySettings) -> CategoryInput {
        let rows: Vec<u32> = (0..cells.len() as u32).collect();
        CategoryInput::fit(Column { name: "x", cells, rows: &rows }, &settings).unwrap()
    }

    fn text(cells: &[Option<&str>]) -> Cells {
        Cells::Text(cells.iter().copied().collect())
    }

    fn encode(fitted: &CategoryInput, cells: &Cells) -> Vec<u32> {
        let rows: Vec<u32> = (0..cells.len() as u32).collect();
        match fitted.encode(Column { name: "x", cells, rows: &rows }).unwrap() {
            Features::Index(codes) => codes,
            other => panic!("a category is an index, not {other:?}"),
        }
    }

    #[test]
    fn the_most_frequent_class_comes_first() {
        let cells = text(&[Some("a"), Some("b"), None, Some("b"), Some("?")]);
        let fitted = fit(&cells, CategorySettings { missing: vec!["?".into()], ..Default::default() });
        assert_eq!(
            (&fitted.classes.names[..], &fitted.classes.counts[..]),
            (&["b".into(), "a".into()][..], &[2, 1][..])
        );
        assert_eq!(encode(&fitted, &cells), [2, 1, 0, 1, 0]);
        assert_eq!(encode(&fitted, &text(&[Some("new"), Some(" a ")])), [0, 2]);
    }

    #[test]
    fn rare_classes_are_unknown() {
        let cells = text(&[Some("a"), Some("b"), Some("b"), Some("c")]);
        let fitted = fit(&cells, CategorySettings { min_count: 2, ..Default::default() });
        assert_eq!(encode(&fitted, &cells), [0, 1, 1, 0]);
        let fitted = fit(&cells, CategorySettings { max_classes: 2, ..Default::default() });
        assert_eq!(encode(&fitted, &cells), [2, 1, 1, 0]);
    }

    #[test]
    fn a_number_is_the_class_written_like_it() {
        let numbers = Cells::Number(vec![3.0, 3.0, 0.5, f64::NAN]);
        let fitted = fit(&numbers, CategorySettings::default());
        assert_eq!(encode(&fitted, &numbers), [1, 1, 2, 0]);
        assert_eq!(encode(&fitted, &text(&[Some("3.0"), Some("3"), Some("x")])), [1, 1, 0]);
        for (value, expected) in
            [(json!(3), "3"), (json!(3.0), "3"), (json!("3"), "3"), (json!(true), "true")]
        {
            assert_eq!(fitted.read(&value), Ok(Entry::Text(expected.into())), "{value}");
        }
        assert_eq!(fitted.read(&json!({})), Err("text or a number".into()));
    }

    #[test]
    fn booleans_are_read_as_the_data_writes_them() {
        for (classes, expected) in [(["True", "False"], "True"), (["1", "0"], "1"), (["yes", "no"], "true")] {
            let fitted = fit(&text(&classes.map(Some)), CategorySettings::default());
            assert_eq!(fitted.read(&json!(true)), Ok(Entry::Text(expected.into())));
        }
        // As they stand in a file of JSON Lines.
        let fitted = fit(&text(&[Some("True"), Some("False"), Some("True")]), CategorySettings::default());
        assert_eq!(encode(&fitted, &text(&[Some("true"), Some("false"), Some("maybe")])), [1, 2, 0]);
        let fitted = fit(&text(&[Some("yes"), Some("no")]), CategorySettings::default());
        assert_eq!(encode(&fitted, &text(&[Some("true")])), [0]);
    }

    #[test]
    fn whole_numbers_keep_their_digits() {
        let [a, b] = ["1234567890123456789", "1234567890123456790"];
        let fitted = fit(&text(&[Some(a), Some(a), Some(b)]), CategorySettings::default());
        let value: Value = serde_json::from_str(b).unwrap();
        assert_eq!(fitted.read(&value), Ok(Entry::Text(b.into())));
        assert_eq!(encode(&fitted, &text(&[Some(b), Some(a)])), [2, 1]);
    }

    #[test]
    fn targets_are_sorted_and_must_be_known() {
        let cells = text(&[Some("10"), Some("9"), Some("10")]);
        let column = |rows| Column { name: "y", cells: &cells, rows };
        let fitted = CategoryOutput::fit(column(&[0, 1, 2]), &Default::default()).unwrap();
        assert_eq!(
            (&fitted.classes.names[..], &fitted.classes.counts[..]),
            (&["9".into(), "10".into()][..], &[1, 2][..])
        );
        assert_eq!(fitted.encode(column(&[0, 1])).unwrap(), Targets::Category(vec![1, 0]));
        let one = CategoryOutput::fit(column(&[0, 2]), &Default::default()).unwrap_err();
        assert_eq!(
            one.to_string(),
            "column `y` is to be predicted, but every row of the train part holds `10`"
        );
        let known = Cells::Text([Some("9"), Some("10"), Some("11")].into_iter().collect());
        let unseen = fitted.encode(Column { name: "y", cells: &known, rows: &[2] }).unwrap_err();
        assert_eq!(
            unseen.to_string(),
            "column `y` holds the class `11` in row 3, but in no row of the train part"
        );
    }
}
