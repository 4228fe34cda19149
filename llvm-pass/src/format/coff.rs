//! COFF, which Windows uses.
//!
//! The tables are one section of the image, [`abi::COFF_SECTION`]. Its parts have suffixes, by which linkers
//! sort them: Microsoft PE format, "Grouped Sections (Object Only)". A section of an image starts with a
//! page, whatever its alignment.
//!
//! No symbol of the linker's says where a part starts. So an anchor stands before each, and is its bound.
//!
//! GNU ld takes no associative comdats of data, and of two comdat sections with one name and suffix it keeps
//! one, whatever their symbols are. So each symbol has its own comdat, and its own suffix.

use inkwell::AddressSpace;
use inkwell::module::{Linkage, Module};
use inkwell::values::{AsValueRef, BasicMetadataValueEnum, FunctionValue, GlobalValue, PointerValue};
use static_call_abi::{self as abi, TypeCheck};

use super::description::{Access, Format, Hooks, Table, behind, by_the_linker};
use crate::key_address::KeyAddress;
use crate::shim::{self, AtImage};
use crate::target::{CoffJump, Target};
use crate::{enums, module};

/// Names in triples of the systems with a backend in the runtime.
pub(super) const NAMES: &[&str] = &["windows", "win32", "mingw"];
/// Those of the systems without one.
pub(super) const WITHOUT_SITES: &[&str] = &["uefi", "cygwin", "cygnus", "coff"];

/// The linker makes a symbol of this and an imported one's: the entry of the import table.
const IMPORT_PREFIX: &str = "__imp_";

#[derive(Debug)]
pub(super) struct Coff;

impl Format for Coff {
    fn has_sites(&self, target: &Target) -> bool {
        target.is_known_in_coff()
    }

    fn page_size(&self, _target: &Target) -> u32 {
        abi::COFF_PAGE_SIZE
    }

    fn alignment(&self, _target: &Target) -> u32 {
        // Linkers take a larger one than 8192 for a mistake.
        8
    }

    fn anchor_section(&self, table: Table) -> &'static str {
        abi::COFF_ANCHOR_SECTIONS[table as usize]
    }

    fn section(&self, table: Table, one_of_several: Option<&str>) -> String {
        let section = abi::COFF_SECTIONS[table as usize];
        one_of_several.map_or_else(|| section.to_owned(), |symbol| format!("{section}.{symbol}"))
    }

    fn is_section(&self, table: Table, section: &[u8]) -> bool {
        let rest = section.strip_prefix(abi::COFF_SECTIONS[table as usize].as_bytes());
        rest.is_some_and(|rest| rest.is_empty() || rest.starts_with(b"."))
            || section == self.anchor_section(table).as_bytes()
    }

    fn comdat<'a>(&self, symbol: &'a str, _group: &'a str) -> &'a str {
        symbol
    }

    fn bounds<'ctx>(&self, module: &Module<'ctx>, table: Table) -> [PointerValue<'ctx>; 2] {
        [table, Table::ALL[table as usize + 1]].map(|table| anchor(module, table).as_pointer_value())
    }

    fn end<'ctx>(&self, module: &Module<'ctx>) -> PointerValue<'ctx> {
        // SAFETY: the last anchor is a page.
        unsafe { behind(module, anchor(module, Table::End), abi::COFF_PAGE_SIZE.into()) }
    }

    fn header<'ctx>(&self, module: &Module<'ctx>) -> PointerValue<'ctx> {
        by_the_linker(module, "__ImageBase", Linkage::External).as_pointer_value()
    }

    /// Each object asks for it. A comdat would be dropped, because nothing refers to it.
    fn run<'ctx>(&self, module: &Module<'ctx>, hooks: Hooks<'ctx>) {
        shim::run_at(module, AtImage::Load, hooks.constructor, None);
        if is_gnu(module) {
            shim::run_at(module, AtImage::Unload, hooks.destructor, None);
        } else {
            at_exit(module, hooks);
        }
    }

    fn out_of_reach(&self, key: KeyAddress<'_>) -> Option<&'static str> {
        (is_imported(key) && key.offset != 0)
            .then_some("the key is a field of an object that another DLL defines")
    }

    fn access<'ctx>(
        &self,
        module: &Module<'ctx>,
        key: KeyAddress<'ctx>,
        record: GlobalValue<'ctx>,
    ) -> Access<'ctx> {
        if is_imported(key) {
            Access::Slot(import(module, key))
        } else if is_gnu(module) && key.global.is_declaration() && !shim::is_dso_local(key.global) {
            // MinGW's linkers may find it in another DLL. The program's start then writes its address into
            // all pointers to it, of which the record has one.
            Access::Slot(record)
        } else {
            Access::Near
        }
    }

    fn is_slot(&self, name: &[u8], key: KeyAddress<'_>) -> bool {
        let symbol = key.symbol();
        let is = |prefix: &str| name.strip_prefix(prefix.as_bytes()) == Some(symbol.as_bytes());
        !key.is_local() && (is(IMPORT_PREFIX) || is(abi::RECORD_PREFIX))
    }

    /// Of an imported key, where its address will be, and a bit that says so.
    fn key_of_record<'ctx>(&self, module: &Module<'ctx>, key: KeyAddress<'ctx>) -> PointerValue<'ctx> {
        if is_imported(key) {
            // SAFETY: an entry has several bytes.
            unsafe { behind(module, import(module, key), 1) }
        } else {
            key.pointer(module)
        }
    }

    /// A comdat is a section of its own. The record's address in the trampoline's prefix keeps the record.
    fn place_trampoline(&self, _: FunctionValue<'_>, _: GlobalValue<'_>, _: KeyAddress<'_>) {}

    fn has_type_checks(&self) -> bool {
        false
    }

    fn jump_to_target(
        &self,
        module: &Module<'_>,
        target: &Target,
        access: Access<'_>,
        offset: i64,
        thunk: Option<&str>,
        _check: Option<TypeCheck>,
    ) -> String {
        let is_near = !matches!(access, Access::Slot(_));
        // The record's address of the key is the field's.
        let offset = if is_near { offset } else { 0 };
        target.jump_in_coff(CoffJump { is_near, is_guarded: is_guarded(module) }, offset, thunk)
    }

    fn has_notes(&self) -> bool {
        false
    }
}

fn anchor<'ctx>(module: &Module<'ctx>, table: Table) -> GlobalValue<'ctx> {
    module.get_global(&table.anchor()).expect("the anchors are made first")
}

/// Whether the C library and the linker are MinGW's.
fn is_gnu(module: &Module<'_>) -> bool {
    let triple = module::triple(module);
    triple.split('-').skip(1).any(|part| part.starts_with("gnu") || part.starts_with("mingw"))
}

/// Whether the module's indirect calls are checked: Control Flow Guard, of which the flag's value 1 has only
/// the tables.
fn is_guarded(module: &Module<'_>) -> bool {
    let values = module.get_flag("cfguard").and_then(|flag| flag.get_node_values());
    matches!(values.as_deref(), Some([BasicMetadataValueEnum::IntValue(value)])
        if value.get_zero_extended_constant() == Some(2))
}

fn is_imported(key: KeyAddress<'_>) -> bool {
    // SAFETY: a global variable, alive.
    unsafe { enums::is_dll_import(key.global.as_value_ref()) }
}

/// The entry of the import table for this key.
fn import<'ctx>(module: &Module<'ctx>, key: KeyAddress<'ctx>) -> GlobalValue<'ctx> {
    by_the_linker(module, &format!("{IMPORT_PREFIX}{}", key.symbol()), Linkage::External)
}

/// Has the constructor register the destructor with the C library, which runs it when the DLL is unloaded, or
/// at the program's exit. (Microsoft's linker has a section of destructors, but a DLL's are never run.)
fn at_exit(module: &Module<'_>, hooks: Hooks<'_>) {
    let context = module.get_context();
    let ty = context.i32_type().fn_type(&[context.ptr_type(AddressSpace::default()).into()], false);
    let at_exit = module.get_function("atexit").unwrap_or_else(|| module.add_function("atexit", ty, None));
    let builder = context.create_builder();
    let block = hooks.constructor.get_last_basic_block().expect("the constructor has a body");
    builder.position_before(&block.get_terminator().expect("its block is complete"));
    let destructor = hooks.destructor.as_global_value().as_pointer_value();
    let at_exit = at_exit.as_global_value().as_pointer_value();
    builder.build_indirect_call(ty, at_exit, &[destructor.into()], "").expect("the builder has a position");
}
