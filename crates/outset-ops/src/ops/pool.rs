//! Pooling over two dimensions.

use crate::{
    flex::{self, contiguous, values},
    track::{Differentiable, Tracked, track},
};
use burn::backend::{Autodiff, Backend, Dispatch, Flex, backend_extension, tensor::FloatTensor};
use burn::tensor::{
    Tensor, module,
    ops::{AvgPoolOptions, MaxPoolOptions},
};
use burn_autodiff::checkpoint::strategy::CheckpointStrategy;
use burn_flex::FlexTensor;
use outset_kernels::pool as kernel;

/// A window and how it moves over an image. Pairs are height and width.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Window {
    /// Height and width of the window.
    pub kernel: [usize; 2],
    /// Steps of the window.
    pub stride: [usize; 2],
    /// Pixels that the window may reach beyond either side, less than the window.
    pub padding: [usize; 2],
}

/// Returns the largest value of each window of `x [batch, channels, height, width]`; pixels beyond the image don't
/// count.
///
/// # Panics
/// If the window is larger than the padded image.
pub fn max_pool2d(x: Tensor<4>, window: Window) -> Tensor<4> {
    let x = x.into_dispatch();
    if !flex::applies(&[&x]) {
        let Window {
            kernel,
            stride,
            padding,
        } = window;
        let options = MaxPoolOptions {
            stride,
            padding: padding.map(|p| (p, p)),
            ..MaxPoolOptions::new(kernel)
        };
        return module::max_pool2d(Tensor::from_dispatch(x), options);
    }
    Tensor::from_dispatch(Dispatch::max_pool(x, window))
}

/// Returns the mean of each window of `x [batch, channels, height, width]`; pixels beyond the image count as zeros, as
/// PyTorch has it.
///
/// # Panics
/// If the window is larger than the padded image.
pub fn avg_pool2d(x: Tensor<4>, window: Window) -> Tensor<4> {
    let x = x.into_dispatch();
    if !flex::applies(&[&x]) {
        let Window {
            kernel,
            stride,
            padding,
        } = window;
        let options = AvgPoolOptions {
            stride,
            padding: padding.map(|p| (p, p)),
            ..AvgPoolOptions::new(kernel)
        };
        return module::avg_pool2d(Tensor::from_dispatch(x), options);
    }
    Tensor::from_dispatch(Dispatch::average_pool(x, window))
}

/// Returns the mean of each channel over the image: `[batch, channels]`.
pub fn global_avg_pool2d(x: Tensor<4>) -> Tensor<2> {
    let [batch, channels, height, width] = x.dims();
    let window = Window {
        kernel: [height, width],
        stride: [1, 1],
        padding: [0, 0],
    };
    avg_pool2d(x, window).reshape([batch, channels])
}

#[backend_extension(Flex, Autodiff)]
trait PoolOps: Backend {
    fn max_pool(x: FloatTensor<Self>, window: Window) -> FloatTensor<Self>;
    fn average_pool(x: FloatTensor<Self>, window: Window) -> FloatTensor<Self>;
}

impl PoolOps for Flex {
    fn max_pool(x: FlexTensor, window: Window) -> FlexTensor {
        max(x, window).0
    }

    fn average_pool(x: FlexTensor, window: Window) -> FlexTensor {
        average(x, window).0
    }
}

impl<C: CheckpointStrategy> PoolOps for Autodiff<Flex, C> {
    fn max_pool(x: Tracked, window: Window) -> Tracked {
        track::<Max, C, 1>([x], |[x]| max(x, window).0, |[x]| max(x, window))
    }

    fn average_pool(x: Tracked, window: Window) -> Tracked {
        track::<Average, C, 1>([x], |[x]| average(x, window).0, |[x]| average(x, window))
    }
}

/// Sizes of the pooling, and the shapes of its input and of its output.
fn sizes(x: &FlexTensor, window: Window) -> (kernel::Pool, [usize; 4], [usize; 4]) {
    let shape = x.layout().shape();
    let Window {
        kernel,
        stride,
        padding,
    } = window;
    let pool = kernel::Pool {
        planes: shape[0] * shape[1],
        image: [shape[2], shape[3]],
        kernel,
        stride,
        padding,
    };
    let [height, width] = pool.output_image();
    (
        pool,
        std::array::from_fn(|d| shape[d]),
        [shape[0], shape[1], height, width],
    )
}

/// Sizes of the pooling, shape of its input, and where each maximum was.
type SavedMax = (kernel::Pool, [usize; 4], Vec<u32>);

fn max(x: FlexTensor, window: Window) -> (FlexTensor, SavedMax) {
    let x = contiguous(x);
    let (pool, from, to) = sizes(&x, window);
    let (y, at) = kernel::max(values(&x), &pool);
    (flex::tensor(y, to), (pool, from, at))
}

fn average(x: FlexTensor, window: Window) -> (FlexTensor, (kernel::Pool, [usize; 4])) {
    let x = contiguous(x);
    let (pool, from, to) = sizes(&x, window);
    (
        flex::tensor(kernel::average(values(&x), &pool), to),
        (pool, from),
    )
}

struct Max;

impl Differentiable<1> for Max {
    type Saved = SavedMax;

    fn gradients(
        (pool, shape, at): SavedMax,
        dy: FlexTensor,
        _needed: [bool; 1],
    ) -> [Option<FlexTensor>; 1] {
        let dx = kernel::max_backward(values(&contiguous(dy)), &at, &pool);
        [Some(flex::tensor(dx, shape))]
    }
}

struct Average;

impl Differentiable<1> for Average {
    /// Sizes of the pooling and shape of its input.
    type Saved = (kernel::Pool, [usize; 4]);

    fn gradients(
        (pool, shape): Self::Saved,
        dy: FlexTensor,
        _needed: [bool; 1],
    ) -> [Option<FlexTensor>; 1] {
        [Some(flex::tensor(
            kernel::average_backward(values(&contiguous(dy)), &pool),
            shape,
        ))]
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{check, input};

    #[test]
    fn agrees_with_the_composed_form_in_f64() {
        for (kernel, stride, padding) in [
            ([2, 2], [2, 2], [0, 0]),
            ([3, 3], [1, 1], [1, 1]),
            ([3, 2], [2, 1], [1, 0]),
        ] {
            let window = Window {
                kernel,
                stride,
                padding,
            };
            check([input([2, 3, 7, 6], 1)], |[x]| max_pool2d(x.get(), window));
            check([input([2, 3, 7, 6], 1)], |[x]| avg_pool2d(x.get(), window));
        }
        check([input([2, 3, 4, 5], 1)], |[x]| global_avg_pool2d(x.get()));
    }
}
