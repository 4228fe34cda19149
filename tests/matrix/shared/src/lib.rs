//! A shared object for Rust programs that defines the key.

use keys::{KEY, Site};

pub use keys;

#[inline(never)]
fn in_the_shared_object(value: u64) -> u64 {
    KEY.call(19, value) + 1
}

/// Checks the calls of this object, and of the program.
pub fn check(own: Site, target: extern "C" fn(u32, u64) -> u64) {
    sites::check(&[Site { run: in_the_shared_object, plus: 1 }, own], &[target]);
}
