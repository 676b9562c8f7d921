use crate::{cases, close_to_largest, numbers, shape, values};
use burn::tensor::Tensor;
use outset_ops::AttentionMask;
use serde_json::Value;

fn tensor<const D: usize>(value: &Value) -> Tensor<D> {
    crate::tensor(value, shape(value))
}

/// Compares to 1e-4 of the largest value.
fn check(what: &str, found: &[f64], expected: &Value) {
    close_to_largest(what, found, expected, 1e-4);
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
