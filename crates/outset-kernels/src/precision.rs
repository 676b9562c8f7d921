//! Which numbers matrix products and convolutions multiply.
//!
//! Values are `f32` everywhere. With [`Precision::Bf16`] the factors of large products are rounded to bf16 (eight bits of
//! mantissa) on their way into the innermost loop, with [`Precision::Split`] they are taken apart; sums stay `f32`. It holds
//! for the calls inside [`with`], on whatever threads they run, so that two trainings in one process don't disturb each other.

use crate::isa::{self, Level};
use std::cell::Cell;

/// The numbers that are multiplied.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Precision {
    /// Single precision.
    #[default]
    F32,
    /// Single precision too, with errors as small, but each factor of large products as the sum of three bf16 where that is
    /// quicker ([`has_split`]): the last bits of a row may depend on how many are multiplied with it.
    Split,
    /// Factors rounded to bf16, sums in single precision.
    Bf16,
}

thread_local! {
    static CURRENT: Cell<Precision> = const { Cell::new(Precision::F32) };
}

/// Whether the instruction set in use multiplies bf16; elsewhere [`Precision::Bf16`] has no effect.
pub fn has_bf16() -> bool {
    isa::level() >= Level::Avx512Bf16
}

/// Whether the instruction set in use multiplies bf16 so fast that [`Precision::Split`] has an effect.
pub fn has_split() -> bool {
    isa::level() >= Level::Amx
}

/// Returns the precision that holds here.
pub fn current() -> Precision {
    CURRENT.get()
}

/// Runs `work` with a precision.
pub fn with<R>(precision: Precision, work: impl FnOnce() -> R) -> R {
    /// Brings the old precision back, also when `work` panics.
    struct Restore(Precision);
    impl Drop for Restore {
        fn drop(&mut self) {
            CURRENT.set(self.0);
        }
    }
    let _restore = Restore(CURRENT.replace(precision));
    work()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::par::{self, Cut};

    #[test]
    fn it_holds_on_every_thread_of_a_loop_and_ends_with_the_call() {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(3).build().unwrap();
        let seen =
            pool.install(|| with(Precision::Bf16, || par::run((), Cut::into(16, 16), |_, ()| current())));
        assert_eq!(seen, [Precision::Bf16; 16]);
        assert_eq!(pool.broadcast(|_| current()), [Precision::F32; 3]);
    }
}
