//! The baselines of every run: the constant answer and a linear model, on the same split and the same features.

use crate::baselines::{Baseline, Fitted, Targets, rows_used};
use crate::details::answers_along;
use crate::evaluate::{Truth, TruthValues, pick};
use crate::network::Network;
use crate::prepare::Prepared;
use crate::run::evenly;
use crate::verdict::number;
use indexmap::IndexMap;
use outset_data::pictures::Shape;
use outset_data::{Cells, FeatureShape, Features, Table};
use outset_spec::record::RunRecord;

/// Classes of one column that the linear model looks at, at most; the others count as unknown.
const CLASSES: usize = 256;

/// Fitted baselines, one of each kind for each output.
pub struct Baselines(Vec<(Baseline, Vec<Fitted>)>);

impl Baselines {
    /// Fits every baseline on the train part.
    pub fn fit(prepared: &Prepared) -> Self {
        let outputs = prepared.truths.iter().map(Truth::width).max().unwrap_or(1);
        let (_, width) = dense(prepared, &prepared.features, &[]);
        let rows = evenly(&prepared.train, rows_used(prepared.train.len(), width, outputs));
        let (features, width) = dense(prepared, &prepared.features, &rows);
        let weights: Option<Vec<f64>> = prepared
            .weights
            .as_ref()
            .map(|weights| rows.iter().map(|row| f64::from(weights[*row as usize])).collect());
        let weights = weights.as_deref();
        let fit = |baseline: Baseline, truth: &Truth| match &truth.values {
            TruthValues::Number(values) => {
                baseline.fit(&features, width, Targets::Number(&pick(values, &rows)), weights)
            }
            TruthValues::Category(values) => {
                let actual = pick(values, &rows);
                baseline.fit(
                    &features,
                    width,
                    Targets::Category { actual: &actual, classes: truth.width() },
                    weights,
                )
            }
            TruthValues::Set(_) => {
                let actual = truth.labels(&rows);
                baseline.fit(
                    &features,
                    width,
                    Targets::Set { actual: &actual, labels: truth.width() },
                    weights,
                )
            }
        };
        let of = |baseline| (baseline, prepared.truths.iter().map(|truth| fit(baseline, truth)).collect());
        Self(vec![of(Baseline::Constant), of(Baseline::Linear)])
    }

    /// Measures the baselines on a part and records their metrics.
    pub fn measure(&self, prepared: &Prepared, part: &str, rows: &[u32], record: &mut RunRecord) {
        let (features, _) = dense(prepared, &prepared.features, rows);
        for (baseline, fitted) in &self.0 {
            for (fitted, truth) in fitted.iter().zip(&prepared.truths) {
                let answers =
                    fitted.predict_rows(rows.len(), if fitted.width == 0 { &[] } else { &features });
                let metrics = truth.metrics(rows, &answers, prepared.weights.as_deref());
                let parts = record.baselines.entry(baseline.word().to_owned()).or_default();
                parts.entry(part.to_owned()).or_default().insert(truth.name.clone(), metrics);
            }
        }
    }

    /// The fitted linear models.
    fn linear(&self) -> &[Fitted] {
        self.0.iter().find(|(baseline, _)| *baseline == Baseline::Linear).map_or(&[], |(_, fitted)| fitted)
    }

    /// For a straight line: how near the trained line is to the exact least-squares fit.
    pub fn notes(&self, prepared: &Prepared, network: &Network) -> Vec<String> {
        let [(input, fitted)] = prepared.preprocessor.inputs.iter().collect::<Vec<_>>()[..] else {
            return Vec::new();
        };
        let (FeatureShape::Numeric { .. }, true) =
            (fitted.shape(), prepared.experiment.model.kind == "linear")
        else {
            return Vec::new();
        };
        let Some(Cells::Number(values)) = prepared.table.get(input) else { return Vec::new() };
        let low = values.iter().copied().fold(f64::INFINITY, f64::min);
        let high = values.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        if low >= high || values.iter().all(|value| value.is_nan()) {
            return Vec::new();
        }
        let ends = [low, high];
        let Some(trained) = answers_along(prepared, network, input, &ends) else { return Vec::new() };
        let table = Table::new(IndexMap::from([(input.clone(), Cells::Number(ends.to_vec()))]), 2);
        let Ok(features) = prepared.preprocessor.encode_inputs(&table, &[0, 1]) else { return Vec::new() };
        let (features, _) = dense(prepared, &features, &[0, 1]);
        let numbers = prepared.truths.iter().enumerate().filter(|(_, truth)| !truth.has_classes());
        numbers
            .map(|(output, truth)| {
                let line = |answers: &[f64]| {
                    let slope = (answers[1] - answers[0]) / (high - low);
                    (slope, answers[0] - slope * low)
                };
                let (slope, intercept) = line(&trained[output]);
                let (best_slope, best_intercept) = line(&self.linear()[output].predict(&features));
                let off = |value: f64, best: f64| ((value - best) / best).abs();
                let apart = off(slope, best_slope).max(off(intercept, best_intercept)) * 100.0;
                format!(
                    "`{}` = {} · `{input}` + {} as trained, {} · `{input}` + {} by least squares: {} % apart",
                    truth.name,
                    number(slope),
                    number(intercept),
                    number(best_slope),
                    number(best_intercept),
                    number(apart)
                )
            })
            .collect()
    }
}

/// Width and height that pictures are averaged to before a linear model sees them, at most.
const PICTURE_SIDE: usize = 32;

fn averaged_side(length: usize) -> usize {
    length / length.div_ceil(PICTURE_SIDE)
}

fn averaged_length(shape: &Shape) -> usize {
    shape.channels * averaged_side(shape.height) * averaged_side(shape.width)
}

/// Averages squares of pixels, so that a linear model gets at most 32 × 32 of them, black being 0 and white 1.
fn average(values: &[u8], shape: Shape, out: &mut [f32]) {
    let (height, width) = (averaged_side(shape.height), averaged_side(shape.width));
    let (tall, wide) = (shape.height / height, shape.width / width);
    for (out, plane) in
        out.chunks_exact_mut(height * width).zip(values.chunks_exact(shape.height * shape.width))
    {
        for (place, out) in out.iter_mut().enumerate() {
            let (top, left) = (place / width * tall, place % width * wide);
            let rows = (top..top + tall).map(|y| &plane[y * shape.width + left..][..wide]);
            let sum: u32 = rows.flatten().map(|value| u32::from(*value)).sum();
            *out = sum as f32 / (255 * tall * wide) as f32;
        }
    }
}

/// The features of rows as one matrix, `[rows, width]`: numbers as they are, a 0 or 1 for each class, pixels.
fn dense(prepared: &Prepared, features: &[Features], rows: &[u32]) -> (Vec<f32>, usize) {
    let shapes: Vec<FeatureShape> =
        prepared.preprocessor.inputs.values().map(|input| input.shape()).collect();
    let widths: Vec<usize> = shapes
        .iter()
        .map(|shape| match shape {
            FeatureShape::Numeric { components } => components.len(),
            FeatureShape::Image { shape, .. } => averaged_length(shape),
            FeatureShape::Index { classes } | FeatureShape::Indices { classes } => (*classes).min(CLASSES),
        })
        .collect();
    let width: usize = widths.iter().sum();
    let mut matrix = vec![0.0f32; rows.len() * width];
    let mut start = 0;
    for (column, (features, columns)) in features.iter().zip(&widths).enumerate() {
        for (row, out) in rows.iter().zip(matrix.chunks_exact_mut(width.max(1))) {
            let row = *row as usize;
            let out = &mut out[start..start + columns];
            match features {
                Features::Image(pixels) => {
                    if let FeatureShape::Image { shape, .. } = &shapes[column] {
                        average(pixels[row].values(), *shape, out);
                    }
                }
                Features::Numeric { width, values } => {
                    out.copy_from_slice(&values[row * width..(row + 1) * width])
                }
                Features::Index(classes) => {
                    let class = classes[row] as usize;
                    out[if class < *columns { class } else { 0 }] = 1.0;
                }
                Features::Indices { offsets, indices } => {
                    for class in &indices[offsets[row] as usize..offsets[row + 1] as usize] {
                        if let Some(out) = out.get_mut(*class as usize) {
                            *out = 1.0;
                        }
                    }
                }
            }
        }
        start += columns;
    }
    (matrix, width)
}
