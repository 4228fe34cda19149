//! A shared object and an archive for a program in C.

use keys::{KEY, Site};

#[inline(never)]
fn in_the_library(value: u64) -> u64 {
    KEY.call(18, value) + 1
}

/// Checks all calls, and prints how they are made.
#[unsafe(no_mangle)]
pub extern "C" fn matrix_check() {
    sites::check(&[Site { run: in_the_library, plus: 1 }], &[]);
}
