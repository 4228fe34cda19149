//! The compiler that loads the plugin, and whether it has an LLVM that the plugin was built for.

use std::ffi::{CStr, c_uint, c_void};

use static_call_abi::installation::REQUIRE;

use crate::shim;

/// What to do in this compiler.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Host {
    /// It has an LLVM that we have a shim for.
    Ours,
    /// It has another LLVM. Do nothing, because none of its interfaces is what we expect.
    Other { required: bool },
}

impl Host {
    /// Looks at this process. Says on stderr if the pass cannot run in it.
    pub(crate) fn detect() -> Self {
        let found = llvm_major();
        let problem = match found {
            Some(major) if has_assertions() => {
                format!("LLVM {major} with assertions, whose classes have another layout")
            }
            Some(major) if shim::choose(major) => return Self::Ours,
            Some(major) => format!("LLVM {major}, but the pass was built for LLVM {}", shim::llvms()),
            None => format!("an LLVM older than 16, but the pass was built for LLVM {}", shim::llvms()),
        };
        let required = std::env::var_os(REQUIRE).is_some_and(|value| !value.is_empty() && value != "0");
        let outcome = if required {
            "which STATIC_CALL_REQUIRE=1 makes an error"
        } else {
            "so static calls go as they do without it (STATIC_CALL_REQUIRE=1 makes this an error)"
        };
        eprintln!("static-call: this compiler has {problem}; the pass does nothing here, {outcome}");
        Self::Other { required }
    }

    /// The version of the plugin interface to claim. No compiler accepts zero, so that one makes it stop.
    pub(crate) fn plugin_api_version(self) -> u32 {
        match self {
            Self::Other { required: true } => 0,
            Self::Ours | Self::Other { required: false } => plugin_api_version(llvm_major()),
        }
    }
}

/// The compiler's `LLVM_PLUGIN_API_VERSION`. LLVM stops the build if a plugin claims another one. A future
/// LLVM may have a later one than we know, but most leave it as it was.
pub(crate) fn plugin_api_version(llvm_major: Option<c_uint>) -> u32 {
    match llvm_major {
        None | Some(..22) => 1,
        Some(22 | 23) => 2,
        Some(24..) => 3,
    }
}

/// LLVM's major version in this process. LLVM before 16 has no function for it.
pub(crate) fn llvm_major() -> Option<c_uint> {
    type GetVersion = unsafe extern "C" fn(*mut c_uint, *mut c_uint, *mut c_uint);
    let symbol = symbol(c"LLVMGetVersion");
    if symbol.is_null() {
        return None;
    }
    // SAFETY: this is the function's type in every LLVM that has it (llvm-c/Core.h).
    let get_version = unsafe { std::mem::transmute::<*mut c_void, GetVersion>(symbol) };
    let mut major = 0;
    // SAFETY: writes what is not null.
    unsafe { get_version(&raw mut major, std::ptr::null_mut(), std::ptr::null_mut()) };
    Some(major)
}

/// Whether LLVM has checks that add fields to its classes. It then has a symbol that our own headers lack
/// (llvm/Config/abi-breaking.h).
fn has_assertions() -> bool {
    !symbol(c"_ZN4llvm23EnableABIBreakingChecksE").is_null()
}

/// The address of a symbol of the process, or null.
fn symbol(name: &CStr) -> *mut c_void {
    // SAFETY: looks a name up in the symbols of the process.
    unsafe { libc::dlsym(libc::RTLD_DEFAULT, name.as_ptr()) }
}
