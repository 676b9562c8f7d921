//! Rows: how they are divided, of which types they are, and what is decided of them.

use crate::common::Sandbox;
use crate::{TINY, column, customers, keys, run_file, with};

#[test]
fn given_files_keep_their_parts() {
    let sandbox = Sandbox::new();
    sandbox
        .write("a.csv", customers(0..100))
        .write("b.csv", customers(100..130))
        .write("c.csv", customers(130..160));
    let outputs = "[inputs]\nage = \"number\"\n[outputs]\nprice = \"number\"\n";
    sandbox.write(
        "outset.toml",
        format!("name = \"it\"\n[data]\ntrain = \"a.csv\"\nval = \"b.csv\"\ntest = \"c.csv\"\n{outputs}"),
    );
    sandbox.ok(&with(&["-q", "run"], &TINY));
    assert_eq!(
        sandbox.json("runs/it-1/run.json")["data"]["parts"],
        serde_json::json!({ "train": 100, "val": 30, "test": 30 })
    );
    sandbox.write(
        "outset.toml",
        format!("name = \"it\"\n[data]\ntrain = \"a.csv\"\ntest = \"c.csv\"\n{outputs}"),
    );
    sandbox.ok(&with(&["-q", "run"], &TINY));
    let parts = sandbox.json("runs/it-2/run.json")["data"]["parts"].clone();
    assert_eq!(parts["test"], 30);
    assert!(parts["val"].as_u64() > Some(5) && parts["train"].as_u64() > Some(80), "{parts}");
}

#[test]
fn rows_are_divided_as_asked() {
    for by in ["group", "time", "column"] {
        let column_of = match by {
            "group" => "household",
            "time" => "joined",
            _ => "part",
        };
        let sandbox = Sandbox::new();
        sandbox.write("data.csv", customers(0..160)).write("outset.toml", format!(
            "name = \"it\"\n[data]\nsource = \"data.csv\"\nsplit = {{ by = \"{by}\", column = \"{column_of}\" }}\n[inputs]\nage = \"number\"\ncity = \"category\"\n[outputs]\nprice = \"number\"\n"
        ));
        sandbox.ok(&with(&["-q", "run"], &TINY));
        let cells = column(&customers(0..160), column_of);
        let parts = column(&sandbox.read("runs/it-1/split.csv"), "part");
        let of = |part: &str| -> Vec<&String> {
            cells.iter().zip(&parts).filter(|(_, of)| *of == part).map(|(cell, _)| cell).collect()
        };
        let (train, test) = (of("train"), of("test"));
        assert!(!train.is_empty() && !test.is_empty(), "{by}");
        match by {
            "group" => assert!(train.iter().all(|group| !test.contains(group))),
            "time" => assert!(train.iter().max() <= test.iter().min()),
            _ => assert_eq!(cells, parts),
        }
    }
}

#[test]
fn every_type_of_input_and_output() {
    let record = run_file(
        "[data]\nsource = \"data.csv\"\nweight = \"importance\"\n[inputs]\nage = \"number\"\ncity = \"category\"\njoined = \"date\"\ntags = \"set\"\n[outputs]\nprice = \"number\"\nplan = \"category\"\nhobbies = \"set\"\n",
    );
    let test = &record["metrics"]["test"];
    assert_eq!(keys(test), ["price", "plan", "hobbies"]);
    assert!(
        test["price"]["rmse"].is_number()
            && test["plan"]["roc_auc"].is_number()
            && test["hobbies"]["f1_micro"].is_number()
    );
    let weight = record["data"]["columns"]
        .as_array()
        .unwrap()
        .iter()
        .find(|column| column["name"] == "importance")
        .unwrap();
    assert_eq!(weight["role"], "weight");
}

#[test]
fn thresholds_are_chosen_on_val() {
    for threshold in ["threshold = \"f1\"", "cost_of_miss = 10, cost_of_false_alarm = 1"] {
        let record = run_file(&format!(
            "[data]\nsource = \"data.csv\"\n[inputs]\nage = \"number\"\n[outputs]\nplan = {{ type = \"category\", positive = \"paid\", {threshold} }}\n",
        ));
        let chosen = &record["details"]["plan"]["threshold"];
        assert!(chosen["value"].is_number() && chosen["metrics"]["f1"].is_number(), "{threshold}: {chosen}");
        assert_eq!(record["details"]["plan"]["positive"], "paid");
    }
}

#[test]
fn a_rare_class_is_still_learned_about() {
    let sandbox = Sandbox::new();
    let mut text = String::from("x,y\n");
    (0..300).for_each(|row| {
        text.push_str(&format!("{},{}\n", row * 37 % 101, if row % 15 == 0 { "ill" } else { "well" }))
    });
    sandbox.write("data.csv", text);
    sandbox.ok(&with(&["-q", "run", "data.csv", "--target", "y"], &TINY));
    let record = sandbox.json("runs/data-1/run.json");
    assert_eq!(record["details"]["y"]["positive"], "ill", "the rarer class is the positive one");
    assert!(record["metrics"]["test"]["y"]["balanced_accuracy"].is_number());
}

#[test]
fn columns_that_are_measured_alike_share_a_spread() {
    let sandbox = Sandbox::new();
    let names: Vec<String> = (0..16).map(|index| format!("p{index}")).collect();
    let mut rows = format!("{},label\n", names.join(","));
    for row in 0..200u32 {
        let number = |index: u32| ((row * 16 + index).wrapping_mul(2_654_435_761) >> 16) % 17;
        let cell = |index: u32| number(index).to_string();
        let cells: Vec<String> = (0..16).map(cell).collect();
        let label = if number(0) + number(1) < 16 { "dark" } else { "bright" };
        rows.push_str(&format!("{},{label}\n", cells.join(",")));
    }
    sandbox.write("data.csv", rows).write(
        "outset.toml",
        "name = \"it\"\n[data]\nsource = \"data.csv\"\n[outputs]\nlabel = \"category\"\n",
    );
    let told = sandbox.transcript(&with(&["run"], &TINY));
    assert!(told.contains("16 columns are measured alike, from 0 to 16"), "{told}");
    let fitted = sandbox.json("runs/it-1/bundle/preprocessor.json")["inputs"].clone();
    let factor = |name: &str| fitted[name]["scaling"]["factor"].as_f64().unwrap();
    assert_eq!(factor("p0"), factor("p15"));
    // Runs again as it is, and then the spread stands in the file.
    sandbox.ok(&["-q", "run", "runs/it-1/experiment.toml", "--runs", "runs"]);
    assert_eq!(
        sandbox.read("runs/it-1/bundle/preprocessor.json"),
        sandbox.read("runs/it-2/bundle/preprocessor.json")
    );
    assert!(sandbox.read("runs/it-2/experiment.toml").contains("scale = \"standard\", spread = "));
}

#[test]
fn what_was_missing_in_training_is_missing_in_what_is_answered() {
    let sandbox = Sandbox::new();
    let rows: String = (0..120)
        .map(|row| match row % 10 {
            3 => format!("-999,{}\n", row % 7),
            8 => format!("?,{}\n", row % 7),
            _ => format!("{},{}\n", row % 50, row % 50 * 3),
        })
        .collect();
    sandbox.write("data.csv", format!("age,price\n{rows}"));
    let missing = "data.missing=[\"?\", \"-999\"]";
    sandbox.ok(&with(&["-q", "run", "data.csv", "--target", "price", missing], &TINY));
    sandbox.write("new.csv", "age\n-999\n?\n\"\"\n41\n");
    let answers = sandbox.ok(&["-q", "predict", "runs/data-1", "new.csv"]);
    let answers: Vec<&str> = answers.lines().skip(1).filter_map(|line| line.split(',').nth(1)).collect();
    assert_eq!(answers.len(), 4);
    assert!(answers[0] == answers[2] && answers[1] == answers[2] && answers[3] != answers[2], "{answers:?}");
}

#[test]
fn parts_may_be_left_out_but_not_that_which_chooses() {
    let sandbox = Sandbox::new();
    sandbox.write("data.csv", customers(0..160));
    let run = ["-q", "run", "data.csv", "--target", "price", "data.split.train=0.9"];
    let said = sandbox.transcript(&with(&[&run[..], &["data.split.val=0"]].concat(), &TINY));
    assert!(said.starts_with("exit 2\nerror: the val part would be empty"), "{said}");
    sandbox.ok(&with(&[&run[..], &["data.split.test=0"]].concat(), &TINY));
    // Its record is read again.
    assert!(sandbox.ok(&["runs"]).contains("finished"));
    sandbox.ok(&["compare", "runs/data-1", "runs/data-1"]);
}

#[test]
fn a_metric_that_val_cannot_tell_is_no_objective() {
    let sandbox = Sandbox::new();
    let rows: String = (0..200)
        .map(|day| {
            let sold = if day < 120 && day % 2 == 0 { "yes" } else { "no" };
            format!("2024-01-01 00:{:02}:{:02},{},{sold}\n", day / 60, day % 60, day % 13)
        })
        .collect();
    sandbox.write("data.csv", format!("day,size,sold\n{rows}"));
    let run = ["-q", "run", "data.csv", "--target", "sold", "data.split.by=time", "data.split.column=day"];
    let said = sandbox.transcript(&with(&[&run[..], &["train.objective=roc_auc"]].concat(), &TINY));
    let expected = "exit 2\nerror: the objective `roc_auc` of `sold` cannot be told of the val part\n";
    assert!(said.starts_with(expected), "{said}");
}

#[test]
fn training_stops_early_where_the_last_state_is_kept_too() {
    let sandbox = Sandbox::new();
    sandbox.write("data.csv", customers(0..160));
    // Nothing gets better at such a rate.
    let settings = [
        "train.keep_best=false",
        "train.early_stopping.patience=2",
        "train.optimizer.learning_rate=1e-30",
        "train.optimizer.weight_decay=0",
        "train.ema=0",
        "train.epochs=50",
    ];
    sandbox.ok(&with(&[&["-q", "run", "data.csv", "--target", "price"][..], &settings].concat(), &[]));
    let training = sandbox.json("runs/data-1/run.json")["training"].clone();
    assert_eq!((&training["epochs"], &training["ended"]), (&3.into(), &"no better for 2 epochs".into()));
    assert_eq!(training["best_epoch"], 3);
}

#[test]
fn thresholds_are_for_two_classes_and_both_costs() {
    let sandbox = Sandbox::new();
    sandbox.write("data.csv", customers(0..160));
    let run = |settings: &[&str]| {
        let arguments = [&["-q", "run", "data.csv", "--target", "city"][..], settings].concat();
        sandbox.transcript(&with(&arguments, &TINY))
    };
    let said = run(&["outputs.city.threshold=f1"]);
    assert!(said.starts_with("exit 2\n") && said.contains("which are for two classes"), "{said}");
    let said = run(&["outputs.city.cost_of_miss=2"]);
    assert!(said.starts_with("exit 2\n") && said.contains("a threshold is chosen by both"), "{said}");
}
