//! Every environment variable the wrapper reads or writes.

use std::ffi::OsString;

/// The plugin's absolute path, instead of the places relative to the wrapper.
pub(crate) const PLUGIN: &str = "STATIC_CALL_PASS";
/// Set to anything but `0`: a build without the pass is an error.
pub(crate) const REQUIRE: &str = "STATIC_CALL_REQUIRE";
/// Another wrapper, say sccache, to run the compiler through.
pub(crate) const CHAINED_WRAPPER: &str = "STATIC_CALL_RUSTC_WRAPPER";

/// Rustc's own: whether it accepts what is unstable; see [`crate::stability`].
pub(crate) const RUSTC_BOOTSTRAP: &str = "RUSTC_BOOTSTRAP";

/// Set by cargo for every package it compiles.
pub(crate) const CARGO_PKG_NAME: &str = "CARGO_PKG_NAME";
/// Set by cargo for the packages its user asked for.
pub(crate) const CARGO_PRIMARY_PACKAGE: &str = "CARGO_PRIMARY_PACKAGE";

/// Where rustup keeps its toolchains.
pub(crate) const RUSTUP_HOME: &str = "RUSTUP_HOME";
/// The toolchain a rustup proxy runs, before any other setting.
pub(crate) const RUSTUP_TOOLCHAIN: &str = "RUSTUP_TOOLCHAIN";

pub(crate) const PATH: &str = "PATH";
pub(crate) const HOME: &str = "HOME";
pub(crate) const XDG_CACHE_HOME: &str = "XDG_CACHE_HOME";

/// The variable's value; an empty variable counts as unset.
pub(crate) fn get(name: &str) -> Option<OsString> {
    std::env::var_os(name).filter(|value| !value.is_empty())
}

/// Whether a switch is on: set, and not to `0`.
pub(crate) fn is_on(name: &str) -> bool {
    get(name).is_some_and(|value| value != "0")
}
