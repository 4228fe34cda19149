//! The environment variables that this program reads or sets.

use std::ffi::OsString;

/// The assembler to run if the compiler's own cannot be found.
pub(crate) const ASSEMBLER: &str = "STATIC_CALL_AS";
/// The file that gets a line for each call of a trampoline; `-` is standard error.
pub(crate) const LOG: &str = "STATIC_CALL_AS_LOG";
/// Set for the assembler, in case it is another copy of this program.
pub(crate) const RUNNING: &str = "STATIC_CALL_AS_RUNNING";

/// Set by gcc for its children: its name, its options and its program directories.
pub(crate) const COLLECT_GCC: &str = "COLLECT_GCC";
/// See [`COLLECT_GCC`].
pub(crate) const COLLECT_GCC_OPTIONS: &str = "COLLECT_GCC_OPTIONS";
/// See [`COLLECT_GCC`].
pub(crate) const COMPILER_PATH: &str = "COMPILER_PATH";

pub(crate) const PATH: &str = "PATH";

/// The value of a variable; an empty one counts as unset.
pub(crate) fn get(name: &str) -> Option<OsString> {
    std::env::var_os(name).filter(|value| !value.is_empty())
}
