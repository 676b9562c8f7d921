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
                crate::redesign::redesign(prepared, &changed).map(|_| ())
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
            Some(value) if values.contains(value) => {}
            Some(_) => return None,
            None => _ = settings.insert(key.clone(), values.first()?.clone()),
        }
    }
    Some(settings.iter().map(|(key, value)| assignment(key, value)).collect())
}
