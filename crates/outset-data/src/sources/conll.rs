//! CoNLL files: a token a line with its tags behind it, an empty line after each sentence.
//!
//! A sentence is a row, a column of the file is a column of lists. Columns stand between tabs, or between spaces where no
//! line holds a tab; the first is `text` and the last `tags`, as in the shared tasks of the Conference on Natural
//! Language Learning (<https://aclanthology.org/W03-0419>).

use super::columns::Columns;
use super::encoding::TextFile;
use super::error::SourceError;
use super::{Source, locate};
use crate::table::LIST_SEPARATOR;
use std::io::{BufRead, BufReader};

/// Bytes that the format is recognised from.
const HEAD: usize = 1 << 16;
/// Endings that speak for the format.
pub(super) const ENDINGS: [&str; 4] = ["conll", "iob", "bio", "iob2"];
/// Begins a document in some of these files, with tags that mean nothing.
const DOCUMENT: &str = "-DOCSTART-";

/// A CoNLL file whose columns are known.
pub(super) struct Conll {
    file: TextFile,
    tabs: bool,
    names: Vec<String>,
}

/// Recognises a token and its tags in each line, with empty lines between; `Ok(None)` for other text.
pub(super) fn recognise(file: &TextFile) -> Result<Option<Conll>, SourceError> {
    let named = locate::ending(&file.input.shown).is_some_and(|ending| ENDINGS.contains(&ending.as_str()));
    let head = file.head(HEAD)?;
    let text = String::from_utf8_lossy(&head);
    let mut lines: Vec<&str> = text.lines().collect();
    if head.len() >= HEAD {
        // The last one may be cut off.
        lines.pop();
    }
    let mut tokens: Vec<&str> = lines.iter().copied().filter(|line| is_token(line)).collect();
    let tabs = tokens.iter().any(|line| line.contains('\t'));
    let width = tokens.first().map_or(0, |line| cells(line, tabs).count());
    if width < 2 {
        return Ok(None);
    }
    if !named {
        // Only what can hardly be anything else: tags of entities in the last column, and sentences that end.
        let is_tag = |line: &&str| {
            let last = cells(line, tabs).last().unwrap_or_default();
            cells(line, tabs).count() == width
                && (last == "O" || last.get(..2).is_some_and(|mark| ["B-", "I-", "E-", "S-"].contains(&mark)))
        };
        let ends = lines.iter().filter(|line| line.trim().is_empty()).count();
        tokens.retain(|line| !is_tag(line));
        if ends == 0 || !tokens.is_empty() {
            return Ok(None);
        }
    }
    let name = |column: usize| match column {
        1 => "text".to_owned(),
        column if column == width => "tags".to_owned(),
        column => format!("column_{column}"),
    };
    Ok(Some(Conll { file: file.clone(), tabs, names: (1..=width).map(name).collect() }))
}

/// Tells whether a line holds a token: not what ends a sentence or begins a document.
fn is_token(line: &str) -> bool {
    !line.trim().is_empty() && !line.starts_with(DOCUMENT)
}

fn cells(line: &str, tabs: bool) -> impl Iterator<Item = &str> {
    let by_tab = tabs.then(|| line.trim_end_matches(['\r', '\n']).split('\t').map(str::trim));
    let by_space = (!tabs).then(|| line.split_whitespace());
    by_tab.into_iter().flatten().chain(by_space.into_iter().flatten())
}

impl Source for Conll {
    fn words(&self) -> String {
        let parted = if self.tabs { "tab" } else { "space" };
        format!("CoNLL, {}, {parted}, {} columns", self.file.encoding(), self.names.len())
    }

    fn names(&self) -> Option<&[String]> {
        Some(&self.names)
    }

    fn expected_rows(&self) -> usize {
        self.file.lines / 10
    }

    fn note(&self) -> Option<String> {
        self.file.note()
    }

    fn read(&self, columns: &mut Columns<'_>) -> Result<(), SourceError> {
        let before = columns.rows();
        let positions: Vec<usize> = self.names.iter().map(|name| columns.position(name)).collect();
        let mut sentence: Vec<String> = vec![String::new(); positions.len()];
        let mut tokens = 0;
        let end = |sentence: &mut Vec<String>, tokens: &mut usize, columns: &mut Columns<'_>| {
            if *tokens > 0 {
                if let (1, Some(text)) = (*tokens, sentence.first_mut()) {
                    // A single word is a list, too.
                    text.push(LIST_SEPARATOR);
                }
                for (position, text) in positions.iter().zip(sentence.iter_mut()) {
                    columns.column(*position).push_text(text);
                    text.clear();
                }
                columns.end_rows(1);
            }
            *tokens = 0;
        };
        let mut text = BufReader::with_capacity(super::input::CHUNK, self.file.open()?);
        let mut line = String::new();
        for number in 1.. {
            line.clear();
            if text.read_line(&mut line).map_err(|source| self.file.input.failed(source))? == 0 {
                break;
            }
            if !is_token(&line) {
                end(&mut sentence, &mut tokens, columns);
                continue;
            }
            let found = cells(&line, self.tabs).count();
            if found != self.names.len() {
                let (path, expected) = (self.file.input.shown.clone(), self.names.len());
                return Err(SourceError::TokenLine { path, line: number, expected, found });
            }
            for (text, cell) in sentence.iter_mut().zip(cells(&line, self.tabs)) {
                if tokens > 0 {
                    text.push(LIST_SEPARATOR);
                }
                text.push_str(cell);
            }
            tokens += 1;
        }
        end(&mut sentence, &mut tokens, columns);
        if columns.rows() == before {
            return Err(SourceError::Empty { path: self.file.input.shown.clone() });
        }
        Ok(())
    }
}
