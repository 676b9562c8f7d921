//! Transposed convolution: the gradient of a convolution as a layer of its own, which makes images larger.
//!
//! It is described by the convolution that it is the gradient of: `x` has the shape of that one's output and `y` that of
//! its input, `W [channels of x, channels of y / groups, kernel height, kernel width]`.

use super::{Conv, add, channel_sums, check_bias};
use crate::par::{self, Cut, Rows};

/// Returns `y`, with `b [channels of y]` added.
pub fn forward(x: &[f32], w: &[f32], b: Option<&[f32]>, conv: &Conv) -> Vec<f32> {
    check_bias(b, conv.channels);
    let mut y = super::input_gradient(w, x, conv);
    if let Some(b) = b {
        let pixels = conv.input_pixels();
        let planes = Cut::new(conv.batch * conv.channels, pixels);
        par::run(Rows::new(&mut y, pixels), planes, |range, y| {
            for (y, plane) in y.data.chunks_exact_mut(pixels).zip(range) {
                add(y, b[plane % conv.channels]);
            }
        });
    }
    y
}

/// Returns the gradient of `x`.
pub fn input_gradient(w: &[f32], dy: &[f32], conv: &Conv) -> Vec<f32> {
    super::forward(dy, w, None, conv)
}

/// Returns the gradient of the weight.
pub fn weight_gradient(x: &[f32], dy: &[f32], conv: &Conv) -> Vec<f32> {
    super::weight_gradient(dy, x, conv)
}

/// Returns the gradient of the bias.
pub fn bias_gradient(dy: &[f32], conv: &Conv) -> Vec<f32> {
    channel_sums(dy, conv.batch, conv.channels, conv.input_pixels())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{close, close_in_bf16, hides_nothing, slopes, values, wide};

    /// The naive twin for one group and no padding: every value of `x` spreads the kernel over `y`.
    fn twin(x: &[f64], w: &[f64], b: &[f64], c: &Conv) -> Vec<f64> {
        let [height, width] = c.output_image();
        let mut y: Vec<f64> = (0..c.batch * c.channels * c.input_pixels())
            .map(|i| b[i / c.input_pixels() % c.channels])
            .collect();
        for (n, i) in (0..c.batch).flat_map(|n| (0..c.outputs).map(move |i| (n, i))) {
            for (at, o) in (0..height * width).flat_map(|at| (0..c.channels).map(move |o| (at, o))) {
                for (ky, kx) in (0..c.kernel[0]).flat_map(|y| (0..c.kernel[1]).map(move |x| (y, x))) {
                    let row = at / width * c.stride[0] + ky * c.dilation[0];
                    let column = at % width * c.stride[1] + kx * c.dilation[1];
                    let from = x[(n * c.outputs + i) * height * width + at];
                    let weight = w[((i * c.channels + o) * c.kernel[0] + ky) * c.kernel[1] + kx];
                    y[((n * c.channels + o) * c.image[0] + row) * c.image[1] + column] += from * weight;
                }
            }
        }
        y
    }

    fn cases() -> [Conv; 2] {
        let base = Conv {
            batch: 2,
            channels: 3,
            outputs: 4,
            image: [8, 9],
            kernel: [2, 3],
            stride: [2, 2],
            padding: [0, 0],
            dilation: [1, 1],
            groups: 1,
        };
        [base, Conv { stride: [1, 3], image: [7, 12], dilation: [2, 1], ..base }]
    }

    /// Input, weight, bias, and the gradient of the output.
    fn made_up(conv: &Conv) -> [Vec<f32>; 4] {
        [
            values(conv.batch * conv.outputs * conv.output_pixels(), 1),
            values(conv.outputs * conv.patch(), 2),
            values(conv.channels, 3),
            values(conv.batch * conv.channels * conv.input_pixels(), 4),
        ]
    }

    /// Gradients of input and weight by the twin, which is linear in both.
    fn twin_s_slopes(x: &[f64], w: &[f64], dy: &[f64], conv: &Conv) -> [Vec<f64>; 2] {
        let b = vec![0.0; conv.channels];
        let loss = |x: &[f64], w: &[f64]| twin(x, w, &b, conv).iter().zip(dy).map(|(y, d)| y * d).sum();
        [slopes(x, |x| loss(x, w)), slopes(w, |w| loss(x, w))]
    }

    #[test]
    fn spreads_the_kernel() {
        for conv in cases() {
            let [x, w, b, _] = made_up(&conv);
            close(&forward(&x, &w, Some(&b), &conv), &twin(&wide(&x), &wide(&w), &wide(&b), &conv));
        }
    }

    #[test]
    fn gradients_are_the_twin_s_slopes() {
        for conv in cases() {
            let [x, w, _, dy] = made_up(&conv);
            let [dx, dw] = twin_s_slopes(&wide(&x), &wide(&w), &wide(&dy), &conv);
            close(&input_gradient(&w, &dy, &conv), &dx);
            close(&weight_gradient(&x, &dy, &conv), &dw);
        }
    }

    #[test]
    fn bf16_is_close_to_the_twin() {
        for conv in cases() {
            let [x, w, b, dy] = made_up(&conv);
            let y = twin(&wide(&x), &wide(&w), &wide(&b), &conv);
            let [dx, dw] = twin_s_slopes(&wide(&x), &wide(&w), &wide(&dy), &conv);
            let run = || {
                vec![
                    forward(&x, &w, Some(&b), &conv),
                    input_gradient(&w, &dy, &conv),
                    weight_gradient(&x, &dy, &conv),
                ]
            };
            close_in_bf16(run, &[y, dx, dw]);
        }
    }

    #[test]
    fn what_is_not_finite_shows_in_all_that_it_feeds() {
        for conv in cases() {
            for value in [f32::NAN, f32::INFINITY] {
                let [mut x, w, b, _] = made_up(&conv);
                x[5] = value;
                hides_nothing(
                    &forward(&x, &w, Some(&b), &conv),
                    &twin(&wide(&x), &wide(&w), &wide(&b), &conv),
                );
            }
            let [x, w, mut b, _] = made_up(&conv);
            b[1] = f32::NAN;
            hides_nothing(&forward(&x, &w, Some(&b), &conv), &twin(&wide(&x), &wide(&w), &wide(&b), &conv));
        }
    }

    #[test]
    fn the_bias_gets_the_sum_of_its_channel() {
        let conv = Conv {
            batch: 2,
            channels: 2,
            outputs: 1,
            image: [1, 2],
            kernel: [1, 2],
            stride: [1, 1],
            padding: [0, 0],
            dilation: [1, 1],
            groups: 1,
        };
        assert_eq!(bias_gradient(&[1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0], &conv), [14.0, 22.0]);
    }
}
