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
    let per_row = (two - one).max(0.0) / small as f64;
    let of = |rows: usize| kept as f64 + one + per_row * (rows.saturating_sub(small)) as f64;
    if of(asked) <= usable {
        return None;
    }
    let mut fits = asked;
    while fits > 0 && of(fits) > usable {
        fits /= 2;
    }
    Some(MicroBatch { asked, fits, bytes: of(asked) as u64 })
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
