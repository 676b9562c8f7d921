//! What the report shows of an output beyond its metrics, and the table of predictions.

use crate::decoders::tags;
use crate::device;
use crate::evaluate::{Answers, Truth, TruthValues, largest, pick};
use crate::files::csv_cell as cell;
use crate::metrics::{self, Score as _};
use crate::network::Network;
use crate::prepare::Prepared;
use crate::tagging;
use crate::thresholds::Chosen;
use crate::verdict::number;
use indexmap::IndexMap;
use outset_data::types::text::units;
use outset_data::{Cells, FeatureShape, Features, Table};
use outset_spec::record::{Details, Fit, Threshold, WorstRow};
use std::borrow::Cow;

/// Rows with the largest loss that the report shows.
const WORST: usize = 20;

/// Points along the line of a fit.
const LINE: usize = 101;

/// Collects the details of one output on the test part.
pub fn details(
    prepared: &Prepared,
    network: &Network,
    output: usize,
    answers: &Answers,
    thresholds: &IndexMap<String, Chosen>,
) -> Details {
    let truth = &prepared.truths[output];
    let values = &answers.outputs[output];
    let mut details = Details { worst: worst(prepared, truth, answers, values), ..Details::default() };
    match &truth.values {
        TruthValues::Number(_) => {
            details.kind = "number".to_owned();
            details.fit = fit(prepared, network, output);
        }
        TruthValues::Category(classes) => {
            details.kind = "category".to_owned();
            let actual = pick(classes, &answers.rows);
            let decided = metrics::decide(values, truth.width());
            let weights: Option<Vec<f64>> = prepared
                .weights
                .as_ref()
                .map(|weights| pick(weights, &answers.rows).into_iter().map(f64::from).collect());
            details.confusion = metrics::confusion(&actual, &decided, truth.width());
            let per_class = metrics::per_class(&actual, &decided, truth.width(), weights.as_deref());
            details.per_class = truth.classes.iter().cloned().zip(per_class).collect();
            details.positive = truth.positive.map(|positive| truth.classes[positive].clone());
            if let Some(chosen) = thresholds.get(&truth.name) {
                let score = metrics::Category::new(&actual, values, 2, truth.positive, weights.as_deref());
                details.threshold = Some(Threshold {
                    value: chosen.value,
                    chosen_by: chosen.chosen_by.clone(),
                    metrics: score.at_threshold(values, chosen.value).metrics(),
                });
            }
        }
        TruthValues::Set(_) => details.kind = "set".to_owned(),
        TruthValues::Tags { output, .. } => {
            details.kind = "tags".to_owned();
            if !output.is_plain() {
                let rows = truth.tagged(&answers.rows, values);
                details.per_class = metrics::per_type(&rows, &output.types.names);
                details.confusion = metrics::entity_confusion(&rows, output.types.len());
                details.classes = output.types.names.iter().cloned().chain(["(none)".to_owned()]).collect();
            }
            return details;
        }
    }
    details.classes = truth.classes.clone();
    details
}

/// The rows that the model got most wrong.
fn worst(prepared: &Prepared, truth: &Truth, answers: &Answers, values: &[f64]) -> Vec<WorstRow> {
    let by_row = truth.by_row(values);
    let mut losses: Vec<(f64, usize)> = by_row
        .iter()
        .enumerate()
        .map(|(index, values)| (loss(truth, answers.rows[index], values), index))
        .collect();
    losses.sort_by(|a, b| b.0.total_cmp(&a.0).then(a.1.cmp(&b.1)));
    losses
        .into_iter()
        .take(WORST)
        .map(|(loss, index)| {
            let row = answers.rows[index];
            let inputs = prepared.preprocessor.inputs.keys().map(|name| {
                let cell = prepared.table.get(name).and_then(|cells| cells.text(row as usize));
                let shown = |text: Cow<'_, str>| units::as_read(&text).chars().take(80).collect();
                (name.clone(), cell.map_or(String::new(), shown))
            });
            WorstRow {
                row: row as usize + 1,
                loss,
                actual: match tagging::actual(prepared, truth, row) {
                    Some(entities) => entities,
                    None => actual(prepared, truth, row),
                },
                prediction: match tagging::predicted(prepared, truth, row, by_row[index]) {
                    Some(entities) => entities,
                    None => prediction(truth, by_row[index]),
                },
                inputs: inputs.collect(),
            }
        })
        .collect()
}

/// Squared error of a number in standard deviations; minus log-probability of a class; the mean of that for labels; of
/// tags the entities that are missed or made up.
fn loss(truth: &Truth, row: u32, values: &[f64]) -> f64 {
    let row = row as usize;
    match &truth.values {
        TruthValues::Number(actual) => ((values[0] - actual[row]) / truth.scale).powi(2),
        TruthValues::Category(classes) => -values[classes[row] as usize].max(1e-15).ln(),
        TruthValues::Tags { .. } => {
            truth.tagged(&[row as u32], values).iter().map(metrics::TaggedRow::faults).sum::<usize>() as f64
        }
        TruthValues::Set(actual) => {
            let width = truth.width();
            let actual = &actual[row * width..(row + 1) * width];
            let sum: f64 = values
                .iter()
                .zip(actual)
                .map(|(p, label)| -(if *label > 0.5 { *p } else { 1.0 - p }).max(1e-15).ln())
                .sum();
            sum / width as f64
        }
    }
}

fn actual(prepared: &Prepared, truth: &Truth, row: u32) -> String {
    let cell = prepared.table.get(&truth.name).and_then(|cells| cells.text(row as usize));
    let between = if matches!(truth.values, TruthValues::Tags { .. }) { " " } else { "|" };
    cell.map_or(String::new(), |text| text.replace('\u{1f}', between))
}

fn prediction(truth: &Truth, values: &[f64]) -> String {
    match &truth.values {
        TruthValues::Number(_) => number(values[0]),
        TruthValues::Category(_) => truth.classes[largest(values)].clone(),
        TruthValues::Set(_) => labels(truth, values),
        TruthValues::Tags { output, .. } => output.iob2(&tags::tagged(values).tags).join(" "),
    }
}

fn labels(truth: &Truth, values: &[f64]) -> String {
    let chosen: Vec<&str> = truth
        .classes
        .iter()
        .zip(values)
        .filter(|(_, value)| **value >= 0.5)
        .map(|(class, _)| class.as_str())
        .collect();
    chosen.join("|")
}

/// The picture of one number against another: every row as a point, and the answers along the input's range.
fn fit(prepared: &Prepared, network: &Network, output: usize) -> Option<Fit> {
    let [(name, input)] = prepared.preprocessor.inputs.iter().collect::<Vec<_>>()[..] else { return None };
    let FeatureShape::Numeric { components } = input.shape() else { return None };
    let (Some(Cells::Number(x)), TruthValues::Number(y)) =
        (prepared.table.get(name), &prepared.truths[output].values)
    else {
        return None;
    };
    if components.is_empty() || !matches!(prepared.features.first(), Some(Features::Numeric { .. })) {
        return None;
    }
    let points: Vec<[f64; 2]> =
        x.iter().zip(y).filter(|(x, y)| !x.is_nan() && !y.is_nan()).map(|(x, y)| [*x, *y]).collect();
    let low = points.iter().map(|point| point[0]).fold(f64::INFINITY, f64::min);
    let high = points.iter().map(|point| point[0]).fold(f64::NEG_INFINITY, f64::max);
    let along: Vec<f64> = (0..LINE).map(|i| low + (high - low) * i as f64 / (LINE - 1) as f64).collect();
    let answers = answers_along(prepared, network, name, &along)?;
    let line = along.iter().zip(&answers[output]).map(|(x, y)| [*x, *y]).collect();
    Some(Fit { input: name.clone(), points, line })
}

/// The network's natural answers where its one input takes the given values, for each output.
pub fn answers_along(
    prepared: &Prepared,
    network: &Network,
    input: &str,
    values: &[f64],
) -> Option<Vec<Vec<f64>>> {
    let table =
        Table::new(IndexMap::from([(input.to_owned(), Cells::Number(values.to_vec()))]), values.len());
    let rows: Vec<u32> = (0..values.len() as u32).collect();
    let features = prepared.preprocessor.encode_inputs(&table, &rows).ok()?;
    let answers = network.answers(&features, &rows, &device::chosen());
    Some(prepared.truths.iter().zip(answers).map(|(truth, answers)| truth.natural(answers)).collect())
}

/// The test rows with actual value, prediction and probabilities.
pub fn predictions_csv(prepared: &Prepared, answers: &Answers) -> Vec<u8> {
    let mut text = String::from("row");
    for truth in &prepared.truths {
        text.push_str(&format!(",{},{}", cell(&truth.name), cell(&format!("{}_prediction", truth.name))));
        for class in &truth.classes {
            text.push_str(&format!(",{}", cell(&format!("{}_probability_{class}", truth.name))));
        }
    }
    text.push('\n');
    let by_row: Vec<Vec<&[f64]>> =
        prepared.truths.iter().zip(&answers.outputs).map(|(truth, values)| truth.by_row(values)).collect();
    for (index, row) in answers.rows.iter().enumerate() {
        text.push_str(&(row + 1).to_string());
        for (truth, by_row) in prepared.truths.iter().zip(&by_row) {
            let values = by_row[index];
            let predicted = match truth.values {
                TruthValues::Number(_) => values[0].to_string(),
                _ => prediction(truth, values),
            };
            text.push_str(&format!(",{},{}", cell(&actual(prepared, truth, *row)), cell(&predicted)));
            if truth.has_classes() {
                values.iter().for_each(|value| text.push_str(&format!(",{value}")));
            }
        }
        text.push('\n');
    }
    text.into_bytes()
}
