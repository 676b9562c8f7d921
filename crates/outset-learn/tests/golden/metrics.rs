use crate::{cases, close, numbers};
use outset_learn::metrics;

#[test]
fn metrics_are_scikit_learns() {
    for (i, case) in cases(include_str!("metrics.json")).iter().enumerate() {
        let actual = numbers(&case["actual"]);
        let predicted = numbers(&case["predicted"]);
        let weights = case.get("weights").map(numbers);
        let weights = weights.as_deref();
        let outputs = predicted.len() / case["predicted"].as_array().unwrap().len();
        let found = match case["kind"].as_str().unwrap() {
            "number" => metrics::number(&actual, &predicted, weights),
            "category" => {
                let actual: Vec<u32> = actual.iter().map(|&class| class as u32).collect();
                let positive = case.get("positive").map(|class| class.as_u64().unwrap() as usize);
                metrics::category(&actual, &predicted, outputs, positive, weights)
            }
            _ => {
                let actual: Vec<bool> = actual.iter().map(|&label| label > 0.5).collect();
                metrics::set(&actual, &predicted, outputs, weights)
            }
        };
        let expected = case["metrics"].as_object().unwrap();
        for (name, value) in expected {
            let found = *found.get(name).unwrap_or_else(|| panic!("case {i} has no {name}"));
            close(&format!("case {i}, {name}"), &[found], &[value.as_f64().unwrap()], 1e-9);
        }
        assert_eq!(found.len(), expected.len(), "case {i} has others: {found:?}");
    }
}
