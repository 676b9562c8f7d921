//! What becomes of each column of the source: its role, its type, and the settings that the file gives it.

use crate::decoders;
use crate::error::LearnError;
use crate::losses::Loss;
use indexmap::IndexMap;
use outset_data::types::{self, Alike, ColumnSettings, Guess, NumberSettings, Scale};
use outset_data::{DataError, Table, leaks};
use outset_spec::problem::{self, quote_list};
use outset_spec::{Experiment, Problem, Problems, Section, Value};

/// What becomes of a column.
pub(crate) struct Role {
    pub role: &'static str,
    pub kind: String,
    pub reason: String,
}

/// How the columns are read: their sections, what was inferred included, and the types' settings that came of them.
pub struct Reading {
    pub inputs: IndexMap<String, Section>,
    pub outputs: IndexMap<String, Section>,
    pub input_settings: IndexMap<String, ColumnSettings>,
    pub output_settings: IndexMap<String, ColumnSettings>,
    /// Columns of numbers that are measured alike, whose sections say so.
    pub alike: Vec<String>,
}

/// The texts that mean "missing" in one column.
pub(crate) fn declared_missing(experiment: &Experiment, column: &str) -> Vec<String> {
    let section = experiment
        .inputs
        .as_ref()
        .and_then(|inputs| inputs.get(column))
        .or_else(|| experiment.outputs.get(column));
    let Some(Value::Array(items)) =
        section.and_then(|section| section.parameters.get("missing")).map(|node| &node.value)
    else {
        return Vec::new();
    };
    items
        .iter()
        .map(|item| item.value.as_str().map_or_else(|| item.value.to_string(), str::to_owned))
        .collect()
}

/// Reports every column that is named but not there.
pub(crate) fn check_columns(experiment: &Experiment, table: &Table) -> Result<(), LearnError> {
    let known: Vec<&str> = table.columns.keys().map(String::as_str).collect();
    let mut problems = Problems::default();
    let mut check = |name: &str, place: Option<&outset_spec::Place>, what: &str| {
        if !table.columns.contains_key(name) {
            let source = experiment
                .data
                .source
                .0
                .first()
                .or(experiment.data.train.0.first())
                .cloned()
                .unwrap_or_default();
            let mut problem =
                Problem::new(format!("{what} names column `{name}`, which `{source}` does not have"))
                    .at(place);
            problem.hint = Some(match problem::nearest(name, known.iter().copied()) {
                Some(near) => format!("did you mean `{near}`?"),
                None if known.len() <= 30 => format!("its columns are {}", quote_list(&known)),
                None => format!("it has {} columns; `outset check` lists them", known.len()),
            });
            problems.push(problem);
        }
    };
    for (name, section) in experiment.inputs.iter().flatten() {
        check(name, section.place.as_ref(), "`[inputs]`");
    }
    for (name, section) in &experiment.outputs {
        check(name, section.place.as_ref(), "`[outputs]`");
    }
    for name in &experiment.data.exclude {
        check(name, experiment.place("data.exclude", name), "`data.exclude`");
    }
    if let Some(name) = &experiment.data.weight {
        check(name, experiment.place("data.weight", name), "`data.weight`");
    }
    if let Some(name) = &experiment.data.split.column {
        check(name, experiment.place("data.split.column", name), "`data.split.column`");
    }
    problems.or(()).map_err(LearnError::from)
}

/// Finds the type of each output.
pub(crate) fn choose_outputs(
    experiment: &Experiment,
    table: &Table,
    rows: &[u32],
    roles: &mut IndexMap<String, Role>,
) -> Result<IndexMap<String, Section>, LearnError> {
    let mut outputs = experiment.outputs.clone();
    for (name, section) in &mut outputs {
        let mut reason = "named in `[outputs]`".to_owned();
        if section.kind.is_empty() {
            match types::infer_output(name, &table.columns[name], rows) {
                Guess::Use(inferred) => (section.kind, reason) = (inferred.kind.to_owned(), inferred.reason),
                Guess::LeaveOut(why) => {
                    let why = why.strip_prefix("constant: ").unwrap_or(&why);
                    let message = format!("column `{name}` cannot be predicted: {why}");
                    return Err(Problems::from(Problem::new(message).at(section.place.as_ref())).into());
                }
            }
        }
        roles.insert(name.clone(), Role { role: "output", kind: section.kind.clone(), reason });
    }
    Ok(outputs)
}

/// Takes the declared inputs, or every column that is of use; writes down why.
pub(crate) fn choose_inputs(
    experiment: &Experiment,
    table: &Table,
    train: &[u32],
    roles: &mut IndexMap<String, Role>,
) -> IndexMap<String, Section> {
    let settings = &experiment.data;
    let by = settings.split.by;
    let mut inputs = IndexMap::new();
    for (name, cells) in &table.columns {
        if experiment.outputs.contains_key(name) {
            continue;
        }
        let declared = experiment.inputs.as_ref().and_then(|inputs| inputs.get(name));
        let mut role = |role, kind: &str, reason: &str| {
            roles.insert(name.clone(), Role { role, kind: kind.to_owned(), reason: reason.to_owned() });
        };
        if settings.weight.as_ref() == Some(name) {
            role("weight", "", "`data.weight`");
        } else if settings.split.column.as_ref() == Some(name)
            && declared.is_none()
            && by != Some(outset_spec::experiment::SplitBy::Time)
        {
            role("split", "", "`data.split.column`");
        } else if let Some(section) = declared {
            let mut section = section.clone();
            if section.kind.is_empty() {
                match types::infer(name, cells, train) {
                    Guess::Use(inferred) => {
                        role("input", inferred.kind, &inferred.reason);
                        section.kind = inferred.kind.to_owned();
                    }
                    Guess::LeaveOut(why) => {
                        role("left out", "", &why);
                        continue;
                    }
                }
            } else {
                role("input", &section.kind, "named in `[inputs]`");
            }
            inputs.insert(name.clone(), section);
        } else if experiment.inputs.is_some() {
            role("left out", "", "not in `[inputs]`");
        } else if settings.exclude.contains(name) {
            role("left out", "", "in `data.exclude`");
        } else {
            match types::infer(name, cells, train) {
                Guess::Use(inferred) => {
                    role("input", inferred.kind, &inferred.reason);
                    inputs.insert(name.clone(), Section::of(inferred.kind));
                }
                Guess::LeaveOut(why) => role("left out", "", &why),
            }
        }
    }
    // The order of the declaration, where there is one, is the order of the signature.
    if let Some(declared) = &experiment.inputs {
        inputs.sort_by_key(|name, _| declared.get_index_of(name));
    }
    inputs
}

/// Leaves out undeclared inputs that give a category away; tells whether there were any.
pub(crate) fn leave_out_leaks(
    experiment: &Experiment,
    table: &Table,
    train: &[u32],
    settings: &IndexMap<String, ColumnSettings>,
    outputs: &IndexMap<String, ColumnSettings>,
    inputs: &mut IndexMap<String, Section>,
    roles: &mut IndexMap<String, Role>,
) -> Result<bool, LearnError> {
    let before = inputs.len();
    if experiment.inputs.is_some() {
        return Ok(false);
    }
    for leak in leaks(table, train, settings, outputs)? {
        if inputs.len() > 1 && inputs.shift_remove(&leak.column).is_some() {
            let reason = format!("{}; name it in `[inputs]` to use it", leak.reason());
            roles.insert(leak.column, Role { role: "left out", kind: String::new(), reason });
        }
    }
    Ok(inputs.len() < before)
}

/// Scales numbers that are measured alike by one spread, where the file says nothing of how; tells which they are.
///
/// # Errors
/// If a cell is no finite number.
pub(crate) fn scale_alike(
    experiment: &Experiment,
    table: &Table,
    train: &[u32],
    inputs: &mut IndexMap<String, Section>,
) -> Result<Option<Alike>, DataError> {
    let open = |section: &Section| {
        let says = |key| section.parameters.get(key).is_some();
        section.kind == "number" && !["scale", "spread", "encoder"].into_iter().any(says)
    };
    let numbers = inputs.iter().filter(|(_, section)| open(section)).map(|(name, _)| {
        let cells = &table.columns[name];
        (name.as_str(), cells, declared_missing(experiment, name))
    });
    let Some(alike) = types::measured_alike(numbers, train)? else { return Ok(None) };
    // Features of each number's own bins would be of all sizes again.
    let mut encoder = outset_spec::Table::default();
    encoder.put("embedding", "none");
    for name in &alike.columns {
        let parameters = &mut inputs[name].parameters;
        parameters.put("scale", "standard");
        parameters.put("spread", alike.spread);
        parameters.put("encoder", encoder.clone());
    }
    Ok(Some(alike))
}

/// Reads an input's type settings and its encoder's section; some defaults go by the number of train rows.
pub(crate) fn read_input(
    section: &Section,
    path: &str,
    linear: bool,
    rows: usize,
    problems: &mut Problems,
) -> Option<(ColumnSettings, Section)> {
    let mut section = section.clone();
    // A linear model is to find straight lines, so its numbers are scaled but not bent.
    if linear && section.kind == "number" && section.parameters.get("scale").is_none() {
        section.parameters.put("scale", "standard");
    }
    // What a handful of rows says of a class is mostly chance.
    if rows >= 200 && section.kind == "category" && section.parameters.get("min_count").is_none() {
        section.parameters.put("min_count", 5i64);
    }
    if section.kind == "text" && section.parameters.get("tokenizer").is_none() {
        let kind = section.parameters.get("encoder").and_then(|node| Section::from_node(node, "kind").ok());
        // All encoders but the bag of words read tokens in their order.
        if section.parameters.get("vectors").is_some() {
            section.parameters.put("tokenizer", "words");
        } else if kind.is_some_and(|encoder| !["", "bag_of_words"].contains(&encoder.kind.as_str())) {
            section.parameters.put("tokenizer", "wordpiece");
        }
    }
    if section.kind == "tags" {
        let message = format!("`{path}` is of type `tags`, which can be predicted but is no input");
        problems.push(Problem::new(message).at(section.kind_place.as_ref()));
        return None;
    }
    let mut reader = section.reader(path, problems);
    let settings = types::read_settings(&section.kind, &mut reader);
    if let Some(ColumnSettings::Number(NumberSettings { scale, spread: Some(_), .. })) = &settings
        && matches!(scale, Scale::Quantile | Scale::None)
    {
        reader.problem(
            Problem::new(format!("`{path}.spread` has no place where `scale` is \"{}\"", scale.word()))
                .at(section.parameters.get("spread").and_then(|node| node.place.as_ref()))
                .hint("it belongs to the scales \"standard\", \"robust\" and \"log\""),
        );
    }
    let mut encoder = reader.get("encoder", Section::default(), None);
    if linear && section.kind == "number" && encoder.parameters.get("embedding").is_none() {
        encoder.parameters.put("embedding", "none");
    }
    // Few rows cannot fill many bins.
    if matches!(section.kind.as_str(), "number" | "date") && encoder.parameters.get("bins").is_none() {
        encoder.parameters.put("bins", (rows as f64).sqrt().clamp(8.0, 48.0) as i64);
    }
    reader.finish();
    settings.map(|settings| (settings, encoder))
}

/// Reads an output's type settings, its decoder's settings and its loss.
pub(crate) fn read_output(
    section: &Section,
    path: &str,
    problems: &mut Problems,
) -> Option<(ColumnSettings, decoders::Settings, Loss)> {
    let mut reader = section.reader(path, problems);
    let settings = types::read_output_settings(&section.kind, &mut reader);
    let decoder = decoders::Settings::read(&section.kind, &mut reader);
    if decoder.is_none() {
        let kinds: Vec<&str> = decoders::all().into_iter().map(|(kind, ..)| kind).collect();
        reader.problem(
            Problem::new(format!("`{path}` is of type `{}`, which cannot be predicted yet", section.kind))
                .at(section.kind_place.as_ref())
                .hint(format!("types that can be predicted: {}", quote_list(&kinds))),
        );
    }
    reader.finish();
    let decoder = decoder?;
    let loss = decoder.loss(&format!("{path}.loss"), problems);
    Some((settings?, decoder, loss))
}
