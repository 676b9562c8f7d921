//! The preprocessor: fitted on the train rows once, then the same for training, testing and serving.

use crate::error::DataError;
use crate::features::{Features, Targets};
use crate::lot::Lot;
use crate::signature::{InputSignature, OutputSignature, Signature};
use crate::table::{Cells, Table};
use crate::types::{Column, ColumnSettings, FittedInput, FittedOutput};
use crate::{pictures, sources};
use indexmap::IndexMap;
use outset_spec::record::FileRecord;
use rayon::prelude::*;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use std::path::Path;

/// Everything that was learned of the columns; written as `preprocessor.json`.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Preprocessor {
    pub inputs: IndexMap<String, FittedInput>,
    pub outputs: IndexMap<String, FittedOutput>,
    /// Columns of the training data that the model leaves out; requests may hold them nevertheless.
    #[serde(default)]
    pub ignored: Vec<String>,
}

impl Preprocessor {
    /// Learns every input and output column from the train rows alone.
    ///
    /// # Errors
    /// If a column is missing, holds cells of another type, or has nothing to learn from.
    pub fn fit(
        table: &Table,
        train: &[u32],
        inputs: &IndexMap<String, ColumnSettings>,
        outputs: &IndexMap<String, ColumnSettings>,
        ignored: Vec<String>,
    ) -> Result<Self, DataError> {
        let fitted_inputs =
            by_column(inputs, |name, settings| FittedInput::fit(column(table, name, train)?, settings))?;
        let fitted_outputs =
            by_column(outputs, |name, settings| FittedOutput::fit(column(table, name, train)?, settings))?;
        let named = |(name, fitted): (&String, _)| (name.clone(), fitted);
        Ok(Self {
            inputs: inputs.keys().zip(fitted_inputs).map(named).collect(),
            outputs: outputs
                .keys()
                .zip(fitted_outputs)
                .map(|(name, fitted)| (name.clone(), fitted))
                .collect(),
            ignored,
        })
    }

    /// Encodes the input columns in their order.
    ///
    /// # Errors
    /// If a column is missing or a cell is of another type.
    pub fn encode_inputs(&self, table: &Table, rows: &[u32]) -> Result<Vec<Features>, DataError> {
        self.check_columns(table)?;
        if rows.len() < 1000 {
            return self
                .inputs
                .iter()
                .map(|(name, fitted)| fitted.encode(column(table, name, rows)?))
                .collect();
        }
        by_column(&self.inputs, |name, fitted| fitted.encode(column(table, name, rows)?))
    }

    /// Encodes the output columns in their order.
    ///
    /// # Errors
    /// If a column is missing, or a cell is missing, of another type, or of a class that no train row has.
    pub fn encode_targets(&self, table: &Table, rows: &[u32]) -> Result<Vec<Targets>, DataError> {
        by_column(&self.outputs, |name, fitted| fitted.encode(column(table, name, rows)?))
    }

    /// Opens the pictures that columns of paths name, each starting from the folder of its row's file; `folder` is where
    /// the paths of `files` start from. Of a folder of pictures the only column of pictures takes the name of the
    /// model's.
    pub fn open_pictures(&self, table: &mut Table, files: &[FileRecord], folder: &Path) {
        let names: Vec<&String> =
            self.inputs.iter().filter(|(_, input)| input.kind() == "image").map(|(name, _)| name).collect();
        if let ([name], Some(Cells::Image(_))) = (&names[..], table.get(sources::PICTURES))
            && table.get(name).is_none()
            && let Some(cells) = table.columns.shift_remove(sources::PICTURES)
        {
            table.columns.insert((*name).clone(), cells);
        }
        for name in names {
            if let Some(Cells::Text(text)) = table.get(name) {
                let images = pictures::resolve(text, files, folder);
                table.columns.insert(name.clone(), Cells::Image(images));
            }
        }
    }

    /// Decodes all pictures of a table on all cores and tells which cannot be used, by column.
    pub fn broken_pictures(&self, table: &Table) -> Vec<(String, pictures::Skipped)> {
        let columns = self.inputs.iter().filter_map(|(name, input)| match (input, table.get(name)) {
            (FittedInput::Image(fitted), Some(Cells::Image(images))) => {
                let skipped = pictures::load(images, fitted.pixel_shape(), fitted.fit);
                (!skipped.rows.is_empty()).then(|| (name.clone(), skipped))
            }
            _ => None,
        });
        columns.collect()
    }

    /// Tells whether a table holds what the model takes.
    ///
    /// # Errors
    /// All input columns that are missing, or else the first cell of another type.
    pub fn check_table(&self, table: &Table) -> Result<(), DataError> {
        let rows: Vec<u32> = (0..table.rows() as u32).collect();
        self.encode_inputs(table, &rows).map(drop)
    }

    fn check_columns(&self, table: &Table) -> Result<(), DataError> {
        let missing: Vec<String> =
            self.inputs.keys().filter(|name| table.get(name).is_none()).cloned().collect();
        if missing.is_empty() {
            return Ok(());
        }
        let known = table.columns.keys().filter(|name| !self.inputs.contains_key(*name)).cloned().collect();
        Err(DataError::MissingColumns { columns: missing, known })
    }

    /// Describes what goes in and comes out.
    pub fn signature(&self) -> Signature {
        let inputs = self.inputs.iter().map(|(name, fitted)| {
            let mut signature =
                InputSignature { name: name.clone(), kind: fitted.kind().to_owned(), ..Default::default() };
            fitted.describe(&mut signature);
            signature
        });
        let outputs = self.outputs.iter().map(|(name, fitted)| {
            let mut signature =
                OutputSignature { name: name.clone(), kind: fitted.kind().to_owned(), ..Default::default() };
            fitted.describe(&mut signature);
            signature
        });
        Signature { inputs: inputs.collect(), outputs: outputs.collect() }
    }

    /// Makes rows whose columns are drawn apart from each other, so that none is a real person's: numbers between the
    /// quantiles of train, classes by their share, now and then a missing value.
    pub fn made_rows(&self, count: usize, seed: u64) -> Vec<Map<String, Value>> {
        let mut lot = Lot::new(seed);
        let mut row =
            || self.inputs.iter().map(|(name, fitted)| (name.clone(), fitted.draw(&mut lot))).collect();
        (0..count).map(|_| row()).collect()
    }
}

/// Does something for each column on all threads; the first error in the order of the columns wins.
fn by_column<T: Sync, R: Send>(
    columns: &IndexMap<String, T>,
    work: impl Fn(&str, &T) -> Result<R, DataError> + Sync,
) -> Result<Vec<R>, DataError> {
    let columns: Vec<(&String, &T)> = columns.iter().collect();
    let results: Vec<Result<R, DataError>> =
        columns.into_par_iter().map(|(name, item)| work(name, item)).collect();
    results.into_iter().collect()
}

/// Some rows of a column of the table.
///
/// # Errors
/// If there is no such column.
pub(crate) fn column<'a>(table: &'a Table, name: &'a str, rows: &'a [u32]) -> Result<Column<'a>, DataError> {
    match table.get(name) {
        Some(cells) => Ok(Column { name, cells, rows }),
        None => Err(DataError::UnknownColumn {
            column: name.to_owned(),
            known: table.columns.keys().cloned().collect(),
        }),
    }
}

/// Reads the column that says how much each row counts.
///
/// # Errors
/// If there is no such column, or a cell is missing, negative or no number.
pub fn weights(table: &Table, name: &str, rows: &[u32]) -> Result<Vec<f32>, DataError> {
    let column = column(table, name, rows)?;
    let bad = |row: u32, found: Option<String>| DataError::BadWeight {
        column: name.to_owned(),
        row: row as usize + 1,
        found: found.map_or_else(|| "no value".to_owned(), |found| format!("`{found}`")),
    };
    let weight = |row: &u32| {
        let text = || column.cells.text(*row as usize).map(std::borrow::Cow::into_owned);
        match column.cells {
            Cells::Number(values) if values[*row as usize] >= 0.0 && values[*row as usize].is_finite() => {
                Ok(values[*row as usize] as f32)
            }
            _ => Err(bad(*row, text())),
        }
    };
    rows.iter().map(weight).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::features::FeatureShape;
    use serde_json::json;

    fn table() -> Table {
        let text = |cells: [Option<&str>; 4]| Cells::Text(cells.into_iter().collect());
        let columns = [
            ("age", Cells::Number(vec![20.0, 30.0, f64::NAN, 50.0])),
            ("color", text([Some("red"), Some("blue"), Some("red"), None])),
            ("tags", text([Some("a|b"), Some("b"), None, Some("c|a")])),
            ("day", text([Some("2020-01-01"), Some("2020-02-03"), Some("2021-03-04"), None])),
            ("price", Cells::Number(vec![1.0, 2.0, 3.0, 100.0])),
            ("sold", text([Some("yes"), Some("no"), Some("yes"), Some("yes")])),
        ];
        Table::new(columns.map(|(name, cells)| (name.to_owned(), cells)).into_iter().collect(), 4)
    }

    fn settings(columns: &[(&str, &str)]) -> IndexMap<String, ColumnSettings> {
        columns.iter().map(|(name, kind)| ((*name).to_owned(), ColumnSettings::of(kind).unwrap())).collect()
    }

    fn fitted(train: &[u32]) -> Preprocessor {
        let inputs = settings(&[("age", "number"), ("color", "category"), ("tags", "set"), ("day", "date")]);
        let outputs = settings(&[("price", "number"), ("sold", "category")]);
        Preprocessor::fit(&table(), train, &inputs, &outputs, vec!["id".into()]).unwrap()
    }

    #[test]
    fn statistics_are_those_of_train_alone() {
        let fitted = fitted(&[0, 1, 2]);
        assert_eq!((fitted.outputs["price"].mean(), fitted.outputs["price"].inverse(0.0)), (2.0, 2.0));
        assert!((fitted.outputs["price"].inverse(1.0) - 2.0 - (2.0f64 / 3.0).sqrt()).abs() < 1e-12);
        assert_eq!(fitted.outputs["sold"].classes(), ["no", "yes"]);
        assert_eq!(fitted.outputs["sold"].train_counts(), [1, 2]);
        assert_eq!(fitted.outputs["sold"].positive(), Some(0));
        assert_eq!(fitted.inputs["tags"].shape(), FeatureShape::Indices { classes: 3 });
        let targets = fitted.encode_targets(&table(), &[1, 3]).unwrap();
        assert_eq!(targets[1], Targets::Category(vec![0, 1]));
    }

    #[test]
    fn a_copy_from_its_file_encodes_alike() {
        let fitted = fitted(&[0, 1, 2]);
        let text = serde_json::to_string(&fitted).unwrap();
        let copy: Preprocessor = serde_json::from_str(&text).unwrap();
        assert_eq!(serde_json::to_string(&copy).unwrap(), text);
        let rows = [3, 2, 1, 0];
        assert_eq!(
            copy.encode_inputs(&table(), &rows).unwrap(),
            fitted.encode_inputs(&table(), &rows).unwrap()
        );
    }

    #[test]
    fn an_altered_file_is_no_reason_to_panic() {
        let fitted = fitted(&[0, 1, 2]);
        let mut value = serde_json::to_value(&fitted).unwrap();
        for (column, key) in [("age", "quantiles"), ("age", "knots"), ("day", "quantiles"), ("day", "parts")]
        {
            value["inputs"][column][key] = json!([]);
        }
        value["inputs"]["color"]["classes"] = json!({"names": [], "counts": []});
        value["inputs"]["tags"]["classes"] = json!({"names": [], "counts": []});
        value["inputs"]["age"]["scaling"] = json!({"kind": "quantile", "values": [], "normal": []});
        let altered: Preprocessor = serde_json::from_value(value.clone()).unwrap();
        altered.encode_inputs(&table(), &[0, 1, 2, 3]).unwrap();
        altered.signature();
        altered.made_rows(10, 1);
        value["inputs"]["day"]["parts"] =
            json!([{"part": "century", "scaling": {"kind": "none"}, "median": 0.0, "knots": []}]);
        assert!(serde_json::from_value::<Preprocessor>(value).is_err());
    }

    #[test]
    fn every_missing_column_is_named() {
        let mut table = table();
        let cells = table.columns.shift_remove("age").unwrap();
        table.columns.insert("Age".into(), cells);
        table.columns.shift_remove("tags");
        let error = fitted(&[0, 1, 2]).check_table(&table).unwrap_err();
        assert_eq!(error.to_string(), "columns `age`, `tags` are missing");
        assert_eq!(error.hint().unwrap(), "`Age` may be meant for `age`");
        table.columns.insert("tags".into(), Cells::Number(vec![f64::NAN; 4]));
        let error = fitted(&[0, 1, 2]).check_table(&table).unwrap_err();
        assert_eq!(error.to_string(), "column `age` is missing");
    }

    #[test]
    fn unknown_columns_and_outputs_are_refused() {
        let unknown =
            Preprocessor::fit(&table(), &[0], &settings(&[("agee", "number")]), &settings(&[]), vec![]);
        let error = unknown.unwrap_err();
        assert_eq!(error.to_string(), "there is no column `agee`");
        assert_eq!(error.hint().unwrap(), "did you mean `age`?");
        let date = Preprocessor::fit(&table(), &[0], &settings(&[]), &settings(&[("day", "date")]), vec![]);
        let error = date.unwrap_err();
        assert_eq!(error.to_string(), "column `day` is a date, which cannot be predicted");
        assert_eq!(error.hint().unwrap(), "an output is a `number`, a `category`, a `set` or of `tags`");
    }

    #[test]
    fn the_signature_describes_each_column() {
        let signature = fitted(&[0, 1, 2]).signature();
        let age = &signature.inputs[0];
        assert_eq!(
            (age.minimum, age.maximum, age.median, &age.example),
            (Some(20.0), Some(30.0), Some(25.0), &json!(25))
        );
        let color = &signature.inputs[1];
        assert_eq!(
            (&color.classes[..], color.class_total, &color.example),
            (&["red".into(), "blue".into()][..], 2, &json!("red"))
        );
        assert_eq!(signature.inputs[3].example, json!("2020-02-03"));
        assert_eq!(signature.outputs[1].classes, ["no", "yes"]);
    }

    #[test]
    fn made_rows_can_be_read_and_repeat() {
        let fitted = fitted(&[0, 1, 2, 3]);
        let rows = fitted.made_rows(50, 7);
        assert_eq!(rows, fitted.made_rows(50, 7));
        let values: Vec<Value> = rows.into_iter().map(Value::from).collect();
        let table = fitted.read_rows(&values).unwrap();
        assert_eq!(table.rows(), 50);
        fitted.check_table(&table).unwrap();
    }

    #[test]
    fn weights_are_numbers_of_at_least_zero() {
        assert_eq!(weights(&table(), "price", &[1, 0]).unwrap(), [2.0, 1.0]);
        let error = weights(&table(), "age", &[0, 2]).unwrap_err();
        assert_eq!(error.to_string(), "column `age` says how much each row counts, but row 3 holds no value");
        let error = weights(&table(), "color", &[0]).unwrap_err();
        assert_eq!(error.to_string(), "column `color` says how much each row counts, but row 1 holds `red`");
        assert_eq!(error.hint().unwrap(), "a weight is a number of at least 0");
    }
}
