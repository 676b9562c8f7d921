//! Words or characters of a text as it stands, one step of a sequence each: what tags are put on.
//!
//! A step is known by its own word or character and by parts: of a word the runs of its letters and its shape, of a
//! character the pairs and triples that it stands in. Parts speak for words that train never showed, and tell which word
//! of a text without spaces a character belongs to.

use super::is_wide;
use crate::table::LIST_SEPARATOR;
use rayon::prelude::*;
use serde::{Deserialize, Serialize};
use std::collections::HashMap;
use std::sync::OnceLock;
use unicode_normalization::UnicodeNormalization as _;

/// Times that a word or part must stand in train to be known by itself.
const LEAST: u64 = 2;
/// Parts that are known, at most.
const PARTS: usize = 100_000;
/// Stand for the ends of a text.
const EDGES: [char; 2] = ['\u{2}', '\u{3}'];

/// How a text is taken apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum By {
    /// Runs of letters and digits; each other mark and each Chinese character by itself.
    Words,
    /// Every character but white space.
    Characters,
    /// Whatever stands between white space.
    Spaces,
}

impl By {
    /// All ways, in the order in which they are tried.
    pub const ALL: [Self; 3] = [Self::Spaces, Self::Words, Self::Characters];

    /// The word of the setting.
    pub fn word(self) -> &'static str {
        match self {
            Self::Words => "words",
            Self::Characters => "characters",
            Self::Spaces => "spaces",
        }
    }

    /// What the units are called.
    pub fn units(self) -> &'static str {
        match self {
            Self::Words | Self::Spaces => "words",
            Self::Characters => "characters",
        }
    }
}

/// A word or character and where it stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Unit<'a> {
    pub text: &'a str,
    /// Its first character, counted from 0.
    pub start: usize,
    /// The first character behind it.
    pub end: usize,
}

/// Takes a text apart; tokens that come apart already stay as they are, and are counted as with a space between them.
pub fn split(text: &str, by: By) -> Vec<Unit<'_>> {
    if let Some(tokens) = tokens(text) {
        let mut start = 0;
        let unit = |token| {
            let end = start + str::chars(token).count();
            let unit = Unit { text: token, start, end };
            start = end + 1;
            unit
        };
        return tokens.map(unit).collect();
    }
    let mut units: Vec<Unit<'_>> = Vec::new();
    // Whether the last unit may go on, and its first byte.
    let mut open: Option<usize> = None;
    for (place, (at, letter)) in text.char_indices().enumerate() {
        if letter.is_whitespace() {
            open = None;
            continue;
        }
        let joins = match by {
            By::Characters => false,
            By::Spaces => true,
            By::Words => (letter.is_alphanumeric() || is_mark(letter)) && !is_wide(letter),
        };
        let behind = at + letter.len_utf8();
        match (open, units.last_mut()) {
            (Some(first), Some(last)) if joins => {
                (last.text, last.end) = (&text[first..behind], place + 1);
            }
            _ => {
                units.push(Unit { text: &text[at..behind], start: place, end: place + 1 });
                open = joins.then_some(at);
            }
        }
    }
    units
}

/// Marks that change the letter before them.
fn is_mark(letter: char) -> bool {
    matches!(letter as u32, 0x300..=0x36f | 0x483..=0x487 | 0x591..=0x5bd | 0x64b..=0x65f | 0x900..=0x903 | 0x93a..=0x94f
        | 0xe31 | 0xe34..=0xe3a | 0xe47..=0xe4e | 0x200d)
}

/// The tokens of a text that comes apart already; `None` for any other.
pub fn tokens(text: &str) -> Option<impl Iterator<Item = &str> + Clone> {
    let listed = text.contains(LIST_SEPARATOR);
    listed.then(|| text.strip_suffix(LIST_SEPARATOR).unwrap_or(text).split(LIST_SEPARATOR))
}

/// A text of tokens that come apart already.
pub fn of_tokens(tokens: &[&str]) -> String {
    let mut text = tokens.join(LIST_SEPARATOR.encode_utf8(&mut [0; 4]));
    if tokens.len() == 1 {
        text.push(LIST_SEPARATOR);
    }
    text
}

/// The text that places are counted in: tokens that came apart with a space between them.
pub fn as_read(text: &str) -> String {
    text.strip_suffix(LIST_SEPARATOR).unwrap_or(text).replace(LIST_SEPARATOR, " ")
}

/// What was learned of the words or characters of train.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Units {
    pub by: By,
    pub lowercase: bool,
    /// Known words or characters; the first is token 2, as 0 is nothing and 1 an unknown one.
    words: Vec<String>,
    /// Known parts, the first being part 0.
    parts: Vec<String>,
    /// Units that are read of a text.
    pub max_length: usize,
    /// Most units of a train text.
    pub longest: usize,
    #[serde(skip)]
    lookup: OnceLock<[HashMap<String, u32>; 2]>,
}

/// The encoded units of a text.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Encoded {
    /// One for each unit; 0 alone for a text without any.
    pub tokens: Vec<u32>,
    /// Parts of each unit, and where each unit's end.
    pub parts: Vec<u32>,
    pub ends: Vec<usize>,
}

impl Units {
    /// Counts words and parts of the train texts.
    pub fn fit(texts: &[(String, u64)], by: By, lowercase: bool, most: usize, max_length: usize) -> Self {
        let mut fitted = Self {
            by,
            lowercase,
            words: Vec::new(),
            parts: Vec::new(),
            max_length,
            longest: 1,
            lookup: OnceLock::new(),
        };
        let counted = texts
            .par_iter()
            .map(|(text, rows)| {
                let units = split(text, by);
                let words: Vec<String> = units.iter().map(|unit| fitted.known_as(unit.text)).collect();
                let parts: Vec<String> =
                    (0..units.len()).flat_map(|place| parts_of(&units, &words, place, by)).collect();
                (words, parts, *rows)
            })
            .collect::<Vec<_>>();
        let (mut words, mut parts) = (HashMap::new(), HashMap::new());
        for (of_words, of_parts, rows) in counted {
            fitted.longest = fitted.longest.max(of_words.len());
            of_words.into_iter().for_each(|word| *words.entry(word).or_default() += rows);
            of_parts.into_iter().for_each(|part| *parts.entry(part).or_default() += rows);
        }
        (fitted.words, fitted.parts) = (frequent(words, most), frequent(parts, PARTS));
        fitted
    }

    /// Size of the vocabulary, nothing and the unknown included.
    pub fn size(&self) -> usize {
        self.words.len() + 2
    }

    /// The known words or characters with their tokens.
    pub fn vocabulary(&self) -> Vec<(String, u32)> {
        self.words.iter().cloned().zip(2..).collect()
    }

    /// Number of known parts.
    pub fn num_parts(&self) -> usize {
        self.parts.len()
    }

    /// How a unit is looked up.
    fn known_as(&self, word: &str) -> String {
        let plain = word.nfkc();
        if self.lowercase { plain.flat_map(char::to_lowercase).collect() } else { plain.collect() }
    }

    fn lookup(&self) -> &[HashMap<String, u32>; 2] {
        self.lookup.get_or_init(|| {
            let map = |names: &[String], first: u32| {
                names.iter().zip(first..).map(|(name, index)| (name.clone(), index)).collect()
            };
            [map(&self.words, 2), map(&self.parts, 0)]
        })
    }

    /// The units of a text that are read.
    pub fn split<'a>(&self, text: &'a str) -> Vec<Unit<'a>> {
        let mut units = split(text, self.by);
        units.truncate(self.max_length);
        units
    }

    /// Encodes a text.
    pub fn encode(&self, text: &str) -> Encoded {
        let units = self.split(text);
        let names: Vec<String> = units.iter().map(|unit| self.known_as(unit.text)).collect();
        let [words, parts] = self.lookup();
        let mut encoded = Encoded::default();
        for (place, name) in names.iter().enumerate() {
            encoded.tokens.push(words.get(name).copied().unwrap_or(1));
            let of_unit = parts_of(&units, &names, place, self.by);
            encoded.parts.extend(of_unit.iter().filter_map(|part| parts.get(part)));
            encoded.ends.push(encoded.parts.len());
        }
        if encoded.tokens.is_empty() {
            (encoded.tokens, encoded.ends) = (vec![0], vec![0]);
        }
        encoded
    }
}

/// The names that stand often enough, the most frequent first.
fn frequent(counts: HashMap<String, u64>, most: usize) -> Vec<String> {
    let mut counted: Vec<(String, u64)> = counts.into_iter().filter(|(_, count)| *count >= LEAST).collect();
    counted.sort_unstable_by(|a, b| b.1.cmp(&a.1).then_with(|| a.0.cmp(&b.0)));
    counted.truncate(most);
    counted.into_iter().map(|(name, _)| name).collect()
}

/// The parts of a unit, each with a mark of its sort in front.
fn parts_of(units: &[Unit<'_>], names: &[String], place: usize, by: By) -> Vec<String> {
    let near = |offset: isize| -> &str {
        match place.checked_add_signed(offset) {
            Some(at) if at < names.len() => &names[at],
            Some(_) => "\u{3}",
            None => "\u{2}",
        }
    };
    if by == By::Characters {
        let (a, b, c, d, e) = (near(-2), near(-1), near(0), near(1), near(2));
        return vec![
            format!("<{b}{c}"),
            format!(">{c}{d}"),
            format!("={b}{c}{d}"),
            format!("[{a}{b}{c}"),
            format!("]{c}{d}{e}"),
        ];
    }
    let word = units[place].text;
    let small: Vec<char> = word.nfkc().flat_map(char::to_lowercase).take(40).collect();
    let mut parts = vec![format!("#{}", shape(word)), format!("'{word}")];
    for length in 1..=4.min(small.len()) {
        parts.push(format!("^{}", small[..length].iter().collect::<String>()));
        parts.push(format!("${}", small[small.len() - length..].iter().collect::<String>()));
    }
    let within: Vec<char> = std::iter::once(EDGES[0]).chain(small).chain([EDGES[1]]).collect();
    for run in within.windows(3) {
        parts.push(format!("~{}", run.iter().collect::<String>()));
    }
    parts
}

/// The shape of a word: `Xx` for `Berlin`, `Xd` for `B2`, equal letters in a row once.
fn shape(word: &str) -> String {
    let mut shape = String::new();
    for letter in word.chars() {
        let mark = match letter {
            letter if letter.is_uppercase() => 'X',
            letter if letter.is_numeric() => 'd',
            letter if letter.is_alphabetic() => 'x',
            letter => letter,
        };
        if !shape.ends_with(mark) {
            shape.push(mark);
        }
    }
    shape
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, by: By, expected: &[(&str, usize, usize)]) {
        let found: Vec<_> = split(text, by).iter().map(|unit| (unit.text, unit.start, unit.end)).collect();
        assert_eq!(found, expected, "{text:?}");
    }

    #[test]
    fn places_count_characters_of_the_text_as_it_stands() {
        check("Ada  é12, x", By::Words, &[("Ada", 0, 3), ("é12", 5, 8), (",", 8, 9), ("x", 10, 11)]);
        check("在Paris 北", By::Words, &[("在", 0, 1), ("Paris", 1, 6), ("北", 7, 8)]);
        check("a b，c", By::Characters, &[("a", 0, 1), ("b", 2, 3), ("，", 3, 4), ("c", 4, 5)]);
        check("U.S. won!", By::Spaces, &[("U.S.", 0, 4), ("won!", 5, 9)]);
        check("U.S.\u{1f}New York\u{1f}!", By::Words, &[("U.S.", 0, 4), ("New York", 5, 13), ("!", 14, 15)]);
        check("can't\u{1f}", By::Words, &[("can't", 0, 5)]);
        assert_eq!(
            (of_tokens(&["a"]), of_tokens(&["a", "b"]), of_tokens(&[])),
            ("a\u{1f}".into(), "a\u{1f}b".into(), "".into())
        );
        assert_eq!((as_read("a\u{1f}"), as_read("a\u{1f}b")), ("a".into(), "a b".into()));
        check(" ", By::Words, &[]);
        // A letter and the accent behind it are one word.
        check("e\u{301}a b", By::Words, &[("e\u{301}a", 0, 3), ("b", 4, 5)]);
    }

    #[test]
    fn unknown_words_are_known_by_their_parts() {
        let texts = ["Berlin is big", "Berlin is old", "is it"].map(|text| (text.to_owned(), 1));
        let units = Units::fit(&texts, By::Words, true, 100, 4);
        assert_eq!((units.size(), units.longest), (2 + 2, 3));
        let encoded = units.encode("Merlin IS a berlin x y");
        assert_eq!(encoded.tokens, [1, 2, 1, 3], "cut after four");
        assert!(encoded.ends[0] > 3, "the end of the word is known");
        assert_eq!(encoded.ends.len(), 4);
        let empty = units.encode("");
        assert_eq!((empty.tokens, empty.ends), (vec![0], vec![0]));
    }

    #[test]
    fn characters_are_known_by_those_beside_them() {
        let texts = ["北京很大", "北京很远"].map(|text| (text.to_owned(), 1));
        let units = Units::fit(&texts, By::Characters, true, 100, 100);
        let of = |text: &str| units.encode(text).ends[0];
        // The text's beginning and what follows: both pairs and the triples.
        assert_eq!((of("北京很"), of("北山很")), (5, 2));
        let copy: Units = serde_json::from_str(&serde_json::to_string(&units).unwrap()).unwrap();
        assert_eq!(copy.encode("北京很大"), units.encode("北京很大"));
    }
}
