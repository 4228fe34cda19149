//! Compilers with and without the installed pass, and the programs that they build.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::installation::{plugin, prefix};
use crate::platform::platform;

/// A program of LLVM 22, given its name without the version.
#[must_use]
pub fn llvm(program: &str) -> Command {
    Command::new(format!("{program}-22"))
}

/// clang or clang++ for the tests' machine.
#[must_use]
pub fn plain_clang(name: &str) -> Command {
    let mut clang = llvm(name);
    clang.args(platform().clang_flags());
    clang
}

/// clang with the pass and the header, but without the library.
#[must_use]
pub fn clang() -> Command {
    let mut clang = plain_clang("clang");
    clang.arg(format!("-fpass-plugin={}", plugin().display()));
    clang.arg("-I").arg(prefix().join("include"));
    clang
}

/// The oldest CMake that the package supports, if there is one: `cargo xtask test --compilers` fetches it.
#[must_use]
pub fn old_cmake() -> Option<PathBuf> {
    std::env::var_os("STATIC_CALL_TEST_CMAKE").map(PathBuf::from)
}

/// The flags that link the static C library.
#[must_use]
pub fn link_flags() -> Vec<PathBuf> {
    vec![prefix().join("lib/libstatic_call.a")]
}

/// Runs a program that was built for the tests' machine.
#[must_use]
pub fn execute(program: &Path) -> Command {
    platform().execute(program)
}
