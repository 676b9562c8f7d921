//! What is wrong with a search space, found before time is spent.

use super::space::{self, Domain, Parameter, assignment};
use crate::error::LearnError;
use crate::prepare::Prepared;
use outset_spec::{Experiment, Problem, Problems, write_key};
use serde_json::Value;

/// The experiment with its inputs by name where a key of the space lies below one: naming one alone would leave out the
/// others.
pub(super) fn with_inputs(
    experiment: &Experiment,
    prepared: &Prepared,
    space: &[Parameter],
) -> Result<Experiment, Problems> {
    let names_one = space.iter().any(|parameter| parameter.key.starts_with("inputs."));
    if experiment.inputs.is_some() || !names_one {
        return Ok(experiment.clone());
    }
    let types: Vec<String> = prepared
        .reading
        .inputs
        .iter()
        .map(|(name, section)| format!("inputs.{}.type = \"{}\"", write_key(name), section.kind))
        .collect();
    experiment.with(&types)
}

/// Checks every key at both ends of its range before time is spent; `resolved` is the experiment with its defaults.
pub(super) fn check(
    experiment: &Experiment,
    prepared: &Prepared,
    resolved: &Value,
    space: &[Parameter],
) -> Result<(), LearnError> {
    let mut problems = Problems::default();
    for parameter in space {
        if let Some(problem) = incomparable(&parameter.key, prepared) {
            problems.push(problem);
            continue;
        }
        for (key, _) in &parameter.when {
            if space::at(resolved, key).is_none() && space.iter().all(|other| other.key != *key) {
                let message = format!(
                    "`tune.space` ties `{}` to `{key}`, which the experiment does not have",
                    parameter.key
                );
                problems.push(Problem::new(message));
            }
        }
        for value in parameter.extremes() {
            // A key that hangs on others is only sound beside them.
            let mut settings: Vec<String> = parameter
                .when
                .iter()
                .filter_map(|(key, values)| Some(assignment(key, values.first()?)))
                .collect();
            settings.push(assignment(&parameter.key, &value));
            let found = experiment.with(&settings).and_then(|changed| {
                crate::prepare::declared(&changed).or(())?;
                if space::at(&changed.to_table().to_json(), &parameter.key).is_none() {
                    let message = format!("`tune.space` names `{}`, which no experiment has", parameter.key);
                    return Err(Problem::new(message).into());
                }
                let judged = crate::redesign::redesign(prepared, &changed)?;
                if judged.is_some_and(|(_, recipe)| recipe.objective != prepared.recipe.objective) {
                    return Err(judged_otherwise(&parameter.key).into());
                }
                Ok(())
            });
            if let Err(found) = found {
                problems = problems.with(found);
                break;
            }
        }
    }
    problems.or(())?;
    match space.iter().find_map(|parameter| unsound_beside(experiment, parameter, space)) {
        Some(problem) => Err(Problems::from(problem).into()),
        None => Ok(()),
    }
}

/// What is wrong with a key that makes the values of trials incomparable: other rows, or another loss where that is what
/// is compared.
fn incomparable(key: &str, prepared: &Prepared) -> Option<Problem> {
    let parts = space::parts(key);
    match parts.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["data", "split" | "source" | "train" | "val" | "test", ..] => {
            let message =
                format!("`tune.space` names `{key}`, which gives each trial other rows to be judged by");
            Some(Problem::new(message).hint("a search compares its trials on the same val rows"))
        }
        ["outputs", _, "loss" | "weight", ..] if prepared.recipe.objective.output.is_none() => {
            Some(judged_otherwise(key))
        }
        _ => None,
    }
}

fn judged_otherwise(key: &str) -> Problem {
    Problem::new(format!("`tune.space` names `{key}`, which changes what trials are compared by"))
        .hint("`train.objective` names one metric of val for all of them, such as `accuracy`")
}

/// A key of the space that is sound by itself, but not beside one of the words that another key may become: settings of
/// one kind of network beside another kind.
fn unsound_beside(experiment: &Experiment, parameter: &Parameter, space: &[Parameter]) -> Option<Problem> {
    let value = parameter.extremes().into_iter().next()?;
    for other in space.iter().filter(|other| other.key != parameter.key) {
        let Domain::Choice(words) = &other.domain else { continue };
        for word in words.iter().filter(|word| word.is_string()) {
            let Some(mut both) = conditions(&[other, parameter], &other.key, word) else { continue };
            both.push(assignment(&parameter.key, &value));
            let sound = experiment.with(&both).is_ok_and(|changed| {
                crate::prepare::declared(&changed).or(()).is_ok()
                    && space::at(&changed.to_table().to_json(), &parameter.key).is_some()
            });
            if !sound {
                let message = format!(
                    "`tune.space` names `{}`, which does not go with `{}` = {word}",
                    parameter.key, other.key
                );
                let hint =
                    format!("`when = {{ \"{}\" = … }}` names the choices that it counts beside", other.key);
                return Some(Problem::new(message).hint(hint));
            }
        }
    }
    None
}

/// Settings beside which all the parameters count and `key` is `word`; `None` where they never do.
fn conditions(parameters: &[&Parameter], key: &str, word: &Value) -> Option<Vec<String>> {
    let mut settings = space::Settings::from([(key.to_owned(), word.clone())]);
    for (key, values) in parameters.iter().flat_map(|parameter| &parameter.when) {
        match settings.get(key) {
            Some(value) if space::has(values, value) => {}
            Some(_) => return None,
            None => _ = settings.insert(key.clone(), values.first()?.clone()),
        }
    }
    Some(settings.iter().map(|(key, value)| assignment(key, value)).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::prepare::prepare;
    use std::fmt::Write as _;

    /// The default space of an experiment on made rows, every key of which was found to be there and sound.
    fn default_space(settings: &str) -> Vec<Parameter> {
        let folder = tempfile::tempdir().unwrap();
        let mut rows = String::from("note,age,sold\n");
        for row in 0..120 {
            let age = row * 7919 % 1013 % 50;
            let word = ["bad", "good"][usize::from(age > 25)];
            let sold = ["no", "yes"][usize::from(age + row % 11 > 30)];
            let _ = writeln!(rows, "a {word} thing on day {row},{age},{sold}");
        }
        std::fs::write(folder.path().join("data.csv"), rows).unwrap();
        let file = format!(
            "name = \"it\"\ndata = {{ source = \"data.csv\" }}\noutputs = {{ sold = \"category\" }}\n\
             {settings}"
        );
        let experiment = Experiment::parse("outset.toml", &file, folder.path(), &[]).unwrap();
        let prepared = prepare(&experiment, &mut |_| {}).unwrap();
        let space = space::default_space(&prepared);
        let experiment = with_inputs(&experiment, &prepared, &space).unwrap();
        let resolved = prepared.experiment.to_table().to_json();
        for Parameter { key, .. } in &space {
            assert!(space::at(&resolved, key).is_some(), "the experiment has no `{key}`");
        }
        check(&experiment, &prepared, &resolved, &space).unwrap_or_else(|error| panic!("{error}"));
        space
    }

    #[test]
    fn trials_share_the_prepared_data_unless_they_change_it() {
        let folder = tempfile::tempdir().unwrap();
        let rows: String =
            (0..60).map(|row| format!("{},{}\n", row * 7 % 41, ["no", "yes"][row / 30])).collect();
        std::fs::write(folder.path().join("data.csv"), format!("age,sold\n{rows}")).unwrap();
        let file = "name = \"it\"\ndata = { source = \"data.csv\" }\noutputs = { sold = \"category\" }\n";
        let experiment = Experiment::parse("outset.toml", file, folder.path(), &[]).unwrap();
        let prepared = prepare(&experiment, &mut |_| {}).unwrap();
        let shares = |setting: &str| {
            let changed = experiment.with(&[setting.to_owned()]).unwrap();
            crate::redesign::redesign(&prepared, &changed).unwrap().is_some()
        };
        for setting in ["model.hidden_size=17", "train.optimizer.learning_rate=0.5", "train.batch_size=7"] {
            assert!(shares(setting), "{setting}");
        }
        // A linear model scales its numbers otherwise.
        assert!(!shares("model.kind=linear"));
    }

    #[test]
    fn the_default_space_is_sound_and_goes_by_the_network() {
        let training = ["train.optimizer.learning_rate", "train.optimizer.weight_decay", "train.batch_size"];
        let layers = ["model.hidden_size", "model.num_layers", "model.dropout"];
        let has = |space: &[Parameter], key: &str| space.iter().any(|parameter| parameter.key == key);
        let table = default_space("inputs = { age = \"number\" }\n");
        let linear = default_space("inputs = { age = \"number\" }\nmodel = { kind = \"linear\" }\n");
        let bags = default_space("inputs = { note = \"text\" }\n");
        let texts = default_space("inputs = { note = { type = \"text\", encoder = \"transformer\" } }\n");
        for space in [&table, &linear, &bags, &texts] {
            assert!(training.iter().all(|key| has(space, key)), "{space:?}");
        }
        assert!(layers.iter().all(|key| has(&table, key)), "{table:?}");
        for space in [&linear, &bags] {
            assert!(!layers.iter().any(|key| has(space, key)), "{space:?}");
        }
        let of_bags = ["inputs.note.encoder.embedding_size", "inputs.note.encoder.dropout"];
        assert!(of_bags.iter().all(|key| has(&bags, key)), "{bags:?}");
        let of_texts = ["inputs.note.encoder.hidden_size", "inputs.note.encoder.dropout"];
        assert!(of_texts.iter().all(|key| has(&texts, key)), "{texts:?}");
        let whole =
            default_space("inputs = { age = \"number\" }\ntrain = { optimizer = \"gradient_descent\" }\n");
        assert!(!has(&whole, "train.batch_size"), "{whole:?}");
    }
}
