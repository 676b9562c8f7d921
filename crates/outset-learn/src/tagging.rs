//! Columns of tags on their way into a run: the text that they tag found, one tag given to each of its words.

use crate::columns::Role;
use crate::decoders::tags::tagged;
use crate::error::LearnError;
use crate::evaluate::{Truth, TruthValues};
use crate::event::{Event, Observer};
use crate::prepare::Prepared;
use indexmap::IndexMap;
use outset_data::types::tags::{self, Aligned, Entity, Pair, Reading, Written};
use outset_data::types::text::Scheme;
use outset_data::types::text::units::as_read;
use outset_data::types::{self, ColumnSettings, TagsOutput};
use outset_data::{Cells, DataError, FittedInput, Table};
use outset_spec::problem::quote_list;
use outset_spec::record::FileRecord;
use outset_spec::{Experiment, Problem, Problems, Section, Value};
use serde::Serialize;

/// Puts the tags of every output that is of them beside the words or characters of its text: rewrites the column as one
/// tag for each of them, and writes into both sections what follows from it.
///
/// # Errors
/// If there is no text to tag or more than one, a setting does not go with tags, or a row does not fit.
pub(crate) fn arrange(
    experiment: &Experiment,
    table: &mut Table,
    files: &[FileRecord],
    inputs: &mut IndexMap<String, Section>,
    outputs: &mut IndexMap<String, Section>,
    roles: &mut IndexMap<String, Role>,
    observe: Observer<'_>,
) -> Result<(), LearnError> {
    let only_tags = outputs.values().all(|section| section.kind == "tags");
    let mut tagged: Vec<String> = Vec::new();
    for (name, section) in outputs.iter_mut().filter(|(_, section)| section.kind == "tags") {
        let in_file = |error: DataError| LearnError::from(error.located(files));
        let text = find_text(experiment, table, inputs, name, section)?;
        let input = inputs.entry(text.clone()).or_insert_with(|| Section::of("text"));
        "text".clone_into(&mut input.kind);
        let aligned = align(table, &text, input, name, experiment.data.max_skipped)?.map_err(in_file)?;
        for text in &aligned.notes {
            observe(Event::Note { text: text.clone() });
        }
        settle(&text, input, name, section, &aligned)?;
        table.columns.insert(name.clone(), aligned.cells);
        table.columns.insert(text.clone(), aligned.text);
        roles.insert(
            text.clone(),
            Role { role: "input", kind: "text".to_owned(), reason: format!("the text that `{name}` tags") },
        );
        tagged.push(text);
    }
    if only_tags && !tagged.is_empty() && experiment.inputs.is_none() {
        // What else stands beside a text is mostly another view of it, or of its tags.
        for (name, _) in inputs.iter().filter(|(name, _)| !tagged.contains(name)) {
            let reason = "not needed to tag the text; name it in `[inputs]` to use it".to_owned();
            roles.insert(name.clone(), Role { role: "left out", kind: String::new(), reason });
        }
        inputs.retain(|name, _| tagged.contains(name));
    }
    Ok(())
}

/// The text that an output tags.
fn find_text(
    experiment: &Experiment,
    table: &Table,
    inputs: &IndexMap<String, Section>,
    name: &str,
    section: &Section,
) -> Result<String, LearnError> {
    let fail = |message: String, hint: String| {
        LearnError::from(Problems::from(Problem::new(message).at(section.place.as_ref()).hint(hint)))
    };
    if let Some(Value::String(of)) = section.parameters.get("of").map(|node| &node.value) {
        return match inputs.get(of) {
            Some(_) => Ok(of.clone()),
            None => Err(fail(
                format!("`outputs.{name}.of` is `{of}`, which is no input"),
                format!("the inputs are {}", quote_list(&inputs.keys().collect::<Vec<_>>())),
            )),
        };
    }
    let texts: Vec<&String> =
        inputs.iter().filter(|(_, section)| section.kind == "text").map(|(name, _)| name).collect();
    if let Some(Cells::Text(tags)) = table.get(name) {
        // A list as long as that of the tags in every row is the list of the words.
        let lists = |cells: &Cells| matches!(cells, Cells::Text(text) if tags::same_lengths(text, tags));
        let mut others = table.columns.iter().filter(|(other, _)| may_be_text(experiment, other));
        if let Some((text, _)) = others.find(|(_, cells)| lists(cells)) {
            return Ok(text.clone());
        }
    }
    match texts.as_slice() {
        [text] => Ok((*text).clone()),
        [] => longest(experiment, table).ok_or_else(|| {
            fail(
                format!("`{name}` is of tags, but there is no text that they could be put on"),
                "name the text in `[inputs]` with the type `text`".to_owned(),
            )
        }),
        several => {
            let fits = |text: &&&String| {
                let section = Section::of("text");
                align(table, text, &section, name, experiment.data.max_skipped)
                    .is_ok_and(|found| found.is_ok())
            };
            let fitting: Vec<&&String> = several.iter().filter(fits).collect();
            match fitting.as_slice() {
                [text] => Ok((**text).clone()),
                _ => Err(fail(
                    format!("`{name}` is of tags, but there are several texts that they could be put on"),
                    format!("set `outputs.{name}.of` to one of {}", quote_list(several)),
                )),
            }
        }
    }
}

/// Whether the experiment lets a column be the text that is tagged.
fn may_be_text(experiment: &Experiment, name: &str) -> bool {
    let declared = match &experiment.inputs {
        None => true,
        Some(inputs) => inputs.get(name).is_some_and(|section| ["", "text"].contains(&section.kind.as_str())),
    };
    declared
        && !experiment.outputs.contains_key(name)
        && !experiment.data.exclude.iter().any(|other| other == name)
}

/// The column of text with most characters, where none was taken for text.
fn longest(experiment: &Experiment, table: &Table) -> Option<String> {
    let length = |name: &&String| match table.get(name) {
        Some(Cells::Text(text)) => text.values.iter().map(String::len).sum::<usize>(),
        _ => 0,
    };
    let texts = table.columns.keys().filter(|name| may_be_text(experiment, name) && length(name) > 0);
    texts.max_by_key(length).cloned()
}

/// Aligns a column of tags with its text; the outer error is one of the declaration.
fn align(
    table: &Table,
    text_name: &str,
    input: &Section,
    tags_name: &str,
    max_mended: f64,
) -> Result<Result<Aligned, DataError>, LearnError> {
    let mut problems = Problems::default();
    let mut reader = input.reader("", &mut problems);
    let Some(ColumnSettings::Text(settings)) = types::read_settings("text", &mut reader) else {
        unreachable!("text is a type");
    };
    let by = settings.tokenizer.as_ref().and_then(Scheme::units);
    if let (Some(_), None) = (&settings.tokenizer, by) {
        let message =
            format!("`inputs.{text_name}.tokenizer` does not go with `{tags_name}`, which tags the text");
        return Err(Problems::from(
            Problem::new(message)
                .at(input.place.as_ref())
                .hint("it can be `words`, `characters` or `spaces`"),
        )
        .into());
    }
    let reading = Reading {
        by,
        max_characters: settings.max_characters,
        max_length: settings.longest_aligned(),
        max_mended,
    };
    let (Some(text), Some(tags)) = (table.get(text_name), table.get(tags_name)) else {
        return Err(
            DataError::MissingColumns { columns: vec![text_name.to_owned()], known: Vec::new() }.into()
        );
    };
    Ok(tags::align(Pair { text_name, text, tags_name, tags }, reading))
}

/// Writes into both sections what was found.
fn settle(
    text_name: &str,
    input: &mut Section,
    tags_name: &str,
    output: &mut Section,
    aligned: &Aligned,
) -> Result<(), LearnError> {
    let is = |section: &Section, key: &str| section.parameters.get(key).map(|node| node.value.clone());
    if is(input, "html") == Some(Value::Boolean(true)) {
        let message = format!(
            "`inputs.{text_name}.html` is `true`, but `{tags_name}` tags the text, whose places must stay as they are"
        );
        return Err(
            Problems::from(Problem::new(message).at(input.place.as_ref()).hint("set it to `false`")).into()
        );
    }
    input.parameters.put("html", false);
    input.parameters.put("aligned", true);
    input.parameters.put("tokenizer", aligned.by.word());
    output.parameters.put("of", text_name);
    if aligned.written == Written::Plain {
        if let Some(Value::String(scheme)) = is(output, "scheme")
            && scheme != "plain"
        {
            let message = format!(
                "`outputs.{tags_name}.scheme` is `{scheme}`, but its tags do not say where entities begin and end"
            );
            let hint = "set it to `plain`, or write tags such as `B-name` and `I-name`";
            return Err(Problems::from(Problem::new(message).at(output.place.as_ref()).hint(hint)).into());
        }
        output.parameters.put("scheme", "plain");
    }
    Ok(())
}

/// The actual entities of a row in words; `None` for another output.
pub(crate) fn actual(prepared: &Prepared, truth: &Truth, row: u32) -> Option<String> {
    let TruthValues::Tags { output, offsets, tags } = &truth.values else { return None };
    let of_row = &tags[offsets[row as usize]..offsets[row as usize + 1]];
    Some(in_words(prepared, output, row, of_row))
}

/// The answered entities of a row in words; `None` for another output.
pub(crate) fn predicted(prepared: &Prepared, truth: &Truth, row: u32, answer: &[f64]) -> Option<String> {
    let TruthValues::Tags { output, .. } = &truth.values else { return None };
    Some(in_words(prepared, output, row, &tagged(answer).tags))
}

/// `name: Ada Byron · place: London`; of plain labels those of all words.
fn in_words(prepared: &Prepared, output: &TagsOutput, row: u32, tags: &[u32]) -> String {
    if output.is_plain() {
        return output.iob2(tags).join(" ");
    }
    let text = prepared.table.get(&output.of).and_then(|cells| cells.text(row as usize)).unwrap_or_default();
    let marks = marks(prepared.preprocessor.inputs.get(&output.of), output, &text, tags);
    if marks.is_empty() {
        return "nothing".to_owned();
    }
    let words: Vec<String> = marks.iter().map(|mark| format!("{}: {}", mark.kind, mark.text)).collect();
    words.join(" · ")
}

/// A marked part of a text.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(crate) struct Mark {
    pub start: usize,
    pub end: usize,
    #[serde(rename = "type")]
    pub kind: String,
    pub text: String,
}

/// The entities of a text, or its labeled words, with their places in characters.
pub(crate) fn marks(input: Option<&FittedInput>, output: &TagsOutput, text: &str, tags: &[u32]) -> Vec<Mark> {
    let Some(FittedInput::Text(fitted)) = input else { return Vec::new() };
    let units = fitted.units(text).unwrap_or_default();
    let entities = if output.is_plain() {
        let single =
            |(place, tag): (usize, &u32)| Entity { start: place, end: place + 1, kind: *tag as usize };
        tags.iter().enumerate().map(single).collect()
    } else {
        output.entities(tags)
    };
    let letters: Vec<char> = as_read(text).chars().collect();
    let mark = |entity: Entity| {
        let (first, last) = (units.get(entity.start)?, units.get(entity.end - 1)?);
        Some(Mark {
            start: first.start,
            end: last.end,
            kind: output.types.names.get(entity.kind)?.clone(),
            text: letters.get(first.start..last.end)?.iter().collect(),
        })
    };
    entities.into_iter().filter_map(mark).collect()
}
