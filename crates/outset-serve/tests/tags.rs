//! A model of tags behind the real server: texts and lists of words over a socket, and what it tells of itself.

#[path = "../src/tests/client.rs"]
#[expect(dead_code, reason = "shared with the unit tests, which use all of it")]
mod client;

use client::Client;
use outset_learn::predict::Predictor;
use outset_learn::run::{Options, run};
use outset_serve::{Settings, serve};
use outset_spec::Experiment;
use serde_json::{Value, json};
use std::path::{Path, PathBuf};
use std::process::{self, Command};
use std::sync::atomic::AtomicBool;
use std::sync::mpsc;
use std::thread;

/// Trains a tiny model; returns its run folder.
fn train(folder: &Path) -> PathBuf {
    let mut lines = String::new();
    for row in 0..240 {
        let name = ["Ada", "罗马", "Bob", "Oslo", "Eve"][row % 5];
        // No two are alike, for those would all go to one part.
        let text = [
            format!("{row} it rains in {name}"),
            format!("{row} so says {name}"),
            format!("{row} nothing new"),
        ];
        let kind = ["place", "person"].get(row % 3);
        let end = text[row % 3].chars().count();
        let spans: Vec<Value> = kind
            .iter()
            .map(|kind| json!({"start": end - name.chars().count(), "end": end, "type": kind}))
            .collect();
        lines.push_str(&format!("{}\n", json!({"text": text[row % 3], "marks": spans})));
    }
    std::fs::write(folder.join("notes.jsonl"), lines).unwrap();
    let text = r#"
        name = "notes"
        data = { source = "notes.jsonl" }
        inputs = { text = "text" }
        outputs = { marks = "tags" }
        model = { size = "tiny" }
        [train]
        epochs = 16
        batch_size = 16
        optimizer = { kind = "adamw", learning_rate = 0.01 }
    "#;
    let experiment = Experiment::parse("outset.toml", text, folder, &[]).unwrap();
    let interrupt = AtomicBool::new(false);
    let options = Options::new(folder.join("runs"), &interrupt);
    run(&experiment, &options, &mut |_| {}).unwrap().folder
}

#[test]
fn texts_are_marked_over_the_wire() {
    let folder = tempfile::tempdir().unwrap();
    let bundle = train(folder.path());
    let settings = Settings { address: ([127, 0, 0, 1], 0).into(), ..Settings::default() };
    let (ready, bound) = mpsc::channel();
    let served = Predictor::load(&bundle).unwrap();
    let server = thread::spawn(move || serve(served, settings, |address| ready.send(address).unwrap()));
    let mut client = Client::connect(bound.recv().unwrap());
    let mut post = |path: &str, body: &Value| client.ask("POST", path, &[], body.to_string().as_bytes());

    let place = json!([{"start": 12, "end": 14, "type": "place", "text": "罗马"}]);
    let answer = post("/predict", &json!({"text": "it rains in 罗马"})).json();
    assert_eq!(answer["marks"]["prediction"], place);
    assert_eq!(answer["marks"]["tokens"], json!(["it", "rains", "in", "罗", "马"]));
    assert_eq!(answer["marks"]["tags"], json!(["O", "O", "O", "B-place", "I-place"]));
    let listed = post("/predict", &json!({"text": ["so", "says", "Ada"]})).json();
    assert_eq!(listed["marks"]["tags"], json!(["O", "O", "B-person"]));
    for wrong in [json!({"text": ["so", 3]}), json!({"text": {"so": 1}})] {
        let refused = post("/predict", &wrong);
        assert_eq!(refused.status, 422, "{}", refused.text());
    }
    let tensors = json!({"inputs": [
        {"name": "text", "shape": [1], "datatype": "BYTES", "data": ["it rains in 罗马"]}
    ]});
    let outputs = post("/v2/models/notes/infer", &tensors).json()["outputs"].clone();
    let marks: Value = serde_json::from_str(outputs[0]["data"][0].as_str().unwrap()).unwrap();
    assert_eq!((outputs.as_array().unwrap().len(), marks), (1, place));

    let api = client.ask("GET", "/openapi.json", &[], b"").json();
    let described = &api["components"]["schemas"]["Answer"]["properties"]["marks"]["properties"];
    let mark = &described["prediction"]["items"]["properties"];
    assert_eq!(mark["type"]["enum"], json!(["person", "place"]));
    let page = client.ask("GET", "/", &[], b"");
    assert!(page.text().contains(r#""kind":"tags""#), "the page knows that the answer marks a text");

    let killed = Command::new("kill").args(["-TERM", &process::id().to_string()]).status().unwrap();
    assert!(killed.success());
    server.join().unwrap().unwrap();
}
