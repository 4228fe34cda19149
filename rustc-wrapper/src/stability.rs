//! Keeping a stable compiler stable.
//!
//! Stable rustc loads plugins only with `RUSTC_BOOTSTRAP=1`, which would also open every unstable
//! feature: crates whose build scripts try features out would turn them on, and the program would
//! no longer build without the wrapper. `-Zallow-features=` closes them again. The variable is set
//! in the compiler's own environment only, where no build script sees it.

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
