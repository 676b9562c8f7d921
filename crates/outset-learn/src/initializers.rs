//! First values of weights, by the formulas of `torch.nn.init`, drawn from our own seeded generator.

use crate::kinds::kinds;
use burn::tensor::{Device, Tensor, TensorData};
use outset_spec::{Bounds, Problems, Section, settings};
use rand::{Rng, RngExt as _};

kinds! {
    /// How weights begin.
    pub enum Initializer: Draw, "initializer", "initializers" {
        /// All zeros.
        "zeros" => Zeros,
        /// A normal distribution around 0.
        "normal" => Normal,
        /// An even distribution around 0.
        "uniform" => Uniform,
        /// Even, keeping variance forth and back: bound `g √(6 / (fan_in + fan_out))`.
        "xavier_uniform" => XavierUniform,
        /// Normal, keeping variance forth and back: deviation `g √(2 / (fan_in + fan_out))`.
        "xavier_normal" => XavierNormal,
        /// Even, keeping variance through rectified units: bound `g √(3 / fan_in)`.
        "kaiming_uniform" => KaimingUniform,
        /// Normal, keeping variance through rectified units: deviation `g / √fan_in`.
        "kaiming_normal" => KaimingNormal,
    }
}

settings! {
    /// All zeros.
    pub struct Zeros {}
}

settings! {
    /// A normal distribution around 0.
    pub struct Normal {
        /// Standard deviation.
        standard_deviation: f64 = 0.05, in Bounds::at_least(0.0);
    }
}

settings! {
    /// An even distribution around 0.
    pub struct Uniform {
        /// Largest distance from 0.
        bound: f64 = 0.05, in Bounds::at_least(0.0);
    }
}

settings! {
    /// Xavier's or Glorot's, even. <https://proceedings.mlr.press/v9/glorot10a.html>
    pub struct XavierUniform {
        /// Gain of the activation that follows.
        gain: f64 = 1.0, in Bounds::at_least(0.0);
    }
}

settings! {
    /// Xavier's or Glorot's, normal. <https://proceedings.mlr.press/v9/glorot10a.html>
    pub struct XavierNormal {
        /// Gain of the activation that follows.
        gain: f64 = 1.0, in Bounds::at_least(0.0);
    }
}

settings! {
    /// Kaiming's or He's, even. <https://arxiv.org/abs/1502.01852>
    pub struct KaimingUniform {
        /// Gain of the activation that follows, √2 for rectified units.
        gain: f64 = std::f64::consts::SQRT_2, in Bounds::at_least(0.0);
    }
}

settings! {
    /// Kaiming's or He's, normal. <https://arxiv.org/abs/1502.01852>
    pub struct KaimingNormal {
        /// Gain of the activation that follows, √2 for rectified units.
        gain: f64 = std::f64::consts::SQRT_2, in Bounds::at_least(0.0);
    }
}

/// A distribution around 0.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Distribution {
    Zeros,
    /// With this standard deviation.
    Normal(f64),
    /// From minus to plus this bound.
    Uniform(f64),
}

/// What an initializer draws from.
trait Draw {
    /// The distribution for a weight between `fan_in` inputs and `fan_out` outputs, both at least 1.
    fn distribution(&self, fan_in: f64, fan_out: f64) -> Distribution;
}

impl Draw for Zeros {
    fn distribution(&self, _: f64, _: f64) -> Distribution {
        Distribution::Zeros
    }
}

impl Draw for Normal {
    fn distribution(&self, _: f64, _: f64) -> Distribution {
        Distribution::Normal(self.standard_deviation)
    }
}

impl Draw for Uniform {
    fn distribution(&self, _: f64, _: f64) -> Distribution {
        Distribution::Uniform(self.bound)
    }
}

impl Draw for XavierUniform {
    fn distribution(&self, fan_in: f64, fan_out: f64) -> Distribution {
        Distribution::Uniform(self.gain * (6.0 / (fan_in + fan_out)).sqrt())
    }
}

impl Draw for XavierNormal {
    fn distribution(&self, fan_in: f64, fan_out: f64) -> Distribution {
        Distribution::Normal(self.gain * (2.0 / (fan_in + fan_out)).sqrt())
    }
}

impl Draw for KaimingUniform {
    fn distribution(&self, fan_in: f64, _: f64) -> Distribution {
        Distribution::Uniform(self.gain * (3.0 / fan_in).sqrt())
    }
}

impl Draw for KaimingNormal {
    fn distribution(&self, fan_in: f64, _: f64) -> Distribution {
        Distribution::Normal(self.gain / fan_in.sqrt())
    }
}

impl Distribution {
    /// Draws `count` numbers.
    pub fn draw(self, count: usize, generator: &mut dyn Rng) -> Vec<f32> {
        // 1 minus [0, 1) keeps the logarithm of `normal` away from 0.
        let unit = |generator: &mut dyn Rng| 1.0 - generator.random::<f64>();
        (0..count)
            .map(|_| match self {
                Self::Zeros => 0.0,
                Self::Uniform(bound) => (bound * (2.0 * unit(generator) - 1.0)) as f32,
                // Box and Muller's transform.
                Self::Normal(deviation) => {
                    let radius = (-2.0 * unit(generator).ln()).sqrt();
                    (deviation * radius * (std::f64::consts::TAU * unit(generator)).cos()) as f32
                }
            })
            .collect()
    }
}

impl Initializer {
    /// Reads an initializer at key `path`; `default` is the kind where the file names none.
    pub fn read(section: &Section, path: &str, default: &Self, problems: &mut Problems) -> Self {
        if section.kind.is_empty() && section.parameters.0.is_empty() {
            return default.clone();
        }
        let mut reader = section.reader(path, problems);
        let Some(initializer) = Self::read_kind(section.kind_or(default.kind()), &mut reader) else {
            problems.push(Self::unknown(section));
            return default.clone();
        };
        reader.finish();
        initializer
    }

    /// The distribution for a weight between `fan_in` inputs and `fan_out` outputs.
    pub fn distribution(&self, fan_in: usize, fan_out: usize) -> Distribution {
        self.part().distribution(fan_in.max(1) as f64, fan_out.max(1) as f64)
    }

    /// Draws a weight of `shape`, row by row, so that the same generator gives the same weight on any device.
    pub fn fill(
        &self,
        shape: [usize; 2],
        fan_in: usize,
        fan_out: usize,
        generator: &mut dyn Rng,
        device: &Device,
    ) -> Tensor<2> {
        let values = self.distribution(fan_in, fan_out).draw(shape[0] * shape[1], generator);
        Tensor::from_data(TensorData::new(values, shape), device)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::SeedableRng;
    use rand_chacha::ChaCha8Rng;

    fn check(kind: &str, expected: Distribution) {
        let default = Initializer::Zeros(Zeros::default());
        let mut problems = Problems::default();
        let initializer = Initializer::read(&Section::of(kind), "model.initializer", &default, &mut problems);
        assert!(problems.is_empty());
        let found = initializer.distribution(30, 50);
        let [(a, b), ..] = [(found, expected)];
        match (a, b) {
            (Distribution::Normal(a), Distribution::Normal(b))
            | (Distribution::Uniform(a), Distribution::Uniform(b)) => assert!((a / b - 1.0).abs() < 1e-12),
            _ => assert_eq!(found, expected),
        }
    }

    /// Bounds and deviations from `torch.nn.init` for a layer of 30 inputs and 50 outputs.
    #[test]
    fn formulas_are_pytorchs() {
        check("zeros", Distribution::Zeros);
        check("normal", Distribution::Normal(0.05));
        check("uniform", Distribution::Uniform(0.05));
        check("xavier_uniform", Distribution::Uniform(0.27386127875258306));
        check("xavier_normal", Distribution::Normal(0.15811388300841897));
        check("kaiming_uniform", Distribution::Uniform(0.4472135954999579));
        check("kaiming_normal", Distribution::Normal(0.25819888974716115));
    }

    #[test]
    fn draws_have_the_moments_of_their_distribution() {
        let count = 200_000;
        let moments = |distribution: Distribution| {
            let values = distribution.draw(count, &mut ChaCha8Rng::seed_from_u64(1));
            let mean = values.iter().map(|&v| f64::from(v)).sum::<f64>() / count as f64;
            let square = values.iter().map(|&v| f64::from(v).powi(2)).sum::<f64>() / count as f64;
            let largest = values.iter().fold(0.0_f64, |a, &v| a.max(f64::from(v).abs()));
            (mean, square.sqrt(), largest)
        };
        let (mean, deviation, largest) = moments(Distribution::Normal(2.0));
        assert!(mean.abs() < 0.02 && (deviation - 2.0).abs() < 0.02 && largest > 7.0);
        let (mean, deviation, largest) = moments(Distribution::Uniform(3.0));
        assert!(mean.abs() < 0.02 && (deviation - 3.0_f64.sqrt()).abs() < 0.02);
        assert!(largest <= 3.0 && largest > 2.999);
    }

    #[test]
    fn the_same_seed_draws_the_same_weight() {
        let draw = || {
            let mut generator = ChaCha8Rng::seed_from_u64(7);
            let initializer = Initializer::KaimingNormal(KaimingNormal::default());
            initializer.fill([3, 4], 3, 4, &mut generator, &Device::flex()).into_data()
        };
        assert_eq!(draw(), draw());
    }
}
