//! The rate of each kernel beside what the machine can do: the program behind `cargo xtask bench kernels`.
//!
//! Products are in GFLOP/s beside a bare loop of fused multiply-adds, everything else in GB/s (of what it must read and
//! write once) beside a copy of as much: what fits into the caches is copied faster too. Best of many, as other programs may be running. Each line is the kernel, its rate, its share
//! of the machine's in percent, and the rates where factors are taken apart, as training in `f32` does, and where they are
//! rounded to bf16, with tabs between them; the first line is the machine's own.
#![allow(clippy::print_stdout)]

#[path = "../../../outset/src/allocator.rs"]
#[expect(dead_code, reason = "what the program does between stages has no place within one")]
mod allocator;
mod machine;
mod products;
mod streams;

use outset_kernels::{
    isa,
    precision::{self, Precision},
};
use std::{cell::RefCell, collections::HashMap, time::Instant};

/// Seconds that a kernel runs.
const BUDGET: f64 = 0.3;

/// Seconds of the fastest of some calls.
fn best(mut work: impl FnMut()) -> f64 {
    let clock = Instant::now();
    let mut least = f64::INFINITY;
    while clock.elapsed().as_secs_f64() < BUDGET {
        let start = Instant::now();
        work();
        least = least.min(start.elapsed().as_secs_f64());
    }
    least
}

/// Shows what is measured.
struct Show {
    flops: f64,
    /// GB/s of copies that read and write so many values.
    copies: RefCell<HashMap<usize, f64>>,
}

impl Show {
    /// A kernel that multiplies: `operations` are its multiplications and additions.
    fn product(&self, name: &str, operations: f64, mut work: impl FnMut()) {
        let single = operations / best(&mut work) * 1e-9;
        let mut other = |precision, has: bool| {
            let seconds = has.then(|| best(|| precision::with(precision, &mut work)));
            seconds.map_or_else(String::new, |seconds| format!("{:.0} GFLOP/s", operations / seconds * 1e-9))
        };
        let split = other(Precision::Split, precision::has_split());
        let half = other(Precision::Bf16, precision::has_bf16());
        println!("{name}\t{single:.0} GFLOP/s\t{:.0}\t{split}\t{half}", single / self.flops * 100.0);
    }

    /// A kernel that reads and writes: `values` are those that it must touch once.
    fn stream(&self, name: &str, values: usize, work: impl FnMut()) {
        let rate = (4 * values) as f64 / best(work) * 1e-9;
        let copy = *self.copies.borrow_mut().entry(values).or_insert_with(|| machine::copy(values));
        println!("{name}\t{rate:.1} GB/s\t{:.0}\t\t", rate / copy * 100.0);
    }
}

fn main() {
    allocator::keep_memory();
    // On a thread of the pool, as training is.
    rayon::scope(|_| show());
}

fn show() {
    let (flops, bytes) = (machine::flops(), machine::copy(1 << 25));
    println!("{}\t{}\t{flops:.0}\t{bytes:.1}", isa::level(), rayon::current_num_threads());
    let show = Show { flops, copies: RefCell::default() };
    products::all(&show);
    streams::all(&show);
}
