//! Evidence: models of n-grams that are fitted by themselves, beside a network that is trained.
//!
//! How often an n-gram comes in one class and in the others says something also where it is too rare to be learned from
//! ([`bayes`]), and what holds the classes apart by a margin is not what makes their probabilities fit best ([`margin`]).
//! Either is wrong in other ways than what is trained, so that all together are right more often than any (Wang and
//! Manning 2012, <https://aclanthology.org/P12-2018/>; Raina et al. 2003, <https://ai.stanford.edu/~ang/papers/nips03-hybrid.pdf>).
//! The network is trained without the evidence, which would explain the train part by itself; val then says how much
//! each counts. Once val has told that and all else that it is asked, its rows are evidence too: every model is fitted anew
//! to train and val together.

mod bayes;
mod margin;

pub use bayes::{are_short, emphasis};

use crate::baselines::minimize;
use crate::evaluate::TruthValues;
use crate::train::Examples;
use burn::module::{Module, Param};
use burn::tensor::{Device, Tensor, TensorData};
use outset_data::Features;
use outset_ops::Bags;
use std::sync::Arc;

/// Rows that a fitted share or strength must speak against to leave its first value: few rows say little.
const DOUBT: f64 = 4.0;

/// Which models of an encoder's n-grams stand beside the network.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Counted {
    /// N-grams.
    pub size: usize,
    pub naive_bayes: bool,
    pub margin: bool,
}

/// The evidence of one or more inputs of n-grams about one category.
#[derive(Module, Debug)]
pub struct Evidence {
    /// Of each input `[n-grams, classes]`: how much an n-gram speaks for each class.
    tables: Vec<Param<Tensor<2>>>,
    /// `[classes]`.
    bias: Param<Tensor<1>>,
    /// `[2]`: what the network's raw outputs and the evidence are multiplied by.
    shares: Param<Tensor<1>>,
    /// The inputs that naive Bayes goes by.
    #[module(skip)]
    naive_bayes: Vec<usize>,
    /// The inputs that the margin goes by.
    #[module(skip)]
    margin: Vec<usize>,
    /// How much each model counts, the network first; nothing before it is known.
    #[module(skip)]
    counts: Vec<f64>,
    /// The encoders of the inputs.
    #[module(skip)]
    encoders: Vec<usize>,
    /// The output.
    #[module(skip)]
    output: usize,
}

/// The rows that evidence is fitted to.
struct Sample<'a> {
    inputs: Vec<&'a Features>,
    /// N-grams of each input.
    sizes: Vec<usize>,
    rows: &'a [u32],
    /// The class of every row of the data.
    actual: &'a [u32],
    classes: usize,
    /// How much every row of the data counts.
    weights: Option<&'a [f32]>,
}

impl Sample<'_> {
    fn weight(&self, row: u32) -> f64 {
        self.weights.map_or(1.0, |weights| f64::from(weights[row as usize]))
    }

    /// The n-grams of a row: input, index and weight.
    fn ngrams(&self, row: u32) -> impl Iterator<Item = (usize, usize, f64)> {
        self.inputs.iter().enumerate().flat_map(move |(input, features)| {
            let (range, indices, weights) = match features {
                Features::Weighted { offsets, indices, weights } => {
                    (offsets[row as usize]..offsets[row as usize + 1], &indices[..], &weights[..])
                }
                _ => (0..0, &[][..], &[][..]),
            };
            range.map(move |at| (input, indices[at] as usize, f64::from(weights[at])))
        })
    }
}

/// What the n-grams of a sample say of classes.
#[derive(Debug)]
struct Said {
    /// Of each input `[n-grams, classes]`.
    tables: Vec<Vec<f32>>,
    /// `[classes]`.
    bias: Vec<f32>,
}

impl Evidence {
    /// Makes evidence of encoders that says nothing yet, about an output of so many classes.
    pub fn new(inputs: &[(usize, Counted)], output: usize, classes: usize, device: &Device) -> Self {
        let zeros = |rows: usize| Param::from_tensor(Tensor::zeros([rows, classes], device));
        let those = |go_by: &dyn Fn(&Counted) -> bool| {
            (0..inputs.len()).filter(|input| go_by(&inputs[*input].1)).collect()
        };
        Self {
            tables: inputs.iter().map(|(_, counted)| zeros(counted.size.max(1))).collect(),
            bias: Param::from_tensor(Tensor::zeros([classes], device)),
            shares: vector(vec![1.0, 0.0], device),
            counts: Vec::new(),
            naive_bayes: those(&|counted| counted.naive_bayes),
            margin: those(&|counted| counted.margin),
            encoders: inputs.iter().map(|(encoder, _)| *encoder).collect(),
            output,
        }
    }

    /// The output that it speaks of.
    pub fn output(&self) -> usize {
        self.output
    }

    /// The encoders whose n-grams it counts.
    pub fn encoders(&self) -> &[usize] {
        &self.encoders
    }

    /// What the n-grams of rows say, `[rows, classes]`; `bags` are those of the evidence's encoders.
    fn forward(&self, bags: &[Arc<Bags>]) -> Tensor<2> {
        let said =
            self.tables.iter().zip(bags).map(|(table, bags)| outset_ops::bag(table.val(), bags.clone()));
        let sum =
            said.reduce(|sum, said| sum + said).unwrap_or_else(|| unreachable!("evidence has an input"));
        sum + self.bias.val().unsqueeze::<2>()
    }

    /// A network's raw outputs with the evidence.
    pub fn add_to(&self, raw: Tensor<2>, bags: &[Arc<Bags>]) -> Tensor<2> {
        let shares = self.shares.val().into_data().try_into_vec::<f32>().unwrap_or_default();
        match shares[..] {
            [network, evidence] if evidence != 0.0 => raw * network + self.forward(bags) * evidence,
            _ => raw,
        }
    }

    /// Counts the train rows; `inputs` are the features of the evidence's encoders. Returns of each encoder that naive
    /// Bayes goes by, and of each of its n-grams, the mean of the squares of what it says.
    pub fn count(
        &mut self,
        examples: &Examples<'_>,
        inputs: &[&Features],
        device: &Device,
    ) -> Vec<(usize, Vec<f64>)> {
        let Some(sample) = self.sample(&self.naive_bayes, examples, inputs) else { return Vec::new() };
        let (said, squares) = bayes::count(&sample);
        let of = self.naive_bayes.clone();
        self.say(&of, said, device);
        of.into_iter().map(|input| self.encoders[input]).zip(squares).collect()
    }

    /// Makes up for what the n-grams of an encoder are multiplied by.
    pub fn divide(&mut self, encoder: usize, emphasis: &[f32], device: &Device) {
        let Some(input) = self.encoders.iter().position(|other| *other == encoder) else { return };
        let table = self.tables[input].val();
        let shape = table.dims();
        let mut values = table.into_data().try_into_vec::<f32>().unwrap_or_default();
        for (values, emphasis) in values.chunks_exact_mut(shape[1]).zip(emphasis) {
            values.iter_mut().for_each(|value| *value /= emphasis);
        }
        self.tables[input] = Param::from_tensor(Tensor::from_data(TensorData::new(values, shape), device));
    }

    /// Evidence by a margin between the classes of the train rows, if that is asked for.
    pub fn by_margin(&self, examples: &Examples<'_>, inputs: &[&Features], device: &Device) -> Option<Self> {
        let sample = self.sample(&self.margin, examples, inputs)?;
        let mut other = self.clone();
        other.say(&self.margin, margin::fit(&sample), device);
        Some(other)
    }

    /// The train rows with some of the inputs, if there are any.
    fn sample<'a>(
        &self,
        of: &[usize],
        examples: &Examples<'a>,
        inputs: &[&'a Features],
    ) -> Option<Sample<'a>> {
        let TruthValues::Category(actual) = &examples.truths[self.output].values else { return None };
        (!of.is_empty()).then(|| Sample {
            inputs: of.iter().map(|input| inputs[*input]).collect(),
            sizes: of.iter().map(|input| self.tables[*input].val().dims()[0]).collect(),
            rows: examples.train,
            actual,
            classes: self.bias.val().dims()[0],
            weights: examples.weights,
        })
    }

    /// Takes over what some of the inputs say; the others say nothing.
    fn say(&mut self, of: &[usize], said: Said, device: &Device) {
        let mut said_by: Vec<Option<Vec<f32>>> = vec![None; self.tables.len()];
        of.iter().zip(said.tables).for_each(|(input, values)| said_by[*input] = Some(values));
        for (table, values) in self.tables.iter_mut().zip(said_by) {
            let shape = table.val().dims();
            *table = Param::from_tensor(match values {
                Some(values) => Tensor::from_data(TensorData::new(values, shape), device),
                None => Tensor::zeros(shape, device),
            });
        }
        self.bias = vector(said.bias, device);
    }

    /// Finds how much network and evidence count, by the network's raw outputs on the val rows and by what each evidence
    /// says there, which none of them has seen; all evidence is joined in this one. `bags` are those of the val rows.
    pub fn settle(
        &mut self,
        by_margin: Option<Self>,
        raw: &[f32],
        bags: &[Vec<Arc<Bags>>],
        examples: &Examples<'_>,
        device: &Device,
    ) {
        let TruthValues::Category(classes) = &examples.truths[self.output].values else { return };
        let actual: Vec<usize> = examples.val.iter().map(|row| classes[*row as usize] as usize).collect();
        let weight = |row: &u32| examples.weights.map_or(1.0, |weights| f64::from(weights[*row as usize]));
        let weights: Vec<f64> = examples.val.iter().map(weight).collect();
        let others: Vec<Self> = self.counted().into_iter().chain(by_margin).collect();
        let mut voices = vec![raw.to_vec()];
        for evidence in &others {
            let said = bags.iter().flat_map(|bags| {
                evidence.forward(bags).into_data().try_into_vec::<f32>().unwrap_or_default()
            });
            voices.push(said.collect());
        }
        self.counts = shares(&voices, &actual, &weights);
        self.join(&others, device);
    }

    /// What was counted, if anything was.
    pub fn counted(&self) -> Option<Self> {
        (!self.naive_bayes.is_empty()).then(|| self.clone())
    }

    /// Whether anything but the network counts.
    pub fn speaks(&self) -> bool {
        self.counts.iter().skip(1).any(|share| *share > 0.0)
    }

    /// Joins what several models say to one, each by how much it counts.
    pub fn join(&mut self, others: &[Self], device: &Device) {
        let found = self.counts.clone();
        for (input, table) in self.tables.iter_mut().enumerate() {
            let tables = others.iter().map(|evidence| evidence.tables[input].val());
            joined(tables, &found[1..]).into_iter().for_each(|sum| *table = Param::from_tensor(sum));
        }
        let biases = others.iter().map(|evidence| evidence.bias.val());
        joined(biases, &found[1..]).into_iter().for_each(|sum| self.bias = Param::from_tensor(sum));
        // The shares of the evidence are in its tables by now.
        self.shares = vector(vec![found[0] as f32, if self.speaks() { 1.0 } else { 0.0 }], device);
    }
}

/// The sum of what several models say, each times its share.
fn joined<const D: usize>(said: impl Iterator<Item = Tensor<D>>, shares: &[f64]) -> Option<Tensor<D>> {
    said.zip(shares).map(|(said, share)| said * *share).reduce(|sum, more| sum + more)
}

/// What the raw outputs of several models, the network's first, are to be multiplied by, so that their sum fits best.
///
/// A model that misleads is left out; where only one is left, its answer stands as it is.
fn shares(voices: &[Vec<f32>], actual: &[usize], weights: &[f64]) -> Vec<f64> {
    let width = voices[0].len() / actual.len().max(1);
    let total: f64 = weights.iter().sum();
    let mut heard: Vec<usize> = (0..voices.len()).collect();
    let mut shares = vec![0.0; voices.len()];
    while heard.len() > 1 {
        let alike = 1.0 / heard.len() as f64;
        let found = minimize(vec![alike; heard.len()], 100, |shares, gradient| {
            let pull = DOUBT / actual.len().max(1) as f64;
            let mut loss = 0.0;
            for (slope, share) in gradient.iter_mut().zip(shares) {
                *slope = pull * (share - alike);
                loss += 0.5 * pull * (share - alike).powi(2);
            }
            for (row, class) in actual.iter().enumerate() {
                let of = |voice: usize, k: usize| f64::from(voices[heard[voice]][row * width + k]);
                let sum = |k| shares.iter().enumerate().map(|(voice, share)| share * of(voice, k)).sum();
                let sums: Vec<f64> = (0..width).map(sum).collect();
                let (slopes, lost) = slopes(&sums, *class);
                let share = weights[row] / total;
                loss += share * lost;
                for (voice, of_voice) in gradient.iter_mut().enumerate() {
                    *of_voice +=
                        share * slopes.iter().enumerate().map(|(k, slope)| slope * of(voice, k)).sum::<f64>();
                }
            }
            loss
        });
        let least = (0..found.len()).min_by(|a, b| found[*a].total_cmp(&found[*b])).unwrap_or(0);
        if found[least] > 0.0 {
            heard.iter().zip(&found).for_each(|(voice, share)| shares[*voice] = *share);
            return shares;
        }
        heard.remove(least);
    }
    shares[heard[0]] = 1.0;
    shares
}

fn vector(values: Vec<f32>, device: &Device) -> Param<Tensor<1>> {
    let size = values.len();
    Param::from_tensor(Tensor::from_data(TensorData::new(values, [size]), device))
}

/// The derivative of cross-entropy by each raw output, and its value.
fn slopes(sums: &[f64], class: usize) -> (Vec<f64>, f64) {
    let largest = sums.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let mut slopes: Vec<f64> = sums.iter().map(|sum| (sum - largest).exp()).collect();
    let total: f64 = slopes.iter().sum();
    slopes.iter_mut().for_each(|slope| *slope /= total);
    let loss = total.ln() + largest - sums[class];
    slopes[class] -= 1.0;
    (slopes, loss)
}

#[cfg(test)]
mod testing {
    use super::Sample;
    use outset_data::Features;

    /// A sample of rows that all count alike.
    pub fn sample<'a>(
        inputs: &[&'a Features],
        size: usize,
        rows: &'a [u32],
        actual: &'a [u32],
        classes: usize,
    ) -> Sample<'a> {
        let sizes = vec![size; inputs.len()];
        Sample { inputs: inputs.to_vec(), sizes, rows, actual, classes, weights: None }
    }

    /// Two n-grams that tell the class and one that does not.
    pub fn features() -> Features {
        Features::Weighted {
            offsets: vec![0, 2, 4, 6, 8],
            indices: vec![0, 2, 1, 2, 0, 2, 1, 2],
            weights: vec![1.0; 8],
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::evaluate::Truth;

    #[test]
    fn each_model_goes_by_the_inputs_that_ask_for_it() {
        let device = Device::flex();
        let features = testing::features();
        let counted = |naive_bayes, margin| Counted { size: 3, naive_bayes, margin };
        let inputs = [(5, counted(true, false)), (2, counted(false, true))];
        let mut evidence = Evidence::new(&inputs, 0, 2, &device);
        let truth = Truth {
            name: "class".to_owned(),
            classes: vec!["a".to_owned(), "b".to_owned()],
            values: TruthValues::Category(vec![0, 1, 0, 1]),
            mean: 0.0,
            scale: 1.0,
            positive: None,
        };
        let examples = Examples {
            features: &[],
            targets: &[],
            weights: None,
            truths: &[truth],
            train: &[0, 1, 2, 3],
            val: &[],
            loss_unit: 1.0,
        };
        let of = [&features, &features];
        let counted = evidence.count(&examples, &of, &device);
        assert_eq!(
            counted.iter().map(|(encoder, squares)| (*encoder, squares.len())).collect::<Vec<_>>(),
            [(5, 3)]
        );
        let by_margin = evidence.by_margin(&examples, &of, &device).unwrap();
        let speak = |evidence: &Evidence| -> Vec<bool> {
            let values = |table: &Param<Tensor<2>>| table.val().into_data().try_into_vec::<f32>().unwrap();
            evidence.tables.iter().map(|table| values(table).iter().any(|value| *value != 0.0)).collect()
        };
        assert_eq!((speak(&evidence), speak(&by_margin)), (vec![true, false], vec![false, true]));
    }

    #[test]
    fn shares_follow_what_is_right() {
        let find = |voices: &[[f32; 8]], times: usize| {
            let voices: Vec<Vec<f32>> = voices.iter().map(|voice| voice.repeat(times)).collect();
            shares(&voices, &[0, 1, 0, 1].repeat(times), &vec![1.0; 4 * times])
        };
        let right = [1.0, 0.0, 0.0, 1.0, 1.0, 0.0, 0.0, 1.0];
        let wrong = [0.0, 1.0, 1.0, 0.0, 0.0, 1.0, 1.0, 0.0];
        let mixed = [0.5, 0.0, 0.0, 0.5, 0.0, 0.5, 0.0, 0.5];
        assert_eq!(find(&[right], 1), [1.0]);
        assert_eq!(find(&[right, wrong], 100), [1.0, 0.0]);
        assert_eq!(find(&[wrong, right, wrong], 100), [0.0, 1.0, 0.0]);
        let (few, many) = (find(&[mixed, right], 1), find(&[mixed, right], 100));
        assert!(few[1] > 0.5 && few[1] < many[1] && many[1] > 2.0 && many[0] > 0.0, "{few:?} {many:?}");
        let found = find(&[mixed, wrong, right], 100);
        assert_eq!(found[1], 0.0);
        for (found, expected) in found.iter().zip([many[0], 0.0, many[1]]) {
            assert!((found - expected).abs() < 1e-6, "{found} {expected}");
        }
    }
}
