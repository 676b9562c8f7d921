//! Convolution over two dimensions; one dimension is a height of 1.
//!
//! `x [batch, channels, height, width]`, `W [outputs, channels / groups, kernel height, kernel width]`, `b [outputs]`,
//! `y [batch, outputs, out height, out width]`. As in every deep-learning library the kernel isn't flipped.
//!
//! Patches of the image become the columns of a matrix, some output rows at a time, and a product with the weight does
//! the rest; where the patch is a single pixel the image is that matrix already.

mod columns;
#[cfg(test)]
mod tests;

use crate::{
    buf::uninit,
    gemm::{Matrix, Output, matmul_here},
    isa::kernel,
    par::{self, Cut, Rows},
};
use columns::Tile;

/// Values of a block of columns; a block that stays in the second-level cache needn't be read again from memory.
const TILE: usize = 1 << 17;

/// Values of all partial weight gradients together.
const PARTIALS: usize = 1 << 23;

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

    /// Whether the image itself is the matrix of columns.
    fn pointwise(&self) -> bool {
        self.kernel == [1, 1] && self.stride == [1, 1] && self.padding == [0, 0]
    }

    /// Output rows of a tile.
    fn tile_rows(&self) -> usize {
        let [height, width] = self.output_image();
        if self.pointwise() {
            height
        } else {
            (TILE / (self.patch() * width).max(1)).clamp(1, height.max(1))
        }
    }

    /// Returns the tiles of output rows of an image.
    fn tiles(&self) -> impl Iterator<Item = std::ops::Range<usize>> {
        let (height, step) = (self.output_image()[0], self.tile_rows());
        (0..height)
            .step_by(step)
            .map(move |start| start..(start + step).min(height))
    }

    fn cost(&self) -> usize {
        self.batch * self.outputs * self.patch() * self.output_pixels()
    }

    fn check(&self, x: usize, w: usize) {
        let divides = self.groups > 0
            && self.channels.is_multiple_of(self.groups)
            && self.outputs.is_multiple_of(self.groups);
        assert!(
            divides,
            "channels and outputs don't divide into {} groups",
            self.groups
        );
        assert_eq!(
            x,
            self.batch * self.channels * self.input_pixels(),
            "the input has another size"
        );
        assert_eq!(
            w,
            self.outputs * self.patch(),
            "the weight has another size"
        );
    }
}

/// Convolves the images.
pub fn forward(x: &[f32], w: &[f32], b: Option<&[f32]>, conv: &Conv) -> Vec<f32> {
    conv.check(x.len(), w.len());
    let (pixels, outputs, patch) = (conv.output_pixels(), conv.group_outputs(), conv.patch());
    let mut y = uninit(conv.batch * conv.outputs * pixels);
    let cut = Cut::tasks(conv.batch * conv.groups, conv.cost());
    par::run(Rows::new(&mut y, outputs * pixels), cut, |range, y| {
        let mut tile = Tile::new(conv);
        for (y, task) in y
            .data
            .chunks_exact_mut((outputs * pixels).max(1))
            .zip(range)
        {
            let (image, group) = (task / conv.groups, task % conv.groups);
            let x = group_image(x, conv, image, group);
            let w = Matrix::new(&w[group * outputs * patch..], outputs, patch);
            for rows in conv.tiles() {
                let first = rows.start * conv.output_image()[1];
                matmul_here(
                    w,
                    tile.read(x, conv, rows),
                    Output::strided(&mut y[first..], pixels),
                );
            }
            if let Some(b) = b {
                for (y, b) in y.chunks_exact_mut(pixels).zip(&b[group * outputs..]) {
                    add(y, *b);
                }
            }
        }
    });
    y
}

/// Returns the gradient of the input: also the forward pass of the transposed convolution.
pub fn input_gradient(w: &[f32], dy: &[f32], conv: &Conv) -> Vec<f32> {
    let (pixels, outputs, patch) = (conv.output_pixels(), conv.group_outputs(), conv.patch());
    let image_len = conv.group_channels() * conv.input_pixels();
    conv.check(conv.batch * conv.channels * conv.input_pixels(), w.len());
    assert_eq!(
        dy.len(),
        conv.batch * conv.outputs * pixels,
        "the gradient has another size"
    );
    let mut dx = uninit(conv.batch * conv.groups * image_len);
    let cut = Cut::tasks(conv.batch * conv.groups, conv.cost());
    par::run(Rows::new(&mut dx, image_len), cut, |range, dx| {
        let mut tile = Tile::new(conv);
        for (dx, task) in dx.data.chunks_exact_mut(image_len.max(1)).zip(range) {
            let group = task % conv.groups;
            let w = Matrix::new(&w[group * outputs * patch..], outputs, patch).transposed();
            let dy = &dy[task * outputs * pixels..][..outputs * pixels];
            if conv.pointwise() {
                matmul_here(
                    w,
                    Matrix::new(dy, outputs, pixels),
                    Output::strided(dx, pixels),
                );
                continue;
            }
            dx.fill(0.0);
            for rows in conv.tiles() {
                let width = conv.output_image()[1];
                let dy = Matrix::strided(
                    &dy[rows.start * width..],
                    outputs,
                    rows.len() * width,
                    pixels,
                );
                tile.multiply_and_add(w, dy, dx, conv, rows);
            }
        }
    });
    dx
}

/// Returns the gradient of the weight.
pub fn weight_gradient(x: &[f32], dy: &[f32], conv: &Conv) -> Vec<f32> {
    let (pixels, outputs, patch) = (conv.output_pixels(), conv.group_outputs(), conv.patch());
    conv.check(x.len(), conv.outputs * patch);
    assert_eq!(
        dy.len(),
        conv.batch * conv.outputs * pixels,
        "the gradient has another size"
    );
    let len = conv.outputs * patch;
    let most = (PARTIALS / len.max(1)).max(4);
    let cut = Cut::with_partials(conv.batch, conv.cost() / conv.batch.max(1)).at_most(most);
    let partials = par::run((), cut, |range, ()| {
        let (mut tile, mut dw) = (Tile::new(conv), vec![0.0; len]);
        for image in range {
            for (group, dw) in dw.chunks_exact_mut((outputs * patch).max(1)).enumerate() {
                let x = group_image(x, conv, image, group);
                let dy =
                    &dy[(image * conv.groups + group) * outputs * pixels..][..outputs * pixels];
                for rows in conv.tiles() {
                    let width = conv.output_image()[1];
                    let dy = Matrix::strided(
                        &dy[rows.start * width..],
                        outputs,
                        rows.len() * width,
                        pixels,
                    );
                    matmul_here(
                        dy,
                        tile.read(x, conv, rows).transposed(),
                        Output::strided(dw, patch).adding(),
                    );
                }
            }
        }
        dw
    });
    par::add_partials(partials, len)
}

/// Returns the gradient of the bias: the sum of each output channel over batch and space.
pub fn bias_gradient(dy: &[f32], conv: &Conv) -> Vec<f32> {
    let pixels = conv.output_pixels();
    let parts = par::run(
        (),
        Cut::new(conv.outputs, conv.batch * pixels),
        |range, ()| {
            let channel = |c: usize| -> f32 {
                let images = (0..conv.batch)
                    .map(|n| f64::from(sum(&dy[(n * conv.outputs + c) * pixels..][..pixels])));
                images.sum::<f64>() as f32
            };
            range.map(channel).collect::<Vec<f32>>()
        },
    );
    parts.concat()
}

/// Returns the channels of a group of an image.
fn group_image<'a>(x: &'a [f32], conv: &Conv, image: usize, group: usize) -> &'a [f32] {
    let len = conv.group_channels() * conv.input_pixels();
    &x[(image * conv.groups + group) * len..][..len]
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
