//! What several parts of the lowering ask of a module.

use inkwell::attributes::{Attribute, AttributeLoc};
use inkwell::comdat::ComdatSelectionKind;
use inkwell::module::{Linkage, Module};
use inkwell::values::{FunctionValue, GlobalValue};
use inkwell::GlobalVisibility;
use llvm_sys::target::{LLVMGetModuleDataLayout, LLVMPointerSize};

/// The size of a pointer in bytes.
pub(crate) fn pointer_size(module: &Module<'_>) -> u32 {
    // SAFETY: the module is alive, and so is the layout that it owns.
    unsafe { LLVMPointerSize(LLVMGetModuleDataLayout(module.as_mut_ptr())) }
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
