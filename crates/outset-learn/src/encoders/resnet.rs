//! Residual networks (He et al. 2015, <https://arxiv.org/abs/1512.03385>), with the strides of ResNet-B in blocks of
//! three convolutions and residual branches that begin at zero (<https://arxiv.org/abs/1706.02677>).
//!
//! Pictures of up to 64 pixels keep their size at first, as they do in the networks for CIFAR-10; larger ones are
//! brought to a quarter of it by the stem.

use super::sight::{self, Sight, with_mirror};
use super::{Encode, Encoded, Gathered, Mixing, Wishes};
use crate::init::Init;
use crate::layers::{Brick, ConvNorm, drop_path};
use crate::order::mix;
use crate::size::Size;
use burn::module::Module;
use burn::tensor::{Device, Tensor};
use outset_data::{FeatureShape, Features};
use outset_ops::{Window, max_pool2d, recompute, relu};
use outset_spec::{Bounds, settings};

/// Sides up to which the stem keeps a picture's size.
const SMALL: usize = 64;

settings! {
    /// Settings of a residual network.
    pub struct Settings {
        /// Channels of the first stage; each next one has twice as many.
        width: Option<usize> = None, in Bounds::between(1.0, 4096.0);
        /// Largest chance that a residual branch is left out while training, that of the last (arXiv 1603.09382).
        drop_path: f64 = 0.0, in Bounds::between(0.0, 0.9);
        /// Whether an answer is the mean of those to a picture and to its mirror image.
        mirror: Option<bool> = None;
    }
}

/// What tells one residual network from another.
#[derive(Clone, Copy, Debug)]
pub struct Plan {
    /// Blocks of each stage.
    pub blocks: &'static [usize],
    /// Channels of the first stage.
    pub width: usize,
    /// Whether blocks are of three convolutions, the last four times as wide, instead of two.
    pub bottleneck: bool,
}

/// A residual network.
#[derive(Module, Debug)]
pub struct Residual {
    stem: ConvNorm,
    blocks: Vec<Block>,
    #[module(skip)]
    sight: Sight,
    #[module(skip)]
    pooled_stem: bool,
    #[module(skip)]
    drop_path: f64,
    #[module(skip)]
    mirror: bool,
    #[module(skip)]
    width: usize,
}

/// Convolutions, the last without ReLU, and what their output is added to.
#[derive(Module, Debug)]
struct Block {
    convolutions: Vec<ConvNorm>,
    /// Brings the input to the output's shape where they differ.
    shortcut: Option<ConvNorm>,
}

impl Block {
    fn new(channels: usize, inner: usize, stride: usize, bottleneck: bool, init: &mut Init) -> (Self, usize) {
        let outputs = if bottleneck { 4 * inner } else { inner };
        let last = |brick: Brick| Brick { relu: false, silent: true, outputs, ..brick };
        let strided = Brick { stride, ..Brick::three(channels, inner) };
        let bricks = if bottleneck {
            let narrow = Brick { size: 1, ..Brick::three(channels, inner) };
            let widen = Brick { size: 1, ..Brick::three(inner, outputs) };
            vec![narrow, Brick { channels: inner, ..strided }, last(widen)]
        } else {
            vec![strided, last(Brick::three(inner, inner))]
        };
        let convolutions = bricks.into_iter().map(|brick| brick.build(init)).collect();
        let straight = Brick { size: 1, stride, relu: false, ..Brick::three(channels, outputs) };
        let shortcut = (stride > 1 || channels != outputs).then(|| straight.build(init));
        (Self { convolutions, shortcut }, outputs)
    }

    /// `dropped` leaves the residual branch of some rows out while training.
    fn forward(&self, x: Tensor<4>, dropped: impl Fn(Tensor<4>) -> Tensor<4>) -> Tensor<4> {
        let branch =
            dropped(self.convolutions.iter().fold(x.clone(), |x, convolution| convolution.forward(x)));
        let straight = match &self.shortcut {
            Some(shortcut) => shortcut.forward(x),
            None => x,
        };
        relu(straight + branch)
    }
}

impl Residual {
    /// Builds the network of a plan.
    pub fn new(plan: Plan, settings: &Settings, shapes: &[FeatureShape], init: &mut Init) -> Self {
        let sight = Sight::new(shapes);
        let shape = sight.shape();
        let large = shape.height.min(shape.width) > SMALL;
        let width = settings.width.unwrap_or(plan.width);
        let stem = Brick::three(shape.channels, width);
        let stem = if large { Brick { size: 7, stride: 2, ..stem } } else { stem };
        let stem = stem.build(init);
        let (mut channels, mut blocks) = (width, Vec::new());
        for (stage, count) in plan.blocks.iter().enumerate() {
            for block in 0..*count {
                let stride = if stage > 0 && block == 0 { 2 } else { 1 };
                let (built, outputs) = Block::new(channels, width << stage, stride, plan.bottleneck, init);
                blocks.push(built);
                channels = outputs;
            }
        }
        let (drop_path, mirror) = (settings.drop_path, settings.mirror.unwrap_or(false));
        Self { stem, blocks, sight, pooled_stem: large, drop_path, mirror, width: channels }
    }

    fn map(&self, x: Tensor<4>, key: Option<u64>) -> Tensor<4> {
        let mut x = self.stem.forward(x);
        if self.pooled_stem {
            x = max_pool2d(x, Window { kernel: [3, 3], stride: [2, 2], padding: [1, 1] });
        }
        let last = self.blocks.len().saturating_sub(1).max(1);
        for (index, block) in self.blocks.iter().enumerate() {
            let chance = self.drop_path * index as f64 / last as f64;
            let drop = key.map(|key| mix(key, index as u64));
            x = recompute(block, x, move |block, x| {
                block.forward(x, |values| match drop {
                    Some(key) => drop_path(values, chance, key),
                    None => values,
                })
            });
        }
        x
    }

    fn forward(&self, gathered: &Gathered, key: Option<u64>) -> Encoded {
        let x = self.sight.look(gathered, key);
        Encoded::Map(with_mirror(x, key.is_none() && self.mirror, |x| self.map(x, key), |y| y.flip([3])))
    }
}

/// Writes a module for each plan, with the names that the list of encoders asks for.
macro_rules! residual_networks {
    ($( $(#[doc = $doc:literal])* $module:ident = $plan:expr; )*) => { $(
        $(#[doc = $doc])*
        pub mod $module {
            use super::*;

            pub use super::Settings;

            /// Encodes pictures.
            #[derive(Module, Debug)]
            pub struct Encoder {
                network: Residual,
            }

            impl Encode for Encoder {
                type Settings = Settings;

                fn resolve(settings: Settings, shape: &FeatureShape, size: Size, _: usize) -> Settings {
                    resolved(settings, $plan, shape, size)
                }

                fn wishes(_: &Settings, rows: usize) -> Wishes {
                    sight::wishes(rows)
                }

                fn new(settings: &Settings, shapes: &[FeatureShape], init: &mut Init) -> Self {
                    Self { network: Residual::new($plan, settings, shapes, init) }
                }

                fn width(&self) -> usize {
                    self.network.width
                }

                fn gather(&self, features: &[&Features], rows: &[u32], device: &Device) -> Gathered {
                    self.network.sight.gather(features, rows, device)
                }

                fn mixing(&self, gathered: &Gathered, key: u64) -> Option<Mixing> {
                    self.network.sight.mixing(gathered, key)
                }

                fn forward(&self, gathered: &Gathered, key: Option<u64>) -> Encoded {
                    self.network.forward(gathered, key)
                }
            }
        }
    )* };
}

/// Fills in what plan and size of the model say.
fn resolved(mut settings: Settings, plan: Plan, shape: &FeatureShape, size: Size) -> Settings {
    let width = match size {
        Size::Tiny => plan.width.div_ceil(2),
        Size::Small => plan.width,
        Size::Base => plan.width * 2,
    };
    settings.width.get_or_insert(width);
    if let FeatureShape::Image { augment, .. } = shape {
        settings.mirror.get_or_insert(augment.mirrors());
    }
    settings
}

residual_networks! {
    /// Three stages of one block each, for quick trials.
    resnet8 = Plan { blocks: &[1, 1, 1], width: 32, bottleneck: false };
    /// The network of 20 layers for CIFAR-10: three stages of three narrow blocks.
    resnet20 = Plan { blocks: &[3, 3, 3], width: 16, bottleneck: false };
    /// The network of 18 layers: four stages of two blocks.
    resnet18 = Plan { blocks: &[2, 2, 2, 2], width: 64, bottleneck: false };
    /// The network of 34 layers.
    resnet34 = Plan { blocks: &[3, 4, 6, 3], width: 64, bottleneck: false };
    /// The network of 50 layers, of blocks of three convolutions.
    resnet50 = Plan { blocks: &[3, 4, 6, 3], width: 64, bottleneck: true };
}
