//! Records: an image's use of one key, as the runtime reads it (`static_call_abi::Record`).

use std::ffi::CStr;

use inkwell::AddressSpace;
use inkwell::module::{Linkage, Module};
use inkwell::types::StructType;
use inkwell::values::{FunctionValue, GlobalValue};
use static_call_abi as abi;

use crate::key_address::KeyAddress;
use crate::module;

/// The record of `key`, which this trampoline calls.
pub(crate) fn build<'ctx>(
    module: &Module<'ctx>,
    key: KeyAddress<'ctx>,
    trampoline: FunctionValue<'ctx>,
) -> GlobalValue<'ctx> {
    let context = module.get_context();
    let pointer = context.ptr_type(AddressSpace::default());
    let i32_type = context.i32_type();
    let saved = context.i8_type().array_type(8);
    let ty = ty(module);
    let name = format!("{}{}", abi::RECORD_PREFIX, key.symbol());
    let record = module.add_global(ty, None, &name);
    record.set_linkage(Linkage::Internal);
    record.set_section(Some(abi::RECORDS_SECTION));
    record.set_alignment(module::pointer_size(module));
    let to_trampoline = module::distance(module, record, trampoline.as_global_value());
    record.set_initializer(&ty.const_named_struct(&[
        key.pointer(module).into(),
        pointer.const_null().into(),
        pointer.const_null().into(),
        i32_type.const_zero().into(),
        to_trampoline.into(),
        saved.const_zero().into(),
    ]));
    record
}

/// The fields of `abi::Record`, in their order.
pub(crate) fn ty<'ctx>(module: &Module<'ctx>) -> StructType<'ctx> {
    let context = module.get_context();
    let pointer = context.ptr_type(AddressSpace::default());
    let number = context.i32_type();
    let saved = context.i8_type().array_type(8);
    context.struct_type(
        &[pointer.into(), pointer.into(), pointer.into(), number.into(), number.into(), saved.into()],
        false,
    )
}

/// Whether the pass itself made this record.
pub(crate) fn is_ours(record: GlobalValue<'_>) -> bool {
    record.get_section().map(CStr::to_bytes) == Some(abi::RECORDS_SECTION.as_bytes())
}
