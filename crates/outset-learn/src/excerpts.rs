//! Texts for the report: where the network is right, wrong and unsure, and which words its answers hang on.
//!
//! A word counts by how much the probability of the answer falls when the word is left out, everything else as it is
//! (Li, Monroe and Jurafsky 2016, <https://arxiv.org/abs/1612.08220>). That asks the network itself, whatever its
//! encoder is, n-grams and their lengths included. The gradient times the input would cost one pass back for a text
//! instead of one forward for each word, but only estimates the fall, and reaches neither the counting of n-grams nor
//! what they say beside the network.

use crate::device;
use crate::error::LearnError;
use crate::evaluate::{Answered, Answers, TruthValues};
use crate::files;
use crate::importance::rearranged;
use crate::network::Network;
use crate::prepare::Prepared;
use outset_data::types::{Column, TextInput};
use outset_data::{Cells, Features, FittedInput};
use outset_spec::record::{Excerpts, TextGroup, TextRecord};
use std::iter::once;
use std::ops::Range;
use std::path::Path;

/// Texts of a group.
const SHOWN: usize = 8;

/// Words of a text that are shown and left out in turn, at most.
const WORDS: usize = 60;

/// Writes the excerpts of the first input of texts into a run's folder; of a run without texts or classes nothing.
///
/// # Errors
/// If the file cannot be written.
pub(crate) fn write(
    prepared: &Prepared,
    network: &Network,
    answers: &Answers,
    folder: &Path,
) -> Result<(), LearnError> {
    let mut inputs = prepared.preprocessor.inputs.iter().enumerate();
    let text = inputs.find_map(|(column, (name, fitted))| match fitted {
        FittedInput::Text(text) => Some((column, name, text)),
        _ => None,
    });
    let output = prepared.truths.iter().position(|truth| matches!(truth.values, TruthValues::Category(_)));
    let (Some((column, name, text)), Some(output)) = (text, output) else { return Ok(()) };
    let Some(cells) = prepared.table.get(name) else { return Ok(()) };
    let reader = Reader { prepared, network, column, name, text, cells, output };
    let excerpts = Excerpts {
        input: name.clone(),
        output: prepared.truths[output].name.clone(),
        groups: answers
            .shown(&prepared.truths[output], output, SHOWN)
            .into_iter()
            .map(|group| TextGroup {
                title: group.title.to_owned(),
                note: group.note.to_owned(),
                texts: group.answers.iter().map(|answer| reader.record(answer)).collect(),
            })
            .filter(|group| !group.texts.is_empty())
            .collect(),
    };
    files::write(&folder.join("texts.json"), &files::pretty(&excerpts))
}

/// What is needed to ask the network about a changed text.
struct Reader<'a> {
    prepared: &'a Prepared,
    network: &'a Network,
    column: usize,
    name: &'a str,
    text: &'a TextInput,
    cells: &'a Cells,
    output: usize,
}

impl Reader<'_> {
    fn record(&self, answer: &Answered) -> TextRecord {
        let cell = self.cells.text(answer.row as usize).unwrap_or_default();
        let clean = self.text.shown(&cell);
        let mut words = TextInput::words(&clean);
        let cut = words.len() > WORDS;
        words.truncate(WORDS);
        let falls = self.falls(answer, &clean, &words);
        let end = words.last().map_or(0, |word| word.end);
        // A word is shown with what stands between it and the next.
        let pieces = words.iter().zip(words.iter().skip(1).map(|next| next.start).chain([end])).zip(falls);
        let truth = &self.prepared.truths[self.output];
        TextRecord {
            row: answer.row as usize + 1,
            actual: truth.classes[answer.actual].clone(),
            prediction: truth.classes[answer.predicted].clone(),
            probability: Some(answer.probability),
            words: pieces.map(|((word, next), fall)| (clean[word.start..next].to_owned(), fall)).collect(),
            cut,
        }
    }

    /// How much the probability of the answer falls without each word.
    fn falls(&self, answer: &Answered, clean: &str, words: &[Range<usize>]) -> Vec<f64> {
        if words.is_empty() {
            return Vec::new();
        }
        let without = |word: &Range<usize>| format!("{}{}", &clean[..word.start], &clean[word.end..]);
        // The whole text first: cleaned twice, it may be another than what was answered.
        let asked: Vec<String> = once(clean.to_owned()).chain(words.iter().map(without)).collect();
        let cells = Cells::Text(asked.iter().map(|text| Some(text.as_str())).collect());
        let places: Vec<u32> = (0..asked.len() as u32).collect();
        let column = Column { name: self.name, cells: &cells, rows: &places };
        let Ok(encoded) = self.prepared.preprocessor.inputs[self.column].encode(column) else {
            return vec![0.0; words.len()];
        };
        let same = vec![answer.row; asked.len()];
        let features: Vec<Features> = self
            .prepared
            .features
            .iter()
            .enumerate()
            .map(
                |(index, features)| {
                    if index == self.column { encoded.clone() } else { rearranged(features, &same) }
                },
            )
            .collect();
        let answers = self.network.answers(&features, &places, &device::chosen());
        let classes = self.prepared.truths[self.output].width();
        let probabilities = answers[self.output].chunks_exact(classes).map(|values| values[answer.predicted]);
        let probabilities: Vec<f64> = probabilities.collect();
        probabilities[1..].iter().map(|without| probabilities[0] - without).collect()
    }
}
