//! Writes `docs/reference.md` anew: the test that holds the page fresh makes it, from what `outset list` says.

use crate::bench::Outcome;
use std::process::Command;

/// Runs `reference`.
///
/// # Errors
/// If the page could not be made.
pub fn reference() -> Outcome<()> {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let status = Command::new(cargo)
        .args(["test", "--quiet", "--workspace", "--test", "reference"])
        .env("UPDATE_EXPECT", "1")
        .status()?;
    if status.success() { Ok(()) } else { Err("the reference page could not be made".into()) }
}
