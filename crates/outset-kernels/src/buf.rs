//! Vectors whose memory isn't cleared first.

use std::alloc::{Layout, alloc, handle_alloc_error};

/// Returns a vector of `len` arbitrary values, for outputs that are written in full.
///
/// Clearing a large output costs a pass over memory that the kernel then overwrites. In tests the values are NaN, so that one
/// that a kernel leaves unwritten shows.
pub(crate) fn uninit(len: usize) -> Vec<f32> {
    if len == 0 {
        return Vec::new();
    }
    let layout = Layout::array::<f32>(len).expect("the buffer fits the address space");
    // SAFETY: the layout's size is not zero.
    let data = unsafe { alloc(layout) }.cast::<f32>();
    if data.is_null() {
        handle_alloc_error(layout);
    }
    // SAFETY: `data` was allocated just above by the global allocator with the layout of `len` values of `f32`, and
    // after `initialise` every bit pattern in it is a valid `f32`.
    let mut values = unsafe {
        initialise(data, len);
        Vec::from_raw_parts(data, len, len)
    };
    if cfg!(test) {
        values.fill(f32::NAN);
    }
    values
}

/// Makes the bytes at `data` count as initialised, with whatever values they hold.
///
/// # Safety
/// `data` points to `len` writable values.
#[cfg(any(target_arch = "x86_64", target_arch = "aarch64"))]
unsafe fn initialise(data: *mut f32, _len: usize) {
    // SAFETY: the block is empty. To the compiler it may have written anything behind the pointer, so that later
    // reads are of ordinary, if arbitrary, values.
    unsafe { std::arch::asm!("/* {0} */", in(reg) data, options(nostack, preserves_flags)) };
}

/// Clears the memory where no assembly is at hand.
///
/// # Safety
/// `data` points to `len` writable values.
#[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
unsafe fn initialise(data: *mut f32, len: usize) {
    // SAFETY: by this function's contract.
    unsafe { std::ptr::write_bytes(data, 0, len) };
}

#[cfg(test)]
mod tests {
    use super::uninit;

    #[test]
    fn has_the_asked_length_and_can_be_written() {
        for len in [0, 1, 7, 100_000] {
            let mut values = uninit(len);
            assert_eq!(values.len(), len);
            assert!(values.iter().all(|v| v.is_nan()));
            values.fill(1.5);
            assert!(values.iter().all(|&v| v == 1.5));
        }
    }
}
