//! Made handwritten digits: a folder for each class.

use super::Example;
use outset_data::pictures::{Shape, png};
use rand::{RngExt as _, SeedableRng as _};
use rand_chacha::ChaCha8Rng;

/// Pictures to a category, in the plainest layout that there is.
pub const EXAMPLE: Example = Example {
    name: "digits",
    about: "Which digit is on a picture: a folder for each class.",
    files,
    pictures,
};

const EXPERIMENT: &str = include_str!("../../../../examples/digits/outset.toml");
const README: &str = include_str!("../../../../examples/digits/README.md");

/// Pictures of each digit.
const EACH: usize = 24;
const SIDE: usize = 16;

/// The strokes of each digit as corners `(right, down)` of a field of 4 × 6.
const STROKES: [&[&[(f64, f64)]]; 10] = [
    &[&[
        (1.0, 0.0),
        (3.0, 0.0),
        (4.0, 2.0),
        (4.0, 4.0),
        (3.0, 6.0),
        (1.0, 6.0),
        (0.0, 4.0),
        (0.0, 2.0),
        (1.0, 0.0),
    ]],
    &[&[(1.0, 1.5), (2.5, 0.0), (2.5, 6.0)]],
    &[&[(0.0, 1.0), (1.5, 0.0), (3.5, 0.5), (3.5, 2.0), (0.0, 6.0), (4.0, 6.0)]],
    &[&[(0.0, 0.5), (2.5, 0.0), (3.8, 1.5), (2.0, 2.8), (4.0, 4.5), (2.5, 6.0), (0.0, 5.5)]],
    &[&[(2.8, 6.0), (2.8, 0.0), (0.0, 4.0), (4.0, 4.0)]],
    &[&[(3.8, 0.0), (0.5, 0.0), (0.3, 2.5), (2.8, 2.3), (4.0, 4.2), (2.5, 6.0), (0.0, 5.6)]],
    &[&[(3.2, 0.0), (0.8, 2.2), (0.0, 4.5), (1.5, 6.0), (3.4, 5.6), (3.8, 4.0), (2.2, 3.0), (0.4, 3.8)]],
    &[&[(0.0, 0.0), (4.0, 0.0), (1.5, 6.0)], &[(1.2, 3.0), (3.4, 3.0)]],
    &[
        &[(2.0, 2.8), (0.4, 1.5), (2.0, 0.0), (3.6, 1.5), (2.0, 2.8)],
        &[(2.0, 2.8), (4.0, 4.4), (2.0, 6.0), (0.0, 4.4), (2.0, 2.8)],
    ],
    &[&[(3.6, 2.0), (2.0, 3.0), (0.2, 1.8), (1.6, 0.0), (3.4, 0.6), (3.6, 2.0), (2.6, 6.0)]],
];

fn files() -> Vec<(&'static str, String)> {
    vec![("outset.toml", EXPERIMENT.to_owned()), ("README.md", README.to_owned())]
}

/// The pictures, seed 42.
fn pictures() -> Vec<(String, Vec<u8>)> {
    let mut generator = ChaCha8Rng::seed_from_u64(42);
    let mut pictures = Vec::new();
    for (digit, strokes) in STROKES.iter().enumerate() {
        for number in 1..=EACH {
            let shape = Shape { channels: 1, height: SIDE, width: SIDE };
            pictures.push((
                format!("pictures/{digit}/{number:02}.png"),
                png(&written(strokes, &mut generator), shape),
            ));
        }
    }
    pictures
}

/// A digit as some hand writes it: strokes on their way from place to place, slanted, larger or smaller, white on black.
fn written(strokes: &[&[(f64, f64)]], generator: &mut ChaCha8Rng) -> Vec<u8> {
    let mut lot = |least: f64, most: f64| least + (most - least) * generator.random::<f64>();
    let (wide, tall, slant) = (lot(1.5, 2.3), lot(1.6, 2.1), lot(-0.25, 0.35));
    let (right, down) = (lot(-1.2, 1.2), lot(-1.0, 1.0));
    let (thick, bright) = (lot(0.6, 1.2), lot(0.7, 1.0));
    let hand: Vec<Vec<(f64, f64)>> = strokes
        .iter()
        .map(|corners| {
            let place = |(x, y): &(f64, f64), lot: &mut dyn FnMut(f64, f64) -> f64| {
                let (x, y) = (x - 2.0 + lot(-0.25, 0.25), y - 3.0 + lot(-0.25, 0.25));
                (7.5 + right + wide * (x - slant * y), 7.5 + down + tall * y)
            };
            corners.iter().map(|corner| place(corner, &mut lot)).collect()
        })
        .collect();
    let mut values = Vec::with_capacity(SIDE * SIDE);
    for y in 0..SIDE {
        for x in 0..SIDE {
            let near = |line: &[(f64, f64)]| distance((x as f64, y as f64), line[0], line[1]);
            let nearest =
                hand.iter().flat_map(|stroke| stroke.windows(2).map(near)).fold(f64::INFINITY, f64::min);
            let ink = (thick + 0.5 - nearest).clamp(0.0, 1.0);
            // Sixteen levels keep the files small.
            values.push(((ink * bright * 15.0).round() * 17.0) as u8);
        }
    }
    values
}

/// How far a point is from the line between two others.
fn distance(point: (f64, f64), from: (f64, f64), to: (f64, f64)) -> f64 {
    let (dx, dy) = (to.0 - from.0, to.1 - from.1);
    let along = ((point.0 - from.0) * dx + (point.1 - from.1) * dy) / (dx * dx + dy * dy).max(1e-9);
    let along = along.clamp(0.0, 1.0);
    let (x, y) = (point.0 - from.0 - along * dx, point.1 - from.1 - along * dy);
    (x * x + y * y).sqrt()
}
