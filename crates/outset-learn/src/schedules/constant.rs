//! The same rate throughout.

use super::Shape;
use outset_spec::settings;

settings! {
    /// The same rate throughout.
    pub struct Constant {}
}

impl Shape for Constant {
    fn factor(&self, _: usize, _: usize) -> f64 {
        1.0
    }
}
