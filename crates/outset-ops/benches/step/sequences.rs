//! Networks for sequences: GPT, a bidirectional encoder, a recurrent network.

use crate::{
    Step, indices,
    trainer::{Rule, Trainer},
};
use burn::module::Module;
use burn::tensor::{Device, Int, Tensor, TensorData};
use outset_ops::{
    Activation, Attention, AttentionMask, Embedding, LayerNorm, Linear, Lstm, cross_entropy, embedding,
    linear_cross_entropy, recompute, with_recompute,
};

/// Attention and a perceptron, each with normalisation and a path round it.
#[derive(Debug, Module)]
struct Block {
    attention_norm: LayerNorm,
    attention: Attention,
    norm: LayerNorm,
    wide: Linear,
    narrow: Linear,
}

impl Block {
    fn new(width: usize, heads: usize, device: &Device) -> Block {
        Block {
            attention_norm: LayerNorm::new(width, device),
            attention: Attention::new(width, heads, heads, true, device),
            norm: LayerNorm::new(width, device),
            wide: Linear::new(width, 4 * width, true, device),
            narrow: Linear::new(4 * width, width, true, device),
        }
    }

    /// The perceptron's output added to `path`.
    fn perceptron<const D: usize>(&self, x: Tensor<D>, path: Tensor<D>) -> Tensor<D> {
        self.narrow.forward_adding(self.wide.forward_with(x, Activation::Gelu), path)
    }

    /// Normalises before each part, as GPT-2 does.
    fn before(&self, x: Tensor<3>, mask: AttentionMask) -> Tensor<3> {
        let x = self.attention.forward_adding(self.attention_norm.forward(x.clone()), mask, x);
        self.perceptron(self.norm.forward(x.clone()), x)
    }

    /// Normalises after each part, as BERT does; the rows of the sequences lie one after the other.
    fn after(&self, x: Tensor<2>, lengths: &[usize]) -> Tensor<2> {
        let mask = AttentionMask::default();
        let x = self.attention_norm.forward(self.attention.forward_rows(x.clone(), lengths, mask, x));
        self.norm.forward(self.perceptron(x.clone(), x))
    }
}

/// Embeddings of tokens and places, and blocks.
#[derive(Debug, Module)]
struct Transformer {
    tokens: Embedding,
    places: Embedding,
    blocks: Vec<Block>,
    norm: LayerNorm,
    head: Linear,
}

impl Transformer {
    fn new(
        vocabulary: usize,
        outputs: usize,
        width: usize,
        heads: usize,
        time: usize,
        device: &Device,
    ) -> Self {
        Transformer {
            tokens: Embedding::new(vocabulary, width, device),
            places: Embedding::new(time, width, device),
            blocks: (0..4).map(|_| Block::new(width, heads, device)).collect(),
            norm: LayerNorm::new(width, device),
            head: Linear::new(width, outputs, false, device),
        }
    }

    fn embed(&self, tokens: Tensor<2, Int>) -> Tensor<3> {
        self.tokens.forward_sequence(tokens) + self.places.weight.val().unsqueeze()
    }
}

/// 4 layers of width 256, 8 sequences of 256 tokens of 4096.
pub fn gpt(device: &Device) -> Step {
    language_model(256, 4, [8, 256], false, device)
}

/// The same, with the activations of each block computed again in the backward pass.
pub fn gpt_recompute(device: &Device) -> Step {
    language_model(256, 4, [8, 256], true, device)
}

/// 4 layers of width 512, 2 sequences of 1024 tokens of 4096.
pub fn gpt_long(device: &Device) -> Step {
    language_model(512, 8, [2, 1024], false, device)
}

fn language_model(
    width: usize,
    heads: usize,
    [batch, time]: [usize; 2],
    again: bool,
    device: &Device,
) -> Step {
    let vocabulary = 4096;
    let x = indices([batch, time], vocabulary, device);
    let y = indices([batch * time], vocabulary, device);
    let network = Transformer::new(vocabulary, vocabulary, width, heads, time, device);
    let mut trainer = Trainer::new(network, Rule::AdamW, Some(1.0));
    Box::new(move || {
        trainer.step(|net| {
            let start = net.embed(x.clone());
            let x = net.blocks.iter().fold(start, |x, block| {
                let run = |block: &Block, x| block.before(x, AttentionMask::causal());
                with_recompute(again, || recompute(block, x, run))
            });
            let x = net.norm.forward(x).reshape([batch * time, width]);
            linear_cross_entropy(x, net.head.weight.val(), y.clone(), None, 0.0)
        })
    })
}

/// 4 layers of width 256, 32 sequences of 16 to 128 tokens, two classes read from the first.
pub fn bert(device: &Device) -> Step {
    let (batch, time, width) = (32, 128, 256);
    let x = indices([batch, time], 8192, device);
    let y = indices([batch], 2, device);
    // Evenly from the shortest to the longest.
    let lengths: Vec<usize> = (0..batch).map(|n| 16 + n * (time - 16) / (batch - 1)).collect();
    let firsts = (0..batch).map(|n| lengths[..n].iter().sum()).collect();
    let rows = |numbers: Vec<usize>| {
        let numbers: Vec<i64> = numbers.into_iter().map(|number| number as i64).collect();
        Tensor::<1, Int>::from_data(TensorData::new(numbers.clone(), [numbers.len()]), device)
    };
    let of_each = |first: &dyn Fn(usize) -> usize| {
        rows(
            (0..batch)
                .flat_map(|n| (0..lengths[n]).map(move |step| (n, step)))
                .map(|(n, step)| first(n) + step)
                .collect(),
        )
    };
    let (inside, places, firsts) = (of_each(&|n| n * time), of_each(&|_| 0), rows(firsts));
    let network = Transformer::new(8192, 2, width, 4, time, device);
    let mut trainer = Trainer::new(network, Rule::AdamW, Some(1.0));
    Box::new(move || {
        trainer.step(|net| {
            // The batch comes filled up; nothing is computed for the filling.
            let tokens = x.clone().reshape([batch * time]).select(0, inside.clone());
            let start = net.tokens.forward(tokens) + net.places.forward(places.clone());
            let start = net.norm.forward(start);
            let x = net.blocks.iter().fold(start, |x, block| block.after(x, &lengths));
            let first = embedding(x, firsts.clone());
            cross_entropy(net.head.forward(first), y.clone(), None, 0.0)
        })
    })
}

/// Two recurrent layers over embedded characters.
#[derive(Debug, Module)]
struct Recurrent {
    tokens: Embedding,
    layers: Vec<Lstm>,
    head: Linear,
}

/// Two layers of 256, 32 sequences of 64 of 128 characters.
pub fn lstm(device: &Device) -> Step {
    let (batch, time, width, vocabulary) = (32, 64, 256, 128);
    let x = indices([batch, time], vocabulary, device);
    let y = indices([batch * time], vocabulary, device);
    let network = Recurrent {
        tokens: Embedding::new(vocabulary, width, device),
        layers: (0..2).map(|_| Lstm::new(width, width, device)).collect(),
        head: Linear::new(width, vocabulary, true, device),
    };
    let mut trainer = Trainer::new(network, Rule::AdamW, None);
    Box::new(move || {
        trainer.step(|net| {
            let start = net.tokens.forward_sequence(x.clone());
            let x = net.layers.iter().fold(start, |x, layer| layer.forward(x));
            let logits = net.head.forward(x.reshape([batch * time, width]));
            cross_entropy(logits, y.clone(), None, 0.0)
        })
    })
}
