//! Whether a pass of training fits into memory, found out with small passes.

use super::MicroBatch;
use crate::machine;
use crate::network::Network;
use crate::prepare::Prepared;
use crate::train::COPIES;
use burn::tensor::Device;
use outset_ops::with_recompute;

/// Share of the memory for a pass that even a generous guess must take before it is looked at more closely: memory that is
/// touched here counts to the peak of the rehearsal.
const CLOSE: f64 = 0.25;

/// Tells whether a pass would take more memory than there is, from the growth between two small passes.
pub fn too_large(network: &Network, prepared: &Prepared, device: &Device) -> Option<MicroBatch> {
    let asked = prepared.recipe.micro_batch_size;
    let usable = machine::usable_memory_bytes()?;
    let small = (asked / 8).max(1);
    let parameters: usize = network.parts().iter().map(|(_, _, count)| count).sum();
    let kept = 4 * parameters as u64 * COPIES;
    let one = pass(network, prepared, device, small);
    // A pass of `asked` rows takes at most as many times more.
    let guess = kept as f64 + one * asked.div_ceil(small) as f64;
    if asked < 4 * small || guess < CLOSE * usable {
        return None;
    }
    let two = pass(network, prepared, device, 2 * small);
    let room = usable - kept as f64;
    fitting(asked, room, small, [one, two]).map(|(fits, bytes)| MicroBatch {
        asked,
        fits,
        bytes: kept + bytes as u64,
    })
}

/// Where a pass of `asked` rows takes more than there is room for, the rows that fit, halved as often as it takes, and the
/// bytes of what was asked for; `measured` are the bytes of a pass of `small` rows and of one of twice as many.
fn fitting(asked: usize, room: f64, small: usize, measured: [f64; 2]) -> Option<(usize, f64)> {
    let [one, two] = measured;
    let per_row = (two - one).max(0.0) / small as f64;
    let of = |rows: usize| (one + per_row * (rows as f64 - small as f64)).max(0.0);
    let mut fits = asked;
    while fits > 0 && of(fits) > room {
        fits /= 2;
    }
    (fits < asked).then(|| (fits, of(asked)))
}

/// Bytes that a pass forward and backward takes beyond what is held before.
fn pass(network: &Network, prepared: &Prepared, device: &Device, rows: usize) -> f64 {
    let rows = &prepared.train[..rows.min(prepared.train.len())];
    let before = machine::resident_memory_bytes();
    let peak = machine::peak_memory_within(|| {
        let weights = prepared.weights.as_deref();
        let batch = network.batch(&prepared.features, &prepared.targets, weights, rows, device);
        let weights = prepared.design.weights();
        drop(
            with_recompute(prepared.recipe.recompute, || network.loss(&batch, &weights, Some(0))).backward(),
        );
    });
    peak.saturating_sub(before) as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_are_halved_until_they_fit() {
        // 100 bytes at once, and 10 for each row.
        let of = |room| fitting(64, room, 8, [180.0, 260.0]);
        assert_eq!(of(740.0), None);
        assert_eq!(of(739.0), Some((32, 740.0)));
        assert_eq!(of(200.0), Some((8, 740.0)));
        // Fewer rows than were measured.
        assert_eq!(of(150.0), Some((4, 740.0)));
        assert_eq!(of(99.0), Some((0, 740.0)));
        // What gets no smaller with fewer rows.
        assert_eq!(fitting(64, 90.0, 8, [100.0, 95.0]), Some((0, 100.0)));
    }
}
