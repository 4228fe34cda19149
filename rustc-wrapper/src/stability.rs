//! Keeping a stable compiler stable.
//!
//! Stable rustc loads plugins only with `RUSTC_BOOTSTRAP=1`, which would also open every unstable
//! feature: crates whose build scripts try features out would turn them on, and the program would
//! no longer build without the wrapper. `-Zallow-features=` closes them again. The variable is set
//! in the compiler's own environment only, where no build script sees it.
//!
//! It also makes rustc name symbols as a nightly does. So the names of a stable compiler are asked
//! for, which in turn needs `-Zunstable-options`. What remains is the `cfg`s of a nightly, nearly all
//! of which need a feature: on x86-64, `target_feature = "x87"` does not; and the variable itself, for a crate that
//! asks for it by `option_env!`, since rustc expands macros before it loads plugins, which could unset it.

use crate::invocation::Invocation;
use crate::toolchain::Toolchain;
use crate::variables;

/// Whether rustc accepts unstable options and features for this crate without our doing.
///
/// Rustc's rule: `RUSTC_BOOTSTRAP` is `1`, or a list with this crate's name in it, or `-1` to make
/// a nightly behave as stable; otherwise the channel decides.
pub(crate) fn allows_unstable(toolchain: &Toolchain, crate_name: Option<&str>) -> bool {
    let value = variables::get(variables::RUSTC_BOOTSTRAP);
    match value.as_ref().and_then(|value| value.to_str()) {
        Some("1") => true,
        Some(list) if list.split(',').any(|name| Some(name) == crate_name) => true,
        Some("-1") => false,
        _ => toolchain.is_nightly(),
    }
}

/// What makes rustc stable again under `RUSTC_BOOTSTRAP=1`.
pub(crate) fn flags(invocation: &Invocation) -> Vec<&'static str> {
    let mut flags = vec!["-Zallow-features="];
    // Coverage has a naming of its own.
    if !["symbol-mangling-version", "instrument-coverage"]
        .iter()
        .any(|name| invocation.has_codegen_option(name))
    {
        flags.extend(["-Zunstable-options", "-Csymbol-mangling-version=legacy"]);
    }
    flags
}
