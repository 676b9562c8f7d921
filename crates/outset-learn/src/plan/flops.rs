//! Floating-point operations of a network.

use crate::device;
use crate::network::Network;
use crate::run::evenly;
use outset_data::Features;
use outset_ops::flops::counted;

/// Rows that are answered for the count.
const ROWS: usize = 64;

/// Operations of one row, forward: a multiplication and an addition for each weight that the row meets, wherever it meets
/// it, and those of attention. They are counted while rows of `among` are answered, so that nothing has to be known of how
/// the network is built; sequences count with their filling, as they are computed.
pub fn forward(network: &Network, features: &[Features], among: &[u32]) -> f64 {
    let rows = evenly(among, ROWS);
    let (_, operations) = counted(|| network.answers(features, &rows, &device::chosen()));
    operations / rows.len().max(1) as f64
}
