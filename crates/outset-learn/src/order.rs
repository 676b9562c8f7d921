//! The order of the examples: a permutation for each epoch that depends on nothing but seed and epoch.

use rand::{Rng as _, SeedableRng as _};
use rand_chacha::ChaCha8Rng;

/// Shuffles `rows` for one epoch, so that training can go on from any epoch without a stored state.
pub fn shuffled(rows: &[u32], seed: u64, epoch: usize) -> Vec<u32> {
    let mut order = rows.to_vec();
    let mut generator = ChaCha8Rng::seed_from_u64(mix(seed, epoch as u64));
    for last in (1..order.len()).rev() {
        order.swap(last, (generator.next_u64() % (last as u64 + 1)) as usize);
    }
    order
}

/// Mixes two numbers into one that looks random (the finaliser of SplitMix64, Steele et al. 2014).
pub fn mix(seed: u64, counter: u64) -> u64 {
    let mut z = seed.wrapping_add(counter.wrapping_add(1).wrapping_mul(0x9E37_79B9_7F4A_7C15));
    z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    z ^ (z >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_epoch_has_its_own_order() {
        let rows: Vec<u32> = (0..100).collect();
        assert_eq!(shuffled(&rows, 1, 3), shuffled(&rows, 1, 3));
        assert_ne!(shuffled(&rows, 1, 3), shuffled(&rows, 1, 4));
        assert_ne!(shuffled(&rows, 1, 3), shuffled(&rows, 2, 3));
        let mut sorted = shuffled(&rows, 1, 3);
        sorted.sort_unstable();
        assert_eq!(sorted, rows);
    }
}
