//! What can be wrong with a picture.

use super::MAX_PIXELS;
use thiserror::Error;

/// Why a picture cannot be used, to follow its name.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum Fault {
    #[error("does not exist")]
    NotFound,
    #[error("lies outside the folder of the data")]
    Outside,
    #[error("cannot be read: {0}")]
    Unreadable(String),
    #[error("is not a picture")]
    NotAPicture,
    #[error("has {} × {} pixels, but a picture may have {} million", .size[0], .size[1], MAX_PIXELS / 1_000_000)]
    TooLarge { size: [u32; 2] },
    #[error("is damaged: {0}")]
    Damaged(String),
}
