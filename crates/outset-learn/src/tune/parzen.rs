//! Tree-structured Parzen estimator (Bergstra et al. 2011, <https://papers.nips.cc/paper/4443>): of values that good trials
//! would have, the one that bad trials would least have.

use super::space::{Domain, Parameter};
use rand::{RngExt as _, SeedableRng as _};
use rand_chacha::ChaCha8Rng;
use serde_json::Value;

/// Share of the trials that count as good.
const GOOD: f64 = 0.2;
/// Values that are compared.
const CANDIDATES: usize = 32;

/// The next value of one key, from the values that it had, the best trial first.
pub fn propose(parameter: &Parameter, ranked: &[&Value], seed: u64) -> Value {
    let mut generator = ChaCha8Rng::seed_from_u64(seed);
    let count = ((ranked.len() as f64 * GOOD).ceil() as usize).clamp(1, ranked.len().max(1));
    let (good, bad) = ranked.split_at(count.min(ranked.len()));
    if let Domain::Choice(values) = &parameter.domain {
        // One count for each choice beforehand, so that none is ruled out.
        let share = |among: &[&Value], choice: &Value| {
            let seen = among.iter().filter(|value| **value == choice).count();
            (seen as f64 + 1.0) / (among.len() + values.len()) as f64
        };
        let mut chosen = (f64::NEG_INFINITY, &values[0]);
        for _ in 0..CANDIDATES.min(2 * values.len()) {
            let mut rest = generator.random::<f64>();
            let drawn = values.iter().find(|value| {
                rest -= share(good, value);
                rest <= 0.0
            });
            let choice = drawn.unwrap_or(&values[values.len() - 1]);
            let ratio = share(good, choice) / share(bad, choice);
            if ratio > chosen.0 {
                chosen = (ratio, choice);
            }
        }
        return chosen.1.clone();
    }
    let places = |among: &[&Value]| -> Vec<f64> {
        let mut places = Vec::new();
        among.iter().for_each(|value| parameter.encode(Some(value), &mut places));
        places
    };
    let (good, bad) = (places(good), places(bad));
    let width = |places: &[f64]| (1.0 / (places.len() as f64 + 1.0)).clamp(0.05, 0.5);
    // A bell round each value, and as much as one bell spread evenly.
    let density = |places: &[f64], at: f64| {
        let width = width(places);
        let bells: f64 = places
            .iter()
            .map(|place| (-0.5 * ((at - place) / width).powi(2)).exp() / (width * 2.506_628))
            .sum();
        (bells + 1.0) / (places.len() as f64 + 1.0)
    };
    let mut chosen = (f64::NEG_INFINITY, 0.5);
    for _ in 0..CANDIDATES {
        let index = generator.random_range(0..=good.len());
        let at = match good.get(index) {
            Some(place) => {
                let bell: f64 = (0..12).map(|_| generator.random::<f64>()).sum::<f64>() - 6.0;
                (place + bell * width(&good)).clamp(0.0, 1.0)
            }
            None => generator.random(),
        };
        let ratio = density(&good, at) / density(&bad, at);
        if ratio > chosen.0 {
            chosen = (ratio, at);
        }
    }
    parameter.decode(chosen.1)
}
