//! A linear map with weights of its own for each member of an ensemble.

use super::uniform;
use crate::member_linear;
use burn::module::{Module, Param};
use burn::tensor::{Device, Tensor};

/// `h W[m] + b[m]` for the rows of each member `m`, member-major.
#[derive(Debug, Module)]
pub struct MemberLinear {
    /// `[members, inputs, outputs]`.
    pub weight: Param<Tensor<3>>,
    /// `[members, outputs]`.
    pub bias: Option<Param<Tensor<2>>>,
}

impl MemberLinear {
    /// Draws each member's weight and bias as [`Linear`](crate::Linear) does.
    pub fn new(members: usize, inputs: usize, outputs: usize, bias: bool, device: &Device) -> MemberLinear {
        MemberLinear {
            weight: uniform([members, inputs, outputs], inputs, device),
            bias: bias.then(|| uniform([members, outputs], inputs, device)),
        }
    }

    /// Returns `[members * batch, outputs]` for `h [members * batch, inputs]`.
    pub fn forward(&self, h: Tensor<2>) -> Tensor<2> {
        member_linear(h, self.weight.val(), self.bias.as_ref().map(Param::val))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn maps_the_rows_of_every_member() {
        let device = Device::flex();
        let layer = MemberLinear::new(3, 4, 2, true, &device);
        assert_eq!(layer.forward(Tensor::ones([15, 4], &device)).dims(), [15, 2]);
    }
}
