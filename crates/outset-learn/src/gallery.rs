//! Pictures for the report: what the network sees while training, where it is right, wrong and unsure, and what on a
//! picture its answer hangs on.

use crate::device;
use crate::encoders::Mixing;
use crate::error::LearnError;
use crate::evaluate::{Answered, Answers, Truth, TruthValues};
use crate::files;
use crate::network::Network;
use crate::order::mix;
use crate::prepare::Prepared;
use outset_data::pictures::{Augment, Pixels, Shape, png};
use outset_data::{Cells, FeatureShape, Features};
use outset_spec::record::{Gallery, PictureGroup, PictureRecord};
use std::path::Path;

/// Pictures of a group.
const SHOWN: usize = 12;

/// Pictures that are shown as augmentation varies them, and how often each.
const VARIED: usize = 4;
const TIMES: usize = 6;

/// Pictures whose saliency is shown, and places a side that are covered for it.
const EXPLAINED: usize = 8;
const PLACES: usize = 8;

/// Writes the gallery of the first input of pictures into a run's folder; of a run without pictures nothing.
///
/// # Errors
/// If a file cannot be written.
pub(crate) fn write(
    prepared: &Prepared,
    network: &Network,
    answers: &Answers,
    folder: &Path,
) -> Result<(), LearnError> {
    let mut inputs = prepared.preprocessor.inputs.iter().enumerate();
    let Some((column, (input, shape))) = inputs.find_map(|(column, (name, fitted))| match fitted.shape() {
        shape @ FeatureShape::Image { .. } => Some((column, (name, shape))),
        _ => None,
    }) else {
        return Ok(());
    };
    let Features::Image(pixels) = &prepared.features[column] else { return Ok(()) };
    let FeatureShape::Image { shape, mean, augment, .. } = shape else { return Ok(()) };
    let mut hall =
        Hall { prepared, input, pixels, shape, folder: folder.join("pictures"), groups: Vec::new() };
    std::fs::create_dir_all(&hall.folder)
        .map_err(|source| LearnError::Write { path: hall.folder.clone(), source })?;
    let category = prepared.truths.iter().position(|truth| matches!(truth.values, TruthValues::Category(_)));
    if let Some(output) = category {
        hall.answered(&prepared.truths[output], answers, output)?;
        hall.explained(network, column, &prepared.truths[output], answers, output, &mean)?;
    }
    hall.varied(&augment, &mean)?;
    let gallery = Gallery {
        input: input.clone(),
        output: category.map_or(String::new(), |output| prepared.truths[output].name.clone()),
        groups: hall.groups,
    };
    files::write(&folder.join("pictures.json"), &files::pretty(&gallery))
}

/// The gallery in the making.
struct Hall<'a> {
    prepared: &'a Prepared,
    input: &'a str,
    pixels: &'a [Pixels],
    shape: Shape,
    folder: std::path::PathBuf,
    groups: Vec<PictureGroup>,
}

impl Hall<'_> {
    /// Shows test pictures whose answers are right and sure, wrong and sure, and unsure.
    fn answered(&mut self, truth: &Truth, answers: &Answers, output: usize) -> Result<(), LearnError> {
        for group in answers.shown(truth, output, SHOWN) {
            let mut pictures = Vec::new();
            for (index, answer) in group.answers.iter().enumerate() {
                let values = self.pixels[answer.row as usize].values();
                let file = format!("{}-{}.png", group.stem, index + 1);
                files::write(&self.folder.join(&file), &png(values, self.shape))?;
                pictures.push(self.record(file, truth, answer));
            }
            self.add(group.title, group.note, pictures);
        }
        Ok(())
    }

    /// Shows how much the probability of an answer falls where a part of the picture is covered (occlusion, Zeiler and
    /// Fergus 2013, <https://arxiv.org/abs/1311.2901>).
    fn explained(
        &mut self,
        network: &Network,
        column: usize,
        truth: &Truth,
        answers: &Answers,
        output: usize,
        mean: &[f32],
    ) -> Result<(), LearnError> {
        let mut chosen = answers.sorted(truth, output);
        chosen.sort_by_key(|answer| answer.place);
        let step = chosen.len().div_ceil(EXPLAINED).max(1);
        let mut pictures = Vec::new();
        for (index, answer) in chosen.iter().step_by(step).take(EXPLAINED).enumerate() {
            let falls = self.falls(network, column, truth, output, answer, mean);
            let values = self.pixels[answer.row as usize].values();
            let file = format!("saliency-{}.png", index + 1);
            let shape = Shape { channels: 3, ..self.shape };
            files::write(&self.folder.join(&file), &png(&overlaid(values, self.shape, &falls), shape))?;
            pictures.push(self.record(file, truth, answer));
        }
        self.add(
            "What the answer hangs on",
            "Red is where covering a part of the picture takes most of the answer's probability away.",
            pictures,
        );
        Ok(())
    }

    /// How much the probability of the answer falls with each part covered, `[PLACES, PLACES]`.
    fn falls(
        &self,
        network: &Network,
        column: usize,
        truth: &Truth,
        output: usize,
        answer: &Answered,
        mean: &[f32],
    ) -> Vec<f64> {
        let Shape { height, width, .. } = self.shape;
        let values = self.pixels[answer.row as usize].values();
        let covered = |place: usize| {
            let mut copy = values.to_vec();
            let part = |at: usize, length: usize| {
                // Neighbours overlap by half, which smooths the picture.
                let (start, end) = (at * length / PLACES, (at + 1) * length / PLACES);
                let margin = (length / PLACES / 2).max(1);
                start.saturating_sub(margin)..(end + margin).min(length)
            };
            for (plane, mean) in copy.chunks_exact_mut(height * width).zip(mean) {
                for row in part(place / PLACES, height) {
                    for column in part(place % PLACES, width) {
                        plane[row * width + column] = (mean * 255.0).round() as u8;
                    }
                }
            }
            Pixels::new(copy)
        };
        let pictures: Vec<Pixels> = (0..PLACES * PLACES).map(covered).collect();
        let rows = vec![answer.row; pictures.len()];
        let features: Vec<Features> = self
            .prepared
            .features
            .iter()
            .enumerate()
            .map(|(index, features)| {
                if index == column {
                    Features::Image(pictures.clone())
                } else {
                    crate::importance::rearranged(features, &rows)
                }
            })
            .collect();
        let places: Vec<u32> = (0..pictures.len() as u32).collect();
        let asked = network.answers(&features, &places, &device::chosen());
        let classes = truth.width();
        asked[output]
            .chunks_exact(classes)
            .map(|values| answer.probability - values[answer.predicted])
            .collect()
    }

    /// Shows some train pictures as the network gets them: varied, and mixed where a batch is; nothing where neither is so.
    fn varied(&mut self, augment: &Augment, mean: &[f32]) -> Result<(), LearnError> {
        let (seed, length) = (self.prepared.recipe.seed, self.shape.length());
        let rows = crate::run::evenly(&self.prepared.train, VARIED);
        // Pictures beside other inputs are not mixed.
        let alone = self.prepared.preprocessor.inputs.len() == 1;
        let mixing =
            |time: u64| Mixing::draw(augment, self.shape, rows.len(), mix(seed, time)).filter(|_| alone);
        if augment.is_none() && mixing(0).is_none() {
            return Ok(());
        }
        let batches: Vec<Vec<f32>> = (0..TIMES as u64)
            .map(|time| {
                let mut batch = vec![0.0f32; rows.len() * length];
                for (index, (row, out)) in rows.iter().zip(batch.chunks_exact_mut(length)).enumerate() {
                    let key = mix(mix(seed, index as u64), time);
                    augment.apply(self.pixels[*row as usize].values(), self.shape, mean, key, out);
                }
                if let Some(mixing) = mixing(time) {
                    mixing.apply(&mut batch, self.shape);
                }
                batch
            })
            .collect();
        let mut pictures = Vec::new();
        for (index, row) in rows.iter().enumerate() {
            for (time, batch) in batches.iter().enumerate() {
                let values = &batch[index * length..][..length];
                let bytes: Vec<u8> = values.iter().map(|value| (value * 255.0).round() as u8).collect();
                let file = format!("varied-{}-{}.png", index + 1, time + 1);
                files::write(&self.folder.join(&file), &png(&bytes, self.shape))?;
                pictures.push(PictureRecord { file, name: self.name(*row), ..PictureRecord::default() });
            }
        }
        self.add(
            "As the network sees them while training",
            &format!("{VARIED} pictures of train, {TIMES} times each as augmentation varies and mixes them."),
            pictures,
        );
        Ok(())
    }

    fn record(&self, file: String, truth: &Truth, answer: &Answered) -> PictureRecord {
        PictureRecord {
            file,
            name: self.name(answer.row),
            actual: truth.classes[answer.actual].clone(),
            prediction: truth.classes[answer.predicted].clone(),
            probability: Some(answer.probability),
        }
    }

    fn name(&self, row: u32) -> String {
        match self.prepared.table.get(self.input) {
            Some(cells @ Cells::Image(_)) => cells.text(row as usize).unwrap_or_default().into_owned(),
            _ => String::new(),
        }
    }

    fn add(&mut self, title: &str, note: &str, pictures: Vec<PictureRecord>) {
        if !pictures.is_empty() {
            self.groups.push(PictureGroup { title: title.to_owned(), note: note.to_owned(), pictures });
        }
    }
}

/// Where a pixel lies among the places of a side, whose middles are at 0, 1, ….
fn across(pixel: usize, length: usize) -> f64 {
    ((pixel as f64 + 0.5) * PLACES as f64 / length as f64 - 0.5).clamp(0.0, (PLACES - 1) as f64)
}

/// The fall between the middles of four places, in proportion.
fn between(falls: &[f64], down: f64, right: f64) -> f64 {
    let at = |row: usize, column: usize| falls[row.min(PLACES - 1) * PLACES + column.min(PLACES - 1)];
    let (row, column) = (down as usize, right as usize);
    let (part_down, part_right) = (down - row as f64, right - column as f64);
    let of_row = |row: usize| at(row, column) * (1.0 - part_right) + at(row, column + 1) * part_right;
    of_row(row) * (1.0 - part_down) + of_row(row + 1) * part_down
}

/// The picture in grey, red where the falls are large: `[3, height, width]`.
fn overlaid(values: &[u8], shape: Shape, falls: &[f64]) -> Vec<u8> {
    let Shape { channels, height, width } = shape;
    let plane = height * width;
    let largest = falls.iter().copied().fold(1e-9, f64::max);
    let mut out = vec![0; 3 * plane];
    for pixel in 0..plane {
        let colors = channels.min(3);
        let grey = (0..colors).map(|channel| f64::from(values[channel * plane + pixel])).sum::<f64>()
            / colors as f64;
        let fall = between(falls, across(pixel / width, height), across(pixel % width, width));
        let heat = 0.75 * (fall / largest).clamp(0.0, 1.0);
        for (channel, red) in [220.0, 30.0, 40.0].into_iter().enumerate() {
            out[channel * plane + pixel] = (grey + (red - grey) * heat) as u8;
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_largest_fall_is_the_reddest() {
        let shape = Shape { channels: 1, height: 8, width: 8 };
        let mut falls = vec![0.0; 64];
        falls[9] = 0.5;
        falls[10] = -0.5;
        let out = overlaid(&[100; 64], shape, &falls);
        assert_eq!((out[9], out[64 + 9], out[8], out[10]), (190, 47, 100, 100));
    }
}
