//! GFLOP/s of matrix products at the sizes of training steps: `cargo bench -p outset-kernels --bench matmul`.
#![allow(clippy::print_stdout)]

use outset_kernels::{
    gemm::{Matrix, matmul},
    isa,
};
use std::time::Instant;

fn main() {
    println!("{} on {} threads; best of 30", isa::level(), rayon::current_num_threads());
    for (name, m, k, n) in [
        ("mlp forward", 128, 784, 512),
        ("mlp hidden", 128, 512, 512),
        ("mlp output", 128, 512, 10),
        ("gpt projection", 2048, 256, 1024),
        ("gpt head", 2048, 256, 4096),
        ("table", 256, 105, 128),
    ] {
        let (a, b, c) = (vec![0.5f32; m * k], vec![0.25f32; k * n], vec![0.125f32; m * n]);
        let rate = |product: &mut dyn FnMut()| {
            let best = (0..30).map(|_| {
                let start = Instant::now();
                product();
                start.elapsed().as_secs_f64()
            });
            2.0 * (m * k * n) as f64 / best.fold(f64::INFINITY, f64::min) * 1e-9
        };
        let (mut y, mut dx, mut dw) = (vec![0.0; m * n], vec![0.0; m * k], vec![0.0; k * n]);
        let (a, b, c) = (Matrix::new(&a, m, k), Matrix::new(&b, k, n), Matrix::new(&c, m, n));
        let forward = rate(&mut || matmul(a, b, &mut y));
        let input = rate(&mut || matmul(c, b.transposed(), &mut dx));
        let weight = rate(&mut || matmul(a.transposed(), c, &mut dw));
        println!("{name:16} {m:5} x {k:4} x {n:4}: forward {forward:6.1}, dx {input:6.1}, dw {weight:6.1}");
    }
}
