use crate::{cases, numbers, values};
use burn::tensor::{Device, Tensor, TensorData};
use outset_ops::AttentionMask;
use serde_json::Value;

fn tensor<const D: usize>(value: &Value) -> Tensor<D> {
    let (mut shape, mut inner) = (Vec::new(), value);
    while let Value::Array(items) = inner {
        shape.push(items.len());
        inner = &items[0];
    }
    let values: Vec<f32> = numbers(value).iter().map(|&value| value as f32).collect();
    Tensor::from_data(TensorData::new(values, shape), &Device::flex().autodiff())
}

/// Compares to 1e-4 of the largest value.
fn check(what: &str, found: &[f64], expected: &Value) {
    let expected = numbers(expected);
    assert_eq!(found.len(), expected.len(), "{what}");
    let largest = expected.iter().fold(0.0, |largest: f64, value| largest.max(value.abs()));
    for (found, expected) in found.iter().zip(&expected) {
        assert!((found - expected).abs() <= 1e-4 * largest, "{what}: {found}, but must be {expected}");
    }
}

#[test]
fn recurrent_layers_are_pytorchs() {
    for case in cases(include_str!("sequences.json")) {
        let name = case["name"].as_str().unwrap();
        if name == "attention" {
            continue;
        }
        let inputs = case["inputs"].as_array().unwrap();
        let x = tensor::<3>(&inputs[0]).require_grad();
        let (w, u) = (tensor::<2>(&inputs[1]).require_grad(), tensor::<2>(&inputs[2]).require_grad());
        let biases: Vec<Tensor<1>> = inputs[3..].iter().map(|b| tensor::<1>(b).require_grad()).collect();
        let output = match biases.as_slice() {
            [b] => outset_ops::lstm(x.clone(), w.clone(), u.clone(), b.clone()),
            [b, c] => outset_ops::gru(x.clone(), w.clone(), u.clone(), b.clone(), c.clone()),
            _ => panic!("a recurrent layer has one or two biases"),
        };
        check(name, &values(output.clone()), &case["output"]);
        let gradients = (output * tensor(&case["upstream"])).sum().backward();
        let mut found = vec![
            values(x.grad(&gradients).unwrap()),
            values(w.grad(&gradients).unwrap()),
            values(u.grad(&gradients).unwrap()),
        ];
        found.extend(biases.iter().map(|b| values(b.grad(&gradients).unwrap())));
        for (found, expected) in found.iter().zip(case["gradients"].as_array().unwrap()) {
            check(name, found, expected);
        }
    }
}

#[test]
fn attention_over_filled_sequences_is_pytorchs() {
    let cases = cases(include_str!("sequences.json"));
    let case = cases.iter().find(|case| case["name"] == "attention").unwrap();
    let inputs: Vec<Tensor<4>> =
        case["inputs"].as_array().unwrap().iter().map(|input| tensor(input).require_grad()).collect();
    let lengths = numbers(&case["lengths"]).into_iter().map(|length| length as usize).collect();
    let [q, k, v] = [0, 1, 2].map(|index: usize| inputs[index].clone());
    let output = outset_ops::attention(q, k, v, AttentionMask::padded(lengths));
    check("attention", &values(output.clone()), &case["output"]);
    let gradients = (output * tensor(&case["upstream"])).sum().backward();
    for (input, expected) in inputs.iter().zip(case["gradients"].as_array().unwrap()) {
        check("attention", &values(input.grad(&gradients).unwrap()), expected);
    }
}
