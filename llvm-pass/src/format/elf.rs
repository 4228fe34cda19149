//! ELF.
//!
//! Linkers place unknown sections in the order in which they first find them, and drop empty ones. So each
//! section has an anchor of some bytes, and the anchors are the first data of their module. Code comes before
//! data, so the machine stage names the sections in this order before the first site (`cpp/elf.h`).

use inkwell::module::{Linkage, Module};
use inkwell::values::{FunctionValue, GlobalValue, PointerValue};
use static_call_abi::{self as abi, TypeCheck};

use super::description::{Access, Format, Hooks, Table, by_the_linker};
use crate::key_address::KeyAddress;
use crate::shim::{self, AtImage};
use crate::target::Target;

#[derive(Debug)]
pub(super) struct Elf;

impl Format for Elf {
    fn has_sites(&self, _target: &Target) -> bool {
        true
    }

    fn page_size(&self, target: &Target) -> u32 {
        target.page_size()
    }

    fn alignment(&self, target: &Target) -> u32 {
        target.page_size()
    }

    fn anchor_section(&self, table: Table) -> &'static str {
        abi::SECTIONS[table as usize]
    }

    fn section(&self, table: Table, _one_of_several: Option<&str>) -> String {
        abi::SECTIONS[table as usize].to_owned()
    }

    fn is_section(&self, table: Table, section: &[u8]) -> bool {
        section == abi::SECTIONS[table as usize].as_bytes()
    }

    fn comdat<'a>(&self, _symbol: &'a str, group: &'a str) -> &'a str {
        group
    }

    fn bounds<'ctx>(&self, module: &Module<'ctx>, table: Table) -> [PointerValue<'ctx>; 2] {
        // They are null if the linker does not define them.
        ["start", "stop"].map(|end| {
            let symbol = format!("__{end}_{}", abi::SECTIONS[table as usize]);
            by_the_linker(module, &symbol, Linkage::ExternalWeak).as_pointer_value()
        })
    }

    fn end<'ctx>(&self, module: &Module<'ctx>) -> PointerValue<'ctx> {
        let symbol = format!("__stop_{}", abi::END_SECTION);
        by_the_linker(module, &symbol, Linkage::ExternalWeak).as_pointer_value()
    }

    fn header<'ctx>(&self, module: &Module<'ctx>) -> PointerValue<'ctx> {
        by_the_linker(module, "__ehdr_start", Linkage::ExternalWeak).as_pointer_value()
    }

    fn run<'ctx>(&self, module: &Module<'ctx>, hooks: Hooks<'ctx>) {
        shim::run_at(module, AtImage::Load, hooks.constructor, Some(hooks.image));
        shim::run_at(module, AtImage::Unload, hooks.destructor, Some(hooks.image));
    }

    fn out_of_reach(&self, _key: KeyAddress<'_>) -> Option<&'static str> {
        None
    }

    fn access<'ctx>(
        &self,
        _module: &Module<'ctx>,
        key: KeyAddress<'ctx>,
        _record: GlobalValue<'ctx>,
    ) -> Access<'ctx> {
        if shim::is_dso_local(key.global) { Access::Near } else { Access::Far }
    }

    fn is_slot(&self, _name: &[u8], _key: KeyAddress<'_>) -> bool {
        false
    }

    fn key_of_record<'ctx>(&self, module: &Module<'ctx>, key: KeyAddress<'ctx>) -> PointerValue<'ctx> {
        key.pointer(module)
    }

    fn place_trampoline(&self, trampoline: FunctionValue<'_>, record: GlobalValue<'_>, key: KeyAddress<'_>) {
        trampoline.set_section(Some(&format!("{}{}", abi::TRAMPOLINE_SECTION_PREFIX, key.symbol())));
        shim::set_associated(record, trampoline);
    }

    fn has_type_checks(&self) -> bool {
        true
    }

    fn jump_to_target(
        &self,
        module: &Module<'_>,
        target: &Target,
        access: Access<'_>,
        offset: i64,
        thunk: Option<&str>,
        check: Option<TypeCheck>,
    ) -> String {
        let is_movable = module.get_flag("PIC Level").is_some();
        target.jump_to_target(matches!(access, Access::Near), is_movable, offset, thunk, check)
    }

    fn has_notes(&self) -> bool {
        true
    }
}
