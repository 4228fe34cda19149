//! LLVM's enumerations, as the numbers that they are in C.
//!
//! llvm-sys declares these functions with Rust enums, which may hold only the values that they list. A type,
//! linkage or predicate that a newer LLVM adds would be undefined behavior. A number may be unknown. Only the
//! user's code needs this, because the pass knows the kinds of what it creates.
//!
//! These numbers are the same from LLVM 18 to 24. Others are not: LLVM 23 has a new `LLVMValueKind` in the
//! middle.

use std::ffi::c_uint;

use llvm_sys::prelude::{LLVMTypeRef, LLVMValueRef};
use llvm_sys::{LLVMDLLStorageClass, LLVMIntPredicate, LLVMLinkage, LLVMTypeKind};

mod raw {
    use super::{LLVMTypeRef, LLVMValueRef, c_uint};

    unsafe extern "C" {
        pub(super) fn LLVMGetTypeKind(ty: LLVMTypeRef) -> c_uint;
        pub(super) fn LLVMGetLinkage(global: LLVMValueRef) -> c_uint;
        pub(super) fn LLVMGetICmpPredicate(comparison: LLVMValueRef) -> c_uint;
        pub(super) fn LLVMGetDLLStorageClass(global: LLVMValueRef) -> c_uint;
    }
}

/// `LLVMTypeKind`, or a number that this version does not list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct TypeKind(c_uint);

impl TypeKind {
    pub(crate) const VOID: Self = Self(LLVMTypeKind::LLVMVoidTypeKind as c_uint);
    pub(crate) const INTEGER: Self = Self(LLVMTypeKind::LLVMIntegerTypeKind as c_uint);
    pub(crate) const POINTER: Self = Self(LLVMTypeKind::LLVMPointerTypeKind as c_uint);
    pub(crate) const STRUCT: Self = Self(LLVMTypeKind::LLVMStructTypeKind as c_uint);
    pub(crate) const ARRAY: Self = Self(LLVMTypeKind::LLVMArrayTypeKind as c_uint);

    /// # Safety
    ///
    /// A type that is alive.
    pub(crate) unsafe fn of(ty: LLVMTypeRef) -> Self {
        // SAFETY: the caller's promise. In C an enumeration without negative values is an `unsigned int`.
        Self(unsafe { raw::LLVMGetTypeKind(ty) })
    }
}

/// `LLVMLinkage`, or a number that this version does not list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Linkage(c_uint);

impl Linkage {
    pub(crate) const AVAILABLE_EXTERNALLY: Self = Self(LLVMLinkage::LLVMAvailableExternallyLinkage as c_uint);
    pub(crate) const APPENDING: Self = Self(LLVMLinkage::LLVMAppendingLinkage as c_uint);
    pub(crate) const EXTERNAL_WEAK: Self = Self(LLVMLinkage::LLVMExternalWeakLinkage as c_uint);
    pub(crate) const COMMON: Self = Self(LLVMLinkage::LLVMCommonLinkage as c_uint);
    const INTERNAL: Self = Self(LLVMLinkage::LLVMInternalLinkage as c_uint);
    const PRIVATE: Self = Self(LLVMLinkage::LLVMPrivateLinkage as c_uint);

    /// # Safety
    ///
    /// A function or variable that is alive.
    pub(crate) unsafe fn of(global: LLVMValueRef) -> Self {
        // SAFETY: the caller's promise; the type is as for `TypeKind`.
        Self(unsafe { raw::LLVMGetLinkage(global) })
    }

    /// Whether other modules cannot name the symbol.
    pub(crate) fn is_local(self) -> bool {
        matches!(self, Self::INTERNAL | Self::PRIVATE)
    }
}

/// `LLVMIntPredicate`, or a number that this version does not list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Predicate(c_uint);

impl Predicate {
    pub(crate) const EQUAL: Self = Self(LLVMIntPredicate::LLVMIntEQ as c_uint);
    pub(crate) const NOT_EQUAL: Self = Self(LLVMIntPredicate::LLVMIntNE as c_uint);

    /// # Safety
    ///
    /// An integer comparison that is alive.
    pub(crate) unsafe fn of(comparison: LLVMValueRef) -> Self {
        // SAFETY: the caller's promise; the type is as for `TypeKind`.
        Self(unsafe { raw::LLVMGetICmpPredicate(comparison) })
    }
}

/// Whether a global is declared with `dllimport`.
///
/// # Safety
///
/// A global that is alive.
pub(crate) unsafe fn is_dll_import(global: LLVMValueRef) -> bool {
    // SAFETY: the caller's promise. In C an enumeration without negative values is an `unsigned int`.
    unsafe { raw::LLVMGetDLLStorageClass(global) == LLVMDLLStorageClass::LLVMDLLImportStorageClass as c_uint }
}
