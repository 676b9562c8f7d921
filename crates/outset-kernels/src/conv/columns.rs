//! Patches of an image as the columns of a matrix, and back.

use super::Conv;
use crate::{
    buf::uninit,
    gemm::{Matrix, Output, matmul_here},
};
use std::ops::Range;

/// The columns of some output rows: `[patch, rows * out width]`.
pub(super) struct Tile {
    columns: Vec<f32>,
}

impl Tile {
    pub(super) fn new(conv: &Conv) -> Tile {
        let len = if conv.pointwise() {
            0
        } else {
            conv.patch() * conv.tile_rows() * conv.output_image()[1]
        };
        Tile {
            columns: uninit(len),
        }
    }

    /// Returns the columns that output rows see in the channels of a group.
    pub(super) fn read<'a>(
        &'a mut self,
        x: &'a [f32],
        conv: &Conv,
        rows: Range<usize>,
    ) -> Matrix<'a> {
        let width = conv.output_image()[1];
        let pixels = rows.len() * width;
        if conv.pointwise() {
            return Matrix::new(x, conv.patch(), pixels);
        }
        for_each_run(conv, rows.clone(), |run| {
            let columns = &mut self.columns[run.column * pixels + run.offset..][..width];
            let Some(start) = run.start else {
                return columns.fill(0.0);
            };
            columns[..run.inside.start].fill(0.0);
            columns[run.inside.end..].fill(0.0);
            let columns = &mut columns[run.inside.clone()];
            match conv.stride[1] {
                1 => columns.copy_from_slice(&x[start..start + columns.len()]),
                stride => columns
                    .iter_mut()
                    .zip(x[start..].iter().step_by(stride))
                    .for_each(|(c, x)| *c = *x),
            }
        });
        Matrix::new(&self.columns, conv.patch(), pixels)
    }

    /// Computes columns as a product and adds them to the pixels that they came from.
    pub(super) fn multiply_and_add(
        &mut self,
        a: Matrix,
        b: Matrix,
        dx: &mut [f32],
        conv: &Conv,
        rows: Range<usize>,
    ) {
        let width = conv.output_image()[1];
        let pixels = rows.len() * width;
        matmul_here(a, b, Output::strided(&mut self.columns, pixels));
        for_each_run(conv, rows, |run| {
            let Some(start) = run.start else { return };
            let columns =
                &self.columns[run.column * pixels + run.offset..][..width][run.inside.clone()];
            match conv.stride[1] {
                1 => dx[start..start + columns.len()]
                    .iter_mut()
                    .zip(columns)
                    .for_each(|(x, c)| *x += c),
                stride => dx[start..]
                    .iter_mut()
                    .step_by(stride)
                    .zip(columns)
                    .for_each(|(x, c)| *x += c),
            }
        });
    }
}

/// One row of outputs at one tap of the kernel.
struct Run {
    /// Row of the matrix of columns.
    column: usize,
    /// Where the output row starts among the tile's pixels.
    offset: usize,
    /// Outputs whose tap lies in the image.
    inside: Range<usize>,
    /// The pixel of the first of them; none if the whole row lies outside.
    start: Option<usize>,
}

/// Visits every row of outputs at every tap.
fn for_each_run(conv: &Conv, rows: Range<usize>, mut visit: impl FnMut(Run)) {
    let [height, width] = conv.image;
    let out_width = conv.output_image()[1];
    for channel in 0..conv.group_channels() {
        for ky in 0..conv.kernel[0] {
            for kx in 0..conv.kernel[1] {
                let column = (channel * conv.kernel[0] + ky) * conv.kernel[1] + kx;
                let inside = inside(conv, kx * conv.dilation[1], out_width);
                for (i, row) in rows.clone().enumerate() {
                    let y =
                        (row * conv.stride[0] + ky * conv.dilation[0]).checked_sub(conv.padding[0]);
                    let y = y.filter(|&y| y < height && !inside.is_empty());
                    let x = inside.start * conv.stride[1] + kx * conv.dilation[1];
                    let start = y.map(|y| (channel * height + y) * width + x - conv.padding[1]);
                    visit(Run {
                        column,
                        offset: i * out_width,
                        inside: inside.clone(),
                        start,
                    });
                }
            }
        }
    }
}

/// Returns the output columns whose tap, `shift` pixels into the patch, lies in the image.
fn inside(conv: &Conv, shift: usize, out_width: usize) -> Range<usize> {
    let (stride, padding) = (conv.stride[1], conv.padding[1]);
    let start = padding
        .saturating_sub(shift)
        .div_ceil(stride)
        .min(out_width);
    let end = (conv.image[1] + padding)
        .saturating_sub(shift)
        .div_ceil(stride)
        .min(out_width);
    start..end.max(start)
}
