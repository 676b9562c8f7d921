//! Settings that are read, written and refused.

use super::*;
use crate::section::Section;
use crate::value::Table;

settings! {
    /// A layer.
    pub struct Layer {
        /// Units of the layer.
        units: usize = 64, in Bounds::at_least(1.0);
        /// Share of units to drop.
        dropout: f64 = 0.1, in Bounds::between(0.0, 1.0);
        /// Longest time.
        limit: Option<Duration> = None;
    }
}

fn check(text: &str) -> (Layer, Vec<String>) {
    let table = Table::parse("x.toml", text).unwrap();
    let mut problems = Problems::default();
    let mut reader = Reader::new(&table, "layer", &mut problems);
    let layer = Layer::read_from(&mut reader);
    reader.finish();
    (layer, problems.iter().map(|problem| problem.message.clone()).collect())
}

#[test]
fn values_and_defaults() {
    let (layer, problems) = check("units = 3\nlimit = \"1h30m\"\n");
    assert!(problems.is_empty());
    assert_eq!((layer.units, layer.dropout), (3, 0.1));
    assert_eq!(layer.limit.unwrap().0.as_secs(), 5400);
}

#[test]
fn all_problems_at_once() {
    let (_, problems) = check("units = 0\ndropout = \"a\"\nlimit = \"10\"\nunit = 1\n");
    assert_eq!(
        problems,
        [
            "`layer.units` is `0`, but must be at least 1",
            "`layer.dropout` is `\"a\"`, but must be a number",
            "`layer.limit` is `\"10\"`, but must be a time with a unit, such as `\"90s\"`, `\"10m\"` or `\"1h30m\"`",
            "unknown key `layer.unit`",
        ]
    );
}

#[test]
fn the_word_for_a_kind_is_told() {
    for (wrong, right) in [("type", "kind"), ("kind", "type")] {
        let section = Section {
            parameters: Table::parse("x.toml", &format!("{wrong} = \"dense\"")).unwrap(),
            ..Section::default()
        };
        let mut problems = Problems::default();
        let mut reader = section.reader("layer", &mut problems);
        Layer::read_from(&mut reader);
        reader.finish();
        let problem = problems.iter().next().unwrap();
        assert_eq!(problem.message, format!("unknown key `layer.{wrong}`"));
        assert_eq!(problem.hint, Some(format!("what it is stands under `{right}` here")));
    }
}

#[test]
fn fields_carry_their_docs() {
    let fields = Layer::fields();
    assert_eq!(fields[0].doc, "Units of the layer.");
    assert_eq!(fields[1].default.as_deref(), Some("0.1"));
    assert_eq!(fields[2].default, None);
}
