//! Per output: metrics beside baselines, the table of classes, the worst rows.

use minijinja::{Value, context};
use outset_spec::record::{Details, RunRecord, Threshold};

use super::{Figure, of, summary};
use crate::format;
use crate::plots::Subject;
use crate::run::Run;

/// Columns of inputs that the table of the worst rows shows at most.
const MAX_INPUTS: usize = 8;
/// Rows that it shows at most.
const MAX_WORST: usize = 20;

/// Every output that metrics or details speak of.
pub fn outputs(run: &Run, figures: &[Figure<'_>]) -> Vec<Value> {
    let record = &run.record;
    let mut names: Vec<&String> = Vec::new();
    let measured = record.metrics.values().flat_map(|part| part.keys());
    let drawn = run.predictions.iter().map(|predicted| &predicted.output);
    for name in measured.chain(record.details.keys()).chain(drawn) {
        if name != "loss" && !names.contains(&name) {
            names.push(name);
        }
    }
    names.into_iter().map(|name| output(record, name, of(figures, Subject::Output(name)))).collect()
}

fn output(record: &RunRecord, name: &str, figures: Vec<Value>) -> Value {
    let details = record.details.get(name);
    context! {
        name,
        figures,
        metrics => metrics(record, name),
        positive => details.and_then(|details| details.positive.as_deref()),
        threshold => details.and_then(|details| details.threshold.as_ref()).map(|threshold| at(record, name, threshold)),
        per_class => details.and_then(per_class),
        worst => details.and_then(|details| worst(record, details)),
    }
}

/// One row a metric: test, its interval, the other parts, the baselines.
fn metrics(record: &RunRecord, output: &str) -> Value {
    let of_part = |part: &str, metric: &str| {
        record.metrics.get(part).and_then(|outputs| outputs.get(output)?.get(metric).copied())
    };
    let mut names: Vec<&String> = Vec::new();
    for part in ["test", "val", "train"] {
        for metric in record
            .metrics
            .get(part)
            .and_then(|outputs| outputs.get(output))
            .into_iter()
            .flat_map(|metrics| metrics.keys())
        {
            if !names.contains(&metric) {
                names.push(metric);
            }
        }
    }
    let parts: Vec<&str> = ["val", "train"]
        .into_iter()
        .filter(|part| names.iter().any(|metric| of_part(part, metric).is_some()))
        .collect();
    let rows = names.iter().map(|metric| {
        let help = record.metric_help.get(*metric);
        let test = of_part("test", metric);
        // Not for a difference that three digits don't show: it would say more than the figures bear.
        let beats = |value: f64| match (help.and_then(|help| help.higher_is_better), test) {
            (Some(higher), Some(test)) => {
                let differ = format::significant(value, 3) != format::significant(test, 3);
                differ && (value > test) == higher
            }
            _ => false,
        };
        let baselines = record.baselines.values().map(|parts| {
            let value = parts.get("test").and_then(|outputs| outputs.get(output)?.get(*metric).copied());
            context! { value => shown(value), beats => value.is_some_and(beats) }
        });
        let interval = summary::interval(record, output, metric);
        context! {
            name => metric.as_str(),
            meaning => help.map(|help| help.meaning.as_str()),
            test => shown(test),
            interval => interval.map(|[low, high]| format!("{} to {}", format::number(low), format::number(high))),
            parts => parts.iter().map(|part| shown(of_part(part, metric))).collect::<Vec<_>>(),
            baselines => baselines.collect::<Vec<_>>(),
        }
    });
    let rows: Vec<Value> = rows.collect();
    context! { rows, parts => owned(parts), baselines => owned(record.baselines.keys()) }
}

/// The metrics at a chosen threshold beside those at 0.5.
fn at(record: &RunRecord, output: &str, threshold: &Threshold) -> Value {
    let usual = record.metrics.get("test").and_then(|outputs| outputs.get(output));
    let rows = threshold.metrics.iter().map(|(metric, value)| {
        let half = usual.and_then(|metrics| metrics.get(metric).copied());
        vec![metric.clone(), format::number(*value), shown(half)]
    });
    context! {
        value => format::number(threshold.value),
        chosen_by => &threshold.chosen_by,
        rows => rows.collect::<Vec<_>>(),
    }
}

fn per_class(details: &Details) -> Option<Value> {
    let mut columns: Vec<&String> = Vec::new();
    for column in details.per_class.values().flat_map(|values| values.keys()) {
        if !columns.contains(&column) {
            columns.push(column);
        }
    }
    let rows = details.per_class.iter().map(|(name, values)| {
        let values = columns.iter().map(|column| shown(values.get(*column).copied()));
        let positive = details.positive.as_ref() == Some(name);
        context! { name => name.as_str(), positive, values => values.collect::<Vec<_>>() }
    });
    let rows: Vec<Value> = rows.collect();
    let of_tags = details.kind == "tags";
    let note = if of_tags {
        "Precision: of the entities that the model marked with the type, the share that are right, ends included. Recall: of \
         the entities of the type, the share that it found. F1 weighs both."
    } else {
        "Precision: of the rows that the model put in the class, the share that belong there. Recall: of the rows that \
         belong there, the share that it found. F1 weighs both."
    };
    let title = if of_tags { "Types" } else { "Classes" };
    (!rows.is_empty()).then(|| context! { title, note, columns => owned(columns), rows })
}

fn worst(record: &RunRecord, details: &Details) -> Option<Value> {
    if details.worst.is_empty() {
        return None;
    }
    let inputs = shown_inputs(record, details);
    let rows = details.worst.iter().take(MAX_WORST).map(|row| {
        let inputs = inputs.iter().map(|input| row.inputs.get(*input).map_or("", String::as_str));
        context! {
            row => format::count(row.row as u64),
            actual => &row.actual,
            prediction => &row.prediction,
            loss => format::number(row.loss),
            inputs => owned(inputs),
        }
    });
    let all = details.worst.iter().map(|row| row.inputs.len()).max().unwrap_or(0);
    let by = if details.kind == "tags" { "most entities missed or made up" } else { "the largest loss" };
    let mut note = format!(
        "The test rows with {by}, numbered as in the source. Look for wrong labels, odd values, or a group that the data \
         has too little of."
    );
    if all > inputs.len() {
        note += &format!(" Of {all} inputs, the {} that matter most are shown.", inputs.len());
    }
    let rows: Vec<Value> = rows.collect();
    Some(context! { note, inputs => owned(inputs), rows })
}

/// The inputs worth a column: the most important ones, in the order of the source.
fn shown_inputs<'a>(record: &RunRecord, details: &'a Details) -> Vec<&'a String> {
    let mut inputs: Vec<&String> = Vec::new();
    for input in details.worst.iter().flat_map(|row| row.inputs.keys()) {
        if !inputs.contains(&input) {
            inputs.push(input);
        }
    }
    let importance = |name: &String| {
        let column = record.data.columns.iter().find(|column| column.name == *name);
        column.and_then(|column| column.importance).unwrap_or(0.0)
    };
    let mut ranked = inputs.clone();
    ranked.sort_by(|first, second| importance(second).total_cmp(&importance(first)));
    ranked.truncate(MAX_INPUTS);
    inputs.retain(|input| ranked.contains(input));
    inputs
}

/// Texts as the template holds them.
fn owned(texts: impl IntoIterator<Item = impl AsRef<str>>) -> Vec<Value> {
    texts.into_iter().map(|text| Value::from(text.as_ref())).collect()
}

/// A number for a cell; a dash where there is none.
fn shown(value: Option<f64>) -> String {
    value.map_or_else(|| "–".into(), format::number)
}
