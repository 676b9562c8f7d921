//! From a table to a served answer: a model is trained, its bundle served by the real server, asked over a socket, and
//! the server stopped by the signal that a service manager sends.

#[path = "../src/tests/client.rs"]
#[expect(dead_code, reason = "shared with the unit tests, which use all of it")]
mod client;

use client::Client;
use outset_learn::predict::Predictor;
use outset_learn::run::{Options, run};
use outset_serve::{Settings, serve};
use outset_spec::Experiment;
use serde_json::{Value, json};
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::{self, Command};
use std::sync::atomic::AtomicBool;
use std::sync::mpsc;
use std::thread;

/// Trains a tiny model; returns its run folder.
fn train(folder: &Path) -> PathBuf {
    let mut table = "size,rooms,color,day,wishes,remark,sold\n".to_owned();
    for row in 0..240 {
        let (size, rooms, color) = (20 + row % 97, 1 + row % 5, ["red", "blue", "it's <green>"][row % 3]);
        let sold = if (size + 7 * rooms + row % 11) % 90 > 40 { "yes" } else { "no" };
        let (month, day) = (1 + row % 12, 1 + row % 28);
        let wishes = ["sun", "sun;quiet", "quiet", "pool;sun"][row % 4];
        let remark = ["bright and quiet", "near the park", "noisy , but bright", ""][row % 4];
        let remark = format!("\"{remark}\"");
        writeln!(table, "{size}.5,{rooms},{color},2021-{month:02}-{day:02},{wishes},{remark},{sold}")
            .unwrap();
    }
    std::fs::write(folder.join("flats.csv"), table).unwrap();
    let text = r#"
        name = "flats 房"
        [data]
        source = "flats.csv"
        [inputs]
        size = "number"
        rooms = "category"
        color = "category"
        day = "date"
        wishes = "set"
        remark = { type = "text", encoder = { kind = "cnn", embedding_size = 8, filters = 8 } }
        [outputs]
        sold = "category"
        [train]
        epochs = 2
    "#;
    let experiment = Experiment::parse("outset.toml", text, folder, &[]).unwrap();
    let interrupt = AtomicBool::new(false);
    let options = Options::new(folder.join("runs"), &interrupt);
    run(&experiment, &options, &mut |_| {}).unwrap().folder
}

/// Answers agree but for the last digit, which may turn on the size of the batch.
fn check_alike(a: &Value, b: &Value) {
    let (a, b) = (&a["sold"], &b["sold"]);
    assert_eq!(a["prediction"], b["prediction"]);
    let share = |answer: &Value| answer["probabilities"]["yes"].as_f64().unwrap();
    assert!((share(a) - share(b)).abs() < 1e-5, "{a} {b}");
}

#[test]
fn a_trained_model_is_served_as_it_was_tested_until_the_signal_to_stop() {
    let folder = tempfile::tempdir().unwrap();
    let bundle = train(folder.path());
    let predictor = Predictor::load(&bundle).unwrap();
    let tokenizer = std::fs::read(bundle.join("bundle/tokenizer.json")).unwrap();
    assert_eq!(serde_json::from_slice::<Value>(&tokenizer).unwrap()["model"]["type"], "WordPiece");
    let settings = Settings { address: ([127, 0, 0, 1], 0).into(), ..Settings::default() };
    let (ready, bound) = mpsc::channel();
    let served = Predictor::load(&bundle).unwrap();
    let server = thread::spawn(move || serve(served, settings, |address| ready.send(address).unwrap()));
    let address = bound.recv().unwrap();
    let mut client = Client::connect(address);
    let mut post = |path: &str, body: &Value| client.ask("POST", path, &[], body.to_string().as_bytes());

    let row = json!({"size": 70.5, "rooms": 3, "color": "red", "day": "2021-03-04", "wishes": ["sun"],
        "remark": "quiet"});
    let answer = predictor.predict(std::slice::from_ref(&row)).unwrap().remove(0);
    assert!(["yes", "no"].contains(&answer["sold"]["prediction"].as_str().unwrap()));
    assert_eq!(post("/predict", &row).json(), answer);
    let both = post("/predict", &json!([row, row])).json();
    assert_eq!(both.as_array().unwrap().len(), 2);
    both.as_array().unwrap().iter().for_each(|other| check_alike(other, &answer));

    // The same class in every spelling; the target is passed over; empty and `null` are missing.
    for rooms in [json!(3.0), json!("3")] {
        let mut other = row.clone();
        other["rooms"] = rooms;
        other["sold"] = json!("yes");
        assert_eq!(post("/predict", &other).json(), answer);
    }
    let empty = json!({"size": "", "rooms": null, "color": "", "day": null, "wishes": "",
        "remark": ""});
    assert_eq!(post("/predict", &empty).status, 200);

    // A form, in which the remark is a file.
    let remark = "remark\"; filename=\"remark.txt";
    let parts = [
        ("size", "70.5"),
        ("rooms", "3"),
        ("color", "red"),
        ("day", "2021-03-04"),
        ("wishes", "sun"),
        (remark, "quiet"),
    ];
    let form: String = parts
        .iter()
        .map(|(name, value)| {
            format!("--edge\r\nContent-Disposition: form-data; name=\"{name}\"\r\n\r\n{value}\r\n")
        })
        .collect();
    let kind = ("Content-Type", "multipart/form-data; boundary=edge");
    let answered =
        Client::connect(address).ask("POST", "/predict", &[kind], format!("{form}--edge--\r\n").as_bytes());
    assert_eq!(answered.json(), answer);

    // A text as a list of its words.
    let [text, list] = [json!("near the park"), json!(["near", "the", "park"])].map(|remark| {
        let mut other = row.clone();
        other["remark"] = remark;
        post("/predict", &other).json()
    });
    assert_eq!(text, list);

    // A text of unknown tokens alone, one of white space, and long ones.
    let mut say = |remark: String| {
        let mut other = row.clone();
        other["remark"] = remark.into();
        post("/predict", &other)
    };
    for remark in ["☃ 🦄 qqq 龍", " \t ", "&#99999999; <b>"] {
        assert_eq!(say(remark.to_owned()).status, 200, "{remark}");
    }
    assert_eq!(say("bright ".repeat(140_000)).status, 200);
    let long = say("é".repeat(1_000_001));
    assert_eq!(long.status, 422);
    assert_eq!(long.json()["problems"][0]["column"], "remark", "{}", long.text());
    assert_eq!(say("bright ".repeat(2_000_000)).status, 413);
    let mut client = Client::connect(address);
    let mut post = |path: &str, body: &Value| client.ask("POST", path, &[], body.to_string().as_bytes());

    let faulty = json!({"size": "big", "rooms": 3, "colour": "red", "day": "someday", "wishes": [],
        "remark": ""});
    let faulty = post("/predict", &faulty);
    assert_eq!(faulty.status, 422);
    let problems = faulty.json()["problems"].clone();
    let mut named: Vec<&str> =
        problems.as_array().unwrap().iter().filter_map(|problem| problem["column"].as_str()).collect();
    named.sort_unstable();
    assert_eq!(named, ["color", "colour", "day", "size"], "{problems}");

    // The examples that the server gives of itself are answered.
    let api = client.ask("GET", "/openapi.json", &[], b"").json();
    let remark = &api["components"]["schemas"]["Row"]["properties"]["remark"];
    assert_eq!(remark["anyOf"][1]["items"], json!({"type": "string"}), "a text may be a list: {remark}");
    for (path, calls) in api["paths"].as_object().unwrap() {
        let Some(content) = calls.pointer("/post/requestBody/content/application~1json") else { continue };
        let examples = &content["examples"];
        let examples = [&content["example"], &examples["one"]["value"], &examples["list"]["value"]];
        for example in examples.into_iter().filter(|example| !example.is_null()) {
            let answer = client.ask("POST", path, &[], example.to_string().as_bytes());
            assert_eq!(answer.status, 200, "{path}: {}", answer.text());
        }
    }
    let page = client.ask("GET", "/", &[], b"");
    assert!(page.text().contains("<title>flats 房</title>"));

    let killed = Command::new("kill").args(["-TERM", &process::id().to_string()]).status().unwrap();
    assert!(killed.success());
    server.join().unwrap().unwrap();
    assert!(client.receive(false).is_none());
}
