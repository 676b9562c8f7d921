//! Tags: a label for each step of a sequence, decided for all steps together by a linear-chain conditional random field.
//!
//! Lafferty et al. 2001, <https://repository.upenn.edu/cis_papers/159>; on top of a recurrent network: Huang et al. 2015,
//! <https://arxiv.org/abs/1508.01991>. With `cross_entropy` as loss each step is decided by itself, but for what no tags
//! of entities can follow.
//!
//! The answers of some rows lie one after the other: of each row the number of its steps, the probability of all of its
//! tags together, and the tags. [`by_row`] finds them.

use super::{Decode, Head, Needs, Raw, TargetBatch, Wanted};
use crate::encoders::Wishes;
use crate::init::Init;
use crate::losses::{self, Loss};
use burn::module::{Module, Param};
use burn::tensor::{Int, Tensor, TensorData};
use outset_data::FittedOutput;
use outset_spec::{Bounds, Problems, Section, settings};

settings! {
    /// Settings of tags to predict.
    pub struct Settings {
        /// What is minimised: `crf` decides the tags of a text together, `cross_entropy` or `focal` each by itself.
        loss: Section = Section::of("crf");
        /// How much this output's loss counts beside those of other outputs.
        weight: f64 = 1.0, in Bounds::at_least(0.0);
    }
}

/// Decodes tags.
#[derive(Module, Debug)]
pub struct Decoder {
    head: Head,
    /// `[tags + 2, tags]`: what a step from a tag to the next adds to a score, then what beginning and ending do.
    chain: Option<Param<Tensor<2>>>,
    #[module(skip)]
    loss: Loss,
    /// Which of those may be taken.
    #[module(skip)]
    allowed: Vec<bool>,
    /// Steps of a row of train, on average: a row's loss is divided by it, so that it is one of a step.
    #[module(skip)]
    mean_length: f64,
}

impl Decoder {
    /// Makes the decoder of a fitted output.
    pub fn new(output: &FittedOutput, loss: Loss, members: usize, features: usize, init: &mut Init) -> Self {
        let Some(tags) = output.tags() else { unreachable!("the output is one of tags") };
        let width = tags.len();
        Self {
            head: Head::new(members, features, width, init),
            chain: matches!(loss, Loss::Crf(_)).then(|| init.constant([width + 2, width], 0.0)),
            loss,
            allowed: tags.allowed(),
            mean_length: tags.mean_length.max(1.0),
        }
    }

    /// Loss of tags that are decided together.
    fn of_chain(&self, raw: Raw, chain: Tensor<2>, tags: &[Vec<u32>], shares: &[f32]) -> Tensor<1> {
        let [count, width] = raw.values.dims();
        let (rows, device) = (tags.len(), raw.values.device());
        let time = count / rows.max(1);
        let lengths: Vec<usize> = tags.iter().map(|tags| tags.len().min(time)).collect();
        let mut padded = vec![0i32; rows * time];
        for (row, tags) in padded.chunks_exact_mut(time.max(1)).zip(tags) {
            row.iter_mut().zip(tags).for_each(|(place, tag)| *place = *tag as i32);
        }
        let targets = Tensor::<2, Int>::from_data(TensorData::new(padded, [rows, time]), &device);
        let emissions = raw.values.reshape([rows, time, width]);
        outset_ops::crf(emissions, chain, targets, &lengths, shares) / self.mean_length
    }

    /// Loss of tags that are decided each by itself: the mean over the steps.
    fn of_steps(&self, raw: Raw, tags: &[Vec<u32>], shares: &[f32]) -> Tensor<1> {
        let device = raw.values.device();
        let time = raw.values.dims()[0] / tags.len().max(1);
        let (mut places, mut classes, mut weights) = (Vec::new(), Vec::new(), Vec::new());
        for (row, (tags, share)) in tags.iter().zip(shares).enumerate() {
            for (step, tag) in tags.iter().take(time).enumerate() {
                places.push((row * time + step) as i32);
                classes.push(*tag as i32);
                weights.push(*share);
            }
        }
        if places.is_empty() {
            return raw.values.sum() * 0.0;
        }
        let (count, total) = (places.len(), weights.iter().sum::<f32>().max(f32::MIN_POSITIVE));
        weights.iter_mut().for_each(|weight| *weight /= total);
        let integers =
            |values: Vec<i32>| Tensor::<1, Int>::from_data(TensorData::new(values, [count]), &device);
        let values = outset_ops::embedding(raw.values, integers(places));
        let weights = Tensor::<1>::from_data(TensorData::new(weights, [count]), &device);
        self.loss.forward(values, losses::Targets::Classes(integers(classes)), weights)
    }
}

impl Decode for Decoder {
    const NEEDS: Needs = Needs::Sequence;

    fn wishes(rows: usize) -> Wishes {
        Wishes {
            learning_rate: Some(2e-3),
            epochs: Some((100_000 / rows.max(1)).clamp(10, 40)),
            batch_size: Some(32),
            ready: true,
            ..Wishes::default()
        }
    }

    fn head(&self) -> &Head {
        &self.head
    }

    fn criterion(&self) -> &Loss {
        &self.loss
    }

    fn loss(&self, raw: Raw, targets: &TargetBatch) -> Tensor<1> {
        let Wanted::Tags { tags, shares } = &targets.wanted else { unreachable!("the targets are tags") };
        match &self.chain {
            Some(chain) => self.of_chain(raw, chain.val(), tags, shares),
            None => self.of_steps(raw, tags, shares),
        }
    }

    fn answers(&self, raw: Raw, members: usize) -> Vec<f64> {
        let ([count, width], rows) = (raw.values.dims(), raw.lengths.len());
        let (time, device) = (count / (members * rows).max(1), raw.values.device());
        let emissions = raw.values.reshape([members, rows * time, width]).mean_dim(0);
        let chain = match &self.chain {
            Some(chain) => chain.val(),
            None => Tensor::zeros([width + 2, width], &device),
        };
        let best =
            outset_ops::crf_best(emissions.reshape([rows, time, width]), chain, &raw.lengths, &self.allowed);
        best.into_iter()
            .flat_map(|best| {
                let tags = best.tags.into_iter().map(f64::from);
                [tags.len() as f64, best.probability].into_iter().chain(tags)
            })
            .collect()
    }
}

/// The answer to a row.
#[derive(Clone, Debug, PartialEq)]
pub struct Tagged {
    /// Of all tags together.
    pub probability: f64,
    pub tags: Vec<u32>,
}

/// The answers to some rows, one by one.
pub fn by_row(answers: &[f64]) -> Vec<&[f64]> {
    let (mut rows, mut rest) = (Vec::new(), answers);
    while let Some(steps) = rest.first() {
        let (row, others) = rest.split_at((2 + *steps as usize).min(rest.len()));
        rows.push(row);
        rest = others;
    }
    rows
}

/// Reads the answer to a row.
pub fn tagged(answer: &[f64]) -> Tagged {
    let tags = answer.get(2..).unwrap_or_default().iter().map(|tag| *tag as u32).collect();
    Tagged { probability: answer.get(1).copied().unwrap_or(0.0), tags }
}

/// Reads the loss, which must be one of tags.
pub(super) fn loss(settings: &Settings, path: &str, problems: &mut Problems) -> Loss {
    Loss::read(&settings.loss, path, &["crf", "cross_entropy", "focal"], problems)
}

#[cfg(test)]
mod tests {
    use super::*;
    use burn::tensor::Device;
    use outset_data::Targets;
    use outset_data::types::{Classes, TagsOutput};

    const TAGS: usize = 3;

    fn decoder(loss: &str) -> Decoder {
        let output = FittedOutput::Tags(TagsOutput {
            of: "text".to_owned(),
            scheme: "iob2".to_owned(),
            types: Classes::new([("x".to_owned(), 1)]),
            mean_length: 2.0,
            missing: Vec::new(),
        });
        let mut problems = Problems::default();
        let loss = Loss::read(&Section::of(loss), "loss", &["crf", "cross_entropy"], &mut problems);
        assert_eq!(problems, Problems::default());
        Decoder::new(&output, loss, 1, 4, &mut Init::new(1, &Device::flex()))
    }

    /// Raw outputs of rows of 3 and 1 steps, the latter with 2 of filling.
    fn raw(values: [f32; 6 * TAGS]) -> Raw {
        let values = Tensor::from_data(TensorData::new(values.to_vec(), [6, TAGS]), &Device::flex());
        Raw { values, lengths: vec![3, 1] }
    }

    fn batch() -> TargetBatch {
        let targets = Targets::Tags { offsets: vec![0, 3, 4], tags: vec![1, 2, 0, 0] };
        TargetBatch::gather(&targets, None, &[0, 1], 1, &Device::flex())
    }

    fn loss(decoder: &Decoder, raw: Raw) -> f32 {
        Decode::loss(decoder, raw, &batch()).into_scalar()
    }

    #[test]
    fn knowing_nothing_costs_the_logarithm_of_the_tags() {
        for kind in ["crf", "cross_entropy"] {
            let value = loss(&decoder(kind), raw([0.0; 6 * TAGS]));
            assert!((value - (TAGS as f32).ln()).abs() < 1e-5, "{kind}: {value}");
        }
    }

    #[test]
    fn filling_changes_neither_loss_nor_answer() {
        let mut values = [0.0; 6 * TAGS];
        values.iter_mut().enumerate().for_each(|(at, value)| *value = (at * 7 % 11) as f32 / 5.0);
        let mut others = values;
        others[4 * TAGS..].fill(9.0);
        for kind in ["crf", "cross_entropy"] {
            let decoder = decoder(kind);
            assert_eq!(loss(&decoder, raw(values)), loss(&decoder, raw(others)), "{kind}");
            let (a, b) = (decoder.answers(raw(values), 1), decoder.answers(raw(others), 1));
            assert_eq!(a, b, "{kind}");
            let rows = by_row(&a);
            assert_eq!(rows.iter().map(|row| tagged(row).tags.len()).collect::<Vec<_>>(), [3, 1]);
        }
    }

    #[test]
    fn nothing_goes_on_that_has_not_begun() {
        // `I-x` is the likeliest of every step.
        let mut values = [0.0; 6 * TAGS];
        values.chunks_mut(TAGS).for_each(|step| step.copy_from_slice(&[0.0, 1.0, 3.0]));
        let answers = decoder("cross_entropy").answers(raw(values), 1);
        let tags: Vec<Vec<u32>> = by_row(&answers).into_iter().map(|row| tagged(row).tags).collect();
        assert_eq!(tags, [vec![1, 2, 2], vec![1]]);
    }
}
