//! Keeps a stable compiler stable.
//!
//! Stable rustc loads plugins only with `RUSTC_BOOTSTRAP=1`, which also permits every unstable feature.
//! Crates whose build scripts probe for features would then use them, and the program would no longer build
//! without the wrapper. `-Zallow-features=` forbids the features again. The variable is set only in the
//! environment of the compiler, where no build script sees it.
//!
//! The variable also makes rustc mangle symbols as a nightly does. So the wrapper asks for the mangling of
//! stable compilers, which needs `-Zunstable-options`. Two traces remain. One is the `cfg`s of a nightly, of
//! which nearly all need a feature, but not `target_feature = "x87"` on x86-64. The other is the variable
//! itself, which a crate can read with `option_env!`: rustc expands macros before it loads plugins, so the
//! plugin cannot unset it in time.

use crate::invocation::Invocation;
use crate::toolchain::Toolchain;
use crate::variables;

/// Whether rustc permits unstable options and features for this crate without the wrapper.
///
/// This is rustc's rule: `RUSTC_BOOTSTRAP` may be `1`, a list with the crate's name, or `-1`, which makes a
/// nightly behave like a stable compiler. Otherwise the channel decides.
pub(crate) fn allows_unstable(toolchain: &Toolchain, crate_name: Option<&str>) -> bool {
    let value = variables::get(variables::RUSTC_BOOTSTRAP);
    match value.as_ref().and_then(|value| value.to_str()) {
        Some("1") => true,
        Some(list) if list.split(',').any(|name| Some(name) == crate_name) => true,
        Some("-1") => false,
        _ => toolchain.is_nightly(),
    }
}

/// The options that make rustc behave like a stable compiler despite `RUSTC_BOOTSTRAP=1`.
pub(crate) fn flags(invocation: &Invocation) -> Vec<&'static str> {
    let mut flags = vec!["-Zallow-features="];
    // Coverage requires another mangling, which rustc then selects.
    if !["symbol-mangling-version", "instrument-coverage"]
        .iter()
        .any(|name| invocation.has_codegen_option(name))
    {
        flags.extend(["-Zunstable-options", "-Csymbol-mangling-version=legacy"]);
    }
    flags
}
