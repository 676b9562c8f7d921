//! Drawing by lot: the same seed draws the same on every machine, with any number of threads and in later versions.

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};

/// A seeded source of lots.
///
/// The shuffle is written out here rather than taken from a crate, so that an update can never change whose rows are
/// in the test part.
pub struct Lot(ChaCha8Rng);

impl Lot {
    /// Starts the sequence of a seed.
    pub fn new(seed: u64) -> Self {
        Self(ChaCha8Rng::seed_from_u64(seed))
    }

    /// Draws a whole number from 0 up to `bound`, which must not be 0; the bias is below one in four billion.
    pub fn below(&mut self, bound: usize) -> usize {
        ((u128::from(self.0.next_u64()) * bound as u128) >> 64) as usize
    }

    /// Draws a number from 0 up to 1.
    pub fn unit(&mut self) -> f64 {
        (self.0.next_u64() >> 11) as f64 / (1u64 << 53) as f64
    }

    /// Puts the items into a random order.
    pub fn shuffle<T>(&mut self, items: &mut [T]) {
        for last in (1..items.len()).rev() {
            items.swap(last, self.below(last + 1));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_fixes_the_order_for_good() {
        let mut items: Vec<u32> = (0..8).collect();
        Lot::new(42).shuffle(&mut items);
        let again = {
            let mut items: Vec<u32> = (0..8).collect();
            Lot::new(42).shuffle(&mut items);
            items
        };
        assert_eq!(items, again);
        items.sort_unstable();
        assert_eq!(items, (0..8).collect::<Vec<_>>());
    }
}
