//! Pictures as an input: alone, beside other columns, and what is wrong with some of them.

mod common;
#[path = "../../outset-data/src/pictures/samples.rs"]
mod samples;

use common::Sandbox;
use expect_test::expect;
use outset_data::lot::Lot;
use outset_data::pictures::{Channels, Shape, base64, made, png};
use samples::{jpeg, pretended};
use serde_json::Value;
use std::collections::HashSet;

/// Overrides that make a run on pictures take a moment.
const TINY: [&str; 2] = ["model.size=tiny", "train.epochs=2"];

/// A picture of 8 × 8 pixels that is brighter on one side.
fn half(left: bool, lot: &mut Lot) -> Vec<u8> {
    let value =
        |at: usize, lot: &mut Lot| (if (at % 8 < 4) == left { 160 } else { 20 } + lot.below(60)) as u8;
    let values: Vec<u8> = (0..64).map(|at| value(at, lot)).collect();
    png(&values, Shape { channels: 1, height: 8, width: 8 })
}

/// A folder `sides` with as many pictures of each of two classes.
fn sides(each: usize) -> Sandbox {
    let (sandbox, mut lot) = (Sandbox::new(), Lot::new(1));
    for number in 0..each {
        sandbox.write(&format!("sides/left/{number:03}.png"), half(true, &mut lot));
        sandbox.write(&format!("sides/right/{number:03}.png"), half(false, &mut lot));
    }
    sandbox
}

fn trained() -> Sandbox {
    let sandbox = sides(30);
    sandbox.ok(&[&["-q", "run", "sides", "--target", "label"], &TINY[..]].concat());
    sandbox
}

/// The offers of the example beside an experiment file.
fn offers(file: &str) -> Sandbox {
    let sandbox = Sandbox::new();
    sandbox.ok(&["-q", "new", "--example", "photos", "it"]);
    sandbox.write("it/outset.toml", format!("name = \"it\"\n[data]\nsource = \"offers.csv\"\n{file}"));
    sandbox
}

fn record(sandbox: &Sandbox, overrides: &[&str]) -> Value {
    sandbox.ok(&[&["-q", "run", "it", "model.size=tiny"], overrides].concat());
    sandbox.json("it/runs/it-1/run.json")
}

#[test]
fn a_picture_and_a_number_give_a_number() {
    // What a bright left side adds to a price, and sizes, each of which stands beside a picture of either side.
    const WORTH: f64 = 6.0;
    let sizes: Vec<f64> = (0..120).map(|pair| f64::from(pair) / 12.0).collect();
    let (sandbox, mut lot) = (Sandbox::new(), Lot::new(1));
    let mut table = "photo,size,price\n".to_owned();
    for (pair, size) in sizes.iter().enumerate() {
        for (side, worth) in [("left", WORTH), ("right", 0.0)] {
            let photo = format!("photos/{pair:03}-{side}.png");
            sandbox.write(&format!("it/{photo}"), half(side == "left", &mut lot));
            table.push_str(&format!("{photo},{size:.3},{:.3}\n", 10.0 + worth + size));
        }
    }
    sandbox.write("it/offers.csv", table).write(
        "it/outset.toml",
        "name = \"it\"\n[data]\nsource = \"offers.csv\"\n[inputs]\nphoto = \"image\"\nsize = \"number\"\n\
         [outputs]\nprice = \"number\"\n",
    );
    let record = record(&sandbox, &["model.dropout=0.0", "train.epochs=60"]);
    // Who knows the number alone cannot do better than the middle between both sides, and who knows the picture alone
    // than the mean size.
    let mean = sizes.iter().sum::<f64>() / sizes.len() as f64;
    let squares: f64 = sizes.iter().map(|size| (size - mean).powi(2)).sum();
    let (by_number, by_picture) = (WORTH / 2.0, (squares / sizes.len() as f64).sqrt());
    let error = record["metrics"]["test"]["price"]["rmse"].as_f64().unwrap();
    assert!(
        error < by_number.min(by_picture) / 2.0,
        "{error}, but {by_number} by the number alone and {by_picture} by the picture alone"
    );
    assert!(record["baselines"]["linear"]["test"]["price"]["rmse"].is_number());
    let answers = sandbox.ok(&["-q", "predict", "it/runs/it-1", "it/offers.csv"]);
    assert_eq!(answers.lines().count(), 241);
}

#[test]
fn a_picture_a_text_and_a_category_give_a_category() {
    let file = "[inputs]\nphoto = \"image\"\nnote = \"text\"\nshop = \"category\"\n[outputs]\ngrade = \"category\"\n";
    let record = record(&offers(file), &["train.epochs=12"]);
    // The note says it, whatever the picture shows.
    assert!(record["metrics"]["test"]["grade"]["accuracy"].as_f64().unwrap() > 0.8, "{}", record["metrics"]);
    let columns = record["data"]["columns"].as_array().unwrap();
    let importance = |name: &str| {
        columns.iter().find(|column| column["name"] == name).unwrap()["importance"].as_f64().unwrap()
    };
    assert!(importance("note") > importance("photo") && importance("note") > importance("shop"));
}

#[test]
fn pictures_that_cannot_be_mixed_are_told() {
    let file = "[inputs]\nphoto = { type = \"image\", augment = { cutmix = 1.0 } }\nsize = \"number\"\n\
                [outputs]\nprice = \"number\"\n";
    let sandbox = offers(file);
    let output = sandbox.output(&["run", "it", "model.size=tiny", "train.steps=1"]);
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(said.contains("mixup and cutmix of `photo` are left out"), "{said}");
}

#[test]
fn the_report_shows_pictures() {
    let sandbox = sides(20);
    // Mixed alone, varied alone.
    for (number, augment) in ["{ kind = \"none\", cutmix = 1.0 }", "\"light\""].into_iter().enumerate() {
        sandbox.write(
            "outset.toml",
            format!(
                "name = \"it\"\n[data]\nsource = \"sides\"\n[inputs]\nimage = {{ type = \"image\", augment = {augment} }}\n\
                 [outputs]\nlabel = \"category\"\n"
            ),
        );
        sandbox.ok(&[&["-q", "run"], &TINY[..]].concat());
        let run = format!("runs/it-{}", number + 1);
        let gallery = sandbox.json(&format!("{run}/pictures.json"));
        assert_eq!((&gallery["input"], &gallery["output"]), (&"image".into(), &"label".into()));
        let groups = gallery["groups"].as_array().unwrap();
        let titles: Vec<&str> = groups.iter().map(|group| group["title"].as_str().unwrap()).collect();
        for title in ["Least sure", "Right and sure of it", "What the answer hangs on"] {
            let group = groups.iter().find(|group| group["title"] == title);
            let pictures = group.unwrap_or_else(|| panic!("no {title} in {titles:?}"))["pictures"].as_array();
            assert!(pictures.is_some_and(|pictures| !pictures.is_empty()), "{title} is empty");
        }
        let seen = groups.iter().find(|group| group["title"] == "As the network sees them while training");
        assert_eq!(seen.unwrap()["pictures"].as_array().unwrap().len(), 24, "{titles:?}");
        let bytes = |picture: &Value| {
            let file = picture["file"].as_str().unwrap();
            std::fs::read(sandbox.path(&format!("{run}/pictures/{file}"))).unwrap()
        };
        let varied: HashSet<Vec<u8>> =
            seen.unwrap()["pictures"].as_array().unwrap().iter().take(6).map(bytes).collect();
        assert!(varied.len() > 2, "one picture, six times, as the network sees it");
        let report = sandbox.read(&format!("{run}/report.html"));
        assert!(titles.iter().all(|title| report.contains(title)), "{titles:?}");
    }
}

#[test]
fn every_encoder_of_pictures_trains_and_is_served_alike() {
    for encoder in ["cnn", "resnet8", "resnet20", "resnet18", "resnet34", "resnet50", "vit"] {
        let sandbox = sides(20);
        sandbox.write(
            "outset.toml",
            format!(
                "name = \"it\"\n[data]\nsource = \"sides\"\n[inputs]\nimage = {{ type = \"image\", encoder = \"{encoder}\" }}\n\
                 [outputs]\nlabel = \"category\"\n"
            ),
        );
        sandbox.ok(&[&["-q", "run"], &TINY[..]].concat());
        // Loading replays the probes.
        sandbox.ok(&["-q", "predict", "runs/it-1", "sides"]);
    }
}

#[test]
fn rows_of_pictures_can_be_probes() {
    let sandbox = sides(20);
    sandbox.ok(&[&["-q", "run", "sides", "--target", "label", "bundle.probes=rows"], &TINY[..]].concat());
    let files: HashSet<String> = (0..20)
        .flat_map(|number| ["left", "right"].map(|side| format!("sides/{side}/{number:03}.png")))
        .map(|file| base64(&std::fs::read(sandbox.path(&file)).unwrap()))
        .collect();
    let probes = sandbox.read("runs/sides-1/bundle/probes.jsonl");
    assert!(probes.lines().count() >= 8, "{probes}");
    for probe in probes.lines() {
        let probe: Value = serde_json::from_str(probe).unwrap();
        assert!(files.contains(probe["row"]["image"].as_str().unwrap()), "a probe is a picture of the data");
        assert!(probe["answer"]["label"]["prediction"].is_string(), "{probe}");
    }
    // Loading replays them.
    sandbox.ok(&["-q", "predict", "runs/sides-1", "sides"]);
}

#[test]
fn a_vision_transformer_learns() {
    let sandbox = sides(40);
    sandbox.write(
        "outset.toml",
        "name = \"it\"\n[data]\nsource = \"sides\"\n\
         [inputs]\nimage = { type = \"image\", encoder = { kind = \"vit\", pooling = \"class\" } }\n\
         [outputs]\nlabel = \"category\"\n",
    );
    // Long enough that any seed comes to the end: with a third of the epochs two of seven were still guessing.
    sandbox.ok(&["-q", "run", "model.size=tiny", "train.epochs=60", "train.batch_size=16"]);
    let record = sandbox.json("runs/it-1/run.json");
    assert_eq!(record["metrics"]["test"]["label"]["accuracy"], 1.0);
}

#[test]
fn broken_pictures_go_without_an_answer() {
    let sandbox = trained();
    let mut lot = Lot::new(7);
    for number in 0..199 {
        sandbox.write(&format!("new/{number:03}.png"), half(number % 2 == 0, &mut lot));
    }
    sandbox.write("new/broken.png", "no picture");
    let output = sandbox.output(&["predict", "runs/sides-1", "new", "-o", "answers.jsonl"]);
    assert_eq!(output.status.code(), Some(0));
    expect![[r#"
        Note       1 row without an answer: `broken.png` is not a picture
        Saved      answers.jsonl · 200 answers
    "#]]
    .assert_eq(&String::from_utf8_lossy(&output.stderr));
    let answers: Vec<Value> =
        sandbox.read("answers.jsonl").lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let broken: Vec<&Value> = answers.iter().filter(|answer| answer.get("error").is_some()).collect();
    assert_eq!(broken, [&serde_json::json!({"error": "`broken.png` is not a picture"})]);
    // The others are those of the pictures alone.
    let table = sandbox.ok(&["-q", "predict", "runs/sides-1", "new"]);
    assert_eq!(table.lines().filter(|line| line.ends_with(",,,")).collect::<Vec<_>>(), ["200,,,"]);
    std::fs::remove_file(sandbox.path("new/broken.png")).unwrap();
    let whole = sandbox.ok(&["-q", "predict", "runs/sides-1", "new"]);
    assert_eq!(table.lines().take(200).collect::<Vec<_>>(), whole.lines().collect::<Vec<_>>());
}

#[test]
fn too_many_broken_pictures_stop_a_prediction() {
    let sandbox = trained();
    sandbox.write("new/a.png", half(true, &mut Lot::new(3))).write("new/b.png", "no picture");
    expect![[r#"
        exit 2
        error: cannot answer the rows of `new`: 1 of 2 pictures in column `image` cannot be used: `b.png` is not a picture
        hint: mend or remove them, or let more of them go without an answer with `--max-skipped`
    "#]]
    .assert_eq(&sandbox.transcript(&["-q", "predict", "runs/sides-1", "new"]));
    let answers = sandbox.ok(&["-q", "predict", "runs/sides-1", "new", "--max-skipped", "0.5"]);
    assert_eq!(answers.lines().nth(2), Some("2,,,"));
    expect![[r#"
        exit 2
        error: invalid value '2' for '--max-skipped <SHARE>': expected a share between 0 and 1, such as `0.05`

        For more information, try '--help'.
    "#]]
    .assert_eq(&sandbox.transcript(&["-q", "predict", "runs/sides-1", "new", "--max-skipped", "2"]));
}

#[test]
fn pictures_that_cannot_be_used_are_counted_and_named() {
    let sandbox = sides(12);
    let whole = made(64, Channels::Rgb, &mut Lot::new(2));
    let pixel = |value| png(&[value], Shape { channels: 1, height: 1, width: 1 });
    sandbox
        .write("sides/left/bomb.png", pretended(pixel(0), 20_000, 20_000))
        .write("sides/left/cut.jpg", &jpeg()[..140])
        .write("sides/left/cut.png", &whole[..whole.len() / 2])
        .write("sides/right/pixel.png", pixel(9))
        .write("sides/right/text.png", "no picture");
    let run = ["-q", "run", "sides", "--target", "label", "model.size=tiny", "train.epochs=1"];
    let transcript = sandbox.transcript(&run);
    // What the decoder says of a picture that is cut off is its own.
    let start = transcript.rfind("is damaged: ").unwrap();
    let end =
        start + transcript[start..].find(", `text.png`").or(transcript[start..].find(", `right/")).unwrap();
    expect![[r#"
        exit 2
        error: 4 of 29 pictures in column `image` cannot be used: `left/bomb.png` has 20000 × 20000 pixels, but a picture may have 100 million, `left/cut.jpg` is damaged: it is cut off, `left/cut.png` is damaged: …, `right/text.png` is not a picture
        hint: mend or remove them, or set `data.max_skipped` to more than 0.14 (it is 0.01)
    "#]]
    .assert_eq(&format!("{}is damaged: …{}", &transcript[..start], &transcript[end..]));
    sandbox.ok(&[&run[..], &["data.max_skipped=0.2"]].concat());
    let record = sandbox.json("runs/sides-1/run.json");
    let parts = &record["data"]["parts"];
    let rows: u64 = ["train", "val", "test"].iter().map(|part| parts[part].as_u64().unwrap()).sum();
    assert_eq!(rows, 25, "the picture of one pixel is one of them: {parts}");
}

#[test]
fn folders_that_are_no_classes() {
    let mut lot = Lot::new(1);
    let sandbox = Sandbox::new();
    for number in 0..20 {
        sandbox.write(&format!("one/left/{number}.png"), half(true, &mut lot));
    }
    expect![[r#"
        exit 2
        error: column `label` cannot be predicted: every row holds `left`
    "#]]
    .assert_eq(&sandbox.transcript(&["-q", "run", "one", "--target", "label"]));
    let sandbox = sides(12);
    std::fs::create_dir_all(sandbox.path("sides/middle")).unwrap();
    sandbox.write("sides/left/deep/er/x.png", half(true, &mut lot));
    let said = sandbox.transcript(&["check", "sides", "--target", "label"]);
    for note in ["no picture in `middle`", "lie in folders within a class's folder"] {
        assert!(said.contains(note), "no {note} in\n{said}");
    }
}

#[test]
fn a_path_that_leads_out_of_the_folder_of_the_data() {
    let (sandbox, mut lot) = (Sandbox::new(), Lot::new(1));
    let mut text = "photo,side\n".to_owned();
    for number in 0..40 {
        let left = number % 2 == 0;
        sandbox.write(&format!("data/p/{number}.png"), half(left, &mut lot));
        text.push_str(&format!("p/{number}.png,{}\n", if left { "left" } else { "right" }));
    }
    sandbox.write("secret.png", half(true, &mut lot));
    sandbox.write("data/rows.csv", text + "../secret.png,left\n");
    expect![[r#"
        exit 2
        error: 1 of 41 pictures in column `photo` cannot be used: `../secret.png` lies outside the folder of the data
        hint: mend or remove them, or set `data.max_skipped` to more than 0.02 (it is 0.01)
    "#]]
    .assert_eq(&sandbox.transcript(&["-q", "run", "data/rows.csv", "--target", "side"]));
}
