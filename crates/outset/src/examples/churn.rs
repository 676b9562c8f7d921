//! Six hundred customers of a made shop, some of whom leave.

use super::Example;
use rand::{RngExt as _, SeedableRng as _};
use rand_chacha::ChaCha8Rng;

/// Who leaves depends on plan, months, spend, complaints and the tags of the account, with chance on top.
pub const EXAMPLE: Example = Example {
    name: "churn",
    about: "Which customers leave: classification from numbers, categories, a date and tags, some of them missing.",
    files,
    pictures: Vec::new,
};

const EXPERIMENT: &str = include_str!("../../../../examples/churn/outset.toml");
const README: &str = include_str!("../../../../examples/churn/README.md");

const CUSTOMERS: usize = 600;
/// Each plan with how much likelier than a `team` it leaves, in log-odds.
const PLANS: [(&str, f64); 4] = [("free", 1.2), ("basic", 0.5), ("team", 0.0), ("company", -0.8)];
/// Each tag likewise.
const TAGS: [(&str, f64); 4] = [("newsletter", -0.4), ("app", -0.8), ("late payer", 1.1), ("referred", -0.6)];

fn files() -> Vec<(&'static str, String)> {
    vec![("outset.toml", EXPERIMENT.to_owned()), ("README.md", README.to_owned()), ("churn.csv", customers())]
}

/// The customers, seed 42.
fn customers() -> String {
    let mut generator = ChaCha8Rng::seed_from_u64(42);
    let mut text = String::from("joined,plan,months,spend,complaints,tags,churned\n");
    for _ in 0..CUSTOMERS {
        let months = 1 + (60.0 * generator.random::<f64>()) as i32;
        let day = 1 + (28.0 * generator.random::<f64>()) as i32;
        // Counted back from December 2025.
        let joined = 2025 * 12 + 11 - months;
        let (plan, plan_odds) = PLANS[(PLANS.len() as f64 * generator.random::<f64>()) as usize];
        let spend = 5.0 + 95.0 * generator.random::<f64>().powi(2);
        let complaints = (5.0 * generator.random::<f64>().powi(3)) as u32;
        let mut odds =
            0.1 + plan_odds + 1.1 * f64::from(complaints) - 0.05 * f64::from(months) - 0.012 * spend;
        let mut tags = Vec::new();
        for (tag, tag_odds) in TAGS {
            if generator.random::<f64>() < 0.35 {
                tags.push(tag);
                odds += tag_odds;
            }
        }
        let leaves = generator.random::<f64>() < 1.0 / (1.0 + (-1.5 * odds).exp());
        let spend = if generator.random::<f64>() < 0.08 { String::new() } else { format!("{spend:.2}") };
        let plan = if generator.random::<f64>() < 0.05 { "" } else { plan };
        text.push_str(&format!(
            "{}-{:02}-{day:02},{plan},{months},{spend},{complaints},{},{}\n",
            joined / 12,
            joined % 12 + 1,
            tags.join("|"),
            if leaves { "yes" } else { "no" },
        ));
    }
    text
}
