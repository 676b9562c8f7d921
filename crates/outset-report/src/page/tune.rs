//! The search for settings: what was found, the trials in order, what each key is worth.

use minijinja::{Value, context};

use crate::format;
use crate::run::Run;

/// Trials that are shown at most.
const MAX_TRIALS: usize = 30;

pub fn tune(run: &Run) -> Option<Value> {
    let tune = run.record.tune.as_ref()?;
    let number = |value: Option<f64>| value.map_or_else(|| "–".to_owned(), format::number);
    let gain = tune.default.map(|default| {
        let sign = if tune.higher_is_better { 1.0 } else { -1.0 };
        let gain = sign * (tune.best - default);
        if gain > 0.0 {
            format!(
                "Trial {} won with {} {} on val; the settings as they were declared came to {}, {} worse.",
                tune.winner,
                tune.objective,
                format::number(tune.best),
                format::number(default),
                format::number(gain)
            )
        } else {
            format!(
                "No trial was better than the settings as they were declared, with {} {} on val.",
                tune.objective,
                format::number(default)
            )
        }
    });
    let trials = tune.trials.iter().take(MAX_TRIALS).map(|trial| {
        let settings: Vec<String> = trial
            .settings
            .iter()
            .map(|(key, value)| {
                let value = match value.as_f64() {
                    Some(value) => format::number(value),
                    None => value.to_string(),
                };
                format!("{key} = {value}")
            })
            .collect();
        context! {
            id => trial.id,
            value => number(trial.value),
            interval => trial.interval.map(|[low, high]| format!("{} to {}", format::number(low), format::number(high))),
            state => if trial.id == tune.winner { "won" } else { trial.state.as_str() },
            error => &trial.error,
            epochs => trial.epochs,
            seconds => format::seconds(trial.seconds),
            parameters => format::count(trial.parameters as u64),
            latency => trial.latency_seconds.map_or_else(|| "–".to_owned(), format::seconds),
            settings => if settings.is_empty() { "as declared".to_owned() } else { settings.join(", ") },
        }
    });
    let importance: Vec<(String, String)> =
        tune.importance.iter().map(|(key, share)| (key.clone(), format!("{:.0} %", share * 100.0))).collect();
    Some(context! {
        gain,
        objective => &tune.objective,
        count => tune.trials.len(),
        shown => tune.trials.len().min(MAX_TRIALS),
        seconds => format::seconds(tune.seconds),
        trials => trials.collect::<Vec<_>>(),
        importance,
    })
}
