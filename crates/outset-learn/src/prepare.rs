//! From a declaration to everything that training needs: the data read, columns understood, rows divided, the
//! preprocessor fitted, every default filled in.

use crate::error::LearnError;
use crate::evaluate::Truth;
use crate::event::{Event, Observer};
use crate::network::Design;
use crate::recipe;
use crate::train::{Examples, Recipe};
use crate::{combiner, decoders, encoders};
use indexmap::IndexMap;
use outset_data::types::{self, ColumnSettings, Guess};
use outset_data::{
    Features, Part, Preprocessor, Table, Targets, leaks, overview, rows_sha256, sources, split,
};
use outset_spec::problem::{self, quote_list};
use outset_spec::record::{ColumnRecord, DataRecord};
use outset_spec::{Experiment, Problem, Problems, Section, Value};

/// An experiment that is ready to be trained.
pub struct Prepared {
    /// With every default filled in: runs again as it is.
    pub experiment: Experiment,
    pub design: Design,
    pub recipe: Recipe,
    pub table: Table,
    pub preprocessor: Preprocessor,
    pub features: Vec<Features>,
    pub targets: Vec<Targets>,
    pub truths: Vec<Truth>,
    /// How much each row counts.
    pub weights: Option<Vec<f32>>,
    pub train: Vec<u32>,
    pub val: Vec<u32>,
    pub test: Vec<u32>,
    /// Part of each row, for `split.csv`.
    pub parts: Vec<Option<Part>>,
    pub data: DataRecord,
}

/// What becomes of a column.
struct Role {
    role: &'static str,
    kind: String,
    reason: String,
}

/// Checks all that can be checked without the data.
pub fn declared(experiment: &Experiment) -> Problems {
    let mut problems = Problems::default();
    let model = combiner::Settings::read(&experiment.model, 0, &mut problems);
    recipe::check(&experiment.train, &mut problems);
    let linear = matches!(model, Some(combiner::Settings::Linear(_)));
    let kinds: Vec<&str> = types::KINDS.iter().map(|(kind, _)| *kind).collect();
    for (columns, table) in [(experiment.inputs.as_ref(), "inputs"), (Some(&experiment.outputs), "outputs")] {
        for (name, section) in columns.into_iter().flatten() {
            if section.kind.is_empty() {
                continue;
            }
            if !kinds.contains(&section.kind.as_str()) {
                let mut problem = problem::unknown(
                    "type",
                    &section.kind,
                    &kinds,
                    section.kind_place.as_ref().or(section.place.as_ref()),
                );
                problem.message = format!("unknown type `{}` of column `{name}`", section.kind);
                problems.push(problem);
                continue;
            }
            let path = format!("{table}.{name}");
            if table == "outputs" {
                read_output(section, &path, &mut problems);
            } else {
                read_input(section, &path, linear, 0, &mut problems);
            }
        }
        if let Some(columns) = columns.filter(|_| table == "inputs") {
            for (name, section) in columns {
                if experiment.outputs.contains_key(name) {
                    let message = format!("column `{name}` is both an input and an output");
                    problems.push(Problem::new(message).at(section.place.as_ref()));
                }
            }
        }
    }
    problems
}

/// Reads the data, understands it and fits the preprocessor.
///
/// # Errors
/// Everything that is wrong with the declaration, all at once; or the first thing that is wrong with the data.
pub fn prepare(experiment: &Experiment, observe: Observer<'_>) -> Result<Prepared, LearnError> {
    declared(experiment).or(())?;
    let loaded =
        sources::open(&experiment.data, &experiment.folder, &|column| declared_missing(experiment, column))?;
    let table = loaded.table;
    let given: Option<Vec<Part>> = loaded.given.map(|given| given.into_iter().map(Part::from).collect());
    for text in loaded.notes {
        observe(Event::Note { text });
    }
    observe(Event::Data {
        source: loaded.files.iter().map(|file| file.path.clone()).collect::<Vec<_>>().join(", "),
        format: loaded.files.first().map(|file| file.format.clone()).unwrap_or_default(),
        rows: table.rows(),
        inputs: table.columns.len().saturating_sub(experiment.outputs.len()),
        outputs: experiment.outputs.keys().cloned().collect(),
    });
    check_columns(experiment, &table)?;

    let all: Vec<u32> = (0..table.rows() as u32).collect();
    let mut roles: IndexMap<String, Role> = IndexMap::new();
    let outputs = choose_outputs(experiment, &table, &all, &mut roles)?;
    let mut inputs = choose_inputs(experiment, &table, &all, &mut roles);
    let mut problems = Problems::default();
    let mut output_settings = IndexMap::new();
    let mut decoders = Vec::new();
    for (name, section) in &outputs {
        if let Some((settings, decoder, loss)) =
            read_output(section, &format!("outputs.{name}"), &mut problems)
        {
            output_settings.insert(name.clone(), settings);
            decoders.push((decoder, loss));
        }
    }
    let linear = experiment.model.kind == "linear";
    let read_inputs = |inputs: &IndexMap<String, Section>, rows: usize, problems: &mut Problems| {
        let (mut settings, mut encoders) = (IndexMap::new(), Vec::new());
        for (name, section) in inputs {
            if let Some((input, encoder)) =
                read_input(section, &format!("inputs.{name}"), linear, rows, problems)
            {
                settings.insert(name.clone(), input);
                encoders.push(encoder);
            }
        }
        (settings, encoders)
    };
    let (all_inputs, _) = read_inputs(&inputs, 0, &mut problems);
    std::mem::take(&mut problems).or(())?;
    let splits = split(&table, &experiment.data.split, given.as_deref(), &all_inputs, &output_settings)?;
    let (train, val, test) = (splits.rows(Part::Train), splits.rows(Part::Val), splits.rows(Part::Test));
    leave_out_leaks(experiment, &table, &train, &all_inputs, &output_settings, &mut inputs, &mut roles)?;
    if inputs.is_empty() {
        let left_out = roles.iter().filter(|(_, role)| role.role == "left out");
        let reasons: Vec<String> =
            left_out.map(|(name, role)| format!("`{name}` ({})", role.reason)).collect();
        let message = format!("no input column is left: {}", reasons.join(", "));
        return Err(Problems::from(Problem::new(message).hint("name the inputs to use in `[inputs]`")).into());
    }
    for (name, role) in &roles {
        observe(Event::Column {
            name: name.clone(),
            role: role.role.to_owned(),
            kind: role.kind.clone(),
            reason: role.reason.clone(),
        });
    }
    observe(Event::Split {
        train: train.len(),
        val: val.len(),
        test: test.len(),
        words: splits.words.clone(),
    });

    let combiner = combiner::Settings::read(&experiment.model, train.len(), &mut problems);
    let (input_settings, encoder_sections) = read_inputs(&inputs, train.len(), &mut problems);
    std::mem::take(&mut problems).or(())?;
    let Some(combiner) = combiner else { unreachable!("a model without problems has settings") };
    let left = roles.iter().filter(|(_, role)| role.role != "input" && role.role != "output");
    let ignored: Vec<String> = left.map(|(name, _)| name.clone()).collect();
    let preprocessor = Preprocessor::fit(&table, &train, &input_settings, &output_settings, ignored)?;
    let mut encoders = Vec::new();
    for ((name, input), section) in preprocessor.inputs.iter().zip(&encoder_sections) {
        let path = format!("inputs.{name}.encoder");
        encoders.extend(encoders::Settings::read(section, &input.shape(), &path, &mut problems));
    }
    std::mem::take(&mut problems).or(())?;
    let features = preprocessor.encode_inputs(&table, &all)?;
    let targets = encode_targets(&preprocessor, &table, &splits.parts)?;
    let mut truths = Vec::new();
    for (((name, output), targets), (decoder, loss)) in
        preprocessor.outputs.iter().zip(&targets).zip(&mut decoders)
    {
        truths.push(Truth::new(name, &table, output, targets, positive(name, output, decoder)?));
        let total = output.train_counts().iter().sum::<u64>().max(1) as f64;
        let shares: Vec<f64> = output.train_counts().iter().map(|count| *count as f64 / total).collect();
        loss.settle(output.classes(), &shares).map_err(Problems::from)?;
    }
    let weights = match &experiment.data.weight {
        Some(name) => Some(outset_data::weights(&table, name, &all)?),
        None => None,
    };
    let design = Design { encoders, combiner, decoders };
    let recipe = recipe::resolve(&experiment.train, &design, &truths, train.len(), &mut problems);
    problems.or(())?;

    let mut data = DataRecord {
        files: loaded.files,
        rows: table.rows(),
        split: splits.words.clone(),
        duplicates: splits.duplicates,
        dropped: splits.dropped.clone(),
        rows_sha256: rows_sha256(&table),
        ..DataRecord::default()
    };
    for (part, rows) in [("train", &train), ("val", &val), ("test", &test)] {
        data.parts.insert(part.to_owned(), rows.len());
    }
    let described: Vec<ColumnRecord> = table
        .columns
        .keys()
        .map(|name| {
            let role = &roles[name];
            ColumnRecord {
                name: name.clone(),
                role: role.role.into(),
                kind: role.kind.clone(),
                reason: role.reason.clone(),
                ..ColumnRecord::default()
            }
        })
        .collect();
    data.columns = overview(&table, &train, described, &preprocessor);
    observe(Event::Preprocess { words: preprocess_words(&preprocessor) });

    let resolved = fill_in(experiment, &design, &recipe, &input_settings, &output_settings);
    Ok(Prepared {
        experiment: resolved,
        design,
        recipe,
        parts: splits.parts,
        table,
        preprocessor,
        features,
        targets,
        truths,
        weights,
        train,
        val,
        test,
        data,
    })
}

/// The texts that mean "missing" in one column.
fn declared_missing(experiment: &Experiment, column: &str) -> Vec<String> {
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
fn check_columns(experiment: &Experiment, table: &Table) -> Result<(), LearnError> {
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
        check(name, None, "`data.exclude`");
    }
    if let Some(name) = &experiment.data.weight {
        check(name, None, "`data.weight`");
    }
    if let Some(name) = &experiment.data.split.column {
        check(name, None, "`data.split.column`");
    }
    problems.or(()).map_err(LearnError::from)
}

/// Finds the type of each output.
fn choose_outputs(
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

/// Encodes the targets of the rows that have a part; the others, which are left out, get zeros.
fn encode_targets(
    preprocessor: &Preprocessor,
    table: &Table,
    parts: &[Option<Part>],
) -> Result<Vec<Targets>, LearnError> {
    let rows: Vec<u32> = (0..parts.len() as u32).filter(|row| parts[*row as usize].is_some()).collect();
    let targets = preprocessor.encode_targets(table, &rows)?;
    if rows.len() == parts.len() {
        return Ok(targets);
    }
    fn spread<T: Copy + Default>(values: &[T], width: usize, rows: &[u32], total: usize) -> Vec<T> {
        let mut all = vec![T::default(); total * width];
        for (row, values) in rows.iter().zip(values.chunks_exact(width.max(1))) {
            all[*row as usize * width..(*row as usize + 1) * width].copy_from_slice(values);
        }
        all
    }
    let spread_all = targets.into_iter().map(|targets| match targets {
        Targets::Number { values } => Targets::Number { values: spread(&values, 1, &rows, parts.len()) },
        Targets::Category(classes) => Targets::Category(spread(&classes, 1, &rows, parts.len())),
        Targets::Set { width, values } => {
            Targets::Set { width, values: spread(&values, width, &rows, parts.len()) }
        }
    });
    Ok(spread_all.collect())
}

/// Takes the declared inputs, or every column that is of use; writes down why.
fn choose_inputs(
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

/// Leaves out undeclared inputs that give a category away.
fn leave_out_leaks(
    experiment: &Experiment,
    table: &Table,
    train: &[u32],
    settings: &IndexMap<String, ColumnSettings>,
    outputs: &IndexMap<String, ColumnSettings>,
    inputs: &mut IndexMap<String, Section>,
    roles: &mut IndexMap<String, Role>,
) -> Result<(), LearnError> {
    if experiment.inputs.is_some() {
        return Ok(());
    }
    for leak in leaks(table, train, settings, outputs)? {
        if inputs.len() > 1 && inputs.shift_remove(&leak.column).is_some() {
            let reason = format!("{}; name it in `[inputs]` to use it", leak.reason());
            roles.insert(leak.column, Role { role: "left out", kind: String::new(), reason });
        }
    }
    Ok(())
}

/// Reads an input's type settings and its encoder's section; some defaults go by the number of train rows.
fn read_input(
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
    let mut reader = section.reader(path, problems);
    let settings = types::read_settings(&section.kind, &mut reader);
    let mut encoder = reader.get("encoder", Section::default(), None);
    if linear && section.kind == "number" && encoder.parameters.get("embedding").is_none() {
        encoder.parameters.put("embedding", "none");
    }
    // Few rows cannot fill many bins.
    if section.kind == "number" && encoder.parameters.get("bins").is_none() {
        encoder.parameters.put("bins", (rows as f64).sqrt().clamp(8.0, 48.0) as i64);
    }
    reader.finish();
    settings.map(|settings| (settings, encoder))
}

/// Reads an output's type settings, its decoder's settings and its loss.
fn read_output(
    section: &Section,
    path: &str,
    problems: &mut Problems,
) -> Option<(ColumnSettings, decoders::Settings, crate::losses::Loss)> {
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

/// The class that precision, recall and F1 speak of.
fn positive(
    name: &str,
    output: &outset_data::FittedOutput,
    decoder: &decoders::Settings,
) -> Result<Option<usize>, LearnError> {
    let decoders::Settings::Category(settings) = decoder else { return Ok(None) };
    let Some(positive) = &settings.positive else { return Ok(output.positive()) };
    match output.classes().iter().position(|class| class == positive) {
        Some(index) if output.classes().len() == 2 => Ok(Some(index)),
        Some(_) => Err(Problems::from(Problem::new(format!(
            "`outputs.{name}.positive` is set, but `{name}` has {} classes, and only one of two can be the positive one",
            output.classes().len()
        )))
        .into()),
        None => {
            let classes: Vec<&str> = output.classes().iter().map(String::as_str).collect();
            Err(Problems::from(problem::unknown(&format!("class of `{name}`"), positive, &classes, None)).into())
        }
    }
}

/// The experiment with every default filled in.
fn fill_in(
    experiment: &Experiment,
    design: &Design,
    recipe: &Recipe,
    inputs: &IndexMap<String, ColumnSettings>,
    outputs: &IndexMap<String, ColumnSettings>,
) -> Experiment {
    let mut filled = experiment.clone();
    filled.inputs = Some(
        inputs
            .iter()
            .zip(&design.encoders)
            .map(|((name, settings), encoder)| {
                let mut section = Section::of(settings.kind());
                settings.write_to(&mut section.parameters);
                section.parameters.put("encoder", encoder.to_section().to_table("kind"));
                (name.clone(), section)
            })
            .collect(),
    );
    filled.outputs = outputs
        .iter()
        .zip(&design.decoders)
        .map(|((name, settings), (decoder, loss))| {
            let mut section = Section::of(settings.kind());
            settings.write_to(&mut section.parameters);
            keep_readable(&mut section);
            decoder.write_to(&mut section);
            section.parameters.put("loss", loss.to_section().to_table("kind"));
            (name.clone(), section)
        })
        .collect();
    filled.model = design.combiner.to_section();
    filled.train = recipe::fill_in(&experiment.train, recipe, design, outputs);
    filled
}

/// Removes the settings that an output of this type does not read, though an input of it does.
fn keep_readable(section: &mut Section) {
    let kind = section.kind.clone();
    section.parameters.0.retain(|key, entry| {
        let mut alone = Section::of(&kind);
        alone.parameters.put(key, entry.node.value.clone());
        let mut unread = Problems::default();
        let mut reader = alone.reader("", &mut unread);
        types::read_output_settings(&kind, &mut reader);
        reader.finish();
        unread.is_empty()
    });
}

impl Prepared {
    /// The rows as the training loop reads them.
    pub fn examples(&self) -> Examples<'_> {
        Examples {
            features: &self.features,
            targets: &self.targets,
            weights: self.weights.as_deref(),
            truths: &self.truths,
            train: &self.train,
            val: &self.val,
        }
    }

    /// The objective in words: `rmse of price`.
    pub fn objective_words(&self) -> String {
        match self.recipe.objective.output {
            None => "loss".to_owned(),
            Some(output) => format!("{} of {}", self.recipe.objective.metric, self.truths[output].name),
        }
    }
}

/// What the preprocessor does, in a line.
fn preprocess_words(preprocessor: &Preprocessor) -> String {
    let mut counts: IndexMap<&str, usize> = IndexMap::new();
    for input in preprocessor.inputs.values() {
        *counts.entry(input.kind()).or_default() += 1;
    }
    let counts: Vec<String> = counts.iter().map(|(kind, count)| format!("{count} {kind}")).collect();
    format!("{} · fitted on train only", counts.join(", "))
}
