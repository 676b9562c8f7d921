//! Transposed convolution.

use super::conv::Convolution;
use crate::{
    flex::{self, contiguous, values},
    flops,
    track::{Differentiable, Tracked, track},
};
use burn::backend::{Autodiff, Backend, Dispatch, Flex, backend_extension, tensor::FloatTensor};
use burn::tensor::{Tensor, module, ops::ConvTransposeOptions};
use burn_autodiff::checkpoint::strategy::CheckpointStrategy;
use burn_flex::FlexTensor;
use outset_kernels::conv::{self, transposed as kernel};

/// Convolves `x [batch, channels, height, width]` transposed with `w [channels, outputs / groups, kernel height, kernel
/// width]` and adds `b [outputs]`: each value of `x` spreads the kernel over the output, `how.stride` apart.
///
/// The output's height is `(height - 1) * stride - 2 * padding + dilation * (kernel - 1) + 1 + extra`, as PyTorch's with
/// `extra` as its `output_padding`, and its width likewise.
///
/// # Panics
/// If the sizes don't fit, or `extra` isn't below the stride.
pub fn conv_transposed2d(
    x: Tensor<4>,
    w: Tensor<4>,
    b: Option<Tensor<1>>,
    how: Convolution,
    extra: [usize; 2],
) -> Tensor<4> {
    let outputs = w.dims()[1] * how.groups;
    assert_eq!(x.dims()[1], w.dims()[0], "the input has another number of channels than the weight");
    assert!(b.as_ref().is_none_or(|b| b.dims() == [outputs]), "the bias has another size than the output");
    let ([batch, _, height, width], [channels, each, kernel_height, kernel_width]) = (x.dims(), w.dims());
    flops::count_sizes([batch, height, width, channels, each, kernel_height, kernel_width]);
    let (x, w, b) = (x.into_dispatch(), w.into_dispatch(), b.map(Tensor::into_dispatch));
    if !flex::applies(&[&x, &w]) || b.as_ref().is_some_and(|b| !flex::applies(&[b])) {
        let options = ConvTransposeOptions::new(how.stride, how.padding, extra, how.dilation, how.groups);
        let b = b.map(Tensor::from_dispatch);
        return module::conv_transpose2d(Tensor::from_dispatch(x), Tensor::from_dispatch(w), b, options);
    }
    Tensor::from_dispatch(match b {
        Some(b) => Dispatch::convolve_transposed_with_bias(x, w, b, how, extra),
        None => Dispatch::convolve_transposed(x, w, how, extra),
    })
}

#[backend_extension(Flex, Autodiff)]
trait ConvTransposedOps: Backend {
    fn convolve_transposed(
        x: FloatTensor<Self>,
        w: FloatTensor<Self>,
        how: Convolution,
        extra: [usize; 2],
    ) -> FloatTensor<Self>;
    fn convolve_transposed_with_bias(
        x: FloatTensor<Self>,
        w: FloatTensor<Self>,
        b: FloatTensor<Self>,
        how: Convolution,
        extra: [usize; 2],
    ) -> FloatTensor<Self>;
}

impl ConvTransposedOps for Flex {
    fn convolve_transposed(x: FlexTensor, w: FlexTensor, how: Convolution, extra: [usize; 2]) -> FlexTensor {
        forward(x, w, None, how, extra).0
    }

    fn convolve_transposed_with_bias(
        x: FlexTensor,
        w: FlexTensor,
        b: FlexTensor,
        how: Convolution,
        extra: [usize; 2],
    ) -> FlexTensor {
        forward(x, w, Some(b), how, extra).0
    }
}

impl<C: CheckpointStrategy> ConvTransposedOps for Autodiff<Flex, C> {
    fn convolve_transposed(x: Tracked, w: Tracked, how: Convolution, extra: [usize; 2]) -> Tracked {
        let run = |[x, w]: [FlexTensor; 2]| forward(x, w, None, how, extra);
        track::<ConvolveTransposed, C, 2>([x, w], |inputs| run(inputs).0, run)
    }

    fn convolve_transposed_with_bias(
        x: Tracked,
        w: Tracked,
        b: Tracked,
        how: Convolution,
        extra: [usize; 2],
    ) -> Tracked {
        let run = |[x, w, b]: [FlexTensor; 3]| forward(x, w, Some(b), how, extra);
        track::<ConvolveTransposed, C, 3>([x, w, b], |inputs| run(inputs).0, run)
    }
}

/// Both factors, and the convolution whose gradient this is.
type Saved = (FlexTensor, FlexTensor, conv::Conv);

fn forward(
    x: FlexTensor,
    w: FlexTensor,
    b: Option<FlexTensor>,
    how: Convolution,
    extra: [usize; 2],
) -> (FlexTensor, Saved) {
    let (x, w, b) = (contiguous(x), contiguous(w), b.map(contiguous));
    let (from, weight) = (flex::shape(&x), flex::shape(&w));
    let kernel_size = [weight[2], weight[3]];
    let image = std::array::from_fn(|d| {
        assert!(extra[d] < how.stride[d], "an output can be at most a stride larger");
        let spread =
            (from[2 + d] - 1) * how.stride[d] + how.dilation[d] * (kernel_size[d] - 1) + 1 + extra[d];
        spread.checked_sub(2 * how.padding[d]).expect("the padding leaves something of the output")
    });
    let sizes = conv::Conv {
        batch: from[0],
        channels: weight[1] * how.groups,
        outputs: weight[0],
        image,
        kernel: kernel_size,
        stride: how.stride,
        padding: how.padding,
        dilation: how.dilation,
        groups: how.groups,
    };
    let y = kernel::forward(values(&x), values(&w), b.as_ref().map(values), &sizes);
    (flex::tensor(y, [sizes.batch, sizes.channels, image[0], image[1]]), (x, w, sizes))
}

struct ConvolveTransposed;

fn gradients((x, w, sizes): Saved, dy: FlexTensor, needed: [bool; 3]) -> [Option<FlexTensor>; 3] {
    let dy = contiguous(dy);
    let (from, weights, dy) = (values(&x), values(&w), values(&dy));
    let [need_x, need_w, need_b] = needed;
    [
        need_x.then(|| flex::tensor(kernel::input_gradient(weights, dy, &sizes), flex::shape(&x))),
        need_w.then(|| flex::tensor(kernel::weight_gradient(from, dy, &sizes), flex::shape(&w))),
        need_b.then(|| flex::tensor(kernel::bias_gradient(dy, &sizes), [sizes.channels])),
    ]
}

impl Differentiable<2> for ConvolveTransposed {
    type Saved = Saved;

    fn gradients(saved: Saved, dy: FlexTensor, [need_x, need_w]: [bool; 2]) -> [Option<FlexTensor>; 2] {
        let [dx, dw, _] = gradients(saved, dy, [need_x, need_w, false]);
        [dx, dw]
    }
}

impl Differentiable<3> for ConvolveTransposed {
    type Saved = Saved;

    fn gradients(saved: Saved, dy: FlexTensor, needed: [bool; 3]) -> [Option<FlexTensor>; 3] {
        gradients(saved, dy, needed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{check, input};

    #[test]
    fn agrees_with_the_composed_form_in_f64() {
        let plain = Convolution::default();
        for (how, extra) in [
            (plain, [0, 0]),
            (Convolution { stride: [2, 3], padding: [1, 0], ..plain }, [1, 2]),
            (Convolution { stride: [2, 2], groups: 2, dilation: [1, 2], padding: [1, 1] }, [0, 1]),
        ] {
            let leaves = [input([2, 4, 5, 3], 1), input([4, 6 / how.groups, 3, 2], 2), input([6], 3)];
            check(leaves.clone(), |[x, w, b]| conv_transposed2d(x.get(), w.get(), Some(b.get()), how, extra));
            let [x, w, _] = leaves;
            check([x, w], |[x, w]| conv_transposed2d(x.get(), w.get(), None, how, extra));
        }
    }
}
