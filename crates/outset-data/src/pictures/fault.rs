//! What can be wrong with a picture.

use super::MAX_PIXELS;
use super::decode::MAX_DECODED;
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
    #[error(
        "takes {} MB once it is decoded, but a picture may take {} MB",
        .bytes.div_ceil(1_000_000),
        MAX_DECODED / 1_000_000
    )]
    TooManyBytes { bytes: u64 },
    #[error("is damaged: {0}")]
    Damaged(String),
}
