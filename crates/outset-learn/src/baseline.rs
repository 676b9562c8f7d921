//! The baselines of every run: the constant answer and a linear model, on the same split and the same features; for text
//! a linear model of tf-idf.

use crate::baselines::{Baseline, Fitted, Known, Sparse, Tagger, Targets, rows_used};
use crate::details::answers_along;
use crate::evaluate::{Truth, TruthValues, pick};
use crate::network::Network;
use crate::prepare::Prepared;
use crate::run::evenly;
use crate::verdict::number;
use indexmap::IndexMap;
use outset_data::pictures::Shape;
use outset_data::types::{Column, ColumnSettings};
use outset_data::{Cells, FeatureShape, Features, FittedInput, Table};
use outset_spec::record::RunRecord;

/// Classes of one column that the linear model looks at, at most; the others count as unknown.
const CLASSES: usize = 256;

/// Fitted baselines, one of each kind for each output that it can be fitted to.
pub struct Baselines {
    fitted: Vec<(Baseline, Vec<Option<Model>>)>,
    /// For each input its n-grams, where it is a text that the network reads otherwise.
    ngrams: Vec<Option<(usize, Features)>>,
}

/// Fits a baseline of rows to targets and weights.
type Fit<'a> = &'a dyn Fn(Targets<'_>, Option<&[f64]>) -> Fitted;

/// A fitted baseline of one output.
enum Model {
    Rows(Fitted),
    Tags(Tagger),
}

impl Baselines {
    /// Fits every baseline on the train part.
    pub fn fit(prepared: &Prepared) -> Self {
        let outputs = prepared.truths.iter().map(Truth::width).max().unwrap_or(1);
        let (_, width) = dense(prepared, &prepared.features, &[]);
        let rows = evenly(&prepared.train, rows_used(prepared.train.len(), width, outputs));
        let (features, width) = dense(prepared, &prepared.features, &rows);
        let mut baselines = Self { fitted: Vec::new(), ngrams: ngrams(prepared) };
        let fit_all = |baseline: Baseline, rows: &[u32], fit: Option<Fit<'_>>| {
            let weights: Option<Vec<f64>> = prepared
                .weights
                .as_ref()
                .map(|weights| rows.iter().map(|row| f64::from(weights[*row as usize])).collect());
            let fit = |truth: &Truth| match tagger(prepared, truth, baseline) {
                Some(tagger) => tagger.map(Model::Tags),
                None => fit.map(|fit| {
                    Model::Rows(fit_truth(truth, rows, &|targets| fit(targets, weights.as_deref())))
                }),
            };
            (baseline, prepared.truths.iter().map(fit).collect::<Vec<_>>())
        };
        let text = baselines.sparse(prepared, &[]).is_some();
        for baseline in [Baseline::Constant, Baseline::Linear] {
            let fit = |targets: Targets<'_>, weights: Option<&[f64]>| {
                baseline.fit(&features, width, targets, weights)
            };
            let fits = baseline == Baseline::Constant || width > 0 || !text;
            let fitted = fit_all(baseline, &rows, fits.then_some(&fit));
            if fitted.1.iter().any(Option::is_some) {
                baselines.fitted.push(fitted);
            }
        }
        if let Some(sparse) = baselines.sparse(prepared, &prepared.train) {
            let fit = |targets: Targets<'_>, weights: Option<&[f64]>| sparse.fit(targets, weights);
            baselines.fitted.push(fit_all(Baseline::TfIdf, &prepared.train, Some(&fit)));
        }
        baselines
    }

    /// Measures the baselines on a part and records their metrics.
    pub fn measure(&self, prepared: &Prepared, part: &str, rows: &[u32], record: &mut RunRecord) {
        let (features, _) = dense(prepared, &prepared.features, rows);
        let sparse = self.sparse(prepared, rows);
        for (baseline, fitted) in &self.fitted {
            for (model, truth) in fitted.iter().zip(&prepared.truths) {
                let answers = match (model, &sparse, baseline) {
                    (None, ..) => continue,
                    (Some(Model::Tags(tagger)), ..) => match tokens(prepared, truth) {
                        Some((features, _)) => tagger.predict(features, rows),
                        None => continue,
                    },
                    (Some(Model::Rows(fitted)), Some(sparse), Baseline::TfIdf) => {
                        fitted.predict_sparse(sparse)
                    }
                    (Some(Model::Rows(fitted)), ..) => {
                        fitted.predict_rows(rows.len(), if fitted.width == 0 { &[] } else { &features })
                    }
                };
                let metrics = truth.metrics(rows, &answers, prepared.weights.as_deref());
                let parts = record.baselines.entry(baseline.word().to_owned()).or_default();
                parts.entry(part.to_owned()).or_default().insert(truth.name.clone(), metrics);
            }
        }
    }

    /// Tf-idf of the texts of rows, and the other columns beside it; `None` without a text.
    fn sparse(&self, prepared: &Prepared, rows: &[u32]) -> Option<Sparse> {
        let texts: Vec<(usize, &Features)> = prepared
            .preprocessor
            .inputs
            .values()
            .zip(prepared.features.iter().zip(&self.ngrams))
            .filter_map(|(input, (features, ngrams))| match (input.shape(), ngrams) {
                (FeatureShape::Weighted { size }, _) => Some((size, features)),
                (_, Some((size, features))) => Some((*size, features)),
                _ => None,
            })
            .collect();
        if texts.is_empty() {
            return None;
        }
        let (others, width) = dense(prepared, &prepared.features, rows);
        let mut sparse = Sparse { offsets: vec![0], ..Sparse::default() };
        for (place, row) in rows.iter().enumerate() {
            let mut start = 0;
            for (size, features) in &texts {
                if let Features::Weighted { offsets, indices, weights } = features {
                    let range = offsets[*row as usize]..offsets[*row as usize + 1];
                    sparse.indices.extend(indices[range.clone()].iter().map(|index| index + start));
                    sparse.values.extend_from_slice(&weights[range]);
                }
                start += *size as u32;
            }
            let others = others[place * width..(place + 1) * width].iter().enumerate();
            for (index, value) in others.filter(|(_, value)| **value != 0.0) {
                sparse.indices.push(start + index as u32);
                sparse.values.push(*value);
            }
            sparse.offsets.push(sparse.indices.len());
        }
        sparse.width = texts.iter().map(|(size, _)| size).sum::<usize>() + width;
        Some(sparse)
    }

    /// The fitted linear model of an output of rows.
    fn linear(&self, output: usize) -> Option<&Fitted> {
        let (_, fitted) = self.fitted.iter().find(|(baseline, _)| *baseline == Baseline::Linear)?;
        match fitted.get(output) {
            Some(Some(Model::Rows(fitted))) => Some(fitted),
            _ => None,
        }
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
        let numbers = prepared.truths.iter().enumerate().filter(|(_, truth)| truth.is_number());
        numbers
            .filter_map(|(output, truth)| {
                let line = |answers: &[f64]| {
                    let slope = (answers[1] - answers[0]) / (high - low);
                    (slope, answers[0] - slope * low)
                };
                let (slope, intercept) = line(&trained[output]);
                let (best_slope, best_intercept) = line(&self.linear(output)?.predict(&features));
                let off = |value: f64, best: f64| ((value - best) / best).abs();
                let apart = off(slope, best_slope).max(off(intercept, best_intercept)) * 100.0;
                Some(format!(
                    "`{}` = {} · `{input}` + {} as trained, {} · `{input}` + {} by least squares: {} % apart",
                    truth.name,
                    number(slope),
                    number(intercept),
                    number(best_slope),
                    number(best_intercept),
                    number(apart)
                ))
            })
            .collect()
    }
}

/// Hands the targets of rows to a fit.
fn fit_truth(truth: &Truth, rows: &[u32], fit: &dyn Fn(Targets<'_>) -> Fitted) -> Fitted {
    match &truth.values {
        TruthValues::Number(values) => fit(Targets::Number(&pick(values, rows))),
        TruthValues::Category(values) => {
            fit(Targets::Category { actual: &pick(values, rows), classes: truth.width() })
        }
        TruthValues::Set(_) => fit(Targets::Set { actual: &truth.labels(rows), labels: truth.width() }),
        TruthValues::Tags { .. } => unreachable!("tags have a baseline of their own"),
    }
}

/// Rows that a linear model of tags is fitted on, at most.
const TAGGED: usize = 40_000;

/// The features of the text that an output tags, and its words and parts.
fn tokens<'a>(prepared: &'a Prepared, truth: &Truth) -> Option<(&'a Features, [usize; 2])> {
    let TruthValues::Tags { output, .. } = &truth.values else { return None };
    let (index, _, input) = prepared.preprocessor.inputs.get_full(&output.of)?;
    match input.shape() {
        FeatureShape::Tokens { size, parts, .. } => Some((&prepared.features[index], [size, parts])),
        _ => None,
    }
}

/// The baseline of an output of tags, where there is one of this kind; `None` for other outputs.
fn tagger(prepared: &Prepared, truth: &Truth, baseline: Baseline) -> Option<Option<Tagger>> {
    let TruthValues::Tags { output, offsets, tags } = &truth.values else { return None };
    let known = Known { offsets, tags };
    let rows = evenly(&prepared.train, TAGGED);
    Some(match baseline {
        Baseline::Constant => Some(Tagger::constant(output, known, &rows)),
        Baseline::Linear => tokens(prepared, truth)
            .map(|(features, sizes)| Tagger::fit(output, known, features, sizes, &rows)),
        Baseline::TfIdf => None,
    })
}

/// N-grams of the texts that the network reads as tokens: how many there are, and those of every row.
fn ngrams(prepared: &Prepared) -> Vec<Option<(usize, Features)>> {
    let all: Vec<u32> = (0..prepared.table.rows() as u32).collect();
    let tags_alone = prepared.truths.iter().all(|truth| matches!(truth.values, TruthValues::Tags { .. }));
    let of_column = |(name, input): (&String, &FittedInput)| {
        let (FittedInput::Text(text), FeatureShape::Tokens { .. }, false) =
            (input, input.shape(), tags_alone)
        else {
            return None;
        };
        let cells = prepared.table.get(name)?;
        let settings = ColumnSettings::Text(text.as_ngrams());
        let fitted = FittedInput::fit(Column { name, cells, rows: &prepared.train }, &settings).ok()?;
        let FeatureShape::Weighted { size } = fitted.shape() else { return None };
        Some((size, fitted.encode(Column { name, cells, rows: &all }).ok()?))
    };
    prepared.preprocessor.inputs.iter().map(of_column).collect()
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
            FeatureShape::Weighted { .. } | FeatureShape::Tokens { .. } => 0,
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
                Features::Weighted { .. } | Features::Tokens { .. } => {}
            }
        }
        start += columns;
    }
    (matrix, width)
}
