//! The parts that the developer commands and the bench harness share: running programs, the machines, and the
//! installation.

pub mod compilers;
pub mod converted;
pub mod header;
#[path = "../../llvm-pass/headers.rs"]
mod headers;
mod hide;
pub mod install;
pub mod machines;
pub mod manual;
pub mod packages;
pub mod run;
pub mod sysroot;
pub mod unpack;
mod weaken;
