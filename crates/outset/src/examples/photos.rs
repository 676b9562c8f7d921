//! Made offers of a shop for used tiles: a picture beside numbers, words and categories.

use super::Example;
use outset_data::pictures::{Shape, png};
use rand::{RngExt as _, SeedableRng as _};
use rand_chacha::ChaCha8Rng;

/// A picture, a number, a text and a category to a number.
pub const EXAMPLE: Example = Example {
    name: "photos",
    about: "What used tiles cost: a photo, a number, a text and a category together.",
    files,
    pictures: || made().into_iter().map(|offer| (offer.photo.clone(), offer.picture())).collect(),
};

const EXPERIMENT: &str = include_str!("../../../../examples/photos/outset.toml");
const README: &str = include_str!("../../../../examples/photos/README.md");

const OFFERS: usize = 240;
const SIDE: usize = 24;
/// Patterns of a tile, and what each is worth.
const PATTERNS: [(Pattern, f64); 3] = [(Pattern::Plain, 0.0), (Pattern::Dot, 12.0), (Pattern::Diamond, 25.0)];
/// Glazes as red, green and blue, and what each is worth.
const GLAZES: [([f64; 3], f64); 4] = [
    ([190.0, 70.0, 50.0], 0.0),
    ([60.0, 130.0, 80.0], 4.0),
    ([70.0, 100.0, 170.0], 9.0),
    ([200.0, 170.0, 90.0], 2.0),
];
/// What is said of the state, its grade, and what of the price is left.
const NOTES: [(&str, &str, f64); 6] = [
    ("as new, never laid", "good", 1.0),
    ("clean and without a scratch", "good", 0.95),
    ("a few light scratches on the glaze", "fair", 0.75),
    ("traces of mortar on the back", "fair", 0.7),
    ("a corner is chipped", "poor", 0.4),
    ("cracked across and glued", "poor", 0.3),
];
const SHOPS: [(&str, f64); 3] = [("market", 0.9), ("yard", 1.0), ("gallery", 1.3)];

#[derive(Clone, Copy, PartialEq)]
enum Pattern {
    Plain,
    Dot,
    Diamond,
}

/// One tile on offer.
struct Offer {
    photo: String,
    pattern: Pattern,
    glaze: [f64; 3],
    /// Of the light, from 0 to 1, and where the tile lies.
    light: f64,
    moved: (f64, f64),
    size: f64,
    note: &'static str,
    grade: &'static str,
    shop: &'static str,
    price: f64,
}

fn files() -> Vec<(&'static str, String)> {
    vec![("outset.toml", EXPERIMENT.to_owned()), ("README.md", README.to_owned()), ("offers.csv", table())]
}

fn table() -> String {
    let mut text = String::from("photo,size,note,shop,price,grade\n");
    for Offer { photo, size, note, shop, price, grade, .. } in made() {
        text.push_str(&format!("{photo},{size:.1},\"{note}\",{shop},{price:.2},{grade}\n"));
    }
    text
}

/// The offers, seed 42.
fn made() -> Vec<Offer> {
    let mut generator = ChaCha8Rng::seed_from_u64(42);
    (1..=OFFERS)
        .map(|number| {
            let (pattern, of_pattern) = PATTERNS[generator.random_range(0..PATTERNS.len())];
            let (glaze, of_glaze) = GLAZES[generator.random_range(0..GLAZES.len())];
            let (note, grade, left) = NOTES[generator.random_range(0..NOTES.len())];
            let (shop, of_shop) = SHOPS[generator.random_range(0..SHOPS.len())];
            let mut lot = |least: f64, most: f64| least + (most - least) * generator.random::<f64>();
            let size = (lot(8.0, 30.0) * 10.0).round() / 10.0;
            let worth = (8.0 + 0.8 * size + of_pattern + of_glaze) * left * of_shop;
            Offer {
                photo: format!("photos/{number:03}.png"),
                pattern,
                glaze,
                light: lot(0.75, 1.0),
                moved: (lot(-1.5, 1.5), lot(-1.5, 1.5)),
                size,
                note,
                grade,
                shop,
                price: worth * lot(0.95, 1.05),
            }
        })
        .collect()
}

impl Offer {
    /// The tile on a grey table.
    fn picture(&self) -> Vec<u8> {
        let mut values = vec![0; 3 * SIDE * SIDE];
        for y in 0..SIDE {
            for x in 0..SIDE {
                let (right, down) = (x as f64 - 11.5 - self.moved.0, y as f64 - 11.5 - self.moved.1);
                let color = self.color(right, down);
                // The light comes from above.
                let light = self.light * (1.0 - 0.25 * y as f64 / SIDE as f64);
                for (channel, value) in color.into_iter().enumerate() {
                    // Steps of four keep the files small.
                    values[(channel * SIDE + y) * SIDE + x] =
                        ((value * light / 4.0).round() * 4.0).min(255.0) as u8;
                }
            }
        }
        png(&values, Shape { channels: 3, height: SIDE, width: SIDE })
    }

    fn color(&self, right: f64, down: f64) -> [f64; 3] {
        if right.abs().max(down.abs()) > 8.5 {
            return [120.0; 3];
        }
        let marked = match self.pattern {
            Pattern::Plain => false,
            Pattern::Dot => right * right + down * down < 14.0,
            Pattern::Diamond => (right.abs() + down.abs() - 6.0).abs() < 1.2,
        };
        if marked { [235.0, 230.0, 215.0] } else { self.glaze }
    }
}
