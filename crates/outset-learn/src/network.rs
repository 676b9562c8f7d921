//! The one network: encoders, combiner, decoders.

use crate::combiner::{self, Combiner};
use crate::decoders::{self, Decoder, Needs, Raw, TargetBatch};
use crate::encoders::{self, Encoded, Encoder, Gathered, Mixing, Wishes};
use crate::error::LearnError;
use crate::evidence::{self, Counted, Evidence};
use crate::init::Init;
use crate::losses::Loss;
use crate::machine;
use crate::order::mix;
use crate::train::{COPIES, Examples};
use burn::module::Module;
use burn::tensor::{Device, Tensor};
use outset_data::{FeatureShape, Features, Preprocessor, Targets};
use outset_ops::Bags;
use std::sync::Arc;

/// Rows that are answered at a time, at most: keeps memory small, and answers the same however many rows are asked for.
const CHUNK: usize = 256;

/// Sets the keys of the encoders' dropout apart from that of the combiner.
const OF_ENCODERS: u64 = 1 << 32;

/// What a network is built from, every choice made; with the same preprocessor it gives the same network.
#[derive(Clone, Debug, PartialEq)]
pub struct Design {
    /// One for each input, in the preprocessor's order.
    pub encoders: Vec<encoders::Settings>,
    pub combiner: combiner::Settings,
    /// One for each output, in the preprocessor's order.
    pub decoders: Vec<(decoders::Settings, Loss)>,
}

/// Encoders, combiner and decoders.
#[derive(Module, Debug)]
pub struct Network {
    encoders: Vec<Encoder>,
    combiner: Combiner,
    decoders: Vec<Decoder>,
    /// What the n-grams of texts say of categories by themselves.
    evidence: Vec<Evidence>,
    /// For each encoder the inputs that it takes.
    #[module(skip)]
    columns: Vec<Vec<usize>>,
    /// For each decoder of sequences the encoder of the input that it speaks of.
    #[module(skip)]
    sequences: Vec<Option<usize>>,
    /// Rows that are answered at a time.
    #[module(skip)]
    chunk: usize,
}

/// A batch as tensors.
#[derive(Clone, Debug)]
pub struct Batch {
    pub inputs: Vec<Gathered>,
    pub targets: Vec<TargetBatch>,
}

impl Design {
    /// Builds the network with its first weights, on `device`.
    pub fn build(&self, preprocessor: &Preprocessor, seed: u64, device: &Device) -> Network {
        machine::expect_memory(0);
        self.assemble(preprocessor, &mut Init::new(seed, device))
    }

    /// Finds out whether the network can be trained with the memory that there is, without building it.
    ///
    /// # Errors
    /// If its weights and what training keeps beside them take more.
    pub fn check_memory(&self, preprocessor: &Preprocessor) -> Result<(), LearnError> {
        let parameters = self.parameters(preprocessor);
        let bytes = parameters * 4.0 * (1 + COPIES) as f64;
        match machine::usable_memory_bytes() {
            Some(usable) if bytes > usable => Err(LearnError::TooLarge { parameters, bytes, usable }),
            _ => Ok(()),
        }
    }

    /// Counts the parameters of the network without making them.
    fn parameters(&self, preprocessor: &Preprocessor) -> f64 {
        let mut init = Init::counting(&Device::flex());
        self.assemble(preprocessor, &mut init);
        init.counted()
    }

    fn assemble(&self, preprocessor: &Preprocessor, init: &mut Init) -> Network {
        let mut shapes: Vec<FeatureShape> = preprocessor.inputs.values().map(|input| input.shape()).collect();
        if shapes.len() > 1 {
            // Mixed pictures would no longer fit to the other inputs of their rows; `prepare` says so.
            for shape in &mut shapes {
                if let FeatureShape::Image { augment, .. } = shape {
                    (augment.mixup, augment.cutmix) = (0.0, 0.0);
                }
            }
        }
        let mut groups: Vec<(&encoders::Settings, Vec<usize>)> = Vec::new();
        for (column, settings) in self.encoders.iter().enumerate() {
            match groups.iter_mut().find(|(other, _)| settings.takes_many() && *other == settings) {
                Some((_, columns)) => columns.push(column),
                None => groups.push((settings, vec![column])),
            }
        }
        let (mut encoders, mut columns) = (Vec::new(), Vec::new());
        for (settings, group) in groups {
            let shapes: Vec<FeatureShape> = group.iter().map(|column| shapes[*column].clone()).collect();
            encoders.push(settings.build(&shapes, init));
            columns.push(group);
        }
        let width = encoders.iter().map(Encoder::width).sum();
        let combiner = self.combiner.build(width, init);
        let decoders: Vec<Decoder> = self
            .decoders
            .iter()
            .zip(preprocessor.outputs.values())
            .map(|((settings, loss), output)| {
                settings.build(output, loss.clone(), combiner.members(), combiner.width(), init)
            })
            .collect();
        let sequences = decoders.iter().zip(preprocessor.outputs.values()).map(|(decoder, output)| {
            let input = output.tags().and_then(|tags| preprocessor.inputs.get_index_of(&tags.of));
            let of_input = |group: &Vec<usize>| input.is_some_and(|input| group.contains(&input));
            (decoder.needs() == Needs::Sequence).then(|| columns.iter().position(of_input)).flatten()
        });
        let sequences = sequences.collect();
        let chunk = self.wishes(0).rows_at_once.unwrap_or(CHUNK).min(CHUNK);
        let evidence = evidence(&encoders, preprocessor, combiner.members(), init.device());
        Network { encoders, combiner, decoders, evidence, columns, sequences, chunk }
    }

    /// The network in a line: what each part is.
    pub fn words(&self, network: &Network) -> String {
        let kinds: Vec<String> = self
            .combiner
            .to_section()
            .parameters
            .0
            .iter()
            .map(|(key, entry)| format!("{key} {}", entry.node.value))
            .collect();
        let features = network.features();
        let plural = if features == 1 { "" } else { "s" };
        [format!("{features} feature{plural}")].into_iter().chain(kinds).collect::<Vec<_>>().join(", ")
    }

    /// What decoders and encoders ask of training; `rows` are those to train on.
    pub fn wishes(&self, rows: usize) -> Wishes {
        wishes(&self.encoders, &self.decoders, rows)
    }

    /// How much each output's loss counts.
    pub fn weights(&self) -> Vec<f64> {
        self.decoders.iter().map(|(settings, _)| settings.weight()).collect()
    }
}

/// Numbers that the evidence about a category may take: more would fill the memory of a small machine.
const EVIDENCE: usize = 1 << 26;

/// Evidence for each category, where there are texts whose n-grams are counted.
fn evidence(
    encoders: &[Encoder],
    preprocessor: &Preprocessor,
    members: usize,
    device: &Device,
) -> Vec<Evidence> {
    let counted = encoders.iter().enumerate();
    let inputs: Vec<(usize, Counted)> =
        counted.filter_map(|(index, encoder)| Some((index, encoder.counted()?))).collect();
    if inputs.is_empty() || members > 1 {
        return Vec::new();
    }
    let size: usize = inputs.iter().map(|(_, counted)| counted.size).sum();
    let categories = preprocessor.outputs.values().enumerate().filter(|(_, o)| o.kind() == "category");
    let small = categories.filter(|(_, output)| size * output.classes().len() <= EVIDENCE);
    small.map(|(index, output)| Evidence::new(&inputs, index, output.classes().len(), device)).collect()
}

/// What decoders and encoders ask of training, decoders first; `rows` are those to train on.
pub fn wishes(
    encoders: &[encoders::Settings],
    decoders: &[(decoders::Settings, Loss)],
    rows: usize,
) -> Wishes {
    let of_decoders = decoders.iter().map(|(settings, _)| settings.wishes(rows));
    Wishes::of_all(of_decoders.chain(encoders.iter().map(|settings| settings.wishes(rows))))
}

impl Network {
    /// Counts what the n-grams of the train rows say of the categories, before training.
    pub fn count(&mut self, examples: &Examples<'_>, device: &Device) {
        let mut told: Vec<Vec<f64>> = vec![Vec::new(); self.encoders.len()];
        for evidence in &mut self.evidence {
            let inputs = features_of(evidence, &self.columns, examples);
            for (encoder, squares) in evidence.count(examples, &inputs, device) {
                told[encoder].resize(squares.len(), 0.0);
                told[encoder].iter_mut().zip(squares).for_each(|(told, square)| *told += square);
            }
        }
        for (index, (encoder, told)) in self.encoders.iter_mut().zip(told).enumerate() {
            let Some(emphasis) = evidence::emphasis(&told) else { continue };
            if evidence::are_short(&examples.features[self.columns[index][0]], examples.train) {
                self.evidence.iter_mut().for_each(|evidence| evidence.divide(index, &emphasis, device));
                encoder.emphasize(emphasis, device);
            }
        }
    }

    /// Finds by the val rows how much the network's answers and the evidence count, after training.
    pub fn settle(&mut self, examples: &Examples<'_>, device: &Device) {
        if self.evidence.is_empty() {
            return;
        }
        let (mut raw, mut said_by) =
            (vec![Vec::new(); self.evidence.len()], vec![Vec::new(); self.evidence.len()]);
        for rows in examples.val.chunks(self.chunk) {
            let inputs = self.gather(examples.features, rows, device);
            let outputs = self.forward(&inputs, None);
            for (index, evidence) in self.evidence.iter().enumerate() {
                let values = outputs[evidence.output()].values.clone();
                raw[index].extend(values.into_data().try_into_vec::<f32>().unwrap_or_default());
                said_by[index].push(bags(evidence, &inputs));
            }
        }
        for (evidence, (raw, said_by)) in self.evidence.iter_mut().zip(raw.iter().zip(&said_by)) {
            let inputs = features_of(evidence, &self.columns, examples);
            let mut by_margin = evidence.by_margin(examples, &inputs, device);
            by_margin.iter_mut().for_each(|other| divide(other, &self.encoders, device));
            evidence.settle(by_margin, raw, said_by, examples, device);
        }
    }

    /// Fits the evidence anew to train and val together, once nothing more is to be asked of val.
    pub fn recount(&mut self, examples: &Examples<'_>, device: &Device) {
        let rows = [examples.train, examples.val].concat();
        let all = Examples { train: &rows, ..*examples };
        for evidence in self.evidence.iter_mut().filter(|evidence| evidence.speaks()) {
            let inputs = features_of(evidence, &self.columns, &all);
            let mut counted = evidence.counted();
            counted.iter_mut().for_each(|counted| drop(counted.count(&all, &inputs, device)));
            let mut others: Vec<Evidence> =
                counted.into_iter().chain(evidence.by_margin(&all, &inputs, device)).collect();
            others.iter_mut().for_each(|other| divide(other, &self.encoders, device));
            evidence.join(&others, device);
        }
    }

    /// Adds the evidence to raw outputs, `[rows, width]` each.
    fn with_evidence(&self, mut raw: Vec<Raw>, inputs: &[Gathered]) -> Vec<Raw> {
        for evidence in &self.evidence {
            let values = raw[evidence.output()].values.clone();
            raw[evidence.output()].values = evidence.add_to(values, &bags(evidence, inputs));
        }
        raw
    }

    /// Members of the ensemble.
    pub fn members(&self) -> usize {
        self.combiner.members()
    }

    /// Features that the encoders yield for each row.
    pub fn features(&self) -> usize {
        self.encoders.iter().map(Encoder::width).sum()
    }

    /// Collects the inputs of the given rows.
    pub fn gather(&self, features: &[Features], rows: &[u32], device: &Device) -> Vec<Gathered> {
        self.encoders
            .iter()
            .zip(&self.columns)
            .map(|(encoder, columns)| {
                let features: Vec<&Features> = columns.iter().map(|column| &features[*column]).collect();
                encoder.gather(&features, rows, device)
            })
            .collect()
    }

    /// Collects inputs and targets of the given rows.
    pub fn batch(
        &self,
        features: &[Features],
        targets: &[Targets],
        weights: Option<&[f32]>,
        rows: &[u32],
        device: &Device,
    ) -> Batch {
        let targets = targets
            .iter()
            .map(|targets| TargetBatch::gather(targets, weights, rows, self.members(), device))
            .collect();
        Batch { inputs: self.gather(features, rows, device), targets }
    }

    /// Raw outputs, one for each decoder.
    pub fn forward(&self, inputs: &[Gathered], dropout: Option<u64>) -> Vec<Raw> {
        let encoded: Vec<Encoded> = self
            .encoders
            .iter()
            .zip(inputs)
            .enumerate()
            .map(|(index, (encoder, gathered))| {
                encoder.forward(gathered, dropout.map(|key| mix(key, OF_ENCODERS + index as u64)))
            })
            .collect();
        // A lone sequence need not become a vector if no decoder asks for one.
        let pooled: Vec<Tensor<2>> = if self.sequences.iter().all(Option::is_some) && encoded.len() == 1 {
            Vec::new()
        } else {
            self.encoders
                .iter()
                .zip(&encoded)
                .map(|(encoder, encoded)| encoder.pool(encoded.clone()))
                .collect()
        };
        let mut vectors = None;
        self.decoders
            .iter()
            .zip(&self.sequences)
            .map(|(decoder, sequence)| match sequence.map(|index| (index, &encoded[index])) {
                Some((index, Encoded::Sequence { values, lengths })) => {
                    let steps = self.combiner.forward(steps(values.clone(), index, &pooled), dropout);
                    Raw { values: decoder.forward(&steps), lengths: lengths.clone() }
                }
                _ => {
                    let vectors =
                        vectors.get_or_insert_with(|| self.combiner.forward(beside(pooled.clone()), dropout));
                    Raw::of_rows(decoder.forward(vectors))
                }
            })
            .collect()
    }

    /// The weighted sum of the outputs' losses, `[1]`; `dropout` is the key of this step's dropout.
    pub fn loss(&self, batch: &Batch, weights: &[f64], dropout: Option<u64>) -> Tensor<1> {
        let raw = self.forward(&batch.inputs, dropout);
        let Some(mixing) = dropout.and_then(|key| self.mixing(&batch.inputs, key)) else {
            return self.total_loss(raw, batch, weights);
        };
        let others = raw.iter().map(|raw| Raw::of_rows(mixing.of_others(raw.values.clone(), self.members())));
        let others = others.collect();
        self.total_loss(raw, batch, weights) * mixing.share
            + self.total_loss(others, batch, weights) * (1.0 - mixing.share)
    }

    /// How the rows of a training batch are mixed, if the pictures are the only input.
    fn mixing(&self, inputs: &[Gathered], key: u64) -> Option<Mixing> {
        match (&self.encoders[..], inputs) {
            ([encoder], [gathered]) => encoder.mixing(gathered, mix(key, OF_ENCODERS)),
            _ => None,
        }
    }

    fn total_loss(&self, raw: Vec<Raw>, batch: &Batch, weights: &[f64]) -> Tensor<1> {
        self.decoders
            .iter()
            .zip(raw)
            .zip(batch.targets.iter().zip(weights))
            .map(|((decoder, raw), (targets, weight))| {
                let loss = decoder.loss(raw, targets);
                if *weight == 1.0 { loss } else { loss * *weight }
            })
            .reduce(|sum, loss| sum + loss)
            .unwrap_or_else(|| unreachable!("an experiment has at least one output"))
    }

    /// Answers of the given rows, one list for each output: `[rows, width]`, standardised numbers or probabilities; of
    /// tags see [`decoders::tags`].
    pub fn answers(&self, features: &[Features], rows: &[u32], device: &Device) -> Vec<Vec<f64>> {
        let mut answers = vec![Vec::new(); self.decoders.len()];
        for rows in rows.chunks(self.chunk) {
            let inputs = self.gather(features, rows, device);
            let raw = self.with_evidence(self.forward(&inputs, None), &inputs);
            self.append(raw, &mut answers);
        }
        answers
    }

    /// Answers as [`Network::answers`], and the loss of each chunk of rows with the chunk's weight.
    pub fn answers_and_loss(
        &self,
        examples: &Examples<'_>,
        rows: &[u32],
        loss_weights: &[f64],
        device: &Device,
    ) -> (Vec<Vec<f64>>, f64) {
        let mut answers = vec![Vec::new(); self.decoders.len()];
        let (mut sum, mut total) = (0.0, 0.0);
        for rows in rows.chunks(self.chunk) {
            let batch = self.batch(examples.features, examples.targets, examples.weights, rows, device);
            let raw = self.with_evidence(self.forward(&batch.inputs, None), &batch.inputs);
            let loss = f64::from(self.total_loss(raw.clone(), &batch, loss_weights).into_scalar::<f32>());
            let weight = examples.weight_of(rows);
            sum += loss * weight;
            total += weight;
            self.append(raw, &mut answers);
        }
        (answers, sum / total)
    }

    fn append(&self, raw: Vec<Raw>, answers: &mut [Vec<f64>]) {
        for ((decoder, raw), answers) in self.decoders.iter().zip(raw).zip(answers) {
            answers.extend(decoder.answers(raw, self.members()));
        }
    }

    /// Names, shapes and sizes of the parts, for the record.
    pub fn parts(&self) -> Vec<(String, String, usize)> {
        crate::weights::list(self)
    }
}

/// The features of the evidence's inputs; `columns` are those of each encoder.
fn features_of<'a>(
    evidence: &Evidence,
    columns: &[Vec<usize>],
    examples: &Examples<'a>,
) -> Vec<&'a Features> {
    evidence.encoders().iter().map(|encoder| &examples.features[columns[*encoder][0]]).collect()
}

/// Makes up for what the encoders multiply n-grams by.
fn divide(evidence: &mut Evidence, encoders: &[Encoder], device: &Device) {
    for encoder in evidence.encoders().to_vec() {
        if let Some(emphasis) = encoders[encoder].emphasis() {
            evidence.divide(encoder, &emphasis, device);
        }
    }
}

/// The n-grams of the evidence's inputs.
fn bags(evidence: &Evidence, inputs: &[Gathered]) -> Vec<Arc<Bags>> {
    let bags = evidence.encoders().iter().filter_map(|encoder| match &inputs[*encoder] {
        Gathered::Bags(bags) => Some(bags.clone()),
        _ => None,
    });
    bags.collect()
}

/// Features side by side.
fn beside(mut features: Vec<Tensor<2>>) -> Tensor<2> {
    if features.len() == 1 { features.swap_remove(0) } else { Tensor::cat(features, 1) }
}

/// The steps `values [rows, time, features]` of input `index`, one a row, each beside the vectors of the other inputs.
fn steps(values: Tensor<3>, index: usize, pooled: &[Tensor<2>]) -> Tensor<2> {
    let [rows, time, width] = values.dims();
    let values = values.reshape([rows * time, width]);
    let others = pooled.iter().enumerate().map(|(other, vectors)| {
        if other == index {
            return values.clone();
        }
        let width = vectors.dims()[1];
        vectors.clone().unsqueeze_dim::<3>(1).repeat_dim(1, time).reshape([rows * time, width])
    });
    let all: Vec<Tensor<2>> = others.collect();
    if all.is_empty() { values } else { beside(all) }
}
