//! `cargo xtask asan`: the tests of the kernels under AddressSanitizer.

use crate::bench::Outcome;
use std::path::Path;
use std::process::Command;

/// Levels of instructions whose loops are run; those that the machine lacks run as the next lower one.
const LEVELS: [&str; 5] = ["scalar", "avx2", "avx512", "avx512_bf16", "amx"];

/// Checks that the kernels' profile leaves out. Cargo reads no variable for the profile of one package.
const CHECKS: [&str; 2] = ["debug-assertions", "overflow-checks"];

/// Runs the tests at each level, built by the stable compiler with its sanitizers unlocked.
///
/// # Errors
/// If the tests cannot be built, or fail, or touch memory that isn't theirs.
pub fn asan() -> Outcome<()> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..").canonicalize()?;
    let target = format!("{}-unknown-linux-gnu", std::env::consts::ARCH);
    for level in LEVELS {
        println!("outset-kernels under AddressSanitizer, {level}");
        let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
        let status = Command::new(cargo)
            .args(["test", "--package", "outset-kernels", "--lib", "--target", &target])
            .args(CHECKS.map(|check| format!("--config=profile.dev.package.outset-kernels.{check}=true")))
            .args(["--target-dir", "target/asan", "--", "--quiet"])
            .env("RUSTC_BOOTSTRAP", "1")
            .env("RUSTFLAGS", "-Zsanitizer=address")
            .env("OUTSET_ISA", level)
            .current_dir(&root)
            .status()?;
        if !status.success() {
            return Err(format!("the tests fail under AddressSanitizer at `{level}`").into());
        }
    }
    Ok(())
}
