//! `bench texts`: the accuracy that the defaults reach on texts and the time that the whole command takes, beside
//! scikit-learn's TF-IDF with a linear support vector machine on the same rows.

use super::experiment::{Experiment, Ran, number};
use super::measure::{listed, mean_and_deviation, mebibytes, median};
use super::place::Place;
use super::{Outcome, document};
use serde_json::Value;

/// An experiment of `benches/texts` and what it has to reach.
pub struct Row {
    pub experiment: Experiment,
    goals: &'static [Goal],
    /// The most seconds of a run.
    seconds: f64,
    seeds: &'static [u64],
    /// Whether a support vector machine is fitted to the same rows.
    has_twin: bool,
    /// A script that trains the same network in PyTorch, in turns with the runs.
    same_network: Option<&'static str>,
}

/// What a metric of an output has to reach on average.
struct Goal {
    output: &'static str,
    metric: &'static str,
    least: Least,
}

enum Least {
    Value(f64),
    /// What the support vector machine reaches on the same rows.
    Twin,
}

/// One file, divided anew by each seed.
const fn by_split(name: &'static str, files: &'static [(&'static str, &'static str)]) -> Experiment {
    Experiment { folder: "texts", name, files, seeded: "data.split.seed" }
}

/// Given parts, so that the seeds are those of the weights.
const fn given(name: &'static str, files: &'static [(&'static str, &'static str)]) -> Experiment {
    Experiment { folder: "texts", name, files, seeded: "train.seed" }
}

const fn least(output: &'static str, metric: &'static str, value: f64) -> Goal {
    Goal { output, metric, least: Least::Value(value) }
}

/// Every row.
pub const ROWS: &[Row] = &[
    Row {
        experiment: given(
            "sst2",
            &[
                ("data.train", "text_classification/sst2_en/train.tsv"),
                ("data.val", "text_classification/sst2_en/dev.tsv"),
                ("data.test", "text_classification/sst2_en/test.tsv"),
            ],
        ),
        goals: &[least("label", "accuracy", 0.83)],
        seconds: 180.0,
        seeds: &[0, 1, 2],
        has_twin: true,
        same_network: Some("texts/network.py"),
    },
    Row {
        experiment: by_split("sms_spam", &[("data.source", "text_classification/sms_spam_en/spam.csv")]),
        goals: &[least("Category", "accuracy", 0.985), least("Category", "f1", 0.95)],
        seconds: 60.0,
        seeds: &[0, 1, 2],
        has_twin: true,
        same_network: None,
    },
    Row {
        experiment: by_split(
            "chnsenticorp",
            &[("data.source", "text_classification/chnsenticorp_hotel_zh/ChnSentiCorp_htl_all.csv")],
        ),
        goals: &[least("label", "accuracy", 0.90), least("label", "f1_macro", 0.88)],
        seconds: 240.0,
        seeds: &[0, 1, 2],
        has_twin: true,
        same_network: None,
    },
    Row {
        experiment: by_split(
            "online_shopping",
            &[("data.source", "text_classification/online_shopping_10_cats_zh/online_shopping_10_cats.zip")],
        ),
        goals: &[
            Goal { output: "cat", metric: "accuracy", least: Least::Twin },
            Goal { output: "label", metric: "accuracy", least: Least::Twin },
        ],
        seconds: 600.0,
        seeds: &[42],
        has_twin: true,
        same_network: None,
    },
    Row {
        experiment: by_split("ag_news", &[("data.source", "news_topics/ag_news_en/test.csv")]),
        goals: &[least("topic", "accuracy", 0.89)],
        seconds: 120.0,
        seeds: &[0, 1, 2],
        has_twin: true,
        same_network: None,
    },
    Row {
        experiment: given(
            "thucnews",
            &[
                ("data.train", "news_topics/thucnews_titles_zh/dev.txt"),
                ("data.test", "news_topics/thucnews_titles_zh/test.txt"),
            ],
        ),
        goals: &[least("topic", "accuracy", 0.88)],
        seconds: 180.0,
        seeds: &[0, 1, 2],
        has_twin: true,
        same_network: None,
    },
    Row {
        experiment: given(
            "cluener",
            &[("data.train", "ner/cluener2020_zh/train.json"), ("data.test", "ner/cluener2020_zh/dev.json")],
        ),
        goals: &[least("label", "entity_f1", 0.68)],
        seconds: 900.0,
        seeds: &[42],
        has_twin: false,
        same_network: None,
    },
];

/// A run, what the support vector machine reaches on its rows, and the same network in PyTorch.
struct Trained {
    seed: u64,
    ran: Ran,
    machine: Value,
    network: Option<Value>,
}

/// Names of all rows.
pub fn names() -> Vec<&'static str> {
    ROWS.iter().map(|row| row.experiment.name).collect()
}

/// The experiment of a row.
///
/// # Errors
/// If there is none of this name.
pub fn experiment(name: &str) -> Outcome<Experiment> {
    let row = ROWS.iter().find(|row| row.experiment.name == name);
    row.map(|row| row.experiment).ok_or_else(|| format!("no `{name}` among the texts").into())
}

/// Runs the named rows with their seeds, or with the given ones, prints the tables and returns them with their heading.
///
/// # Errors
/// If a run or its twin fails.
pub fn texts(place: &Place, names: &[&str], seeds: Option<&[u64]>) -> Outcome<String> {
    let words = place.words(&["scikit-learn", "torch", "numpy", "pandas"])?;
    let (mut lines, mut turns) = (Vec::new(), Vec::new());
    for row in ROWS.iter().filter(|row| names.contains(&row.experiment.name)) {
        let mut trained = Vec::new();
        for seed in seeds.unwrap_or(row.seeds) {
            let one = row.train(place, *seed)?;
            let shown: Vec<String> = row.goals.iter().map(|goal| goal.words(&one)).collect();
            let name = row.experiment.name;
            println!("{name} · seed {seed} · {} · {:.1} s", shown.join(" · "), one.ran.seconds);
            trained.push(one);
        }
        lines.extend(row.goals.iter().map(|goal| row.line(goal, &trained)));
        turns.extend(row.turns(&trained));
    }
    let head = [
        "data",
        "seeds",
        "metric",
        "Outset",
        "least",
        "reached",
        "linear",
        "LinearSVC (scikit-learn)",
        "seconds",
        "most",
        "in time",
        "peak MiB",
    ];
    let mut text = format!("{words}\n\n{}", document::table(&head, &lines));
    if !turns.is_empty() {
        let head = ["data", "what", "Outset", "PyTorch"];
        text.push_str(&format!("\n\nThe same network, in turns:\n\n{}", document::table(&head, &turns)));
    }
    println!("\n{text}");
    Ok(text)
}

impl Row {
    /// Trains with a seed, then asks the twins about the same rows.
    fn train(&self, place: &Place, seed: u64) -> Outcome<Trained> {
        let ran = self.experiment.run(place, seed, &[])?;
        let machine = match self.has_twin {
            true => self.experiment.twin(place, "texts/twin.py", &ran, seed, &[])?,
            false => Value::Null,
        };
        let network = match self.same_network {
            Some(script) => Some(self.experiment.twin(place, script, &ran, seed, &[])?),
            None => None,
        };
        Ok(Trained { seed, ran, machine, network })
    }

    /// The line of the table about a goal.
    fn line(&self, goal: &Goal, trained: &[Trained]) -> Vec<String> {
        let all = |of: &dyn Fn(&Trained) -> f64| {
            let values: Vec<f64> = trained.iter().map(of).collect();
            let (mean, deviation) = mean_and_deviation(&values);
            let words =
                if values.len() > 1 { format!("{mean:.4} ± {deviation:.4}") } else { format!("{mean:.4}") };
            (mean, words)
        };
        let (mean, outset) = all(&|one| goal.of_run(one));
        let (of_machine, machine) = all(&|one| goal.of_twin(&one.machine));
        let least = match goal.least {
            Least::Value(value) => value,
            Least::Twin => of_machine,
        };
        let seconds = median(&trained.iter().map(|one| one.ran.seconds).collect::<Vec<_>>());
        let peak = trained.iter().map(|one| one.ran.peak_bytes).max().unwrap_or(0);
        let yes = |reached: bool| if reached { "yes" } else { "no" }.to_owned();
        vec![
            self.experiment.name.to_owned(),
            listed(trained.iter().map(|one| one.seed)),
            format!("{} of {}", goal.metric, goal.output),
            outset,
            match goal.least {
                Least::Value(value) => value.to_string(),
                Least::Twin => "LinearSVC".to_owned(),
            },
            // NaN, where the record lacks the metric, reaches nothing.
            yes(mean >= least),
            all(&|one| goal.of_baseline(one)).1,
            if self.has_twin { machine } else { "–".to_owned() },
            format!("{seconds:.1}"),
            self.seconds.to_string(),
            yes(seconds <= self.seconds),
            format!("{:.0}", mebibytes(peak)),
        ]
    }

    /// The lines that set the runs beside the same network in PyTorch.
    fn turns(&self, trained: &[Trained]) -> Vec<Vec<String>> {
        let twins: Vec<&Value> = trained.iter().filter_map(|one| one.network.as_ref()).collect();
        if twins.is_empty() {
            return Vec::new();
        }
        let mean = |values: Vec<f64>| mean_and_deviation(&values).0;
        let name = self.experiment.name;
        let line = |what: &str, ours: f64, twins: f64, digits: usize| {
            vec![name.to_owned(), what.to_owned(), format!("{ours:.digits$}"), format!("{twins:.digits$}")]
        };
        let mut lines: Vec<Vec<String>> = self
            .goals
            .iter()
            .map(|goal| {
                let ours = mean(trained.iter().map(|one| goal.of_run(one)).collect());
                line(goal.metric, ours, mean(twins.iter().map(|twin| goal.of_twin(twin)).collect()), 4)
            })
            .collect();
        let ours: Vec<f64> = trained.iter().map(|one| number(&one.ran.record["timings"]["train"])).collect();
        let theirs: Vec<f64> = twins.iter().map(|twin| number(&twin["seconds"])).collect();
        lines.push(line("seconds of training", median(&ours), median(&theirs), 1));
        lines
    }
}

impl Goal {
    fn of_run(&self, one: &Trained) -> f64 {
        number(&one.ran.record["metrics"]["test"][self.output][self.metric])
    }

    fn of_baseline(&self, one: &Trained) -> f64 {
        let baselines = &one.ran.record["baselines"];
        // Tags have a linear model of words in the place of tf-idf.
        let linear = if baselines["tf_idf"].is_null() { &baselines["linear"] } else { &baselines["tf_idf"] };
        number(&linear["test"][self.output][self.metric])
    }

    fn of_twin(&self, twin: &Value) -> f64 {
        number(&twin[self.output][self.metric])
    }

    /// The metric of one training and of the support vector machine.
    fn words(&self, one: &Trained) -> String {
        let (ours, machine) = (self.of_run(one), self.of_twin(&one.machine));
        format!("{} of {} {ours:.4} (LinearSVC {machine:.4})", self.metric, self.output)
    }
}

#[cfg(test)]
mod tests {
    use super::super::experiment::tests::check_file;
    use super::*;
    use serde_json::json;

    fn trained(accuracy: f64, machine: f64, seconds: f64) -> Trained {
        let ran = Ran {
            experiment: Default::default(),
            folder: Default::default(),
            files: Vec::new(),
            record: json!({ "metrics": { "test": { "y": { "accuracy": accuracy } } }, "timings": { "train": seconds } }),
            seconds,
            peak_bytes: 1 << 20,
        };
        let network = Some(json!({ "y": { "accuracy": 0.5 }, "seconds": 7.0 }));
        Trained { seed: 3, ran, machine: json!({ "y": { "accuracy": machine } }), network }
    }

    fn row() -> Row {
        let experiment = by_split("a", &[]);
        Row { experiment, goals: &[], seconds: 10.0, seeds: &[], has_twin: true, same_network: None }
    }

    #[test]
    fn a_line_tells_what_is_reached() {
        let runs = [trained(0.95, 0.9, 5.0), trained(0.91, 0.94, 15.0)];
        let line = row().line(&least("y", "accuracy", 0.9), &runs);
        assert_eq!(line[1], "3, 3");
        assert_eq!(line[3..8], ["0.9300 ± 0.0283", "0.9", "yes", "NaN ± NaN", "0.9200 ± 0.0283"]);
        assert_eq!(line[8..], ["10.0", "10", "yes", "1"]);
        let beside = Goal { output: "y", metric: "accuracy", least: Least::Twin };
        assert_eq!(row().line(&beside, &runs)[4..6], ["LinearSVC", "yes"]);
        assert_eq!(row().line(&beside, &runs[1..])[5], "no");
        assert_eq!(row().line(&least("z", "accuracy", 0.1), &runs)[5], "no");
    }

    #[test]
    fn the_same_network_stands_beside() {
        let row = Row { goals: &[Goal { output: "y", metric: "accuracy", least: Least::Twin }], ..row() };
        let lines = row.turns(&[trained(0.9, 0.8, 3.0)]);
        assert_eq!(lines[0][1..], ["accuracy", "0.9000", "0.5000"]);
        assert_eq!(lines[1][1..], ["seconds of training", "3.0", "7.0"]);
    }

    #[test]
    fn each_row_has_its_experiment() {
        for row in ROWS {
            let outputs: Vec<&str> = row.goals.iter().map(|goal| goal.output).collect();
            check_file(&row.experiment, &outputs);
        }
    }
}
