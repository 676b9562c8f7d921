//! From a declaration to everything that training needs: the data read, columns understood, rows divided, the
//! preprocessor fitted, every default filled in.

use crate::columns::{
    Reading, Role, check_columns, choose_inputs, choose_outputs, declared_missing, leave_out_leaks,
    read_input, read_output, scale_alike,
};
use crate::error::LearnError;
use crate::evaluate::Truth;
use crate::event::{Event, Observer};
use crate::losses::Loss;
use crate::network::{self, Design};
use crate::recipe::{self, Recipe};
use crate::size::Size;
use crate::train::Examples;
use crate::{combiner, decoders, encoders, machine, pictures, tagging};
use indexmap::IndexMap;
use outset_data::types::{self, ColumnSettings};
use outset_data::{
    DataError, Features, FittedInput, FittedOutput, Part, Preprocessor, Table, Targets, overview,
    rows_sha256, sources, split,
};
use outset_spec::problem;
use outset_spec::record::{ColumnRecord, DataRecord};
use outset_spec::{Experiment, Problem, Problems, Section};

/// An experiment that is ready to be trained.
pub struct Prepared {
    /// With every default filled in: runs again as it is.
    pub experiment: Experiment,
    pub design: Design,
    pub recipe: Recipe,
    pub reading: Reading,
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

/// Checks all that can be checked without the data.
pub fn declared(experiment: &Experiment) -> Problems {
    let mut problems = Problems::default();
    let model = combiner::Settings::read(&experiment.model, Default::default(), &mut problems);
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
    let mut table = loaded.table;
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
    let mut outputs = choose_outputs(experiment, &table, &all, &mut roles)?;
    let mut inputs = choose_inputs(experiment, &table, &all, &mut roles);
    tagging::arrange(experiment, &mut table, &loaded.files, &mut inputs, &mut outputs, &mut roles, observe)?;
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
    let pictures = pictures::open(experiment, &mut table, &loaded.files, &mut inputs);
    let (all_inputs, _) = read_inputs(&inputs, 0, &mut problems);
    std::mem::take(&mut problems).or(())?;
    pictures::check_memory(&pictures, &table, &all_inputs, machine::usable_memory_bytes())?;
    let skipped = pictures::decode(&pictures, &table, &all_inputs, experiment.data.max_skipped, observe)?;
    let divide = |inputs: &IndexMap<String, ColumnSettings>| {
        split(&table, &experiment.data.split, given.as_deref(), inputs, &output_settings)
            .map_err(|error| error.located(&loaded.files))
    };
    let mut splits = divide(&all_inputs)?;
    let train = splits.rows(Part::Train);
    if leave_out_leaks(experiment, &table, &train, &all_inputs, &output_settings, &mut inputs, &mut roles)? {
        // Rows that differed in a column that is left out now may be alike without it.
        splits = divide(&read_inputs(&inputs, 0, &mut problems).0)?;
    }
    pictures::clear(&mut table, &skipped);
    let (train, val, test) = (splits.rows(Part::Train), splits.rows(Part::Val), splits.rows(Part::Test));
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

    let in_file = |error: DataError| LearnError::from(error.located(&loaded.files));
    let mut measured_alike = Vec::new();
    if let Some(alike) = scale_alike(experiment, &table, &train, &mut inputs).map_err(in_file)? {
        let ((low, high), count) = (alike.bounds, alike.columns.len());
        measured_alike = alike.columns;
        let text =
            format!("{count} columns are measured alike, from {low} to {high}, and scaled by one spread");
        observe(Event::Note { text });
    }
    let (input_settings, encoder_sections) = read_inputs(&inputs, train.len(), &mut problems);
    std::mem::take(&mut problems).or(())?;
    let left = roles.iter().filter(|(_, role)| role.role != "input" && role.role != "output");
    let ignored: Vec<String> = left.map(|(name, _)| name.clone()).collect();
    let located: IndexMap<String, ColumnSettings> = input_settings
        .iter()
        .map(|(name, settings)| {
            let mut settings = settings.located(&experiment.folder);
            // What was read as missing is to be so in whatever the model answers later.
            settings.add_missing(&experiment.data.missing);
            (name.clone(), settings)
        })
        .collect();
    let preprocessor =
        Preprocessor::fit(&table, &train, &located, &output_settings, ignored).map_err(in_file)?;
    let beside = located
        .values()
        .flat_map(ColumnSettings::files)
        .map(|(path, format)| sources::beside(path, format))
        .collect::<Result<_, _>>()?;
    if let Some(text) = pictures::unmixed(&preprocessor) {
        observe(Event::Note { text });
    }
    let mut encoders = Vec::new();
    for ((name, input), section) in preprocessor.inputs.iter().zip(&encoder_sections) {
        let path = format!("inputs.{name}.encoder");
        let (shape, size) = (input.shape(), Size::of(&experiment.model));
        encoders.extend(encoders::Settings::read(section, &shape, size, train.len(), &path, &mut problems));
    }
    let wishes = network::wishes(&encoders, &decoders, train.len());
    let given = combiner::Given { rows: train.len(), ready: wishes.ready };
    let combiner = combiner::Settings::read(&experiment.model, given, &mut problems);
    std::mem::take(&mut problems).or(())?;
    let Some(combiner) = combiner else { unreachable!("a model without problems has settings") };
    let features = preprocessor.encode_inputs(&table, &all).map_err(in_file)?;
    let targets = encode_targets(&preprocessor, &table, &splits.parts).map_err(in_file)?;
    let mut truths = Vec::new();
    for (((name, output), targets), (decoder, loss)) in
        preprocessor.outputs.iter().zip(&targets).zip(&mut decoders)
    {
        truths.push(Truth::new(name, &table, output, targets, positive(name, output, decoder)?));
        let (classes, shares) = class_shares(output, targets, &train);
        loss.settle(&classes, &shares).map_err(Problems::from)?;
        if let Some(share) = wishes.label_smoothing.filter(|_| !names_smoothing(&outputs[name])) {
            loss.smooth(share);
        }
    }
    let weights = match &experiment.data.weight {
        Some(name) => Some(outset_data::weights(&table, name, &all).map_err(in_file)?),
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
        beside,
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
        reading: Reading { inputs, outputs, input_settings, output_settings, alike: measured_alike },
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

/// The classes of an output, or its tags, with their shares among the train rows.
pub(crate) fn class_shares(
    output: &FittedOutput,
    targets: &Targets,
    train: &[u32],
) -> (Vec<String>, Vec<f64>) {
    let (classes, counts) = match (output.tags(), targets) {
        (Some(output), Targets::Tags { offsets, tags }) => {
            let mut counts = vec![0u64; output.len()];
            for row in train {
                let of_row = &tags[offsets[*row as usize]..offsets[*row as usize + 1]];
                of_row.iter().for_each(|tag| counts[*tag as usize] += 1);
            }
            (output.tags(), counts)
        }
        _ => (output.classes().to_vec(), output.train_counts().to_vec()),
    };
    let total = counts.iter().sum::<u64>().max(1) as f64;
    (classes, counts.into_iter().map(|count| count as f64 / total).collect())
}

/// Whether an output's section says how much of the target is spread over all classes.
pub(crate) fn names_smoothing(output: &Section) -> bool {
    let loss = output.parameters.get("loss").and_then(|node| Section::from_node(node, "kind").ok());
    loss.is_some_and(|loss| loss.parameters.get("label_smoothing").is_some())
}

/// Encodes the targets of the rows that have a part; the others, which are left out, get zeros.
fn encode_targets(
    preprocessor: &Preprocessor,
    table: &Table,
    parts: &[Option<Part>],
) -> Result<Vec<Targets>, DataError> {
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
        Targets::Tags { offsets, tags } => {
            let mut of_all = vec![0; parts.len() + 1];
            rows.iter().zip(offsets.windows(2)).for_each(|(row, range)| {
                of_all[*row as usize + 1] = range[1] - range[0];
            });
            for row in 0..parts.len() {
                of_all[row + 1] += of_all[row];
            }
            Targets::Tags { offsets: of_all, tags }
        }
    });
    Ok(spread_all.collect())
}

/// The class that precision, recall and F1 speak of.
fn positive(
    name: &str,
    output: &outset_data::FittedOutput,
    decoder: &decoders::Settings,
) -> Result<Option<usize>, LearnError> {
    let decoders::Settings::Category(settings) = decoder else { return Ok(None) };
    let refuse = |message: String| Err(Problems::from(Problem::new(message)).into());
    let (miss, alarm) = (settings.cost_of_miss, settings.cost_of_false_alarm);
    if miss.is_some() != alarm.is_some() {
        return refuse(format!(
            "`outputs.{name}` has one of `cost_of_miss` and `cost_of_false_alarm`, but a threshold is chosen by both"
        ));
    }
    if output.classes().len() != 2 && (settings.threshold.is_some() || miss.is_some()) {
        return refuse(format!(
            "`outputs.{name}` has a threshold or costs, which are for two classes, but `{name}` has {}",
            output.classes().len()
        ));
    }
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
            // The other settings of a type say how an input is encoded.
            section
                .parameters
                .0
                .retain(|key, _| ["missing", "separator", "of", "scheme"].contains(&key.as_str()));
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
            loss_unit: self.loss_unit(),
        }
    }

    /// What the network's loss, which is one of standardised numbers, is multiplied by to be told in the target's own
    /// units; 1 for several outputs, whose losses have no common unit.
    fn loss_unit(&self) -> f64 {
        match (self.truths.as_slice(), self.design.decoders.as_slice()) {
            ([truth], [(_, Loss::MeanSquaredError(_))]) => truth.scale * truth.scale,
            ([truth], [(_, Loss::MeanAbsoluteError(_))]) => truth.scale,
            _ => 1.0,
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
    let texts = preprocessor.inputs.iter().filter_map(|(name, input)| match input {
        FittedInput::Text(text) => Some(format!("`{name}`: {}", text.summary())),
        _ => None,
    });
    let words: Vec<String> = std::iter::once(counts.join(", ")).chain(texts).collect();
    format!("{} · fitted on train only", words.join(" · "))
}
