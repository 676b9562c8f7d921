//! Made reviews of films.

use super::Example;
use rand::{RngExt as _, SeedableRng as _};
use rand_chacha::ChaCha8Rng;

/// Phrases of praise and blame, some of them turned round by "not".
pub const EXAMPLE: Example = Example {
    name: "sentiment",
    about: "What reviews of films say: text to category, in English.",
    files,
    pictures: Vec::new,
};

const EXPERIMENT: &str = include_str!("../../../../examples/sentiment/outset.toml");
const README: &str = include_str!("../../../../examples/sentiment/README.md");

const REVIEWS: usize = 800;
const SUBJECTS: [&str; 8] = [
    "the story",
    "the cast",
    "the music",
    "this film",
    "the ending",
    "every scene",
    "the dialogue",
    "the camera work",
];
const GOOD: [&str; 8] =
    ["moving", "clever", "a joy", "beautiful", "gripping", "warm", "full of wit", "fresh"];
const BAD: [&str; 8] =
    ["boring", "clumsy", "a mess", "far too long", "predictable", "cold", "without a spark", "dull"];
const FILLERS: [&str; 6] = [
    "I saw it on a rainy evening.",
    "My sister chose it.",
    "It runs for two hours.",
    "The theatre was half full.",
    "We talked about it on the way home.",
    "It is set in a small town.",
];

fn files() -> Vec<(&'static str, String)> {
    vec![("outset.toml", EXPERIMENT.to_owned()), ("README.md", README.to_owned()), ("reviews.csv", reviews())]
}

/// The reviews, seed 42.
fn reviews() -> String {
    let mut generator = ChaCha8Rng::seed_from_u64(42);
    let mut text = String::from("review,label\n");
    for _ in 0..REVIEWS {
        let good = generator.random::<f64>() < 0.5;
        let mut sentences = Vec::new();
        for _ in 0..2 + generator.random_range(0..3u32) {
            let subject = SUBJECTS[generator.random_range(0..SUBJECTS.len())];
            // One sentence in six says the opposite of the whole.
            let praises = good != (generator.random::<f64>() < 1.0 / 6.0);
            let turned = generator.random::<f64>() < 0.3;
            let phrases = if praises != turned { GOOD } else { BAD };
            let phrase = phrases[generator.random_range(0..phrases.len())];
            sentences.push(format!("{subject} is {}{phrase}.", if turned { "not " } else { "" }));
        }
        if generator.random::<f64>() < 0.7 {
            let place = generator.random_range(0..=sentences.len());
            sentences.insert(place, FILLERS[generator.random_range(0..FILLERS.len())].to_owned());
        }
        let labelled = good != (generator.random::<f64>() < 0.05);
        text.push_str(&format!("{},{}\n", sentences.join(" "), if labelled { "good" } else { "bad" }));
    }
    text
}
