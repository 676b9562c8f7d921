//! `bench ablation`: what each choice of the default recipe for texts brings, measured on val.

use super::experiment::{Experiment, number};
use super::measure::mean_and_deviation;
use super::place::Place;
use super::texts;
use super::{Outcome, document};

/// The default, and what it is without one of its choices.
const VARIANTS: &[(&str, &[&str])] = &[
    ("the default", &[]),
    ("without naive Bayes", &["inputs.{}.encoder.naive_bayes=false"]),
    ("without the margin", &["inputs.{}.encoder.margin=false"]),
    ("n-grams of two rows at least", &["inputs.{}.min_count=2"]),
    ("half the learning rate", &["train.optimizer.learning_rate=1.5e-3"]),
    ("twice the learning rate", &["train.optimizer.learning_rate=6e-3"]),
    ("vectors of 4", &["inputs.{}.encoder.embedding_size=4"]),
    ("`cnn` instead", &["inputs.{}.encoder.kind=cnn"]),
    ("`gru` instead", &["inputs.{}.encoder.kind=gru"]),
];

/// Data with the texts' column and the output.
const DATA: &[(&str, &str, &str)] = &[
    ("sst2", "text", "label"),
    ("sms_spam", "Message", "Category"),
    ("chnsenticorp", "review", "label"),
    ("thucnews", "title", "topic"),
];

/// Seeds, which no benchmark's test parts know.
pub const SEEDS: &[u64] = &[5, 6, 7];

/// Names of the data.
pub fn names() -> Vec<&'static str> {
    DATA.iter().map(|(name, ..)| *name).collect()
}

/// Trains each variant on the named data, prints the table and returns it with its heading.
///
/// # Errors
/// If a run fails.
pub fn ablation(place: &Place, names: &[&str], seeds: &[u64]) -> Outcome<String> {
    let words = place.words(&[])?;
    let chosen: Vec<_> = DATA.iter().filter(|(name, ..)| names.contains(name)).collect();
    let mut lines = Vec::new();
    for (variant, (about, settings)) in VARIANTS.iter().enumerate() {
        let mut line = vec![(*about).to_owned()];
        for (name, input, output) in &chosen {
            // Parts may be given, so that split and weights both follow the seed.
            let experiment = Experiment { seeded: "train.seed", ..texts::experiment(name)? };
            let mut accuracies = Vec::new();
            for seed in seeds {
                let mut settings: Vec<String> =
                    settings.iter().map(|setting| setting.replace("{}", input)).collect();
                settings.push(format!("data.split.seed={seed}"));
                let ran = experiment.train(place, seed + 100 * variant as u64, *seed, &settings)?;
                accuracies.push(number(&ran.record["metrics"]["val"][output]["accuracy"]));
            }
            let (mean, _) = mean_and_deviation(&accuracies);
            println!("{name} · {about} · val accuracy {mean:.4}");
            line.push(format!("{mean:.4}"));
        }
        lines.push(line);
    }
    let head: Vec<&str> = ["choice"].into_iter().chain(chosen.iter().map(|(name, ..)| *name)).collect();
    let table = document::table(&head, &lines);
    println!("\n{table}");
    let seeds: Vec<String> = seeds.iter().map(u64::to_string).collect();
    Ok(format!("{words} Mean accuracy on val of the seeds {}.\n\n{table}", seeds.join(", ")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_data_are_benchmarks() {
        for (name, input, output) in DATA {
            let experiment = texts::experiment(name).unwrap();
            super::super::experiment::tests::check_file(&experiment, &[input, output]);
        }
        assert!(texts::experiment("nothing").is_err());
    }
}
