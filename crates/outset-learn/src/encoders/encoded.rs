//! The three shapes that encoders yield and decoders ask for.

use burn::tensor::{Tensor, TensorData};

/// What an encoder makes of a batch.
#[derive(Clone, Debug)]
pub enum Encoded {
    /// `[rows, features]`.
    Vector(Tensor<2>),
    /// A sequence for each row, filled up at its end.
    Sequence {
        /// `[rows, time, features]`.
        values: Tensor<3>,
        /// Steps of each row that are not filling, at least 1.
        lengths: Vec<usize>,
    },
    /// `[rows, channels, height, width]`.
    Map(Tensor<4>),
}

impl Encoded {
    /// A vector for each row, `[rows, features]`: the mean over the steps of a sequence or the places of a map.
    pub fn pooled(self) -> Tensor<2> {
        match self {
            Self::Vector(values) => values,
            Self::Sequence { values, lengths } => {
                let share = mask(&values, &lengths, |length| 1.0 / length.max(1) as f32);
                (values * share).sum_dim(1).squeeze_dim(1)
            }
            Self::Map(values) => outset_ops::global_avg_pool2d(values),
        }
    }
}

/// `inside(length)` at the steps of a row and 0 at its filling: `[rows, time, 1]`.
pub(super) fn mask(values: &Tensor<3>, lengths: &[usize], inside: impl Fn(usize) -> f32) -> Tensor<3> {
    let [rows, time, _] = values.dims();
    let mut mask = vec![0.0f32; rows * time];
    for (row, length) in mask.chunks_exact_mut(time.max(1)).zip(lengths) {
        row[..*length].fill(inside(*length));
    }
    Tensor::from_data(TensorData::new(mask, [rows, time, 1]), &values.device())
}

#[cfg(test)]
mod tests {
    use super::*;
    use burn::tensor::Device;

    #[test]
    fn filling_does_not_count() {
        let values = Tensor::<3>::from_floats(
            [[[1.0, 2.0], [3.0, 4.0], [9.0, 9.0]], [[5.0, 6.0], [9.0, 9.0], [9.0, 9.0]]],
            &Device::flex(),
        );
        let pooled = Encoded::Sequence { values, lengths: vec![2, 1] }.pooled();
        assert_eq!(pooled.into_data().try_into_vec::<f32>().unwrap(), [2.0, 3.0, 5.0, 6.0]);
    }

    #[test]
    fn a_map_is_pooled_over_its_places() {
        let values =
            Tensor::<4>::from_floats([[[[1.0, 2.0], [3.0, 6.0]], [[0.0, 0.0], [0.0, 4.0]]]], &Device::flex());
        assert_eq!(Encoded::Map(values).pooled().into_data().try_into_vec::<f32>().unwrap(), [3.0, 1.0]);
    }
}
