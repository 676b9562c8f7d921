//! Augmentation: the same picture seen a little differently each time, while training alone.
//!
//! What happens to a picture depends on a key, made of the run's seed, the step and the place in the batch, and on
//! nothing else.

mod color;
mod geometry;
mod operations;

use super::{Channels, Shape};
use crate::lot::Lot;
use outset_spec::{Bounds, Field, Node, Problems, Setting, Value, choices, settings};

choices! {
    /// How far pictures are varied.
    pub enum Level {
        /// Not at all.
        None = "none",
        /// Moved a little, and mirrored where they have colours.
        Light = "light",
        /// As light; grey ones turned and scaled a little, coloured ones with a part hidden.
        Standard = "standard",
        /// As light, with two operations drawn from a list of fourteen (RandAugment).
        Random = "random",
    }
}

const SHARE: Bounds = Bounds::between(0.0, 1.0);

settings! {
    /// How pictures are varied while training; what is left out goes by `kind`.
    pub struct AugmentSettings {
        /// How far they are varied: `none`, `light`, `standard` or `random`.
        kind: Level = Level::Standard;
        /// How far a picture is moved each way, at most, as a share of its side.
        crop: Option<f64> = None, in SHARE;
        /// Whether every other picture is mirrored left to right.
        flip: Option<bool> = None;
        /// Degrees that a picture is turned by each way, at most.
        rotate: Option<f64> = None, in Bounds::between(0.0, 180.0);
        /// How much larger or smaller a picture is made, at most, as a share of its size.
        scale: Option<f64> = None, in Bounds::between(0.0, 0.9);
        /// How much brightness, contrast and saturation change, at most, as a share.
        color: Option<f64> = None, in SHARE;
        /// Side of a square that is hidden, as a share of the picture's (arXiv 1708.04552).
        cutout: Option<f64> = None, in SHARE;
        /// Operations drawn for each picture (RandAugment, arXiv 1909.13719).
        operations: Option<usize> = None, in Bounds::between(0.0, 14.0);
        /// How strong these operations are, from 0 to 10.
        magnitude: Option<f64> = None, in Bounds::between(0.0, 10.0);
        /// Strength of mixing two pictures, 0 for none: the parameter of the beta distribution (arXiv 1710.09412).
        mixup: Option<f64> = None, in Bounds::between(0.0, 2.0);
        /// Strength of pasting a part of one picture into another, 0 for none (arXiv 1905.04899).
        cutmix: Option<f64> = None, in Bounds::between(0.0, 2.0);
    }
}

/// The settings of augmentation as a key of a column: a word, or a table.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Augmentation(pub AugmentSettings);

impl Setting for Augmentation {
    const EXPECTED: &'static str = "`none`, `light`, `standard`, `random`, or a table";

    fn from_node(node: &Node) -> Result<Self, String> {
        Ok(Self(AugmentSettings { kind: Level::from_node(node)?, ..AugmentSettings::default() }))
    }

    fn to_value(&self) -> Option<Value> {
        self.0.to_value()
    }

    fn fields() -> Vec<Field> {
        AugmentSettings::fields()
    }

    fn read(node: &Node, path: &str, problems: &mut Problems) -> Option<Self> {
        match &node.value {
            Value::String(_) => {
                let kind = Level::read(node, path, problems)?;
                Some(Self(AugmentSettings { kind, ..AugmentSettings::default() }))
            }
            _ => AugmentSettings::read(node, path, problems).map(Self),
        }
    }
}

impl Augmentation {
    /// Fills in what the kind sets for pictures of these channels.
    pub fn resolve(&self, channels: Channels) -> Self {
        let mut settings = self.0.clone();
        let grey = channels == Channels::Grey;
        let any = settings.kind != Level::None;
        let standard = settings.kind == Level::Standard;
        let random = settings.kind == Level::Random;
        let share = |on: bool, value: f64| if on { value } else { 0.0 };
        settings.crop.get_or_insert(share(any, if grey { 0.08 } else { 0.125 }));
        // A mirrored letter is another letter, a mirrored cat is a cat.
        settings.flip.get_or_insert(any && !grey);
        settings.rotate.get_or_insert(share(standard && grey, 10.0));
        settings.scale.get_or_insert(share(standard && grey, 0.1));
        settings.color.get_or_insert(0.0);
        settings.cutout.get_or_insert(share(standard && !grey, 0.25));
        settings.operations.get_or_insert(if random { 2 } else { 0 });
        settings.magnitude.get_or_insert(5.0);
        settings.mixup.get_or_insert(0.0);
        settings.cutmix.get_or_insert(0.0);
        Self(settings)
    }
}

/// Resolved augmentation of pictures.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Augment {
    /// How far a picture is moved each way, as a share of its side.
    pub crop: f64,
    /// Whether every other picture is mirrored.
    pub flip: bool,
    /// Degrees that a picture is turned by each way.
    pub rotate: f64,
    /// How much larger or smaller a picture is made.
    pub scale: f64,
    /// How much brightness, contrast and saturation change.
    pub color: f64,
    /// Side of a hidden square, as a share of the picture's.
    pub cutout: f64,
    /// Operations drawn for each picture.
    pub operations: usize,
    /// How strong these are, from 0 to 10.
    pub magnitude: f64,
    /// Strength of mixing two pictures, 0 for none.
    pub mixup: f64,
    /// Strength of pasting a part of one picture into another, 0 for none.
    pub cutmix: f64,
}

impl Augment {
    /// What the settings ask for, for pictures of these channels.
    pub fn of(settings: &Augmentation, channels: Channels) -> Self {
        let Augmentation(settings) = settings.resolve(channels);
        Self {
            crop: settings.crop.unwrap_or(0.0),
            flip: settings.flip.unwrap_or(false),
            rotate: settings.rotate.unwrap_or(0.0),
            scale: settings.scale.unwrap_or(0.0),
            color: settings.color.unwrap_or(0.0),
            cutout: settings.cutout.unwrap_or(0.0),
            operations: settings.operations.unwrap_or(0),
            magnitude: settings.magnitude.unwrap_or(0.0),
            mixup: settings.mixup.unwrap_or(0.0),
            cutmix: settings.cutmix.unwrap_or(0.0),
        }
    }

    /// Tells whether pictures are mirrored.
    pub fn mirrors(&self) -> bool {
        self.flip
    }

    /// Tells whether single pictures change.
    pub fn is_none(&self) -> bool {
        *self == Self { mixup: self.mixup, cutmix: self.cutmix, magnitude: self.magnitude, ..Self::default() }
    }

    /// Writes the picture `[channels, height, width]` as the key has it, black being 0 and white 1; what is beyond its
    /// edge is its mirror image, and what is hidden has the mean colour.
    pub fn apply(&self, values: &[u8], shape: Shape, mean: &[f32], key: u64, out: &mut [f32]) {
        let mut lot = Lot::new(key);
        if self.operations > 0 {
            let mut varied = values.to_vec();
            for _ in 0..self.operations {
                operations::apply(&mut varied, shape, self.magnitude, &mut lot);
            }
            geometry::place(&varied, shape, self, &mut lot, out);
        } else {
            geometry::place(values, shape, self, &mut lot, out);
        }
        if self.color > 0.0 {
            color::jitter(out, shape, self.color, &mut lot);
        }
        if self.cutout > 0.0 {
            hide(out, shape, self.cutout, mean, &mut lot);
        }
    }
}

/// Puts the mean colour on a square that lies at least half inside.
fn hide(out: &mut [f32], shape: Shape, share: f64, mean: &[f32], lot: &mut Lot) {
    let side = ((shape.height.min(shape.width) as f64 * share).round() as usize).max(1);
    let span = |length: usize, lot: &mut Lot| {
        let middle = lot.below(length);
        middle.saturating_sub(side / 2)..(middle + side - side / 2).min(length)
    };
    let (rows, columns) = (span(shape.height, lot), span(shape.width, lot));
    for (plane, mean) in out.chunks_exact_mut(shape.height * shape.width).zip(mean) {
        for row in rows.clone() {
            plane[row * shape.width + columns.start..row * shape.width + columns.end].fill(*mean);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SHAPE: Shape = Shape { channels: 3, height: 16, width: 16 };

    fn picture() -> Vec<u8> {
        (0..SHAPE.length()).map(|at| (at * 37 % 256) as u8).collect()
    }

    fn varied(settings: AugmentSettings, key: u64) -> Vec<f32> {
        let augment = Augment::of(&Augmentation(settings), Channels::Rgb);
        let mut out = vec![f32::NAN; SHAPE.length()];
        augment.apply(&picture(), SHAPE, &[0.5; 3], key, &mut out);
        out
    }

    fn plain() -> Vec<f32> {
        picture().iter().map(|value| f32::from(*value) / 255.0).collect()
    }

    #[test]
    fn equal_keys_give_equal_pictures() {
        for kind in [Level::Light, Level::Standard, Level::Random] {
            let settings =
                AugmentSettings { kind, color: Some(0.4), rotate: Some(20.0), ..Default::default() };
            assert_eq!(varied(settings.clone(), 5), varied(settings.clone(), 5));
            let different =
                (0..10).filter(|key| varied(settings.clone(), *key) != varied(settings.clone(), 5));
            assert!(different.count() >= 8, "{kind:?}");
            assert!(varied(settings, 5).iter().all(|value| (0.0..=1.0).contains(value)), "{kind:?}");
        }
    }

    #[test]
    fn none_changes_nothing() {
        let settings = AugmentSettings { kind: Level::None, ..Default::default() };
        assert!(Augment::of(&Augmentation(settings.clone()), Channels::Rgb).is_none());
        assert_eq!(varied(settings, 1), plain());
    }

    #[test]
    fn each_setting_by_itself_changes_pictures() {
        let none = AugmentSettings { kind: Level::None, ..Default::default() };
        for settings in [
            AugmentSettings { crop: Some(0.25), ..none.clone() },
            AugmentSettings { rotate: Some(30.0), ..none.clone() },
            AugmentSettings { scale: Some(0.3), ..none.clone() },
            AugmentSettings { color: Some(0.4), ..none.clone() },
            AugmentSettings { cutout: Some(0.3), ..none.clone() },
            AugmentSettings { operations: Some(2), ..none.clone() },
        ] {
            let changed = (0..40).filter(|key| varied(settings.clone(), *key) != plain()).count();
            assert!(changed >= 30, "{changed} with {settings:?}");
        }
    }

    #[test]
    fn a_square_is_hidden() {
        let settings = AugmentSettings { kind: Level::None, cutout: Some(0.5), ..Default::default() };
        let hidden = (0..20).map(|key| {
            let out = varied(settings.clone(), key);
            out.iter().zip(plain()).filter(|(out, plain)| *out != plain).count()
        });
        let hidden: Vec<usize> = hidden.collect();
        assert!(hidden.iter().all(|count| (3 * 16 - 3..=3 * 64).contains(count)), "{hidden:?}");
    }

    #[test]
    fn mirrored_is_the_other_way_round() {
        let settings = AugmentSettings { kind: Level::None, flip: Some(true), ..Default::default() };
        let mirrored: Vec<f32> =
            plain().chunks(16).flat_map(|row| row.iter().rev().copied().collect::<Vec<_>>()).collect();
        let found: Vec<bool> = (0..40).map(|key| varied(settings.clone(), key) == mirrored).collect();
        assert!(found.iter().any(|mirrored| *mirrored) && !found.iter().all(|mirrored| *mirrored));
        for key in 0..40 {
            let out = varied(settings.clone(), key);
            assert!(out == mirrored || out == plain());
        }
    }

    #[test]
    fn a_word_or_a_table() {
        let read = |text: &str| {
            let table = outset_spec::Table::parse("x", text).unwrap();
            let mut problems = Problems::default();
            let read = Augmentation::read(table.get("augment").unwrap(), "augment", &mut problems);
            (read, problems.iter().map(|problem| problem.message.clone()).collect::<Vec<_>>())
        };
        assert_eq!(read("augment = \"light\"").0.unwrap().0.kind, Level::Light);
        assert_eq!(read("augment = { flip = true }").0.unwrap().0.flip, Some(true));
        assert_eq!(read("augment = { flop = true }").1, ["unknown key `augment.flop`"]);
        assert_eq!(read("augment = \"heavy\"").1.len(), 1);
    }
}
