//! The server over real sockets, with a model that stands in for a trained one: it can be told to dawdle or to panic.

mod browser;
mod client;
mod describe;
mod hostile;
mod load;
mod predict;
mod shutdown;
mod v2;

use crate::Settings;
use crate::app::{App, Model};
use crate::queue::{Answer, Failure};
use crate::refusal::Problem;
use crate::server::{Stop, run};
use client::{Client, Response};
use outset_data::Signature;
use outset_data::signature::{InputSignature, OutputSignature};
use serde_json::{Value, json};
use std::net::SocketAddr;
use std::sync::mpsc;
use std::thread::{self, JoinHandle};
use std::time::Duration;
use tokio::sync::mpsc::UnboundedSender;

fn strings(names: &[&str]) -> Vec<String> {
    names.iter().map(|name| (*name).to_owned()).collect()
}

/// A column of each kind in, an output of each kind out.
fn model() -> Model {
    let input = |name: &str, kind: &str| InputSignature {
        name: name.into(),
        kind: kind.into(),
        ..Default::default()
    };
    let output = |name: &str, kind: &str, classes: &[&str]| OutputSignature {
        name: name.into(),
        kind: kind.into(),
        classes: strings(classes),
        ..Default::default()
    };
    let inputs = vec![
        InputSignature {
            minimum: Some(17.0),
            maximum: Some(90.0),
            median: Some(37.0),
            decimals: Some(0),
            example: json!(37),
            ..input("age", "number")
        },
        InputSignature {
            classes: strings(&["clerk", "it's \"quoted\" <b>", "老师"]),
            class_total: 3,
            example: json!("clerk"),
            ..input("job", "category")
        },
        InputSignature {
            classes: strings(&["red", "green"]),
            class_total: 2,
            format: Some(";".into()),
            example: json!(["red"]),
            ..input("likes", "set")
        },
        InputSignature {
            format: Some("year-month-day".into()),
            example: json!("2020-02-29"),
            ..input("born", "date")
        },
    ];
    let price =
        OutputSignature { minimum: Some(0.0), maximum: Some(100.0), ..output("price", "number", &[]) };
    let outputs =
        vec![output("income", "category", &["<=50K", ">50K"]), price, output("colors", "set", &["a", "b"])];
    Model {
        name: "toy 模型".into(),
        version: "abc123".into(),
        trained_by: "0.1.0".into(),
        signature: Signature { inputs, outputs },
    }
}

/// Answers as a predictor does; `job` may be `panic` or `dawdle`.
fn answer(rows: &[Value]) -> Answer {
    let mut problems = Vec::new();
    for (row, value) in rows.iter().enumerate() {
        let mut problem = |column: &str, problem: String| {
            problems.push(Problem { row, column: Some(column.to_owned()), problem, hint: None });
        };
        for input in ["age", "job", "likes", "born"] {
            if value.get(input).is_none() {
                problem(input, format!("`{input}` is missing"));
            }
        }
        if value["age"].is_string() {
            problem("age", "`age` is a text, but must be a finite number".to_owned());
        }
        for key in value.as_object().unwrap().keys() {
            if !["age", "job", "likes", "born", "id"].contains(&key.as_str()) {
                problem(key, format!("`{key}` is unknown"));
            }
        }
    }
    if !problems.is_empty() {
        return Err(Failure::Rows { problems, more: 0 });
    }
    assert!(!rows.iter().any(|row| row["job"] == "panic"), "told to panic");
    if rows.iter().any(|row| row["job"] == "dawdle") {
        thread::sleep(Duration::from_millis(700));
    }
    let answer = |row: &Value| {
        let age = row["age"].as_f64().unwrap_or(37.0);
        let rich = (age / 100.0).clamp(0.0, 1.0);
        json!({
            "income": {
                "prediction": if rich > 0.5 { ">50K" } else { "<=50K" },
                "probabilities": { ">50K": rich, "<=50K": 1.0 - rich },
            },
            "price": { "prediction": age },
            "colors": { "prediction": ["a"], "probabilities": { "a": 0.75, "b": 0.25 } },
        })
    };
    Ok(rows.iter().map(answer).collect())
}

/// A row that the model takes.
fn row(age: f64) -> Value {
    json!({"age": age, "job": "clerk", "likes": ["red"], "born": "2020-02-29"})
}

/// A running server; stops when dropped.
struct Server {
    address: SocketAddr,
    stop: UnboundedSender<()>,
    thread: Option<JoinHandle<()>>,
}

impl Server {
    fn start() -> Self {
        Self::with(|_| {})
    }

    fn with(change: impl FnOnce(&mut Settings)) -> Self {
        let mut settings = Settings { address: ([127, 0, 0, 1], 0).into(), ..Settings::default() };
        change(&mut settings);
        let (stop, told) = tokio::sync::mpsc::unbounded_channel();
        let (ready, bound) = mpsc::channel();
        let thread = thread::spawn(move || {
            let app = App::new(model(), answer, &settings).unwrap();
            run(app, &settings, |address| ready.send(address).unwrap(), || Ok(Stop::when(told))).unwrap();
        });
        Self { address: bound.recv().unwrap(), stop, thread: Some(thread) }
    }

    fn connect(&self) -> Client {
        Client::connect(self.address)
    }

    fn get(&self, path: &str) -> Response {
        self.connect().ask("GET", path, &[], b"")
    }

    fn post(&self, path: &str, body: &[u8]) -> Response {
        self.connect().ask("POST", path, &[("Content-Type", "application/json")], body)
    }

    fn predict(&self, body: &Value) -> Response {
        self.post("/predict", body.to_string().as_bytes())
    }

    /// The server still answers after whatever was done to it.
    fn check_alive(&self) {
        assert_eq!(self.predict(&row(60.0)).json()["income"]["prediction"], ">50K");
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.stop.send(());
        if let Some(thread) = self.thread.take() {
            let ended = thread.join();
            assert!(ended.is_ok() || thread::panicking(), "the server panicked");
        }
    }
}
