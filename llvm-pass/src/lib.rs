//! The plugin that rustc (`-Zllvm-plugins`) and clang (`-fpass-plugin`) load.
//!
//! Two stages. [`lower`] runs on LLVM IR, before any inlining: it turns calls through
//! `__static_call_target(&KEY)` into direct calls of the key's [`trampoline`] and has the [`image`]
//! register itself. The machine stage (in `cpp/shim.cpp`) runs when code generation is over: it
//! records each call and jump whose destination is a trampoline. What depends on the architecture
//! stands in [`target`].
//!
//! inkwell wraps what this crate creates; the user's IR is looked at through llvm-sys, because
//! inkwell's enumerations panic on types that they do not know, and any type may come along here.
//!
//! # Safety
//!
//! LLVM's objects are raw pointers that live as long as their module, which the compiler lends to
//! [`static_call_lower_module`] for the duration of the call. No reference outlives it, and a module
//! is only ever used by one thread at a time.

mod host;
mod image;
mod keys;
mod lower;
mod module;
mod reserved;
mod shim;
mod target;
mod trampoline;

use std::ffi::{CStr, c_char, c_void};
use std::mem::ManuallyDrop;

use llvm_sys::prelude::LLVMModuleRef;
use static_call_abi as abi;

/// Name in `-Rpass=static-call`, `-Cremark=static-call` and `opt -passes=static-call`.
const PASS_NAME: &CStr = c"static-call";

/// `llvm::PassPluginLibraryInfo` of API version 2 (`llvm/Plugins/PassPlugin.h`).
#[repr(C)]
#[derive(Debug)]
pub struct PassPluginLibraryInfo {
    api_version: u32,
    name: *const c_char,
    version: *const c_char,
    register: Option<unsafe extern "C" fn(*mut c_void)>,
    before_code_generation: Option<unsafe extern "C" fn(*mut c_void, *mut c_void, u32, *mut c_void) -> bool>,
}

impl PassPluginLibraryInfo {
    fn new(host: host::Host) -> Self {
        Self {
            api_version: host.plugin_api_version(),
            name: PASS_NAME.as_ptr(),
            version: concat!(env!("CARGO_PKG_VERSION"), "\0").as_ptr().cast(),
            // No LLVM takes a plugin without this function.
            register: Some(match host {
                host::Host::Ours => shim::static_call_shim_register,
                host::Host::Other { .. } => register_nothing,
            }),
            before_code_generation: match host {
                host::Host::Ours => Some(before_code_generation),
                host::Host::Other { .. } => None,
            },
        }
    }
}

/// What the plugin does in a compiler with another LLVM.
unsafe extern "C" fn register_nothing(_builder: *mut c_void) {}

/// For `llc`, which knows no other pipeline than that of code generation. False: it goes on.
unsafe extern "C" fn before_code_generation(
    _module: *mut c_void,
    _machine: *mut c_void,
    _file_type: u32,
    _output: *mut c_void,
) -> bool {
    // SAFETY: it only wants to be in a process with our LLVM.
    unsafe { shim::static_call_shim_register_machine_stage() };
    false
}

/// The entry point that LLVM looks up in a plugin: `PassPluginLibraryInfo llvmGetPassPluginInfo()`.
///
/// A structure of this size is returned where the caller says (System V psABI for x86-64, section 3.2.3: as
/// if by a first argument, which is returned as well). Before LLVM 22 the caller's is shorter by the last
/// field, so that one is only written where there is something to do.
///
/// # Safety
///
/// LLVM calls it, with room for its own version of the structure.
#[cfg(target_arch = "x86_64")]
#[unsafe(no_mangle)]
pub unsafe extern "C" fn llvmGetPassPluginInfo(to: *mut PassPluginLibraryInfo) -> *mut PassPluginLibraryInfo {
    let host = host::Host::detect();
    let info = PassPluginLibraryInfo::new(host);
    let size = match host {
        host::Host::Ours => size_of::<PassPluginLibraryInfo>(),
        host::Host::Other { .. } => std::mem::offset_of!(PassPluginLibraryInfo, before_code_generation),
    };
    // SAFETY: the caller's promise, and the size above.
    unsafe { std::ptr::copy_nonoverlapping((&raw const info).cast::<u8>(), to.cast::<u8>(), size) };
    to
}

/// The entry point that LLVM looks up in a plugin. Only LLVM 22 may load it here: an older one has less room.
#[cfg(not(target_arch = "x86_64"))]
#[unsafe(no_mangle)]
pub extern "C" fn llvmGetPassPluginInfo() -> PassPluginLibraryInfo {
    PassPluginLibraryInfo::new(host::Host::detect())
}

/// IR stage, called by the shim's module pass. True if the module changed.
///
/// # Safety
///
/// `module` is a valid module that nothing else uses during the call.
#[unsafe(no_mangle)]
unsafe extern "C" fn static_call_lower_module(module: LLVMModuleRef) -> bool {
    // SAFETY: the caller's promise. The module stays the compiler's: it is never dropped here.
    let module = ManuallyDrop::new(unsafe { inkwell::module::Module::new(module) });
    lower::lower(&module)
}

/// Layout of a recorded site, for the shim's machine stage. False: do not record it.
///
/// # Safety
///
/// `triple` points to `length` bytes, `instruction` is a C string, `layout` may be written.
#[unsafe(no_mangle)]
unsafe extern "C" fn static_call_site_layout(
    triple: *const u8,
    length: usize,
    kind: u32,
    instruction: *const c_char,
    layout: *mut target::SiteLayout,
) -> bool {
    // SAFETY: the caller's promise.
    let (triple, instruction) =
        unsafe { (std::slice::from_raw_parts(triple, length), CStr::from_ptr(instruction)) };
    let site = std::str::from_utf8(triple)
        .ok()
        .and_then(target::Target::from_triple)
        .zip(target::SiteKind::from_u32(kind))
        .map(|(target, kind)| target.site_layout(kind, instruction.to_str().expect("a name of LLVM's")));
    match site {
        Some(site) => {
            // SAFETY: the caller's promise.
            unsafe { layout.write(site) };
            true
        }
        None => false,
    }
}

#[unsafe(no_mangle)]
extern "C" fn static_call_trampoline_prefix() -> shim::Text {
    shim::Text::new(abi::TRAMPOLINE_PREFIX)
}

#[unsafe(no_mangle)]
extern "C" fn static_call_sites_section() -> shim::Text {
    shim::Text::new(abi::SITES_SECTION)
}

#[unsafe(no_mangle)]
extern "C" fn static_call_image() -> shim::Text {
    shim::Text::new(abi::IMAGE)
}

#[unsafe(no_mangle)]
extern "C" fn static_call_constructor() -> shim::Text {
    shim::Text::new(abi::CONSTRUCTOR)
}

#[unsafe(no_mangle)]
extern "C" fn static_call_refusal() -> shim::Text {
    shim::Text::new(image::REFUSAL)
}

#[unsafe(no_mangle)]
extern "C" fn static_call_anchor_prefix() -> shim::Text {
    shim::Text::new(abi::ANCHOR_PREFIX)
}

/// The names of our sections in their order in memory; behind the last one, nothing.
#[unsafe(no_mangle)]
extern "C" fn static_call_section(index: usize) -> shim::Text {
    shim::Text::new(abi::SECTIONS.get(index).copied().unwrap_or_default())
}

/// NUL-terminated, beyond its length: LLVM's remarks take a C string.
#[unsafe(no_mangle)]
extern "C" fn static_call_pass_name() -> shim::Text {
    shim::Text::new(PASS_NAME.to_str().expect("an ASCII constant"))
}
