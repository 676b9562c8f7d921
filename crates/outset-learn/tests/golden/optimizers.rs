use crate::{cases, close, numbers, section, values};
use burn::tensor::{Device, Tensor, TensorData};
use outset_learn::optimizers::Optimizer;
use outset_spec::Problems;

/// A matrix by a formula of the position, on the plain device.
fn made(shape: [usize; 2], formula: impl Fn(f64) -> f64) -> Tensor<2> {
    let values: Vec<f32> = (0..shape[0] * shape[1]).map(|i| formula(i as f64) as f32).collect();
    Tensor::from_data(TensorData::new(values, shape), &Device::flex())
}

/// Compares the steps of a case with its weights and gradients folded to another shape.
fn check<const D: usize>(
    case: &serde_json::Value,
    fold: impl Fn(Tensor<2>) -> Tensor<D>,
    unfold: impl Fn(Tensor<D>) -> Tensor<2>,
) {
    let what = case["section"].as_str().unwrap();
    let mut problems = Problems::default();
    let optimizer = Optimizer::read(&section(case), &mut problems);
    assert!(problems.is_empty(), "{problems}");

    let shape = [0, 1].map(|i| case["shape"][i].as_u64().unwrap() as usize);
    let mut weight = fold(made(shape, |i| (64.0 * (1.0 + i).sin()).floor() / 64.0));
    let mut state = Vec::new();
    for step in 1..=20 {
        let at = |i: f64| (64.0 * (1.7 * i + 0.9 * step as f64).cos()).floor() / 64.0 + 1.0 / 256.0;
        let gradient = fold(made(shape, at));
        (weight, state) = optimizer.step(weight, gradient, state, optimizer.learning_rate(), step, true);
        let expected = &case["weights"][step.to_string()];
        if expected.is_array() {
            let found = values(unfold(weight.clone()));
            close(&format!("{what}, step {step}"), &found, &numbers(expected), 1e-5);
        }
    }
}

#[test]
fn steps_are_pytorchs() {
    for case in cases(include_str!("optimizers.json")) {
        check(&case, |tensor| tensor, |tensor| tensor);
    }
}

/// A convolution's kernels have a row for each output, where the weight of a linear map has a column.
#[test]
fn kernels_step_as_a_linear_map_does() {
    let to_kernels = |matrix: Tensor<2>| {
        let [inputs, outputs] = matrix.dims();
        matrix.transpose().reshape([outputs, 1, 1, inputs])
    };
    let to_matrix = |kernels: Tensor<4>| {
        let [outputs, _, _, inputs] = kernels.dims();
        kernels.reshape([outputs, inputs]).transpose()
    };
    for case in cases(include_str!("optimizers.json")) {
        check(&case, to_kernels, to_matrix);
    }
}

/// The rules that look at each number by itself give the same for any shape.
#[test]
fn other_shapes_step_alike() {
    let optimizer = Optimizer::read(&outset_spec::Section::of("adamw"), &mut Problems::default());
    let (weight, gradient) = (made([3, 4], f64::sin), made([3, 4], f64::cos));
    let (expected, _) = optimizer.step(weight.clone(), gradient.clone(), Vec::new(), 0.1, 1, true);
    let flat: [Tensor<1>; 2] = [weight.clone().reshape([12]), gradient.clone().reshape([12])];
    let [w, g] = flat;
    let (found, state) = optimizer.step(w, g, Vec::new(), 0.1, 1, true);
    assert_eq!(state[0].dims(), [12]);
    assert_eq!(values(found), values(expected.clone()));
    let cube: [Tensor<3>; 2] = [weight.reshape([3, 2, 2]), gradient.reshape([3, 2, 2])];
    let [w, g] = cube;
    let (found, state) = optimizer.step(w, g, Vec::new(), 0.1, 1, true);
    assert_eq!(state[1].dims(), [3, 2, 2]);
    assert_eq!(values(found), values(expected));
}

/// Without decay a weight without a gradient stays where it is.
#[test]
fn decay_is_only_for_weights_that_want_it() {
    for kind in ["sgd", "adam", "adamw", "rmsprop", "adagrad", "lion", "muon"] {
        let mut section = outset_spec::Section::of(kind);
        section.parameters.put("weight_decay", 0.5);
        let optimizer = Optimizer::read(&section, &mut Problems::default());
        let weight = made([3, 4], f64::sin);
        let step =
            |decay| values(optimizer.step(weight.clone(), weight.zeros_like(), Vec::new(), 0.1, 1, decay).0);
        assert_eq!(step(false), values(weight.clone()), "{kind}");
        assert_ne!(step(true), values(weight.clone()), "{kind}");
    }
}
