//! A straight line through a hundred points.

use super::Example;
use rand::{RngExt as _, SeedableRng as _};
use rand_chacha::ChaCha8Rng;

/// y = 3x + 2 with normally distributed noise of variance 1.
pub const EXAMPLE: Example = Example {
    name: "line",
    about: "A straight line through a hundred points: linear regression.",
    files,
    pictures: Vec::new,
};

const EXPERIMENT: &str = include_str!("../../../../examples/line/outset.toml");
const README: &str = include_str!("../../../../examples/line/README.md");

fn files() -> Vec<(&'static str, String)> {
    vec![("outset.toml", EXPERIMENT.to_owned()), ("README.md", README.to_owned()), ("line.csv", points())]
}

/// A hundred points with x between 0 and 10, seed 42.
fn points() -> String {
    let mut generator = ChaCha8Rng::seed_from_u64(42);
    let mut text = String::from("x,y\n");
    for _ in 0..100 {
        let x = 10.0 * generator.random::<f64>();
        // Box and Muller 1958, https://doi.org/10.1214/aoms/1177706645
        let (radius, angle): (f64, f64) = (1.0 - generator.random::<f64>(), generator.random());
        let noise = (-2.0 * radius.ln()).sqrt() * (std::f64::consts::TAU * angle).cos();
        text.push_str(&format!("{x:.4},{:.4}\n", 3.0 * x + 2.0 + noise));
    }
    text
}
