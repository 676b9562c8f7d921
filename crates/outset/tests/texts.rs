//! Texts that are empty, endless, strange or in files that are not what they should be, and what a run makes of them.

mod common;

use common::Sandbox;
use expect_test::{Expect, expect};
use serde_json::{Value, json};

/// Reviews in turns good and bad.
fn reviews() -> String {
    let mut text = String::from("review,label\n");
    for row in 0..80 {
        let (word, label) = [("good", "yes"), ("bad", "no")][row % 2];
        text.push_str(&format!("a {word} film on day {},{label}\n", row % 7));
    }
    text
}

fn experiment(review: &str) -> String {
    format!(
        "name = \"reviews\"\n[data]\nsource = \"data.csv\"\n[inputs]\nreview = {{ type = \"text\", {review} }}\n[outputs]\nlabel = \"category\"\n\
         [train]\nepochs = 2\n"
    )
}

/// A folder with reviews and an experiment.
fn sandbox(review: &str) -> Sandbox {
    let sandbox = Sandbox::new();
    sandbox.write("data.csv", reviews()).write("outset.toml", experiment(review));
    sandbox
}

fn check(review: &str, files: &[(&str, &str)], expected: Expect) {
    let sandbox = sandbox(review);
    for (name, content) in files {
        sandbox.write(name, content);
    }
    expected.assert_eq(&sandbox.transcript(&["-q", "run"]));
    assert!(!sandbox.path("runs/reviews-1/run.json").exists(), "nothing half-written counts as a run");
}

#[test]
fn tokenizers_that_are_none() {
    let settings = "encoder = \"cnn\", tokenizer = \"mine/tokenizer.json\"";
    check(
        settings,
        &[],
        expect![[r#"
        exit 2
        error: column `review` has no tokenizer: `mine/tokenizer.json`: No such file or directory (os error 2)
        hint: the file must be a `tokenizer.json` as the `tokenizers` library writes it
    "#]],
    );
    check(
        settings,
        &[("mine/tokenizer.json", "{\"model\": 3}")],
        expect![[r#"
        exit 2
        error: column `review` has no tokenizer: `mine/tokenizer.json`: data did not match any variant of untagged enum ModelUntagged at line 1 column 12
        hint: the file must be a `tokenizer.json` as the `tokenizers` library writes it
    "#]],
    );
    let words = |vocabulary: &str| {
        format!(
            "{{\"version\": \"1.0\", \"pre_tokenizer\": {{\"type\": \"WhitespaceSplit\"}}, \
             \"model\": {{\"type\": \"WordLevel\", \"vocab\": {{{vocabulary}}}, \"unk_token\": \"[UNK]\"}}}}"
        )
    };
    check(
        settings,
        &[("mine/tokenizer.json", &words("\"[UNK]\": 0, \"das\": 1, \"ist\": 2"))],
        expect![[r#"
        exit 2
        error: column `review` has no tokenizer: `mine/tokenizer.json`: it knows no token of the train texts; is it one for another language?
        hint: the file must be a `tokenizer.json` as the `tokenizers` library writes it
    "#]],
    );
    check(
        settings,
        &[("mine/tokenizer.json", &words("\"good\": 0, \"film\": 1"))],
        expect![[r#"
        exit 2
        error: column `review` has no tokenizer: `mine/tokenizer.json`: a train text cannot be taken apart (WordLevel error: Missing [UNK] token from the vocabulary); does it lack the token for what it does not know, `unk_token`?
        hint: the file must be a `tokenizer.json` as the `tokenizers` library writes it
    "#]],
    );
    check(
        "tokenizer = \"syllables\"",
        &[],
        expect![[r#"
        exit 2
        error: `inputs.review.tokenizer` is `"syllables"`, but must be `"ngrams"`, `"wordpiece"`, `"byte_bpe"`, `"unigram"`, `"characters"`, `"words"`, `"spaces"` or the name of a `tokenizer.json`
         --> outset.toml:5:39
          |
        5 | review = { type = "text", tokenizer = "syllables" }
          |                                       ^^^^^^^^^^^
    "#]],
    );
}

#[test]
fn other_word_vectors_are_other_data() {
    let sandbox = sandbox("encoder = \"cnn\", vectors = \"vectors.txt\"");
    sandbox.write("vectors.txt", "good 1 2\nbad 3 4\n");
    sandbox.ok(&["-q", "run"]);
    sandbox.ok(&["-q", "test", "runs/reviews-1"]);
    sandbox.write("vectors.txt", "good 1 2\nbad 3 5\n");
    let said = sandbox.transcript(&["-q", "test", "runs/reviews-1"]);
    let shown = "is no longer what the run was made with: `vectors.txt` has other content";
    assert!(said.starts_with("exit 2") && said.contains(shown), "{said}");
}

#[test]
fn word_vectors_that_do_not_fit() {
    let settings = "vectors = \"vectors.txt\"";
    check(
        settings,
        &[],
        expect![[r#"
        exit 2
        error: column `review` has no word vectors: `vectors.txt`: No such file or directory (os error 2)
        hint: a line of the file is a word and its numbers, as GloVe and word2vec write them as text; `tokenizer = "words"` reads whole words
    "#]],
    );
    check(
        settings,
        &[("vectors.txt", "das 1 2\nist 3 4\n")],
        expect![[r#"
        exit 2
        error: column `review` has no word vectors: `vectors.txt`: none of the 10 words of the train part has a vector in it
        hint: a line of the file is a word and its numbers, as GloVe and word2vec write them as text; `tokenizer = "words"` reads whole words
    "#]],
    );
    check(
        settings,
        &[("vectors.txt", "good 1 2\nbad 3\n")],
        expect![[r#"
        exit 2
        error: column `review` has no word vectors: `vectors.txt`: line 2 holds only 1 of 2 numbers
        hint: a line of the file is a word and its numbers, as GloVe and word2vec write them as text; `tokenizer = "words"` reads whole words
    "#]],
    );
    check(
        "vectors = \"vectors.txt\", tokenizer = \"ngrams\"",
        &[("vectors.txt", "good 1 2\n")],
        expect![[r#"
            exit 2
            error: column `review` has no word vectors: `vectors.txt`: n-grams take no vectors of words
            hint: a line of the file is a word and its numbers, as GloVe and word2vec write them as text; `tokenizer = "words"` reads whole words
        "#]],
    );
}

#[test]
fn word_vectors_are_read_from_where_the_experiment_lies() {
    let sandbox = sandbox("vectors = \"mine/vectors.txt\"");
    sandbox.write("mine/vectors.txt", "good 1 2\nbad -1 -2\nzebra 0 0\n");
    let error = sandbox.output(&["run"]).stderr;
    let error = String::from_utf8_lossy(&error);
    assert!(error.contains("(2 with a vector from the file)"), "{error}");
    // The run's own file runs again, from where it lies.
    let again = sandbox.read("runs/reviews-1/experiment.toml");
    assert!(again.contains("vectors = \"../../mine/vectors.txt\""), "{again}");
    sandbox.ok(&["-q", "run", "runs/reviews-1/experiment.toml"]);
    // Neither the vectors' file nor the tokenizer's is needed to answer.
    std::fs::remove_dir_all(sandbox.path("mine")).unwrap();
    sandbox.write("new.csv", "review\na good film\n");
    let answer = sandbox.ok(&["-q", "predict", "runs/reviews-1", "new.csv"]);
    assert!(answer.contains("yes") || answer.contains("no"), "{answer}");
}

#[test]
fn a_trained_tokenizer_can_be_used_again() {
    for tokenizer in ["unigram", "wordpiece"] {
        let sandbox = sandbox(&format!("encoder = \"cnn\", tokenizer = \"{tokenizer}\""));
        sandbox.ok(&["-q", "run"]);
        let file = sandbox.json("runs/reviews-1/bundle/tokenizer.json");
        assert_eq!(file["model"]["type"].as_str().map(str::to_lowercase).as_deref(), Some(tokenizer));
        let bare = sandbox.read("runs/reviews-1/bundle/preprocessor.json");
        assert!(
            !bare.contains("\"vocab\"") && bare.contains("tokenizer.json"),
            "the tokenizer has a file of its own"
        );
        let setting = "inputs.review.tokenizer=runs/reviews-1/bundle/tokenizer.json";
        sandbox.ok(&["-q", "run", ".", setting]);
        let metrics =
            |run: &str| sandbox.json(&format!("runs/reviews-{run}/run.json"))["metrics"]["val"].clone();
        assert_eq!(metrics("1"), metrics("2"), "{tokenizer}");
    }
}

#[test]
fn lists_of_words_are_texts() {
    let lists: String = (0..80)
        .map(|row| {
            let (word, label) = [("good", "yes"), ("bad", "no")][row % 2];
            let day = (row % 7).to_string();
            let review: [&str; 6] = ["a", word, "film", "on", "day", &day];
            format!("{}\n", json!({"review": review, "label": label}))
        })
        .collect();
    for settings in ["encoder = \"bag_of_words\"", "encoder = \"cnn\", tokenizer = \"words\""] {
        let sandbox = Sandbox::new();
        sandbox
            .write("data.jsonl", &lists)
            .write("outset.toml", experiment(settings).replace("data.csv", "data.jsonl"));
        sandbox.ok(&["-q", "run", ".", "train.epochs=8"]);
        let record = sandbox.json("runs/reviews-1/run.json");
        // Each word stands by itself, so that the one that decides is known.
        assert_eq!(record["baselines"]["tf_idf"]["test"]["label"]["accuracy"], 1.0, "{settings}");
        let listed = json!({"review": ["a", "good", "film"]});
        sandbox.write("new.jsonl", format!("{}\n{listed}\n", json!({"review": "a good film"})));
        let answers = sandbox.ok(&["-q", "--json", "predict", "runs/reviews-1", "new.jsonl"]);
        let answers: Vec<Value> = answers.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        let of = |answer: &Value| answer["label"]["probabilities"]["yes"].as_f64().unwrap();
        assert!((of(&answers[0]) - of(&answers[1])).abs() < 1e-5, "{settings}: {answers:?}");
    }
}

#[test]
fn a_tokenizer_that_was_taken_away_is_named() {
    let sandbox = sandbox("encoder = \"cnn\"");
    sandbox.ok(&["-q", "run"]);
    std::fs::remove_file(sandbox.path("runs/reviews-1/bundle/tokenizer.json")).unwrap();
    sandbox.write("new.csv", "review\na good film\n");
    expect![[r#"
        exit 2
        error: `runs/reviews-1` is not a bundle: it has no `tokenizer.json`
        hint: give a run folder or the `bundle` folder in it
    "#]]
    .assert_eq(&sandbox.transcript(&["-q", "predict", "runs/reviews-1", "new.csv"]));
}

#[test]
fn empty_and_endless_texts_are_counted() {
    let endless = "word ".repeat(200_000);
    // Enough of them, and not alike, so that train has some.
    let odd: String = (0..8).map(|row| format!("{endless}{row},yes\n\" \",no\n,yes\n<br>,no\n")).collect();
    let data = format!("{}{odd}", reviews());
    for encoder in ["bag_of_words", "gru"] {
        let sandbox = Sandbox::new();
        sandbox
            .write("data.csv", &data)
            .write("outset.toml", experiment(&format!("encoder = \"{encoder}\"")));
        let parts = "data.split={ train = 0.9, val = 0.05, test = 0.05, by = \"random\", seed = 3 }";
        let output = sandbox.output(&["run", ".", parts]);
        let error = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{error}");
        assert!(error.contains(" cut") && error.contains(" empty"), "{encoder}: {error}");
        let unknown = format!("review\n☃ 🦄 qqq 龍\n\" \"\n{endless}\n");
        sandbox.write("new.csv", unknown);
        let answer = sandbox.ok(&["-q", "predict", "runs/reviews-1", "new.csv"]);
        assert_eq!(answer.lines().count(), 4, "{encoder}: {answer}");
        assert!(!answer.contains("NaN"), "{encoder}: {answer}");
    }
}

#[test]
fn a_column_of_empty_texts_is_refused() {
    let sandbox = Sandbox::new();
    let data: String = (0..40).map(|row| format!("\" \",{}\n", ["yes", "no"][row % 2])).collect();
    sandbox
        .write("data.csv", format!("review,label\n{data}"))
        .write("outset.toml", experiment("lowercase = true"));
    expect![[r#"
        exit 2
        error: column `review` holds no value in the train part
        hint: add `"review"` to `data.exclude`
    "#]]
    .assert_eq(&sandbox.transcript(&["-q", "run"]));
}

#[test]
fn the_report_shows_what_the_answers_hang_on() {
    let sandbox = sandbox("encoder = \"bag_of_words\"");
    sandbox.ok(&["-q", "run", ".", "train.epochs=8"]);
    let texts = sandbox.json("runs/reviews-1/texts.json");
    let right = &texts["groups"].as_array().unwrap().last().unwrap()["texts"];
    for text in right.as_array().unwrap() {
        let words = text["words"].as_array().unwrap();
        let strongest =
            words.iter().max_by(|a, b| a[1].as_f64().unwrap().total_cmp(&b[1].as_f64().unwrap())).unwrap();
        assert!(["good ", "bad "].contains(&strongest[0].as_str().unwrap()), "{text}");
    }
    let report = sandbox.read("runs/reviews-1/report.html");
    assert!(report.contains("id=\"texts\"") && report.contains("class=\"word for\""));
}
