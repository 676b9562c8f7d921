//! Made tickets of a help desk.

use super::Example;
use rand::{RngExt as _, SeedableRng as _};
use rand_chacha::ChaCha8Rng;

/// Text beside a table, and two outputs of one network.
pub const EXAMPLE: Example = Example {
    name: "ticket-priority",
    about: "How urgent tickets are and how long they take: text and table together, two outputs.",
    files,
    pictures: Vec::new,
};

const EXPERIMENT: &str = include_str!("../../../../examples/ticket-priority/outset.toml");
const README: &str = include_str!("../../../../examples/ticket-priority/README.md");

const TICKETS: usize = 700;
/// What is wrong, how bad that is, and the hours that it takes.
const MATTERS: [(&str, f64, f64); 8] = [
    ("nobody here can sign in since this morning", 2.0, 6.0),
    ("the site shows an error on every page", 2.2, 8.0),
    ("our invoices are missing since yesterday", 1.2, 5.0),
    ("the export to a spreadsheet fails now and then", 0.6, 12.0),
    ("the search finds no words with accents", 0.4, 20.0),
    ("how do I change the picture of my account", -0.6, 1.0),
    ("could you add a dark theme one day", -1.2, 30.0),
    ("where do I find the price list", -1.0, 0.5),
];
const GREETINGS: [&str; 4] = ["Hello,", "Dear team,", "Hi there,", ""];
const ENDINGS: [&str; 4] = ["Thank you!", "Please help.", "We wait for your answer.", ""];
const PLANS: [(&str, f64); 3] = [("free", -0.8), ("team", 0.0), ("company", 0.7)];

fn files() -> Vec<(&'static str, String)> {
    vec![("outset.toml", EXPERIMENT.to_owned()), ("README.md", README.to_owned()), ("tickets.csv", tickets())]
}

/// The tickets, seed 42.
fn tickets() -> String {
    let mut generator = ChaCha8Rng::seed_from_u64(42);
    let mut text = String::from("message,plan,seats,priority,hours\n");
    for _ in 0..TICKETS {
        let (matter, weight, hours) = MATTERS[generator.random_range(0..MATTERS.len())];
        let greeting = GREETINGS[generator.random_range(0..GREETINGS.len())];
        let ending = ENDINGS[generator.random_range(0..ENDINGS.len())];
        let (plan, of_plan) = PLANS[generator.random_range(0..PLANS.len())];
        let seats = 1 + (200.0 * generator.random::<f64>().powi(3)) as u32;
        let chance = 0.8 * (generator.random::<f64>() - 0.5);
        let urgency = weight + of_plan + f64::from(seats).ln() / 8.0 + chance;
        let priority = match urgency {
            urgency if urgency > 1.6 => "urgent",
            urgency if urgency > 0.0 => "normal",
            _ => "low",
        };
        let faster = if priority == "urgent" { 0.5 } else { 1.0 };
        let hours = hours * faster * (0.7 + 0.6 * generator.random::<f64>());
        let message = [greeting, matter, ending].map(str::trim).join(" ");
        text.push_str(&format!("\"{}\",{plan},{seats},{priority},{hours:.1}\n", message.trim()));
    }
    text
}
