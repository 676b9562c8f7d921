//! What is said of a search, in its report and before it begins.

use crate::common::Sandbox;
use crate::{SPACE, experiment};
use outset_learn::verdict::number;
use serde_json::{Value, json};

#[test]
fn what_a_search_was_worth_is_told() {
    let sandbox = experiment(
        "trials = 1\npruner = \"none\"\n\
         space.\"train.optimizer.learning_rate\" = { log = [1e-3, 1e-2] }\n",
    );
    let said = sandbox.transcript(&["--threads", "1", "tune"]);
    let record = sandbox.json("runs/it-1/run.json");
    let tune = &record["tune"];
    let [best, default] = ["best", "default"].map(|key| number(tune[key].as_f64().unwrap()));
    assert!(said.contains(&format!("trial 1 of 2 · val {best} (as declared: {default})")), "{said}");
    let page = sandbox.read("runs/it-1/report.html");
    assert!(page.contains("<p>Trial 1 won with rmse of price "));
    for trial in tune["trials"].as_array().unwrap() {
        let [low, high] = [0, 1].map(|end: usize| trial["interval"][end].as_f64().unwrap());
        let value = trial["value"].as_f64().unwrap();
        assert!(low < high && (low..=high).contains(&value), "{trial}");
    }
}

#[test]
fn a_report_words_intervals_and_what_the_declared_settings_would_have_cost() {
    let sandbox = Sandbox::new();
    let page = |record: &Value| {
        sandbox.write("runs/it-1/run.json", record.to_string());
        sandbox.ok(&["report", "runs/it-1"]);
        sandbox.read("runs/it-1/report.html")
    };
    let trial = |id: usize, state: &str, value: f64, interval: Value| json!({ "id": id, "state": state, "value": value, "interval": interval });
    let mut best = trial(3, "done", 0.8, json!([0.7, 0.95]));
    best["settings"] = json!({ "model.dropout": 0.125, "model.kind": "mlp" });
    (best["epochs"], best["seconds"]) = (27.into(), 2.5.into());
    (best["parameters"], best["latency_seconds"]) = (12_345.into(), 0.0025.into());
    let mut behind = trial(1, "paused", 1.5, json!(null));
    behind["settings"] = json!({ "model.kind": "linear" });
    let mut slow = trial(2, "failed", 0.5, json!(null));
    slow["error"] = "answers too slowly".into();
    let mut record = json!({
        "tune": {
            "objective": "rmse of price",
            "winner": 3,
            "best": 0.8,
            "default": 1.0,
            "trials": [
                best,
                trial(0, "done", 1.0, json!([0.9, 1.125])),
                behind,
                slow,
            ],
            "keys": { "model.kind": "choice", "model.dropout": "linear" },
            "importance": { "model.kind": 0.75, "model.dropout": 0.0 },
        },
    });
    let shown = page(&record);
    for words in [
        "Trial 3 won with rmse of price 0.8 on val; the settings as they were declared came to 1, 0.2 worse.",
        "0.8<small>0.7 to 0.95</small></td><td>won</td><td class=\"num\">27</td><td class=\"num\">2.5 s</td>\
         <td class=\"num\">12,345</td><td class=\"num\">2.5 ms</td>",
        "<div>model.dropout = 0.125, model.kind = &quot;mlp&quot;</div>",
        "<div>as declared</div>",
        "75 %",
        "the red one won",
        "1<small>0.9 to 1.125</small></td><td>done</td>",
        "1.5</td><td>paused</td>",
        "0.5</td><td>failed<small>answers too slowly</small></td>",
    ] {
        assert!(shown.contains(words), "{words}");
    }

    // More is better.
    record["tune"]["higher_is_better"] = json!(true);
    record["tune"]["best"] = json!(1.25);
    let words = "on val; the settings as they were declared came to 1, 0.25 worse.";
    assert!(page(&record).contains(words));
    record["tune"]["best"] = json!(1.0);
    let words = "No trial was better than the settings as they were declared, with rmse of price 1 on val.";
    assert!(page(&record).contains(words));

    // The winner's path is red; each trial that did not fail is a dot of the course.
    let plot = |name: &str| sandbox.read(&format!("runs/it-1/plots/{name}.svg"));
    let is_red = || plot("tune_parallel").contains("#d1242f");
    assert!(is_red());
    assert_eq!(plot("tune_history").matches("<circle").count(), 3);
    record["tune"]["winner"] = json!(0);
    assert!(page(&record).contains("the settings as they were declared, which won, have none"));
    assert!(!is_red());
}

#[test]
fn a_search_that_was_forecast_has_its_forecast() {
    let sandbox = experiment(SPACE);
    sandbox.ok(&["-q", "--threads", "1", "plan"]);
    sandbox.ok(&["-q", "--threads", "1", "tune"]);
    let record = sandbox.json("runs/it-1/run.json");
    assert!(record["forecast"]["seconds"].as_f64() > Some(0.0), "{}", record["forecast"]);
    assert_eq!(record["forecast"]["actual"]["seconds"], record["timings"]["total"]);
}

#[test]
fn a_server_has_an_address() {
    let said = "exit 2\nerror: the address of a study's server must be `postgres://USER@HOST:PORT/DATABASE`\n\
                hint: a password may follow the user after `:`, or be given in `PGPASSWORD`\n";
    let sandbox = experiment(SPACE);
    assert_eq!(sandbox.transcript(&["tune", "--study", "postgres://ann:secret@host:port/db"]), said);
    assert_eq!(sandbox.transcript(&["runs", "postgresql://"]), said);
}

#[test]
fn slips_are_named_before_time_is_spent() {
    let sandbox = experiment(
        "space.\"train.optimizer.learning_rat\" = { log = [1e-4, 1e-1] }\n\
         space.\"model.dropout\" = { range = [0.0, 2.0] }\n",
    );
    let said = sandbox.transcript(&["tune"]);
    assert!(said.starts_with("exit 2\n"), "{said}");
    assert!(said.contains("unknown key `train.optimizer.learning_rat`"), "{said}");
    assert!(said.contains("`model.dropout` is `2") && said.contains("must be from 0 to 0.95"), "{said}");
    assert!(!sandbox.path("runs/it.study").exists());
    let said =
        experiment("space.\"model.dropout\" = { range = [0.0, 0.2], when = { \"model.kin\" = \"mlp\" } }\n")
            .transcript(&["tune"]);
    let expected = "`tune.space` ties `model.dropout` to `model.kin`, which the experiment does not have";
    assert!(said.starts_with("exit 2\n") && said.contains(expected), "{said}");
    let sandbox = experiment("space.\"data.split.seed\" = { choice = [1, 2] }\n");
    let said = sandbox.transcript(&["tune"]);
    assert!(said.starts_with("exit 2\n") && said.contains("gives each trial other rows"), "{said}");
    // Without a named metric, the loss is what trials of several outputs are compared by.
    let weight = "space.\"outputs.price.weight\" = { range = [0.1, 1.0] }\n";
    let said = experiment(weight).transcript(&["tune", "train.objective=loss"]);
    assert!(said.starts_with("exit 2\n") && said.contains("what trials are compared by"), "{said}");
    let kinds = "space.\"model.kind\" = { choice = [\"mlp\", \"linear\"] }\n";
    let sandbox = experiment(&format!("{kinds}space.\"model.dropout\" = {{ range = [0.0, 0.5] }}\n"));
    let file = sandbox.read("outset.toml").replace("members = 2\nhidden_size = 16\nnum_layers = 1\n", "");
    sandbox.write("outset.toml", file);
    let said = sandbox.transcript(&["tune"]);
    let expected = "error: `tune.space` names `model.dropout`, which does not go with `model.kind` = \"linear\"\n\
                    hint: `when = { \"model.kind\" = … }` names the choices that it counts beside\n";
    assert!(said.starts_with("exit 2\n") && said.ends_with(expected), "{said}");
    // A choice that only one kind has stands beside keys of every kind.
    let activation = "space.\"model.activation\" = { choice = [\"relu\", \"gelu\"], when = { \"model.kind\" = \"mlp\" } }\n\
                      space.\"train.optimizer.learning_rate\" = { log = [1e-4, 1e-1] }\n";
    let sandbox = experiment(&format!("trials = 1\n{kinds}{activation}"));
    let file = sandbox
        .read("outset.toml")
        .replace("members = 2\nhidden_size = 16\nnum_layers = 1\n", "kind = \"linear\"\n");
    sandbox.write("outset.toml", file);
    sandbox.ok(&["-q", "--threads", "1", "tune"]);
}
