//! Comparisons with golden values of PyTorch and scikit-learn; `xtask/golden` has the scripts that made them.

mod activations;
mod baselines;
mod layers;
mod losses;
mod metrics;
mod optimizers;
mod schedules;
mod sequences;
mod tags;
mod text;

use burn::tensor::{Device, Tensor, TensorData};
use outset_spec::{Section, Setting, Table};
use serde_json::Value;

/// The cases of a golden file.
fn cases(text: &str) -> Vec<Value> {
    serde_json::from_str(text).unwrap()
}

/// All numbers of nested lists, in order.
fn numbers(value: &Value) -> Vec<f64> {
    match value {
        Value::Array(items) => items.iter().flat_map(numbers).collect(),
        value => vec![value.as_f64().unwrap()],
    }
}

/// A matrix on the device with automatic differentiation.
fn matrix(value: &Value) -> Tensor<2> {
    let rows = value.as_array().unwrap().len();
    tensor(value, [rows, numbers(value).len() / rows])
}

/// A tensor of that shape on the device with automatic differentiation.
fn tensor<const D: usize>(value: &Value, shape: [usize; D]) -> Tensor<D> {
    let values: Vec<f32> = numbers(value).iter().map(|&value| value as f32).collect();
    Tensor::from_data(TensorData::new(values, shape), &Device::flex().autodiff())
}

/// The shape of nested lists.
fn shape<const D: usize>(value: &Value) -> [usize; D] {
    let mut inner = value;
    std::array::from_fn(|_| {
        let items = inner.as_array().unwrap();
        inner = &items[0];
        items.len()
    })
}

/// The numbers of a tensor.
fn values<const D: usize>(tensor: Tensor<D>) -> Vec<f64> {
    tensor.into_data().iter::<f32>().map(f64::from).collect()
}

/// The section that a case's `section` writes as the inside of an inline table.
fn section(case: &Value) -> Section {
    let text = format!("it = {{ {} }}", case["section"].as_str().unwrap());
    let table = Table::parse("golden", &text).unwrap();
    <Section as Setting>::from_node(table.get("it").unwrap()).unwrap()
}

/// Compares to `relative` of the largest value.
fn close_to_largest(what: &str, found: &[f64], expected: &Value, relative: f64) {
    let expected = numbers(expected);
    assert_eq!(found.len(), expected.len(), "{what}");
    let largest = expected.iter().fold(0.0, |largest: f64, value| largest.max(value.abs()));
    for (found, expected) in found.iter().zip(&expected) {
        assert!((found - expected).abs() <= relative * largest, "{what}: {found}, but must be {expected}");
    }
}

/// Compares to `relative`, and where a difference of larger numbers is next to nothing to their last place in 32 bits.
fn close(what: &str, found: &[f64], expected: &[f64], relative: f64) {
    assert_eq!(found.len(), expected.len(), "{what}: lengths differ");
    let largest = expected.iter().fold(0.0_f64, |largest, value| largest.max(value.abs()));
    let last_place = if relative < 1e-6 { 1e-12 } else { largest * f64::from(f32::EPSILON) };
    for (i, (found, expected)) in found.iter().zip(expected).enumerate() {
        let error = (found - expected).abs();
        assert!(
            error <= relative * expected.abs() + last_place,
            "{what}[{i}] is {found}, but must be {expected}"
        );
    }
}
