use crate::{cases, close, matrix, numbers, values};
use burn::tensor::Tensor;
use outset_learn::activations::Activation;
use outset_spec::{Node, Setting};

#[test]
fn activations_and_their_gradients_are_pytorchs() {
    for case in cases(include_str!("activations.json")) {
        let name = case["name"].as_str().unwrap();
        let activation = Activation::from_node(&Node::from(name)).unwrap();
        let input = matrix(&case["input"]).require_grad();
        let ones = Tensor::eye(input.dims()[1], &input.device());
        let output = activation.of_linear(input.clone(), ones, None);
        close(name, &values(output.clone()), &numbers(&case["output"]), 1e-5);
        let gradients = (output * matrix(&case["upstream"])).sum().backward();
        close(name, &values(input.grad(&gradients).unwrap()), &numbers(&case["gradient"]), 1e-5);
    }
}
