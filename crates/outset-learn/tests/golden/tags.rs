use crate::{cases, close, close_to_largest, numbers, tensor, values};
use burn::tensor::{Int, Tensor, TensorData};
use outset_data::types::tags::{Entity, entities};
use outset_learn::metrics::{Score as _, TaggedRow, Tags};
use serde_json::Value;
use std::collections::BTreeMap;

/// Compares to 1e-5 of the largest value.
fn check(what: &str, found: &[f64], expected: &Value) {
    close_to_largest(what, found, expected, 1e-5);
}

#[test]
fn conditional_random_fields_are_pytorchs() {
    for case in cases(include_str!("tags.json")).iter().filter(|case| case["kind"] == "field") {
        let lengths: Vec<usize> =
            numbers(&case["lengths"]).into_iter().map(|length| length as usize).collect();
        let (rows, time) = (lengths.len(), *lengths.iter().max().unwrap());
        let tags = numbers(&case["emissions"]).len() / (rows * time);
        let emissions = tensor(&case["emissions"], [rows, time, tags]).require_grad();
        let chain = tensor(&case["chain"], [tags + 2, tags]).require_grad();
        let truth: Vec<i64> = numbers(&case["tags"]).into_iter().map(|tag| tag as i64).collect();
        let truth = Tensor::<2, Int>::from_data(TensorData::new(truth, [rows, time]), &emissions.device());
        let weights: Vec<f32> = numbers(&case["weights"]).into_iter().map(|weight| weight as f32).collect();
        let loss = outset_ops::crf(emissions.clone(), chain.clone(), truth, &lengths, &weights);
        check("loss", &values(loss.clone()), &case["loss"]);
        let gradients = loss.backward();
        check("emissions", &values(emissions.grad(&gradients).unwrap()), &case["gradients"][0]);
        check("chain", &values(chain.grad(&gradients).unwrap()), &case["gradients"][1]);
    }
}

fn list(row: &Value) -> Vec<&str> {
    row.as_array().unwrap().iter().map(|tag| tag.as_str().unwrap()).collect()
}

#[test]
fn entities_are_counted_as_seqeval_does() {
    let kinds = BTreeMap::from([("LOC", 0), ("ORG", 1), ("PER", 2)]);
    for case in cases(include_str!("tags.json")).iter().filter(|case| case["kind"] == "entities") {
        let lists = |key: &str| case[key].as_array().unwrap().iter().map(list).collect::<Vec<_>>();
        let rows: Vec<TaggedRow> = lists("actual")
            .into_iter()
            .zip(lists("predicted"))
            .map(|(actual, predicted)| {
                let right = actual.iter().zip(&predicted).filter(|(a, b)| a == b).count();
                let of = |tags: &[&str]| -> Vec<Entity> { entities(tags, &kinds) };
                TaggedRow { actual: of(&actual), predicted: of(&predicted), right, units: actual.len() }
            })
            .collect();
        let found = Tags::new(&rows, false, None).metrics();
        for (name, value) in case["metrics"].as_object().unwrap() {
            close(name, &[found[name]], &[value.as_f64().unwrap()], 1e-9);
        }
    }
}
