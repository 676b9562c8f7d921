//! Convolution over one or two dimensions.

use crate::{
    flex::{self, contiguous, values},
    flops,
    track::{Differentiable, Tracked, track},
};
use burn::backend::{Autodiff, Backend, Dispatch, Flex, backend_extension, tensor::FloatTensor};
use burn::tensor::{Tensor, module, ops::ConvOptions};
use burn_autodiff::checkpoint::strategy::CheckpointStrategy;
use burn_flex::FlexTensor;
use outset_kernels::conv as kernel;

/// How a kernel moves over an image. Pairs are height and width.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Convolution {
    /// Steps of the kernel.
    pub stride: [usize; 2],
    /// Zeros on either side of the image.
    pub padding: [usize; 2],
    /// Distance of the kernel's taps.
    pub dilation: [usize; 2],
    /// Groups of channels that don't see each other.
    pub groups: usize,
}

impl Default for Convolution {
    fn default() -> Self {
        Convolution { stride: [1, 1], padding: [0, 0], dilation: [1, 1], groups: 1 }
    }
}

/// Convolves `x [batch, channels, height, width]` with `w [outputs, channels / groups, kernel height, kernel width]` and
/// adds `b [outputs]`.
///
/// # Panics
/// If the sizes don't fit or the kernel is larger than the padded image.
pub fn conv2d(x: Tensor<4>, w: Tensor<4>, b: Option<Tensor<1>>, how: Convolution) -> Tensor<4> {
    assert_eq!(
        x.dims()[1],
        w.dims()[1] * how.groups,
        "the input has another number of channels than the weight"
    );
    assert!(
        b.as_ref().is_none_or(|b| b.dims() == [w.dims()[0]]),
        "the bias has another size than the output"
    );
    let ([batch, _, height, width], [outputs, channels, kernel_height, kernel_width]) = (x.dims(), w.dims());
    let places = |size: usize, kernel: usize, axis: usize| {
        let reach = how.dilation[axis] * (kernel - 1) + 1;
        (size + 2 * how.padding[axis]).saturating_sub(reach) / how.stride[axis] + 1
    };
    let out = [places(height, kernel_height, 0), places(width, kernel_width, 1)];
    flops::count_sizes([batch, out[0], out[1], outputs, channels, kernel_height, kernel_width]);
    let (x, w, b) = (x.into_dispatch(), w.into_dispatch(), b.map(Tensor::into_dispatch));
    if !flex::applies(&[&x, &w]) || b.as_ref().is_some_and(|b| !flex::applies(&[b])) {
        let options = ConvOptions::new(how.stride, how.padding, how.dilation, how.groups);
        let b = b.map(Tensor::from_dispatch);
        return module::conv2d(Tensor::from_dispatch(x), Tensor::from_dispatch(w), b, options);
    }
    Tensor::from_dispatch(match b {
        Some(b) => Dispatch::convolve_with_bias(x, w, b, how),
        None => Dispatch::convolve(x, w, how),
    })
}

/// Convolves `x [batch, channels, width]` with `w [outputs, channels / groups, kernel width]` and adds `b [outputs]`;
/// only the second of each pair in `how` counts.
///
/// # Panics
/// If the sizes don't fit or the kernel is larger than the padded sequence.
pub fn conv1d(x: Tensor<3>, w: Tensor<3>, b: Option<Tensor<1>>, how: Convolution) -> Tensor<3> {
    let flat = Convolution {
        stride: [1, how.stride[1]],
        padding: [0, how.padding[1]],
        dilation: [1, how.dilation[1]],
        groups: how.groups,
    };
    conv2d(x.unsqueeze_dim(2), w.unsqueeze_dim(2), b, flat).squeeze_dim(2)
}

#[backend_extension(Flex, Autodiff)]
trait ConvOps: Backend {
    fn convolve(x: FloatTensor<Self>, w: FloatTensor<Self>, how: Convolution) -> FloatTensor<Self>;
    fn convolve_with_bias(
        x: FloatTensor<Self>,
        w: FloatTensor<Self>,
        b: FloatTensor<Self>,
        how: Convolution,
    ) -> FloatTensor<Self>;
}

impl ConvOps for Flex {
    fn convolve(x: FlexTensor, w: FlexTensor, how: Convolution) -> FlexTensor {
        forward(x, w, None, how, kernel::forward).0
    }

    fn convolve_with_bias(x: FlexTensor, w: FlexTensor, b: FlexTensor, how: Convolution) -> FlexTensor {
        forward(x, w, Some(b), how, kernel::forward).0
    }
}

impl<C: CheckpointStrategy> ConvOps for Autodiff<Flex, C> {
    fn convolve(x: Tracked, w: Tracked, how: Convolution) -> Tracked {
        track::<Convolve, C, 2>(
            [x, w],
            |[x, w]| forward(x, w, None, how, kernel::forward_in_tiles).0,
            |[x, w]| forward(x, w, None, how, kernel::forward_in_tiles),
        )
    }

    fn convolve_with_bias(x: Tracked, w: Tracked, b: Tracked, how: Convolution) -> Tracked {
        let run = |[x, w, b]: [FlexTensor; 3]| forward(x, w, Some(b), how, kernel::forward_in_tiles);
        track::<Convolve, C, 3>([x, w, b], |inputs| run(inputs).0, run)
    }
}

/// Both factors and how one moves over the other.
type Saved = (FlexTensor, FlexTensor, Convolution);

fn sizes(x: &FlexTensor, w: &FlexTensor, how: Convolution) -> kernel::Conv {
    let (x, w) = (x.layout().shape(), w.layout().shape());
    kernel::Conv {
        batch: x[0],
        channels: x[1],
        outputs: w[0],
        image: [x[2], x[3]],
        kernel: [w[2], w[3]],
        stride: how.stride,
        padding: how.padding,
        dilation: how.dilation,
        groups: how.groups,
    }
}

/// Of images, kernels and bias.
type Forward = fn(&[f32], &[f32], Option<&[f32]>, &kernel::Conv) -> Vec<f32>;

/// Answers are the same however many rows are asked for, which `run` must see to where no gradients are wanted.
fn forward(
    x: FlexTensor,
    w: FlexTensor,
    b: Option<FlexTensor>,
    how: Convolution,
    run: Forward,
) -> (FlexTensor, Saved) {
    let (x, w, b) = (contiguous(x), contiguous(w), b.map(contiguous));
    let sizes = sizes(&x, &w, how);
    let [height, width] = sizes.output_image();
    let y = run(values(&x), values(&w), b.as_ref().map(values), &sizes);
    (flex::tensor(y, [sizes.batch, sizes.outputs, height, width]), (x, w, how))
}

struct Convolve;

fn gradients((x, w, how): Saved, dy: FlexTensor, needed: [bool; 3]) -> [Option<FlexTensor>; 3] {
    let (sizes, dy) = (sizes(&x, &w, how), contiguous(dy));
    let [need_x, need_w, need_b] = needed;
    [
        need_x.then(|| {
            flex::tensor(kernel::input_gradient_in_tiles(values(&w), values(&dy), &sizes), flex::shape(&x))
        }),
        need_w
            .then(|| flex::tensor(kernel::weight_gradient(values(&x), values(&dy), &sizes), flex::shape(&w))),
        need_b.then(|| flex::tensor(kernel::bias_gradient(values(&dy), &sizes), [sizes.outputs])),
    ]
}

impl Differentiable<2> for Convolve {
    type Saved = Saved;

    fn gradients(saved: Saved, dy: FlexTensor, [need_x, need_w]: [bool; 2]) -> [Option<FlexTensor>; 2] {
        let [dx, dw, _] = gradients(saved, dy, [need_x, need_w, false]);
        [dx, dw]
    }
}

impl Differentiable<3> for Convolve {
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
    fn two_dimensions_agree_with_the_composed_form_in_f64() {
        let plain = Convolution::default();
        for how in [
            plain,
            Convolution { stride: [2, 1], padding: [1, 2], ..plain },
            Convolution { dilation: [2, 1], padding: [2, 1], groups: 2, ..plain },
        ] {
            let leaves = [input([2, 4, 7, 6], 1), input([6, 4 / how.groups, 3, 3], 2), input([6], 3)];
            check(leaves.clone(), |[x, w, b]| conv2d(x.get(), w.get(), Some(b.get()), how));
            let [x, w, _] = leaves;
            check([x, w], |[x, w]| conv2d(x.get(), w.get(), None, how));
        }
    }

    #[test]
    fn one_dimension_agrees_with_the_composed_form_in_f64() {
        let how = Convolution { stride: [9, 2], padding: [9, 1], ..Convolution::default() };
        check([input([2, 3, 11], 1), input([4, 3, 5], 2), input([4], 3)], |[x, w, b]| {
            conv1d(x.get(), w.get(), Some(b.get()), how)
        });
    }
}
