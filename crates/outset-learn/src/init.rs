//! First values of parameters, from one seeded generator, so that equal seeds give equal networks.

use crate::initializers::Initializer;
use burn::module::Param;
use burn::tensor::{Device, Tensor, TensorData};
use rand::{RngExt as _, SeedableRng as _};
use rand_chacha::ChaCha8Rng;

/// Draws the first values of a network's parameters in the order in which they are asked for.
pub struct Init {
    generator: ChaCha8Rng,
    device: Device,
    /// Where parameters are only counted: how many were asked for.
    counted: Option<f64>,
}

impl Init {
    /// Starts a generator; `device` is where the parameters will live.
    pub fn new(seed: u64, device: &Device) -> Self {
        Self { generator: ChaCha8Rng::seed_from_u64(seed), device: device.clone(), counted: None }
    }

    /// Counts parameters instead of making them: each tensor has one number in the place of all.
    pub fn counting(device: &Device) -> Self {
        Self { counted: Some(0.0), ..Self::new(0, device) }
    }

    /// The parameters that were counted.
    pub fn counted(&self) -> f64 {
        self.counted.unwrap_or(0.0)
    }

    /// The shape to make for a parameter of this shape.
    fn made<const D: usize>(&mut self, shape: [usize; D]) -> [usize; D] {
        let Some(counted) = &mut self.counted else { return shape };
        *counted += shape.iter().map(|length| *length as f64).product::<f64>();
        [1; D]
    }

    /// The device of the parameters.
    pub fn device(&self) -> &Device {
        &self.device
    }

    /// Evenly distributed values within `±bound`.
    pub fn uniform<const D: usize>(&mut self, shape: [usize; D], bound: f64) -> Param<Tensor<D>> {
        let bound = bound as f32;
        self.fill(shape, |generator| generator.random_range(-1.0..1.0f32) * bound)
    }

    /// Normally distributed values around 0.
    pub fn normal<const D: usize>(&mut self, shape: [usize; D], deviation: f64) -> Param<Tensor<D>> {
        self.fill(shape, |generator| {
            // Box and Muller 1958, https://doi.org/10.1214/aoms/1177706645
            let (radius, angle): (f64, f64) = (1.0 - generator.random::<f64>(), generator.random());
            (deviation * (-2.0 * radius.ln()).sqrt() * (std::f64::consts::TAU * angle).cos()) as f32
        })
    }

    /// Rows that are given, and the others normally distributed like them around 0.
    pub fn normal_but(&mut self, shape: [usize; 2], known: &[(u32, Vec<f32>)]) -> Param<Tensor<2>> {
        if self.counted.is_some() {
            return self.constant(shape, 0.0);
        }
        let [_, width] = shape;
        let given = || known.iter().flat_map(|(_, values)| values);
        let squares: f64 = given().map(|value| f64::from(*value).powi(2)).sum();
        let deviation = (squares / given().count().max(1) as f64).sqrt();
        let drawn = self.normal(shape, deviation).val();
        let mut values =
            drawn.into_data().try_into_vec::<f32>().unwrap_or_else(|_| unreachable!("drawn in f32"));
        for (row, given) in known {
            values[*row as usize * width..][..width].copy_from_slice(given);
        }
        Param::from_tensor(Tensor::from_data(TensorData::new(values, shape), &self.device))
    }

    /// A weight between `inputs` and `outputs` as an initializer draws it, `[inputs, outputs]`.
    pub fn draw(&mut self, initializer: &Initializer, inputs: usize, outputs: usize) -> Param<Tensor<2>> {
        let shape = self.made([inputs, outputs]);
        Param::from_tensor(initializer.fill(shape, inputs, outputs, &mut self.generator, &self.device))
    }

    /// `-1` or `1` by a fair coin.
    pub fn signs<const D: usize>(&mut self, shape: [usize; D]) -> Param<Tensor<D>> {
        self.fill(shape, |generator| if generator.random::<bool>() { 1.0 } else { -1.0 })
    }

    /// The same value everywhere.
    pub fn constant<const D: usize>(&mut self, shape: [usize; D], value: f32) -> Param<Tensor<D>> {
        self.fill(shape, |_| value)
    }

    fn fill<const D: usize>(
        &mut self,
        shape: [usize; D],
        mut draw: impl FnMut(&mut ChaCha8Rng) -> f32,
    ) -> Param<Tensor<D>> {
        let shape = self.made(shape);
        let values: Vec<f32> = (0..shape.iter().product()).map(|_| draw(&mut self.generator)).collect();
        Param::from_tensor(Tensor::from_data(TensorData::new(values, shape), &self.device))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use outset_data::types::text::Scheme;
    use outset_data::types::{Column, InputType as _, TextInput, TextSettings};
    use outset_data::{Cells, FeatureShape, Features};

    #[test]
    fn the_row_of_a_token_is_the_vector_of_its_word() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("vectors.txt");
        std::fs::write(&file, "night 7 8\nday 0.5 0.25\ngood 1 2\nbad -1 -2\n").unwrap();
        let texts = ["good day", "bad day", "good film", "bad film"];
        let cells = Cells::Text(texts.into_iter().map(Some).collect());
        let column = Column { name: "review", cells: &cells, rows: &[0, 1, 2, 3] };
        // Tokens of a tokenizer, and words that tags are put on.
        for aligned in [false, true] {
            let settings = TextSettings {
                tokenizer: Some(Scheme::Words),
                vectors: Some(file.display().to_string()),
                aligned,
                ..TextSettings::default()
            };
            let fitted = TextInput::fit(column, &settings).unwrap();
            let FeatureShape::Tokens { size, vectors: Some(vectors), .. } = fitted.shape("") else {
                panic!("words with vectors")
            };
            assert_eq!((vectors.width, vectors.covered), (2, 3));
            let mut init = Init::new(1, &Device::flex());
            let table = init.normal_but([size, vectors.width], &vectors.known).val();
            let table = table.into_data().try_into_vec::<f32>().unwrap();
            let Features::Tokens { indices, .. } = fitted.encode(column).unwrap() else {
                panic!("words are tokens")
            };
            let rows: Vec<&[f32]> = indices.iter().map(|token| &table[*token as usize * 2..][..2]).collect();
            assert_eq!(rows[..4], [[1.0, 2.0], [0.5, 0.25], [-1.0, -2.0], [0.5, 0.25]], "aligned: {aligned}");
            // `film` has none in the file.
            assert!(!vectors.known.iter().any(|(_, vector)| vector == rows[5]), "aligned: {aligned}");
        }
    }
}
