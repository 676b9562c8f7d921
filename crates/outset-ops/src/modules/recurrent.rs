//! Recurrent layers.

use super::uniform;
use crate::{LstmState, gru, gru_from, lstm, lstm_from};
use burn::module::{Module, Param};
use burn::tensor::{Device, Tensor};

/// A long short-term memory over whole sequences, `[batch, time, inputs]`.
#[derive(Debug, Module)]
pub struct Lstm {
    /// `[inputs, 4 * hidden]`, gates in PyTorch's order: input, forget, cell, output.
    pub weight_input: Param<Tensor<2>>,
    /// `[hidden, 4 * hidden]`.
    pub weight_hidden: Param<Tensor<2>>,
    /// `[4 * hidden]`: the sum of PyTorch's two.
    pub bias: Param<Tensor<1>>,
}

impl Lstm {
    /// Draws every parameter evenly from `±1 / sqrt(hidden)`, as PyTorch's `nn.LSTM` does.
    pub fn new(inputs: usize, hidden: usize, device: &Device) -> Lstm {
        Lstm {
            weight_input: uniform([inputs, 4 * hidden], hidden, device),
            weight_hidden: uniform([hidden, 4 * hidden], hidden, device),
            bias: uniform([4 * hidden], hidden, device),
        }
    }

    /// Returns the state after every step, `[batch, time, hidden]`.
    pub fn forward(&self, x: Tensor<3>) -> Tensor<3> {
        lstm(x, self.weight_input.val(), self.weight_hidden.val(), self.bias.val())
    }

    /// Returns the state after every step, from a given one, and what to go on from after the last.
    pub fn forward_from(&self, x: Tensor<3>, start: LstmState) -> (Tensor<3>, LstmState) {
        lstm_from(x, self.weight_input.val(), self.weight_hidden.val(), self.bias.val(), start)
    }
}

/// A gated recurrent unit over whole sequences, `[batch, time, inputs]`.
#[derive(Debug, Module)]
pub struct Gru {
    /// `[inputs, 3 * hidden]`, gates in PyTorch's order: reset, update, new.
    pub weight_input: Param<Tensor<2>>,
    /// `[hidden, 3 * hidden]`.
    pub weight_hidden: Param<Tensor<2>>,
    /// Added to the products with the input, `[3 * hidden]`.
    pub bias_input: Param<Tensor<1>>,
    /// Added to the products with the state, `[3 * hidden]`.
    pub bias_hidden: Param<Tensor<1>>,
}

impl Gru {
    /// Draws every parameter evenly from `±1 / sqrt(hidden)`, as PyTorch's `nn.GRU` does.
    pub fn new(inputs: usize, hidden: usize, device: &Device) -> Gru {
        Gru {
            weight_input: uniform([inputs, 3 * hidden], hidden, device),
            weight_hidden: uniform([hidden, 3 * hidden], hidden, device),
            bias_input: uniform([3 * hidden], hidden, device),
            bias_hidden: uniform([3 * hidden], hidden, device),
        }
    }

    /// Returns the state after every step, `[batch, time, hidden]`.
    pub fn forward(&self, x: Tensor<3>) -> Tensor<3> {
        let biases = (self.bias_input.val(), self.bias_hidden.val());
        gru(x, self.weight_input.val(), self.weight_hidden.val(), biases.0, biases.1)
    }

    /// Returns the state after every step, from a given one, and the last to go on from.
    pub fn forward_from(&self, x: Tensor<3>, start: Tensor<2>) -> (Tensor<3>, Tensor<2>) {
        let weights = [self.weight_input.val(), self.weight_hidden.val()];
        gru_from(x, weights, [self.bias_input.val(), self.bias_hidden.val()], start)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sequences_keep_their_length() {
        let device = Device::flex().autodiff();
        let x = Tensor::<3>::ones([2, 5, 3], &device);
        assert_eq!(Lstm::new(3, 4, &device).forward(x.clone()).dims(), [2, 5, 4]);
        assert_eq!(Gru::new(3, 4, &device).forward(x).dims(), [2, 5, 4]);
    }
}
