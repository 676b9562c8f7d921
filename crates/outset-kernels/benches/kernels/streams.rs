//! Kernels that are bound by memory.

use crate::Show;
use outset_kernels::{
    Activation, dropout, embedding, linear, loss,
    norm::{self, batch, group},
    optim::{self, Adam, Lion, Sgd},
    pool::{self, Pool},
    rotary::{self, Angles},
    softmax,
};

/// Runs all of them.
pub fn all(show: &Show) {
    rows(show);
    images(show);
    optimizers(show);
}

fn rows(show: &Show) {
    let (rows, width) = (2048, 1024);
    let len = rows * width;
    let (x, dy, vector) = (vec![0.5f32; len], vec![0.25f32; len], vec![1.0f32; width]);
    show.stream("layer norm 2048×1024", 2 * len, || _ = norm::layer::forward(&x, &vector, &vector, 1e-5));
    let saved = norm::layer::forward(&x, &vector, &vector, 1e-5);
    show.stream("…, backward", 3 * len, || {
        _ = norm::layer::backward(&x, &saved.statistics, &vector, &dy);
    });
    show.stream("RMS norm 2048×1024", 2 * len, || _ = norm::rms::forward(&x, &vector, 1e-5));
    let saved = norm::rms::forward(&x, &vector, 1e-5);
    show.stream("…, backward", 3 * len, || _ = norm::rms::backward(&x, &saved.scales, &vector, &dy));
    show.stream("softmax 2048×1024", 2 * len, || _ = softmax::forward(&x, width));
    show.stream("…, backward", 3 * len, || _ = softmax::backward(&x, &dy, width));
    let targets = vec![3i64; rows];
    show.stream("cross-entropy 2048×1024", len, || {
        _ = loss::cross_entropy(&x, width, &targets, None, 0.0);
    });
    show.stream("dropout, 2 M values", 2 * len, || _ = dropout::dropout(&x, 0.1, 7));
    show.stream("bias gradient 2048×1024", len, || _ = linear::bias_gradient(&dy, width));
    for activation in [Activation::Relu, Activation::Gelu, Activation::Silu] {
        let mut gradient = dy.clone();
        show.stream(&format!("{activation:?} backward 2048×1024"), 3 * len, || {
            _ = linear::activation_backward(&mut gradient, &x, width, activation);
        });
    }
    let places: Vec<usize> = (0..rows).collect();
    let angles = Angles::new(rows, 64, 10_000.0);
    show.stream("rotary positions 2048×1024", 2 * len, || {
        _ = rotary::turn(&x, 16, 16, &places, &angles, false);
    });
    let indices: Vec<i64> = (0..rows as i64).map(|i| i * 37 % 2048).collect();
    show.stream("embedding 2048×1024", 2 * len, || _ = embedding::forward(&x, width, &indices));
    show.stream("…, backward", 2 * len, || _ = embedding::backward(&dy, width, &indices, rows));
}

fn images(show: &Show) {
    let (batch, channels, side) = (64, 64, 32);
    let len = batch * channels * side * side;
    let (x, dy, vector) = (vec![0.5f32; len], vec![0.25f32; len], vec![1.0f32; channels]);
    let sizes = batch::Sizes { batch, channels, spatial: side * side };
    show.stream("statistics of batch norm 64×64×32²", len, || _ = batch::statistics(&x, sizes));
    let statistics = batch::statistics(&x, sizes);
    let normalise =
        batch::Normalise { statistics: &statistics, gamma: &vector, beta: &vector, eps: 1e-5, relu: true };
    show.stream("batch norm and ReLU 64×64×32²", 2 * len, || _ = batch::forward(&x, sizes, &normalise));
    show.stream("…, backward", 3 * len, || _ = batch::backward(&x, sizes, &normalise, &dy, true));
    let groups = group::Sizes { batch, channels, spatial: side * side, groups: 8 };
    show.stream("group norm 64×64×32², 8 groups", 2 * len, || {
        _ = group::forward(&x, &vector, &vector, groups, 1e-5);
    });
    let saved = group::forward(&x, &vector, &vector, groups, 1e-5);
    show.stream("…, backward", 3 * len, || {
        _ = group::backward(&x, &saved.statistics, &vector, &dy, groups);
    });
    let window =
        Pool { planes: batch * channels, image: [side; 2], kernel: [2; 2], stride: [2; 2], padding: [0; 2] };
    show.stream("largest of 2×2 64×64×32²", len + len / 4, || _ = pool::max(&x, &window));
    let (_, at) = pool::max(&x, &window);
    show.stream("…, backward", len + len / 4, || _ = pool::max_backward(&dy[..len / 4], &at, &window));
    show.stream("mean of 2×2 64×64×32²", len + len / 4, || _ = pool::average(&x, &window));
}

fn optimizers(show: &Show) {
    let len = 1 << 21;
    let (x, g) = (vec![0.5f32; len], vec![0.25f32; len]);
    let [mut p, mut m, mut v] = [x.clone(), vec![0.0; len], vec![0.0; len]];
    let settings = Adam { step: 1, ..Adam::default() };
    show.stream("AdamW, 2 M values", 7 * len, || optim::adam_step(&mut p, &g, &mut m, &mut v, &settings));
    let settings = Sgd { momentum: 0.9, step: 2, ..Sgd::default() };
    show.stream("SGD with momentum, 2 M values", 5 * len, || optim::sgd_step(&mut p, &g, &mut m, &settings));
    let settings = Lion::default();
    show.stream("Lion, 2 M values", 5 * len, || optim::lion_step(&mut p, &g, &mut m, &settings));
    show.stream("norm for clipping, 2 M values", len, || _ = optim::sum_of_squares(&g));
    show.stream("moving average, 2 M values", 3 * len, || optim::ema_step(&mut m, &x, 0.99));
}
