//! Decision thresholds other than 0.5, chosen on val where the experiment asks for one.

use crate::decoders::{self, category::Threshold};
use crate::evaluate::{Answers, TruthValues, pick};
use crate::metrics;
use crate::prepare::Prepared;
use indexmap::IndexMap;

/// A threshold and how it came about.
#[derive(Clone, Debug, PartialEq)]
pub struct Chosen {
    pub value: f64,
    /// The class that is answered at and above the threshold.
    pub positive: usize,
    pub chosen_by: String,
}

/// Chooses the threshold of each output that asks for one, by its answers on val.
pub fn choose(prepared: &Prepared, val: &Answers) -> IndexMap<String, Chosen> {
    let mut thresholds = IndexMap::new();
    for (index, (truth, (settings, _))) in prepared.truths.iter().zip(&prepared.design.decoders).enumerate() {
        let (decoders::Settings::Category(settings), TruthValues::Category(classes), Some(positive)) =
            (settings, &truth.values, truth.positive)
        else {
            continue;
        };
        let actual: Vec<bool> =
            pick(classes, &val.rows).iter().map(|class| *class as usize == positive).collect();
        let probability: Vec<f64> =
            val.outputs[index].chunks_exact(truth.width()).map(|values| values[positive]).collect();
        let weights: Option<Vec<f64>> = prepared
            .weights
            .as_deref()
            .map(|weights| pick(weights, &val.rows).into_iter().map(f64::from).collect());
        let weights = weights.as_deref();
        let chosen = match (settings.threshold, settings.cost_of_miss, settings.cost_of_false_alarm) {
            (Some(Threshold::At(value)), ..) => Some((value, "set in the experiment".to_owned())),
            (Some(Threshold::F1), ..) => Some((
                metrics::best_f1_threshold(&actual, &probability, weights),
                "the best F1 on val".to_owned(),
            )),
            (None, Some(miss), Some(alarm)) => Some((
                metrics::cheapest_threshold(&actual, &probability, weights, miss, alarm),
                format!("the least cost on val, a miss costing {miss} and a false alarm {alarm}"),
            )),
            _ => None,
        };
        if let Some((value, chosen_by)) = chosen {
            thresholds.insert(truth.name.clone(), Chosen { value, positive, chosen_by });
        }
    }
    thresholds
}
