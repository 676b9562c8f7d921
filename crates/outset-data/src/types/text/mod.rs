//! Text: cleaned, then counted as n-grams or taken apart into tokens.

mod clean;
mod ngrams;
mod tokens;
mod unigram;
pub mod units;
mod vectors;

pub use clean::Cleaner;
pub(crate) use clean::first_characters;
pub use ngrams::{Block, Ngrams};
pub(crate) use ngrams::{is_wide, split_words};
pub use tokens::{Scheme, Tokens};
pub use units::Units;
pub use vectors::Vectors;

use super::classes::{count, is_missing};
use super::{Column, Entry, InputType};
use crate::error::DataError;
use crate::features::{FeatureShape, Features, TokenParts};
use crate::lot::Lot;
use crate::signature::InputSignature;
use crate::table::{Cells, number_text};
use outset_spec::{Bounds, settings};
use rayon::prelude::*;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::collections::HashMap;
use std::path::Path;

settings! {
    /// A column of texts.
    pub struct TextSettings {
        /// Cell texts that mean "missing" in this column, besides those of `data.missing`.
        missing: Vec<String> = Vec::new();
        /// Whether capital letters are read as small ones.
        lowercase: bool = true;
        /// Whether tags and entities of HTML are taken out.
        html: bool = true;
        /// Characters that are read of a text; longer ones are cut.
        max_characters: usize = 20_000, in Bounds::between(1.0, 1_000_000.0);
        /// How texts are taken apart: `ngrams`, `wordpiece`, `byte_bpe`, `unigram`, `characters`, `words` or the name of a `tokenizer.json`; the encoder's choice where left out.
        tokenizer: Option<Scheme> = None;
        /// Tokens in the vocabulary, at most; n-grams of words and of characters, at most; 16,000 and 262,144 where left out.
        vocabulary_size: Option<usize> = None, in Bounds::between(16.0, 4_000_000.0);
        /// Rows of train that must hold an n-gram for it to count.
        min_count: u64 = 1, in Bounds::at_least(1.0);
        /// File of word vectors to begin with, in the text format of GloVe or word2vec, also as `.gz`; tokens are words where `tokenizer` is left out.
        vectors: Option<String> = None;
        /// Tokens that are read of a text; what 99 of 100 train texts need, at most 256, where left out; 4,096 where tags are predicted.
        max_length: Option<usize> = None, in Bounds::between(1.0, 8192.0);
        /// Whether each step is a word or character of the text as it stands, with its place; set where tags are predicted.
        aligned: bool = false;
    }
}

/// Tokens in a vocabulary where the file says nothing.
const TOKENS: usize = 16_000;
/// N-grams of each sort where the file says nothing.
const NGRAMS: usize = 262_144;
/// Tokens of a text where the file says nothing.
const LONGEST: usize = 256;
/// Words or characters of a text that tags are put on, where the file says nothing.
const LONGEST_ALIGNED: usize = 4096;
/// Words or characters that are known where the file says nothing and tags are put on them.
const UNITS: usize = 100_000;
/// Words that are kept for made texts, and the train rows that must hold one.
const MADE_WORDS: usize = 200;
const MADE_WORD_ROWS: u64 = 5;
/// Share of unknown tokens from which on it is told.
const MUCH_UNKNOWN: f64 = 0.1;
/// Characters that a request's text may have.
const MOST_CHARACTERS: usize = 1_000_000;

/// An input column of texts.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct TextInput {
    pub cleaner: Cleaner,
    pub form: Form,
    /// Median of the characters in train, and the most.
    pub median: usize,
    pub longest: usize,
    /// Rows of train whose text is longer than what is read of it.
    pub cut: u64,
    /// Rows of train without a letter of text.
    pub empty: u64,
    /// Frequent words, for made texts.
    pub words: Vec<String>,
    /// Texts that mean "missing".
    pub missing: Vec<String>,
    /// Vectors that the tokens begin with.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub vectors: Option<Vectors>,
}

impl TextSettings {
    /// Units that are read of a text that tags are put on.
    pub fn longest_aligned(&self) -> usize {
        self.max_length.unwrap_or(LONGEST_ALIGNED)
    }
}

/// What a text becomes.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Form {
    Ngrams(Ngrams),
    Tokens(Box<Tokens>),
    Units(Box<Units>),
}

impl InputType for TextInput {
    type Settings = TextSettings;

    fn fit(column: Column<'_>, settings: &TextSettings) -> Result<Self, DataError> {
        let cleaner = Cleaner {
            html: settings.html,
            lowercase: settings.lowercase,
            max_characters: settings.max_characters,
        };
        let counted = count(column, &settings.missing);
        if counted.is_empty() {
            return Err(DataError::EmptyColumn { column: column.name.to_owned() });
        }
        let mut lengths: Vec<usize> = counted.par_iter().map(|(text, _)| text.chars().count()).collect();
        let mut is_cut: Vec<bool> = counted.par_iter().map(|(text, _)| cleaner.cuts(text)).collect();
        let clean = |text: &str| if settings.aligned { units::as_read(text) } else { cleaner.clean(text) };
        let texts: Vec<(String, u64)> =
            counted.par_iter().map(|(text, count)| (clean(text), *count)).collect();
        lengths.sort_unstable();
        let fail = |message: String| DataError::Tokenizer {
            column: column.name.to_owned(),
            file: match &settings.tokenizer {
                Some(Scheme::File(name)) => Some(name.clone()),
                _ => None,
            },
            message,
        };
        let form = match settings.tokenizer.as_ref().unwrap_or(&Scheme::Ngrams) {
            scheme if settings.aligned => {
                let by = scheme.units().unwrap_or(units::By::Words);
                let most = settings.vocabulary_size.unwrap_or(UNITS);
                Form::Units(Box::new(Units::fit(
                    &counted,
                    by,
                    settings.lowercase,
                    most,
                    settings.longest_aligned(),
                )))
            }
            Scheme::Ngrams => {
                let most = settings.vocabulary_size.unwrap_or(NGRAMS);
                Form::Ngrams(Ngrams::fit(&texts, settings.min_count, most))
            }
            scheme => {
                let size = settings.vocabulary_size.unwrap_or(TOKENS);
                let (tokens, lengths) =
                    Tokens::fit(&texts, scheme, size, settings.max_length, LONGEST).map_err(fail)?;
                for (is_cut, length) in is_cut.iter_mut().zip(lengths) {
                    *is_cut |= length > tokens.max_length;
                }
                Form::Tokens(Box::new(tokens))
            }
        };
        let vectors = match &settings.vectors {
            None => None,
            Some(name) => {
                let read = match &form {
                    Form::Tokens(tokens) => Vectors::read(Path::new(name), &tokens.vocabulary()),
                    Form::Units(units) => Vectors::read(Path::new(name), &units.vocabulary()),
                    Form::Ngrams(_) => Err("n-grams take no vectors of words".to_owned()),
                };
                Some(read.map_err(|message| DataError::Vectors {
                    column: column.name.to_owned(),
                    file: name.clone(),
                    message,
                })?)
            }
        };
        let cut: u64 =
            counted.iter().zip(is_cut).filter(|(_, is_cut)| *is_cut).map(|((_, count), _)| count).sum();
        let full: u64 = counted
            .iter()
            .zip(&texts)
            .filter(|(_, (text, _))| !text.is_empty())
            .map(|((_, count), _)| count)
            .sum();
        Ok(Self {
            cleaner,
            form,
            median: lengths[lengths.len() / 2],
            longest: lengths.last().copied().unwrap_or(0),
            cut,
            empty: column.rows.len() as u64 - full,
            words: frequent_words(&texts),
            missing: settings.missing.clone(),
            vectors,
        })
    }

    fn shape(&self, _name: &str) -> FeatureShape {
        match &self.form {
            Form::Ngrams(ngrams) => FeatureShape::Weighted { size: ngrams.len() },
            Form::Tokens(tokens) => FeatureShape::Tokens {
                size: tokens.size(),
                longest: tokens.max_length,
                parts: 0,
                vectors: self.vectors.clone(),
            },
            Form::Units(units) => FeatureShape::Tokens {
                size: units.size(),
                longest: units.max_length,
                parts: units.num_parts(),
                vectors: self.vectors.clone(),
            },
        }
    }

    fn encode(&self, column: Column<'_>) -> Result<Features, DataError> {
        Ok(match &self.form {
            Form::Ngrams(ngrams) => {
                weighted(&self.each(column, |text| ngrams.weigh(&self.cleaner.clean(text))))
            }
            Form::Units(units) => {
                let rows = self.each(column, |text| units.encode(self.read_part(text)));
                let (mut offsets, mut indices) = (vec![0], Vec::new());
                let mut parts = TokenParts { offsets: vec![0], indices: Vec::new() };
                for row in rows {
                    let row = row.unwrap_or_else(|| units.encode(""));
                    indices.extend_from_slice(&row.tokens);
                    offsets.push(indices.len());
                    let before = parts.indices.len();
                    parts.indices.extend_from_slice(&row.parts);
                    parts.offsets.extend(row.ends.iter().map(|end| before + end));
                }
                Features::Tokens { offsets, indices, parts: Some(parts) }
            }
            Form::Tokens(tokens) => {
                let rows = self.each(column, |text| tokens.encode(&self.cleaner.clean(text)));
                let (mut offsets, mut indices) = (vec![0], Vec::new());
                for row in rows {
                    indices.extend_from_slice(row.as_deref().unwrap_or(&[0]));
                    offsets.push(indices.len());
                }
                Features::Tokens { offsets, indices, parts: None }
            }
        })
    }

    fn read(&self, value: &Value) -> Result<Entry, String> {
        match value {
            Value::String(text)
                if text.len() > MOST_CHARACTERS && text.chars().nth(MOST_CHARACTERS).is_some() =>
            {
                Err("text of at most 1,000,000 characters".to_owned())
            }
            Value::String(text) => Ok(Entry::Text(text.clone())),
            Value::Array(tokens) => {
                let words: Option<Vec<&str>> = tokens.iter().map(Value::as_str).collect();
                match words {
                    Some(words)
                        if words.iter().map(|word| word.len() + 1).sum::<usize>() <= MOST_CHARACTERS =>
                    {
                        Ok(Entry::Text(units::of_tokens(&words)))
                    }
                    _ => Err("text, or a list of its words of at most 1,000,000 characters".to_owned()),
                }
            }
            Value::Number(number) => {
                Ok(Entry::Text(number.as_f64().map_or_else(|| number.to_string(), number_text)))
            }
            Value::Bool(value) => Ok(Entry::Text(value.to_string())),
            _ => Err("text, or a list of its words".to_owned()),
        }
    }

    fn describe(&self, signature: &mut InputSignature) {
        signature.median = Some(self.median as f64);
        signature.maximum = Some(self.longest as f64);
        signature.example = self.words.iter().take(8).cloned().collect::<Vec<_>>().join(self.space()).into();
    }

    fn draw(&self, lot: &mut Lot) -> Value {
        if self.words.is_empty() || lot.unit() < 0.05 {
            return Value::Null;
        }
        let count = 1 + lot.below(30);
        let words: Vec<&str> = (0..count).map(|_| self.words[lot.below(self.words.len())].as_str()).collect();
        words.join(self.space()).into()
    }
}

impl TextSettings {
    /// The settings with the names of files as seen from the current folder, where they start from `folder`.
    pub fn located(&self, folder: &Path) -> Self {
        let locate = |name: &String| match folder {
            folder if folder == Path::new(".") => name.clone(),
            folder => folder.join(name).display().to_string(),
        };
        let mut settings = self.clone();
        settings.vectors = settings.vectors.as_ref().map(locate);
        if let Some(Scheme::File(name)) = &mut settings.tokenizer {
            *name = locate(name);
        }
        settings
    }

    /// The files that are read beside the rows, and what each holds.
    pub fn files(&self) -> Vec<(&str, &'static str)> {
        let tokenizer = match &self.tokenizer {
            Some(Scheme::File(name)) => Some((name.as_str(), "tokenizer")),
            _ => None,
        };
        let vectors = self.vectors.as_deref().map(|name| (name, "word vectors"));
        tokenizer.into_iter().chain(vectors).collect()
    }
}

impl TextInput {
    /// What became of the column, in words.
    pub fn summary(&self) -> String {
        let vectors = self.vectors.as_ref().map_or(String::new(), |vectors| {
            format!(" ({} with a vector from the file)", thousands(vectors.covered))
        });
        let form = match &self.form {
            Form::Ngrams(ngrams) => format!("{} n-grams", thousands(ngrams.len())),
            Form::Tokens(tokens) => {
                let size = thousands(tokens.size() - 1);
                let unknown = if tokens.unknown >= MUCH_UNKNOWN {
                    format!(", {:.0} % of the tokens are unknown", 100.0 * tokens.unknown)
                } else {
                    String::new()
                };
                format!("{size} tokens{vectors}, {} a text at most{unknown}", tokens.max_length)
            }
            Form::Units(units) => format!(
                "{} {}{vectors} and {} parts, {} a text at most",
                thousands(units.size() - 2),
                units.by.units(),
                thousands(units.num_parts()),
                thousands(units.longest)
            ),
        };
        let mut words = format!("{form}, {} characters a text in the middle", thousands(self.median));
        for (count, what) in [(self.cut, "cut"), (self.empty, "empty")] {
            if count > 0 {
                words.push_str(&format!(", {} {what}", thousands(count as usize)));
            }
        }
        words
    }

    /// Where the words of a clean text lie: runs of letters and digits, each Chinese, Japanese or Korean character by
    /// itself, and each mark.
    pub fn words(clean: &str) -> Vec<std::ops::Range<usize>> {
        let start = |word: &str| word.as_ptr() as usize - clean.as_ptr() as usize;
        split_words(clean).map(|word| start(word)..start(word) + word.len()).collect()
    }

    /// The settings by which another column input of n-grams reads the same texts.
    pub fn as_ngrams(&self) -> TextSettings {
        TextSettings {
            missing: self.missing.clone(),
            lowercase: self.cleaner.lowercase,
            html: self.cleaner.html,
            max_characters: self.cleaner.max_characters,
            tokenizer: Some(Scheme::Ngrams),
            ..TextSettings::default()
        }
    }

    /// The words or characters that tags are put on, if this text is read for them.
    pub fn units<'a>(&self, text: &'a str) -> Option<Vec<units::Unit<'a>>> {
        match &self.form {
            Form::Units(units) => Some(units.split(self.read_part(text))),
            _ => None,
        }
    }

    /// The text as a reader of the report is to see it; read again, it says what the text itself does.
    pub fn shown(&self, text: &str) -> String {
        match &self.form {
            Form::Units(_) => units::as_read(self.read_part(text)),
            Form::Ngrams(_) | Form::Tokens(_) => self.cleaner.clean(text),
        }
    }

    /// What is read of a long text.
    fn read_part<'a>(&self, text: &'a str) -> &'a str {
        first_characters(text, self.cleaner.max_characters)
    }

    /// Does something with the text of each row; `None` for a missing one.
    fn each<T: Clone + Send + Sync>(
        &self,
        column: Column<'_>,
        work: impl Fn(&str) -> T + Sync,
    ) -> Vec<Option<T>> {
        let of = |text: &str| (!is_missing(text, &self.missing)).then(|| work(text));
        match column.cells {
            // Pictures hold no text.
            Cells::Image(_) => vec![None; column.rows.len()],
            Cells::Number(values) => column
                .rows
                .iter()
                .map(|row| values[*row as usize])
                .map(|value| if value.is_nan() { None } else { of(&number_text(value)) })
                .collect(),
            Cells::Text(text) => {
                column.rows.par_iter().map(|row| text.get(*row as usize).and_then(of)).collect()
            }
        }
    }

    /// What stands between two words of a made text.
    fn space(&self) -> &'static str {
        let wide = self.words.iter().filter(|word| word.chars().all(is_wide)).count();
        if wide * 2 > self.words.len() { "" } else { " " }
    }
}

/// Tf-idf of the texts of some rows as features, for the encoder and the baseline alike.
pub fn weighted(rows: &[Option<Vec<(u32, f32)>>]) -> Features {
    let (mut offsets, mut indices, mut weights) = (vec![0], Vec::new(), Vec::new());
    for row in rows {
        for (index, weight) in row.iter().flatten() {
            indices.push(*index);
            weights.push(*weight);
        }
        offsets.push(indices.len());
    }
    Features::Weighted { offsets, indices, weights }
}

/// The commonest words of the train part, such as are no single row's.
fn frequent_words(texts: &[(String, u64)]) -> Vec<String> {
    let mut counts: HashMap<&str, u64> = HashMap::new();
    // What the commonest words are shows in a part of many texts.
    for (text, rows) in texts.iter().take(20_000) {
        let mut words: Vec<&str> =
            split_words(text).filter(|word| word.chars().any(char::is_alphabetic)).collect();
        words.sort_unstable();
        words.dedup();
        for word in words {
            *counts.entry(word).or_default() += rows;
        }
    }
    let mut counted: Vec<(&str, u64)> =
        counts.into_iter().filter(|(_, rows)| *rows >= MADE_WORD_ROWS).collect();
    counted.sort_unstable_by_key(|(word, rows)| (std::cmp::Reverse(*rows), *word));
    counted.into_iter().take(MADE_WORDS).map(|(word, _)| word.to_owned()).collect()
}

/// A number with marks between thousands.
fn thousands(number: usize) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests;
