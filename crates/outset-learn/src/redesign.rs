//! Another network and recipe for data that is prepared already, so that trials of a study share it in memory.

use crate::columns::{read_input, read_output};
use crate::combiner;
use crate::encoders;
use crate::network::{self, Design};
use crate::prepare::{Prepared, class_shares, names_smoothing};
use crate::recipe;
use crate::recipe::Recipe;
use crate::size::Size;
use outset_spec::{Experiment, Problems, Section};

/// Whether a key changes what the data becomes, and not only what is made of it.
pub fn changes_data(key: &str) -> bool {
    let parts: Vec<&str> = key.split('.').collect();
    !matches!(
        parts.as_slice(),
        ["model" | "train", ..] | ["inputs", _, "encoder", ..] | ["outputs", _, "loss" | "weight", ..]
    )
}

/// Reads network and recipe of an experiment that differs from the prepared one only in keys that leave the data alone.
///
/// # Errors
/// Everything that is wrong with the settings.
pub fn redesign(prepared: &Prepared, experiment: &Experiment) -> Result<(Design, Recipe), Problems> {
    let mut problems = Problems::default();
    let rows = prepared.train.len();
    let linear = experiment.model.kind == "linear";
    let section = |declared: Option<&Section>, kind: &str| {
        let mut section = declared.cloned().unwrap_or_default();
        if section.kind.is_empty() {
            section.kind = kind.to_owned();
        }
        section
    };
    let mut encoders = Vec::new();
    for (name, input) in &prepared.preprocessor.inputs {
        let declared = experiment.inputs.as_ref().and_then(|inputs| inputs.get(name));
        let section = section(declared, input.kind());
        let Some((_, encoder)) = read_input(&section, &format!("inputs.{name}"), linear, rows, &mut problems)
        else {
            continue;
        };
        let (shape, size, path) =
            (input.shape(), Size::of(&experiment.model), format!("inputs.{name}.encoder"));
        encoders.extend(encoders::Settings::read(&encoder, &shape, size, rows, &path, &mut problems));
    }
    let mut decoders = Vec::new();
    for (index, (name, output)) in prepared.preprocessor.outputs.iter().enumerate() {
        let section = section(experiment.outputs.get(name), output.kind());
        let Some((_, decoder, mut loss)) = read_output(&section, &format!("outputs.{name}"), &mut problems)
        else {
            continue;
        };
        let (classes, shares) = class_shares(output, &prepared.targets[index], &prepared.train);
        loss.settle(&classes, &shares)?;
        decoders.push((decoder, loss));
    }
    let wishes = network::wishes(&encoders, &decoders, rows);
    let given = combiner::Given { rows, ready: wishes.ready };
    let combiner = combiner::Settings::read(&experiment.model, given, &mut problems);
    for ((name, output), (_, loss)) in prepared.preprocessor.outputs.iter().zip(&mut decoders) {
        let section = section(experiment.outputs.get(name), output.kind());
        if let Some(share) = wishes.label_smoothing.filter(|_| !names_smoothing(&section)) {
            loss.smooth(share);
        }
    }
    std::mem::take(&mut problems).or(())?;
    let Some(combiner) = combiner else { unreachable!("a model without problems has settings") };
    let design = Design { encoders, combiner, decoders };
    let recipe = recipe::resolve(&experiment.train, &design, &prepared.truths, rows, &mut problems);
    problems.or((design, recipe))
}
