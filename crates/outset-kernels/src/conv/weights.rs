//! The gradient of a convolution's weight: patches times the gradient of the output, summed over all pixels.

use super::{
    Conv, depthwise,
    padded::Layout,
    winograd::{self, Way},
};
use crate::{
    buf::uninit,
    gemm::{
        Matrix, copy_panel, pair_values,
        tile::{Depth, Kernel, Left, Right, Starts, Target},
    },
    par::{self, Cut, Rows},
};
use std::ops::Range;

/// Pixels of the output that are summed up before the sums are added to those in memory, where images are small.
const SUMMED_PIXELS: usize = 256;

/// Values of all partial sums together.
const PARTIALS: usize = 1 << 23;

/// Returns the gradient of the weight.
pub fn weight_gradient(x: &[f32], dy: &[f32], conv: &Conv) -> Vec<f32> {
    let (pixels, outputs, patch) = (conv.output_pixels(), conv.group_outputs(), conv.patch());
    conv.check(x.len(), conv.outputs * patch);
    assert_eq!(dy.len(), conv.batch * conv.outputs * pixels, "the gradient has another size");
    if depthwise::applies(conv) {
        return depthwise::weight_gradient(x, dy, conv);
    }
    let len = conv.outputs * patch;
    let most = (PARTIALS / len.max(1)).max(4);
    let cut = Cut::with_partials(conv.batch, conv.cost() / conv.batch.max(1)).at_most(most);
    // Sums are `[group][patch][group outputs]`: the patches are the rows, as they are read in place.
    let partials = if winograd::applies(conv) {
        let way = Way::of(conv);
        let cut = cut.at_most(way.groups().max(4));
        par::run((), cut, |range, ()| way.weight_gradient(x, dy, range))
    } else {
        let layout = conv.layout();
        let job = Job { x, dy, conv, layout, taps: conv.taps(&layout) };
        // Pairs of pixels must not reach from one row of the output into the next.
        let rounded = Kernel::without_parts().pairs > 1 && conv.output_image()[1].is_multiple_of(2);
        par::run((), cut, |range, ()| if rounded { job.rounded(range) } else { job.single(range) })
    };
    let sums = par::add_partials(partials, len);
    let mut dw = uninit(len);
    par::run(Rows::new(&mut dw, patch), Cut::new(conv.outputs, 4 * patch), |range, dw| {
        let mut rest = dw.data;
        let mut first = range.start;
        // Group by group, of which each has a matrix of sums of its own.
        while first < range.end {
            let group = first / outputs;
            let end = ((group + 1) * outputs).min(range.end);
            let (now, later) = rest.split_at_mut((end - first) * patch);
            let sums = Matrix::new(&sums[group * outputs * patch..], patch, outputs).transposed();
            copy_panel(sums, first - group * outputs..end - group * outputs, 0..patch, now, patch.max(1));
            (rest, first) = (later, end);
        }
    });
    dw
}

/// Copies rows of `width` pairs whose first values lie `stride` apart, from the image that is paired as they need.
fn copy_rows(paired: &[Vec<f32>; 2], start: usize, stride: usize, out: &mut [f32], width: usize) {
    match width {
        16 => copy_whole_rows::<16>(paired, start, stride, out),
        8 => copy_whole_rows::<8>(paired, start, stride, out),
        4 => copy_whole_rows::<4>(paired, start, stride, out),
        2 => copy_whole_rows::<2>(paired, start, stride, out),
        _ => {
            for (y, out) in out.chunks_exact_mut(width).enumerate() {
                let from = start + y * stride;
                out.copy_from_slice(&paired[from % 2][from / 2..][..width]);
            }
        }
    }
}

/// Copies rows of a length that the compiler knows.
fn copy_whole_rows<const WIDTH: usize>(paired: &[Vec<f32>; 2], start: usize, stride: usize, out: &mut [f32]) {
    for (y, out) in out.as_chunks_mut::<WIDTH>().0.iter_mut().enumerate() {
        let from = start + y * stride;
        *out = *paired[from % 2][from / 2..].first_chunk().expect("every tap lies in the padded image");
    }
}

/// What every task reads.
struct Job<'a> {
    x: &'a [f32],
    dy: &'a [f32],
    conv: &'a Conv,
    /// The padded input.
    layout: Layout,
    taps: Vec<usize>,
}

impl Job<'_> {
    /// Where a row of the patches starts in the padded image.
    fn start(&self, group: usize, row: usize) -> usize {
        let channel = group * self.conv.group_channels() + row / self.taps.len();
        channel * self.layout.channel() + self.taps[row % self.taps.len()]
    }

    /// Number of images taken together: small ones, so that the sums aren't read and written for each.
    fn together(&self, images: usize) -> usize {
        SUMMED_PIXELS.div_ceil(self.conv.output_pixels()).min(images)
    }

    /// Sums over some images in single precision; patches are read in place.
    fn single(&self, range: Range<usize>) -> Vec<f32> {
        let Job { x, dy, conv, layout, .. } = self;
        let (pixels, outputs, patch) = (conv.output_pixels(), conv.group_outputs(), conv.patch());
        let [height, width] = conv.output_image();
        let (input, output) = (conv.channels * conv.input_pixels(), conv.outputs * pixels);
        let kernel = Kernel::of_level().for_rows(patch);
        let image_len = conv.channels * layout.channel();
        let together = self.together(range.len());
        let (mut dw, mut buffer) = (uninit(conv.outputs * patch), uninit(together * image_len));
        let mut panel = uninit(together * pixels * kernel.columns);
        for first in range.clone().step_by(together) {
            let images = together.min(range.end - first);
            let add = first > range.start;
            layout.fill(&x[first * input..][..images * input], &mut buffer);
            let depth =
                Depth { len: width, runs: height, jump: layout.row(), blocks: images, leap: image_len };
            for (group, dw) in dw.chunks_exact_mut((outputs * patch).max(1)).enumerate() {
                for column in (0..outputs).step_by(kernel.columns) {
                    let columns = column..(column + kernel.columns).min(outputs);
                    for (image, panel) in
                        panel.chunks_exact_mut(pixels * kernel.columns).take(images).enumerate()
                    {
                        let dy = &dy[(first + image) * output + group * outputs * pixels..];
                        let dy = Matrix::new(dy, outputs, pixels).transposed();
                        copy_panel(dy, 0..pixels, columns.clone(), panel, kernel.columns);
                    }
                    let right = Right { data: &panel, stride: kernel.columns };
                    for row in (0..patch).step_by(kernel.rows) {
                        let rows = kernel.rows.min(patch - row);
                        let each = std::array::from_fn(|i| self.start(group, row + i.min(rows - 1)));
                        let left = Left { data: &buffer, starts: Starts::Each(each), step: 1 };
                        let data = &mut dw[row * outputs + column..];
                        let target = Target { data, stride: outputs, rows, columns: columns.len(), add };
                        kernel.run(left, right, depth, target);
                    }
                }
            }
        }
        dw
    }

    /// Sums over some images with factors rounded to bf16, whose cells are pairs of neighbouring pixels.
    ///
    /// A patch that starts at an odd pixel is copied from an image that is paired from its second pixel on.
    fn rounded(&self, range: Range<usize>) -> Vec<f32> {
        let Job { x, dy, conv, layout, .. } = self;
        let (pixels, outputs, patch) = (conv.output_pixels(), conv.group_outputs(), conv.patch());
        let width = conv.output_image()[1];
        let (input, output) = (conv.channels * conv.input_pixels(), conv.outputs * pixels);
        let (kernel, image_len) = (Kernel::without_parts(), conv.channels * layout.channel());
        let together = self.together(range.len());
        let mut dw = uninit(conv.outputs * patch);
        // Values more, with which the last pair from an odd pixel on is whole.
        let mut buffer = uninit(together * image_len + 2);
        buffer[together * image_len..].fill(0.0);
        let mut paired = [0, 1].map(|_| uninit(buffer.len().div_ceil(2)));
        let panels = outputs.div_ceil(kernel.columns);
        let (cells, most) = (pixels / 2, kernel.cells(together * pixels));
        let mut gradients = uninit(outputs * cells);
        let mut right = vec![0.0; panels * most * kernel.columns];
        let mut left = vec![0.0; kernel.rows * most];
        for first in range.clone().step_by(together) {
            let images = together.min(range.end - first);
            let add = first > range.start;
            let (summed, filled) = (images * cells, kernel.cells(images * pixels));
            layout.fill(&x[first * input..][..images * input], &mut buffer);
            for (odd, paired) in paired.iter_mut().enumerate() {
                pair_values(&buffer[odd..], paired);
            }
            for (group, dw) in dw.chunks_exact_mut((outputs * patch).max(1)).enumerate() {
                let panel = filled * kernel.columns;
                for image in 0..images {
                    let dy = &dy[(first + image) * output + group * outputs * pixels..];
                    for (out, dy) in gradients.chunks_exact_mut(cells).zip(dy.chunks_exact(pixels)) {
                        pair_values(dy, out);
                    }
                    let turned = Matrix::new(&gradients, outputs, cells).transposed();
                    for (at, right) in right.chunks_exact_mut(panel).take(panels).enumerate() {
                        let columns = at * kernel.columns..((at + 1) * kernel.columns).min(outputs);
                        let right = &mut right[image * cells * kernel.columns..][..cells * kernel.columns];
                        copy_panel(turned, 0..cells, columns, right, kernel.columns);
                    }
                }
                for right in right.chunks_exact_mut(panel).take(panels) {
                    right[summed * kernel.columns..].fill(0.0);
                }
                for row in (0..patch).step_by(kernel.rows) {
                    let rows = kernel.rows.min(patch - row);
                    for (i, left) in left.chunks_exact_mut(filled).take(rows).enumerate() {
                        let start = self.start(group, row + i);
                        for (image, left) in left[..summed].chunks_exact_mut(cells).enumerate() {
                            copy_rows(&paired, start + image * image_len, layout.row(), left, width / 2);
                        }
                        left[summed..].fill(0.0);
                    }
                    for (at, right) in right.chunks_exact(panel).take(panels).enumerate() {
                        let columns = kernel.columns.min(outputs - at * kernel.columns);
                        let right = Right { data: right, stride: kernel.columns };
                        let starts = Starts::Even { first: 0, apart: filled };
                        let left = Left { data: &left, starts, step: 1 };
                        let data = &mut dw[row * outputs + at * kernel.columns..];
                        let target = Target { data, stride: outputs, rows, columns, add };
                        kernel.run(left, right, Depth::new(filled), target);
                    }
                }
            }
        }
        dw
    }
}
