//! The table `predictions.csv`: what was true and what the model said for each test row.

use std::path::Path;

use outset_spec::record::RunRecord;

use crate::ReportError;

/// One output's answers, row by row.
#[derive(Debug, PartialEq)]
pub struct Predicted {
    pub output: String,
    pub answers: Answers,
}

/// Answers by kind of output.
#[derive(Debug, PartialEq)]
pub enum Answers {
    /// Pairs of actual and predicted values.
    Numbers(Vec<[f64; 2]>),
    /// For categories and sets, class by class.
    Classes(Vec<Class>),
}

/// One class of an output: whether each row has it, and how probable the model thought that.
#[derive(Debug, Default, PartialEq)]
pub struct Class {
    pub name: String,
    pub probabilities: Vec<f32>,
    pub actual: Vec<bool>,
}

/// Where an output's columns lie.
struct Columns {
    output: String,
    /// Column of the actual value; the prediction follows it, and the probabilities follow that.
    start: usize,
    classes: Vec<String>,
    is_set: bool,
}

/// Reads the table. Cells without a value are passed over.
///
/// # Errors
/// [`ReportError::Header`], [`ReportError::Csv`] or [`ReportError::Number`] if it is not as a run writes it.
pub fn read(path: &Path, text: &str, record: &RunRecord) -> Result<Vec<Predicted>, ReportError> {
    let broken = |source| ReportError::Csv { path: path.to_owned(), source };
    let mut reader = csv::Reader::from_reader(text.as_bytes());
    let header = reader.headers().map_err(broken)?.clone();
    if header.is_empty() {
        return Ok(Vec::new());
    }
    let layout = columns(path, &header, record)?;
    let mut outputs: Vec<Predicted> = layout
        .iter()
        .map(|columns| {
            let is_number = columns.classes.is_empty();
            let classes = columns.classes.iter().map(|name| Class { name: name.clone(), ..Class::default() });
            let answers =
                if is_number { Answers::Numbers(Vec::new()) } else { Answers::Classes(classes.collect()) };
            Predicted { output: columns.output.clone(), answers }
        })
        .collect();
    let mut row = csv::StringRecord::new();
    while reader.read_record(&mut row).map_err(broken)? {
        let number = |column: usize| {
            let found = &row[column];
            found.parse().map_err(|_| ReportError::Number {
                path: path.to_owned(),
                line: row.position().map_or(0, csv::Position::line),
                column: header[column].to_owned(),
                found: found.to_owned(),
            })
        };
        for (columns, predicted) in layout.iter().zip(&mut outputs) {
            let start = columns.start;
            match &mut predicted.answers {
                _ if row[start + 1].is_empty() && !columns.is_set => {}
                Answers::Numbers(_) if row[start].is_empty() => {}
                // A category without probabilities: there is nothing to draw.
                Answers::Numbers(_) if !is_number(record, &columns.output) => {}
                Answers::Numbers(pairs) => {
                    let pair: [f64; 2] = [number(start)?, number(start + 1)?];
                    if pair.iter().all(|value| value.is_finite()) {
                        pairs.push(pair);
                    }
                }
                // An empty cell is a set without labels, but a category that is missing.
                Answers::Classes(_) if row[start].is_empty() && !columns.is_set => {}
                Answers::Classes(classes) => {
                    for (index, class) in classes.iter_mut().enumerate() {
                        let has_it = if columns.is_set {
                            row[start].split('|').any(|label| label == class.name)
                        } else {
                            row[start] == class.name
                        };
                        class.probabilities.push(number(start + 2 + index)? as f32);
                        class.actual.push(has_it);
                    }
                }
            }
        }
    }
    Ok(outputs)
}

fn is_number(record: &RunRecord, output: &str) -> bool {
    record.details.get(output).is_none_or(|details| details.kind.is_empty() || details.kind == "number")
}

/// Finds the outputs in the header: a name, the same with `_prediction`, then one column a class.
fn columns(path: &Path, header: &csv::StringRecord, record: &RunRecord) -> Result<Vec<Columns>, ReportError> {
    let mut found = Vec::new();
    let mut at = usize::from(header.get(0) == Some("row"));
    while at < header.len() {
        let output = header[at].to_owned();
        let prediction = format!("{output}_prediction");
        if header.get(at + 1) != Some(&prediction) {
            let found = header.get(at + 1).unwrap_or("").to_owned();
            return Err(ReportError::Header { path: path.to_owned(), found, expected: prediction });
        }
        let start = at;
        let prefix = format!("{output}_probability_");
        at += 2;
        let mut classes = Vec::new();
        while let Some(class) = header.get(at).and_then(|name| name.strip_prefix(&prefix)) {
            classes.push(class.to_owned());
            at += 1;
        }
        let is_set = record.details.get(&output).is_some_and(|details| details.kind == "set");
        found.push(Columns { output, start, classes, is_set });
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str) -> Result<Vec<Predicted>, String> {
        read(Path::new("predictions.csv"), text, &RunRecord::default()).map_err(|error| error.to_string())
    }

    #[test]
    fn numbers_and_classes_are_told_apart_by_the_header() -> Result<(), String> {
        let text = "row,y,y_prediction,c,c_prediction,c_probability_a,c_probability_b\n\
                    3,1.5,2,b,a,0.75,0.25\n7,,1,a,a,1,0\n";
        let outputs = check(text)?;
        assert_eq!(outputs[0].answers, Answers::Numbers(vec![[1.5, 2.0]]));
        let class = |name: &str, probabilities: Vec<f32>, actual: Vec<bool>| Class {
            name: name.into(),
            probabilities,
            actual,
        };
        let a = class("a", vec![0.75, 1.0], vec![false, true]);
        let b = class("b", vec![0.25, 0.0], vec![true, false]);
        assert_eq!(outputs[1].answers, Answers::Classes(vec![a, b]));
        Ok(())
    }

    #[test]
    fn a_broken_table_is_named() {
        let message = check("row,y,y_prediction\n1,2,3\n2,many,3\n").unwrap_err();
        assert_eq!(message, "`predictions.csv` line 3 holds `many` in column `y`, but a number was expected");
        let message = check("row,y,z\n").unwrap_err();
        assert_eq!(message, "`predictions.csv` has the header column `z`, but `y_prediction` was expected");
    }
}
