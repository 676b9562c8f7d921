//! Ctrl-C: once ends training cleanly with the best state so far, twice ends the program at once.

use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};

static INTERRUPTED: AtomicBool = AtomicBool::new(false);

/// Listens for Ctrl-C and the signal to terminate; the flag turns true at the first.
pub fn listen() -> &'static AtomicBool {
    // Without a handler Ctrl-C still ends the program, only not as cleanly.
    let _ = ctrlc::set_handler(|| {
        if INTERRUPTED.swap(true, Ordering::SeqCst) {
            std::process::exit(130);
        }
    });
    &INTERRUPTED
}

/// Removes a folder and ends the program at the first Ctrl-C or signal to terminate: for work that leaves nothing behind.
pub fn end_without(scratch: PathBuf) {
    let _ = ctrlc::set_handler(move || {
        let _ = std::fs::remove_dir_all(&scratch);
        std::process::exit(130);
    });
}
