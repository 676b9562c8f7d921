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

/// Rearranges an order so that batches hold rows of like length, and little of them is filling.
///
/// Pools of fifty batches are sorted by length and their batches put into another random order, so that what comes after
/// what still depends on nothing but seed and epoch.
pub fn by_length(
    order: Vec<u32>,
    length: impl Fn(u32) -> usize,
    batch_size: usize,
    seed: u64,
    epoch: usize,
) -> Vec<u32> {
    const POOL: usize = 50;
    let batch_size = batch_size.max(1);
    let mut arranged = Vec::with_capacity(order.len());
    for (index, pool) in order.chunks(POOL * batch_size).enumerate() {
        let mut pool = pool.to_vec();
        pool.sort_by_key(|row| length(*row));
        // The last batch of all may be short, and stays the last.
        let whole = pool.len() / batch_size;
        let batches: Vec<u32> = (0..whole as u32).collect();
        for batch in shuffled(&batches, mix(seed, index as u64), epoch) {
            let start = batch as usize * batch_size;
            arranged.extend_from_slice(&pool[start..start + batch_size]);
        }
        arranged.extend_from_slice(&pool[whole * batch_size..]);
    }
    arranged
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

    #[test]
    fn batches_hold_rows_of_like_length() {
        let rows: Vec<u32> = (0..1003).collect();
        let length = |row: u32| (row as usize * 7919) % 97;
        let arranged = |epoch| by_length(shuffled(&rows, 1, epoch), length, 10, 1, epoch);
        assert_eq!(arranged(1), arranged(1));
        assert_ne!(arranged(1), arranged(2));
        let mut sorted = arranged(1);
        sorted.sort_unstable();
        assert_eq!(sorted, rows);
        let spread = |order: &[u32]| -> usize {
            order
                .chunks(10)
                .map(|batch| {
                    let lengths = batch.iter().map(|row| length(*row));
                    lengths.clone().max().unwrap() - lengths.min().unwrap()
                })
                .sum()
        };
        assert!(spread(&arranged(1)) * 10 < spread(&shuffled(&rows, 1, 1)));
    }
}
