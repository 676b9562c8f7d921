//! The bundle: all that serving needs and nothing else, readable for years, with probes that prove that what is served
//! is what was tested.
//!
//! `bundle.json` (format, name, design, signature, metrics, hashes), `preprocessor.json`, `tokenizer.json` where a text is
//! taken apart into tokens, `model.safetensors`, `probes.jsonl`, `card.md`.

mod write;

pub(crate) use write::write;

use crate::network::Design;
use crate::size::Size;
use crate::{combiner, decoders, encoders, weights};
use outset_data::{Preprocessor, Signature};
use outset_spec::record::Metrics;
use outset_spec::{Experiment, Node, Problems, Section, Table, Value};
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use thiserror::Error;

/// Version of the bundle's format; raised when an older program could no longer read it rightly.
pub const FORMAT: u32 = 1;

/// A bundle that cannot be used.
#[derive(Debug, Error)]
pub enum BundleError {
    #[error("`{}` is not a bundle: it has no `{file}`", path.display())]
    NotThere { path: PathBuf, file: String },
    #[error("cannot read `{}`", path.display())]
    Read { path: PathBuf, source: std::io::Error },
    #[error("`{}` was cut off or altered: its content is not what the bundle's `bundle.json` says", path.display())]
    Altered { path: PathBuf },
    #[error("`{}` is not what a bundle holds", path.display())]
    Malformed { path: PathBuf, source: serde_json::Error },
    #[error("the bundle `{}` has format {found}, but this program reads formats up to {FORMAT}", path.display())]
    Newer { path: PathBuf, found: u32 },
    #[error("the bundle `{}` describes a network that this program cannot build: {problems}", path.display())]
    Design { path: PathBuf, problems: Problems },
    #[error("the bundle `{}` cannot be loaded", path.display())]
    Weights { path: PathBuf, source: weights::WeightsError },
    #[error("the bundle `{}` does not answer as the trained model did: probe {probe} gives {found}, expected {expected}", path.display())]
    Probe { path: PathBuf, probe: usize, found: String, expected: String },
}

impl BundleError {
    /// What to do about it, where that is sure.
    pub fn hint(&self) -> Option<String> {
        Some(
            match self {
                Self::NotThere { .. } => "give a run folder or the `bundle` folder in it",
                Self::Altered { .. } | Self::Malformed { .. } => {
                    "copy the bundle again from the run that made it"
                }
                Self::Newer { .. } => "update Outset, or train again with this version",
                Self::Probe { .. } => {
                    "it is not safe to use; copy it again from the run that made it, or train again"
                }
                _ => return None,
            }
            .to_owned(),
        )
    }
}

/// What `bundle.json` holds.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Manifest {
    pub format: u32,
    /// Version of Outset that wrote the bundle.
    pub version: String,
    /// Name of the experiment and of the served model.
    pub name: String,
    pub signature: Signature,
    /// Metrics on the test part.
    pub metrics: Metrics,
    /// Decision thresholds other than 0.5, by output.
    #[serde(default)]
    pub thresholds: BTreeMap<String, f64>,
    /// The class that a threshold speaks of, by output.
    #[serde(default)]
    pub positives: BTreeMap<String, usize>,
    /// `inputs`, `outputs` and `model` of the experiment, every default filled in.
    pub design: serde_json::Value,
    /// SHA-256 of each other file.
    pub sha256: BTreeMap<String, String>,
}

/// Everything in a bundle but the probes.
pub struct Parts {
    pub manifest: Manifest,
    pub preprocessor: Preprocessor,
    pub design: Design,
    pub weights: Vec<u8>,
    pub probes: Vec<Probe>,
}

/// A row and the answer that the trainer gave.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Probe {
    pub row: serde_json::Value,
    pub answer: serde_json::Value,
}

/// The parts of an experiment that a network is built from, as JSON.
pub fn design_json(filled: &Experiment) -> serde_json::Value {
    let mut table = filled.to_table();
    table.0.retain(|key, _| ["inputs", "outputs", "model"].contains(&key.as_str()));
    table.to_json()
}

/// Reads the design back.
pub fn read_design(json: &serde_json::Value, preprocessor: &Preprocessor) -> Result<Design, Problems> {
    let mut problems = Problems::default();
    let table = json.as_object().map(Table::from_json).unwrap_or_default();
    let section = |key: &str, name: &str| -> Section {
        let node = match table.get(key) {
            Some(Node { value: Value::Table(columns), .. }) => columns.get(name),
            _ => None,
        };
        node.and_then(|node| Section::from_node(node, "type").ok()).unwrap_or_default()
    };
    let model = table.get("model").and_then(|node| Section::from_node(node, "kind").ok()).unwrap_or_default();
    let combiner = combiner::Settings::read(&model, Default::default(), &mut problems);
    let mut encoders = Vec::new();
    for (name, input) in &preprocessor.inputs {
        let section = section("inputs", name);
        let encoder = section.reader("", &mut problems).get("encoder", Section::default(), None);
        encoders.extend(encoders::Settings::read(
            &encoder,
            &input.shape(),
            Size::of(&model),
            0,
            &format!("inputs.{name}.encoder"),
            &mut problems,
        ));
    }
    let mut decoders = Vec::new();
    for (name, output) in &preprocessor.outputs {
        let section = section("outputs", name);
        let mut reader = section.reader(&format!("outputs.{name}"), &mut problems);
        if let Some(settings) = decoders::Settings::read(output.kind(), &mut reader) {
            let loss = settings.loss(&format!("outputs.{name}.loss"), &mut problems);
            decoders.push((settings, loss));
        }
    }
    match combiner {
        Some(combiner) => problems.or(Design { encoders, combiner, decoders }),
        None => Err(problems),
    }
}

/// Reads a bundle's files and checks that they are whole.
///
/// `path` is a bundle or a run folder.
///
/// # Errors
/// If a file is missing, altered, or of a newer format.
pub fn read(path: &Path) -> Result<Parts, BundleError> {
    let nested = path.join("bundle");
    let folder = if nested.join("bundle.json").is_file() { nested } else { path.to_owned() };
    let file = folder.join("bundle.json");
    if !file.is_file() {
        return Err(BundleError::NotThere { path: path.to_owned(), file: "bundle.json".to_owned() });
    }
    let bytes = read_file(&file)?;
    let manifest: Manifest = match serde_json::from_slice(&bytes) {
        Ok(manifest) => manifest,
        // A newer format may hold other fields, so its number is looked at first.
        Err(source) => {
            return Err(newer(&folder, &bytes).unwrap_or(BundleError::Malformed { path: file, source }));
        }
    };
    if let Some(error) = newer(&folder, &bytes) {
        return Err(error);
    }
    let whole = |name: &str| -> Result<Vec<u8>, BundleError> {
        let file = folder.join(name);
        // What the manifest does not list is not the bundle's, wherever its name leads to.
        if !file.is_file() || !manifest.sha256.contains_key(name) {
            return Err(BundleError::NotThere { path: path.to_owned(), file: name.to_owned() });
        }
        let bytes = read_file(&file)?;
        if manifest.sha256.get(name) == Some(&sha256(&bytes)) {
            Ok(bytes)
        } else {
            Err(BundleError::Altered { path: file })
        }
    };
    let malformed = |name: &str| {
        let path = folder.join(name);
        move |source| BundleError::Malformed { path, source }
    };
    let preprocessor = Preprocessor::from_files(whole, |name, source| malformed(name)(source))?;
    let weights = whole("model.safetensors")?;
    let probes = whole("probes.jsonl")?
        .split(|byte| *byte == b'\n')
        .filter(|line| !line.is_empty())
        .map(|line| serde_json::from_slice(line).map_err(malformed("probes.jsonl")))
        .collect::<Result<_, _>>()?;
    let design = read_design(&manifest.design, &preprocessor)
        .map_err(|problems| BundleError::Design { path: folder.clone(), problems })?;
    Ok(Parts { manifest, preprocessor, design, weights, probes })
}

fn newer(folder: &Path, bytes: &[u8]) -> Option<BundleError> {
    #[derive(Deserialize)]
    struct Versioned {
        format: u32,
    }
    let found = serde_json::from_slice::<Versioned>(bytes).ok()?.format;
    (found > FORMAT).then(|| BundleError::Newer { path: folder.to_owned(), found })
}

fn read_file(path: &Path) -> Result<Vec<u8>, BundleError> {
    std::fs::read(path).map_err(|source| BundleError::Read { path: path.to_owned(), source })
}

/// SHA-256 in hexadecimal.
pub fn sha256(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}
