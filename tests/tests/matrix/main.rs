//! The matrix: the programs of `tests/matrix`, compiled and linked in every common way. In each cell every
//! static call of the source has an entry in the site table, and is direct when the program runs. Where that
//! is impossible, the program uses its keys' pointers, and the inspector says so.

mod c;
mod outcome;
mod rust;
mod without;

use std::process::ExitCode;

use libtest_mimic::{Arguments, Trial};
use static_call_tests::platform::platform;

fn main() -> ExitCode {
    let arguments = Arguments::from_args();
    let trials: Vec<Trial> = if platform().is_foreign() {
        eprintln!("skipped: the matrix is about this machine's compilers and linkers");
        Vec::new()
    } else {
        rust::cells().into_iter().chain(without::cells()).chain(c::cells()).collect()
    };
    libtest_mimic::run(&arguments, trials).exit_code()
}
