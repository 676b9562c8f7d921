use crate::{cases, numbers};
use outset_learn::baselines::{Baseline, Targets};

/// Compares to a share of the largest expected number.
fn near(what: &str, found: &[f64], expected: &[f64], relative: f64) {
    assert_eq!(found.len(), expected.len(), "{what}");
    let largest = expected.iter().fold(0.0_f64, |largest, value| largest.max(value.abs()));
    for (found, expected) in found.iter().zip(expected) {
        assert!((found - expected).abs() <= relative * largest, "{what}: {found}, but must be {expected}");
    }
}

#[test]
fn linear_models_are_numpys_and_scikit_learns() {
    for (i, case) in cases(include_str!("baselines.json")).iter().enumerate() {
        let features: Vec<f32> = numbers(&case["features"]).iter().map(|&value| value as f32).collect();
        let actual = numbers(&case["actual"]);
        let weights = case["weights"].is_array().then(|| numbers(&case["weights"]));
        let width = features.len() / actual.len();
        let classes: Vec<u32> = actual.iter().map(|&class| class as u32).collect();
        let (targets, relative) = match case["kind"].as_str().unwrap() {
            "number" => (Targets::Number(&actual), 1e-8),
            _ => {
                let count = classes.iter().max().unwrap() + 1;
                (Targets::Category { actual: &classes, classes: count as usize }, 1e-4)
            }
        };
        let fitted = Baseline::Linear.fit(&features, width, targets, weights.as_deref());
        let what = format!("case {i}");
        near(&what, &fitted.coefficients, &numbers(&case["coefficients"]), relative);
        // Softmax does not change when all intercepts move together; scikit-learn's happen to sum to about nothing.
        let center = |mut values: Vec<f64>| {
            let mean = values.iter().sum::<f64>() / values.len() as f64;
            if values.len() > 1 {
                values.iter_mut().for_each(|value| *value -= mean);
            }
            values
        };
        near(&what, &center(fitted.intercepts.clone()), &center(numbers(&case["intercepts"])), relative);
        let expected = numbers(&case["predictions"]);
        near(&what, &fitted.predict(&features)[..expected.len()], &expected, relative);
    }
}

#[test]
fn a_set_is_a_logistic_regression_for_each_label() {
    let golden = cases(include_str!("baselines.json"));
    let features: Vec<f32> = numbers(&golden[2]["features"]).iter().map(|&value| value as f32).collect();
    // The labels: one that every row has, the two classes of a golden case, one that no row has.
    let truth: Vec<bool> = numbers(&golden[2]["actual"]).iter().map(|&class| class > 0.5).collect();
    let actual: Vec<bool> = truth.iter().flat_map(|&truth| [true, truth, false]).collect();
    let fitted = Baseline::Linear.fit(&features, 4, Targets::Set { actual: &actual, labels: 3 }, None);
    near("label", &fitted.coefficients[4..8], &numbers(&golden[2]["coefficients"]), 1e-4);
    let predictions = fitted.predict(&features);
    assert_eq!((predictions[0], predictions[2]), (1.0, 0.0));
}
