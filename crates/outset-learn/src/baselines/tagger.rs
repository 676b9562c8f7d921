//! The linear model of tags: a sum of weights for each word or character, its neighbors and its parts.
//!
//! Weights are those of an averaged perceptron (Collins 2002, <https://aclanthology.org/W02-1001>) that learns each tag by
//! itself; tags that cannot follow each other are kept apart when a text is decided.

use burn::tensor::{Device, Tensor, TensorData};
use outset_data::Features;
use outset_data::lot::Lot;
use outset_data::types::TagsOutput;

/// Passes over the rows.
const PASSES: usize = 5;
/// Neighbors on each side whose words count.
const NEAR: isize = 2;

/// Weights for each feature and tag.
pub struct Tagger {
    /// `[features, tags]`; of the constant answer there are none.
    weights: Vec<f32>,
    /// Sum that each tag begins with.
    bias: Vec<f32>,
    tags: usize,
    /// Words in the vocabulary.
    words: usize,
    allowed: Vec<bool>,
}

/// Rows of tags: row `i` has those at `offsets[i]..offsets[i + 1]`.
#[derive(Clone, Copy)]
pub struct Known<'a> {
    pub offsets: &'a [usize],
    pub tags: &'a [u32],
}

impl Known<'_> {
    fn of(&self, row: u32) -> &[u32] {
        &self.tags[self.offsets[row as usize]..self.offsets[row as usize + 1]]
    }
}

impl Tagger {
    /// The most frequent tag of train for every word.
    pub fn constant(output: &TagsOutput, known: Known<'_>, rows: &[u32]) -> Self {
        let mut bias = vec![0.0f32; output.len()];
        rows.iter().flat_map(|row| known.of(*row)).for_each(|tag| bias[*tag as usize] += 1.0);
        Self { weights: Vec::new(), bias, tags: output.len(), words: 0, allowed: output.allowed() }
    }

    /// Learns from the given rows of tokens.
    pub fn fit(
        output: &TagsOutput,
        known: Known<'_>,
        features: &Features,
        sizes: [usize; 2],
        rows: &[u32],
    ) -> Self {
        let ([words, parts], tags) = (sizes, output.len());
        let width = words * (2 * NEAR as usize + 1) + parts;
        let mut tagger = Self {
            weights: vec![0.0; width * tags],
            bias: vec![0.0; tags],
            tags,
            words,
            allowed: output.allowed(),
        };
        // Of each weight the sum of its changes, each times the step at which it came.
        let (mut late, mut late_bias) = (vec![0.0f32; width * tags], vec![0.0f32; tags]);
        let (mut order, mut lot, mut step) = (rows.to_vec(), Lot::new(0), 1.0f32);
        let mut scores = vec![0.0f32; tags];
        for _ in 0..PASSES {
            for place in (1..order.len()).rev() {
                order.swap(place, lot.below(place + 1));
            }
            for row in &order {
                for (place, truth) in known.of(*row).iter().enumerate() {
                    let active = active(features, *row, place, words);
                    tagger.score(&active, &mut scores);
                    let (truth, guess) = (*truth as usize, largest(&scores));
                    step += 1.0;
                    if guess == truth {
                        continue;
                    }
                    for (tag, change) in [(truth, 1.0), (guess, -1.0)] {
                        for feature in &active {
                            tagger.weights[feature * tags + tag] += change;
                            late[feature * tags + tag] += change * step;
                        }
                        tagger.bias[tag] += change;
                        late_bias[tag] += change * step;
                    }
                }
            }
        }
        let average = |weights: &mut [f32], late: &[f32]| {
            weights.iter_mut().zip(late).for_each(|(weight, late)| *weight -= late / step);
        };
        average(&mut tagger.weights, &late);
        average(&mut tagger.bias, &late_bias);
        tagger
    }

    fn score(&self, active: &[usize], scores: &mut [f32]) {
        scores.copy_from_slice(&self.bias);
        for feature in active {
            let weights = &self.weights[feature * self.tags..][..self.tags];
            scores.iter_mut().zip(weights).for_each(|(score, weight)| *score += weight);
        }
    }

    /// Answers rows as the decoder of tags does.
    pub fn predict(&self, features: &Features, rows: &[u32]) -> Vec<f64> {
        let Features::Tokens { offsets, .. } = features else { return Vec::new() };
        let mut answers = Vec::new();
        for row in rows {
            let steps = offsets[*row as usize + 1] - offsets[*row as usize];
            let mut scores = vec![0.0f32; steps * self.tags];
            for (place, scores) in scores.chunks_exact_mut(self.tags).enumerate() {
                let active = if self.weights.is_empty() {
                    Vec::new()
                } else {
                    active(features, *row, place, self.words)
                };
                self.score(&active, scores);
            }
            let device = Device::flex();
            let scores = Tensor::from_data(TensorData::new(scores, [1, steps, self.tags]), &device);
            let chain = Tensor::zeros([self.tags + 2, self.tags], &device);
            for best in outset_ops::crf_best(scores, chain, &[steps], &self.allowed) {
                answers.extend([best.tags.len() as f64, best.probability]);
                answers.extend(best.tags.into_iter().map(f64::from));
            }
        }
        answers
    }
}

fn largest(scores: &[f32]) -> usize {
    let mut best = 0;
    for (index, score) in scores.iter().enumerate() {
        if *score > scores[best] {
            best = index;
        }
    }
    best
}

/// The features of a word: itself, its neighbors, 0 standing for none, and its parts.
fn active(features: &Features, row: u32, place: usize, words: usize) -> Vec<usize> {
    let Features::Tokens { offsets, indices, parts } = features else { return Vec::new() };
    let range = offsets[row as usize]..offsets[row as usize + 1];
    let here = range.start + place;
    let mut active = Vec::new();
    for (sort, offset) in (-NEAR..=NEAR).enumerate() {
        let token =
            here.checked_add_signed(offset).filter(|at| range.contains(at)).map_or(0, |at| indices[at]);
        active.push(sort * words + token as usize);
    }
    if let Some(parts) = parts.as_ref().filter(|_| here < range.end) {
        let first = words * (2 * NEAR as usize + 1);
        let of_word = &parts.indices[parts.offsets[here]..parts.offsets[here + 1]];
        active.extend(of_word.iter().map(|part| first + *part as usize));
    }
    active
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::decoders::tags::{by_row, tagged};
    use outset_data::types::Classes;

    #[test]
    fn a_word_is_tagged_by_what_stands_before_it() {
        let output = TagsOutput {
            of: "text".into(),
            scheme: "iob2".into(),
            types: Classes::new([("x".to_owned(), 1)]),
            mean_length: 4.0,
            missing: Vec::new(),
        };
        // After word 2 comes an entity of two words, whatever they are.
        let (mut indices, mut tags, mut offsets) = (Vec::new(), Vec::new(), vec![0]);
        let mut lot = Lot::new(1);
        for _ in 0..200 {
            let marked = lot.below(2);
            indices.extend([3 + lot.below(5) as u32, 2 - marked as u32, 3 + lot.below(5) as u32, 3, 4]);
            tags.extend(if marked == 0 { [0, 0, 1, 2, 0] } else { [0; 5] });
            offsets.push(indices.len());
        }
        let features = Features::Tokens { offsets: offsets.clone(), indices, parts: None };
        let known = Known { offsets: &offsets, tags: &tags };
        let rows: Vec<u32> = (0..200).collect();
        let fitted = Tagger::fit(&output, known, &features, [8, 0], &rows[..100]);
        let answers = fitted.predict(&features, &rows[100..]);
        let answered = by_row(&answers);
        let right = answered.iter().zip(100..).filter(|(answer, row)| tagged(answer).tags == known.of(*row));
        assert_eq!(right.count(), 100);
        let constant = Tagger::constant(&output, known, &rows).predict(&features, &rows);
        assert!(by_row(&constant).iter().all(|answer| tagged(answer).tags == [0; 5]));
    }
}
