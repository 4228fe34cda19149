//! The matrix: the programs of `tests/matrix`, built in every way that programs are put together. In each cell every
//! static call of the source is an entry of the site table, and direct once the program runs; or else, where that cannot
//! be, the program falls back to its keys' pointers, and the inspector says so.

mod c;
mod outcome;
mod rust;

use std::process::ExitCode;

use libtest_mimic::{Arguments, Trial};
use static_call_tests::platform::platform;

fn main() -> ExitCode {
    let arguments = Arguments::from_args();
    let trials: Vec<Trial> = if platform().is_foreign() {
        eprintln!("skipped: the matrix is about this machine's compilers and linkers");
        Vec::new()
    } else {
        rust::cells().into_iter().chain(c::cells()).collect()
    };
    libtest_mimic::run(&arguments, trials).exit_code()
}
