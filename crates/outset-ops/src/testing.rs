//! Checks of an operation against its composed form in f64.

use crate::flex::WRAPPED;
use burn::tensor::{DType, Device, Shape, Tensor, TensorData};

/// A made-up input: its shape, and the seed of its values.
#[derive(Clone)]
pub(crate) struct Input {
    shape: Vec<usize>,
    values: Vec<f64>,
}

/// Returns an input with values in `[-1, 1)`, exact in f32.
pub(crate) fn input<const D: usize>(shape: [usize; D], seed: u64) -> Input {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let values = (0..shape.iter().product())
        .map(|_| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            ((state >> 40) as f64) / f64::from(1u32 << 23) - 1.0
        })
        .collect();
    Input { shape: shape.to_vec(), values }
}

/// An input on a device, with a gradient of its own.
pub(crate) struct Leaf {
    shape: Vec<usize>,
    flat: Tensor<1>,
}

impl Leaf {
    fn new(input: &Input, device: &Device, dtype: DType, tracked: bool) -> Leaf {
        let data = TensorData::new(input.values.clone(), [input.values.len()]);
        let flat = Tensor::from_data(data, (device, dtype));
        Leaf { shape: input.shape.clone(), flat: if tracked { flat.require_grad() } else { flat } }
    }

    /// Returns the input as a tensor of its rank.
    pub(crate) fn get<const D: usize>(&self) -> Tensor<D> {
        self.flat.clone().reshape(Shape::from(self.shape.clone()))
    }
}

/// Returns the values of a tensor in f64.
pub(crate) fn wide<const D: usize>(tensor: Tensor<D>) -> Vec<f64> {
    tensor.into_data().convert::<f64>().try_to_vec().expect("the data was converted")
}

/// Asserts that `got` is within 2e-6 of `expected`, relative to its largest value.
#[track_caller]
pub(crate) fn close(what: &str, got: &[f64], expected: &[f64]) {
    assert_eq!(got.len(), expected.len(), "{what}");
    let largest = expected.iter().fold(1e-6, |m: f64, v| m.max(v.abs()));
    for (i, (g, e)) in got.iter().zip(expected).enumerate() {
        assert!((g - e).abs() <= 2e-6 * largest, "{what}, value {i}: {g} instead of {e}");
    }
}

/// Asserts that an operation gives the same output and gradients in f32, where its kernel runs, as in f64, where it
/// is composed of Burn's operations; and the same output on a device without autodiff, and untracked.
#[track_caller]
pub(crate) fn check<const N: usize, const D: usize>(
    inputs: [Input; N],
    operation: impl Fn([&Leaf; N]) -> Tensor<D>,
) {
    let tracked = Device::flex().autodiff();
    let run = |dtype| {
        let leaves = inputs.each_ref().map(|input| Leaf::new(input, &tracked, dtype, true));
        let wrapped = WRAPPED.get();
        let output = operation(leaves.each_ref());
        // Otherwise a form would be compared with itself.
        assert_eq!(WRAPPED.get() > wrapped, dtype == DType::F32, "kernels run in f32 alone");
        let values = wide(output.clone());
        // Weights that differ from value to value, so that no gradient is hidden by symmetry.
        let weights = input([values.len()], 99);
        let weights = Leaf::new(&weights, &tracked, dtype, false).flat.reshape(output.shape());
        let gradients = (output * weights).sum().backward();
        let gradients = leaves.each_ref().map(|leaf| leaf.flat.grad(&gradients).map(wide));
        (values, gradients)
    };
    let ((output, gradients), (output64, gradients64)) = (run(DType::F32), run(DType::F64));
    close("output", &output, &output64);
    for (i, (got, expected)) in gradients.iter().zip(&gradients64).enumerate() {
        match (got, expected) {
            (Some(got), Some(expected)) => close(&format!("gradient {i}"), got, expected),
            (None, None) => {}
            _ => panic!("gradient {i} exists in one form only"),
        }
    }
    for device in [Device::flex(), tracked] {
        let leaves = inputs.each_ref().map(|input| Leaf::new(input, &device, DType::F32, false));
        close("untracked output", &wide(operation(leaves.each_ref())), &output64);
    }
}
