//! `outset predict`.

use super::{Failure, with_causes};
use crate::printer::Printer;
use outset_data::{DataError, sources};
use outset_learn::LearnError;
use outset_learn::predict::{PredictError, Predictor, Unanswered};
use serde_json::{Map, Value};
use std::path::Path;

/// Answers the rows of a file, to a file or to standard output; of rows whose picture cannot be used up to the share
/// `max_skipped` go without an answer.
pub fn predict(
    bundle: &Path,
    data: &str,
    output: Option<&Path>,
    max_skipped: f64,
    printer: &Printer,
) -> Result<(), Failure> {
    let predictor = Predictor::load(bundle)?;
    let known = predictor.preprocessor().inputs.keys().cloned().collect();
    let options = sources::Options { known, ..sources::Options::default() };
    let mut loaded =
        sources::open_file(data, Path::new(""), &options, &|_| Vec::new()).map_err(LearnError::from)?;
    predictor.preprocessor().open_pictures(&mut loaded.table, &loaded.files, Path::new(""));
    let table = loaded.table;
    let (answers, unanswered) =
        predictor.predict_usable(&table, max_skipped).map_err(|error| match error {
            PredictError::Data(error @ DataError::TooManySkipped { .. }) => Failure::wrong(format!(
                "cannot answer the rows of `{data}`: {error}"
            ))
            .hint("mend or remove them, or let more of them go without an answer with `--max-skipped`"),
            // Its hint is about the experiment, which no longer matters here.
            PredictError::Data(error) => {
                Failure::wrong(format!("cannot answer the rows of `{data}`: {error}"))
            }
            error => Failure::wrong(with_causes(&error)),
        })?;
    if let Some(unanswered) = unanswered {
        let Unanswered { count, words } = unanswered;
        let rows = if count == 1 { "1 row".to_owned() } else { format!("{count} rows") };
        let more = if words.len() < count { " …" } else { "" };
        printer.say("Note", &format!("{rows} without an answer: {}{more}", words.join(", ")));
    }
    let lines = match output {
        Some(path) => {
            path.extension().is_some_and(|ending| ending == "jsonl" || ending == "json" || ending == "ndjson")
        }
        None => printer.is_json(),
    };
    let mut text = String::new();
    if lines {
        for answer in &answers {
            text.push_str(&answer.to_string());
            text.push('\n');
        }
    } else {
        write_csv(&predictor, &answers, &mut text);
    }
    match output {
        None => printer.answer(&text),
        Some(path) => {
            outset_learn::files::write(path, text.as_bytes())?;
            printer.say(
                "Saved",
                &format!("{} · {} answers", path.display(), crate::printer::count(answers.len())),
            );
        }
    }
    Ok(())
}

/// Row number, prediction and probabilities of each output; the cells of a row without an answer are empty.
fn write_csv(predictor: &Predictor, answers: &[Value], text: &mut String) {
    use outset_learn::files::csv_cell as cell;
    let outputs = &predictor.signature().outputs;
    text.push_str("row");
    for output in outputs {
        text.push_str(&format!(",{}", cell(&format!("{}_prediction", output.name))));
        for class in &output.classes {
            text.push_str(&format!(",{}", cell(&format!("{}_probability_{class}", output.name))));
        }
    }
    text.push('\n');
    for (index, answer) in answers.iter().enumerate() {
        text.push_str(&(index + 1).to_string());
        for output in outputs {
            let empty = Map::new();
            let answer = answer.get(&output.name).and_then(Value::as_object).unwrap_or(&empty);
            let prediction = match answer.get("prediction") {
                Some(Value::String(class)) => class.clone(),
                // Marked parts of a text.
                Some(marks @ Value::Array(_)) if output.kind == "tags" => marks.to_string(),
                Some(Value::Array(labels)) => {
                    labels.iter().filter_map(Value::as_str).collect::<Vec<_>>().join("|")
                }
                Some(number) => number.to_string(),
                None => String::new(),
            };
            text.push_str(&format!(",{}", cell(&prediction)));
            for class in &output.classes {
                let value = answer.get("probabilities").and_then(|probabilities| probabilities.get(class));
                text.push_str(&format!(",{}", value.map_or(String::new(), Value::to_string)));
            }
        }
        text.push('\n');
    }
}
