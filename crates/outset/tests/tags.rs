//! Outputs of tags, from files to answers.

mod common;

use common::Sandbox;
use expect_test::{Expect, expect};
use serde_json::{Value, json};

/// Overrides that make a run take a moment.
const TINY: [&str; 4] =
    ["train.epochs=6", "model.size=tiny", "train.optimizer.learning_rate=0.01", "train.batch_size=16"];

/// Sentences of words in which a capital letter behind `in` begins a place, and one behind `says` a person of two words.
fn sentences(count: usize) -> Vec<Vec<(&'static str, &'static str)>> {
    const NAMES: [&str; 8] = ["Ada", "Rome", "Lima", "Bob", "Oslo", "Eve", "Paris", "Max"];
    let name = |lot: usize| NAMES[lot % NAMES.len()];
    (0..count)
        .map(|row| {
            let lot = row * 7919 % 1013;
            let place = [("it", "O"), ("rains", "O"), ("in", "O"), (name(lot), "B-place"), (".", "O")];
            let person =
                [("so", "O"), ("says", "O"), (name(lot / 3), "B-person"), (name(lot / 7), "I-person")];
            let other = [("nothing", "O"), ("new", "O"), ("today", "O")];
            match lot % 4 {
                0 => place.to_vec(),
                1 => person.to_vec(),
                2 if row % 3 == 0 => vec![("can't", "O")],
                2 => [&person[..], &place[1..]].concat(),
                _ => [&other[..], &person[1..]].concat(),
            }
        })
        .collect()
}

fn conll(sentences: &[Vec<(&str, &str)>]) -> String {
    let lines = |sentence: &Vec<(&str, &str)>| {
        let tokens: String = sentence.iter().map(|(word, tag)| format!("{word}\t{tag}\n")).collect();
        tokens + "\n"
    };
    sentences.iter().map(lines).collect()
}

fn run<'a>(arguments: &[&'a str]) -> Vec<&'a str> {
    [&["-q", "run"], arguments, &TINY].concat()
}

fn lines(text: &str) -> Vec<Value> {
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

#[test]
fn a_conll_file_is_learned_and_answered() {
    let sandbox = Sandbox::new();
    sandbox.write("data.conll", conll(&sentences(240)));
    sandbox.ok(&run(&["data.conll", "--target", "tags"]));
    let record = sandbox.json("runs/data-1/run.json");
    let metrics = &record["metrics"]["test"]["tags"];
    assert!(metrics["entity_f1"].as_f64().unwrap() > 0.9, "{metrics}");
    assert_eq!(record["training"]["objective"], "entity_f1 of tags");
    assert_eq!(record["baselines"]["constant"]["test"]["tags"]["entity_f1"], 0.0);
    assert!(record["baselines"]["linear"]["test"]["tags"]["entity_f1"].as_f64().unwrap() > 0.5);
    let interval = &record["intervals"]["test"]["tags"]["entity_f1"];
    assert!(interval[0].as_f64().unwrap() <= metrics["entity_f1"].as_f64().unwrap());
    let details = &record["details"]["tags"];
    assert_eq!(details["classes"], json!(["person", "place", "(none)"]));
    assert!(details["per_class"]["place"]["entities"].as_f64().unwrap() > 0.0);
    let predictions = sandbox.read("runs/data-1/predictions.csv");
    assert!(predictions.starts_with("row,tags,tags_prediction\n"));
    assert!(predictions.lines().nth(1).unwrap().contains(" B-p"), "{predictions}");
    assert!(sandbox.read("runs/data-1/report.html").contains("Types one by one"));

    // A text is taken apart, a list of words is not; a longer text beside them changes neither.
    let rows = [
        json!({"text": "It rains in Oslo."}),
        json!({"text": ["it", "rains", "in", "Oslo", "."]}),
        json!({"text": format!("so says Eve Max {}", "nothing new today ".repeat(20))}),
        json!({"text": ""}),
        json!({"text": null}),
    ];
    let all: String = rows.iter().map(|row| format!("{row}\n")).collect();
    sandbox.write("rows.jsonl", &all);
    let answers = lines(&sandbox.ok(&["-q", "--json", "predict", "runs/data-1", "rows.jsonl"]));
    assert_eq!(
        answers[0]["tags"]["prediction"],
        json!([{"start": 12, "end": 16, "type": "place", "text": "Oslo"}])
    );
    assert_eq!(answers[1]["tags"]["tokens"], json!(["it", "rains", "in", "Oslo", "."]));
    assert_eq!(answers[1]["tags"]["tags"], json!(["O", "O", "O", "B-place", "O"]));
    assert_eq!(answers[1]["tags"]["prediction"][0]["text"], "Oslo");
    assert_eq!(
        answers[2]["tags"]["prediction"][0],
        json!({"start": 8, "end": 15, "type": "person", "text": "Eve Max"})
    );
    for empty in &answers[3..] {
        assert_eq!((&empty["tags"]["tokens"], &empty["tags"]["tags"]), (&json!([]), &json!([])));
    }
    sandbox.write("one.jsonl", format!("{}\n", rows[0]));
    let alone = lines(&sandbox.ok(&["-q", "--json", "predict", "runs/data-1", "one.jsonl"]));
    let probability = |answer: &Value| answer["tags"]["probability"].as_f64().unwrap();
    assert!((probability(&alone[0]) - probability(&answers[0])).abs() < 1e-4);
    assert_eq!(alone[0]["tags"]["tags"], answers[0]["tags"]["tags"]);
    let csv = sandbox.ok(&["-q", "predict", "runs/data-1", "one.jsonl"]);
    assert!(csv.starts_with("row,tags_prediction\n1,\"[{\"\"start\"\":12"), "{csv}");

    // The filled-in experiment runs again as it is, to the same figures.
    sandbox.ok(&["-q", "run", "runs/data-1/experiment.toml", "--runs", "again"]);
    assert_eq!(sandbox.json("again/data-1/run.json")["metrics"], record["metrics"]);
}

#[test]
fn spans_in_json_are_learned_with_every_encoder_and_loss() {
    let sandbox = Sandbox::new();
    let line = |sentence: &Vec<(&str, &str)>| {
        let (mut text, mut spans) = (String::new(), Vec::<Value>::new());
        for (word, tag) in sentence {
            if !text.is_empty() && *word != "." {
                text.push(' ');
            }
            let (start, end) = (text.len(), text.len() + word.len());
            text.push_str(word);
            match tag.split_once('-') {
                Some(("B", kind)) => spans.push(json!({"start": start, "end": end, "label": kind})),
                Some(_) => spans.last_mut().unwrap()["end"] = end.into(),
                None => {}
            }
        }
        format!("{}\n", json!({"id": 1, "text": text, "spans": spans}))
    };
    sandbox.write("data.jsonl", sentences(160).iter().map(line).collect::<String>());
    for (encoder, loss, scheme) in [
        ("lstm", "crf", "bioes"),
        ("gru", "cross_entropy", "iob2"),
        ("cnn", "focal", "bioes"),
        ("transformer", "crf", "iob2"),
    ] {
        sandbox.write(
            "outset.toml",
            format!(
                "name = \"{encoder}\"\ndata = {{ source = \"data.jsonl\" }}\n\
                 [inputs]\ntext = {{ type = \"text\", encoder = \"{encoder}\" }}\n\
                 [outputs]\nspans = {{ type = \"tags\", loss = \"{loss}\", scheme = \"{scheme}\" }}\n"
            ),
        );
        sandbox.ok(&[&run(&[])[..], &["train.epochs=8"]].concat());
        let record = sandbox.json(&format!("runs/{encoder}-1/run.json"));
        let f1 = record["metrics"]["test"]["spans"]["entity_f1"].as_f64().unwrap();
        assert!(f1 > 0.7, "{encoder} {loss}: {f1}");
        // A longer text beside it changes none of its tags; weights that begin at 0 are trained and hide nothing.
        let short = json!({"text": "it rains in Oslo."});
        let long = json!({"text": format!("so says Eve Max {}", "nothing new today ".repeat(20))});
        let marked = |rows: &[&Value], place: usize| {
            sandbox.write("rows.jsonl", rows.iter().map(|row| format!("{row}\n")).collect::<String>());
            let run = format!("runs/{encoder}-1");
            lines(&sandbox.ok(&["-q", "--json", "predict", &run, "rows.jsonl"]))[place]["spans"].clone()
        };
        let (alone, beside) = (marked(&[&short], 0), marked(&[&long, &short, &long], 1));
        let probability = |answer: &Value| answer["probability"].as_f64().unwrap();
        let apart = (probability(&alone) - probability(&beside)).abs();
        assert!(apart < 1e-4, "{encoder}: {alone} alone, {beside} between longer texts");
        assert_eq!(alone["tags"], beside["tags"], "{encoder}");
    }
}

#[test]
fn tags_and_a_category_come_from_one_network() {
    let sandbox = Sandbox::new();
    let line = |sentence: &Vec<(&str, &str)>| {
        let words: Vec<&str> = sentence.iter().map(|(word, _)| *word).collect();
        let tags: Vec<&str> = sentence.iter().map(|(_, tag)| *tag).collect();
        let kind = if tags.contains(&"B-place") { "weather" } else { "talk" };
        format!("{}\n", json!({"words": words, "tags": tags, "kind": kind, "size": words.len()}))
    };
    sandbox.write("data.jsonl", sentences(200).iter().map(line).collect::<String>()).write(
        "outset.toml",
        "name = \"both\"\ndata = { source = \"data.jsonl\" }\n[inputs]\nwords = \"text\"\nsize = \"number\"\n\
         [outputs]\ntags = \"tags\"\nkind = \"category\"\n",
    );
    sandbox.ok(&[&run(&[])[..], &["train.epochs=20"]].concat());
    let record = sandbox.json("runs/both-1/run.json");
    assert!(record["metrics"]["test"]["tags"]["entity_f1"].as_f64().unwrap() > 0.8, "{}", record["metrics"]);
    assert!(record["metrics"]["test"]["kind"]["accuracy"].as_f64().unwrap() > 0.8);
    // `rains` alone tells the kinds apart, while always saying `talk` is right in six of ten.
    let baseline = record["baselines"]["tf_idf"]["test"]["kind"]["accuracy"].as_f64().unwrap();
    assert!(baseline > 0.8, "{baseline}");
    assert!(record["baselines"]["tf_idf"]["test"]["tags"].is_null());
}

#[test]
fn parts_of_speech_stand_for_themselves() {
    let sandbox = Sandbox::new();
    let mut text = String::from("text,pos\n");
    for row in 0..120 {
        let (who, does) = (["dogs", "cats", "birds"][row % 3], ["run", "sing", "sleep"][row / 3 % 3]);
        text.push_str(&format!("{who} {does} now,NOUN VERB ADV\n"));
    }
    sandbox.write("data.csv", text).write(
        "outset.toml",
        "name = \"pos\"\ndata = { source = \"data.csv\" }\ninputs = { text = \"text\" }\noutputs = { pos = \"tags\" }\n",
    );
    sandbox.ok(&run(&[]));
    let record = sandbox.json("runs/pos-1/run.json");
    assert_eq!(record["training"]["objective"], "token_accuracy of pos");
    assert_eq!(record["metrics"]["test"]["pos"]["token_accuracy"], 1.0);
    assert!(record["metrics"]["test"]["pos"]["entity_f1"].is_null());
    sandbox.write("rows.jsonl", "{\"text\": \"cats sing now\"}\n");
    let answers = lines(&sandbox.ok(&["-q", "--json", "predict", "runs/pos-1", "rows.jsonl"]));
    assert_eq!(answers[0]["pos"]["tags"], json!(["NOUN", "VERB", "ADV"]));
    assert_eq!(
        answers[0]["pos"]["prediction"][1],
        json!({"start": 5, "end": 9, "type": "VERB", "text": "sing"})
    );
}

#[test]
fn the_example_finds_names_that_it_never_saw() {
    let sandbox = Sandbox::new();
    sandbox.ok(&["-q", "new", "--example", "entities"]);
    sandbox.ok(&["-q", "run", "entities", "train.epochs=8"]);
    let record = sandbox.json("entities/runs/entities-1/run.json");
    let f1 = record["metrics"]["test"]["entities"]["entity_f1"].as_f64().unwrap();
    assert!(f1 > 0.8, "{f1}");
}

/// Runs on the given file and shows what came of it.
fn check(file: &str, content: &str, more: &[&str], expected: Expect) {
    let sandbox = Sandbox::new();
    sandbox.write(file, content);
    expected.assert_eq(&sandbox.transcript(&[&run(&[file]), more].concat()));
    assert!(!sandbox.path("runs/data-1/run.json").exists());
}

/// Rows of JSON Lines in front of many sound ones.
fn rows(first: &[Value]) -> String {
    let sound = (0..60).map(
        |row| json!({"text": format!("Ada saw Rome {row}"), "spans": [{"start": 0, "end": 3, "type": "p"}]}),
    );
    first.iter().cloned().chain(sound).map(|row| format!("{row}\n")).collect()
}

#[test]
fn what_is_wrong_with_a_row_is_told() {
    let target = ["--target", "spans"];
    check(
        "data.jsonl",
        &rows(&[json!({"text": "Ada", "spans": [{"start": 2, "end": 9, "type": "p"}]})]),
        &target,
        expect![[r#"
            exit 2
            error: the span from 2 to 9 (`p`) in row 1 of column `spans` does not lie within the text, which has 3 characters (in `data.jsonl`)
            hint: places count characters from 0, and `end` is the first character behind the span
        "#]],
    );
    check(
        "data.jsonl",
        &rows(&[json!({"text": "Ada", "spans": {"p": {"Eve": [[0, 2]]}}})]),
        &target,
        expect![[r#"
            exit 2
            error: the span from 0 to 3 (`p`) in row 1 of column `spans` should hold `Eve`, but the text holds something else there (in `data.jsonl`)
            hint: places count characters from 0, and `end` is the first character behind the span
        "#]],
    );
    let overlap = json!({"text": "Ada saw Rome", "spans": [[0, 7, "p"], [4, 12, "q"]]});
    check(
        "data.jsonl",
        &rows(&[overlap.clone(), overlap]),
        &target,
        expect![[r#"
        exit 2
        error: 2 of 62 rows of column `spans` hold spans that overlap, the first being row 1, but each word can have one tag
        hint: mend them, or set `data.max_skipped` to at least 0.033 (it is 0.01), so that the longer span is kept
    "#]],
    );
    check(
        "data.jsonl",
        &rows(&[json!({"text": "Ada", "spans": [{"start": 0, "ende": 3, "type": "p"}]})]),
        &target,
        expect![[r#"
            exit 2
            error: `spans[0]` in row 1 of `data.jsonl` is an object, but a cell must be a text, a number, true, false, null or a list of these
        "#]],
    );
    let list = |tags: &[&str]| json!({"words": ["Ada", "saw", "Rome"], "tags": tags});
    let many: String = (0..60).map(|_| format!("{}\n", list(&["B-p", "O", "O"]))).collect();
    check(
        "data.jsonl",
        &format!("{many}{}\n", list(&["O", "B-p"])),
        &["--target", "tags"],
        expect![[r#"
        exit 2
        error: row 61 of column `tags` holds 2 tags, but `words` has 3 tokens there (in `data.jsonl`)
    "#]],
    );
    check(
        "data.conll",
        "Ada\tB-p\nsaw\tO\n\nRome\n\n",
        &["--target", "tags"],
        expect![[r#"
        exit 2
        error: line 4 of `data.conll` has 1 column, but must have 2 as the first token has
        hint: an empty line ends a sentence
    "#]],
    );
}

#[test]
fn a_type_that_train_lacks_is_told() {
    let sandbox = Sandbox::new();
    sandbox
        .write("train.jsonl", rows(&[]))
        .write("test.jsonl", rows(&[json!({"text": "Ada saw Rome", "spans": [[8, 12, "place"]]})]))
        .write(
            "outset.toml",
            "name = \"data\"\ndata = { train = \"train.jsonl\", test = \"test.jsonl\" }\n[inputs]\ntext = \"text\"\n\
             [outputs]\nspans = \"tags\"\n",
        );
    expect![[r#"
        exit 2
        error: column `spans` holds the tag `place` in row 1, but in no row of the train part (in `test.jsonl`)
        hint: add train rows that hold it, leave those rows out, or join it with another type
    "#]].assert_eq(&sandbox.transcript(&run(&[])));
}

#[test]
fn what_is_wrong_with_the_declaration_is_told() {
    let declared = |file: &str, expected: Expect| {
        let sandbox = Sandbox::new();
        let row = |row: Value| {
            let mut row = row;
            row["note"] = format!("a note of some words {}", row["text"]).into();
            format!("{row}\n")
        };
        let rows: String = lines(&rows(&[])).into_iter().map(row).collect();
        sandbox
            .write("data.jsonl", rows)
            .write("outset.toml", format!("name = \"data\"\ndata = {{ source = \"data.jsonl\" }}\n{file}"));
        expected.assert_eq(&sandbox.transcript(&["-q", "check"]));
    };
    declared(
        "[inputs]\ntext = \"text\"\nnote = \"text\"\n[outputs]\nspans = { type = \"tags\", of = \"txt\" }\n",
        expect![[r#"
            exit 2
            error: `outputs.spans.of` is `txt`, which is no input
             --> outset.toml:7:1
              |
            7 | spans = { type = "tags", of = "txt" }
              | ^^^^^
            hint: the inputs are `text`, `note`
        "#]],
    );
    declared(
        "[inputs]\nspans = \"tags\"\n[outputs]\ntext = \"category\"\n",
        expect![[r#"
        exit 2
        error: `inputs.spans` is of type `tags`, which can be predicted but is no input
         --> outset.toml:4:9
          |
        4 | spans = "tags"
          |         ^^^^^^
    "#]],
    );
    declared(
        "[inputs]\ntext = { type = \"text\", tokenizer = \"wordpiece\" }\n[outputs]\nspans = \"tags\"\n",
        expect![[r#"
            exit 2
            error: `inputs.text.tokenizer` does not go with `spans`, which tags the text
             --> outset.toml:4:1
              |
            4 | text = { type = "text", tokenizer = "wordpiece" }
              | ^^^^
            hint: it can be `words`, `characters` or `spaces`
        "#]],
    );
    declared(
        "[inputs]\ntext = { type = \"text\", html = true }\n[outputs]\nspans = \"tags\"\n",
        expect![[r#"
            exit 2
            error: `inputs.text.html` is `true`, but `spans` tags the text, whose places must stay as they are
             --> outset.toml:4:1
              |
            4 | text = { type = "text", html = true }
              | ^^^^
            hint: set it to `false`
        "#]],
    );
    declared(
        "[inputs]\ntext = { type = \"text\", encoder = \"bag_of_words\" }\n[outputs]\nspans = \"tags\"\n",
        expect![[r#"
            exit 2
            error: unknown encoder `bag_of_words`
             --> outset.toml:4:35
              |
            4 | text = { type = "text", encoder = "bag_of_words" }
              |                                   ^^^^^^^^^^^^^^
            hint: known here: `cnn`, `lstm`, `gru`, `transformer`
        "#]],
    );
    declared(
        "[inputs]\ntext = \"text\"\n[outputs]\nspans = { type = \"tags\", loss = \"huber\" }\n",
        expect![[r#"
            exit 2
            error: loss `huber` does not suit `outputs.spans`
             --> outset.toml:6:33
              |
            6 | spans = { type = "tags", loss = "huber" }
              |                                 ^^^^^^^
            hint: possible here: `crf`, `cross_entropy`, `focal`
        "#]],
    );
    declared(
        "[inputs]\nnote = \"category\"\n[outputs]\nspans = \"tags\"\n",
        expect![[r#"
        exit 2
        error: `spans` is of tags, but there is no text that they could be put on
         --> outset.toml:6:1
          |
        6 | spans = "tags"
          | ^^^^^
        hint: name the text in `[inputs]` with the type `text`
    "#]],
    );
}

#[test]
fn two_texts_that_fit_must_be_told_apart() {
    let sandbox = Sandbox::new();
    let rows: String = (0..40)
        .map(|row| {
            let text = format!("Ada saw Rome on the day {row}");
            format!(
                "{}\n",
                json!({"a": text, "b": text.replace("saw", "left"), "spans": [[0, 3 + row % 2 * 4, "p"]]})
            )
        })
        .collect();
    sandbox.write("data.jsonl", rows);
    expect![[r#"
        exit 2
        error: `spans` is of tags, but there are several texts that they could be put on
        hint: set `outputs.spans.of` to one of `a`, `b`
    "#]]
    .assert_eq(&sandbox.transcript(&["-q", "run", "data.jsonl", "--target", "spans"]));
}
