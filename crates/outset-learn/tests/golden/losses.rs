use crate::{cases, close, matrix, numbers, section, values};
use burn::tensor::{Device, Tensor, TensorData};
use outset_learn::losses::{Loss, Targets};
use outset_spec::Problems;

#[test]
fn losses_and_their_gradients_are_pytorchs() {
    let device = Device::flex().autodiff();
    for case in cases(include_str!("losses.json")) {
        let what = case["section"].as_str().unwrap();
        let mut problems = Problems::default();
        let mut loss = Loss::read(&section(&case), "outputs.y.loss", Loss::KINDS, &mut problems);
        assert!(problems.is_empty(), "{problems}");
        loss.settle(&["a", "b", "c"].map(String::from), &[0.5, 0.25, 0.25]).unwrap();

        let predictions = matrix(&case["predictions"]).require_grad();
        let targets = match case["kind"].as_str().unwrap() {
            "classes" => {
                let classes: Vec<i64> = numbers(&case["targets"]).iter().map(|&class| class as i64).collect();
                let rows = classes.len();
                Targets::Classes(Tensor::from_data(TensorData::new(classes, [rows]), &device))
            }
            _ => Targets::Values(matrix(&case["targets"])),
        };
        let weights: Vec<f32> = numbers(&case["weights"]).iter().map(|&weight| weight as f32).collect();
        let weights = Tensor::<1>::from_floats(weights.as_slice(), &device);

        let found = loss.forward(predictions.clone(), targets, weights);
        close(what, &values(found.clone()), &numbers(&case["loss"]), 1e-5);
        let gradients = found.backward();
        close(what, &values(predictions.grad(&gradients).unwrap()), &numbers(&case["gradient"]), 1e-5);
    }
}
