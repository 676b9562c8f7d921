//! How tags name the beginnings and ends of entities.

use std::collections::BTreeMap;

/// An entity over the units of a text.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Entity {
    /// First unit, counted from 0.
    pub start: usize,
    /// First unit behind it.
    pub end: usize,
    /// Index of its type.
    pub kind: usize,
}

/// A way of writing entities as tags that a source follows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Written {
    /// `I-` for every token of an entity, `B-` only where it follows another of its type.
    Iob1,
    /// `B-` for the first token of each entity.
    Iob2,
    /// `B-`, `I-`, `E-` for the first, the inner and the last token, `S-` for a single one; also with `L-` and `U-`.
    Bioes,
    /// A label for each token that stands for itself, such as a part of speech.
    Plain,
}

impl Written {
    /// The usual name.
    pub fn word(self) -> &'static str {
        match self {
            Self::Iob1 => "IOB1",
            Self::Iob2 => "IOB2",
            Self::Bioes => "BIOES",
            Self::Plain => "plain labels",
        }
    }

    /// Recognises how the given lists of tags are written.
    pub fn of<'a>(lists: impl IntoIterator<Item = &'a [&'a str]>) -> Self {
        let (mut begun, mut continued, mut ended) = (0u64, 0u64, 0u64);
        for list in lists {
            let mut before: Option<(char, &str)> = None;
            for tag in list {
                let Some(mark) = parts(tag) else {
                    if *tag != "O" {
                        return Self::Plain;
                    }
                    before = None;
                    continue;
                };
                match mark.0 {
                    'B' => begun += 1,
                    'I' if before.is_none_or(|(_, kind)| kind != mark.1) => continued += 1,
                    'E' | 'S' | 'L' | 'U' => ended += 1,
                    _ => {}
                }
                before = Some(mark);
            }
        }
        match (begun, continued, ended) {
            (.., 1..) => Self::Bioes,
            (0, 0, 0) => Self::Plain,
            (begun, continued, _) if continued > begun => Self::Iob1,
            _ => Self::Iob2,
        }
    }
}

/// Mark and type of a tag such as `B-name`; `None` for any other.
pub fn parts(tag: &str) -> Option<(char, &str)> {
    let mut letters = tag.chars();
    let mark = letters.next().filter(|mark| "BIESLU".contains(*mark))?;
    let kind = letters.as_str().strip_prefix('-')?;
    (!kind.is_empty()).then_some((mark, kind))
}

/// The tags in IOB2, and how many of them had to be mended: an entity that goes on without having begun begins there.
pub fn to_iob2(tags: &[&str], written: Written) -> (Vec<String>, usize) {
    if written == Written::Plain {
        return (tags.iter().map(|tag| (*tag).to_owned()).collect(), 0);
    }
    let mut mended = 0;
    let mut open: Option<&str> = None;
    let mut iob2 = Vec::with_capacity(tags.len());
    for tag in tags {
        let Some((mark, kind)) = parts(tag) else {
            open = None;
            iob2.push("O".to_owned());
            continue;
        };
        let goes_on = "IEL".contains(mark) && open == Some(kind);
        if "IEL".contains(mark) && !goes_on && written != Written::Iob1 {
            mended += 1;
        }
        iob2.push(format!("{}-{kind}", if goes_on { 'I' } else { 'B' }));
        open = (!"ESLU".contains(mark)).then_some(kind);
    }
    (iob2, mended)
}

/// The entities of tags in strict IOB2, each type by its index in `kinds`: one begins with `B-` and goes on with `I-` of
/// its type; an `I-` that continues nothing is none.
pub fn entities(tags: &[&str], kinds: &BTreeMap<&str, usize>) -> Vec<Entity> {
    let mut found: Vec<Entity> = Vec::new();
    let mut open = false;
    for (place, tag) in tags.iter().enumerate() {
        let of = parts(tag).and_then(|(mark, kind)| Some((mark, *kinds.get(kind)?)));
        match (of, found.last_mut()) {
            (Some(('B', kind)), _) => {
                found.push(Entity { start: place, end: place + 1, kind });
                open = true;
            }
            (Some(('I', kind)), Some(last)) if open && last.kind == kind => last.end = place + 1,
            _ => open = false,
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(tags: &str, written: Written, iob2: &str, mended: usize) {
        let tags: Vec<&str> = tags.split(' ').collect();
        assert_eq!(Written::of([tags.as_slice()]), written, "{tags:?}");
        let (found, count) = to_iob2(&tags, written);
        assert_eq!((found.join(" ").as_str(), count), (iob2, mended), "{tags:?}");
    }

    #[test]
    fn schemes_are_recognised_and_made_one() {
        check("O B-x I-x O B-y", Written::Iob2, "O B-x I-x O B-y", 0);
        check("B-x B-y I-x O I-x B-x", Written::Iob2, "B-x B-y B-x O B-x B-x", 2);
        check("I-x I-x O I-y B-y I-x", Written::Iob1, "B-x I-x O B-y B-y B-x", 0);
        check("B-x E-x S-y O S-x", Written::Bioes, "B-x I-x B-y O B-x", 0);
        check("B-x L-x U-x", Written::Bioes, "B-x I-x B-x", 0);
        check("DET NOUN VERB O", Written::Plain, "DET NOUN VERB O", 0);
        check("O O", Written::Plain, "O O", 0);
    }

    #[test]
    fn entities_begin_with_b() {
        let kinds = BTreeMap::from([("x", 0), ("y", 1)]);
        let of = |tags: &str| {
            let tags: Vec<&str> = tags.split(' ').collect();
            entities(&tags, &kinds).into_iter().map(|e| (e.start, e.end, e.kind)).collect::<Vec<_>>()
        };
        assert_eq!(of("B-x I-x O B-y B-y"), [(0, 2, 0), (3, 4, 1), (4, 5, 1)]);
        assert_eq!(of("I-x B-x I-y I-x O I-x"), [(1, 2, 0)]);
        assert_eq!(of("O O"), []);
    }
}
