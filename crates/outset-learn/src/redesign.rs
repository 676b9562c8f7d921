//! Another network and recipe for data that is prepared already, so that trials of a study share it in memory.

use crate::columns::{read_input, read_output};
use crate::combiner;
use crate::encoders;
use crate::network::{self, Design};
use crate::prepare::{Prepared, class_shares, names_smoothing};
use crate::recipe;
use crate::recipe::Recipe;
use crate::size::Size;
use crate::tune::space;
use outset_spec::{Experiment, Problems, Section};

/// Whether a key changes what the data becomes, whatever its value, and not only what is made of it.
pub fn changes_data(key: &str) -> bool {
    let parts = space::parts(key);
    let parts: Vec<&str> = parts.iter().map(String::as_str).collect();
    !matches!(
        parts.as_slice(),
        ["model" | "train", ..] | ["inputs", _, "encoder", ..] | ["outputs", _, "loss" | "weight", ..]
    )
}

/// A column's section as it was read, with those of its keys that `declared` has anew.
fn renewed(read: &Section, declared: Option<&Section>, keys: &[&str]) -> Section {
    let mut section = read.clone();
    for key in keys {
        if let Some(entry) = declared.and_then(|declared| declared.parameters.0.get(*key)) {
            section.parameters.0.insert((*key).to_owned(), entry.clone());
        }
    }
    section
}

/// Reads network and recipe of an experiment that differs from the prepared one only in keys that leave the data alone;
/// `None` where these make something else of a column after all: a linear model scales its numbers otherwise, and a network
/// that reads words in their order has another tokenizer.
///
/// # Errors
/// Everything that is wrong with the settings.
pub fn redesign(prepared: &Prepared, experiment: &Experiment) -> Result<Option<(Design, Recipe)>, Problems> {
    let mut problems = Problems::default();
    let (rows, reading) = (prepared.train.len(), &prepared.reading);
    let linear = experiment.model.kind == "linear";
    let mut is_same = true;
    let mut sections = Vec::new();
    for (name, read) in &reading.inputs {
        let declared = experiment.inputs.as_ref().and_then(|inputs| inputs.get(name));
        let names_encoder = declared.is_some_and(|section| section.parameters.get("encoder").is_some());
        is_same &= !(names_encoder && reading.alike.contains(name));
        let section = renewed(read, declared, &["encoder"]);
        let path = format!("inputs.{name}");
        if let Some((settings, encoder)) = read_input(&section, &path, linear, rows, &mut problems) {
            is_same &= reading.input_settings.get(name) == Some(&settings);
            sections.push(encoder);
        }
    }
    std::mem::take(&mut problems).or(())?;
    if !is_same {
        return Ok(None);
    }
    let mut encoders = Vec::new();
    for ((name, input), encoder) in prepared.preprocessor.inputs.iter().zip(&sections) {
        let (shape, size, path) =
            (input.shape(), Size::of(&experiment.model), format!("inputs.{name}.encoder"));
        encoders.extend(encoders::Settings::read(encoder, &shape, size, rows, &path, &mut problems));
    }
    let outputs: Vec<Section> = reading
        .outputs
        .iter()
        .map(|(name, read)| renewed(read, experiment.outputs.get(name), &["loss", "weight"]))
        .collect();
    let mut decoders = Vec::new();
    for (index, ((name, output), section)) in prepared.preprocessor.outputs.iter().zip(&outputs).enumerate() {
        let Some((_, decoder, mut loss)) = read_output(section, &format!("outputs.{name}"), &mut problems)
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
    for (section, (_, loss)) in outputs.iter().zip(&mut decoders) {
        if let Some(share) = wishes.label_smoothing.filter(|_| !names_smoothing(section)) {
            loss.smooth(share);
        }
    }
    std::mem::take(&mut problems).or(())?;
    let Some(combiner) = combiner else { unreachable!("a model without problems has settings") };
    let design = Design { encoders, combiner, decoders };
    let recipe = recipe::resolve(&experiment.train, &design, &prepared.truths, rows, &mut problems);
    problems.or(Some((design, recipe)))
}
