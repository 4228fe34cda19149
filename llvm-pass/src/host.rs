//! The compiler that loads the plugin, and whether it has an LLVM that the plugin was built for.

use std::ffi::{CStr, c_uint, c_void};
use std::mem::MaybeUninit;

use static_call_abi::installation::REQUIRE;

use crate::shim;

/// What to do in this compiler.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Host {
    /// It has an LLVM that we have a shim for.
    Ours,
    /// It has another LLVM. Do nothing, because none of its interfaces is what we expect.
    Other { required: bool },
    /// It has loaded another copy of the pass, perhaps of another version, which does everything.
    Served,
}

impl Host {
    /// Looks at this process. Says on stderr if the pass cannot run in it.
    pub(crate) fn detect() -> Self {
        if let Some([ours, other]) = other_copy() {
            eprintln!("static-call: this compiler has loaded the pass {other}; {ours} does nothing here");
            return Self::Served;
        }
        let found = llvm_major();
        let problem = match found {
            Some(major) if has_assertions() => {
                format!("LLVM {major} with assertions, whose classes have another layout")
            }
            Some(major) if !shim::choose(major) => {
                format!("LLVM {major}, but the pass was built for LLVM {}", shim::llvms())
            }
            Some(major) if !has_our_library() => {
                format!("LLVM {major} with another C++ library than libstdc++, which the pass was built for")
            }
            Some(_) => return Self::Ours,
            None => {
                format!(
                    "an LLVM older than 16, or one that hides its symbols from plugins, but the pass was \
                     built for LLVM {}",
                    shim::llvms()
                )
            }
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
            Self::Ours | Self::Other { required: false } | Self::Served => plugin_api_version(llvm_major()),
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

/// LLVM's major version in this process. LLVM before 16 has no function for it, and a program that LLVM is
/// linked into statically may not export the function.
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

/// Whether LLVM takes the strings of our C++ library. Each of the versions that we know has this function.
fn has_our_library() -> bool {
    const CREATE_PRINTER_PASS: &CStr =
        c"_ZNK4llvm19MachineFunctionPass17createPrinterPassERNS_11raw_ostreamERKNSt7__cxx1112basic_stringI\
          cSt11char_traitsIcESaIcEEE";
    !symbol(CREATE_PRINTER_PASS).is_null()
}

/// The files of this copy of the pass and of the one whose symbols the process finds first, if those are two.
/// LLVM loads plugins so that each finds the symbols of those before it.
fn other_copy() -> Option<[String; 2]> {
    let ours = object_at((&raw const LOADED).cast())?;
    let first = object_at(symbol(c"static_call_names"))?;
    let name = |object: libc::Dl_info| {
        // SAFETY: dladdr found the object, which has a name, and nothing unloads plugins.
        unsafe { CStr::from_ptr(object.dli_fname) }.to_string_lossy().into_owned()
    };
    (ours.dli_fbase != first.dli_fbase).then(|| [name(ours), name(first)])
}

/// Its address is in this copy of the pass.
static LOADED: u8 = 1;

/// The object that an address of the process lies in.
fn object_at(address: *const c_void) -> Option<libc::Dl_info> {
    let mut object = MaybeUninit::uninit();
    // SAFETY: dladdr reads nothing at the address, and fills the structure in if it finds an object.
    unsafe { (libc::dladdr(address, object.as_mut_ptr()) != 0).then(|| object.assume_init()) }
}

/// The address of a symbol of the process, or null.
fn symbol(name: &CStr) -> *mut c_void {
    // SAFETY: looks a name up in the symbols of the process.
    unsafe { libc::dlsym(libc::RTLD_DEFAULT, name.as_ptr()) }
}
