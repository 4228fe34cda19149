//! What the parts of an installation know of each other: the pass's path, and environment variables.

use core::ffi::CStr;

/// The path of the pass below the prefix.
pub const PASS_PATH: &str = "lib/static-call/libstatic_call_pass.so";
/// The name of its file, which is also what cargo builds.
pub const PASS_FILE: &str = PASS_PATH.split_at("lib/static-call/".len()).1;

/// The installation of `cargo static-call setup`, below the user's data directory (`XDG_DATA_HOME`, or
/// `~/.local/share`).
pub const SETUP_PATH: &str = "static-call/current";

/// A program's mode; the runtime reads it.
pub const MODE: &CStr = c"STATIC_CALL_MODE";
/// A program's writer.
pub const WRITER: &CStr = c"STATIC_CALL_WRITER";
/// Patterns of branches that are on from the start of a program.
pub const ENABLE: &CStr = c"STATIC_CALL_ENABLE";
/// The variants that a program's dispatched functions use: `name=variant,…`.
pub const DISPATCH: &CStr = c"STATIC_CALL_DISPATCH";
/// If set to anything but `0`, a program's runtime prints what it does.
pub const LOG: &CStr = c"STATIC_CALL_LOG";

/// If set to anything but `0`, building without the pass is an error.
pub const REQUIRE: &str = "STATIC_CALL_REQUIRE";
/// The absolute path of the pass, which overrides the places relative to the rustc wrapper.
pub const PASS: &str = "STATIC_CALL_PASS";
/// Another wrapper, such as sccache, through which the rustc wrapper runs the compiler.
pub const CHAINED_WRAPPER: &str = "STATIC_CALL_RUSTC_WRAPPER";
