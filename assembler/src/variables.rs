//! The environment variables that this program reads or sets.

use std::ffi::OsString;

/// The path of the assembler to run, where the compiler's own cannot be found.
pub(crate) const ASSEMBLER: &str = "STATIC_CALL_AS";
/// The file to which a line for each call of a trampoline is appended; `-` is standard error.
pub(crate) const LOG: &str = "STATIC_CALL_AS_LOG";
/// Set for the assembler, which may be another copy of this program.
pub(crate) const RUNNING: &str = "STATIC_CALL_AS_RUNNING";

/// Set by gcc for its children: its name, its options and the directories of its programs.
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
