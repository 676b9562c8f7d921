//! Tags: a label for each word or character of a text, above all those of entities.

mod align;
mod scheme;

pub use align::{Aligned, Pair, Reading, align, looks_like_tags, same_lengths};
pub use scheme::{Entity, Written, entities, parts, to_iob2};

use super::classes::natural;
use super::{Classes, Column, Entry, InputType, OutputType};
use crate::error::DataError;
use crate::features::{FeatureShape, Features, Targets};
use crate::lot::Lot;
use crate::signature::{InputSignature, OutputSignature};
use crate::table::{Cells, LIST_SEPARATOR};
use outset_spec::{Reader, choices, settings};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::collections::{BTreeMap, HashMap};

choices! {
    /// How the network writes entities.
    pub enum Scheme {
        /// `B-` begins an entity, `I-` continues it.
        Iob2 = "iob2",
        /// `B-`, `I-`, `E-` begin, continue and end an entity, `S-` is one of a single word or character.
        Bioes = "bioes",
        /// Each label stands for itself, such as a part of speech.
        Plain = "plain",
    }
}

settings! {
    /// A column of tags.
    pub struct TagsSettings {
        /// Cell texts that mean "missing" in this column, besides those of `data.missing`.
        missing: Vec<String> = Vec::new();
        /// The text that is tagged; the only one where left out.
        of: Option<String> = None;
        /// How the network writes entities: `bioes`, `iob2`, or `plain` for labels that stand for themselves.
        scheme: Scheme = Scheme::Bioes;
    }
}

/// Tags cannot be an input.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct TagsInput {
    pub missing: Vec<String>,
}

/// An output column of tags.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct TagsOutput {
    /// The text that is tagged.
    pub of: String,
    pub scheme: String,
    /// Types of entities, or plain labels, with how many train has of each.
    pub types: Classes,
    /// Units with a tag in a train row, on average.
    pub mean_length: f64,
    /// Texts that mean "missing".
    pub missing: Vec<String>,
}

/// Marks in the order of a type's tags.
fn marks(scheme: &str) -> &'static [char] {
    match scheme {
        "plain" => &[],
        "iob2" => &['B', 'I'],
        _ => &['B', 'I', 'E', 'S'],
    }
}

impl TagsOutput {
    /// Whether labels stand for themselves.
    pub fn is_plain(&self) -> bool {
        marks(&self.scheme).is_empty()
    }

    /// All tags that the network tells apart, in the order of its raw outputs.
    pub fn tags(&self) -> Vec<String> {
        if self.is_plain() {
            return self.types.names.clone();
        }
        let of_type = |kind: &String| {
            marks(&self.scheme).iter().map(|mark| format!("{mark}-{kind}")).collect::<Vec<_>>()
        };
        std::iter::once("O".to_owned()).chain(self.types.names.iter().flat_map(of_type)).collect()
    }

    /// Number of tags.
    pub fn len(&self) -> usize {
        if self.is_plain() { self.types.len() } else { 1 + marks(&self.scheme).len() * self.types.len() }
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Mark and type of a tag; `None` outside of entities.
    fn parts(&self, tag: usize) -> Option<(char, usize)> {
        let marks = marks(&self.scheme);
        let place = tag.checked_sub(1).filter(|_| !marks.is_empty())?;
        Some((marks[place % marks.len()], place / marks.len()))
    }

    /// Which tags may follow which, from row to column, then which may come first, then which last: `[tags + 2, tags]`.
    pub fn allowed(&self) -> Vec<bool> {
        let tags = self.len();
        let starts = |tag: usize| self.parts(tag).is_none_or(|(mark, _)| matches!(mark, 'B' | 'S'));
        // With `E-` and `S-` an entity has to be closed.
        let closes = marks(&self.scheme).len() == 4;
        let ends = |tag: usize| !closes || self.parts(tag).is_none_or(|(mark, _)| matches!(mark, 'E' | 'S'));
        let goes_on = |from: usize, to: usize| match (self.parts(from), self.parts(to)) {
            (Some((before, a)), Some((after, b))) => {
                a == b && matches!(before, 'B' | 'I') && matches!(after, 'I' | 'E')
            }
            _ => false,
        };
        let step = |from: usize, to: usize| goes_on(from, to) || (ends(from) && starts(to));
        let steps = (0..tags).flat_map(|from| (0..tags).map(move |to| step(from, to)));
        steps.chain((0..tags).map(starts)).chain((0..tags).map(ends)).collect()
    }

    /// The entities of a list of tags; none for plain labels.
    pub fn entities(&self, tags: &[u32]) -> Vec<Entity> {
        let mut found: Vec<Entity> = Vec::new();
        let mut open: Option<usize> = None;
        for (place, tag) in tags.iter().enumerate() {
            match (self.parts(*tag as usize), found.last_mut()) {
                (Some((mark @ ('B' | 'S'), kind)), _) => {
                    found.push(Entity { start: place, end: place + 1, kind });
                    open = (mark == 'B').then_some(kind);
                }
                (Some((mark, kind)), Some(last)) if open == Some(kind) => {
                    last.end = place + 1;
                    open = (mark == 'I').then_some(kind);
                }
                _ => open = None,
            }
        }
        found
    }

    /// The tags in IOB2, or the plain labels.
    pub fn iob2(&self, tags: &[u32]) -> Vec<String> {
        if self.is_plain() {
            return tags.iter().filter_map(|tag| self.types.names.get(*tag as usize).cloned()).collect();
        }
        let mut names = vec!["O".to_owned(); tags.len()];
        for entity in self.entities(tags) {
            for (place, name) in names[entity.start..entity.end].iter_mut().enumerate() {
                *name = format!("{}-{}", if place == 0 { 'B' } else { 'I' }, self.types.names[entity.kind]);
            }
        }
        names
    }

    /// Indices of the tags of a cell in IOB2; the first type that train lacks is the error.
    fn indices(&self, cell: &str) -> Result<Vec<u32>, String> {
        let list: Vec<&str> = if cell.is_empty() { Vec::new() } else { cell.split(LIST_SEPARATOR).collect() };
        if self.is_plain() {
            return list.iter().map(|tag| self.types.find(tag).ok_or_else(|| (*tag).to_owned())).collect();
        }
        let mut kinds: BTreeMap<&str, usize> = BTreeMap::new();
        for (_, kind) in list.iter().filter_map(|tag| parts(tag)) {
            let index = self.types.find(kind).ok_or_else(|| kind.to_owned())?;
            kinds.insert(kind, index as usize);
        }
        let marks = marks(&self.scheme);
        let mut tags = vec![0u32; list.len()];
        for entity in entities(&list, &kinds) {
            let first = 1 + (entity.kind * marks.len()) as u32;
            let last = entity.end - entity.start - 1;
            for (place, tag) in tags[entity.start..entity.end].iter_mut().enumerate() {
                *tag = first
                    + match (marks.len(), place) {
                        (4, 0) if last == 0 => 3,
                        (4, place) if place > 0 && place == last => 2,
                        (_, place) => u32::from(place > 0),
                    };
            }
        }
        Ok(tags)
    }
}

/// The cells of rows as text; missing ones are `None`.
fn cells<'a>(column: Column<'a>) -> impl Iterator<Item = (u32, Option<&'a str>)> {
    column.rows.iter().map(move |row| match column.cells {
        Cells::Text(text) => (*row, text.get(*row as usize)),
        _ => (*row, None),
    })
}

impl OutputType for TagsOutput {
    type Settings = TagsSettings;

    fn read_settings(reader: &mut Reader<'_>) -> TagsSettings {
        TagsSettings {
            missing: reader.get("missing", Vec::new(), None),
            of: reader.get("of", None, None),
            scheme: reader.get("scheme", Scheme::Bioes, None),
        }
    }

    fn fit(column: Column<'_>, settings: &TagsSettings) -> Result<Self, DataError> {
        let mut counts: HashMap<&str, u64> = HashMap::new();
        let (mut rows, mut units) = (0u64, 0u64);
        for cell in cells(column).filter_map(|(_, cell)| cell).filter(|cell| !cell.is_empty()) {
            rows += 1;
            for tag in cell.split(LIST_SEPARATOR) {
                units += 1;
                let kind = match (settings.scheme, parts(tag)) {
                    (Scheme::Plain, _) => tag,
                    (_, Some(('B', kind))) => kind,
                    _ => continue,
                };
                *counts.entry(kind).or_default() += 1;
            }
        }
        if counts.is_empty() {
            return Err(DataError::NoTargets { column: column.name.to_owned() });
        }
        let mut counted: Vec<(String, u64)> =
            counts.into_iter().map(|(kind, count)| (kind.to_owned(), count)).collect();
        counted.sort_unstable_by(|a, b| natural(&a.0, &b.0));
        Ok(Self {
            of: settings.of.clone().unwrap_or_default(),
            scheme: settings.scheme.word().to_owned(),
            types: Classes::new(counted),
            mean_length: units as f64 / rows.max(1) as f64,
            missing: settings.missing.clone(),
        })
    }

    fn encode(&self, column: Column<'_>) -> Result<Targets, DataError> {
        let (mut offsets, mut tags) = (vec![0], Vec::new());
        for (row, cell) in cells(column) {
            let of_row = self.indices(cell.unwrap_or_default()).map_err(|class| DataError::UnseenTag {
                column: column.name.to_owned(),
                class,
                row: row as usize + 1,
            })?;
            tags.extend(of_row);
            offsets.push(tags.len());
        }
        Ok(Targets::Tags { offsets, tags })
    }

    fn describe(&self, signature: &mut OutputSignature) {
        signature.of = Some(self.of.clone());
        signature.types.clone_from(&self.types.names);
    }
}

impl InputType for TagsInput {
    type Settings = TagsSettings;

    fn fit(column: Column<'_>, _: &TagsSettings) -> Result<Self, DataError> {
        Err(DataError::NotAnInput { column: column.name.to_owned() })
    }

    fn shape(&self, _: &str) -> FeatureShape {
        FeatureShape::Indices { classes: 1 }
    }

    fn encode(&self, column: Column<'_>) -> Result<Features, DataError> {
        Err(DataError::NotAnInput { column: column.name.to_owned() })
    }

    fn read(&self, _: &Value) -> Result<Entry, String> {
        Err("left out, for tags are no input".to_owned())
    }

    fn describe(&self, _: &mut InputSignature) {}

    fn draw(&self, _: &mut Lot) -> Value {
        Value::Null
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fit(rows: &[&str], scheme: Scheme) -> TagsOutput {
        let cells: Vec<String> = rows.iter().map(|row| row.replace(' ', "\u{1f}")).collect();
        let cells = Cells::Text(cells.iter().map(|cell| Some(cell.as_str())).collect());
        let numbers: Vec<u32> = (0..rows.len() as u32).collect();
        let settings = TagsSettings { of: Some("text".into()), scheme, ..Default::default() };
        TagsOutput::fit(Column { name: "tags", cells: &cells, rows: &numbers }, &settings).unwrap()
    }

    #[test]
    fn tags_go_there_and_back() {
        for scheme in [Scheme::Iob2, Scheme::Bioes] {
            let fitted = fit(&["B-x I-x I-x O", "B-y B-x"], scheme);
            assert_eq!(
                (&fitted.types.names[..], &fitted.types.counts[..]),
                (&["x".into(), "y".into()][..], &[2, 1][..])
            );
            assert_eq!(
                (fitted.len(), fitted.tags().len(), fitted.mean_length),
                (fitted.tags().len(), fitted.len(), 3.0)
            );
            for row in ["B-x I-x I-x O B-y", "B-y B-y I-y B-x", "O", ""] {
                let indices = fitted.indices(&row.replace(' ', "\u{1f}")).unwrap();
                assert_eq!(fitted.iob2(&indices).join(" "), row, "{scheme:?}");
            }
            assert_eq!(fitted.indices("B-z"), Err("z".to_owned()));
        }
        let fitted = fit(&["B-x I-x I-x O", "B-y B-x"], Scheme::Bioes);
        assert_eq!(fitted.tags(), ["O", "B-x", "I-x", "E-x", "S-x", "B-y", "I-y", "E-y", "S-y"]);
        assert_eq!(fitted.indices("B-x\u{1f}I-x\u{1f}I-x\u{1f}B-y"), Ok(vec![1, 2, 3, 8]));
        let plain = fit(&["NOUN VERB", "NOUN"], Scheme::Plain);
        assert_eq!(plain.tags(), ["NOUN", "VERB"]);
        assert_eq!(plain.iob2(&[1, 0]), ["VERB", "NOUN"]);
        assert!(plain.entities(&[0, 1]).is_empty() && plain.allowed().iter().all(|step| *step));
    }

    #[test]
    fn what_may_follow_what() {
        let allowed = |fitted: &TagsOutput, from: &str, to: &str| {
            let tags = fitted.tags();
            let find = |tag: &str| tags.iter().position(|known| known == tag);
            let row = find(from).unwrap_or(tags.len() + usize::from(to == "end"));
            fitted.allowed()[row * tags.len() + find(to).or(find(from)).unwrap()]
        };
        let iob2 = fit(&["B-x I-x", "B-y"], Scheme::Iob2);
        for (from, to, expected) in [
            ("O", "I-x", false),
            ("B-x", "I-x", true),
            ("B-x", "I-y", false),
            ("I-x", "O", true),
            ("start", "I-x", false),
        ] {
            assert_eq!(allowed(&iob2, from, to), expected, "{from} {to}");
        }
        let bioes = fit(&["B-x I-x", "B-y"], Scheme::Bioes);
        for (from, to, expected) in [
            ("B-x", "E-x", true),
            ("B-x", "O", false),
            ("I-x", "E-x", true),
            ("E-x", "B-x", true),
            ("E-x", "I-x", false),
            ("S-y", "S-x", true),
            ("B-x", "E-y", false),
            ("start", "E-x", false),
        ] {
            assert_eq!(allowed(&bioes, from, to), expected, "{from} {to}");
        }
        let tags = bioes.len();
        let last = &bioes.allowed()[(tags + 1) * tags..];
        assert_eq!(last, [true, false, false, true, true, false, false, true, true]);
    }
}
