//! Floating-point operations of a network.

use crate::network::Network;

/// Operations of one row, forward: two for each weight that the row meets, a multiplication and an addition.
///
/// The members of an ensemble share the weights of the combiner, each using them once; their heads are their own. An
/// embedding is looked up, which takes no arithmetic.
pub fn forward(network: &Network) -> f64 {
    let members = network.members() as f64;
    let of = |(name, shape, count): (String, String, usize)| {
        let rank = 1 + shape.matches('×').count();
        let times = match name.split('.').next() {
            Some("combiner") if rank == 2 && !name.ends_with("scales") => members,
            Some("combiner" | "decoders") => 1.0,
            _ => 0.0,
        };
        2.0 * count as f64 * times
    };
    network.parts().into_iter().map(of).sum()
}
