//! The record of a run: `run.json`, from which the report and later comparisons are made.

use indexmap::IndexMap;
use serde::{Deserialize, Serialize};

/// Version of the record's format; raised when a field changes its meaning.
pub const FORMAT: u32 = 1;

/// Metric values by output and metric: `metrics["income"]["accuracy"]`.
pub type Metrics = IndexMap<String, IndexMap<String, f64>>;

/// Everything that is known about a run once it has ended.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct RunRecord {
    /// [`FORMAT`] at the time of writing.
    pub format: u32,
    /// Version of Outset.
    pub version: String,
    /// Name of the experiment.
    pub name: String,
    /// `finished`, `interrupted` (stopped early by the user, best state kept) or `failed`.
    pub state: String,
    /// Seed of weights, order and dropout.
    pub seed: u64,
    pub environment: Environment,
    pub data: DataRecord,
    pub model: ModelRecord,
    pub training: TrainingRecord,
    /// Seconds by stage: `read`, `prepare`, `train`, `evaluate`, `report`, `total`.
    pub timings: IndexMap<String, f64>,
    pub peak_memory_bytes: u64,
    /// By part: `metrics["test"]["income"]["accuracy"]`.
    pub metrics: IndexMap<String, Metrics>,
    /// 95 % bootstrap intervals, shaped as the metrics.
    pub intervals: IndexMap<String, IndexMap<String, IndexMap<String, [f64; 2]>>>,
    /// What each metric above means, by its name.
    pub metric_help: IndexMap<String, MetricHelp>,
    /// By output.
    pub details: IndexMap<String, Details>,
    /// By baseline and part: `baselines["linear"]["test"]["income"]["accuracy"]`.
    pub baselines: IndexMap<String, IndexMap<String, Metrics>>,
    /// What `outset plan` foretold, and what came: `seconds`, `peak_memory_bytes` and `cost`, each also under `actual`.
    pub forecast: Option<serde_json::Value>,
    /// The search that found the settings, if there was one.
    pub tune: Option<TuneRecord>,
    /// What the run cost on this machine, by the prices that `outset plan` works with.
    pub cost: Option<Money>,
    /// Whether the model is any good, in plain words, one sentence each.
    pub verdict: Vec<String>,
    /// How often the test part was looked at in this run.
    pub test_looks: u32,
}

/// A search for better settings.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct TuneRecord {
    /// Metric of val that was searched by: `rmse of price`.
    pub objective: String,
    pub higher_is_better: bool,
    /// Number of the trial that won.
    pub winner: usize,
    /// Its value on val.
    pub best: f64,
    /// Value of the settings as they were declared, trial 0.
    pub default: Option<f64>,
    /// Every trial, the best first.
    pub trials: Vec<TrialRecord>,
    /// Share of the differences between the trials' values that each key explains by itself.
    pub importance: IndexMap<String, f64>,
    /// Keys that were searched over, with the scale they are drawn on: `log`, `linear` or `choice`.
    pub keys: IndexMap<String, String>,
    /// Seconds that all trials took together.
    pub seconds: f64,
    /// Seconds of the whole search, in which trials ran side by side.
    pub search_seconds: f64,
    /// Folder of the study.
    pub study: String,
}

/// One trial of a search.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct TrialRecord {
    pub id: usize,
    pub settings: IndexMap<String, serde_json::Value>,
    /// `done`, `paused` (left behind at a rung) or `failed`.
    pub state: String,
    /// Objective on val in the best state.
    pub value: Option<f64>,
    /// Its 95 % interval, where the trial came to its end.
    pub interval: Option<[f64; 2]>,
    pub epochs: usize,
    pub seconds: f64,
    pub parameters: usize,
    /// Seconds to answer one row.
    pub latency_seconds: Option<f64>,
    pub error: Option<String>,
}

/// A sum of money.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Money {
    pub amount: f64,
    pub currency: String,
}

/// What a metric means, so that a record explains itself to readers that do not know the metric.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct MetricHelp {
    /// In plain words, without full stop: `share of rows that are right`.
    pub meaning: String,
    /// Whether a larger value is a better one.
    pub higher_is_better: Option<bool>,
}

/// The machine and its programs.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Environment {
    pub os: String,
    pub processor: String,
    pub device: String,
    pub threads: usize,
    pub instruction_set: String,
}

/// What was read, and what became of it.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct DataRecord {
    pub files: Vec<FileRecord>,
    /// Rows read, before any was dropped.
    pub rows: usize,
    /// Rows by part: `train`, `val`, `test`.
    pub parts: IndexMap<String, usize>,
    /// How the rows were divided, in words: `stratified, seed 42`.
    pub split: String,
    /// Rows that repeat an earlier one, inputs and target alike; they share its part.
    pub duplicates: usize,
    /// Rows that were left out, by reason.
    pub dropped: Vec<Dropped>,
    /// Every column of the source.
    pub columns: Vec<ColumnRecord>,
    /// Hash of the rows in order, whatever file format they came in.
    pub rows_sha256: String,
    /// Files that were read beside the rows: tokenizers, word vectors.
    pub beside: Vec<FileRecord>,
}

impl DataRecord {
    /// Whether rows and files beside them are the same.
    pub fn is_same(&self, other: &Self) -> bool {
        let [mine, others] = [self, other].map(|data| data.beside.iter().map(|file| &file.sha256));
        self.rows_sha256 == other.rows_sha256 && mine.eq(others)
    }
}

/// One file that was read.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct FileRecord {
    pub path: String,
    pub sha256: String,
    pub bytes: u64,
    pub rows: usize,
    /// What was recognised, in words: `CSV, UTF-8, comma, header line`.
    pub format: String,
}

/// Rows that were left out for one reason.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Dropped {
    pub reason: String,
    pub count: usize,
    /// The first few, numbered as in the source, the first row after the header being 1.
    pub rows: Vec<usize>,
}

/// One column: its role, its type and how its values lie in the train part.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct ColumnRecord {
    pub name: String,
    /// `input`, `output`, `weight`, `split` or `left out`.
    pub role: String,
    /// Column type: `number`, `category`, `set`, `date`; empty if left out.
    pub kind: String,
    /// Why the column has this role and type.
    pub reason: String,
    /// For texts: what the network gets of them, and how many were cut or are empty, in words.
    pub encoding: String,
    /// Cells without a value.
    pub missing: usize,
    /// Different values.
    pub distinct: usize,
    /// For numbers and dates.
    pub summary: Option<Summary>,
    /// For numbers and dates: counts of equally wide bins from the summary's `min` to `max`.
    pub histogram: Vec<usize>,
    /// For categories and sets: the most frequent values with their counts, the most frequent first.
    pub top: Vec<(String, usize)>,
    /// Loss in the objective on val when this input's values are shuffled; larger is more important.
    pub importance: Option<f64>,
}

/// Where the values of a column lie.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Summary {
    pub min: f64,
    pub median: f64,
    pub mean: f64,
    pub max: f64,
    pub standard_deviation: f64,
}

/// The network.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct ModelRecord {
    pub kind: String,
    /// Trainable numbers.
    pub parameters: usize,
    /// One line a layer or part: name, shape, parameters.
    pub layers: Vec<(String, String, usize)>,
    pub precision: String,
}

/// The course of training; the curves themselves are in `metrics.jsonl`.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct TrainingRecord {
    pub epochs: usize,
    pub steps: usize,
    /// Epoch of the state that was kept, the first being 1.
    pub best_epoch: usize,
    /// Objective that picked it: `roc_auc of income`, say.
    pub objective: String,
    /// Its value on val.
    pub best: f64,
    /// Why training ended: `all epochs done`, `no better for 5 epochs`, `time limit`, `stopped by the user`.
    pub ended: String,
    pub rows_per_second: f64,
}

/// What the report shows of one output beyond its metrics; all on the test part.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Details {
    /// `number`, `category` or `set`.
    pub kind: String,
    /// Classes in the order of the matrix.
    pub classes: Vec<String>,
    /// The class that precision, recall and F1 speak of, for two classes.
    pub positive: Option<String>,
    /// Rows: actual, columns: predicted, at probability 0.5 (the largest probability).
    pub confusion: Vec<Vec<usize>>,
    /// Precision, recall, F1 and number of rows by class.
    pub per_class: IndexMap<String, IndexMap<String, f64>>,
    /// A threshold that was chosen on val, and the test metrics at it.
    pub threshold: Option<Threshold>,
    /// The rows with the largest loss, the worst first.
    pub worst: Vec<WorstRow>,
    /// For one number in and one number out: the picture of the fit.
    pub fit: Option<Fit>,
}

/// A decision threshold other than 0.5.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Threshold {
    pub value: f64,
    /// How it was chosen, in words.
    pub chosen_by: String,
    pub metrics: IndexMap<String, f64>,
}

/// A test row that the model got most wrong.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct WorstRow {
    /// Number of the row in the source, the first after the header being 1.
    pub row: usize,
    pub loss: f64,
    pub actual: String,
    pub prediction: String,
    /// The row's inputs as they stand in the source.
    pub inputs: IndexMap<String, String>,
}

/// Points and fitted curve of one number against another.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Fit {
    pub input: String,
    /// Every row's input and actual value.
    pub points: Vec<[f64; 2]>,
    /// Input and predicted value along the range of the input.
    pub line: Vec<[f64; 2]>,
}

/// Pictures for the report, in `pictures.json`; their files lie in `pictures/` beside it.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Gallery {
    /// The input that they are of.
    pub input: String,
    /// The output that was asked of them; empty if none is one of classes.
    pub output: String,
    pub groups: Vec<PictureGroup>,
}

/// Pictures that show one thing.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct PictureGroup {
    pub title: String,
    /// How to read them, in a plain sentence.
    pub note: String,
    pub pictures: Vec<PictureRecord>,
}

/// One picture.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct PictureRecord {
    /// File in `pictures/`.
    pub file: String,
    /// What the source calls it.
    pub name: String,
    pub actual: String,
    pub prediction: String,
    /// Probability of the prediction.
    pub probability: Option<f64>,
}

/// Texts for the report, in `texts.json`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Excerpts {
    /// The input that they are of.
    pub input: String,
    /// The output that was asked of them.
    pub output: String,
    pub groups: Vec<TextGroup>,
}

/// Texts that show one thing.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct TextGroup {
    pub title: String,
    /// How to read them, in a plain sentence.
    pub note: String,
    pub texts: Vec<TextRecord>,
}

/// One text, word by word.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct TextRecord {
    /// Row in the source, the first after the header being 1.
    pub row: usize,
    pub actual: String,
    pub prediction: String,
    /// Probability of the prediction.
    pub probability: Option<f64>,
    /// Each word with the space after it, and how much that probability falls without the word.
    pub words: Vec<(String, f64)>,
    /// Whether the text goes on.
    pub cut: bool,
}

/// One line of `metrics.jsonl`: values of one part after a step. Holds no clock time, so that a resumed run's lines are
/// byte-equal to those of an uninterrupted one.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct MetricLine {
    pub step: usize,
    pub epoch: usize,
    /// `train` or `val`.
    pub part: String,
    /// `loss`, `learning_rate`, `income/accuracy`.
    pub values: IndexMap<String, f64>,
}
