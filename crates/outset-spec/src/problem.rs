//! What is wrong with a declaration: where, what was found, what was expected, and a hint.

use std::fmt;
use std::sync::Arc;

/// A place in a text file, with the line's text so that it can be shown.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// The file's name as the user wrote it.
    pub file: Arc<str>,
    /// Line, the first being 1.
    pub line: usize,
    /// Column in characters, the first being 1.
    pub column: usize,
    /// Width of the marked text in characters, at least 1.
    pub width: usize,
    /// The whole line.
    pub text: Arc<str>,
}

impl Place {
    /// Finds line and column of the byte range `span` in `text`.
    pub fn of(file: &Arc<str>, text: &str, span: std::ops::Range<usize>) -> Self {
        let start = text.floor_char_boundary(span.start);
        let begin = text[..start].rfind('\n').map_or(0, |at| at + 1);
        let end = text[start..].find('\n').map_or(text.len(), |at| start + at);
        let stop = text.floor_char_boundary(span.end.min(end)).max(start);
        Self {
            file: file.clone(),
            line: text[..begin].matches('\n').count() + 1,
            column: text[begin..start].chars().count() + 1,
            width: text[start..stop].chars().count().max(1),
            text: text[begin..end].trim_end_matches('\r').into(),
        }
    }
}

/// One thing that is wrong: message, place and hint.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    pub message: String,
    pub place: Option<Place>,
    pub hint: Option<String>,
}

impl Problem {
    /// Makes a problem without place or hint.
    pub fn new(message: impl Into<String>) -> Self {
        Self { message: message.into(), place: None, hint: None }
    }

    /// Adds the place in the file.
    #[must_use]
    pub fn at(mut self, place: Option<&Place>) -> Self {
        self.place = place.cloned();
        self
    }

    /// Adds the known word that is nearest to an unknown one, or all of them where none is near.
    #[must_use]
    pub fn hint_known(self, word: &str, known: &[&str]) -> Self {
        match nearest(word, known.iter().copied()) {
            Some(near) => self.hint(format!("did you mean `{near}`?")),
            None if known.is_empty() => self,
            None => self.hint(format!("known here: {}", quote_list(known))),
        }
    }

    /// Adds what to do about it.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.message)?;
        if let Some(place) = &self.place {
            let number = place.line.to_string();
            let pad = " ".repeat(number.len());
            write!(f, "\n{pad}--> {}:{}:{}", place.file, place.line, place.column)?;
            write!(f, "\n{pad} |\n{number} | {}\n{pad} | ", place.text)?;
            write!(f, "{}{}", " ".repeat(place.column - 1), "^".repeat(place.width))?;
        }
        if let Some(hint) = &self.hint {
            write!(f, "\nhint: {hint}")?;
        }
        Ok(())
    }
}

/// All problems of one declaration, in the order in which they were found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Problems(Vec<Problem>);

impl Problems {
    /// Adds one more.
    pub fn push(&mut self, problem: Problem) {
        self.0.push(problem);
    }

    /// Adds the problems of another part, and puts all in the order of the file, those without a place last.
    #[must_use]
    pub fn with(mut self, others: Self) -> Self {
        self.0.extend(others.0);
        self.0.sort_by_key(|problem| {
            problem.place.as_ref().map_or((usize::MAX, 0), |place| (place.line, place.column))
        });
        self
    }

    /// Tells whether nothing is wrong.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The problems found so far.
    pub fn iter(&self) -> std::slice::Iter<'_, Problem> {
        self.0.iter()
    }

    /// Turns "nothing wrong" into `Ok(value)` and anything else into the error.
    ///
    /// # Errors
    /// The problems themselves, if there are any.
    pub fn or<T>(self, value: T) -> Result<T, Self> {
        if self.is_empty() { Ok(value) } else { Err(self) }
    }
}

impl From<Problem> for Problems {
    fn from(problem: Problem) -> Self {
        Self(vec![problem])
    }
}

impl IntoIterator for Problems {
    type Item = Problem;
    type IntoIter = std::vec::IntoIter<Problem>;
    fn into_iter(self) -> Self::IntoIter {
        self.0.into_iter()
    }
}

impl fmt::Display for Problems {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, problem) in self.0.iter().enumerate() {
            write!(f, "{}{problem}", if i == 0 { "" } else { "\n\nerror: " })?;
        }
        Ok(())
    }
}

impl std::error::Error for Problems {}

/// The nearest of `known` to `word`, if one is near enough to be a slip of the finger.
pub fn nearest<'a>(word: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let lower = word.to_lowercase();
    known
        .into_iter()
        .map(|candidate| (strsim::damerau_levenshtein(&lower, &candidate.to_lowercase()), candidate))
        .filter(|(distance, candidate)| {
            *distance <= 1.max(candidate.chars().count().min(lower.chars().count()) / 3)
        })
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, candidate)| candidate)
}

/// The problem of a word that is none of `known`, with the nearest as a hint.
pub fn unknown(what: &str, word: &str, known: &[&str], place: Option<&Place>) -> Problem {
    Problem::new(format!("unknown {what} `{word}`")).at(place).hint_known(word, known)
}

/// Writes words as a list of literals: `` `a`, `b`, `c` ``.
pub fn quote_list<S: AsRef<str>>(words: &[S]) -> String {
    words.iter().map(|word| format!("`{}`", word.as_ref())).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_is_shown_with_its_line() {
        let file: Arc<str> = "outset.toml".into();
        let text = "[model]\nkind = \"resnet81\"\n";
        let at = text.find("\"resnet81\"").unwrap();
        let place = Place::of(&file, text, at..at + 10);
        let problem = unknown("encoder", "resnet81", &["cnn", "resnet18"], Some(&place));
        assert_eq!(
            problem.to_string(),
            "unknown encoder `resnet81`\n --> outset.toml:2:8\n  |\n2 | kind = \"resnet81\"\n  |        ^^^^^^^^^^\nhint: did you mean `resnet18`?"
        );
    }

    #[test]
    fn far_words_are_listed_instead() {
        let problem = unknown("optimizer", "quantum", &["sgd", "adam"], None);
        assert_eq!(problem.hint.unwrap(), "known here: `sgd`, `adam`");
    }
}
