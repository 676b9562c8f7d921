//! What each key is worth: the share of the differences between trials that it explains by itself.

use super::sampler::Tried;
use super::space::{Domain, Parameter};
use indexmap::IndexMap;

/// Groups that numbers are divided into.
const GROUPS: usize = 4;

/// For each key the correlation ratio η²: the variance between groups of trials with like values of the key, over the
/// variance between all trials (Pearson 1905). Values are taken as ranks, so that one bad trial does not drown the rest. A
/// key that counts in some trials alone is asked about among these: that they are better or worse than others is the work of
/// the key that it hangs on.
pub fn of_keys(space: &[Parameter], tried: &[Tried]) -> IndexMap<String, f64> {
    let ranks = ranks(tried);
    let mean = mean_of(&ranks);
    let all: f64 = ranks.iter().map(|rank| (rank - mean).powi(2)).sum();
    let of = |parameter: &Parameter| {
        let mut groups: IndexMap<usize, Vec<f64>> = IndexMap::new();
        let mut within = Vec::new();
        for (tried, rank) in tried.iter().zip(&ranks) {
            let mut place = Vec::new();
            let Some(value) = tried.settings.get(&parameter.key) else { continue };
            parameter.encode(Some(value), &mut place);
            let group = match parameter.domain {
                Domain::Choice(_) => place.iter().position(|share| *share > 0.5).unwrap_or(0),
                _ => ((place[0] * GROUPS as f64) as usize).min(GROUPS - 1),
            };
            groups.entry(group).or_default().push(*rank);
            within.push(*rank);
        }
        let mean = mean_of(&within);
        let between: f64 =
            groups.values().map(|group| group.len() as f64 * (mean_of(group) - mean).powi(2)).sum();
        if all > 0.0 { (between / all).clamp(0.0, 1.0) } else { 0.0 }
    };
    let mut found: IndexMap<String, f64> =
        space.iter().map(|parameter| (parameter.key.clone(), of(parameter))).collect();
    found.sort_by(|_, a, _, b| b.total_cmp(a));
    found
}

fn mean_of(values: &[f64]) -> f64 {
    values.iter().sum::<f64>() / values.len().max(1) as f64
}

fn ranks(tried: &[Tried]) -> Vec<f64> {
    let below = |value: f64| tried.iter().filter(|other| other.value < value).count() as f64;
    let equal = |value: f64| tried.iter().filter(|other| other.value == value).count() as f64;
    tried.iter().map(|tried| below(tried.value) + equal(tried.value) / 2.0).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tune::space::Settings;

    #[test]
    fn the_key_that_matters_comes_first() {
        let key = |key: &str| Parameter {
            key: key.to_owned(),
            domain: Domain::Real { low: 0.0, high: 1.0, log: false },
            when: Vec::new(),
        };
        let tried: Vec<Tried> = (0..40)
            .map(|index| {
                let (a, b) = (f64::from(index) / 39.0, f64::from(index * 7 % 40) / 39.0);
                let settings = Settings::from([("a".to_owned(), a.into()), ("b".to_owned(), b.into())]);
                Tried { settings, value: a * a }
            })
            .collect();
        let found = of_keys(&[key("b"), key("a")], &tried);
        assert_eq!(found.get_index(0).map(|(name, _)| name.as_str()), Some("a"));
        assert!(found["a"] > 0.9 && found["b"] < 0.2, "{found:?}");
    }

    #[test]
    fn a_key_has_no_share_in_the_one_that_it_hangs_on() {
        let kind = Parameter {
            key: "kind".to_owned(),
            domain: Domain::Choice(vec!["linear".into(), "mlp".into()]),
            when: Vec::new(),
        };
        let dropout = Parameter {
            key: "dropout".to_owned(),
            domain: Domain::Real { low: 0.0, high: 1.0, log: false },
            when: vec![("kind".to_owned(), vec!["mlp".into()])],
        };
        // Dropout does nothing, and each network is as good as any other of its kind.
        let tried: Vec<Tried> = (0..40)
            .map(|index| {
                let mut settings = Settings::from([("kind".to_owned(), "linear".into())]);
                if index % 2 == 0 {
                    settings.insert("kind".to_owned(), "mlp".into());
                    settings.insert("dropout".to_owned(), (f64::from(index) / 39.0).into());
                }
                Tried { settings, value: f64::from(index % 2) }
            })
            .collect();
        let found = of_keys(&[dropout, kind], &tried);
        assert_eq!((found["kind"], found["dropout"]), (1.0, 0.0));
    }
}
