//! N-grams of words and characters, weighed by tf-idf.
//!
//! An n-gram is known by a 32-bit hash, so that what is kept of the train part is small and no text can be read from it.
//! Weights are those of scikit-learn's `TfidfVectorizer` with `sublinear_tf`: `1 + ln(count)` times
//! `ln((1 + documents) / (1 + documents with it)) + 1`, of words and of characters each divided by their length.

use rayon::prelude::*;
use serde::{Deserialize, Serialize};

/// Words in a row, at most.
const WORDS: usize = 2;
/// Characters in a row, at least and at most.
const CHARACTERS: (usize, usize) = (2, 5);

/// The n-grams that were kept of the train part.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Ngrams {
    /// Texts of the train part.
    pub documents: u64,
    pub words: Block,
    pub characters: Block,
}

/// The kept n-grams of one sort.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Block {
    /// Rising.
    pub hashes: Vec<u32>,
    /// How many texts of the train part hold each.
    pub documents: Vec<u32>,
}

impl Ngrams {
    /// Learns from clean texts, each with the number of rows that hold it; keeps n-grams of at least `min_count` rows, the
    /// commonest `most` of words and of characters.
    pub fn fit(texts: &[(String, u64)], min_count: u64, most: usize) -> Self {
        let documents = texts.iter().map(|(_, count)| count).sum();
        let block = |hashes: fn(&str) -> Vec<u32>| Block::fit(texts, hashes, min_count, most);
        Self { documents, words: block(words), characters: block(characters) }
    }

    /// Number of kept n-grams.
    pub fn len(&self) -> usize {
        self.words.hashes.len() + self.characters.hashes.len()
    }

    /// Tells whether none was kept.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The kept n-grams of a clean text with their weights, words before characters.
    pub fn weigh(&self, text: &str) -> Vec<(u32, f32)> {
        let mut weighed = self.words.weigh(words(text), self.documents, 0);
        let after = self.words.hashes.len() as u32;
        weighed.extend(self.characters.weigh(characters(text), self.documents, after));
        weighed
    }
}

impl Block {
    fn fit(texts: &[(String, u64)], hashes: fn(&str) -> Vec<u32>, min_count: u64, most: usize) -> Self {
        let mut found: Vec<u32> = texts
            .par_iter()
            .flat_map_iter(|(text, count)| {
                let mut hashes = hashes(text);
                hashes.sort_unstable();
                hashes.dedup();
                // A text of many rows counts as many times.
                let times = *count as usize;
                hashes.into_iter().flat_map(move |hash| std::iter::repeat_n(hash, times))
            })
            .collect();
        found.par_sort_unstable();
        let mut counted: Vec<(u32, u32)> = found
            .chunk_by(|a, b| a == b)
            .filter(|same| same.len() as u64 >= min_count)
            .map(|same| (same[0], same.len() as u32))
            .collect();
        if counted.len() > most {
            counted.sort_unstable_by_key(|(hash, count)| (std::cmp::Reverse(*count), *hash));
            counted.truncate(most);
            counted.sort_unstable();
        }
        let (hashes, documents) = counted.into_iter().unzip();
        Self { hashes, documents }
    }

    /// The kept ones of the hashes with their weights, numbered from `after`.
    fn weigh(&self, mut hashes: Vec<u32>, documents: u64, after: u32) -> Vec<(u32, f32)> {
        hashes.sort_unstable();
        let weight = |same: &[u32]| {
            let index = self.hashes.binary_search(&same[0]).ok()?;
            let with = f64::from(*self.documents.get(index)?);
            let rarity = ((1.0 + documents as f64) / (1.0 + with)).ln() + 1.0;
            Some((after + index as u32, (1.0 + (same.len() as f64).ln()) * rarity))
        };
        let weights: Vec<(u32, f64)> = hashes.chunk_by(|a, b| a == b).filter_map(weight).collect();
        let length = weights.iter().map(|(_, weight)| weight * weight).sum::<f64>().sqrt();
        weights.into_iter().map(|(index, weight)| (index, (weight / length) as f32)).collect()
    }
}

/// The words of a clean text: runs of letters and digits, each Chinese, Japanese or Korean character by itself, and each
/// mark.
pub(crate) fn split_words(text: &str) -> impl Iterator<Item = &str> {
    let mut rest = text;
    std::iter::from_fn(move || {
        rest = rest.trim_start();
        let first = rest.chars().next()?;
        let end = if in_word(first) {
            rest.find(|letter| !in_word(letter)).unwrap_or(rest.len())
        } else {
            first.len_utf8()
        };
        let (word, after) = rest.split_at(end);
        rest = after;
        Some(word)
    })
}

fn in_word(letter: char) -> bool {
    (letter.is_alphanumeric() || letter == '_') && !is_wide(letter)
}

/// Whether a character is a Chinese, Japanese or Korean one, which stands for a word or a syllable.
pub(crate) fn is_wide(letter: char) -> bool {
    matches!(letter, '\u{2e80}'..='\u{faff}' | '\u{20000}'..='\u{323af}')
}

/// Hashes of the words of a text, alone and with the next.
fn words(text: &str) -> Vec<u32> {
    let mut hashes = Vec::new();
    let each: Vec<&str> = split_words(text).collect();
    for first in 0..each.len() {
        let mut hash = Hash::new(1);
        for word in each[first..].iter().take(WORDS) {
            word.chars().for_each(|letter| hash.add(letter));
            hashes.push(hash.value());
            hash.add(' ');
        }
    }
    hashes
}

/// Hashes of the characters within each run between spaces, a space at both ends (scikit-learn's `char_wb`).
fn characters(text: &str) -> Vec<u32> {
    let (least, most) = CHARACTERS;
    let mut hashes = Vec::new();
    let mut letters = Vec::new();
    for run in text.split_whitespace() {
        letters.clear();
        letters.push(' ');
        letters.extend(run.chars());
        letters.push(' ');
        for first in 0..letters.len() {
            let mut hash = Hash::new(2);
            for (length, letter) in letters[first..].iter().take(most).enumerate() {
                hash.add(*letter);
                if length + 1 >= least {
                    hashes.push(hash.value());
                }
            }
        }
    }
    hashes
}

/// FNV-1a over characters, its halves folded and mixed at the end.
#[derive(Clone, Copy)]
struct Hash(u64);

impl Hash {
    fn new(sort: u64) -> Self {
        Self(0xcbf2_9ce4_8422_2325 ^ sort)
    }

    fn add(&mut self, letter: char) {
        self.0 = (self.0 ^ u64::from(u32::from(letter))).wrapping_mul(0x0000_0100_0000_01b3);
    }

    fn value(self) -> u32 {
        let mixed = (self.0 ^ (self.0 >> 32)).wrapping_mul(0x9E37_79B9_7F4A_7C15);
        (mixed >> 32) as u32
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(texts: &[&str]) -> Vec<(String, u64)> {
        texts.iter().map(|text| ((*text).to_owned(), 1)).collect()
    }

    #[test]
    fn words_are_runs_wide_characters_and_marks() {
        let check = |text: &str, expected: &[&str]| {
            assert_eq!(split_words(text).collect::<Vec<_>>(), expected, "{text}");
        };
        check("it's 2 good_ones!", &["it", "'", "s", "2", "good_ones", "!"]);
        check("房间good 很大，好", &["房", "间", "good", "很", "大", "，", "好"]);
        check("  ", &[]);
    }

    #[test]
    fn characters_stay_within_runs() {
        // " a " has two of 2 and one of 3; " bc " has three of 2, two of 3 and one of 4.
        assert_eq!(characters("a").len(), 3);
        assert_eq!(characters("a bc").len(), 9);
        assert_eq!(characters("abcd").len(), 5 + 4 + 3 + 2);
        assert_eq!(words("a b c").len(), 5);
    }

    #[test]
    fn weights_have_length_one_for_each_sort() {
        let ngrams = Ngrams::fit(&texts(&["good film", "bad film", "good good day"]), 1, 1000);
        let weights = ngrams.weigh("good film film");
        let split = ngrams.words.hashes.len() as u32;
        for part in [0..split, split..ngrams.len() as u32] {
            let length: f32 =
                weights.iter().filter(|(i, _)| part.contains(i)).map(|(_, weight)| weight * weight).sum();
            assert!((length - 1.0).abs() < 1e-6, "{length}");
        }
        assert!(ngrams.weigh("").is_empty() && ngrams.weigh("zzz").is_empty());
    }

    #[test]
    fn the_commonest_are_kept() {
        let ngrams = Ngrams::fit(&texts(&["a b", "a c", "a b"]), 2, 2);
        let kept = |word: &str| ngrams.words.hashes.contains(&words(word)[0]);
        assert!(kept("a") && kept("b") != ngrams.words.hashes.contains(&words("a b")[1]) && !kept("c"));
        assert_eq!(ngrams.words.hashes.len(), 2);
        let all = Ngrams::fit(&[("a b".to_owned(), 2), ("a c".to_owned(), 1)], 2, 10);
        assert_eq!(all.words.documents.iter().max(), Some(&3));
    }
}
