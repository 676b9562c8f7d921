//! The experiment file: `[data]`, `[inputs]`, `[outputs]`, `[model]`, `[train]`, `[bundle]`.

use crate::problem::{Place, Problem, Problems};
use crate::section::Section;
use crate::setting::{Bounds, Duration, Field, Files, Reader, Setting};
use crate::value::{Node, Table, Value};
use crate::{choices, settings};
use indexmap::IndexMap;
use std::path::{Path, PathBuf};

settings! {
    /// Where the rows come from and how they are divided.
    pub struct Data {
        /// File, list of files, or folder with the rows.
        source: Files = Files::default();
        /// Rows to train on, where the data comes divided.
        train: Files = Files::default();
        /// Rows to choose the best state by, where the data comes divided.
        val: Files = Files::default();
        /// Rows to test on, where the data comes divided.
        test: Files = Files::default();
        /// Cell texts that mean "missing", besides the empty cell, NA, N/A, NaN, null and None.
        missing: Vec<String> = Vec::new();
        /// Columns to leave out.
        exclude: Vec<String> = Vec::new();
        /// Column that says how much each row counts.
        weight: Option<String> = None;
        /// Whether the first line names the columns; detected where left out.
        header: Option<bool> = None;
        /// Names of the columns, where the file does not name them.
        columns: Vec<String> = Vec::new();
        /// Character between two cells; detected where left out.
        delimiter: Option<String> = None;
        /// Encoding of the text; detected where left out.
        encoding: Option<String> = None;
        /// Largest share of rows that may be skipped before the run stops.
        max_skipped: f64 = 0.01, in Bounds::between(0.0, 1.0);
        /// How the rows are divided into train, val and test.
        split: Split = Split::default();
    }
}

settings! {
    /// How rows are divided into parts.
    pub struct Split {
        /// Share of the rows to train on.
        train: f64 = 0.8, in Bounds::between(0.0, 1.0);
        /// Share of the rows to choose the best state by.
        val: f64 = 0.1, in Bounds::between(0.0, 1.0);
        /// Share of the rows to test on.
        test: f64 = 0.1, in Bounds::between(0.0, 1.0);
        /// Seed of the division.
        seed: u64 = 42;
        /// Way of dividing; stratified for a single category output, else random.
        by: Option<SplitBy> = None;
        /// Column of groups, times or part names, for the ways that need one.
        column: Option<String> = None;
    }
}

choices! {
    /// The ways of dividing rows into parts.
    pub enum SplitBy {
        /// Every row by lot.
        Random = "random",
        /// By lot within each class of the output, so that each part has its share.
        Stratified = "stratified",
        /// All rows of a group into the same part.
        Group = "group",
        /// The earliest rows to train on, the latest to test on.
        Time = "time",
        /// By the words `train`, `val` and `test` in a column.
        Column = "column",
    }
}

settings! {
    /// How the network is trained.
    pub struct Train {
        /// Passes over the train part, at most.
        epochs: Option<usize> = None, in Bounds::at_least(1.0);
        /// Optimizer updates, at most.
        steps: Option<usize> = None, in Bounds::at_least(1.0);
        /// Time to train, at most.
        time_limit: Option<Duration> = None;
        /// Cost of training, at most, in the currency of the prices; see `outset plan`.
        cost_limit: Option<f64> = None, in Bounds::above(0.0);
        /// Seed of weights, order and dropout; the split has its own.
        seed: u64 = 42;
        /// Examples per step.
        batch_size: Option<usize> = None, in Bounds::at_least(1.0);
        /// Examples per pass; a step averages as many passes as it takes to reach `batch_size`.
        micro_batch_size: Option<usize> = None, in Bounds::at_least(1.0);
        /// Numbers that training multiplies: `auto`, `f32`, or `bf16`, which is faster and coarser and needs a processor that has it.
        precision: Precision = Precision::Auto;
        /// Whether what lies between the blocks of a network is kept alone, and what lies within computed again: some 30 % more work for about 30 % less memory.
        recompute: bool = false;
        /// Rule that turns gradients into updates.
        optimizer: Section = Section::default();
        /// Course of the learning rate.
        schedule: Section = Section::default();
        /// Length that the gradient of all weights together is cut to; 0 for no limit.
        clip_norm: Option<f64> = None, in Bounds::at_least(0.0);
        /// Decay of the moving average of the weights that is evaluated and served; 0 for none.
        ema: Option<f64> = None, in Bounds::between(0.0, 1.0);
        /// When to stop because val no longer improves; `false` never stops early.
        early_stopping: EarlyStopping = EarlyStopping::default();
        /// Metric of val that picks the best state; chosen by the output where left out.
        objective: Option<String> = None;
        /// Whether the best state on val is kept instead of the last.
        keep_best: bool = true;
        /// How often the state of training is saved, so that a run can be resumed.
        checkpoint: Checkpoint = Checkpoint::default();
    }
}

choices! {
    /// Numbers that a step of training multiplies; weights and sums are always `f32`.
    pub enum Precision {
        /// `bf16` for pictures where the processor multiplies that, else `f32`.
        Auto = "auto",
        /// Single precision.
        F32 = "f32",
        /// The factors of large products rounded to bf16.
        Bf16 = "bf16",
    }
}

settings! {
    /// When the state of training is saved, and how much of it is kept.
    pub struct Checkpoint {
        /// Time between two checkpoints, or a number of steps; a time is stretched where saving takes long.
        every: Every = Every::default();
        /// Checkpoints that are kept, the latest ones; the best state is kept beside them.
        keep: usize = 2, in Bounds::at_least(1.0);
    }
}

/// A time or a number of steps.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Every {
    Time(Duration),
    Steps(usize),
}

impl Default for Every {
    fn default() -> Self {
        Self::Time(Duration(std::time::Duration::from_secs(60)))
    }
}

impl Setting for Every {
    const EXPECTED: &'static str = "a time such as `\"5m\"`, or a number of steps of at least 1";

    fn from_node(node: &Node) -> Result<Self, String> {
        match node.value {
            Value::String(_) => Duration::from_node(node).map(Self::Time),
            Value::Integer(steps) if steps > 0 => Ok(Self::Steps(steps as usize)),
            _ => Err(String::new()),
        }
    }

    fn to_value(&self) -> Option<Value> {
        match self {
            Self::Time(time) => time.to_value(),
            Self::Steps(steps) => steps.to_value(),
        }
    }
}

/// When to stop because val no longer improves.
#[derive(Clone, Debug, PartialEq)]
pub struct EarlyStopping {
    /// Epochs without improvement before training stops; `None` never stops early, `Some(0)` leaves it to Outset.
    pub patience: Option<usize>,
}

impl Default for EarlyStopping {
    fn default() -> Self {
        Self { patience: Some(0) }
    }
}

settings! {
    /// The long form of `early_stopping`.
    pub struct Patience {
        /// Epochs without improvement before training stops.
        patience: usize = 0, in Bounds::at_least(1.0);
    }
}

impl Setting for EarlyStopping {
    const EXPECTED: &'static str = "`false` or `{ patience = 5 }`";

    fn from_node(node: &Node) -> Result<Self, String> {
        match node.value {
            Value::Boolean(false) => Ok(Self { patience: None }),
            Value::Boolean(true) => Ok(Self::default()),
            _ => Err(String::new()),
        }
    }

    fn to_value(&self) -> Option<Value> {
        match self.patience {
            None => Some(false.into()),
            Some(0) => None,
            Some(patience) => Patience { patience }.to_value(),
        }
    }

    fn fields() -> Vec<Field> {
        Patience::fields()
    }

    fn read(node: &Node, path: &str, problems: &mut Problems) -> Option<Self> {
        if let Value::Table(_) = node.value {
            return Patience::read(node, path, problems).map(|long| Self { patience: Some(long.patience) });
        }
        match Self::from_node(node) {
            Ok(value) => Some(value),
            Err(_) => {
                let message = format!("`{path}` is `{}`, but must be {}", node.value, Self::EXPECTED);
                problems.push(Problem::new(message).at(node.place.as_ref()));
                None
            }
        }
    }
}

choices! {
    /// What the probes of a bundle are made of.
    pub enum Probes {
        /// Made rows, each column drawn apart from the others, so that no real person's row ships.
        Made = "made",
        /// Rows of the train part.
        Rows = "rows",
    }
}

settings! {
    /// What goes into the bundle.
    pub struct Bundle {
        /// What the probes are made of.
        probes: Probes = Probes::Made;
    }
}

/// An experiment: what goes in, what comes out, how it is learned.
#[derive(Clone, Debug, Default)]
pub struct Experiment {
    /// Name of the experiment, of its run folders and of the served model.
    pub name: String,
    pub data: Data,
    /// Input columns by name, empty types inferred; `None` where the file names none.
    pub inputs: Option<IndexMap<String, Section>>,
    /// Output columns by name, empty types inferred.
    pub outputs: IndexMap<String, Section>,
    /// The combiner.
    pub model: Section,
    pub train: Train,
    pub bundle: BundleSettings,
    /// The `[tune]` table, unread.
    pub tune: Option<Table>,
    /// Folder that relative paths start from.
    pub folder: PathBuf,
    /// The file as it was read, with places.
    declared: Table,
}

/// The `[bundle]` table.
pub type BundleSettings = Bundle;

impl Experiment {
    /// Reads an experiment file with overrides from the command line.
    ///
    /// Closed parts are checked here; the kinds and parameters of each [`Section`] are checked by their owners.
    ///
    /// # Errors
    /// Every problem of the closed parts.
    pub fn parse(file: &str, text: &str, folder: &Path, overrides: &[String]) -> Result<Self, Problems> {
        let (experiment, problems) = Self::read(file, text, folder, overrides)?;
        problems.or(experiment)
    }

    /// Reads an experiment file as far as it can be read, and gives every problem of its closed parts beside it, so that
    /// the problems of its open parts can be told at the same time.
    ///
    /// # Errors
    /// If the file is not TOML.
    pub fn read(
        file: &str,
        text: &str,
        folder: &Path,
        overrides: &[String],
    ) -> Result<(Self, Problems), Problems> {
        Ok(Self::from_table(Table::parse(file, text)?, folder, overrides))
    }

    /// The same experiment with further settings, each as on the command line.
    ///
    /// # Errors
    /// Every problem of the closed parts.
    pub fn with(&self, settings: &[String]) -> Result<Self, Problems> {
        let (mut experiment, problems) = Self::from_table(self.declared.clone(), &self.folder, settings);
        experiment.name = self.name.clone();
        problems.or(experiment)
    }

    /// Makes the experiment of bare data: a source, its targets, and everything else at defaults; beside it every problem
    /// of the overrides' closed parts.
    pub fn of_data(source: &str, targets: &[String], overrides: &[String]) -> (Self, Problems) {
        let (mut table, mut data, mut outputs) = (Table::default(), Table::default(), Table::default());
        data.put("source", source);
        for target in targets {
            outputs.put(target, Table::default());
        }
        table.put("data", data);
        table.put("outputs", outputs);
        let name = Path::new(source)
            .file_stem()
            .map_or_else(|| "run".into(), |stem| stem.to_string_lossy().into_owned());
        table.put("name", name.as_str());
        Self::from_table(table, Path::new(""), overrides)
    }

    fn from_table(mut table: Table, folder: &Path, overrides: &[String]) -> (Self, Problems) {
        let mut problems = Problems::default();
        for assignment in overrides {
            if let Err(problem) = table.set(assignment) {
                problems.push(problem);
            }
        }
        let mut reader = Reader::new(&table, "", &mut problems);
        let name = reader.get("name", String::new(), None);
        let data = reader.get("data", Data::default(), None);
        let inputs = columns(&mut reader, "inputs");
        let outputs = columns(&mut reader, "outputs");
        let model = reader.get("model", Section::default(), None);
        let train = reader.get("train", Train::default(), None);
        let bundle = reader.get("bundle", Bundle::default(), None);
        let tune = match reader.node("tune").map(|node| &node.value) {
            Some(Value::Table(tune)) => Some(tune.clone()),
            _ => None,
        };
        let given = !data.train.0.is_empty();
        if data.source.0.is_empty() && !given {
            reader.problem(
                Problem::new("`data.source` is missing")
                    .hint("name the file with your rows, for example `source = \"data.csv\"`"),
            );
        }
        if !data.source.0.is_empty() && given {
            reader.problem(Problem::new(
                "`data.source` and `data.train` are both given, but exclude each other",
            ));
        }
        let divided = !data.val.0.is_empty() || !data.test.0.is_empty();
        if divided && !given {
            reader.problem(Problem::new("`data.val` and `data.test` need `data.train` beside them"));
        }
        let total = data.split.train + data.split.val + data.split.test;
        if (total - 1.0).abs() > 1e-6 {
            reader.problem(Problem::new(format!(
                "`data.split` adds up to {total}, but train, val and test must add up to 1"
            )));
        }
        if matches!(data.split.by, Some(SplitBy::Group | SplitBy::Time | SplitBy::Column))
            && data.split.column.is_none()
        {
            let by = data.split.by.map_or("", SplitBy::word);
            reader.problem(
                Problem::new(format!("`data.split.by` is `{by}`, which needs `data.split.column`"))
                    .hint("name the column: `split = { by = \"group\", column = \"patient\" }`"),
            );
        }
        if outputs.as_ref().is_none_or(IndexMap::is_empty) {
            reader.problem(
                Problem::new("`[outputs]` is missing")
                    .hint("name what the model is to predict, for example `outputs.price = \"number\"`"),
            );
        }
        reader.finish();
        let name = if name.is_empty() { default_name(folder) } else { name };
        if name.contains(['/', '\\']) || name.starts_with('.') {
            problems.push(Problem::new(format!("`name` is `{name}`, but must be a plain name without `/`")));
        }
        let outputs = outputs.unwrap_or_default();
        let folder = folder.to_owned();
        let declared = table;
        (Self { name, data, inputs, outputs, model, train, bundle, tune, folder, declared }, problems)
    }

    /// Where a word stands in the file: the value at a path of keys, or the item of the list there.
    pub fn place(&self, path: &str, word: &str) -> Option<&Place> {
        let node = self.declared.find(path)?;
        match &node.value {
            Value::Array(items) => {
                items.iter().find(|item| item.value.as_str() == Some(word))?.place.as_ref()
            }
            _ => node.place.as_ref(),
        }
    }

    /// The experiment as a table, with every setting that is known by now.
    pub fn to_table(&self) -> Table {
        let mut table = Table::default();
        table.put("name", self.name.as_str());
        table.put("data", self.data.to_value().unwrap_or_else(|| Table::default().into()));
        for (key, columns) in [("inputs", self.inputs.as_ref()), ("outputs", Some(&self.outputs))] {
            if let Some(columns) = columns {
                let mut written = Table::default();
                for (name, section) in columns {
                    written.put(name, section.to_table("type"));
                }
                table.put(key, written);
            }
        }
        table.put("model", self.model.to_table("kind"));
        table.put("train", self.train.to_value().unwrap_or_else(|| Table::default().into()));
        table.put("bundle", self.bundle.to_value().unwrap_or_else(|| Table::default().into()));
        if let Some(tune) = &self.tune {
            table.put("tune", tune.clone());
        }
        table
    }
}

fn default_name(folder: &Path) -> String {
    let absolute = std::path::absolute(folder).unwrap_or_default();
    // A hidden folder is as good as any other, but its runs are not to be hidden.
    let name = absolute.file_name().map_or_else(String::new, |name| name.to_string_lossy().into_owned());
    let name = name.trim_start_matches('.');
    if name.is_empty() { "run".to_owned() } else { name.to_owned() }
}

fn columns(reader: &mut Reader<'_>, key: &'static str) -> Option<IndexMap<String, Section>> {
    let node = reader.node(key)?;
    let Value::Table(table) = &node.value else {
        reader.problem(
            Problem::new(format!("`{key}` is {}, but must be a table", node.value.kind()))
                .at(node.place.as_ref()),
        );
        return None;
    };
    let mut columns = IndexMap::new();
    for (name, entry) in &table.0 {
        match Section::from_node(&entry.node, "type") {
            Ok(mut section) => {
                section.place = entry.key.clone();
                columns.insert(name.clone(), section);
            }
            Err(problem) => reader.problem(problem),
        }
    }
    Some(columns)
}

#[cfg(test)]
mod tests;
