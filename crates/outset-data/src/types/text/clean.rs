//! Cleaning: one way of writing the same text, before anything is counted.

use crate::table::LIST_SEPARATOR;
use serde::{Deserialize, Serialize};
use unicode_normalization::UnicodeNormalization as _;

/// How texts are cleaned.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cleaner {
    /// Whether tags and entities of HTML are taken out.
    pub html: bool,
    pub lowercase: bool,
    /// Characters beyond which a text is cut.
    pub max_characters: usize,
}

/// The first characters of a text, all of it where it has no more.
pub(crate) fn first_characters(text: &str, count: usize) -> &str {
    text.char_indices().nth(count).map_or(text, |(end, _)| &text[..end])
}

impl Cleaner {
    /// Cleans a text: compatible characters made one (NFKC), control characters and marks without width dropped, white
    /// space made single spaces, none at the ends.
    pub fn clean(&self, text: &str) -> String {
        let cut = first_characters(text, self.max_characters);
        let bare = if self.html && cut.contains(['<', '&']) { without_html(cut) } else { cut.to_owned() };
        let mut clean = String::with_capacity(bare.len());
        for letter in bare.nfkc() {
            // Words of a list stay words.
            if letter.is_whitespace() || letter == LIST_SEPARATOR {
                if !clean.is_empty() && !clean.ends_with(' ') {
                    clean.push(' ');
                }
            } else if !letter.is_control() && !is_without_width(letter) {
                if self.lowercase {
                    clean.extend(letter.to_lowercase());
                } else {
                    clean.push(letter);
                }
            }
        }
        clean.truncate(clean.trim_end().len());
        clean
    }

    /// Whether a text is longer than what is read of it.
    pub fn cuts(&self, text: &str) -> bool {
        text.len() > self.max_characters && text.chars().nth(self.max_characters).is_some()
    }
}

/// Joiners, byte-order marks and marks of direction, which show nothing.
fn is_without_width(letter: char) -> bool {
    matches!(letter, '\u{ad}' | '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}' | '\u{feff}')
}

/// Puts a space for each tag and the letter for each entity.
fn without_html(text: &str) -> String {
    let mut bare = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find(['<', '&']) {
        bare.push_str(&rest[..at]);
        rest = &rest[at..];
        let (letter, length) = if rest.starts_with('<') { tag(rest) } else { entity(rest) };
        bare.push(letter);
        rest = &rest[length..];
    }
    bare.push_str(rest);
    bare
}

/// What stands for the tag that a text begins with, and its length; `<` itself where it begins none.
fn tag(text: &str) -> (char, usize) {
    const LONGEST: usize = 1000;
    let opens = text[1..].starts_with(|letter: char| letter.is_ascii_alphabetic() || "/!?".contains(letter));
    match text.bytes().take(LONGEST).position(|byte| byte == b'>') {
        Some(end) if opens => (' ', end + 1),
        _ => ('<', 1),
    }
}

/// The letter of the entity that a text begins with, and its length; `&` itself where it begins none.
fn entity(text: &str) -> (char, usize) {
    const NAMED: [(&str, char); 6] =
        [("amp", '&'), ("lt", '<'), ("gt", '>'), ("quot", '"'), ("apos", '\''), ("nbsp", ' ')];
    let Some(end) = text.bytes().take(12).position(|byte| byte == b';') else { return ('&', 1) };
    let name = &text[1..end];
    let number = name.strip_prefix('#').and_then(|number| match number.strip_prefix(['x', 'X']) {
        Some(hexadecimal) => u32::from_str_radix(hexadecimal, 16).ok(),
        None => number.parse().ok(),
    });
    let named = NAMED.iter().find(|(known, _)| *known == name).map(|(_, letter)| *letter);
    named.or(number.and_then(char::from_u32)).map_or(('&', 1), |letter| (letter, end + 1))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, expected: &str) {
        let cleaner = Cleaner { html: true, lowercase: true, max_characters: 100 };
        assert_eq!(cleaner.clean(text), expected, "{text:?}");
    }

    #[test]
    fn one_way_of_writing() {
        check("  Good\t\u{7}movie\u{feff} !\n", "good movie !");
        check("ﬁne Ｗｏｒｋ №１", "fine work no1");
        check("ＡＢＣ，好！", "abc,好!");
        check("good\u{1f}film", "good film");
        check("", "");
        check(&"é".repeat(300), &"é".repeat(100));
    }

    #[test]
    fn html_is_taken_out() {
        check("a<br/>b<p class='x'>C</p>", "a b c");
        check(
            "1 < 2 && 3 > 2 &amp; &lt;b&gt; &#65;&#x42; &unknown; &",
            "1 < 2 && 3 > 2 & <b> ab &unknown; &",
        );
        check("<", "<");
        check("<3 you &#99999999;", "<3 you &#99999999;");
        let plain = Cleaner { html: false, lowercase: false, max_characters: 100 };
        assert_eq!(plain.clean("A<br>B"), "A<br>B");
    }
}
