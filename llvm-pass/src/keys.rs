//! The section of the keys: which globals are keys, as far as they can be moved.
//!
//! Rust's macros give their keys the section themselves, since nothing in the module tells them from other
//! globals. C's and C++'s are known by their type. A key inside a user's own struct stays where it is.

use std::ffi::CStr;

use inkwell::AddressSpace;
use inkwell::module::{Linkage, Module};
use inkwell::values::{AsValueRef, GlobalValue};
use llvm_sys::LLVMTypeKind;
use llvm_sys::core::{
    LLVMCountStructElementTypes, LLVMGetArrayLength2, LLVMGetElementType, LLVMGetStructElementTypes,
    LLVMGetStructName, LLVMGetTypeKind, LLVMGlobalGetValueType, LLVMIsDeclaration, LLVMIsOpaqueStruct,
    LLVMTypeIsSized,
};
use llvm_sys::prelude::LLVMTypeRef;
use llvm_sys::target::{LLVMABISizeOfType, LLVMGetModuleDataLayout};
use static_call_abi as abi;

use crate::module;

/// What [`place`] found.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Placed {
    /// The module defines keys that lie in their section now.
    pub(crate) defined: bool,
    /// Some of them did not before.
    pub(crate) moved: bool,
}

/// Puts the keys that the module defines into their section.
pub(crate) fn place(module: &Module<'_>) -> Placed {
    let mut placed = Placed::default();
    for global in module.get_globals() {
        if !is_emitted_variable(global) {
            continue;
        }
        match global.get_section().map(CStr::to_bytes) {
            Some(section) => placed.defined |= section == abi::KEYS_SECTION.as_bytes(),
            None if is_key(module, global) => {
                global.set_section(Some(abi::KEYS_SECTION));
                placed = Placed { defined: true, moved: true };
            }
            None => {}
        }
    }
    placed
}

/// Whether this module's object file holds the global, as data that may be anywhere and change.
fn is_emitted_variable(global: GlobalValue<'_>) -> bool {
    // SAFETY: a global variable, alive.
    let declared = unsafe { LLVMIsDeclaration(global.as_value_ref()) != 0 };
    !declared
        && !matches!(
            global.get_linkage(),
            Linkage::AvailableExternally | Linkage::Common | Linkage::Appending
        )
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
        || (name.ends_with(abi::KEY_SUFFIX.as_bytes()) && size(module, ty) == key_size(module))
}

/// Whether a type is C's `struct static_call_key`, or an array of it.
fn consists_of_keys(ty: LLVMTypeRef) -> bool {
    // SAFETY: a type of the module; only arrays and structs are asked what they consist of.
    unsafe {
        match LLVMGetTypeKind(ty) {
            LLVMTypeKind::LLVMArrayTypeKind => {
                LLVMGetArrayLength2(ty) != 0 && consists_of_keys(LLVMGetElementType(ty))
            }
            LLVMTypeKind::LLVMStructTypeKind => {
                let name = LLVMGetStructName(ty);
                if name.is_null() { all_elements_are_keys(ty) } else { is_key_struct(CStr::from_ptr(name)) }
            }
            _ => false,
        }
    }
}

/// Clang lays out an array as a struct without a name where most of it is zero.
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

/// Where modules meet, LLVM appends a number to the names of types.
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

fn key_size(module: &Module<'_>) -> u64 {
    u64::from(4 * module::pointer_size(module) + 8)
}
