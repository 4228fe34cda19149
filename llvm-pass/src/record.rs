//! Records: an image's use of one key, as the runtime reads it (`static_call_abi::Record`).

use std::ffi::CStr;

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
    let ty = ty(module);
    let name = format!("{}{}", abi::RECORD_PREFIX, key.symbol());
    let record = module.add_global(ty, None, &name);
    record.set_linkage(Linkage::Internal);
    record.set_section(Some(abi::RECORDS_SECTION));
    record.set_alignment(module::pointer_size(module));
    let to_trampoline = module::distance(module, record, trampoline.as_global_value());
    let mut values = ty.get_field_types().iter().map(|ty| ty.const_zero()).collect::<Vec<_>>();
    values[abi::RECORD_KEY] = key.pointer(module).into();
    values[abi::RECORD_TRAMPOLINE] = to_trampoline.into();
    record.set_initializer(&ty.const_named_struct(&values));
    record
}

pub(crate) fn ty<'ctx>(module: &Module<'ctx>) -> StructType<'ctx> {
    module::struct_type(module, &abi::RECORD_FIELDS)
}

/// Whether the pass itself made this record.
pub(crate) fn is_ours(record: GlobalValue<'_>) -> bool {
    record.get_section().map(CStr::to_bytes) == Some(abi::RECORDS_SECTION.as_bytes())
}
