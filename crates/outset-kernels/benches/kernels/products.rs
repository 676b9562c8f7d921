//! Kernels that are bound by arithmetic.

use crate::Show;
use outset_kernels::{
    attention::{self, Cache, Inputs, Mask, Sizes},
    conv::{self, Conv, transposed},
    gemm::{Matrix, matmul},
    loss,
    optim::orthogonalise,
    recurrent::{self, Weights, gru, lstm},
};

/// Runs all of them.
pub fn all(show: &Show) {
    matrices(show);
    convolutions(show);
    attentions(show);
    recurrences(show);
}

fn matrices(show: &Show) {
    for (name, m, k, n) in [
        ("perceptron", 128, 784, 512),
        ("its head", 128, 512, 10),
        ("GPT projection", 2048, 256, 1024),
        ("GPT head", 512, 256, 4096),
        ("table", 256, 105, 128),
    ] {
        let (a, b, c) = (vec![0.5f32; m * k], vec![0.25f32; k * n], vec![0.125f32; m * n]);
        let (mut y, mut dx, mut dw) = (vec![0.0; m * n], vec![0.0; m * k], vec![0.0; k * n]);
        let (a, b, c) = (Matrix::new(&a, m, k), Matrix::new(&b, k, n), Matrix::new(&c, m, n));
        let count = 2.0 * (m * k * n) as f64;
        let title = |part: &str| format!("{name} {m}×{k}×{n}, {part}");
        show.product(&title("forward"), count, || matmul(a, b, &mut y));
        show.product(&title("dx"), count, || matmul(c, b.transposed(), &mut dx));
        show.product(&title("dw"), count, || matmul(a.transposed(), c, &mut dw));
    }
    let (rows, width, classes) = (2048, 256, 4096);
    let (x, w) = (vec![0.01f32; rows * width], vec![0.01f32; width * classes]);
    let targets: Vec<i64> = (0..rows as i64).collect();
    let count = 2.0 * (rows * width * classes) as f64;
    show.product("linear cross-entropy 2048×256×4096", count, || {
        _ = loss::linear_cross_entropy(&x, &w, classes, &targets, None, 0.0);
    });
    show.product("…, with gradients", 3.0 * count, || {
        _ = loss::linear_cross_entropy_gradients(&x, &w, classes, &targets, None, 0.0);
    });
    let g: Vec<f32> = (0..512 * 512).map(|i| (i % 101) as f32 - 50.0).collect();
    // Five steps of three products.
    show.product("orthogonalisation for Muon, 512²", 15.0 * 2.0 * 512f64.powi(3), || {
        _ = orthogonalise(g.clone(), 512, 512, 5);
    });
}

fn convolutions(show: &Show) {
    let batch = 64;
    for (channels, outputs, side, kernel, stride, groups) in [
        (3, 32, 32, 3, 1, 1),
        (64, 64, 32, 3, 1, 1),
        (64, 128, 32, 3, 2, 1),
        (128, 256, 16, 1, 1, 1),
        (512, 512, 4, 3, 1, 1),
        (128, 128, 16, 3, 1, 128),
    ] {
        let conv = Conv {
            batch,
            channels,
            outputs,
            image: [side; 2],
            kernel: [kernel; 2],
            stride: [stride; 2],
            padding: [kernel / 2; 2],
            dilation: [1, 1],
            groups,
        };
        let pixels: usize = conv.output_image().iter().product();
        let x = vec![0.5f32; batch * channels * side * side];
        let w = vec![0.25f32; outputs * channels / groups * kernel * kernel];
        let dy = vec![0.125f32; batch * outputs * pixels];
        let count = 2.0 * (w.len() * batch * pixels) as f64;
        let kind = if groups == 1 { "" } else { "depthwise " };
        let title =
            |part: &str| format!("{kind}{kernel}×{kernel}/{stride} {channels}→{outputs} at {side}², {part}");
        show.product(&title("forward"), count, || _ = conv::forward(&x, &w, None, &conv));
        if (kernel, stride, groups) == (3, 1, 1) && channels > 3 {
            show.product(&title("in training"), count, || _ = conv::forward_in_tiles(&x, &w, None, &conv));
        }
        show.product(&title("dx"), count, || _ = conv::input_gradient_in_tiles(&w, &dy, &conv));
        show.product(&title("dw"), count, || _ = conv::weight_gradient(&x, &dy, &conv));
    }
    let conv = Conv {
        batch,
        channels: 64,
        outputs: 128,
        image: [32; 2],
        kernel: [2; 2],
        stride: [2; 2],
        padding: [0; 2],
        dilation: [1, 1],
        groups: 1,
    };
    let (x, w) = (vec![0.5f32; batch * 128 * 256], vec![0.25f32; 128 * 64 * 4]);
    let count = 2.0 * (w.len() * batch * 256) as f64;
    show.product("transposed 2×2/2 128→64 to 32², forward", count, || {
        _ = transposed::forward(&x, &w, None, &conv);
    });
}

fn attentions(show: &Show) {
    let sizes = Sizes { batch: 8, queries: 256, keys: 256, heads: 4, kv_heads: 4, size: 64 };
    let (qkv, dy) = (vec![0.01f32; 8 * 256 * 768], vec![0.01f32; 8 * 256 * 256]);
    let mask = Mask { causal: true, window: None, key_lengths: None };
    // Half of the scores are hidden.
    let count = 2.0 * (8 * 4 * 256 * 256 * 64) as f64;
    let inputs = Inputs::packed(&qkv, sizes);
    show.product("causal attention 8×256, 4 heads of 64", count, || {
        _ = attention::forward(inputs, sizes, mask);
    });
    let saved = attention::forward(inputs, sizes, mask);
    show.product("…, backward", 2.5 * count, || {
        _ = attention::backward(inputs, sizes, mask, &saved.output, &saved.log_sums, &dy);
    });
    let lengths: Vec<usize> = (0..32).map(|n| 16 + n * 112 / 31).collect();
    let starts = outset_kernels::sequences::starts(&lengths);
    let sizes = Sizes { batch: 32, queries: 128, keys: 128, heads: 4, kv_heads: 4, size: 64 };
    let qkv = vec![0.01f32; starts[32] * 768];
    let inputs = Inputs::packed(&qkv, sizes).one_after_the_other(&starts);
    let scores: usize = lengths.iter().map(|length| length * length).sum();
    let count = 2.0 * (2 * 4 * scores * 64) as f64;
    show.product("attention 32×(16–128), 4 heads of 64", count, || {
        _ = attention::forward(inputs, sizes, Mask::default());
    });
    let saved = attention::forward(inputs, sizes, Mask::default());
    let dy = vec![0.01f32; saved.output.len()];
    show.product("…, backward", 2.5 * count, || {
        _ = attention::backward(inputs, sizes, Mask::default(), &saved.output, &saved.log_sums, &dy);
    });
    let mut cache = Cache::new(1, 8, 64, 2048);
    cache.append(&vec![0.01; 2048 * 512], &vec![0.01; 2048 * 512]);
    let q = vec![0.01f32; 512];
    show.stream("attention of one token over 2048, 8 heads of 64", 2 * 2048 * 512, || {
        _ = attention::decode(&q, 8, &cache, None);
    });
}

fn recurrences(show: &Show) {
    let sizes = recurrent::Sizes { batch: 32, time: 64, inputs: 256, hidden: 256 };
    let (x, dh) = (vec![0.1f32; 32 * 64 * 256], vec![0.01f32; 32 * 64 * 256]);
    let w = vec![0.01f32; 256 * 1024];
    let count = |gates: usize| 2.0 * (32 * 64 * 2 * 256 * gates * 256) as f64;
    let b = vec![0.0f32; 1024];
    let weights = Weights { input: &w, hidden: &w };
    show.product("LSTM 32×64×256, forward", count(4), || _ = lstm::forward(&x, weights, &b, None, sizes));
    let saved = lstm::forward(&x, weights, &b, None, sizes);
    show.product("LSTM 32×64×256, backward", 2.0 * count(4), || {
        _ = lstm::backward(&x, weights, saved.saved(), &dh, sizes);
    });
    let (w, b) = (&w[..256 * 768], &b[..768]);
    let weights = Weights { input: w, hidden: w };
    show.product("GRU 32×64×256, forward", count(3), || _ = gru::forward(&x, weights, b, b, None, sizes));
    let saved = gru::forward(&x, weights, b, b, None, sizes);
    show.product("GRU 32×64×256, backward", 2.0 * count(3), || {
        _ = gru::backward(&x, weights, saved.saved(), &dh, sizes);
    });
}
