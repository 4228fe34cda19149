//! The keys of the matrix, the calls of the crate that defines them, and the check for direct calls.
//!
//! Every call in the source passes its own number to its target. So the program knows which calls reached
//! which target, even if a compiler has copied them.

mod check;
mod definitions;

pub use check::{Site, check, reached};
pub use definitions::{BRANCH, KEY, KEY_OF_C, plain};

/// Neither generic nor inline: the call is compiled here.
#[inline(never)]
fn here(value: u64) -> u64 {
    KEY.call(1, value) + 1
}

/// The last operation of a function of the same type: with optimization, a tail call.
#[inline(never)]
fn tail(value: u64) -> u64 {
    KEY.call(2, value)
}

/// Inlined: the call is compiled where this is called.
#[inline]
pub fn inlined(value: u64) -> u64 {
    KEY.call(3, value) + 1
}

/// Generic: the call is compiled where this is instantiated.
pub fn generic<T: Into<u64>>(value: T) -> u64 {
    KEY.call(4, value.into()) + 1
}

/// A call in a default method.
pub trait Scaled {
    /// The argument.
    fn value(&self) -> u64;
    /// Calls.
    fn scaled(&self) -> u64 {
        static_call::static_call!(KEY, 5, self.value()) + 1
    }
}

/// Makes a call when dropped, in its owner's drop glue.
pub struct OnDrop<'a, T: Into<u64> + Copy>(pub T, pub &'a std::cell::Cell<u64>);

impl<T: Into<u64> + Copy> Drop for OnDrop<'_, T> {
    #[inline(never)]
    fn drop(&mut self) {
        self.1.set(KEY.call(6, self.0.into()) + 1);
    }
}

/// This crate's own.
pub const SITES: [Site; 2] = [Site { run: here, plus: 1 }, Site { run: tail, plus: 0 }];
