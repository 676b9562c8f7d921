//! Answers of a network on rows with known targets, and the metrics of them.

use crate::decoders::tags;
use crate::metrics::{self, Score, TaggedRow};
use crate::network::Network;
use crate::train::Examples;
use burn::tensor::Device;
use indexmap::IndexMap;
use outset_data::types::TagsOutput;
use outset_data::{Cells, FittedOutput, Table, Targets};

/// The known values of one output, for all rows of the table.
#[derive(Clone, Debug)]
pub struct Truth {
    pub name: String,
    pub values: TruthValues,
    /// Standardised to natural units, for numbers.
    pub mean: f64,
    pub scale: f64,
    /// Classes or labels in the order of the probabilities.
    pub classes: Vec<String>,
    /// For two classes: the one that precision, recall and F1 speak of.
    pub positive: Option<usize>,
}

/// Known values by the type of output.
#[derive(Clone, Debug)]
pub enum TruthValues {
    /// In natural units.
    Number(Vec<f64>),
    Category(Vec<u32>),
    /// `[rows, labels]`, 0 or 1.
    Set(Vec<f32>),
    /// Of row `i` those at `offsets[i]..offsets[i + 1]`.
    Tags {
        output: Box<TagsOutput>,
        offsets: Vec<usize>,
        tags: Vec<u32>,
    },
}

impl Truth {
    /// Collects what is known of an output.
    pub fn new(
        name: &str,
        table: &Table,
        output: &FittedOutput,
        targets: &Targets,
        positive: Option<usize>,
    ) -> Self {
        let values = match targets {
            Targets::Number { values } => TruthValues::Number(match table.get(name) {
                Some(Cells::Number(raw)) => raw.clone(),
                _ => values.iter().map(|value| output.inverse(*value)).collect(),
            }),
            Targets::Category(classes) => TruthValues::Category(classes.clone()),
            Targets::Set { values, .. } => TruthValues::Set(values.clone()),
            Targets::Tags { offsets, tags } => match output.tags() {
                Some(output) => TruthValues::Tags {
                    output: Box::new(output.clone()),
                    offsets: offsets.clone(),
                    tags: tags.clone(),
                },
                None => unreachable!("an output of tags has targets of tags"),
            },
        };
        let (mean, scale) = (output.mean(), output.scale());
        Self { name: name.to_owned(), values, mean, scale, classes: output.classes().to_vec(), positive }
    }

    /// Numbers of the answer to a row, where each has as many.
    pub fn width(&self) -> usize {
        self.classes.len().max(1)
    }

    /// The answers row by row.
    pub fn by_row<'a>(&self, answers: &'a [f64]) -> Vec<&'a [f64]> {
        match self.values {
            TruthValues::Tags { .. } => tags::by_row(answers),
            _ => answers.chunks_exact(self.width()).collect(),
        }
    }

    /// Actual and answered tags of the given rows; nothing for other outputs.
    pub fn tagged(&self, rows: &[u32], answers: &[f64]) -> Vec<TaggedRow> {
        let TruthValues::Tags { output, offsets, tags } = &self.values else { return Vec::new() };
        rows.iter()
            .zip(self.by_row(answers))
            .map(|(row, answer)| {
                let actual = &tags[offsets[*row as usize]..offsets[*row as usize + 1]];
                TaggedRow::new(actual, &tags::tagged(answer).tags, |tags| output.entities(tags))
            })
            .collect()
    }

    /// The decoder's standardised answers in natural units; probabilities stay as they are.
    pub fn natural(&self, answers: Vec<f64>) -> Vec<f64> {
        match self.values {
            TruthValues::Number(_) => {
                answers.into_iter().map(|answer| self.mean + self.scale * answer).collect()
            }
            _ => answers,
        }
    }

    /// Metrics of natural answers to the given rows.
    pub fn metrics(&self, rows: &[u32], answers: &[f64], weights: Option<&[f32]>) -> IndexMap<String, f64> {
        self.score(rows, answers, weights).metrics()
    }

    /// 95 % bootstrap intervals of the metrics of natural answers to the given rows.
    pub fn intervals(
        &self,
        rows: &[u32],
        answers: &[f64],
        weights: Option<&[f32]>,
    ) -> IndexMap<String, [f64; 2]> {
        // The seed of the resampling is no choice that anyone should make.
        const SEED: u64 = 0;
        let resamples = metrics::suggested_resamples(rows.len(), self.width());
        metrics::intervals(&*self.score(rows, answers, weights), resamples, SEED)
    }

    /// Prepares the metrics of natural answers to the given rows.
    pub fn score(&self, rows: &[u32], answers: &[f64], weights: Option<&[f32]>) -> Box<dyn Score> {
        let weights: Option<Vec<f64>> =
            weights.map(|weights| rows.iter().map(|row| f64::from(weights[*row as usize])).collect());
        let weights = weights.as_deref();
        match &self.values {
            TruthValues::Number(values) => {
                Box::new(metrics::Number::new(&pick(values, rows), answers, weights))
            }
            TruthValues::Category(values) => {
                let actual = pick(values, rows);
                Box::new(metrics::Category::new(&actual, answers, self.width(), self.positive, weights))
            }
            TruthValues::Set(_) => {
                Box::new(metrics::Set::new(&self.labels(rows), answers, self.width(), weights))
            }
            TruthValues::Tags { output, .. } => {
                Box::new(metrics::Tags::new(&self.tagged(rows, answers), output.is_plain(), weights))
            }
        }
    }

    /// Whether the rows have each label, `[rows, labels]`; empty for other outputs.
    pub fn labels(&self, rows: &[u32]) -> Vec<bool> {
        let TruthValues::Set(values) = &self.values else { return Vec::new() };
        let width = self.width();
        let of_row = |row: &u32| &values[*row as usize * width..(*row as usize + 1) * width];
        rows.iter().flat_map(of_row).map(|value| *value > 0.5).collect()
    }

    /// Whether the output is one of classes or labels.
    pub fn has_classes(&self) -> bool {
        !self.classes.is_empty()
    }

    /// Whether the output is a quantity.
    pub fn is_number(&self) -> bool {
        matches!(self.values, TruthValues::Number(_))
    }
}

/// The values of the given rows.
pub fn pick<T: Copy>(values: &[T], rows: &[u32]) -> Vec<T> {
    rows.iter().map(|row| values[*row as usize]).collect()
}

/// Index of the largest value, the first of equals.
pub fn largest(values: &[f64]) -> usize {
    let mut best = 0;
    for (index, value) in values.iter().enumerate() {
        if *value > values[best] {
            best = index;
        }
    }
    best
}

/// A network's answers to some rows.
pub struct Answers {
    pub rows: Vec<u32>,
    /// One list for each output: `[rows, width]`, numbers in natural units or probabilities; of tags see [`tags`].
    pub outputs: Vec<Vec<f64>>,
    /// The network's loss on the rows, without dropout, in the target's own units.
    pub loss: f64,
}

impl Answers {
    /// Asks a network for its answers to rows with known targets.
    pub fn of(
        network: &Network,
        examples: &Examples<'_>,
        rows: &[u32],
        weights: &[f64],
        device: &Device,
    ) -> Self {
        let (answers, loss) = network.answers_and_loss(examples, rows, weights, device);
        let outputs =
            answers.into_iter().zip(examples.truths).map(|(answers, truth)| truth.natural(answers)).collect();
        Self { rows: rows.to_vec(), outputs, loss: loss * examples.loss_unit }
    }

    /// Metrics of one output.
    pub fn metrics(&self, output: usize, truth: &Truth, weights: Option<&[f32]>) -> IndexMap<String, f64> {
        truth.metrics(&self.rows, &self.outputs[output], weights)
    }
}

/// A row with its answer.
#[derive(Clone, Debug)]
pub struct Answered {
    pub row: u32,
    /// Place among the rows that were asked about.
    pub place: usize,
    pub predicted: usize,
    pub actual: usize,
    /// Of what was predicted.
    pub probability: f64,
}

/// Answers that show one thing.
pub struct Shown {
    /// A word for files and anchors.
    pub stem: &'static str,
    pub title: &'static str,
    pub note: &'static str,
    pub answers: Vec<Answered>,
}

impl Answers {
    /// The rows with their answers for a category, the surest first; none for other outputs.
    pub fn sorted(&self, truth: &Truth, output: usize) -> Vec<Answered> {
        let TruthValues::Category(actual) = &truth.values else { return Vec::new() };
        let width = truth.width();
        let answered = self.rows.iter().enumerate().map(|(place, row)| {
            let values = &self.outputs[output][place * width..(place + 1) * width];
            let predicted = largest(values);
            let (row, actual) = (*row, actual[*row as usize] as usize);
            Answered { row, place, predicted, actual, probability: values[predicted] }
        });
        let mut all: Vec<Answered> = answered.collect();
        all.sort_by(|a, b| b.probability.total_cmp(&a.probability).then(a.row.cmp(&b.row)));
        all
    }

    /// Rows whose answers are wrong and sure, unsure, and right and sure, at most `count` of each.
    pub fn shown(&self, truth: &Truth, output: usize, count: usize) -> Vec<Shown> {
        let all = self.sorted(truth, output);
        let wrong: Vec<usize> = (0..all.len()).filter(|at| all[*at].predicted != all[*at].actual).collect();
        // One of each class in turn, so that the sure ones are not all of the easiest class.
        let mut right: Vec<usize> = Vec::new();
        for class in (0..truth.classes.len()).cycle().take(truth.classes.len() * count) {
            let next = (0..all.len()).find(|at| {
                let answer = &all[*at];
                answer.predicted == class && answer.actual == class && !right.contains(at)
            });
            right.extend(next);
            if right.len() == count {
                break;
            }
        }
        let unsure: Vec<usize> = (0..all.len()).rev().collect();
        let pick = |chosen: Vec<usize>| chosen.into_iter().take(count).map(|at| all[at].clone()).collect();
        vec![
            Shown {
                stem: "wrong",
                title: "Wrong and sure of it",
                note: "The wrong answers with the largest probability.",
                answers: pick(wrong),
            },
            Shown {
                stem: "unsure",
                title: "Least sure",
                note: "The answers with the smallest probability, right or wrong.",
                answers: pick(unsure),
            },
            Shown {
                stem: "right",
                title: "Right and sure of it",
                note: "Of each class the right answer with the largest probability.",
                answers: pick(right),
            },
        ]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sure_unsure_and_wrong_answers_are_told_apart() {
        let truth = Truth {
            name: "y".into(),
            values: TruthValues::Category(vec![0, 0, 1, 1]),
            mean: 0.0,
            scale: 1.0,
            classes: vec!["a".into(), "b".into()],
            positive: None,
        };
        let probabilities = [0.9, 0.1, 0.2, 0.8, 0.4, 0.6, 0.97, 0.03];
        let answers = Answers { rows: vec![0, 1, 2, 3], outputs: vec![probabilities.to_vec()], loss: 0.0 };
        let rows = |stem: &str| -> Vec<u32> {
            let shown = answers.shown(&truth, 0, 2).into_iter().find(|group| group.stem == stem).unwrap();
            shown.answers.iter().map(|answer| answer.row).collect()
        };
        assert_eq!(rows("wrong"), [3, 1]);
        assert_eq!(rows("unsure"), [2, 1]);
        assert_eq!(rows("right"), [0, 2]);
        assert!(answers.sorted(&Truth { values: TruthValues::Number(vec![]), ..truth }, 0).is_empty());
    }
}
