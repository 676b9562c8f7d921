//! Sets: any number of labels in one cell, parted by a character.

use super::category::draw_class;
use super::classes::{Classes, NONE, count, is_missing, natural, sort_by_count};
use super::{Column, Entry, InputType, OutputType};
use crate::error::DataError;
use crate::features::{FeatureShape, Features, Targets};
use crate::lot::Lot;
use crate::signature::{InputSignature, OutputSignature};
use crate::table::{Cells, LIST_SEPARATOR, json_number_text, number_text};
use outset_spec::{Bounds, Reader, settings};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::collections::HashMap;

/// Characters that part labels, the surest first; the unit separator joins the items of a list in JSON or Parquet.
pub(super) const SEPARATORS: [char; 4] = [LIST_SEPARATOR, '|', ';', ','];

settings! {
    /// A column that holds any number of labels.
    pub struct SetSettings {
        /// Cell texts that mean "missing" in this column, besides those of `data.missing`.
        missing: Vec<String> = Vec::new();
        /// Text between two labels; detected where left out.
        separator: Option<String> = None;
        /// Largest number of labels; the rarest beyond it are taken for unknown.
        max_classes: usize = 10_000, in Bounds::at_least(1.0);
    }
}

/// An input column of sets: the labels from 1, the most frequent first, and 0 for unknown ones.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct SetInput {
    pub separator: String,
    pub classes: Classes,
    /// Texts that mean "missing".
    pub missing: Vec<String>,
}

/// An output column of sets.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct SetOutput {
    pub separator: String,
    /// Sorted, numbers by value.
    pub classes: Classes,
    /// Texts that mean "missing".
    pub missing: Vec<String>,
}

/// The labels of a cell, each once.
pub(super) fn labels<'a>(cell: &'a str, separator: &str) -> Vec<&'a str> {
    let mut labels: Vec<&str> = Vec::new();
    // A list from JSON or Parquet has a separator of its own, whatever that of train was.
    for label in cell.split(LIST_SEPARATOR).flat_map(|part| part.split(separator)).map(str::trim) {
        if !label.is_empty() && !labels.contains(&label) {
            labels.push(label);
        }
    }
    labels
}

/// The separator that most cells hold; the surest of those that nearly as many hold.
pub(super) fn detect(counted: &[(String, u64)]) -> char {
    let cells = |separator: char| -> u64 {
        counted.iter().filter(|(value, _)| value.contains(separator)).map(|(_, count)| count).sum()
    };
    let most = SEPARATORS.into_iter().map(cells).max().unwrap_or(0);
    SEPARATORS.into_iter().find(|separator| cells(*separator) * 10 >= most * 9).unwrap_or('|')
}

/// Separator and counted labels of a column.
fn learn(column: Column<'_>, settings: &SetSettings) -> (String, Vec<(String, u64)>) {
    let cells = count(column, &settings.missing);
    let separator = match &settings.separator {
        Some(separator) if !separator.is_empty() => separator.clone(),
        _ => detect(&cells).to_string(),
    };
    let mut counts: HashMap<&str, u64> = HashMap::new();
    for (cell, count) in &cells {
        for label in labels(cell, &separator) {
            *counts.entry(label).or_default() += count;
        }
    }
    let counted = counts.into_iter().map(|(label, count)| (label.to_owned(), count)).collect();
    (separator, counted)
}

/// Calls `visit` with the classes of each row's cell, unknown ones being [`NONE`].
fn visit_rows(
    column: Column<'_>,
    classes: &Classes,
    separator: &str,
    missing: &[String],
    mut visit: impl FnMut(u32, &[u32]),
) {
    let find = |cell: &str| -> Vec<u32> {
        if is_missing(cell, missing) {
            return Vec::new();
        }
        labels(cell, separator).into_iter().map(|label| classes.find(label).unwrap_or(NONE)).collect()
    };
    match column.cells {
        Cells::Text(text) => {
            let found: Vec<Vec<u32>> = text.values.iter().map(|cell| find(cell)).collect();
            for row in column.rows {
                visit(*row, found.get(text.codes[*row as usize] as usize).map_or(&[][..], Vec::as_slice));
            }
        }
        Cells::Image(_) => column.rows.iter().for_each(|row| visit(*row, &[])),
        Cells::Number(values) => {
            for row in column.rows {
                let value = values[*row as usize];
                let found = if value.is_nan() { Vec::new() } else { find(&number_text(value)) };
                visit(*row, &found);
            }
        }
    }
}

impl InputType for SetInput {
    type Settings = SetSettings;

    fn fit(column: Column<'_>, settings: &SetSettings) -> Result<Self, DataError> {
        let (separator, mut counted) = learn(column, settings);
        sort_by_count(&mut counted);
        counted.truncate(settings.max_classes);
        if counted.is_empty() {
            return Err(DataError::EmptyColumn { column: column.name.to_owned() });
        }
        Ok(Self { separator, classes: Classes::new(counted), missing: settings.missing.clone() })
    }

    fn shape(&self, _name: &str) -> FeatureShape {
        FeatureShape::Indices { classes: self.classes.len() + 1 }
    }

    fn encode(&self, column: Column<'_>) -> Result<Features, DataError> {
        let (mut offsets, mut indices) = (Vec::with_capacity(column.rows.len() + 1), Vec::new());
        offsets.push(0);
        visit_rows(column, &self.classes, &self.separator, &self.missing, |_, found| {
            // Several unknown labels are one unknown.
            let mut unknown = false;
            for class in found {
                if *class != NONE || !unknown {
                    indices.push(class.wrapping_add(1));
                }
                unknown |= *class == NONE;
            }
            offsets.push(indices.len() as u32);
        });
        Ok(Features::Indices { offsets, indices })
    }

    fn read(&self, value: &Value) -> Result<Entry, String> {
        let expected =
            || format!("a list of labels, or text with `{}` between them", self.separator.escape_debug());
        let label = |value: &Value| match value {
            Value::String(text) => Some(text.clone()),
            Value::Number(number) => Some(json_number_text(number)),
            Value::Bool(value) => Some(value.to_string()),
            _ => None,
        };
        match value {
            Value::Array(items) => {
                let labels: Option<Vec<String>> = items.iter().map(label).collect();
                labels.map(|labels| Entry::Text(labels.join(&self.separator))).ok_or_else(expected)
            }
            value => label(value).map(Entry::Text).ok_or_else(expected),
        }
    }

    fn describe(&self, signature: &mut InputSignature) {
        signature.class_total = self.classes.len();
        signature.classes = self.classes.names.iter().take(InputSignature::MAX_CLASSES).cloned().collect();
        signature.format = Some(self.separator.clone());
        signature.example = self.classes.names.iter().take(1).cloned().collect();
    }

    fn draw(&self, lot: &mut Lot) -> Value {
        let mut drawn: Vec<&str> = (0..lot.below(4)).map(|_| draw_class(&self.classes, lot)).collect();
        drawn.sort_unstable();
        drawn.dedup();
        Value::from(drawn)
    }
}

impl OutputType for SetOutput {
    type Settings = SetSettings;

    fn read_settings(reader: &mut Reader<'_>) -> SetSettings {
        SetSettings {
            missing: reader.get("missing", Vec::new(), None),
            separator: reader.get("separator", None, None),
            ..Default::default()
        }
    }

    fn fit(column: Column<'_>, settings: &SetSettings) -> Result<Self, DataError> {
        let (separator, mut counted) = learn(column, settings);
        counted.sort_unstable_by(|a, b| natural(&a.0, &b.0));
        if counted.is_empty() {
            return Err(DataError::NoTargets { column: column.name.to_owned() });
        }
        Ok(Self { separator, classes: Classes::new(counted), missing: settings.missing.clone() })
    }

    /// Labels that no train row has cannot be learned and are left out of the targets.
    fn encode(&self, column: Column<'_>) -> Result<Targets, DataError> {
        let width = self.classes.len();
        let mut values = vec![0.0; width * column.rows.len()];
        let mut targets = values.chunks_exact_mut(width.max(1));
        visit_rows(column, &self.classes, &self.separator, &self.missing, |_, found| {
            if let Some(row) = targets.next() {
                found.iter().filter_map(|class| usize::try_from(*class).ok()).for_each(|class| {
                    if let Some(target) = row.get_mut(class) {
                        *target = 1.0;
                    }
                });
            }
        });
        Ok(Targets::Set { width, values })
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

    fn fit(cells: &Cells) -> SetInput {
        let rows: Vec<u32> = (0..cells.len() as u32).collect();
        SetInput::fit(Column { name: "x", cells, rows: &rows }, &SetSettings::default()).unwrap()
    }

    fn check(fitted: &SetInput, cells: &[Option<&str>], offsets: &[u32], indices: &[u32]) {
        let rows: Vec<u32> = (0..cells.len() as u32).collect();
        let cells = Cells::Text(cells.iter().copied().collect());
        let features = fitted.encode(Column { name: "x", cells: &cells, rows: &rows }).unwrap();
        assert_eq!(features, Features::Indices { offsets: offsets.to_vec(), indices: indices.to_vec() });
    }

    #[test]
    fn labels_are_counted_and_unknown_ones_are_one() {
        let fitted = fit(&Cells::Text([Some("a|b"), Some("b"), None, Some("b | c")].into_iter().collect()));
        assert_eq!(
            (fitted.separator.as_str(), &fitted.classes.names[..]),
            ("|", &["b".into(), "a".into(), "c".into()][..])
        );
        check(
            &fitted,
            &[Some("b|a|b"), None, Some("x|c|y|z"), Some("a")],
            &[0, 2, 2, 4, 5],
            &[1, 2, 0, 3, 2],
        );
    }

    #[test]
    fn a_list_is_a_set_whatever_the_separator() {
        let fitted = fit(&Cells::Text([Some("a|b"), Some("b")].into_iter().collect()));
        check(&fitted, &[Some("a|b"), Some("a\u{1f}b"), Some("b\u{1f}")], &[0, 2, 4, 5], &[2, 1, 2, 1, 1]);
    }

    #[test]
    fn requests_hold_lists_or_text() {
        let fitted = fit(&Cells::Text([Some("1;2"), Some("2")].into_iter().collect()));
        for (value, expected) in [
            (json!(["a", 2]), Ok(Entry::Text("a;2".into()))),
            (json!("a;b"), Ok(Entry::Text("a;b".into()))),
            (json!({}), Err("a list of labels, or text with `;` between them".into())),
            (json!([[1]]), Err("a list of labels, or text with `;` between them".into())),
        ] {
            assert_eq!(fitted.read(&value), expected, "{value}");
        }
    }

    #[test]
    fn targets_mark_the_labels_of_a_row() {
        let cells = Cells::Text([Some("b,a"), Some("c"), Some("b")].into_iter().collect());
        let column = |rows| Column { name: "y", cells: &cells, rows };
        let fitted = SetOutput::fit(column(&[0, 2]), &SetSettings::default()).unwrap();
        assert_eq!(fitted.classes.names, ["a", "b"]);
        assert_eq!(
            fitted.encode(column(&[0, 1, 2])).unwrap(),
            Targets::Set { width: 2, values: vec![1.0, 1.0, 0.0, 0.0, 0.0, 1.0] }
        );
    }
}
