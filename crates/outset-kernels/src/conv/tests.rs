use super::*;
use crate::precision::{self, Precision};
use crate::testing::{
    check_gradient, close, close_in_bf16, close_within, hides_nothing, refused,
    same_bits_with_one_and_two_threads, values, wide,
};

/// Small, odd and general sizes: kernel, stride, padding, dilation, groups.
fn cases() -> Vec<Conv> {
    let base = Conv {
        batch: 2,
        channels: 3,
        outputs: 4,
        image: [7, 6],
        kernel: [3, 3],
        stride: [1, 1],
        padding: [1, 1],
        dilation: [1, 1],
        groups: 1,
    };
    vec![
        base,
        Conv { kernel: [1, 1], padding: [0, 0], ..base },
        Conv { kernel: [1, 1], padding: [0, 0], stride: [2, 2], ..base },
        Conv { batch: 1, channels: 1, outputs: 1, image: [1, 1], ..base },
        Conv { stride: [2, 2], ..base },
        // Widths of which rows are copied whole.
        Conv { image: [3, 32], ..base },
        Conv { image: [2, 16], padding: [2, 0], ..base },
        Conv { image: [3, 8], padding: [0, 2], ..base },
        Conv { stride: [2, 3], padding: [0, 2], kernel: [2, 5], ..base },
        Conv { dilation: [2, 2], padding: [2, 2], ..base },
        Conv { channels: 4, outputs: 6, groups: 2, ..base },
        // Each channel by itself, also with several outputs, strides and rows longer than the lanes.
        Conv { channels: 5, outputs: 5, groups: 5, ..base },
        Conv { channels: 3, outputs: 6, groups: 3, stride: [2, 3], kernel: [5, 2], padding: [2, 0], ..base },
        Conv {
            channels: 2,
            outputs: 2,
            groups: 2,
            image: [3, 41],
            dilation: [1, 2],
            padding: [1, 2],
            ..base
        },
        Conv { channels: 3, outputs: 3, groups: 3, kernel: [1, 1], padding: [0, 0], stride: [2, 2], ..base },
        Conv { image: [1, 19], kernel: [1, 5], padding: [0, 2], dilation: [1, 2], ..base },
        Conv { padding: [3, 3], ..base },
        Conv { batch: 0, ..base },
        // Images taken together, the last ones fewer.
        Conv { batch: 21, channels: 9, outputs: 10, image: [4, 4], ..base },
        // In tiles of 2 × 2: whole and cut off, small images together, every padding, more channels than a pass.
        Conv { batch: 11, channels: 33, outputs: 34, image: [7, 6], ..base },
        Conv { batch: 39, channels: 32, outputs: 40, image: [4, 4], ..base },
        Conv { batch: 1, channels: 32, outputs: 32, image: [9, 67], padding: [0, 2], ..base },
        Conv { batch: 9, channels: 290, outputs: 32, image: [8, 8], padding: [2, 0], ..base },
        Conv { batch: 130, channels: 32, outputs: 32, image: [1, 1], ..base },
        // Several tiles.
        Conv { batch: 1, channels: 40, outputs: 8, image: [33, 37], ..base },
    ]
}

/// Calls `f` with the positions in x, W and y of every multiplication.
fn for_each_product(c: &Conv, mut f: impl FnMut(usize, usize, usize)) {
    let [out_height, out_width] = c.output_image();
    let (cg, og) = (c.channels / c.groups, c.outputs / c.groups);
    for n in 0..c.batch {
        for o in 0..c.outputs {
            for (oy, ox) in (0..out_height).flat_map(|y| (0..out_width).map(move |x| (y, x))) {
                for ch in 0..cg {
                    for (ky, kx) in (0..c.kernel[0]).flat_map(|y| (0..c.kernel[1]).map(move |x| (y, x))) {
                        let y = (oy * c.stride[0] + ky * c.dilation[0]) as i64 - c.padding[0] as i64;
                        let x = (ox * c.stride[1] + kx * c.dilation[1]) as i64 - c.padding[1] as i64;
                        if (0..c.image[0] as i64).contains(&y) && (0..c.image[1] as i64).contains(&x) {
                            let channel = o / og * cg + ch;
                            let at_x = ((n * c.channels + channel) * c.image[0] + y as usize) * c.image[1]
                                + x as usize;
                            let at_w = ((o * cg + ch) * c.kernel[0] + ky) * c.kernel[1] + kx;
                            let at_y = ((n * c.outputs + o) * out_height + oy) * out_width + ox;
                            f(at_x, at_w, at_y);
                        }
                    }
                }
            }
        }
    }
}

/// The naive twin: output without bias, and gradients (x, W).
fn twin(x: &[f64], w: &[f64], dy: &[f64], conv: &Conv) -> [Vec<f64>; 3] {
    let [mut y, mut dx, mut dw] = [vec![0.0; dy.len()], vec![0.0; x.len()], vec![0.0; w.len()]];
    for_each_product(conv, |i, j, k| {
        y[k] += x[i] * w[j];
        dx[i] += dy[k] * w[j];
        dw[j] += dy[k] * x[i];
    });
    [y, dx, dw]
}

fn made_up(conv: &Conv) -> [Vec<f32>; 3] {
    [
        values(conv.batch * conv.channels * conv.input_pixels(), 1),
        values(conv.outputs * conv.patch(), 2),
        values(conv.batch * conv.outputs * conv.output_pixels(), 3),
    ]
}

#[test]
fn matches_the_twin() {
    for conv in cases() {
        let [x, w, dy] = made_up(&conv);
        let [y, dx, dw] = twin(&wide(&x), &wide(&w), &wide(&dy), &conv);
        close(&forward(&x, &w, None, &conv), &y);
        close(&forward_in_tiles(&x, &w, None, &conv), &y);
        close(&input_gradient(&w, &dy, &conv), &dx);
        close(&input_gradient_in_tiles(&w, &dy, &conv), &dx);
        close(&weight_gradient(&x, &dy, &conv), &dw);

        let b = values(conv.outputs, 4);
        let channel = |i: usize| i / conv.output_pixels() % conv.outputs;
        let with_bias: Vec<f64> = y.iter().enumerate().map(|(i, v)| v + f64::from(b[channel(i)])).collect();
        close(&forward(&x, &w, Some(&b), &conv), &with_bias);
        close(&forward_in_tiles(&x, &w, Some(&b), &conv), &with_bias);
        let mut db = vec![0.0; conv.outputs];
        dy.iter().enumerate().for_each(|(i, d)| db[channel(i)] += f64::from(*d));
        close(&bias_gradient(&dy, &conv), &db);
    }
}

#[test]
fn what_is_not_finite_shows_in_all_that_it_feeds() {
    for conv in cases().into_iter().filter(|conv| conv.batch > 0) {
        let [x, w, dy] = made_up(&conv);
        // Of the last channel; of the middle of a kernel; of the middle of an output.
        let middle = |len: usize, size: usize| len / 2 / size * size + size / 2;
        let at_x = (conv.channels - 1) * conv.input_pixels();
        let at_w = middle(w.len(), conv.kernel[0] * conv.kernel[1]);
        let at_dy = middle(dy.len(), conv.output_pixels());
        let fed = |len: usize| vec![0.0; len];
        let [mut y_of_x, mut y_of_w] = [fed(dy.len()), fed(dy.len())];
        let [mut dx_of_w, mut dx_of_dy] = [fed(x.len()), fed(x.len())];
        let [mut dw_of_x, mut dw_of_dy] = [fed(w.len()), fed(w.len())];
        for_each_product(&conv, |i, j, k| {
            if i == at_x {
                (y_of_x[k], dw_of_x[j]) = (f64::NAN, f64::NAN);
            }
            if j == at_w {
                (y_of_w[k], dx_of_w[i]) = (f64::NAN, f64::NAN);
            }
            if k == at_dy {
                (dx_of_dy[i], dw_of_dy[j]) = (f64::NAN, f64::NAN);
            }
        });
        for value in [f32::NAN, f32::INFINITY] {
            let spoilt = |values: &[f32], at: usize| {
                let mut values = values.to_vec();
                values[at] = value;
                values
            };
            let (bad_x, bad_w, bad_dy) = (spoilt(&x, at_x), spoilt(&w, at_w), spoilt(&dy, at_dy));
            for forward in [forward, forward_in_tiles] {
                hides_nothing(&forward(&bad_x, &w, None, &conv), &y_of_x);
                hides_nothing(&forward(&x, &bad_w, None, &conv), &y_of_w);
            }
            for input_gradient in [input_gradient, input_gradient_in_tiles] {
                hides_nothing(&input_gradient(&bad_w, &dy, &conv), &dx_of_w);
                hides_nothing(&input_gradient(&w, &bad_dy, &conv), &dx_of_dy);
            }
            hides_nothing(&weight_gradient(&bad_x, &dy, &conv), &dw_of_x);
            hides_nothing(&weight_gradient(&x, &bad_dy, &conv), &dw_of_dy);
            let db = bias_gradient(&bad_dy, &conv);
            assert!(!db[at_dy / conv.output_pixels() % conv.outputs].is_finite());
        }
    }
}

#[test]
fn no_channels_or_outputs_are_refused() {
    let words = "a convolution has channels and outputs";
    for conv in [Conv { channels: 0, ..cases()[0] }, Conv { outputs: 0, ..cases()[0] }] {
        let [x, w, dy] = made_up(&conv);
        refused(words, || drop(forward(&x, &w, None, &conv)));
        refused(words, || drop(input_gradient(&w, &dy, &conv)));
        refused(words, || drop(weight_gradient(&x, &dy, &conv)));
        refused(words, || drop(transposed::forward(&dy, &w, None, &conv)));
    }
}

#[test]
fn bf16_is_close_to_the_twin() {
    for conv in cases() {
        let [x, w, dy] = made_up(&conv);
        let [y, dx, dw] = twin(&wide(&x), &wide(&w), &wide(&dy), &conv);
        precision::with(Precision::Bf16, || {
            close_within(&forward(&x, &w, None, &conv), &y, 1e-2);
            close_within(&input_gradient(&w, &dy, &conv), &dx, 1e-2);
            close_within(&weight_gradient(&x, &dy, &conv), &dw, 1e-2);
        });
    }
    // Rows of an even length, whose pixels are paired for the weight's gradient.
    let conv = Conv { channels: 8, outputs: 12, ..cases()[0] };
    let [x, w, dy] = made_up(&conv);
    let run = || {
        vec![forward(&x, &w, None, &conv), input_gradient(&w, &dy, &conv), weight_gradient(&x, &dy, &conv)]
    };
    close_in_bf16(run, &twin(&wide(&x), &wide(&w), &wide(&dy), &conv));
}

#[test]
fn the_twin_s_gradients_are_slopes() {
    let conv = Conv { image: [3, 4], stride: [2, 1], ..cases()[0] };
    let [x, w, dy] = made_up(&conv).map(|v| wide(&v));
    let loss =
        |x: &[f64], w: &[f64]| -> f64 { twin(x, w, &dy, &conv)[0].iter().zip(&dy).map(|(y, d)| y * d).sum() };
    let [_, dx, dw] = twin(&x, &w, &dy, &conv);
    check_gradient(&x, &dx, |x| loss(x, &w));
    check_gradient(&w, &dw, |w| loss(&x, w));
}

#[test]
#[should_panic(expected = "larger than an image of 2")]
fn a_kernel_beyond_the_image_is_refused() {
    Conv { image: [2, 2], padding: [0, 0], ..cases()[0] }.output_image();
}

#[test]
fn a_bias_of_another_size_is_refused() {
    let base = cases()[0];
    let in_tiles = Conv { batch: 39, channels: 32, outputs: 40, image: [4, 4], ..base };
    for conv in [base, Conv { channels: 4, groups: 4, ..base }, in_tiles] {
        let [x, w, _] = made_up(&conv);
        for len in [conv.outputs - 1, conv.outputs + 1] {
            let b = values(len, 3);
            let words = "the bias has another size than the output's channels";
            refused(words, || drop(forward(&x, &w, Some(&b), &conv)));
            refused(words, || drop(forward_in_tiles(&x, &w, Some(&b), &conv)));
        }
    }
}

#[test]
fn bits_do_not_depend_on_threads() {
    let wide = Conv { batch: 12, channels: 16, outputs: 16, image: [20, 20], ..cases()[0] };
    let in_tiles = Conv { channels: 32, outputs: 48, ..wide };
    let of_pixels = Conv { kernel: [1, 1], padding: [0, 0], ..wide };
    for conv in [wide, Conv { groups: 16, ..wide }, of_pixels, in_tiles] {
        let [x, w, dy] = made_up(&conv);
        same_bits_with_one_and_two_threads(|| {
            let (dx, dw) = (input_gradient(&w, &dy, &conv), weight_gradient(&x, &dy, &conv));
            let (tiles, dx_tiles) =
                (forward_in_tiles(&x, &w, None, &conv), input_gradient_in_tiles(&w, &dy, &conv));
            vec![forward(&x, &w, None, &conv), dx, dw, bias_gradient(&dy, &conv), tiles, dx_tiles]
        });
    }
}

#[test]
fn an_image_has_the_same_output_whatever_is_beside_it() {
    let many = Conv { batch: 40, channels: 32, outputs: 32, image: [8, 8], ..cases()[0] };
    let [x, w, _] = made_up(&many);
    let (all, tiles) = (forward(&x, &w, None, &many), forward_in_tiles(&x, &w, None, &many));
    assert_ne!(all, tiles, "there are enough images for tiles");
    let image = 32 * 64;
    let alone = forward(&x[..image], &w, None, &Conv { batch: 1, ..many });
    assert_eq!(alone, all[..image]);
}
