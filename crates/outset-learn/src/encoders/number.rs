//! Numbers: the scaled values themselves and, beside them, piecewise-linear or periodic features.
//!
//! Piecewise-linear encoding and periodic features: Gorishniy et al. 2022, <https://arxiv.org/abs/2203.05556>.

use super::{Encode, Encoded, Gathered};
use crate::init::Init;
use burn::module::{Module, Param};
use burn::tensor::{Device, Tensor, TensorData};
use outset_data::{FeatureShape, Features};
use outset_spec::{Bounds, choices, settings};

choices! {
    /// Features that are made of each number beside its scaled value.
    pub enum Embedding {
        /// How far the number is through each of the bins between quantiles of the train part.
        PiecewiseLinear = "piecewise_linear",
        /// Sine and cosine at learned frequencies.
        Periodic = "periodic",
        /// None: the scaled value alone.
        Plain = "none",
    }
}

settings! {
    /// Settings of the encoder of numbers.
    pub struct Settings {
        /// Features that are made of each number: `piecewise_linear`, `periodic` or `none`.
        embedding: Embedding = Embedding::PiecewiseLinear;
        /// Bins of the piecewise-linear encoding, at most.
        bins: usize = 48, in Bounds::between(1.0, 64.0);
        /// Frequencies of the periodic features.
        frequencies: usize = 16, in Bounds::between(1.0, 1024.0);
        /// Standard deviation from which the first frequencies are drawn.
        frequency_scale: f64 = 0.1, in Bounds::above(0.0);
    }
}

/// Encodes numbers.
#[derive(Module, Debug)]
pub struct Encoder {
    /// For each component the edges of its bins, in scaled units.
    #[module(skip)]
    edges: Vec<Vec<f32>>,
    #[module(skip)]
    width: usize,
    /// `[components, frequencies]` of the periodic features.
    frequencies: Option<Param<Tensor<2>>>,
}

impl Encode for Encoder {
    type Settings = Settings;
    const TAKES_MANY: bool = true;

    fn new(settings: &Settings, shapes: &[FeatureShape], init: &mut Init) -> Self {
        let mut edges = Vec::new();
        for shape in shapes {
            if let FeatureShape::Numeric { components } = shape {
                for component in components {
                    edges.push(match settings.embedding {
                        Embedding::PiecewiseLinear => thin(&component.knots, settings.bins),
                        _ => Vec::new(),
                    });
                }
            }
        }
        let count = edges.len();
        let frequencies = (settings.embedding == Embedding::Periodic)
            .then(|| init.normal([count, settings.frequencies], settings.frequency_scale));
        let periodic = if frequencies.is_some() { 2 * settings.frequencies * count } else { 0 };
        let width = edges.iter().map(|edges| 1 + bins(edges)).sum::<usize>() + periodic;
        Self { edges, width, frequencies }
    }

    fn width(&self) -> usize {
        self.width
    }

    /// Collects values and bins, `[rows, components + bins]`.
    fn gather(&self, features: &[&Features], rows: &[u32], device: &Device) -> Gathered {
        let stride: usize = self.edges.iter().map(|edges| 1 + bins(edges)).sum();
        let mut dense = vec![0.0f32; rows.len() * stride];
        let (mut start, mut component) = (0, 0);
        for feature in features {
            let Features::Numeric { width, values } = feature else { continue };
            for offset in 0..*width {
                let edges = &self.edges[component];
                for (row, out) in rows.iter().zip(dense.chunks_exact_mut(stride)) {
                    let value = values[*row as usize * width + offset];
                    out[start] = value;
                    piecewise_linear(value, edges, &mut out[start + 1..start + 1 + bins(edges)]);
                }
                start += 1 + bins(edges);
                component += 1;
            }
        }
        let dense = Tensor::from_data(TensorData::new(dense, [rows.len(), stride]), device);
        Gathered::Cells { dense: Some(dense), indices: Vec::new() }
    }

    fn forward(&self, gathered: &Gathered, _: Option<u64>) -> Encoded {
        let Gathered::Cells { dense: Some(dense), .. } = gathered else {
            unreachable!("numbers are always gathered")
        };
        let Some(frequencies) = &self.frequencies else { return Encoded::Vector(dense.clone()) };
        let [rows, components] = dense.dims();
        let angle =
            dense.clone().unsqueeze_dim::<3>(2) * frequencies.val().unsqueeze::<3>() * std::f32::consts::TAU;
        let [_, _, count] = angle.dims();
        let flat = angle.reshape([rows, components * count]);
        Encoded::Vector(Tensor::cat(vec![dense.clone(), flat.clone().sin(), flat.cos()], 1))
    }
}

/// Bins between edges; fewer than three edges say no more than the value itself.
fn bins(edges: &[f32]) -> usize {
    if edges.len() < 3 { 0 } else { edges.len() - 1 }
}

/// Keeps at most `bins + 1` edges, evenly spaced among the quantiles, the outermost always.
fn thin(knots: &[f32], bins: usize) -> Vec<f32> {
    if knots.len() <= bins + 1 {
        return knots.to_vec();
    }
    (0..=bins).map(|i| knots[i * (knots.len() - 1) / bins]).collect()
}

/// Writes how far `value` is through each bin: 1 for bins below it, 0 above, the share within; values outside the
/// outermost edges go on linearly.
fn piecewise_linear(value: f32, edges: &[f32], out: &mut [f32]) {
    if out.is_empty() {
        return;
    }
    let last = out.len() - 1;
    let bin = edges[1..=last].partition_point(|edge| *edge <= value);
    out[..bin].fill(1.0);
    out[bin] = (value - edges[bin]) / (edges[bin + 1] - edges[bin]);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn piecewise_linear_by_hand() {
        let check = |value: f32, expected: [f32; 3]| {
            let mut out = [0.0; 3];
            piecewise_linear(value, &[0.0, 1.0, 3.0, 4.0], &mut out);
            assert_eq!(out, expected, "{value}");
        };
        check(0.5, [0.5, 0.0, 0.0]);
        check(1.0, [1.0, 0.0, 0.0]);
        check(2.0, [1.0, 0.5, 0.0]);
        check(3.5, [1.0, 1.0, 0.5]);
        check(5.0, [1.0, 1.0, 2.0]);
        check(-1.0, [-1.0, 0.0, 0.0]);
    }

    #[test]
    fn thinning_keeps_the_ends() {
        let knots: Vec<f32> = (0..65).map(|i| i as f32).collect();
        assert_eq!(thin(&knots, 4), [0.0, 16.0, 32.0, 48.0, 64.0]);
        assert_eq!(thin(&knots[..3], 4), [0.0, 1.0, 2.0]);
    }
}
