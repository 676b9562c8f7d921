//! A plain convolutional network for small pictures.
//!
//! A stem and a few stages; each stage widens, halves the picture and adds one residual convolution, as in the networks
//! that learn CIFAR-10 in seconds (<https://github.com/KellerJordan/cifar10-airbench>,
//! <https://myrtle.ai/learn/how-to-train-your-resnet/>). Where pictures keep their size at first, the stem whitens patches.

use super::sight::{Sight, with_mirror};
use super::{Encode, Encoded, Gathered, Mixing, Wishes};
use crate::init::Init;
use crate::layers::{Brick, ConvNorm, Whitened};
use crate::size::Size;
use burn::module::Module;
use burn::tensor::{Device, Tensor};
use outset_data::pictures::Shape;
use outset_data::{FeatureShape, Features};
use outset_ops::recompute;
use outset_spec::{Bounds, settings};

settings! {
    /// Settings of the plain convolutional network.
    pub struct Settings {
        /// Channels of the first stage; the next ones have two and four times as many, the stem half as many.
        width: Option<usize> = None, in Bounds::between(2.0, 4096.0);
        /// Stages, each of which halves the picture; as many as leave three to five places a side where left out.
        num_stages: Option<usize> = None, in Bounds::between(1.0, 8.0);
        /// Whether the stem halves the picture too; it does with pictures without colours and with large ones.
        pooled_stem: Option<bool> = None;
        /// Whether the stem is of filters that whiten patches of train instead of learned ones (arXiv 2404.00498); it is unless it halves the picture.
        whitened_stem: Option<bool> = None;
        /// Whether an answer is the mean of those to a picture and to its mirror image.
        mirror: Option<bool> = None;
    }
}

/// Sides above which the stem halves a picture.
const LARGE: usize = 48;

/// Encodes pictures.
#[derive(Module, Debug)]
pub struct Encoder {
    /// Filters that are not learned, in place of `stem`.
    whitened: Option<Whitened>,
    stem: Option<ConvNorm>,
    stages: Vec<Stage>,
    #[module(skip)]
    sight: Sight,
    #[module(skip)]
    pooled_stem: bool,
    #[module(skip)]
    mirror: bool,
    #[module(skip)]
    width: usize,
}

/// One stage: widen, halve, and a residual convolution.
#[derive(Module, Debug)]
struct Stage {
    widen: ConvNorm,
    residual: ConvNorm,
}

/// Halvings that leave three to five places a side.
fn halvings(shape: Shape) -> usize {
    (shape.height.min(shape.width) / 3).max(2).ilog2() as usize
}

impl Encode for Encoder {
    type Settings = Settings;

    fn resolve(mut settings: Settings, shape: &FeatureShape, size: Size, _: usize) -> Settings {
        if let FeatureShape::Image { shape, augment, .. } = shape {
            let width = match size {
                Size::Tiny => 24,
                Size::Small => 48,
                Size::Base => 96,
            };
            // Brightness alone holds less than colours do.
            settings.width.get_or_insert(if shape.channels == 1 { width * 2 / 3 } else { width });
            // Strokes and outlines are as plain at half the size.
            let pooled = *settings.pooled_stem.get_or_insert(shape.channels == 1 || shape.width > LARGE);
            settings.whitened_stem.get_or_insert(!pooled);
            settings.num_stages.get_or_insert((halvings(*shape) - usize::from(pooled)).max(1));
            settings.mirror.get_or_insert(augment.mirrors());
        }
        settings
    }

    fn wishes(_: &Settings, rows: usize) -> Wishes {
        super::sight::wishes(rows)
    }

    fn new(settings: &Settings, shapes: &[FeatureShape], init: &mut Init) -> Self {
        let sight = Sight::new(shapes);
        let first = settings.width.unwrap_or(48);
        let seen = sight.shape().channels;
        let (whitened, stem, mut channels) = if settings.whitened_stem == Some(true) {
            (Some(Whitened::new(sight.whitening(), seen, init)), None, Whitened::outputs(seen))
        } else {
            (None, Some(Brick::three(seen, first / 2).build(init)), first / 2)
        };
        let mut built = Vec::new();
        // A picture cannot be halved below one pixel.
        let side =
            sight.shape().height.min(sight.shape().width) >> usize::from(settings.pooled_stem == Some(true));
        let most = side.max(2).ilog2() as usize;
        for stage in 0..settings.num_stages.unwrap_or(1).min(most) {
            let outputs = first << stage.min(2);
            let widen = Brick::three(channels, outputs).build(init);
            let residual = Brick { silent: true, ..Brick::three(outputs, outputs) }.build(init);
            built.push(Stage { widen, residual });
            channels = outputs;
        }
        let (pooled_stem, mirror) = (settings.pooled_stem == Some(true), settings.mirror.unwrap_or(false));
        Self { whitened, stem, stages: built, sight, pooled_stem, mirror, width: channels }
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
        let map = |x: Tensor<4>| {
            let seen = match (&self.whitened, &self.stem) {
                (Some(whitened), _) => whitened.forward(x),
                (None, Some(stem)) if self.pooled_stem => stem.forward_pooled(x),
                (None, Some(stem)) => stem.forward(x),
                (None, None) => x,
            };
            self.stages.iter().fold(seen, |x, stage| {
                recompute(stage, x, |stage, x| {
                    let x = stage.widen.forward_pooled(x);
                    x.clone() + stage.residual.forward(x)
                })
            })
        };
        Encoded::Map(with_mirror(x, key.is_none() && self.mirror, map, |y| y.flip([3])))
    }
}
