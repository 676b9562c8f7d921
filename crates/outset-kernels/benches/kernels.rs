//! The rate of each kernel beside what the machine can do: `cargo bench -p outset-kernels --bench kernels`.
//!
//! Products are in GFLOP/s beside a bare loop of fused multiply-adds, everything else in GB/s (of what it must read and
//! write once) beside a copy. Best of many, as other programs may be running.
#![allow(clippy::print_stdout)]

use outset_kernels::{
    Activation,
    attention::{self, Inputs, Mask, Sizes},
    conv::{self, Conv},
    gemm::{Matrix, matmul},
    isa, linear, loss, norm,
    optim::{Adam, adam_step},
    precision::{self, Precision},
    softmax,
};
use rayon::prelude::*;
use std::hint::black_box;
use std::time::Instant;

/// Seconds of the fastest of some calls.
fn best(mut work: impl FnMut()) -> f64 {
    let clock = Instant::now();
    let mut least = f64::INFINITY;
    while clock.elapsed().as_secs_f64() < 0.4 {
        let start = Instant::now();
        work();
        least = least.min(start.elapsed().as_secs_f64());
    }
    least
}

/// Runs `loops` times 12 chains of fused multiply-adds; returns the number of operations.
fn multiply_add(loops: usize) -> f64 {
    #[cfg(target_arch = "x86_64")]
    {
        use std::arch::x86_64::*;
        macro_rules! chains {
            ($name:ident, $features:literal, $set:ident, $fma:ident) => {
                #[target_feature(enable = $features)]
                fn $name(loops: usize) {
                    let (a, b) = ($set(black_box(0.999)), $set(black_box(0.001)));
                    let mut chains = [$set(1.0); 12];
                    for _ in 0..loops {
                        for chain in &mut chains {
                            *chain = $fma(*chain, a, b);
                        }
                    }
                    black_box(chains);
                }
            };
        }
        chains!(avx512, "avx512f", _mm512_set1_ps, _mm512_fmadd_ps);
        chains!(avx2, "avx2,fma", _mm256_set1_ps, _mm256_fmadd_ps);
        if isa::level() >= isa::Level::Avx512 {
            // SAFETY: the level in use exists.
            unsafe { avx512(loops) };
            return (loops * 12 * 16 * 2) as f64;
        }
        if isa::level() >= isa::Level::Avx2 {
            // SAFETY: as above.
            unsafe { avx2(loops) };
            return (loops * 12 * 8 * 2) as f64;
        }
    }
    let mut chains = [1.0f32; 48];
    let (a, b) = (black_box(0.999), black_box(0.001));
    for _ in 0..loops {
        for chain in &mut chains {
            *chain = *chain * a + b;
        }
    }
    black_box(chains);
    (loops * 48 * 2) as f64
}

fn main() {
    let threads = rayon::current_num_threads();
    let loops = 2_000_000;
    let operations = multiply_add(1000) * loops as f64 / 1000.0 * threads as f64;
    let flops =
        operations / best(|| (0..threads).into_par_iter().for_each(|_| _ = multiply_add(loops))) * 1e-9;
    let (from, mut to) = (vec![1.0f32; 1 << 24], vec![0.0f32; 1 << 24]);
    let copy = best(|| {
        to.par_chunks_mut(1 << 18)
            .zip(from.par_chunks(1 << 18))
            .for_each(|(to, from)| to.copy_from_slice(from));
    });
    let bytes = (8 << 24) as f64 / copy * 1e-9;
    println!("{} on {threads} threads: multiply-add {flops:.0} GFLOP/s, copy {bytes:.1} GB/s", isa::level());

    let product = |name: &str, operations: f64, work: &mut dyn FnMut()| {
        let single = operations / best(&mut *work) * 1e-9;
        let half = operations / best(|| precision::with(Precision::Bf16, &mut *work)) * 1e-9;
        println!("{name:40} {single:6.1} GFLOP/s ({:3.0} %)   bf16 {half:6.1}", single / flops * 100.0);
    };
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
        product(&title("forward"), count, &mut || matmul(a, b, &mut y));
        product(&title("dx"), count, &mut || matmul(c, b.transposed(), &mut dx));
        product(&title("dw"), count, &mut || matmul(a.transposed(), c, &mut dw));
    }
    for (channels, outputs, side, kernel, stride) in [
        (3, 32, 32, 3, 1),
        (64, 64, 32, 3, 1),
        (64, 128, 32, 3, 2),
        (128, 256, 16, 1, 1),
        (512, 512, 4, 3, 1),
    ] {
        let conv = Conv {
            batch: 64,
            channels,
            outputs,
            image: [side; 2],
            kernel: [kernel; 2],
            stride: [stride; 2],
            padding: [kernel / 2; 2],
            dilation: [1, 1],
            groups: 1,
        };
        let [height, width] = conv.output_image();
        let x = vec![0.5f32; 64 * channels * side * side];
        let w = vec![0.25f32; outputs * channels * kernel * kernel];
        let dy = vec![0.125f32; 64 * outputs * height * width];
        let count = 2.0 * (w.len() * 64 * height * width) as f64;
        let title =
            |part: &str| format!("{kernel}×{kernel}/{stride} {channels}→{outputs} at {side}², {part}");
        product(&title("forward"), count, &mut || _ = conv::forward(&x, &w, None, &conv));
        product(&title("dx"), count, &mut || _ = conv::input_gradient(&w, &dy, &conv));
        product(&title("dw"), count, &mut || _ = conv::weight_gradient(&x, &dy, &conv));
    }
    let sizes = Sizes { batch: 8, queries: 256, keys: 256, heads: 4, kv_heads: 4, size: 64 };
    let (qkv, dy) = (vec![0.01f32; 8 * 256 * 768], vec![0.01f32; 8 * 256 * 256]);
    let mask = Mask { causal: true, window: None, key_lengths: None };
    // Half of the scores are hidden.
    let count = 2.0 * (8 * 4 * 256 * 256 * 64) as f64;
    let inputs = Inputs::packed(&qkv, sizes);
    product("causal attention 8×256, 4 heads of 64", count, &mut || {
        _ = attention::forward(inputs, sizes, mask)
    });
    let saved = attention::forward(inputs, sizes, mask);
    product("…, backward", 2.5 * count, &mut || {
        _ = attention::backward(inputs, sizes, mask, &saved.output, &saved.log_sums, &dy);
    });

    let stream = |name: &str, values: usize, work: &mut dyn FnMut()| {
        let rate = (4 * values) as f64 / best(work) * 1e-9;
        println!("{name:40} {rate:6.1} GB/s    ({:3.0} %)", rate / bytes * 100.0);
    };
    let (rows, width) = (2048, 1024);
    let len = rows * width;
    let (x, dy, vector) = (vec![0.5f32; len], vec![0.25f32; len], vec![1.0f32; width]);
    stream("layer norm 2048×1024", 2 * len, &mut || _ = norm::layer::forward(&x, &vector, &vector, 1e-5));
    stream("softmax 2048×1024", 2 * len, &mut || _ = softmax::forward(&x, width));
    let targets = vec![3i64; rows];
    stream("cross-entropy 2048×1024", len, &mut || _ = loss::cross_entropy(&x, width, &targets, None, 0.0));
    stream("bias gradient 2048×1024", len, &mut || _ = linear::bias_gradient(&dy, width));
    let mut gradient = dy.clone();
    stream("GELU backward 2048×1024", 3 * len, &mut || {
        _ = linear::activation_backward(&mut gradient, &x, width, Activation::Gelu);
    });
    let [mut p, mut m, mut v] = [x.clone(), vec![0.0; len], vec![0.0; len]];
    let settings = Adam { step: 1, ..Adam::default() };
    stream("AdamW, 2 M values", 7 * len, &mut || adam_step(&mut p, &dy, &mut m, &mut v, &settings));
}
