//! Batch normalisation (arXiv 1502.03167), with an optional ReLU in the same pass.
//!
//! `x [batch, channels, spatial]`, where `spatial` is 1 for rows of features and `height * width` for images. Each
//! channel is normalised over batch and space: `y = (x - mean) / sqrt(var + eps) * gamma + beta`.

mod channels;
mod columns;
#[cfg(test)]
mod tests;

use crate::buf::uninit;

/// Sizes of an input.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sizes {
    /// Number of examples.
    pub batch: usize,
    /// Number of channels or features.
    pub channels: usize,
    /// Values of each channel of an example.
    pub spatial: usize,
}

impl Sizes {
    fn len(self) -> usize {
        self.batch * self.channels * self.spatial
    }

    /// Values that one channel is normalised over.
    pub fn count(self) -> usize {
        self.batch * self.spatial
    }
}

/// Mean and variance of each channel; the variance is the biased one.
#[derive(Clone, Debug, PartialEq)]
pub struct Statistics {
    /// `[channels]`.
    pub mean: Vec<f32>,
    /// `[channels]`.
    pub variance: Vec<f32>,
}

/// Gradients of the input, of gamma and of beta.
#[derive(Debug)]
pub struct Gradients {
    /// As the input.
    pub dx: Vec<f32>,
    /// `[channels]`.
    pub dgamma: Vec<f32>,
    /// `[channels]`.
    pub dbeta: Vec<f32>,
}

/// How a layer normalises.
#[derive(Clone, Copy, Debug)]
pub struct Normalise<'a> {
    /// Mean and variance: of the batch in training, running ones in inference.
    pub statistics: &'a Statistics,
    /// Scale, `[channels]`.
    pub gamma: &'a [f32],
    /// Shift, `[channels]`.
    pub beta: &'a [f32],
    /// Added to the variance.
    pub eps: f32,
    /// Whether negative results become zero.
    pub relu: bool,
}

impl Normalise<'_> {
    /// The whole as one multiplication and one addition for each channel.
    fn factors(&self) -> Factors {
        let inverse: Vec<f32> = self
            .statistics
            .variance
            .iter()
            .map(|v| 1.0 / (v + self.eps).sqrt())
            .collect();
        let scale: Vec<f32> = inverse.iter().zip(self.gamma).map(|(i, g)| i * g).collect();
        let shift = self
            .beta
            .iter()
            .zip(&self.statistics.mean)
            .zip(&scale)
            .map(|((b, m), s)| b - m * s)
            .collect();
        Factors {
            inverse,
            scale,
            shift,
        }
    }

    fn check(&self, sizes: Sizes, x: &[f32]) {
        assert_eq!(x.len(), sizes.len(), "the input has another size");
        let channels = [
            self.gamma.len(),
            self.beta.len(),
            self.statistics.mean.len(),
            self.statistics.variance.len(),
        ];
        assert_eq!(
            channels, [sizes.channels; 4],
            "a parameter or statistic has another size than the channels"
        );
    }
}

/// `y = x * scale + shift`, and `inverse = 1 / sqrt(var + eps)`.
struct Factors {
    inverse: Vec<f32>,
    scale: Vec<f32>,
    shift: Vec<f32>,
}

/// Returns mean and variance of each channel.
pub fn statistics(x: &[f32], sizes: Sizes) -> Statistics {
    assert_eq!(x.len(), sizes.len(), "the input has another size");
    if sizes.spatial == 1 {
        columns::statistics(x, sizes)
    } else {
        channels::statistics(x, sizes)
    }
}

/// Normalises the input.
pub fn forward(x: &[f32], sizes: Sizes, normalise: &Normalise) -> Vec<f32> {
    normalise.check(sizes, x);
    let mut y = uninit(x.len());
    let factors = normalise.factors();
    if sizes.spatial == 1 {
        columns::apply(x, &mut y, &factors, normalise.relu);
    } else {
        channels::apply(x, &mut y, sizes, &factors, normalise.relu);
    }
    y
}

/// Returns the gradients, given that of the output.
///
/// With `through_statistics` mean and variance are functions of the input, as in training; without, they are constants.
pub fn backward(
    x: &[f32],
    sizes: Sizes,
    normalise: &Normalise,
    dy: &[f32],
    through_statistics: bool,
) -> Gradients {
    normalise.check(sizes, x);
    assert_eq!(dy.len(), x.len(), "input and gradient differ in size");
    let mut dx = uninit(x.len());
    let factors = normalise.factors();
    let mean = &normalise.statistics.mean;
    let pass = Backward {
        x,
        dy,
        sizes,
        mean,
        factors: &factors,
        relu: normalise.relu,
        through_statistics,
    };
    let (dbeta, dgamma) = if sizes.spatial == 1 {
        columns::backward(&pass, &mut dx)
    } else {
        channels::backward(&pass, &mut dx)
    };
    Gradients { dx, dgamma, dbeta }
}

/// What both layouts' backward passes read.
struct Backward<'a> {
    x: &'a [f32],
    dy: &'a [f32],
    sizes: Sizes,
    mean: &'a [f32],
    factors: &'a Factors,
    relu: bool,
    through_statistics: bool,
}

impl Backward<'_> {
    /// Results up to this one are cut off by the ReLU.
    fn threshold(&self) -> f32 {
        if self.relu { 0.0 } else { f32::NEG_INFINITY }
    }

    /// Returns `(a, b, c)` of `dx = a (dy - b - (x - mean) c)` for a channel, from the sums of `dy` and of
    /// `dy (x - mean)`.
    fn coefficients(&self, channel: usize, dy_sum: f64, dy_x_sum: f64) -> (f32, f32, f32) {
        if !self.through_statistics {
            return (self.factors.scale[channel], 0.0, 0.0);
        }
        let count = self.sizes.count() as f64;
        let inverse = f64::from(self.factors.inverse[channel]);
        (
            self.factors.scale[channel],
            (dy_sum / count) as f32,
            (dy_x_sum * inverse * inverse / count) as f32,
        )
    }
}
