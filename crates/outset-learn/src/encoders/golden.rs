//! Encoders of texts beside PyTorch: outputs and gradients on the same weights. `xtask/golden/encoders.py` made the values.

use super::*;
use burn::module::{ModuleMapper, ModuleVisitor, Param};
use burn::tensor::TensorData;
use serde_json::Value;

/// Puts given values into parameters in their order.
struct Fill(Vec<Vec<f32>>);

impl ModuleMapper for Fill {
    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        let values = self.0.remove(0);
        param.map(|tensor| {
            assert_eq!(values.len(), tensor.shape().num_elements(), "{:?}", tensor.dims());
            Tensor::from_data(TensorData::new(values, tensor.dims()), &tensor.device()).require_grad()
        })
    }
}

fn numbers(value: &Value) -> Vec<f32> {
    match value {
        Value::Array(items) => items.iter().flat_map(numbers).collect(),
        value => vec![value.as_f64().unwrap() as f32],
    }
}

/// Compares to 1e-4 of the largest value.
fn check(what: &str, found: &[f32], expected: &[f32]) {
    assert_eq!(found.len(), expected.len(), "{what}");
    let largest = expected.iter().fold(0.0f32, |largest, value| largest.max(value.abs()));
    for (found, expected) in found.iter().zip(expected) {
        assert!((found - expected).abs() <= 1e-4 * largest, "{what}: {found}, but must be {expected}");
    }
}

/// Finds the gradient of the table of token vectors, which is every encoder's first parameter.
struct OfTable<'a>(&'a burn::tensor::Gradients, Option<Vec<f32>>);

impl ModuleVisitor for OfTable<'_> {
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        if self.1.is_none() {
            let gradient = param.val().grad(self.0).expect("the table has a gradient");
            self.1 = Some(gradient.into_data().try_into_vec().unwrap());
        }
    }
}

#[test]
fn encoders_of_texts_are_pytorchs() {
    let texts: [&[u32]; 3] = [&[1, 2, 3, 4, 5], &[6, 2], &[8, 7, 1]];
    let mut offsets = vec![0];
    texts.iter().for_each(|text| offsets.push(offsets.last().unwrap() + text.len()));
    let features = Features::Tokens { offsets, indices: texts.concat(), parts: None };
    let shape = FeatureShape::Tokens { size: 9, longest: 5, parts: 0, vectors: None };
    let device = Device::flex().autodiff();
    let cases: Vec<Value> = serde_json::from_str(include_str!("../../tests/golden/encoders.json")).unwrap();
    assert!(cases.len() > 10);
    for case in &cases {
        let what = format!("{} {}", case["kind"], case["settings"]);
        let mut section = Section::of(case["kind"].as_str().unwrap());
        for (key, value) in case["settings"].as_object().unwrap() {
            let text = value.as_str().unwrap();
            match (text.parse::<i64>(), text.parse::<f64>(), text.parse::<bool>()) {
                (Ok(number), ..) => section.parameters.put(key, number),
                (_, Ok(number), _) => section.parameters.put(key, number),
                (.., Ok(flag)) => section.parameters.put(key, flag),
                _ => section.parameters.put(key, text),
            }
        }
        let mut problems = Problems::default();
        let settings = Settings::read(&section, &shape, Size::Tiny, 100, "encoder", &mut problems);
        assert_eq!(problems, Problems::default(), "{what}");
        let encoder = settings.unwrap().build(std::slice::from_ref(&shape), &mut Init::new(1, &device));
        let mut fill = Fill(case["parameters"].as_array().unwrap().iter().map(numbers).collect());
        let encoder = encoder.map(&mut fill);
        assert!(fill.0.is_empty(), "{what}: parameters are left over");
        let gathered = encoder.gather(&[&features], &[0, 1, 2], &device);
        let output = encoder.pool(encoder.forward(&gathered, None));
        let dims = output.dims();
        check(&what, &output.clone().into_data().try_into_vec::<f32>().unwrap(), &numbers(&case["output"]));
        let upstream = Tensor::<2>::from_data(TensorData::new(numbers(&case["upstream"]), dims), &device);
        let gradients = (output * upstream).sum().backward();
        let mut table = OfTable(&gradients, None);
        encoder.visit(&mut table);
        check(&what, &table.1.unwrap(), &numbers(&case["gradient"]));
    }
}
