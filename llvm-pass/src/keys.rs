//! The section of the keys: finds the globals that are keys and moves them there.
//!
//! Rust's macros put their keys into the section themselves, because nothing in a module distinguishes these
//! from other globals. The keys of C and C++ have a type of their own. A key inside a user's own struct stays
//! where it is.

use std::ffi::CStr;

use inkwell::AddressSpace;
use inkwell::module::Module;
use inkwell::values::{AsValueRef, GlobalValue};
use llvm_sys::core::{
    LLVMCountStructElementTypes, LLVMGetArrayLength2, LLVMGetElementType, LLVMGetStructElementTypes,
    LLVMGetStructName, LLVMGlobalGetValueType, LLVMIsDeclaration, LLVMIsOpaqueStruct, LLVMTypeIsSized,
};
use llvm_sys::prelude::LLVMTypeRef;
use llvm_sys::target::{LLVMABISizeOfType, LLVMGetModuleDataLayout};
use static_call_abi as abi;

use crate::enums::{Linkage, TypeKind};
use crate::format::{Format, Table};
use crate::{module, shim};

/// What [`place`] found.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Placed {
    /// The module defines keys that are now in their section.
    pub(crate) defined: bool,
    /// Some of them were not there before.
    pub(crate) moved: bool,
}

/// Puts the keys that the module defines into their section.
pub(crate) fn place(module: &Module<'_>, format: &dyn Format) -> Placed {
    let mut placed = Placed::default();
    for global in module.get_globals() {
        if !is_emitted_variable(global) {
            continue;
        }
        match global.get_section().map(CStr::to_bytes) {
            Some(section) => placed.defined |= format.is_section(Table::Keys, section),
            None if is_key(module, global) => {
                let symbol = global.get_name().to_string_lossy();
                let one_of_several = global.get_comdat().is_some().then_some(&*symbol);
                global.set_section(Some(&format.section(Table::Keys, one_of_several)));
                placed = Placed { defined: true, moved: true };
            }
            None => {}
        }
    }
    placed
}

/// Gives the functions that stand for NULL and "return 0", which the keys of all types share, the type that
/// the checks of all trampolines accept.
pub(crate) fn mark_stand_ins(module: &Module<'_>) {
    for name in abi::LOCAL_FUNCTIONS {
        if let Some(function) = module.get_function(name) {
            shim::replace_type(function, abi::STAND_IN);
        }
    }
}

/// Whether this module's object file will define the global as ordinary, writable data.
fn is_emitted_variable(global: GlobalValue<'_>) -> bool {
    // SAFETY: a global variable, alive.
    let (declared, linkage) =
        unsafe { (LLVMIsDeclaration(global.as_value_ref()) != 0, Linkage::of(global.as_value_ref())) };
    !declared
        && !matches!(linkage, Linkage::AVAILABLE_EXTERNALLY | Linkage::COMMON | Linkage::APPENDING)
        && !global.is_thread_local()
        && !global.is_constant()
        && global.as_pointer_value().get_type().get_address_space() == AddressSpace::default()
}

/// Whether the global is a key, or an array of keys.
fn is_key(module: &Module<'_>, global: GlobalValue<'_>) -> bool {
    let name = module::name(global.as_value_ref());
    // SAFETY: a global variable, alive, has a type.
    let ty = unsafe { LLVMGlobalGetValueType(global.as_value_ref()) };
    consists_of_keys(ty)
        || (name.ends_with(abi::KEY_SUFFIX.as_bytes()) && size(module, ty) == module::layout(module).key())
}

/// Whether a type is C's `struct static_call_key`, or an array of it.
fn consists_of_keys(ty: LLVMTypeRef) -> bool {
    // SAFETY: a type of the module; only arrays and structs are asked for their elements.
    unsafe {
        match TypeKind::of(ty) {
            TypeKind::ARRAY => LLVMGetArrayLength2(ty) != 0 && consists_of_keys(LLVMGetElementType(ty)),
            TypeKind::STRUCT => {
                let name = LLVMGetStructName(ty);
                if name.is_null() { all_elements_are_keys(ty) } else { is_key_struct(CStr::from_ptr(name)) }
            }
            _ => false,
        }
    }
}

/// Whether all elements of a struct are keys: clang represents an array that is mostly zero as an unnamed
/// struct.
///
/// # Safety
///
/// A struct type.
unsafe fn all_elements_are_keys(ty: LLVMTypeRef) -> bool {
    // SAFETY: the caller's promise; there is room for as many elements as there are.
    let elements = unsafe {
        if LLVMIsOpaqueStruct(ty) != 0 {
            return false;
        }
        let mut elements = vec![std::ptr::null_mut(); LLVMCountStructElementTypes(ty) as usize];
        LLVMGetStructElementTypes(ty, elements.as_mut_ptr());
        elements
    };
    !elements.is_empty() && elements.into_iter().all(consists_of_keys)
}

/// Whether this is the name of C's key type. Where modules are merged, LLVM appends a number to it.
fn is_key_struct(name: &CStr) -> bool {
    let rest = name.to_bytes().strip_prefix(b"struct.static_call_key");
    rest.is_some_and(|rest| match rest {
        [] => true,
        [b'.', digits @ ..] => !digits.is_empty() && digits.iter().all(u8::is_ascii_digit),
        _ => false,
    })
}

fn size(module: &Module<'_>, ty: LLVMTypeRef) -> u64 {
    // SAFETY: the module is alive, and so is the layout that it owns; only a sized type is measured.
    unsafe {
        let layout = LLVMGetModuleDataLayout(module.as_mut_ptr());
        if LLVMTypeIsSized(ty) == 0 { 0 } else { LLVMABISizeOfType(layout, ty) }
    }
}
