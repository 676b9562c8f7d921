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
    /// The size that a `[model]` table asks for, by which encoders go too; whether it is one is checked where the table
    /// is read in full.
    pub fn of(model: &Section) -> Self {
        model.parameters.get("size").and_then(|node| Self::from_node(node).ok()).unwrap_or(Self::Small)
    }
}
