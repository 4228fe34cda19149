//! The environment variables that the wrapper reads or sets.

use std::ffi::OsString;
use std::path::PathBuf;

pub(crate) use static_call_abi::installation::{CHAINED_WRAPPER, PASS as PLUGIN, REQUIRE};

/// Rustc's own: whether it accepts unstable features and options.
pub(crate) const RUSTC_BOOTSTRAP: &str = "RUSTC_BOOTSTRAP";

/// Set by cargo for every package that it compiles.
pub(crate) const CARGO_PKG_NAME: &str = "CARGO_PKG_NAME";
/// Set by cargo for the packages that the user asked for.
pub(crate) const CARGO_PRIMARY_PACKAGE: &str = "CARGO_PRIMARY_PACKAGE";

/// Where rustup keeps its toolchains.
pub(crate) const RUSTUP_HOME: &str = "RUSTUP_HOME";
/// The toolchain that a rustup proxy runs; overrides all other settings.
pub(crate) const RUSTUP_TOOLCHAIN: &str = "RUSTUP_TOOLCHAIN";

pub(crate) const PATH: &str = "PATH";
pub(crate) const HOME: &str = "HOME";
pub(crate) const XDG_CACHE_HOME: &str = "XDG_CACHE_HOME";
pub(crate) const XDG_DATA_HOME: &str = "XDG_DATA_HOME";

/// The value of a variable; an empty one counts as unset.
pub(crate) fn get(name: &str) -> Option<OsString> {
    std::env::var_os(name).filter(|value| !value.is_empty())
}

/// A directory; one that is not absolute counts as unset.
pub(crate) fn directory(name: &str) -> Option<PathBuf> {
    get(name).map(PathBuf::from).filter(|path| path.is_absolute())
}

/// Whether a switch is on: set, and not to `0`.
pub(crate) fn is_on(name: &str) -> bool {
    get(name).is_some_and(|value| value != "0")
}
