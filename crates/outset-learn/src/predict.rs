//! Answers from a bundle: the one way that `predict`, `serve` and the run itself use.

use crate::bundle::{self, BundleError, Manifest, Parts, Probe};
use crate::decoders::tags::{self, Tagged};
use crate::device;
use crate::network::Network;
use crate::tagging;
use crate::thresholds::Chosen;
use burn::module::Module as _;
use burn::tensor::Device;
use indexmap::IndexMap;
use outset_data::types::TagsOutput;
use outset_data::{Cells, DataError, FittedInput, Preprocessor, RowProblem, Signature, Table};
use serde_json::{Map, Value, json};
use std::path::Path;
use thiserror::Error;

/// Rows that cannot be answered.
#[derive(Debug, Error)]
pub enum PredictError {
    /// Rows with missing columns, wrong types or unknown keys: every one of them.
    #[error("{} of the rows' values cannot be used", .0.len())]
    Rows(Vec<RowProblem>),
    #[error(transparent)]
    Data(#[from] DataError),
}

/// Rows that have no answer because a picture of theirs cannot be used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unanswered {
    pub count: usize,
    /// Of the first few, what is wrong: `` `a.png` is not a picture ``.
    pub words: Vec<String>,
}

/// A trained network that answers rows.
pub struct Predictor {
    manifest: Manifest,
    preprocessor: Preprocessor,
    network: Network,
    device: Device,
}

impl Predictor {
    /// Loads a bundle or a run folder's bundle and replays its probes.
    ///
    /// # Errors
    /// If the bundle is not whole, or does not answer its probes as the trainer did.
    pub fn load(path: &Path) -> Result<Self, BundleError> {
        let Parts { manifest, preprocessor, design, weights, probes } = bundle::read(path)?;
        let device = device::chosen();
        let network = crate::weights::from_bytes(design.build(&preprocessor, 0, &device), &weights)
            .map_err(|source| BundleError::Weights { path: path.to_owned(), source })?;
        let predictor = Self::new(manifest, preprocessor, network);
        predictor.replay(path, &probes)?;
        Ok(predictor)
    }

    /// Wraps a network that was just trained.
    pub fn new(manifest: Manifest, preprocessor: Preprocessor, network: Network) -> Self {
        Self { manifest, preprocessor, network: network.no_grad(), device: device::chosen() }
    }

    /// Name of the experiment and of the served model.
    pub fn name(&self) -> &str {
        &self.manifest.name
    }

    /// What the bundle says of itself.
    pub fn manifest(&self) -> &Manifest {
        &self.manifest
    }

    /// What goes in and what comes out.
    pub fn signature(&self) -> &Signature {
        &self.manifest.signature
    }

    /// The fitted preprocessor.
    pub fn preprocessor(&self) -> &Preprocessor {
        &self.preprocessor
    }

    /// The network, without gradients.
    pub(crate) fn network(&self) -> &Network {
        &self.network
    }

    /// The thresholds that classes are decided at, by output, where not by the largest probability.
    pub(crate) fn thresholds(&self) -> IndexMap<String, Chosen> {
        let chosen = self.manifest.thresholds.iter().filter_map(|(name, value)| {
            let positive = *self.manifest.positives.get(name)?;
            Some((
                name.clone(),
                Chosen { value: *value, positive, chosen_by: "kept in the bundle".to_owned() },
            ))
        });
        chosen.collect()
    }

    /// Answers rows that came as JSON objects: one answer for each, in order.
    ///
    /// # Errors
    /// Every missing column, wrong type and unknown key of all rows at once.
    pub fn predict(&self, rows: &[Value]) -> Result<Vec<Value>, PredictError> {
        let table = self.preprocessor.read_rows(rows).map_err(PredictError::Rows)?;
        self.predict_table(&table)
    }

    /// Answers the rows of a table.
    ///
    /// # Errors
    /// If a column is missing or holds what its type does not allow.
    pub fn predict_table(&self, table: &Table) -> Result<Vec<Value>, PredictError> {
        let rows: Vec<u32> = (0..table.rows() as u32).collect();
        self.predict_rows(table, &rows)
    }

    /// Answers the rows of a table but those with a picture that cannot be used, whose answer is `{"error": …}`; gives beside
    /// the answers how many these are and what is wrong with the first few.
    ///
    /// # Errors
    /// As [`Predictor::predict_table`]; and if more of the rows than the share `max_skipped` cannot be answered.
    pub fn predict_usable(
        &self,
        table: &Table,
        max_skipped: f64,
    ) -> Result<(Vec<Value>, Option<Unanswered>), PredictError> {
        let broken = self.preprocessor.broken_pictures(table);
        let mut faults: Vec<Option<String>> = vec![None; table.rows()];
        for (name, skipped) in &broken {
            let Some(Cells::Image(images)) = table.get(name) else { continue };
            for row in &skipped.rows {
                let picture = images.0[*row as usize].as_ref();
                let words =
                    picture.and_then(|picture| Some(format!("`{}` {}", picture.name, picture.fault()?)));
                faults[*row as usize] = words.or(Some("the picture cannot be used".to_owned()));
            }
        }
        let usable: Vec<u32> =
            (0..table.rows() as u32).filter(|row| faults[*row as usize].is_none()).collect();
        let count = table.rows() - usable.len();
        let Some((column, skipped)) = broken.into_iter().next() else {
            return Ok((self.predict_rows(table, &usable)?, None));
        };
        if count as f64 > max_skipped * table.rows() as f64 {
            return Err(DataError::TooManySkipped {
                column,
                rows: table.rows(),
                skipped: count,
                words: skipped.words,
                most: max_skipped,
            }
            .into());
        }
        let mut answered = self.predict_rows(table, &usable)?.into_iter();
        let answers = faults.into_iter().map(|fault| match fault {
            Some(fault) => json!({ "error": fault }),
            None => answered.next().unwrap_or_default(),
        });
        Ok((answers.collect(), Some(Unanswered { count, words: skipped.words })))
    }

    /// Answers some rows of a table, in the order given.
    fn predict_rows(&self, table: &Table, rows: &[u32]) -> Result<Vec<Value>, PredictError> {
        let features = self.preprocessor.encode_inputs(table, rows)?;
        let asked: Vec<u32> = (0..rows.len() as u32).collect();
        let outputs = self.network.answers(&features, &asked, &self.device);
        let by_row: Vec<Vec<&[f64]>> = self
            .preprocessor
            .outputs
            .values()
            .zip(&outputs)
            .map(|(output, values)| match output.tags() {
                Some(_) => tags::by_row(values),
                None => values.chunks_exact((values.len() / rows.len().max(1)).max(1)).collect(),
            })
            .collect();
        let answers = rows.iter().enumerate().map(|(place, row)| {
            let mut answer = Map::new();
            for ((name, output), by_row) in self.preprocessor.outputs.iter().zip(&by_row) {
                let values = by_row.get(place).copied().unwrap_or_default();
                let value = match output.tags() {
                    Some(output) => {
                        let cells = table.get(&output.of);
                        let text = cells.and_then(|cells| cells.text(*row as usize)).unwrap_or_default();
                        self.tagged(output, &text, values)
                    }
                    None => self.answer(name, output, values),
                };
                answer.insert(name.clone(), value);
            }
            Value::Object(answer)
        });
        Ok(answers.collect())
    }

    /// The entities of a text with their places, and the tag of each of its words or characters.
    fn tagged(&self, output: &TagsOutput, text: &str, values: &[f64]) -> Value {
        let Tagged { probability, mut tags } = tags::tagged(values);
        let input = self.preprocessor.inputs.get(&output.of);
        let units = match input {
            Some(FittedInput::Text(fitted)) => fitted.units(text).unwrap_or_default(),
            _ => Vec::new(),
        };
        tags.truncate(units.len());
        let tokens: Vec<&str> = units.iter().map(|unit| unit.text).collect();
        json!({
            "prediction": tagging::marks(input, output, text, &tags),
            "tokens": tokens,
            "tags": output.iob2(&tags),
            "probability": rounded(probability),
        })
    }

    fn answer(&self, name: &str, output: &outset_data::FittedOutput, values: &[f64]) -> Value {
        let classes = output.classes();
        if classes.is_empty() {
            return json!({ "prediction": rounded_by(output.inverse(values[0] as f32), output.scale()) });
        }
        let mut order: Vec<usize> = (0..classes.len()).collect();
        order.sort_by(|a, b| values[*b].total_cmp(&values[*a]));
        let probabilities: Map<String, Value> =
            order.iter().map(|class| (classes[*class].clone(), json!(rounded(values[*class])))).collect();
        let prediction = if output.kind() == "set" {
            classes
                .iter()
                .zip(values)
                .filter(|(_, value)| **value >= 0.5)
                .map(|(class, _)| class.as_str())
                .collect()
        } else {
            json!(classes[self.decide(name, values)])
        };
        json!({ "prediction": prediction, "probabilities": probabilities })
    }

    /// The class to answer: the largest probability, or by the output's threshold.
    fn decide(&self, name: &str, values: &[f64]) -> usize {
        if let (Some(threshold), Some(positive)) =
            (self.manifest.thresholds.get(name), self.manifest.positives.get(name))
        {
            return if values[*positive] >= *threshold { *positive } else { 1 - *positive };
        }
        crate::evaluate::largest(values)
    }

    /// Asks the probes again and compares.
    fn replay(&self, path: &Path, probes: &[Probe]) -> Result<(), BundleError> {
        let rows: Vec<Value> = probes.iter().map(|probe| probe.row.clone()).collect();
        let failed = |probe: usize, found: String, expected: String| BundleError::Probe {
            path: path.to_owned(),
            probe: probe + 1,
            found,
            expected,
        };
        let answers =
            self.predict(&rows).map_err(|error| failed(0, error.to_string(), "an answer".to_owned()))?;
        for (index, (probe, answer)) in probes.iter().zip(&answers).enumerate() {
            if !alike(&probe.answer, answer) {
                return Err(failed(index, answer.to_string(), probe.answer.to_string()));
            }
        }
        Ok(())
    }
}

/// Six significant digits: as much as 32-bit arithmetic holds whatever the size of the batch.
fn rounded(value: f64) -> f64 {
    if value == 0.0 || !value.is_finite() {
        return value;
    }
    format!("{value:.5e}").parse().unwrap_or(value)
}

/// Six significant digits, and more of a number that is large beside how far such numbers differ: a moment in seconds, or a
/// longitude within a town.
fn rounded_by(value: f64, scale: f64) -> f64 {
    let magnitude = |value: f64| value.abs().log10().floor();
    if value == 0.0 || !value.is_finite() || !(scale.is_finite() && scale > 0.0) {
        return rounded(value);
    }
    let digits = (magnitude(value) - magnitude(scale) + 4.0).clamp(5.0, 16.0) as usize;
    format!("{value:.digits$e}").parse().unwrap_or(value)
}

/// Tells whether two answers agree but for the last digits that another instruction set may give.
fn alike(a: &Value, b: &Value) -> bool {
    match (a, b) {
        (Value::Number(a), Value::Number(b)) => {
            let (a, b) = (a.as_f64().unwrap_or(f64::NAN), b.as_f64().unwrap_or(f64::NAN));
            (a - b).abs() <= 1e-4 * a.abs().max(b.abs()).max(1e-2)
        }
        (Value::Object(a), Value::Object(b)) => {
            let undecided = undecided(a) || undecided(b) || (a.contains_key("tokens") && even(a, b));
            a.len() == b.len()
                && a.iter().all(|(key, value)| {
                    b.get(key).is_some_and(|other| {
                        alike(value, other)
                            || (undecided && key == "prediction" && !value.is_number())
                            || (undecided && key == "tags")
                    })
                })
        }
        (Value::Array(a), Value::Array(b)) => a == b,
        _ => a == b,
    }
}

/// Tells whether two ways to tag a text are as probable as each other, so that rounding may decide between them.
fn even(a: &Map<String, Value>, b: &Map<String, Value>) -> bool {
    let of = |answer: &Map<String, Value>| answer.get("probability").and_then(Value::as_f64);
    matches!((of(a), of(b)), (Some(a), Some(b)) if a < 0.5005 && (a - b).abs() <= 1e-3 * a.max(b))
}

/// Tells whether the two largest probabilities are so close that rounding may decide.
fn undecided(answer: &Map<String, Value>) -> bool {
    let Some(Value::Object(probabilities)) = answer.get("probabilities") else { return false };
    let mut values: Vec<f64> = probabilities.values().filter_map(Value::as_f64).collect();
    values.sort_by(|a, b| b.total_cmp(a));
    values.len() > 1 && values[0] - values[1] < 1e-3
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_agree_but_for_last_digits() {
        let answer = |p: f64| json!({"a": {"prediction": "x", "probabilities": {"x": p, "y": 1.0 - p}}});
        assert!(alike(&answer(0.8), &answer(0.80001)));
        assert!(!alike(&answer(0.8), &answer(0.81)));
        assert!(!alike(&json!({"a": {"prediction": "x"}}), &json!({"a": {"prediction": "y"}})));
        assert!(!alike(&json!({"a": {"prediction": 1.0}}), &json!({"a": {"prediction": 1.01}})));
    }

    #[test]
    fn tags_differ_only_where_chance_decides() {
        let answer = |p: f64, tag: &str| json!({"a": {"prediction": [], "tokens": ["x"], "tags": [tag], "probability": p}});
        assert!(alike(&answer(0.9, "O"), &answer(0.90001, "O")));
        assert!(!alike(&answer(0.9, "O"), &answer(0.9, "B-x")));
        assert!(!alike(&answer(0.4, "O"), &answer(0.3, "B-x")));
        assert!(alike(&answer(0.4, "O"), &answer(0.40001, "B-x")));
    }

    #[test]
    fn six_digits() {
        assert_eq!(rounded(0.123_456_789), 0.123_457);
        assert_eq!(rounded(-98_765_432.1), -98_765_400.0);
        for (value, scale, expected) in [
            (-98_765_432.1, 5e7, -98_765_400.0),
            (1_700_012_345.678, 1e5, 1_700_012_350.0),
            (116.397_512_3, 0.02, 116.397_512),
            (0.0, 1.0, 0.0),
            (123.456_789, 0.0, 123.457),
        ] {
            assert_eq!(rounded_by(value, scale), expected, "{value} by {scale}");
        }
    }
}
