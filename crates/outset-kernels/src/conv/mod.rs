//! Convolution over two dimensions; one dimension is a height of 1.
//!
//! `x [batch, channels, height, width]`, `W [outputs, channels / groups, kernel height, kernel width]`, `b [outputs]`,
//! `y [batch, outputs, out height, out width]`. As in every deep-learning library the kernel isn't flipped.
//!
//! Where channels are seen by themselves a kernel slides over each ([`depthwise`]). Everything else is a product with patches
//! of images, of which only some columns exist at a time. In the forward pass these
//! are patches of the input; for the gradient of the input they are patches of the output's gradient, one product for
//! each phase of the stride; the gradient of the weight multiplies patches, read in place, with the output's gradient.
//! In training the most frequent of kernels goes another way, with fewer multiplications ([`winograd`]).

mod depthwise;
mod padded;
mod product;
#[cfg(test)]
mod tests;
pub mod transposed;
mod weights;
mod winograd;

pub use weights::weight_gradient;

use crate::{
    buf::uninit,
    isa::kernel,
    par::{self, Cut, Rows},
};
use padded::{Layout, Patches};
use product::{Place, Scratch, Weights, multiply};

/// Columns of patches that a task should have at least, where images are small.
const TASK_COLUMNS: usize = 128;

/// Sizes of a convolution. Pairs are height and width.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Conv {
    /// Number of images.
    pub batch: usize,
    /// Channels of the input, a multiple of the groups.
    pub channels: usize,
    /// Channels of the output, a multiple of the groups.
    pub outputs: usize,
    /// Height and width of the input.
    pub image: [usize; 2],
    /// Height and width of the kernel.
    pub kernel: [usize; 2],
    /// Steps of the kernel.
    pub stride: [usize; 2],
    /// Zeros on either side of the image.
    pub padding: [usize; 2],
    /// Distance of the kernel's taps.
    pub dilation: [usize; 2],
    /// Groups of channels that don't see each other.
    pub groups: usize,
}

impl Conv {
    /// Returns height and width of the output.
    ///
    /// # Panics
    /// If the kernel is larger than the padded image.
    pub fn output_image(&self) -> [usize; 2] {
        std::array::from_fn(|d| {
            let reach = self.dilation[d] * (self.kernel[d] - 1) + 1;
            let padded = self.image[d] + 2 * self.padding[d];
            assert!(
                reach <= padded,
                "a kernel that reaches over {reach} pixels is larger than an image of {padded}"
            );
            (padded - reach) / self.stride[d] + 1
        })
    }

    fn group_channels(&self) -> usize {
        self.channels / self.groups
    }

    fn group_outputs(&self) -> usize {
        self.outputs / self.groups
    }

    /// Rows of the matrix of columns: the values that an output of a group sees.
    fn patch(&self) -> usize {
        self.group_channels() * self.kernel[0] * self.kernel[1]
    }

    fn input_pixels(&self) -> usize {
        self.image[0] * self.image[1]
    }

    fn output_pixels(&self) -> usize {
        let [height, width] = self.output_image();
        height * width
    }

    /// Cuts the images into tasks of whole images.
    fn tasks(&self, pixels: usize) -> Cut {
        let cost = self.cost() / self.batch.max(1);
        Cut::new(self.batch, cost).at_most(self.batch.div_ceil(TASK_COLUMNS.div_ceil(pixels.max(1))))
    }

    /// The padded input, split by the stride.
    fn layout(&self) -> Layout {
        let size = std::array::from_fn(|d| self.image[d] + 2 * self.padding[d]);
        Layout::new(self.image, self.padding, size, self.stride)
    }

    /// Where the taps of the kernel lie in a channel of the padded input.
    fn taps(&self, layout: &Layout) -> Vec<usize> {
        let [height, width] = self.kernel;
        let [y, x] = self.dilation;
        (0..height * width).map(|tap| layout.at(tap / width * y, tap % width * x)).collect()
    }

    fn cost(&self) -> usize {
        self.batch * self.outputs * self.patch() * self.output_pixels()
    }

    fn check(&self, x: usize, w: usize) {
        let divides = self.groups > 0
            && self.channels.is_multiple_of(self.groups)
            && self.outputs.is_multiple_of(self.groups);
        assert!(divides, "channels and outputs don't divide into {} groups", self.groups);
        assert!(self.channels > 0 && self.outputs > 0, "a convolution has channels and outputs");
        assert_eq!(x, self.batch * self.channels * self.input_pixels(), "the input has another size");
        assert_eq!(w, self.outputs * self.patch(), "the weight has another size");
    }
}

fn check_bias(b: Option<&[f32]>, channels: usize) {
    assert!(b.is_none_or(|b| b.len() == channels), "the bias has another size than the output's channels");
}

/// Convolves the images as [`forward`], in tiles where that is quicker ([`winograd`]): the last bits of an image's output then
/// depend on whether there are enough images for it.
pub fn forward_in_tiles(x: &[f32], w: &[f32], b: Option<&[f32]>, conv: &Conv) -> Vec<f32> {
    if !winograd::applies(conv) {
        return forward(x, w, b, conv);
    }
    conv.check(x.len(), w.len());
    check_bias(b, conv.outputs);
    winograd::Way::of(conv).run(x, w, b)
}

/// Convolves the images, each to the same bits whatever is beside it.
pub fn forward(x: &[f32], w: &[f32], b: Option<&[f32]>, conv: &Conv) -> Vec<f32> {
    conv.check(x.len(), w.len());
    check_bias(b, conv.outputs);
    if depthwise::applies(conv) {
        return depthwise::forward(x, w, b, conv);
    }
    let (pixels, outputs, channels) = (conv.output_pixels(), conv.group_outputs(), conv.group_channels());
    let layout = conv.layout();
    let taps = conv.taps(&layout);
    let weights = Weights::new(w.into(), channels, taps.len());
    let cells = weights.cells(channels);
    let grid = conv.output_image();
    let place = Place { size: grid, step: [1, 1], first: [0, 0] };
    let input = conv.channels * conv.input_pixels();
    let mut y = uninit(conv.batch * conv.outputs * pixels);
    let rows = Rows::new(&mut y, conv.outputs * pixels);
    par::run(rows, conv.tasks(pixels), |range, y| {
        let mut scratch = Scratch::default();
        // Small images are taken together where they have one group.
        let together = if conv.groups == 1 { TASK_COLUMNS.div_ceil(pixels).min(range.len()) } else { 1 };
        let mut buffer = uninit(together * conv.channels * layout.channel());
        let mut rounded = Vec::new();
        for (y, first) in y.data.chunks_mut(together * conv.outputs * pixels).zip(range.step_by(together)) {
            let images = y.len() / (conv.outputs * pixels);
            layout.fill(&x[first * input..][..images * input], &mut buffer);
            let filled = &buffer[..images * conv.channels * layout.channel()];
            let rounded = weights.round(filled, &layout, channels, &mut rounded);
            for (group, y) in y.chunks_mut(images * outputs * pixels).enumerate() {
                let buffer = &rounded[group * cells * layout.channel()..];
                let patches = Patches { buffer, layout, images, channels: cells, taps: &taps, grid };
                multiply(&weights, group * outputs, outputs, &patches, y, place, &mut scratch);
            }
            if let Some(b) = b {
                for (y, b) in y.chunks_exact_mut(pixels).zip(b.iter().cycle()) {
                    add(y, *b);
                }
            }
        }
    });
    y
}

/// Returns the gradient of the input as [`input_gradient`], in tiles where that is quicker.
pub fn input_gradient_in_tiles(w: &[f32], dy: &[f32], conv: &Conv) -> Vec<f32> {
    if !winograd::applies(conv) {
        return input_gradient(w, dy, conv);
    }
    conv.check(conv.batch * conv.channels * conv.input_pixels(), w.len());
    assert_eq!(dy.len(), conv.batch * conv.outputs * conv.output_pixels(), "the gradient has another size");
    // Each tap reaches a pixel from where the turned kernel looks.
    let turned = conv.turned(w, &[8, 7, 6, 5, 4, 3, 2, 1, 0]);
    winograd::Way::of_gradient(conv).run(dy, &turned, None)
}

/// Returns the gradient of the input: also the forward pass of the transposed convolution.
pub fn input_gradient(w: &[f32], dy: &[f32], conv: &Conv) -> Vec<f32> {
    let (pixels, outputs, channels) = (conv.output_pixels(), conv.group_outputs(), conv.group_channels());
    conv.check(conv.batch * conv.channels * conv.input_pixels(), w.len());
    assert_eq!(dy.len(), conv.batch * conv.outputs * pixels, "the gradient has another size");
    if depthwise::applies(conv) {
        return depthwise::input_gradient(w, dy, conv);
    }
    let layout = conv.gradient_layout();
    let phases = conv.phases(w, &layout);
    let image = conv.channels * conv.input_pixels();
    let mut dx = uninit(conv.batch * image);
    let grid_pixels = conv.input_pixels() / (conv.stride[0] * conv.stride[1]).max(1);
    par::run(Rows::new(&mut dx, image), conv.tasks(grid_pixels), |range, dx| {
        let mut scratch = Scratch::default();
        let most = TASK_COLUMNS.div_ceil(grid_pixels.max(1));
        let together = if conv.groups == 1 { most.min(range.len()) } else { 1 };
        let mut buffer = uninit(together * conv.outputs * layout.channel());
        let mut rounded = Vec::new();
        for (dx, first) in dx.data.chunks_mut((together * image).max(1)).zip(range.step_by(together)) {
            let images = dx.len() / image.max(1);
            layout.fill(&dy[first * conv.outputs * pixels..][..images * conv.outputs * pixels], &mut buffer);
            let Some(Phase { weights, .. }) = phases.first() else { continue };
            let filled = &buffer[..images * conv.outputs * layout.channel()];
            let (cells, rounded) =
                (weights.cells(outputs), weights.round(filled, &layout, outputs, &mut rounded));
            for (group, dx) in dx.chunks_mut(images * channels * conv.input_pixels()).enumerate() {
                let buffer = &rounded[group * cells * layout.channel()..];
                for phase in &phases {
                    let Phase { taps, weights, grid, place } = phase;
                    if taps.is_empty() {
                        place.clear(dx, *grid);
                        continue;
                    }
                    let patches = Patches { buffer, layout, images, channels: cells, taps, grid: *grid };
                    multiply(weights, group * channels, channels, &patches, dx, *place, &mut scratch);
                }
            }
        }
    });
    dx
}

/// The input's pixels whose rows and columns leave one remainder each when divided by the stride.
struct Phase {
    /// Where the taps that reach them lie in a channel of the padded gradient.
    taps: Vec<usize>,
    /// The weights of those taps, `[channels, group outputs * taps]`.
    weights: Weights<'static>,
    grid: [usize; 2],
    place: Place,
}

impl Conv {
    /// Zeros before the gradient of the output, so that every tap of every input pixel lies in it.
    fn gradient_before(&self) -> [usize; 2] {
        std::array::from_fn(|d| {
            (self.dilation[d] * (self.kernel[d] - 1)).saturating_sub(self.padding[d]).div_ceil(self.stride[d])
        })
    }

    /// The padded gradient of the output.
    fn gradient_layout(&self) -> Layout {
        let (before, output) = (self.gradient_before(), self.output_image());
        let reach =
            |d: usize| output[d].max((self.image[d].max(1) - 1 + self.padding[d]) / self.stride[d] + 1);
        Layout::new(output, before, std::array::from_fn(|d| before[d] + reach(d)), [1, 1])
    }

    /// The taps of one dimension that reach the pixels of a phase, each with the place that the first pixel sees.
    fn reaching(&self, d: usize, phase: usize) -> Vec<(usize, usize)> {
        let (stride, before) = (self.stride[d], self.gradient_before()[d]);
        let place = |tap: usize| {
            // Of the first pixel, `before` outputs on so that it stays positive.
            let at = (phase + self.padding[d] + before * stride).checked_sub(tap * self.dilation[d])?;
            at.is_multiple_of(stride).then_some((tap, at / stride))
        };
        (0..self.kernel[d]).filter_map(place).collect()
    }

    /// Every phase of the stride with its taps and weights.
    fn phases(&self, w: &[f32], layout: &Layout) -> Vec<Phase> {
        let [height, width] = self.stride;
        (0..height * width)
            .map(|phase| {
                let first = [phase / width, phase % width];
                let [rows, columns] = [self.reaching(0, first[0]), self.reaching(1, first[1])];
                let both = rows.iter().flat_map(|row| columns.iter().map(move |column| (row, column)));
                let (numbers, taps): (Vec<usize>, Vec<usize>) =
                    both.map(|(&(ky, y), &(kx, x))| (ky * self.kernel[1] + kx, layout.at(y, x))).unzip();
                let grid =
                    std::array::from_fn(|d| self.image[d].saturating_sub(first[d]).div_ceil(self.stride[d]));
                let weights = Weights::new(self.turned(w, &numbers).into(), self.group_outputs(), taps.len());
                Phase { taps, weights, grid, place: Place { size: self.image, step: self.stride, first } }
            })
            .collect()
    }

    /// The weights of some taps with inputs and outputs exchanged.
    fn turned(&self, w: &[f32], taps: &[usize]) -> Vec<f32> {
        let (outputs, channels, area) =
            (self.group_outputs(), self.group_channels(), self.kernel[0] * self.kernel[1]);
        let width = outputs * taps.len();
        let mut turned = uninit(self.channels * width);
        par::run(Rows::new(&mut turned, width), Cut::new(self.channels, 4 * width), |range, out| {
            for (out, channel) in out.data.chunks_exact_mut(width.max(1)).zip(range) {
                let (group, channel) = (channel / channels, channel % channels);
                for (output, out) in out.chunks_exact_mut(taps.len().max(1)).enumerate() {
                    let from = ((group * outputs + output) * channels + channel) * area;
                    for (out, tap) in out.iter_mut().zip(taps) {
                        *out = w[from + tap];
                    }
                }
            }
        });
        turned
    }
}

/// Returns the gradient of the bias: the sum of each output channel over batch and space.
pub fn bias_gradient(dy: &[f32], conv: &Conv) -> Vec<f32> {
    channel_sums(dy, conv.batch, conv.outputs, conv.output_pixels())
}

fn channel_sums(x: &[f32], batch: usize, channels: usize, pixels: usize) -> Vec<f32> {
    let parts = par::run((), Cut::new(channels, batch * pixels), |range, ()| {
        let channel = |c: usize| -> f32 {
            let images = (0..batch).map(|n| f64::from(sum(&x[(n * channels + c) * pixels..][..pixels])));
            images.sum::<f64>() as f32
        };
        range.map(channel).collect::<Vec<f32>>()
    });
    parts.concat()
}

kernel! {
    fn add<A>(y: &mut [f32], b: f32) {
        for y in y {
            *y += b;
        }
    }
}

kernel! {
    fn sum<A>(x: &[f32]) -> f32 {
        crate::reduce::sum(x)
    }
}
