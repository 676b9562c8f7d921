//! The server's figures, in the text format of Prometheus.

use crate::app::Model;
use serde_json::Value;
use std::collections::{BTreeMap, HashMap};
use std::fmt::Write as _;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// Upper bounds of the latency histogram, in seconds.
const BOUNDS: [f64; 14] =
    [0.000_25, 0.000_5, 0.001, 0.002, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0];
/// Classes of an output up to which predictions are counted by class.
const MAX_CLASSES: usize = 100;

/// Counts since the server started.
#[derive(Default)]
pub(crate) struct Metrics {
    model: Model,
    started: f64,
    running: AtomicU64,
    connections: AtomicU64,
    rows: AtomicU64,
    batches: AtomicU64,
    requests: Mutex<BTreeMap<(&'static str, u16), u64>>,
    latency: Mutex<BTreeMap<&'static str, Histogram>>,
    /// By output and class, for outputs of few classes.
    predictions: Mutex<HashMap<String, BTreeMap<String, u64>>>,
}

#[derive(Clone, Default)]
struct Histogram {
    counts: [u64; BOUNDS.len()],
    total: u64,
    seconds: f64,
}

/// Something under way; counted until dropped.
pub(crate) struct Running<'a>(&'a AtomicU64);

impl Drop for Running<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Relaxed);
    }
}

impl Metrics {
    pub fn new(model: &Model) -> Self {
        let counted =
            model.signature.outputs.iter().filter(|output| (1..=MAX_CLASSES).contains(&output.classes.len()));
        let zeros = |classes: &[String]| classes.iter().map(|class| (class.clone(), 0)).collect();
        let predictions = counted.map(|output| (output.name.clone(), zeros(&output.classes))).collect();
        let started = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0.0, |time| time.as_secs_f64());
        Self { model: model.clone(), started, predictions: Mutex::new(predictions), ..Self::default() }
    }

    /// Counts a request as under way.
    pub fn begin(&self) -> Running<'_> {
        self.running.fetch_add(1, Relaxed);
        Running(&self.running)
    }

    /// Counts a connection as open.
    pub fn connect(&self) -> Running<'_> {
        self.connections.fetch_add(1, Relaxed);
        Running(&self.connections)
    }

    /// Counts a request that was answered.
    pub fn request(&self, route: &'static str, status: u16, took: Duration) {
        *locked(&self.requests).entry((route, status)).or_default() += 1;
        let mut latency = locked(&self.latency);
        let histogram = latency.entry(route).or_default();
        let seconds = took.as_secs_f64();
        if let Some(bound) = BOUNDS.iter().position(|bound| seconds <= *bound) {
            histogram.counts[bound] += 1;
        }
        histogram.total += 1;
        histogram.seconds += seconds;
    }

    /// Counts a batch that the model answered.
    pub fn answered(&self, answers: &[Value]) {
        self.batches.fetch_add(1, Relaxed);
        self.rows.fetch_add(answers.len() as u64, Relaxed);
        let mut predictions = locked(&self.predictions);
        for (output, classes) in predictions.iter_mut() {
            let mut count = |class: &Value| {
                if let Some(count) = class.as_str().and_then(|class| classes.get_mut(class)) {
                    *count += 1;
                }
            };
            for answer in answers {
                match &answer[output]["prediction"] {
                    Value::Array(labels) => labels.iter().for_each(&mut count),
                    class => count(class),
                }
            }
        }
    }

    /// Writes everything; `body_bytes` are those of the bodies of requests that are held.
    pub fn render(&self, body_bytes: usize) -> String {
        let mut text = Page(String::with_capacity(4096));
        let Model { name, version, trained_by, .. } = &self.model;
        text.head("outset_build_info", "gauge", "Version of the server.");
        text.line("outset_build_info", &[("version", env!("CARGO_PKG_VERSION"))], 1);
        text.head("outset_model_info", "gauge", "The served model.");
        text.line(
            "outset_model_info",
            &[("name", name), ("version", version), ("trained_by", trained_by)],
            1,
        );
        text.head("process_start_time_seconds", "gauge", "Start of the process in Unix time.");
        text.line("process_start_time_seconds", &[], self.started);
        text.head("outset_connections", "gauge", "Open connections.");
        text.line("outset_connections", &[], self.connections.load(Relaxed));
        text.head("outset_requests_in_progress", "gauge", "Requests under way.");
        text.line("outset_requests_in_progress", &[], self.running.load(Relaxed));
        text.head("outset_body_bytes", "gauge", "Bytes of the bodies of requests under way.");
        text.line("outset_body_bytes", &[], body_bytes);
        text.head("outset_requests_total", "counter", "Requests answered, by route and status.");
        for ((route, status), count) in locked(&self.requests).iter() {
            text.line("outset_requests_total", &[("route", route), ("status", &status.to_string())], count);
        }
        text.head("outset_request_seconds", "histogram", "Time from a request's head to its answer.");
        for (route, histogram) in locked(&self.latency).iter() {
            text.histogram("outset_request_seconds", route, histogram);
        }
        text.head("outset_rows_total", "counter", "Rows that the model answered.");
        text.line("outset_rows_total", &[], self.rows.load(Relaxed));
        text.head(
            "outset_batches_total",
            "counter",
            "Times that the model was asked; requests that wait are joined.",
        );
        text.line("outset_batches_total", &[], self.batches.load(Relaxed));
        text.head("outset_predictions_total", "counter", "Predictions by output and class.");
        let predictions = locked(&self.predictions);
        for output in &self.model.signature.outputs {
            for (class, count) in predictions.get(&output.name).into_iter().flatten() {
                text.line("outset_predictions_total", &[("output", &output.name), ("class", class)], count);
            }
        }
        text.0
    }
}

/// A panic elsewhere leaves counts as good as before.
fn locked<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
}

struct Page(String);

impl Page {
    fn head(&mut self, name: &str, kind: &str, help: &str) {
        let _ = writeln!(self.0, "# HELP {name} {help}\n# TYPE {name} {kind}");
    }

    fn line(&mut self, name: &str, labels: &[(&str, &str)], value: impl std::fmt::Display) {
        self.0.push_str(name);
        for (index, (label, value)) in labels.iter().enumerate() {
            let value = value.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n");
            let _ = write!(self.0, "{}{label}=\"{value}\"", if index == 0 { '{' } else { ',' });
        }
        let _ = writeln!(self.0, "{} {value}", if labels.is_empty() { "" } else { "}" });
    }

    fn histogram(&mut self, name: &str, route: &str, histogram: &Histogram) {
        let mut below = 0;
        for (bound, count) in BOUNDS.iter().zip(histogram.counts) {
            below += count;
            self.line(&format!("{name}_bucket"), &[("route", route), ("le", &bound.to_string())], below);
        }
        self.line(&format!("{name}_bucket"), &[("route", route), ("le", "+Inf")], histogram.total);
        self.line(&format!("{name}_sum"), &[("route", route)], histogram.seconds);
        self.line(&format!("{name}_count"), &[("route", route)], histogram.total);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use outset_data::Signature;
    use outset_data::signature::OutputSignature;
    use serde_json::json;

    #[test]
    fn figures_are_written_for_prometheus() {
        let output = OutputSignature {
            name: "in\"come".to_owned(),
            kind: "category".to_owned(),
            classes: vec!["low".to_owned(), "high".to_owned()],
            ..Default::default()
        };
        let signature = Signature { inputs: vec![], outputs: vec![output] };
        let metrics = Metrics::new(&Model { signature, ..Default::default() });
        metrics.request("/predict", 200, Duration::from_micros(400));
        metrics.request("/predict", 200, Duration::from_secs(60));
        metrics.answered(&[
            json!({"in\"come": {"prediction": "low"}}),
            json!({"in\"come": {"prediction": "low"}}),
        ]);
        let text = metrics.render(5);
        for line in [
            r#"outset_requests_total{route="/predict",status="200"} 2"#,
            r#"outset_request_seconds_bucket{route="/predict",le="0.00025"} 0"#,
            r#"outset_request_seconds_bucket{route="/predict",le="0.0005"} 1"#,
            r#"outset_request_seconds_bucket{route="/predict",le="10"} 1"#,
            r#"outset_request_seconds_bucket{route="/predict",le="+Inf"} 2"#,
            r#"outset_request_seconds_sum{route="/predict"} 60.0004"#,
            "outset_rows_total 2",
            r#"outset_predictions_total{output="in\"come",class="low"} 2"#,
            r#"outset_predictions_total{output="in\"come",class="high"} 0"#,
        ] {
            assert!(text.lines().any(|found| found == line), "no `{line}` in\n{text}");
        }
    }
}
