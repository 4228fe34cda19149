//! An executable whose keys lie in a Rust dylib.

use shared::keys::{KEY, Site, reached};

#[inline(never)]
fn in_the_program(value: u64) -> u64 {
    KEY.call(20, value) + 1
}

/// A target within reach of this program's calls.
extern "C" fn direct(call: u32, value: u64) -> u64 {
    reached(call, value)
}

fn main() {
    shared::check(Site { run: in_the_program, plus: 1 }, direct);
}
