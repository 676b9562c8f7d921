//! `outset compare`.

use super::Failure;
use crate::printer::{Printer, clock, count};
use outset_learn::run::read_record;
use outset_learn::verdict::number;
use outset_spec::Table;
use outset_spec::record::RunRecord;
use outset_spec::state::differences;
use serde_json::json;
use std::path::Path;

/// Shows what differs between two runs: settings, data, metrics, time.
pub fn compare(a: &Path, b: &Path, printer: &Printer) -> Result<(), Failure> {
    let (first, second) = (read_record(a)?, read_record(b)?);
    let mut settings = Vec::new();
    for (path, _) in [(a, 0), (b, 1)] {
        let file = path.join("experiment.toml");
        let text = std::fs::read_to_string(&file)
            .map_err(|error| Failure::wrong(format!("cannot read `{}`: {error}", file.display())))?;
        settings.push(Table::parse(&file.display().to_string(), &text)?.to_json());
    }
    let differing = differences(&settings[0], &settings[1]);
    let same_data = first.data.is_same(&second.data);
    let rows = metrics(&first, &second);
    if printer.is_json() {
        let values: Vec<_> =
            rows.iter().map(|row| json!({ "metric": row.0, "a": row.1, "b": row.2 })).collect();
        printer.object(&json!({
            "event": "compared",
            "settings": differing,
            "same_data": same_data,
            "metrics": values,
            "seconds": [first.timings.get("total"), second.timings.get("total")],
            "parameters": [first.model.parameters, second.model.parameters],
        }));
        return Ok(());
    }
    let name = |path: &Path| path.display().to_string();
    let mut table = vec![["".to_owned(), name(a), name(b), "difference".to_owned()]];
    for (metric, a, b) in rows {
        let show = |value: Option<f64>| value.map_or_else(|| "–".to_owned(), number);
        let difference = a.zip(b).map(|(a, b)| b - a);
        table.push([metric, show(a), show(b), show(difference)]);
    }
    let seconds = |record: &RunRecord| record.timings.get("total").copied().unwrap_or(0.0);
    table.push(["time".to_owned(), clock(seconds(&first)), clock(seconds(&second)), String::new()]);
    let parameters = [first.model.parameters, second.model.parameters].map(count);
    table.push(["parameters".to_owned(), parameters[0].clone(), parameters[1].clone(), String::new()]);
    printer.table(&table);
    let data = if same_data { "the same rows" } else { "different rows: the metrics are not comparable" };
    printer.answer(&format!("\ndata       {data}\n"));
    if differing.is_empty() {
        printer.answer("settings   the same\n");
    }
    for (index, difference) in differing.iter().enumerate() {
        printer.answer(&format!("{}{difference}\n", if index == 0 { "settings   " } else { "           " }));
    }
    Ok(())
}

/// Every metric on val and test that either run has.
fn metrics(a: &RunRecord, b: &RunRecord) -> Vec<(String, Option<f64>, Option<f64>)> {
    let value = |record: &RunRecord, part: &str, output: &str, metric: &str| {
        record.metrics.get(part)?.get(output)?.get(metric).copied()
    };
    let mut rows: Vec<(String, Option<f64>, Option<f64>)> = Vec::new();
    for record in [a, b] {
        for (part, outputs) in record.metrics.iter().filter(|(part, _)| part.as_str() != "train") {
            for (output, metrics) in outputs {
                for metric in metrics.keys() {
                    let name = format!("{part}/{output}/{metric}");
                    if rows.iter().all(|row| row.0 != name) {
                        let of = |record| value(record, part, output, metric);
                        rows.push((name, of(a), of(b)));
                    }
                }
            }
        }
    }
    rows
}
