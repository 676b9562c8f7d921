//! The program's allocator, and how long it keeps memory that was freed.
//!
//! A step of training frees most of its tensors and asks for the same sizes again in the next. Handed back to the system
//! in between, each page would have to be cleared and mapped anew: up to a fifth of a step.

use std::ffi::{c_int, c_long};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// `mi_option_purge_delay` of mimalloc's list of options, the same in its versions 2 and 3.
const PURGE_DELAY: c_int = 15;

/// Milliseconds until freed memory goes back to the system: longer than a step takes.
const KEPT: c_long = 30_000;

unsafe extern "C" {
    fn mi_option_set(option: c_int, value: c_long);
    fn mi_collect(force: bool);
}

/// Keeps freed memory for some time instead of handing it back at once.
pub fn keep_memory() {
    // SAFETY: the function is part of the allocator that is linked above; it stores a number and may be called at any time.
    unsafe { mi_option_set(PURGE_DELAY, KEPT) };
}

/// Hands freed memory back to the system, whichever thread freed it: each has a heap of its own.
pub fn release_memory() {
    // SAFETY: the function is part of the allocator that is linked above, and may be called by any thread at any time.
    rayon::broadcast(|_| unsafe { mi_collect(true) });
}
