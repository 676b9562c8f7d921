//! Made messages with the people, companies, places and orders in them.

use super::Example;
use rand::{RngExt as _, SeedableRng as _};
use rand_chacha::ChaCha8Rng;
use serde_json::json;

/// Names that are known by the words around them.
pub const EXAMPLE: Example = Example {
    name: "entities",
    about: "Who wants what, from whom and where: text to tags, with spans in JSON Lines.",
    files,
    pictures: Vec::new,
};

const EXPERIMENT: &str = include_str!("../../../../examples/entities/outset.toml");
const README: &str = include_str!("../../../../examples/entities/README.md");

const MESSAGES: usize = 700;
const SYLLABLES: [&str; 16] =
    ["ka", "ru", "mi", "to", "le", "va", "no", "sel", "bri", "dan", "ve", "li", "mor", "ta", "quin", "osh"];
const ENDINGS: [&str; 6] = ["", "n", "s", "ra", "ck", "l"];
const THINGS: [&str; 10] = [
    "chairs",
    "lamps",
    "oak desks",
    "shelves",
    "stools",
    "door handles",
    "rugs",
    "mirrors",
    "boxes",
    "clocks",
];
/// Sentences with places for a person, a company, a place and an order; what stands in `<>` is one.
const SENTENCES: [&str; 18] = [
    "<person> of <company> wants <order>.",
    "Could you send <order> to <place>?",
    "Dear <person>, your order of <order> has left <place>.",
    "We at <company> are waiting for <order>.",
    "Please ask <person> when the delivery to <place> comes.",
    "<person> called: <company> will pay for <order> next week.",
    "The lorry from <place> is late, says <person>.",
    "<company> moves to <place> in May.",
    "Invoice for <company>: <order>.",
    "<person> and <person> meet in <place>.",
    "Is <company> still buying from <company>?",
    "It rains, and nothing else has happened today.",
    "My colleague <person> lives in <place>, not far from <company>.",
    "Cancel <order>, please; <person> made a mistake.",
    // What comes first is told by what comes late.
    "<person> told us this morning that she wants <order>.",
    "<company> told us this morning that its office wants <order>.",
    "About <person> we heard nothing since the day he asked for <order>.",
    "About <place> we heard nothing since the day we delivered <order> there.",
];

fn files() -> Vec<(&'static str, String)> {
    vec![
        ("outset.toml", EXPERIMENT.to_owned()),
        ("README.md", README.to_owned()),
        ("messages.jsonl", messages()),
    ]
}

/// A word of syllables with a capital letter.
fn name(generator: &mut ChaCha8Rng) -> String {
    let count = 1 + generator.random_range(1..3u32);
    let mut name: String =
        (0..count).map(|_| SYLLABLES[generator.random_range(0..SYLLABLES.len())]).collect();
    name.push_str(ENDINGS[generator.random_range(0..ENDINGS.len())]);
    name[..1].to_uppercase() + &name[1..]
}

/// An entity of the given type.
fn entity(kind: &str, generator: &mut ChaCha8Rng) -> String {
    match kind {
        "order" => {
            let thing = THINGS[generator.random_range(0..THINGS.len())];
            format!("{} {thing}", generator.random_range(2..500u32))
        }
        "person" if generator.random::<f64>() < 0.5 => format!("{} {}", name(generator), name(generator)),
        "company" if generator.random::<f64>() < 0.4 => {
            format!(
                "{} & {}",
                name(generator),
                ["Sons", "Partners", name(generator).as_str()][generator.random_range(0..3usize)]
            )
        }
        _ => name(generator),
    }
}

/// The messages, seed 42.
fn messages() -> String {
    let mut generator = ChaCha8Rng::seed_from_u64(42);
    let mut lines = String::new();
    for _ in 0..MESSAGES {
        let (mut text, mut entities, mut length) = (String::new(), Vec::new(), 0);
        for sentence in 0..1 + generator.random_range(0..3u32) {
            let template = SENTENCES[generator.random_range(0..SENTENCES.len())];
            let space = if sentence > 0 { " " } else { "" };
            for (place, part) in format!("{space}{template}").split(['<', '>']).enumerate() {
                let written = if place % 2 == 1 { entity(part, &mut generator) } else { part.to_owned() };
                let end = length + written.chars().count();
                if place % 2 == 1 {
                    entities.push(json!({ "start": length, "end": end, "type": part }));
                }
                text.push_str(&written);
                length = end;
            }
        }
        lines.push_str(&json!({ "text": text, "entities": entities }).to_string());
        lines.push('\n');
    }
    lines
}
