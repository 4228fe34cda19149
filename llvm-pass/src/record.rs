//! Records: an image's use of one key, as the runtime reads it (`static_call_abi::Record`).

use inkwell::module::{Linkage, Module};
use inkwell::types::StructType;
use inkwell::values::{FunctionValue, GlobalValue};
use static_call_abi::{self as abi, TypeCheck};

use crate::format::{Format, Table};
use crate::key_address::KeyAddress;
use crate::module;

/// The record of `key`, which this trampoline calls.
pub(crate) fn build<'ctx>(
    module: &Module<'ctx>,
    format: &dyn Format,
    key: KeyAddress<'ctx>,
    trampoline: FunctionValue<'ctx>,
    check: Option<TypeCheck>,
) -> GlobalValue<'ctx> {
    let ty = ty(module);
    let symbol = key.symbol();
    let record = module.add_global(ty, None, &key.record(check));
    record.set_linkage(Linkage::Internal);
    let one_of_several = (!key.is_local()).then_some(&*symbol);
    record.set_section(Some(&format.section(Table::Records, one_of_several)));
    record.set_alignment(module::pointer_size(module));
    let to_trampoline = module::distance(module, record, trampoline.as_global_value());
    let mut values = ty.get_field_types().iter().map(|ty| ty.const_zero()).collect::<Vec<_>>();
    values[abi::RECORD_KEY] = format.key_of_record(module, key).into();
    values[abi::RECORD_TRAMPOLINE] = to_trampoline.into();
    record.set_initializer(&ty.const_named_struct(&values));
    record
}

pub(crate) fn ty<'ctx>(module: &Module<'ctx>) -> StructType<'ctx> {
    module::struct_type(module, &abi::RECORD_FIELDS)
}

/// Whether the pass itself made this record.
pub(crate) fn is_ours(format: &dyn Format, record: GlobalValue<'_>) -> bool {
    record.get_section().is_some_and(|section| format.is_section(Table::Records, section.to_bytes()))
}
