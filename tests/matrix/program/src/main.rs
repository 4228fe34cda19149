//! An executable.

use keys::{KEY, Site};

#[inline(never)]
fn in_the_program(value: u64) -> u64 {
    KEY.call(17, value) + 1
}

fn main() {
    sites::check(&[Site { run: in_the_program, plus: 1 }], &[]);
}
