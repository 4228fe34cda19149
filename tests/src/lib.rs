//! What the whole-program tests share: the installed prefix, compilers, and readers of binaries.
//!
//! The tests use static-call as a user would, from `target/prefix`, where `cargo xtask test` installs it.

pub mod binary;
pub mod c;
mod commands;
mod compilers;
#[cfg(doctest)]
mod documents;
mod installation;
mod paths;
pub mod platform;
pub mod rust;
mod scratch;

pub use commands::{failure, run, stdout};
pub use compilers::{clang, execute, link_flags, llvm, old_cmake, plain_clang};
pub use installation::{install_another_pass, moved, pass_llvms, plugin, plugin_in, prefix};
pub use paths::{root, target};
pub use scratch::Scratch;
