//! What several parts of the lowering ask of a module.

use inkwell::GlobalVisibility;
use inkwell::attributes::{Attribute, AttributeLoc};
use inkwell::comdat::ComdatSelectionKind;
use inkwell::module::{Linkage, Module};
use inkwell::types::IntType;
use inkwell::values::{FunctionValue, GlobalValue};
use llvm_sys::core::LLVMGetValueName2;
use llvm_sys::prelude::LLVMValueRef;
use llvm_sys::target::{LLVMGetModuleDataLayout, LLVMPointerSize};
use static_call_abi as abi;

/// The size of a pointer in bytes.
pub(crate) fn pointer_size(module: &Module<'_>) -> u32 {
    // SAFETY: the module is alive, and so is the layout that it owns.
    unsafe { LLVMPointerSize(LLVMGetModuleDataLayout(module.as_mut_ptr())) }
}

/// The name of a global, whatever bytes it consists of.
pub(crate) fn name<'a>(global: LLVMValueRef) -> &'a [u8] {
    let mut length = 0;
    // SAFETY: the global is alive, and its name lives as long and has this length.
    unsafe {
        let name = LLVMGetValueName2(global, &raw mut length);
        std::slice::from_raw_parts(name.cast(), length)
    }
}

/// An integer as wide as a pointer.
pub(crate) fn word_type<'ctx>(module: &Module<'ctx>) -> IntType<'ctx> {
    let context = module.get_context();
    if pointer_size(module) == 8 { context.i64_type() } else { context.i32_type() }
}

/// Marks a function as made by the pass, which [`is_ours`] finds in a later run.
pub(crate) fn mark_as_ours(module: &Module<'_>, function: FunctionValue<'_>) {
    add_string_attribute(module, function, abi::TRAMPOLINE_ATTRIBUTE, "");
}

/// Whether the pass itself made this function.
pub(crate) fn is_ours(function: FunctionValue<'_>) -> bool {
    function.get_string_attribute(AttributeLoc::Function, abi::TRAMPOLINE_ATTRIBUTE).is_some()
}

/// Leaves one copy of the global in each image, which no other image sees.
pub(crate) fn one_per_image(module: &Module<'_>, global: GlobalValue<'_>, comdat: &str) {
    global.set_linkage(Linkage::LinkOnceODR);
    global.set_visibility(GlobalVisibility::Hidden);
    let group = module.get_or_insert_comdat(comdat);
    group.set_selection_kind(ComdatSelectionKind::Any);
    global.set_comdat(group);
}

/// Adds attributes of the form `name` to a function.
pub(crate) fn add_enum_attributes(module: &Module<'_>, function: FunctionValue<'_>, names: &[&str]) {
    for name in names {
        let kind = Attribute::get_named_enum_kind_id(name);
        assert_ne!(kind, 0, "LLVM knows no attribute {name}");
        let attribute = module.get_context().create_enum_attribute(kind, 0);
        function.add_attribute(AttributeLoc::Function, attribute);
    }
}

/// Adds attributes of the form `"name"="value"` to a function.
pub(crate) fn add_string_attribute(
    module: &Module<'_>,
    function: FunctionValue<'_>,
    name: &str,
    value: &str,
) {
    let attribute = module.get_context().create_string_attribute(name, value);
    function.add_attribute(AttributeLoc::Function, attribute);
}

/// The value of a string attribute.
pub(crate) fn string_attribute(function: FunctionValue<'_>, name: &str) -> Option<String> {
    let attribute = function.get_string_attribute(AttributeLoc::Function, name)?;
    Some(attribute.get_string_value().to_string_lossy().into_owned())
}
