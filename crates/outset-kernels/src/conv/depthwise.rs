//! Convolution of each channel by itself: too little arithmetic for a matrix product, so a kernel slides over the planes.
//!
//! With `outputs / channels` above 1 each channel has that many outputs.

use super::{Conv, padded::Layout, product::Place};
use crate::{
    buf::uninit,
    isa::kernel,
    par::{self, Cut, Rows},
    precision::{self, Precision},
    reduce::dot,
};

/// Neighbouring outputs that are summed up in registers.
const LANES: usize = 16;

/// Whether a convolution is of this kind.
pub(super) fn applies(conv: &Conv) -> bool {
    conv.groups > 1 && conv.groups == conv.channels
}

/// A padded image, and room behind it so that the last lanes may read on.
fn buffer(channels: usize, layout: &Layout) -> Vec<f32> {
    vec![0.0; channels * layout.channel() + LANES]
}

/// Convolves the images.
pub(super) fn forward(x: &[f32], w: &[f32], b: Option<&[f32]>, conv: &Conv) -> Vec<f32> {
    let [height, width] = conv.output_image();
    let (layout, pixels, each) = (conv.layout(), height * width, conv.group_outputs());
    let taps = conv.taps(&layout);
    let input = conv.channels * conv.input_pixels();
    let mut y = uninit(conv.batch * conv.outputs * pixels);
    par::run(Rows::new(&mut y, conv.outputs * pixels), cut(conv), |range, y| {
        let mut buffer = buffer(conv.channels, &layout);
        for (y, image) in y.data.chunks_exact_mut((conv.outputs * pixels).max(1)).zip(range) {
            layout.fill(&x[image * input..][..input], &mut buffer);
            for (output, y) in y.chunks_exact_mut(pixels).enumerate() {
                let plane = &buffer[output / each * layout.channel()..];
                let weights = &w[output * taps.len()..][..taps.len()];
                y.fill(b.map_or(0.0, |b| b[output]));
                slide(plane, layout.row(), &taps, weights, y, width);
            }
        }
    });
    y
}

/// Returns the gradient of the input.
pub(super) fn input_gradient(w: &[f32], dy: &[f32], conv: &Conv) -> Vec<f32> {
    let (layout, each) = (conv.gradient_layout(), conv.group_outputs());
    // The weights are read one by one, not as pairs.
    let phases = precision::with(Precision::F32, || conv.phases(w, &layout));
    let (image_len, plane_len) = (conv.channels * conv.input_pixels(), conv.input_pixels());
    let output = conv.outputs * conv.output_pixels();
    let mut dx = uninit(conv.batch * image_len);
    par::run(Rows::new(&mut dx, image_len), cut(conv), |range, dx| {
        let mut buffer = buffer(conv.outputs, &layout);
        let mut sums = Vec::new();
        for (dx, image) in dx.data.chunks_exact_mut(image_len.max(1)).zip(range) {
            layout.fill(&dy[image * output..][..output], &mut buffer);
            for (channel, dx) in dx.chunks_exact_mut(plane_len).enumerate() {
                for phase in &phases {
                    let [rows, columns] = phase.grid;
                    sums.clear();
                    sums.resize(rows * columns, 0.0);
                    for j in 0..each {
                        let plane = &buffer[(channel * each + j) * layout.channel()..];
                        let weights = phase.weights.row(channel);
                        let weights = &weights[j * phase.taps.len()..][..phase.taps.len()];
                        slide(plane, layout.row(), &phase.taps, weights, &mut sums, columns.max(1));
                    }
                    place(&sums, dx, phase.place, columns);
                }
            }
        }
    });
    dx
}

/// Writes the rows of a phase's grid to their places in a plane.
fn place(sums: &[f32], plane: &mut [f32], place: Place, columns: usize) {
    for (row, sums) in sums.chunks_exact(columns.max(1)).enumerate() {
        let start = (place.first[0] + row * place.step[0]) * place.size[1] + place.first[1];
        for (out, sum) in plane[start..].iter_mut().step_by(place.step[1]).zip(sums) {
            *out = *sum;
        }
    }
}

/// Returns the gradient of the weight.
pub(super) fn weight_gradient(x: &[f32], dy: &[f32], conv: &Conv) -> Vec<f32> {
    let [height, width] = conv.output_image();
    let (layout, pixels, each) = (conv.layout(), height * width, conv.group_outputs());
    let taps = conv.taps(&layout);
    let input = conv.channels * conv.input_pixels();
    let cut = Cut::with_partials(conv.batch, conv.cost() / conv.batch.max(1));
    let partials = par::run((), cut, |range, ()| {
        let mut buffer = buffer(conv.channels, &layout);
        let mut dw = vec![0.0; conv.outputs * taps.len()];
        for image in range {
            layout.fill(&x[image * input..][..input], &mut buffer);
            let dy = &dy[image * conv.outputs * pixels..][..conv.outputs * pixels];
            for (output, (dy, dw)) in dy.chunks_exact(pixels).zip(dw.chunks_exact_mut(taps.len())).enumerate()
            {
                let plane = &buffer[output / each * layout.channel()..];
                correlate(plane, layout.row(), &taps, dy, width, dw);
            }
        }
        dw
    });
    par::add_partials(partials, conv.outputs * taps.len())
}

fn cut(conv: &Conv) -> Cut {
    Cut::new(conv.batch, conv.cost() / conv.batch.max(1))
}

kernel! {
    /// Adds what the taps see from each place of the rows of `y`.
    fn slide<A>(plane: &[f32], row: usize, taps: &[usize], weights: &[f32], y: &mut [f32], width: usize) {
        for (r, y) in y.chunks_exact_mut(width).enumerate() {
            for (c, y) in y.chunks_mut(LANES).enumerate() {
                let mut sums = [0.0f32; LANES];
                for (tap, weight) in taps.iter().zip(weights) {
                    let seen = plane[tap + r * row + c * LANES..].first_chunk::<LANES>();
                    let seen = seen.expect("there is room behind the planes");
                    for i in 0..LANES {
                        sums[i] = A::mul_add(seen[i], *weight, sums[i]);
                    }
                }
                for (y, sum) in y.iter_mut().zip(sums) {
                    *y += sum;
                }
            }
        }
    }
}

kernel! {
    /// Adds to each tap's sum the products of what it sees with the rows of `dy`.
    fn correlate<A>(plane: &[f32], row: usize, taps: &[usize], dy: &[f32], width: usize, dw: &mut [f32]) {
        for (dw, tap) in dw.iter_mut().zip(taps) {
            let mut sum = 0.0f32;
            for (r, dy) in dy.chunks_exact(width).enumerate() {
                sum += dot::<A>(dy, &plane[tap + r * row..][..width]);
            }
            *dw += sum;
        }
    }
}
