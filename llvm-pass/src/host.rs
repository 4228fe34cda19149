//! The compiler that loads us, and whether its LLVM is the one we were built for.

use std::ffi::{c_uint, c_void};

/// The major version of LLVM that this plugin was built for.
const OURS: c_uint = 22;

/// What to do in this compiler.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Host {
    /// Its LLVM is ours.
    Ours,
    /// It has another LLVM: do nothing, for nothing of it is where we expect it.
    Other { required: bool },
}

impl Host {
    /// Looks at the process that has loaded us; says on stderr if the pass cannot run in it.
    pub(crate) fn detect() -> Self {
        let found = llvm_major();
        if found == Some(OURS) {
            return Self::Ours;
        }
        let found = found.map_or("older than 16".to_owned(), |major| major.to_string());
        let required =
            std::env::var_os("STATIC_CALL_REQUIRE").is_some_and(|value| !value.is_empty() && value != "0");
        let outcome = if required {
            "which STATIC_CALL_REQUIRE=1 makes an error"
        } else {
            "so its static calls go through pointers (STATIC_CALL_REQUIRE=1 makes this an error)"
        };
        eprintln!(
            "static-call: this compiler has LLVM {found}, but the pass was built for LLVM {OURS} and stays out, \
             {outcome}; use clang-{OURS}"
        );
        Self::Other { required }
    }

    /// `LLVM_PLUGIN_API_VERSION` of the compiler: 2 since LLVM 22. Zero is none of any compiler's, which then
    /// refuses to go on.
    pub(crate) fn plugin_api_version(self) -> u32 {
        match self {
            Self::Ours => 2,
            Self::Other { required: true } => 0,
            Self::Other { required: false } => {
                if llvm_major().is_some_and(|major| major >= OURS) {
                    2
                } else {
                    1
                }
            }
        }
    }
}

/// LLVM's major version in this process. Before LLVM 16 it could not be asked.
fn llvm_major() -> Option<c_uint> {
    type GetVersion = unsafe extern "C" fn(*mut c_uint, *mut c_uint, *mut c_uint);
    // SAFETY: looks a name up in the symbols of the process.
    let symbol: *mut c_void = unsafe { libc::dlsym(libc::RTLD_DEFAULT, c"LLVMGetVersion".as_ptr()) };
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
