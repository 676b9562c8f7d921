//! Samplers: which settings the next trial tries.

use super::space::{Domain, Parameter, Settings, counting};
use super::{gaussian, parzen};
use crate::order::mix;
use outset_spec::choices;
use rand::{RngExt as _, SeedableRng as _};
use rand_chacha::ChaCha8Rng;
use serde_json::Value;
use std::collections::{BTreeMap, HashSet};
use std::iter::once;

choices! {
    /// How settings are chosen.
    pub enum Sampler {
        /// `gaussian_process` for up to 60 trials, else `tpe`.
        Auto = "auto",
        /// Where a Gaussian process expects the most improvement; the best for small budgets.
        GaussianProcess = "gaussian_process",
        /// Tree-structured Parzen estimator: what good trials have and bad ones lack.
        Tpe = "tpe",
        /// By lot.
        Random = "random",
        /// Every combination of evenly spaced values.
        Grid = "grid",
    }
}

/// Trials by lot before a model of them is of use.
const STARTUP: usize = 6;

/// Settings that are drawn in the place of known ones before there seem to be no others.
const ATTEMPTS: usize = 200;
/// More trials than any search has.
const FAR: usize = 1 << 24;

/// A trial that was tried, with its value, smaller being better.
pub struct Tried {
    pub settings: Settings,
    pub value: f64,
}

/// What a sampler works with.
pub struct Search<'a> {
    pub sampler: Sampler,
    pub space: &'a [Parameter],
    /// The experiment with its defaults filled in, for conditions on keys that are not searched over.
    pub resolved: &'a Value,
    pub seed: u64,
    /// Trials in all.
    pub trials: usize,
}

impl Search<'_> {
    /// The settings of trial `number`, the first being 1, other than all that are `known`; `None` where there are no more, or
    /// none could be found. Training the same again would come to the same.
    pub fn next(&self, number: usize, tried: &[Tried], known: &HashSet<Settings>) -> Option<Settings> {
        if self.sampler == Sampler::Grid {
            return self.grid(known);
        }
        let by_lot = |number: usize| self.each(|parameter| self.by_lot(parameter, number));
        let first = match self.sampler {
            Sampler::Random => by_lot(number),
            _ if tried.len() < STARTUP => by_lot(number),
            Sampler::Tpe => self.each(|parameter| self.tpe(parameter, number, tried)),
            Sampler::Auto if self.trials > 60 => self.each(|parameter| self.tpe(parameter, number, tried)),
            _ => self.process(number, tried),
        };
        // Each attempt has lots of its own, far from those of all trials.
        let others = (1..=ATTEMPTS).map(|attempt| by_lot(number + attempt * FAR));
        once(first).chain(others).find(|settings| !known.contains(settings))
    }

    fn each(&self, choose: impl Fn(&Parameter) -> Value) -> Settings {
        counting(self.space, self.resolved, |parameter| Some(choose(parameter)))
    }

    /// A number for each key and trial.
    fn seed_of(&self, parameter: &Parameter, number: usize) -> u64 {
        let name = parameter.key.bytes().fold(self.seed, |seed, byte| mix(seed, u64::from(byte)));
        mix(name, number as u64)
    }

    fn by_lot(&self, parameter: &Parameter, number: usize) -> Value {
        let mut generator = ChaCha8Rng::seed_from_u64(self.seed_of(parameter, number));
        parameter.decode(generator.random())
    }

    fn tpe(&self, parameter: &Parameter, number: usize, tried: &[Tried]) -> Value {
        let mut ranked: Vec<&Tried> = tried.iter().collect();
        ranked.sort_by(|a, b| a.value.total_cmp(&b.value));
        let values: Vec<&Value> =
            ranked.iter().filter_map(|tried| tried.settings.get(&parameter.key)).collect();
        parzen::propose(parameter, &values, self.seed_of(parameter, number))
    }

    fn process(&self, number: usize, tried: &[Tried]) -> Settings {
        let point = |settings: &Settings| {
            let mut point = Vec::new();
            for parameter in self.space {
                parameter.encode(settings.get(&parameter.key), &mut point);
            }
            point
        };
        let points: Vec<Vec<f64>> = tried.iter().map(|tried| point(&tried.settings)).collect();
        let values: Vec<f64> = tried.iter().map(|tried| tried.value).collect();
        let draw = |generator: &mut ChaCha8Rng, round: Option<&[f64]>| {
            let mut start = 0;
            let mut settings = Settings::new();
            for parameter in self.space {
                let width = parameter.width();
                let here = round.map(|round| &round[start..start + width]);
                start += width;
                let place = match (&parameter.domain, here) {
                    (Domain::Choice(values), Some(here)) if generator.random::<f64>() > 0.3 => {
                        let at = here.iter().position(|share| *share > 0.5).unwrap_or(0);
                        (at as f64 + 0.5) / values.len() as f64
                    }
                    (Domain::Choice(_), _) | (_, None) => generator.random(),
                    (_, Some(here)) => gaussian::near(generator, here[0]),
                };
                if parameter.is_active(&settings, self.resolved) {
                    settings.insert(parameter.key.clone(), parameter.decode(place));
                }
            }
            point(&settings)
        };
        let best = gaussian::propose(&points, &values, mix(self.seed, number as u64), &draw);
        let mut start = 0;
        let mut settings = Settings::new();
        for parameter in self.space {
            let here = &best[start..start + parameter.width()];
            start += parameter.width();
            if parameter.is_active(&settings, self.resolved) {
                let chosen = match &parameter.domain {
                    Domain::Choice(values) => {
                        values[here.iter().position(|share| *share > 0.5).unwrap_or(0)].clone()
                    }
                    _ => parameter.decode(here[0]),
                };
                settings.insert(parameter.key.clone(), chosen);
            }
        }
        settings
    }

    /// The first combination of the grid that is not `known`; its numbers have as many places as the trials have room for.
    fn grid(&self, known: &HashSet<Settings>) -> Option<Settings> {
        let combinations = |places: usize| {
            let of_each = self.space.iter().map(|parameter| parameter.grid(places).len());
            of_each.fold(1, usize::saturating_mul)
        };
        let places = (2..=100).take_while(|places| combinations(*places) <= self.trials).last().unwrap_or(2);
        let values: Vec<Vec<Value>> = self.space.iter().map(|parameter| parameter.grid(places)).collect();
        let combination = |mut rest: usize| {
            let mut chosen = BTreeMap::new();
            for (parameter, values) in self.space.iter().zip(&values) {
                chosen.insert(parameter.key.clone(), values[rest % values.len()].clone());
                rest /= values.len();
            }
            self.each(|parameter| chosen[&parameter.key].clone())
        };
        (0..combinations(places)).map(combination).find(|settings| !known.contains(settings))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn space() -> Vec<Parameter> {
        let parameter =
            |key: &str, domain: Domain| Parameter { key: key.to_owned(), domain, when: Vec::new() };
        let mut space = vec![
            parameter("a", Domain::Real { low: 1e-4, high: 1.0, log: true }),
            parameter("b", Domain::Whole { low: 1, high: 8, log: false }),
            parameter("c", Domain::Choice(vec!["x".into(), "y".into()])),
            parameter("d", Domain::Real { low: 0.0, high: 1.0, log: false }),
        ];
        space[3].when = vec![("c".to_owned(), vec!["y".into()])];
        space
    }

    /// Smaller is better: `a` near 0.01, `c` at `y`.
    fn objective(settings: &Settings) -> f64 {
        let a = settings["a"].as_f64().unwrap();
        (a.log10() + 2.0).powi(2) + if settings["c"] == "y" { 0.0 } else { 1.0 }
    }

    fn best(sampler: Sampler, seed: u64, trials: usize) -> f64 {
        let (space, declared) = (space(), Value::Null);
        let search = Search { sampler, space: &space, resolved: &declared, seed, trials };
        let mut tried: Vec<Tried> = Vec::new();
        for number in 1..=trials {
            let Some(settings) = search.next(number, &tried, &HashSet::new()) else { break };
            assert_eq!(settings.contains_key("d"), settings["c"] == "y", "{settings:?}");
            assert!((1..=8).contains(&settings["b"].as_i64().unwrap()));
            let value = objective(&settings);
            tried.push(Tried { settings, value });
        }
        tried.iter().map(|tried| tried.value).fold(f64::INFINITY, f64::min)
    }

    #[test]
    fn models_beat_chance() {
        for sampler in [Sampler::GaussianProcess, Sampler::Tpe] {
            let wins =
                (0..10).filter(|seed| best(sampler, *seed, 30) < best(Sampler::Random, *seed, 30)).count();
            assert!(wins >= 7, "{} of 10 by {}", wins, sampler.word());
        }
    }

    #[test]
    fn equal_seeds_give_equal_settings() {
        for sampler in [Sampler::GaussianProcess, Sampler::Tpe, Sampler::Random] {
            assert_eq!(best(sampler, 3, 12), best(sampler, 3, 12));
            assert_ne!(best(sampler, 3, 12), best(sampler, 4, 12));
        }
    }

    /// What a sampler comes to in so many trials, none of which is ever repeated.
    fn all(space: &[Parameter], sampler: Sampler, trials: usize) -> HashSet<Settings> {
        let search = Search { sampler, space, resolved: &Value::Null, seed: 0, trials };
        let mut known = HashSet::new();
        for number in 1..=trials {
            let Some(settings) = search.next(number, &[], &known) else { break };
            assert!(known.insert(settings));
        }
        known
    }

    #[test]
    fn a_grid_goes_through_every_combination() {
        // Three places for each of the two numbers, two choices.
        assert_eq!(all(&space()[..3], Sampler::Grid, 20).len(), 18);
        // Two places for each number; the last one counts beside one of the two choices.
        assert_eq!(all(&space(), Sampler::Grid, 20).len(), 2 * 2 + 2 * 2 * 2);
    }

    #[test]
    fn no_settings_come_twice() {
        // Eight numbers and two choices.
        assert_eq!(all(&space()[1..3], Sampler::Random, 50).len(), 16);
    }
}
