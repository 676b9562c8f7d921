//! Tokenisers, trained on the train part or read from a `tokenizer.json`.

use super::unigram;
use super::units::By;
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
    AddedToken, NormalizedString, Normalizer as _, OffsetReferential, OffsetType, PreTokenizedString,
    PreTokenizer as _, SplitDelimiterBehavior, Tokenizer,
};

/// Stands for what the vocabulary does not hold.
const UNKNOWN: &str = "[UNK]";

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
    /// Texts of the train part that are longer.
    pub cut: u64,
}

impl Tokens {
    /// Trains or reads a tokeniser and chooses the length: what 99 of 100 train texts need, at most `longest`.
    ///
    /// # Errors
    /// If a file cannot be read or is no tokeniser, or training fails, in words.
    pub fn fit(
        texts: &[(String, u64)],
        scheme: &Scheme,
        vocabulary_size: usize,
        max_length: Option<usize>,
        longest: usize,
    ) -> Result<Self, String> {
        let mut tokenizer = match scheme {
            Scheme::File(name) => Tokenizer::from_file(name).map_err(|error| error.to_string())?,
            scheme => train(texts, scheme, vocabulary_size).map_err(|error| error.to_string())?,
        };
        tokenizer.with_padding(None);
        tokenizer.with_truncation(None).map_err(|error| error.to_string())?;
        let tokenizer = Some(Box::new(tokenizer));
        let mut fitted = Self { tokenizer, file: None, max_length: usize::MAX, cut: 0 };
        let lengths: Vec<usize> = texts.par_iter().map(|(text, _)| fitted.encode(text).len()).collect();
        let mut sorted = lengths.clone();
        sorted.sort_unstable();
        let most = sorted.get((sorted.len().saturating_sub(1) * 99).div_ceil(100)).copied().unwrap_or(1);
        fitted.max_length = max_length.unwrap_or(most.clamp(1, longest));
        let too_long = lengths.iter().zip(texts).filter(|(length, _)| **length > fitted.max_length);
        fitted.cut = too_long.map(|(_, (_, count))| count).sum();
        Ok(fitted)
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

    /// The tokens of a clean text, from 1; 0 alone for a text without any.
    pub fn encode(&self, text: &str) -> Vec<u32> {
        let encoding = self.tokenizer().encode_fast(text, false);
        let mut tokens: Vec<u32> = encoding.map(|encoding| encoding.get_ids().to_vec()).unwrap_or_default();
        tokens.truncate(self.max_length);
        tokens.iter_mut().for_each(|token| *token += 1);
        if tokens.is_empty() {
            tokens.push(0);
        }
        tokens
    }

    /// Size of the vocabulary, the 0 for nothing included.
    pub fn size(&self) -> usize {
        let highest = self.tokenizer().get_vocab(true).into_values().max().unwrap_or(0);
        highest as usize + 2
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
mod tests {
    use super::*;

    fn texts() -> Vec<(String, u64)> {
        let lines =
            ["good film , good day", "bad film , bad day", "房间很大，很好", "房间很小，不好", "good day"];
        (0..20).flat_map(|_| lines.map(|line| (line.to_owned(), 1))).collect()
    }

    #[test]
    fn every_scheme_gives_the_same_tokens_each_time() {
        let words = ["quiet", "quick", "unlike", "likely", "untie", "tie", "tiled", "lit"];
        let texts: Vec<(String, u64)> =
            (0..60).map(|row| (format!("{} {}", words[row % 8], words[row * 5 % 8]), 1)).collect();
        for (word, scheme) in Scheme::WORDS.iter().filter(|(word, _)| *word != "ngrams") {
            let fit = || serde_json::to_string(&Tokens::fit(&texts, scheme, 40, None, 256).unwrap()).unwrap();
            let first = fit();
            assert!((0..5).all(|_| fit() == first), "{word}");
        }
        let tokens = Tokens::fit(&texts, &Scheme::WordPiece, 300, Some(9), 256).unwrap();
        assert_eq!(tokens.encode("##u").len(), 3, "what looks like a piece is a text as any other");
    }

    #[test]
    fn every_scheme_reads_words_and_chinese() {
        for (word, scheme) in Scheme::WORDS.iter().filter(|(word, _)| *word != "ngrams") {
            let tokens = Tokens::fit(&texts(), scheme, 300, None, 256).unwrap();
            for text in ["good film", "房间 很好", "film 好"] {
                let encoded = tokens.encode(text);
                assert!(encoded.len() > 1, "{word}: {text} {encoded:?}");
                assert!(encoded.iter().all(|token| (*token as usize) < tokens.size()), "{word}");
            }
            assert_eq!(tokens.encode(""), [0], "{word}");
            assert!(!tokens.encode("zebra ☃ 龍").is_empty());
            let copy: Tokens = serde_json::from_str(&serde_json::to_string(&tokens).unwrap()).unwrap();
            assert_eq!(copy.encode("bad film，很大"), tokens.encode("bad film，很大"), "{word}");
            for _ in 0..5 {
                let again = Tokens::fit(&texts(), scheme, 300, None, 256).unwrap();
                assert_eq!(again.encode("bad film，很大"), tokens.encode("bad film，很大"), "{word}");
            }
        }
    }

    #[test]
    fn long_texts_are_cut_and_counted() {
        let mut texts = texts();
        texts.push(("day ".repeat(100), 3));
        let tokens = Tokens::fit(&texts, &Scheme::Words, 100, None, 256).unwrap();
        assert!(tokens.max_length < 10, "{}", tokens.max_length);
        assert_eq!((tokens.cut, tokens.encode(&"day ".repeat(100)).len()), (3, tokens.max_length));
        assert_eq!(Tokens::fit(&texts, &Scheme::Words, 100, Some(2), 256).unwrap().max_length, 2);
    }

    #[test]
    fn a_file_that_is_no_tokeniser_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("tokenizer.json");
        std::fs::write(&file, "{\"model\": 3}").unwrap();
        let scheme = Scheme::File(file.display().to_string());
        assert!(Tokens::fit(&texts(), &scheme, 300, None, 256).is_err());
        let nowhere = Scheme::File("nowhere/tokenizer.json".to_owned());
        assert!(Tokens::fit(&texts(), &nowhere, 300, None, 256).is_err());
    }
}
