//! The model card: what the model is for, what it was trained on, how good it is and where it may fail.
//!
//! After Mitchell et al. 2019, <https://arxiv.org/abs/1810.03993>.

use crate::bundle::Manifest;
use crate::verdict::number;
use outset_spec::record::RunRecord;
use std::fmt::Write as _;

/// Writes the card of a bundle.
pub fn card(manifest: &Manifest, record: &RunRecord) -> String {
    let mut card = format!("# {}\n\n", manifest.name);
    for sentence in &record.verdict {
        let _ = writeln!(card, "{sentence}");
    }
    let _ = writeln!(card, "\n## What it does\n");
    let names = |columns: Vec<(&str, &str)>| {
        columns.into_iter().map(|(name, kind)| format!("`{name}` ({kind})")).collect::<Vec<_>>().join(", ")
    };
    let inputs =
        manifest.signature.inputs.iter().map(|input| (input.name.as_str(), input.kind.as_str())).collect();
    let outputs = manifest
        .signature
        .outputs
        .iter()
        .map(|output| (output.name.as_str(), output.kind.as_str()))
        .collect();
    let _ = writeln!(card, "- predicts {}", names(outputs));
    let _ = writeln!(card, "- from {}", names(inputs));
    let _ = writeln!(card, "- with a {} of {} parameters", record.model.kind, record.model.parameters);
    let _ = writeln!(card, "\n## What it was trained on\n");
    let parts: Vec<String> = record.data.parts.iter().map(|(part, rows)| format!("{rows} {part}")).collect();
    let _ =
        writeln!(card, "{} rows ({}), divided {}.", record.data.rows, parts.join(", "), record.data.split);
    for column in record.data.columns.iter().filter(|column| column.role == "left out") {
        let _ = writeln!(card, "- `{}` was left out: {}", column.name, column.reason);
    }
    let _ = writeln!(card, "\n## How good it is\n\nOn the test part, looked at once:\n");
    for (output, metrics) in &manifest.metrics {
        let _ = writeln!(card, "| {output} | value | 95 % interval |\n|---|---|---|");
        for (metric, value) in metrics {
            let interval = record.intervals.get("test").and_then(|outputs| outputs.get(output)?.get(metric));
            let interval = interval
                .map_or(String::new(), |[low, high]| format!("{} to {}", number(*low), number(*high)));
            let _ = writeln!(card, "| {metric} | {} | {interval} |", number(*value));
        }
        card.push('\n');
    }
    let _ = writeln!(
        card,
        "## Limits\n\nThe figures hold for rows like those it was trained on. Values that never occurred in training, other \
         places, other times and other groups of people may be answered worse; test it on such rows before you rely on it."
    );
    let _ = writeln!(card, "\nMade with Outset {}, seed {}.", record.version, record.seed);
    card
}
