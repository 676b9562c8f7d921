//! The one dial: width, depth and schedule in one word.

use outset_spec::{Section, Setting as _, choices};

choices! {
    /// How large the network is, in one word.
    pub enum Size {
        /// For trying things out.
        Tiny = "tiny",
        /// The default.
        Small = "small",
        /// Where time is no matter.
        Base = "base",
    }
}

impl Size {
    /// Epochs of a network of this size, where one of the default size has so many: what is larger has more to learn.
    pub fn epochs(self, of_small: usize) -> usize {
        match self {
            Self::Tiny => of_small.div_ceil(2),
            Self::Small => of_small,
            Self::Base => of_small + of_small / 2,
        }
    }

    /// The size that a `[model]` table asks for, by which encoders go too; whether it is one is checked where the table
    /// is read in full.
    pub fn of(model: &Section) -> Self {
        model.parameters.get("size").and_then(|node| Self::from_node(node).ok()).unwrap_or(Self::Small)
    }
}
