//! The entry point that LLVM looks up in a plugin: `PassPluginLibraryInfo llvmGetPassPluginInfo()`.
//!
//! The structure has grown with LLVM, and the caller has room for its own version of it. So we write only the
//! fields that the caller's version has, through the address at which it expects the result.

use std::ffi::{c_char, c_void};
use std::mem::offset_of;

use crate::exports::PASS_NAME;
use crate::host::{self, Host};
use crate::shim;

/// `llvm::PassPluginLibraryInfo` of the latest version that we know (`llvm/Plugins/PassPlugin.h`).
#[repr(C)]
#[derive(Debug)]
pub(crate) struct PassPluginLibraryInfo {
    api_version: u32,
    name: *const c_char,
    version: *const c_char,
    register: Option<unsafe extern "C" fn(*mut c_void)>,
    /// Since version 2.
    before_code_generation: Option<unsafe extern "C" fn(*mut c_void, *mut c_void, u32, *mut c_void) -> bool>,
    /// Since version 3. We take no arguments.
    parse_arguments: Option<unsafe extern "C" fn()>,
}

impl PassPluginLibraryInfo {
    fn new(host: Host) -> Self {
        let is_ours = host == Host::Ours;
        Self {
            api_version: host.plugin_api_version(),
            name: PASS_NAME.as_ptr(),
            version: concat!(env!("CARGO_PKG_VERSION"), "\0").as_ptr().cast(),
            // LLVM refuses a plugin without this function.
            register: Some(if is_ours { shim::static_call_shim_register } else { register_nothing }),
            before_code_generation: if is_ours { Some(before_code_generation) } else { None },
            parse_arguments: None,
        }
    }

    /// The size of the structure in a version of the interface.
    fn size(api_version: u32) -> usize {
        match api_version {
            ..2 => offset_of!(Self, before_code_generation),
            2 => offset_of!(Self, parse_arguments),
            3.. => size_of::<Self>(),
        }
    }
}

/// All that the plugin does in a compiler that it does not serve.
unsafe extern "C" fn register_nothing(_builder: *mut c_void) {}

/// For `llc`, which has no pipeline but that of code generation. False: code generation goes on.
unsafe extern "C" fn before_code_generation(
    _module: *mut c_void,
    _machine: *mut c_void,
    _file_type: u32,
    _output: *mut c_void,
) -> bool {
    // SAFETY: the function only requires a process with our LLVM.
    unsafe { shim::static_call_shim_register_machine_stage() };
    false
}

/// Writes the structure to `to`, and returns `to`.
///
/// # Safety
///
/// `to` has room for the structure of the LLVM in this process.
unsafe extern "C" fn write_info(to: *mut PassPluginLibraryInfo) -> *mut PassPluginLibraryInfo {
    let info = PassPluginLibraryInfo::new(Host::detect());
    let size = PassPluginLibraryInfo::size(host::plugin_api_version(host::llvm_major()));
    // SAFETY: the caller's promise.
    unsafe { std::ptr::copy_nonoverlapping((&raw const info).cast::<u8>(), to.cast::<u8>(), size) };
    to
}

/// The entry point. A result of this size is returned in memory whose address is a hidden first argument, and
/// is itself returned (System V psABI for x86-64, section 3.2.3, and likewise for RISC-V, POWER, s390x and
/// LoongArch).
///
/// # Safety
///
/// LLVM calls it, with room for its own version of the structure.
#[cfg(not(any(target_arch = "aarch64", target_arch = "x86")))]
#[unsafe(no_mangle)]
pub(crate) unsafe extern "C" fn llvmGetPassPluginInfo(
    to: *mut PassPluginLibraryInfo,
) -> *mut PassPluginLibraryInfo {
    // SAFETY: the caller's promise.
    unsafe { write_info(to) }
}

/// The entry point. The callee removes the hidden first argument from the stack (System V psABI for i386,
/// section 2.3.2), as in Windows' `stdcall`.
///
/// # Safety
///
/// LLVM calls it, with room for its own version of the structure.
#[cfg(target_arch = "x86")]
#[unsafe(no_mangle)]
pub(crate) unsafe extern "stdcall" fn llvmGetPassPluginInfo(
    to: *mut PassPluginLibraryInfo,
) -> *mut PassPluginLibraryInfo {
    // SAFETY: the caller's promise.
    unsafe { write_info(to) }
}

/// The entry point. The address for the result is in x8 (AAPCS64, section 6.9), and nothing is returned.
///
/// # Safety
///
/// LLVM calls it, with room for its own version of the structure.
#[cfg(target_arch = "aarch64")]
#[unsafe(no_mangle)]
#[unsafe(naked)]
pub(crate) unsafe extern "C" fn llvmGetPassPluginInfo() {
    // hint #34 is `bti c`, which processors without it ignore.
    core::arch::naked_asm!("hint #34", "mov x0, x8", "b {write_info}", write_info = sym write_info)
}
