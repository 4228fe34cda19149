//! What the C++ part calls: the other half of `cpp/shim.h`.

use std::ffi::{CStr, c_char};
use std::mem::ManuallyDrop;

use llvm_sys::prelude::LLVMModuleRef;
use static_call_abi as abi;

use crate::machine::Machine;
use crate::shim::Text;
use crate::target::{SiteKind, SiteLayout, Target};
use crate::{image, lower};

/// Name in `-Rpass=static-call`, `-Cremark=static-call` and `opt -passes=static-call`.
pub(crate) const PASS_NAME: &CStr = c"static-call";

/// The IR stage. True if the module changed.
///
/// # Safety
///
/// `module` is a valid module that nothing else uses during the call.
#[unsafe(no_mangle)]
pub(crate) unsafe extern "C" fn static_call_lower_module(module: LLVMModuleRef) -> bool {
    // SAFETY: the caller's promise. The module stays the compiler's: it is never dropped here.
    let module = ManuallyDrop::new(unsafe { inkwell::module::Module::new(module) });
    lower::lower(&module)
}

/// The target of this triple, or null if it has no sites.
///
/// # Safety
///
/// `triple` points to `length` bytes.
#[unsafe(no_mangle)]
unsafe extern "C" fn static_call_target(triple: *const u8, length: usize) -> Option<&'static Target> {
    // SAFETY: the caller's promise.
    let triple = unsafe { std::slice::from_raw_parts(triple, length) };
    let machine = std::str::from_utf8(triple).ok().and_then(Machine::from_triple);
    machine.map(|machine| machine.target)
}

/// Layout of a recorded site, for the machine stage. False: do not record it.
///
/// # Safety
///
/// `instruction` is a C string, `layout` may be written.
#[unsafe(no_mangle)]
unsafe extern "C" fn static_call_site_layout(
    target: &'static Target,
    kind: u32,
    instruction: *const c_char,
    layout: *mut SiteLayout,
) -> bool {
    let Some(kind) = SiteKind::from_u32(kind) else { return false };
    // SAFETY: the caller's promise.
    let instruction = unsafe { CStr::from_ptr(instruction) };
    let site = target.site_layout(kind, instruction.to_str().expect("a name of LLVM's"));
    // SAFETY: the caller's promise.
    unsafe { layout.write(site) };
    true
}

/// `StaticCallNames` of `cpp/shim.h`.
#[repr(C)]
struct Names {
    pass: Text,
    trampoline_prefix: Text,
    image: Text,
    constructor: Text,
    destructor: Text,
    refusal: Text,
    anchor_prefix: Text,
    sites_section: Text,
    sections: [Text; 5],
    coff_sites_section: Text,
}

// SAFETY: the texts are constants.
unsafe impl Sync for Names {}

static NAMES: Names = Names {
    pass: match PASS_NAME.to_str() {
        Ok(name) => Text::new(name),
        Err(_) => unreachable!(),
    },
    trampoline_prefix: Text::new(abi::TRAMPOLINE_PREFIX),
    image: Text::new(abi::IMAGE),
    constructor: Text::new(abi::CONSTRUCTOR),
    destructor: Text::new(abi::DESTRUCTOR),
    refusal: Text::new(image::REFUSAL),
    anchor_prefix: Text::new(abi::ANCHOR_PREFIX),
    sites_section: Text::new(abi::SITES_SECTION),
    sections: {
        let [keys, records, branches, sites, end] = abi::SECTIONS;
        [Text::new(keys), Text::new(records), Text::new(branches), Text::new(sites), Text::new(end)]
    },
    coff_sites_section: {
        let [_, _, _, sites, _] = abi::COFF_SECTIONS;
        Text::new(sites)
    },
};

#[unsafe(no_mangle)]
extern "C" fn static_call_names() -> &'static Names {
    &NAMES
}
