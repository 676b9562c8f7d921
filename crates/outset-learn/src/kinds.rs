//! Kinds of one part, from one list: reading, writing, suggestions and reference pages follow from it.

use outset_spec::problem::{Problem, nearest};
use outset_spec::{Field, Section};

/// An entry of a list of kinds, for help and reference pages.
#[derive(Clone, Copy, Debug)]
pub struct Kind {
    /// What the experiment file says.
    pub name: &'static str,
    /// The doc comment; its first line stands alone.
    pub doc: &'static str,
    /// The keys that the kind knows.
    pub fields: fn() -> Vec<Field>,
}

impl Kind {
    /// The first line of the doc comment.
    pub fn about(&self) -> &'static str {
        self.doc.trim().lines().next().unwrap_or_default().trim()
    }
}

/// The problem of a section whose kind is none of `known`.
pub(crate) fn unknown(what: &str, plural: &str, section: &Section, known: &[&str]) -> Problem {
    let all = format!("`outset list {plural}` shows all");
    let hint = match nearest(&section.kind, known.iter().copied()) {
        Some(near) => format!("did you mean `{near}`? {all}"),
        None => all,
    };
    Problem::new(format!("unknown {what} `{}`", section.kind)).at(section.kind_place.as_ref()).hint(hint)
}

/// Declares an enumeration whose variants are structs of settings, one a kind.
///
/// `pub enum Optimizer: Rule, "optimizer", "optimizers" { /// Doc. "adam" => Adam, }` gives the enum, `ALL`, `KINDS`,
/// `kind`, `to_section`, and in private `read_kind`, `unknown` and `part`: whichever struct it is, by its trait `Rule`.
macro_rules! kinds {
    (
        $(#[doc = $about:literal])*
        pub enum $name:ident: $part:ident, $what:literal, $plural:literal {
            $( $(#[doc = $doc:literal])* $word:literal => $variant:ident, )*
        }
    ) => {
        $(#[doc = $about])*
        #[derive(Clone, Debug, PartialEq)]
        pub enum $name { $( $(#[doc = $doc])* $variant($variant), )* }

        impl $name {
            /// Every kind with its description and its keys.
            pub const ALL: &'static [$crate::kinds::Kind] = &[$( $crate::kinds::Kind {
                name: $word,
                doc: concat!($($doc, "\n"),*),
                fields: <$variant as outset_spec::Setting>::fields,
            }, )*];

            /// Every kind's name.
            pub const KINDS: &'static [&'static str] = &[$($word),*];

            /// The name of this kind.
            pub fn kind(&self) -> &'static str {
                match self { $( Self::$variant(_) => $word, )* }
            }

            /// The long form, every default filled in.
            pub fn to_section(&self) -> outset_spec::Section {
                let mut section = outset_spec::Section::of(self.kind());
                match self { $( Self::$variant(settings) => settings.write_to(&mut section.parameters), )* }
                section
            }

            /// What the kind does, whichever it is.
            fn part(&self) -> &dyn $part {
                match self { $( Self::$variant(settings) => settings, )* }
            }

            /// Reads the settings of `kind` from an open reader; `None` for a kind that is not in the list.
            fn read_kind(kind: &str, reader: &mut outset_spec::Reader<'_>) -> Option<Self> {
                match kind {
                    $( $word => Some(Self::$variant($variant::read_from(reader))), )*
                    _ => None,
                }
            }

            /// Reports a kind that is not in the list.
            fn unknown(section: &outset_spec::Section) -> outset_spec::Problem {
                $crate::kinds::unknown($what, $plural, section, Self::KINDS)
            }
        }
    };
}
pub(crate) use kinds;
