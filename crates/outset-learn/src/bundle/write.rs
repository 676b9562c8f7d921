//! Writing the bundle of a trained network.

use super::{BundleError, FORMAT, Manifest, Probe, design_json, sha256};
use crate::error::LearnError;
use crate::predict::{PredictError, Predictor};
use crate::prepare::Prepared;
use crate::run::evenly;
use crate::train::Trained;
use crate::{files, thresholds, weights};
use indexmap::IndexMap;
use outset_data::Preprocessor;
use outset_spec::experiment::Probes;
use outset_spec::record::RunRecord;
use serde_json::Value;
use std::path::Path;

/// Rows that the probes of a bundle hold.
const PROBES: usize = 16;

/// Writes the bundle, replays its probes from disk, and only then gives it its name; returns how many there are.
///
/// # Errors
/// If the folder cannot be written, or a probe is answered otherwise from disk.
pub(crate) fn write(
    folder: &Path,
    prepared: &Prepared,
    trained: Trained,
    record: &RunRecord,
    thresholds: &IndexMap<String, thresholds::Chosen>,
) -> Result<usize, LearnError> {
    let preprocessor = &prepared.preprocessor;
    let bytes = weights::to_bytes(&trained.network)
        .map_err(|source| BundleError::Weights { path: folder.join("bundle"), source })?;
    let mut manifest = Manifest {
        format: FORMAT,
        version: env!("CARGO_PKG_VERSION").to_owned(),
        name: prepared.experiment.name.clone(),
        signature: preprocessor.signature(),
        metrics: record.metrics.get("test").cloned().unwrap_or_default(),
        thresholds: thresholds.iter().map(|(name, chosen)| (name.clone(), chosen.value)).collect(),
        positives: thresholds.iter().map(|(name, chosen)| (name.clone(), chosen.positive)).collect(),
        design: design_json(&prepared.experiment),
        sha256: Default::default(),
    };
    let rows = probe_rows(prepared, preprocessor);
    let predictor = Predictor::new(manifest.clone(), preprocessor.clone(), trained.network);
    let answers = predictor.predict(&rows).map_err(|error| match error {
        PredictError::Data(error) => LearnError::Data(error),
        PredictError::Rows(_) => unreachable!("probes are made from the signature"),
    })?;
    let mut probes = Vec::new();
    for (row, answer) in rows.into_iter().zip(answers) {
        probes.extend(files::json_line(&Probe { row, answer }));
    }
    let count = probes.iter().filter(|byte| **byte == b'\n').count();
    let partial = folder.join("bundle.partial");
    std::fs::create_dir_all(&partial)
        .map_err(|source| LearnError::Write { path: partial.clone(), source })?;
    let mut contents = preprocessor.to_files();
    contents.push(("model.safetensors".to_owned(), bytes));
    contents.push(("probes.jsonl".to_owned(), probes));
    for (name, bytes) in contents {
        files::write(&partial.join(&name), &bytes)?;
        manifest.sha256.insert(name, sha256(&bytes));
    }
    files::write(&partial.join("card.md"), crate::card::card(&manifest, record).as_bytes())?;
    files::write(&partial.join("bundle.json"), &files::pretty(&manifest))?;
    Predictor::load(&partial)?;
    let bundle = folder.join("bundle");
    if bundle.exists() {
        // Of a run that was stopped and goes on.
        std::fs::remove_dir_all(&bundle)
            .map_err(|source| LearnError::Write { path: bundle.clone(), source })?;
    }
    std::fs::rename(&partial, &bundle).map_err(|source| LearnError::Write { path: bundle, source })?;
    Ok(count)
}

/// Rows for the probes: made ones, or rows of the train part where the experiment asks for them.
fn probe_rows(prepared: &Prepared, preprocessor: &Preprocessor) -> Vec<Value> {
    match prepared.experiment.bundle.probes {
        Probes::Made => {
            preprocessor.made_rows(PROBES, prepared.recipe.seed).into_iter().map(Value::Object).collect()
        }
        Probes::Rows => evenly(&prepared.train, PROBES)
            .into_iter()
            .map(|row| Value::Object(preprocessor.row_values(&prepared.table, row as usize)))
            .collect(),
    }
}
