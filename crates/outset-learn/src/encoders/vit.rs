//! The Vision Transformer (Dosovitskiy et al. 2020, <https://arxiv.org/abs/2010.11929>): patches of a picture as tokens of
//! a Transformer, with branches that some pictures go without while training (Touvron et al. 2020,
//! <https://arxiv.org/abs/2012.12877>).

use super::sight::{Sight, with_mirror};
use super::transformer::Block;
use super::{Encode, Encoded, Gathered, Mixing, Wishes};
use crate::init::Init;
use crate::layers::drop_path;
use crate::order::mix;
use crate::size::Size;
use burn::module::{Module, Param};
use burn::tensor::{Device, Tensor};
use outset_data::pictures::Shape;
use outset_data::{FeatureShape, Features};
use outset_ops::{Convolution, recompute};
use outset_spec::{Bounds, choices, settings};

choices! {
    /// What stands for the whole picture.
    pub enum Pooling {
        /// The mean over the patches.
        Mean = "mean",
        /// A token of its own, which attends to all patches.
        Class = "class",
    }
}

settings! {
    /// Settings of the Vision Transformer.
    pub struct Settings {
        /// Side of a patch in pixels; about an eighth of the picture's, at most 16, where left out.
        patch_size: Option<usize> = None, in Bounds::between(1.0, 256.0);
        /// Features of each patch; 64, 192 or 384 by `model.size`.
        hidden_size: Option<usize> = None, in Bounds::between(2.0, 4096.0);
        /// Blocks of attention and feed-forward layer; 4, 6 or 12 by `model.size`.
        num_layers: Option<usize> = None, in Bounds::between(1.0, 64.0);
        /// Heads of the attention, whose number must divide `hidden_size`; one for every 32 features where left out.
        num_heads: Option<usize> = None, in Bounds::between(1.0, 64.0);
        /// What stands for the whole picture: `mean` over the patches, or a `class` token.
        pooling: Pooling = Pooling::Mean;
        /// Share of the numbers that are dropped while training.
        dropout: f64 = 0.0, in Bounds::between(0.0, 0.95);
        /// Largest chance that a branch is left out while training, that of the last block (arXiv 1603.09382).
        drop_path: f64 = 0.1, in Bounds::between(0.0, 0.9);
        /// Whether an answer is the mean of those to a picture and to its mirror image.
        mirror: Option<bool> = None;
    }
}

/// Features of a head where the file does not say how many heads there are.
const HEAD: usize = 32;

/// Largest side of a patch that is taken where the file names none.
const LARGEST_PATCH: usize = 16;

/// Encodes pictures by attention over their patches.
#[derive(Module, Debug)]
pub struct Encoder {
    /// `[hidden, channels, patch, patch]`.
    patches: Param<Tensor<4>>,
    /// `[hidden]`.
    bias: Param<Tensor<1>>,
    /// Where each patch lies, `[patches, hidden]`.
    places: Param<Tensor<2>>,
    /// `[1, hidden]`.
    class: Option<Param<Tensor<2>>>,
    blocks: Vec<Block>,
    norm: [Param<Tensor<1>>; 2],
    #[module(skip)]
    sight: Sight,
    #[module(skip)]
    patch: usize,
    #[module(skip)]
    heads: usize,
    #[module(skip)]
    width: usize,
    #[module(skip)]
    dropout: f64,
    #[module(skip)]
    drop_path: f64,
    #[module(skip)]
    mirror: bool,
}

/// A patch for pictures of this side: one that divides it, where there is one close to an eighth.
fn usual_patch(side: usize) -> usize {
    let wanted = side.div_ceil(8).clamp(1, LARGEST_PATCH);
    let near = |patch: &usize| side.is_multiple_of(*patch) && patch.abs_diff(wanted) <= wanted / 4;
    (1..=LARGEST_PATCH).filter(near).min_by_key(|patch| patch.abs_diff(wanted)).unwrap_or(wanted)
}

/// Patches of a picture, down and across; those at the edge may reach beyond it.
fn grid(shape: Shape, patch: usize) -> [usize; 2] {
    [shape.height.div_ceil(patch), shape.width.div_ceil(patch)]
}

impl Encode for Encoder {
    type Settings = Settings;

    fn resolve(mut settings: Settings, shape: &FeatureShape, size: Size, _: usize) -> Settings {
        let (width, layers) = match size {
            Size::Tiny => (64, 4),
            Size::Small => (192, 6),
            Size::Base => (384, 12),
        };
        let hidden = *settings.hidden_size.get_or_insert(width);
        settings.num_layers.get_or_insert(layers);
        let heads = settings.num_heads.unwrap_or(hidden.div_ceil(HEAD));
        settings.num_heads = (1..=heads).rev().find(|heads| hidden.is_multiple_of(*heads));
        if let FeatureShape::Image { shape, augment, .. } = shape {
            let side = shape.height.min(shape.width);
            let patch = settings.patch_size.unwrap_or_else(|| usual_patch(side));
            settings.patch_size = Some(patch.min(side));
            settings.mirror.get_or_insert(augment.mirrors());
        }
        settings
    }

    fn wishes(_: &Settings, rows: usize) -> Wishes {
        Wishes {
            // Attention knows nothing of pictures at first, so it learns longer than a convolution does.
            optimizer: Some("adamw"),
            learning_rate: Some(1e-3),
            ..super::sight::wishes(rows)
        }
    }

    fn new(settings: &Settings, shapes: &[FeatureShape], init: &mut Init) -> Self {
        let sight = Sight::new(shapes);
        let (width, patch) = (settings.hidden_size.unwrap_or(192), settings.patch_size.unwrap_or(4));
        let [down, across] = grid(sight.shape(), patch);
        let channels = sight.shape().channels;
        let inputs = (channels * patch * patch) as f64;
        Self {
            patches: init.normal([width, channels, patch, patch], 1.0 / inputs.sqrt()),
            bias: init.constant([width], 0.0),
            places: init.normal([down * across, width], 0.02),
            class: (settings.pooling == Pooling::Class).then(|| init.normal([1, width], 0.02)),
            blocks: (0..settings.num_layers.unwrap_or(6)).map(|_| Block::new(width, init)).collect(),
            norm: [init.constant([width], 1.0), init.constant([width], 0.0)],
            sight,
            patch,
            heads: settings.num_heads.unwrap_or(1),
            width,
            dropout: settings.dropout,
            drop_path: settings.drop_path,
            mirror: settings.mirror.unwrap_or(false),
        }
    }

    fn width(&self) -> usize {
        self.width
    }

    fn gather(&self, features: &[&Features], rows: &[u32], device: &Device) -> Gathered {
        self.sight.gather(features, rows, device)
    }

    fn mixing(&self, gathered: &Gathered, key: u64) -> Option<Mixing> {
        self.sight.mixing(gathered, key)
    }

    fn forward(&self, gathered: &Gathered, key: Option<u64>) -> Encoded {
        let x = self.sight.look(gathered, key);
        Encoded::Vector(with_mirror(x, key.is_none() && self.mirror, |x| self.vectors(x, key), |y| y))
    }
}

impl Encoder {
    /// Pictures `[rows, channels, height, width]` to tokens `[rows, patches, hidden]`.
    fn tokens(&self, x: Tensor<4>) -> Tensor<3> {
        let [rows, ..] = x.dims();
        let Shape { height, width, .. } = self.sight.shape();
        let [down, across] = grid(self.sight.shape(), self.patch);
        let beyond = |patches: usize, side: usize| (patches * self.patch - side).div_ceil(2);
        let how = Convolution {
            stride: [self.patch; 2],
            padding: [beyond(down, height), beyond(across, width)],
            ..Convolution::default()
        };
        let map = outset_ops::conv2d(x, self.patches.val(), Some(self.bias.val()), how);
        map.reshape([rows, self.width, down * across]).swap_dims(1, 2) + self.places.val().unsqueeze()
    }

    /// Pictures to vectors `[rows, hidden]`.
    fn vectors(&self, x: Tensor<4>, key: Option<u64>) -> Tensor<2> {
        let mut values = self.tokens(x);
        let rows = values.dims()[0];
        if let Some(class) = &self.class {
            let class = class.val().unsqueeze::<3>().expand([rows, 1, self.width]);
            values = Tensor::cat(vec![class, values], 1);
        }
        let lengths = vec![values.dims()[1]; rows];
        let last = self.blocks.len().saturating_sub(1).max(1);
        for (index, block) in self.blocks.iter().enumerate() {
            let chance = self.drop_path * index as f64 / last as f64;
            let (heads, dropout, lengths) = (self.heads, self.dropout, lengths.clone());
            values = recompute(block, values, move |block, values| {
                let drop = |mut branch: Tensor<3>, place: u64| {
                    let Some(key) = key.map(|key| mix(key, 2 * index as u64 + place)) else { return branch };
                    if dropout > 0.0 {
                        branch = outset_ops::dropout(branch, dropout, key);
                    }
                    drop_path(branch, chance, mix(key, 1))
                };
                block.forward(values, heads, None, &lengths, &drop)
            });
        }
        let [gamma, beta] = &self.norm;
        values = outset_ops::layer_norm(values, gamma.val(), beta.val(), 1e-5);
        match self.class {
            Some(_) => values.narrow(1, 0, 1).squeeze_dim(1),
            None => Encoded::Sequence { values, lengths }.pooled(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use burn::module::ModuleMapper;
    use outset_data::pictures::{Augment, Pixels};

    fn encoder(side: usize, settings: Settings) -> Encoder {
        let shape = FeatureShape::Image {
            shape: Shape { channels: 1, height: side, width: side },
            mean: vec![0.5],
            deviation: vec![0.25],
            augment: Augment::default(),
            whitening: Vec::new(),
        };
        let settings = Encoder::resolve(settings, &shape, Size::Tiny, 100);
        Encoder::new(&settings, &[shape], &mut Init::new(3, &Device::flex()))
    }

    fn answers(encoder: &Encoder, side: usize, key: Option<u64>) -> Vec<f32> {
        let picture = |seed: usize| Pixels::new((0..side * side).map(|at| (at * seed % 251) as u8).collect());
        let features = Features::Image(vec![picture(7), picture(31)]);
        let gathered = encoder.gather(&[&features], &[0, 1], &Device::flex());
        let vectors = encoder.forward(&gathered, key).pooled();
        assert_eq!(vectors.dims(), [2, encoder.width()]);
        vectors.into_data().try_into_vec().unwrap()
    }

    #[test]
    fn patches_divide_the_sides_that_they_can() {
        for (side, patch) in [(8, 1), (28, 4), (32, 4), (64, 8), (96, 12), (224, 16), (30, 3), (37, 5)] {
            assert_eq!(usual_patch(side), patch, "{side}");
        }
    }

    #[test]
    fn pictures_become_vectors_whatever_their_side() {
        for side in [8, 28, 37] {
            for pooling in [Pooling::Mean, Pooling::Class] {
                let encoder = encoder(side, Settings { pooling, ..Settings::default() });
                let answers = answers(&encoder, side, None);
                let (first, second) = answers.split_at(encoder.width());
                assert!(answers.iter().all(|value| value.is_finite()));
                // A class token sees the patches only once the blocks, which begin as nothing, have learned.
                assert_eq!(first == second, pooling == Pooling::Class, "{side} {pooling:?}");
            }
        }
    }

    #[test]
    fn training_alone_drops() {
        let settings = Settings { dropout: 0.5, drop_path: 0.5, ..Settings::default() };
        /// Draws every parameter anew, as blocks that begin as nothing have nothing to drop.
        struct Draw(Init);
        impl ModuleMapper for Draw {
            fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
                self.0.normal(param.dims(), 0.1)
            }
        }
        let encoder = encoder(8, settings).map(&mut Draw(Init::new(5, &Device::flex())));
        assert_eq!(answers(&encoder, 8, None), answers(&encoder, 8, None));
        assert_eq!(answers(&encoder, 8, Some(1)), answers(&encoder, 8, Some(1)));
        assert_ne!(answers(&encoder, 8, Some(1)), answers(&encoder, 8, Some(2)));
    }
}
