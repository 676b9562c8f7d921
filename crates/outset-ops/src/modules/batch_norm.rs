//! Batch normalisation with running statistics.

use crate::{batch_norm, batch_norm_train, ops::recompute::runs_again};
use burn::module::{Module, Param, RunningState};
use burn::tensor::{Device, Tensor};

/// Batch normalisation of `[batch, channels, ..]` (arXiv 1502.03167), optionally followed by ReLU.
///
/// On an autodiff device the batch's own statistics are used and the running ones updated, as PyTorch's module does
/// while training; on any other device, such as that of `valid()`, the running ones are used.
#[derive(Debug, Module)]
pub struct BatchNorm {
    /// `[channels]`, ones at first.
    pub gamma: Param<Tensor<1>>,
    /// `[channels]`, zeros at first.
    pub beta: Param<Tensor<1>>,
    /// `[channels]`, zeros at first.
    pub running_mean: RunningState<Tensor<1>>,
    /// `[channels]`, ones at first; the unbiased variance.
    pub running_var: RunningState<Tensor<1>>,
    momentum: f64,
    epsilon: f64,
    relu: bool,
}

impl BatchNorm {
    /// Normalises `channels` channels, with PyTorch's momentum of 0.1 and epsilon of 1e-5.
    pub fn new(channels: usize, device: &Device) -> BatchNorm {
        BatchNorm {
            gamma: Param::from_tensor(Tensor::ones([channels], device)),
            beta: Param::from_tensor(Tensor::zeros([channels], device)),
            running_mean: RunningState::new(Tensor::zeros([channels], device)),
            running_var: RunningState::new(Tensor::ones([channels], device)),
            momentum: 0.1,
            epsilon: 1e-5,
            relu: false,
        }
    }

    /// Cuts negative results off in the same pass.
    pub fn with_relu(self) -> BatchNorm {
        BatchNorm { relu: true, ..self }
    }

    /// Returns `x [batch, channels, ..]` normalised.
    pub fn forward<const D: usize>(&self, x: Tensor<D>) -> Tensor<D> {
        let (gamma, beta, device) = (self.gamma.val(), self.beta.val(), x.device());
        if !device.is_autodiff() {
            let statistics =
                [self.running_mean.value(), self.running_var.value()].map(|s| s.to_device(&device));
            return batch_norm(x, [gamma, beta], statistics, self.epsilon, self.relu);
        }
        let count = x.shape().num_elements() as f64 / x.dims()[1].max(1) as f64;
        let got = batch_norm_train(x, gamma, beta, self.epsilon, self.relu);
        if runs_again() {
            return got.output;
        }
        let unbiased = got.variance * (count / (count - 1.0).max(1.0));
        for (state, now) in [(&self.running_mean, got.mean), (&self.running_var, unbiased)] {
            let kept = state.value_sync().to_device(&device);
            state.update((kept * (1.0 - self.momentum) + now * self.momentum).detach());
        }
        got.output
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{close, wide};

    #[test]
    fn running_statistics_follow_the_batches_and_serve_inference() {
        let device = Device::flex().autodiff();
        let norm = BatchNorm::new(1, &device);
        let x = Tensor::<2>::from_data([[1.0], [3.0]], &device);
        close(
            "in training",
            &wide(norm.forward(x.clone())),
            &[-1.0 / 1.00001f64.sqrt(), 1.0 / 1.00001f64.sqrt()],
        );
        let norm = norm.valid();
        // 0.9 * 0 + 0.1 * 2 and 0.9 * 1 + 0.1 * 2.
        close("mean", &wide(norm.running_mean.value()), &[0.2]);
        close("variance", &wide(norm.running_var.value()), &[1.1]);
        let expected = [0.8, 2.8].map(|v: f64| v / 1.10001f64.sqrt());
        close("in inference", &wide(norm.forward(x.inner())), &expected);
    }
}
