//! Helpers for modules that several parts of the IR stage share.

use std::collections::HashSet;

use inkwell::AddressSpace;
use inkwell::attributes::{Attribute, AttributeLoc};
use inkwell::module::Module;
use inkwell::types::{IntType, StructType};
use inkwell::values::{FunctionValue, GlobalValue, IntValue};
use llvm_sys::core::{LLVMGetFirstUse, LLVMGetNextUse, LLVMGetUser, LLVMGetValueName2};
use llvm_sys::prelude::LLVMValueRef;
use llvm_sys::target::{LLVMGetModuleDataLayout, LLVMPointerSize};
use static_call_abi as abi;

/// The size of a pointer in bytes.
pub(crate) fn pointer_size(module: &Module<'_>) -> u32 {
    // SAFETY: the module is alive, and so is the layout that it owns.
    unsafe { LLVMPointerSize(LLVMGetModuleDataLayout(module.as_mut_ptr())) }
}

/// The sizes of the tables that the module and the runtime share.
pub(crate) fn layout(module: &Module<'_>) -> abi::Layout {
    abi::Layout { pointer: pointer_size(module).into() }
}

pub(crate) fn triple(module: &Module<'_>) -> String {
    module.get_triple().as_str().to_string_lossy().into_owned()
}

/// The name of a global, which may have any bytes.
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

/// The type of a table with these fields.
pub(crate) fn struct_type<'ctx>(module: &Module<'ctx>, fields: &[abi::Field]) -> StructType<'ctx> {
    let context = module.get_context();
    let types = fields.iter().map(|field| match field {
        abi::Field::Pointer => context.ptr_type(AddressSpace::default()).into(),
        abi::Field::Word => word_type(module).into(),
        abi::Field::Number => context.i32_type().into(),
        abi::Field::Code => context.i8_type().array_type(8).into(),
    });
    context.struct_type(&types.collect::<Vec<_>>(), false)
}

/// Marks a function as made by the pass, for [`is_ours`] in a later run.
pub(crate) fn mark_as_ours(module: &Module<'_>, function: FunctionValue<'_>) {
    add_string_attribute(module, function, abi::TRAMPOLINE_ATTRIBUTE, "");
}

/// Whether the pass itself made this function.
pub(crate) fn is_ours(function: FunctionValue<'_>) -> bool {
    function.get_string_attribute(AttributeLoc::Function, abi::TRAMPOLINE_ATTRIBUTE).is_some()
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

/// `to - from`, which the linker computes.
pub(crate) fn distance<'ctx>(
    module: &Module<'ctx>,
    from: GlobalValue<'ctx>,
    to: GlobalValue<'ctx>,
) -> IntValue<'ctx> {
    let word = word_type(module);
    let address = |global: GlobalValue<'ctx>| global.as_pointer_value().const_to_int(word);
    let distance = address(to).const_sub(address(from));
    let number = module.get_context().i32_type();
    if word == number { distance } else { distance.const_truncate(number) }
}

/// The users of a value, each once, earliest first. LLVM's list starts with the newest.
pub(crate) fn users(value: LLVMValueRef) -> Vec<LLVMValueRef> {
    let mut users = Vec::new();
    let mut seen = HashSet::new();
    // SAFETY: the value is alive, and its use list does not change during the walk.
    unsafe {
        let mut next = LLVMGetFirstUse(value);
        while !next.is_null() {
            let user = LLVMGetUser(next);
            if seen.insert(user) {
                users.push(user);
            }
            next = LLVMGetNextUse(next);
        }
    }
    users.reverse();
    users
}
