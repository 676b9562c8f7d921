//! Tokenisers, trained on the train part or read from a `tokenizer.json`.

use super::units::By;
use super::{thousands, unigram};
use outset_spec::{Node, Setting, Value};
use rayon::prelude::*;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use tokenizers::models::bpe::{BPE, BpeTrainer};
use tokenizers::models::unigram::Unigram;
use tokenizers::models::wordlevel::{WordLevel, WordLevelTrainer};
use tokenizers::models::wordpiece::{WordPiece, WordPieceTrainer};
use tokenizers::models::{ModelWrapper, TrainerWrapper};
use tokenizers::normalizers::BertNormalizer;
use tokenizers::pre_tokenizers::bert::BertPreTokenizer;
use tokenizers::pre_tokenizers::byte_level::ByteLevel;
use tokenizers::pre_tokenizers::metaspace::{Metaspace, PrependScheme};
use tokenizers::pre_tokenizers::split::{Split, SplitPattern};
use tokenizers::pre_tokenizers::whitespace::WhitespaceSplit;
use tokenizers::{
    AddedToken, Model as _, NormalizedString, Normalizer as _, OffsetReferential, OffsetType,
    PreTokenizedString, PreTokenizer as _, SplitDelimiterBehavior, Tokenizer,
};

/// Stands for what the vocabulary does not hold.
const UNKNOWN: &str = "[UNK]";

/// The space before a word, as SentencePiece writes it; by itself it is of every language.
const SPACE: &str = "▁";

/// The highest number of a token in a file: up to it, each is a row of the table of vectors.
const HIGHEST: u32 = 10_000_000;

/// How a text is taken apart.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Scheme {
    /// N-grams of words and characters, weighed by tf-idf, without their order.
    Ngrams,
    /// Parts of words, as BERT's; each Chinese character by itself.
    WordPiece,
    /// Pairs of bytes merged, as GPT's.
    BytePairs,
    /// The likeliest pieces of words, as SentencePiece's.
    Unigram,
    /// Single characters.
    Characters,
    /// Whole words; each Chinese character by itself.
    Words,
    /// Whatever stands between white space.
    Spaces,
    /// A `tokenizer.json`.
    File(String),
}

impl Scheme {
    const WORDS: [(&str, Self); 7] = [
        ("ngrams", Self::Ngrams),
        ("wordpiece", Self::WordPiece),
        ("byte_bpe", Self::BytePairs),
        ("unigram", Self::Unigram),
        ("characters", Self::Characters),
        ("words", Self::Words),
        ("spaces", Self::Spaces),
    ];

    /// The units of a text that tags are put on, if this scheme leaves them as they stand.
    pub fn units(&self) -> Option<By> {
        match self {
            Self::Words => Some(By::Words),
            Self::Characters => Some(By::Characters),
            Self::Spaces => Some(By::Spaces),
            _ => None,
        }
    }
}

impl Setting for Scheme {
    const EXPECTED: &'static str = "`\"ngrams\"`, `\"wordpiece\"`, `\"byte_bpe\"`, \
                                    `\"unigram\"`, `\"characters\"`, `\"words\"`, `\"spaces\"` or the name of a `tokenizer.json`";

    fn from_node(node: &Node) -> Result<Self, String> {
        let Value::String(word) = &node.value else { return Err(String::new()) };
        if word.ends_with(".json") {
            return Ok(Self::File(word.clone()));
        }
        Self::WORDS
            .iter()
            .find(|(known, _)| known == word)
            .map(|(_, scheme)| scheme.clone())
            .ok_or_else(String::new)
    }

    fn to_value(&self) -> Option<Value> {
        let word = Self::WORDS.iter().find(|(_, scheme)| scheme == self).map(|(word, _)| *word);
        Some(match (self, word) {
            (Self::File(name), _) => name.as_str().into(),
            (_, word) => word.unwrap_or_default().into(),
        })
    }
}

/// A fitted tokeniser with the length that texts are cut to.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Tokens {
    /// In the format of `tokenizer.json`; `None` only while it lies in a file of its own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    tokenizer: Option<Box<Tokenizer>>,
    /// The file of a bundle that holds the tokenizer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    file: Option<String>,
    /// Tokens that are kept of a text.
    pub max_length: usize,
    /// Share of the unknown ones among the tokens of the train part.
    #[serde(default)]
    pub unknown: f64,
}

/// Tokens of a train text.
#[derive(Clone, Copy, Debug, Default)]
struct Found {
    all: usize,
    unknown: u64,
    /// Without those that are a space alone.
    known: u64,
}

impl Tokens {
    /// Trains or reads a tokeniser and chooses the length: what 99 of 100 train texts need, at most `longest`. Beside it
    /// comes how many tokens each text has.
    ///
    /// # Errors
    /// If a file cannot be read, is no tokeniser or none for these texts, or training fails, in words.
    pub fn fit(
        texts: &[(String, u64)],
        scheme: &Scheme,
        vocabulary_size: usize,
        max_length: Option<usize>,
        longest: usize,
    ) -> Result<(Self, Vec<usize>), String> {
        let mut tokenizer = match scheme {
            Scheme::File(name) => Tokenizer::from_file(name).map_err(|error| error.to_string())?,
            scheme => train(texts, scheme, vocabulary_size).map_err(|error| error.to_string())?,
        };
        tokenizer.with_padding(None);
        tokenizer.with_truncation(None).map_err(|error| error.to_string())?;
        let tokenizer = Some(Box::new(tokenizer));
        let mut fitted = Self { tokenizer, file: None, max_length: usize::MAX, unknown: 0.0 };
        let highest = fitted.highest();
        if highest > HIGHEST {
            let most = thousands(HIGHEST as usize);
            return Err(format!(
                "a token has the number {highest}, but {most} is the highest that it may have"
            ));
        }
        let found = fitted.count(texts).map_err(|error| {
            format!(
                "a train text cannot be taken apart ({error}); \
                 does it lack the token for what it does not know, `unk_token`?"
            )
        })?;
        let full = texts.iter().zip(&found).filter(|((text, _), _)| !text.is_empty());
        let best_known = full.map(|(_, found)| found.known).max();
        if matches!(scheme, Scheme::File(_)) && best_known == Some(0) {
            return Err("it knows no token of the train texts; is it one for another language?".to_owned());
        }
        let (mut known, mut unknown) = (0, 0);
        for ((_, rows), found) in texts.iter().zip(&found) {
            known += found.known * rows;
            unknown += found.unknown * rows;
        }
        fitted.unknown = unknown as f64 / (known + unknown).max(1) as f64;
        let lengths: Vec<usize> = found.iter().map(|found| found.all.max(1)).collect();
        let mut sorted = lengths.clone();
        sorted.sort_unstable();
        let most = sorted.get((sorted.len().saturating_sub(1) * 99).div_ceil(100)).copied().unwrap_or(1);
        fitted.max_length = max_length.unwrap_or(most.clamp(1, longest));
        Ok((fitted, lengths))
    }

    /// Counts the tokens of each text.
    fn count(&self, texts: &[(String, u64)]) -> tokenizers::Result<Vec<Found>> {
        let (unknown, space) = (self.unknown_token(), self.tokenizer().token_to_id(SPACE));
        let of_text = |(text, _): &(String, u64)| -> tokenizers::Result<Found> {
            let mut found = Found::default();
            for number in self.numbers(text)? {
                found.all += 1;
                match Some(number) {
                    token if token == unknown => found.unknown += 1,
                    token if token == space => {}
                    _ => found.known += 1,
                }
            }
            Ok(found)
        };
        texts.par_iter().map(of_text).collect()
    }

    /// The token for what the vocabulary does not hold, which is what becomes of a character that no text holds.
    fn unknown_token(&self) -> Option<u32> {
        match self.tokenizer().get_model().tokenize("\u{10ffff}").as_deref() {
            Ok([token]) => Some(token.id),
            _ => None,
        }
    }

    fn tokenizer(&self) -> &Tokenizer {
        self.tokenizer.as_deref().unwrap_or_else(|| unreachable!("a tokenizer is read before it is used"))
    }

    /// Takes the tokenizer out, as the text of a `tokenizer.json` that will lie in `file`.
    pub(crate) fn move_to(&mut self, file: &str) -> Vec<u8> {
        self.file = Some(file.to_owned());
        self.tokenizer
            .take()
            .map(|tokenizer| serde_json::to_vec(&tokenizer).unwrap_or_default())
            .unwrap_or_default()
    }

    /// The file that holds the tokenizer, where it does not lie in here.
    pub(crate) fn file(&self) -> Option<&str> {
        if self.tokenizer.is_some() { None } else { Some(self.file.as_deref().unwrap_or("tokenizer.json")) }
    }

    /// Takes the tokenizer from the text of its file.
    ///
    /// # Errors
    /// If the text is no tokenizer.
    pub(crate) fn take_from(&mut self, bytes: &[u8]) -> Result<(), serde_json::Error> {
        self.tokenizer = Some(serde_json::from_slice(bytes)?);
        Ok(())
    }

    /// The tokens of a clean text, from 1; 0 alone for a text without any or one that cannot be taken apart.
    pub fn encode(&self, text: &str) -> Vec<u32> {
        let mut tokens = self.numbers(text).unwrap_or_default();
        tokens.truncate(self.max_length);
        tokens.iter_mut().for_each(|token| *token += 1);
        if tokens.is_empty() {
            tokens.push(0);
        }
        tokens
    }

    /// The tokens of a clean text as the tokenizer numbers them, from 0.
    fn numbers(&self, text: &str) -> tokenizers::Result<Vec<u32>> {
        Ok(self.tokenizer().encode_fast(text, false)?.get_ids().to_vec())
    }

    /// Size of the vocabulary, the 0 for nothing included.
    pub fn size(&self) -> usize {
        self.highest() as usize + 2
    }

    /// The highest number that the tokenizer gives.
    fn highest(&self) -> u32 {
        self.tokenizer().get_vocab(true).into_values().max().unwrap_or(0)
    }

    /// The token's text by its number, for word vectors and reports.
    pub fn vocabulary(&self) -> Vec<(String, u32)> {
        let mut words: Vec<(String, u32)> = self.tokenizer().get_vocab(true).into_iter().collect();
        words.iter_mut().for_each(|(_, token)| *token += 1);
        words.sort_unstable_by_key(|(_, token)| *token);
        words
    }
}

fn train(texts: &[(String, u64)], scheme: &Scheme, size: usize) -> tokenizers::Result<Tokenizer> {
    let special = vec![AddedToken::from(UNKNOWN, true)];
    let word_level = || -> tokenizers::Result<(ModelWrapper, TrainerWrapper)> {
        let model = WordLevel::builder().unk_token(UNKNOWN.to_owned()).build()?;
        let trainer = WordLevelTrainer::builder()
            .vocab_size(size)
            .min_frequency(2)
            .show_progress(false)
            .special_tokens(special.clone())
            .build()?;
        Ok((model.into(), trainer.into()))
    };
    let (model, mut trainer): (ModelWrapper, TrainerWrapper) = match scheme {
        Scheme::BytePairs => {
            let trainer = BpeTrainer::builder()
                .vocab_size(size)
                .min_frequency(2)
                .show_progress(false)
                .initial_alphabet(ByteLevel::alphabet().into_iter().collect())
                .build();
            (BPE::default().into(), trainer.into())
        }
        Scheme::Unigram => return train_unigram(texts, size),
        Scheme::Characters | Scheme::Words | Scheme::Spaces => word_level()?,
        Scheme::WordPiece | Scheme::Ngrams | Scheme::File(_) => {
            let model = WordPiece::builder().unk_token(UNKNOWN.to_owned()).build()?;
            let trainer = WordPieceTrainer::builder()
                .vocab_size(size)
                .min_frequency(2)
                .show_progress(false)
                .special_tokens([special.clone(), continuing(texts)?].concat())
                .build();
            (model.into(), trainer.into())
        }
    };
    let mut tokenizer = Tokenizer::new(model);
    match scheme {
        Scheme::BytePairs => {
            tokenizer.with_pre_tokenizer(Some(ByteLevel::new(false, true, true)));
        }
        Scheme::Characters => {
            let each = SplitPattern::Regex(r"[\s\S]".to_owned());
            tokenizer.with_pre_tokenizer(Some(Split::new(each, SplitDelimiterBehavior::Isolated, false)?));
        }
        Scheme::Spaces => {
            tokenizer.with_pre_tokenizer(Some(WhitespaceSplit));
        }
        _ => {
            tokenizer.with_normalizer(Some(words_normalizer()))?;
            tokenizer.with_pre_tokenizer(Some(BertPreTokenizer));
        }
    }
    let repeated = texts.iter().map(|(text, _)| text.as_str());
    tokenizer.train(&mut trainer, repeated)?;
    if let ModelWrapper::WordPiece(model) = tokenizer.get_model() {
        // Without the pieces that are no special ones to a reader.
        let mut plain = Tokenizer::new(model.clone());
        plain.with_normalizer(tokenizer.get_normalizer().cloned())?;
        plain.with_pre_tokenizer(tokenizer.get_pre_tokenizer().cloned());
        plain.add_special_tokens(special)?;
        return Ok(plain);
    }
    Ok(tokenizer)
}

/// Pieces of a single character that go on with a word, in order.
///
/// The trainer, left to itself, numbers them as a hash table happens to give its words, other than the time before, and
/// pairs that are as frequent as each other are merged by these numbers.
fn continuing(texts: &[(String, u64)]) -> tokenizers::Result<Vec<AddedToken>> {
    let normalizer = words_normalizer();
    let of_text = |(text, _): &(String, u64)| -> tokenizers::Result<BTreeSet<char>> {
        let mut normalized = NormalizedString::from(text.as_str());
        normalizer.normalize(&mut normalized)?;
        let mut split = PreTokenizedString::from(normalized);
        BertPreTokenizer.pre_tokenize(&mut split)?;
        let words = split.get_splits(OffsetReferential::Original, OffsetType::Byte);
        Ok(words.into_iter().flat_map(|(word, ..)| word.chars().skip(1)).collect())
    };
    let all = texts.par_iter().map(of_text).try_reduce(BTreeSet::new, |mut all, more| {
        all.extend(more);
        Ok(all)
    })?;
    Ok(all.into_iter().map(|character| AddedToken::from(format!("##{character}"), true)).collect())
}

fn words_normalizer() -> BertNormalizer {
    BertNormalizer::new(false, true, Some(false), false)
}

/// Trains a Unigram model whose words begin with a mark in the place of the space before them.
fn train_unigram(texts: &[(String, u64)], size: usize) -> tokenizers::Result<Tokenizer> {
    let marks = Metaspace::new('▁', PrependScheme::Always, true);
    let mut words: BTreeMap<String, u64> = BTreeMap::new();
    for (text, count) in texts {
        let mut split = PreTokenizedString::from(text.as_str());
        marks.pre_tokenize(&mut split)?;
        for (word, ..) in split.get_splits(OffsetReferential::Normalized, OffsetType::None) {
            *words.entry(word.to_owned()).or_default() += count;
        }
    }
    let words: Vec<(String, u64)> = words.into_iter().collect();
    let mut pieces = vec![(UNKNOWN.to_owned(), 0.0)];
    pieces.extend(unigram::train(&words, size.saturating_sub(1)));
    let mut tokenizer = Tokenizer::new(Unigram::from(pieces, Some(0), false)?);
    tokenizer.with_pre_tokenizer(Some(marks));
    Ok(tokenizer)
}

#[cfg(test)]
mod tests;
