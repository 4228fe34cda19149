//! One object format, as its own file describes it.

use std::fmt::Debug;

use inkwell::GlobalVisibility;
use inkwell::comdat::ComdatSelectionKind;
use inkwell::module::{Linkage, Module};
use inkwell::values::{FunctionValue, GlobalValue, PointerValue};
use static_call_abi::{self as abi, TypeCheck};

use crate::key_address::KeyAddress;
use crate::target::Target;

/// The tables of an image, in their order in memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Table {
    Keys,
    Records,
    Branches,
    Sites,
    /// A page of zeros.
    End,
}

impl Table {
    pub(crate) const ALL: [Self; 5] = [Self::Keys, Self::Records, Self::Branches, Self::Sites, Self::End];

    /// The symbol of its anchor.
    pub(crate) fn anchor(self) -> String {
        format!("{}{}", abi::ANCHOR_PREFIX, abi::SECTIONS[self as usize])
    }
}

/// How a trampoline reaches its key.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Access<'ctx> {
    /// At a constant distance.
    Near,
    /// Through the global offset table.
    Far,
    /// Through this pointer to it.
    Slot(GlobalValue<'ctx>),
}

/// What hands an image to the runtime.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Hooks<'ctx> {
    pub(crate) image: GlobalValue<'ctx>,
    pub(crate) constructor: FunctionValue<'ctx>,
    pub(crate) destructor: FunctionValue<'ctx>,
}

/// An object format in which calls are recorded.
pub(crate) trait Format: Debug + Sync {
    /// Whether calls are recorded in code of this architecture.
    fn has_sites(&self, target: &Target) -> bool;

    /// The unit in which the linker lays out the image, and in which memory is protected.
    fn page_size(&self, target: &Target) -> u32;

    /// The alignment of the first table.
    fn alignment(&self, target: &Target) -> u32;

    /// The section of a table's anchor, which comes before the table's other parts.
    fn anchor_section(&self, table: Table) -> &'static str;

    /// The section of a part of a table: of the one with this symbol, if the linker keeps one of several.
    fn section(&self, table: Table, one_of_several: Option<&str>) -> String;

    /// Whether a section is one of that table's.
    fn is_section(&self, table: Table, section: &[u8]) -> bool;

    /// The comdat that makes the linker keep one such symbol per image, for a part of this group.
    fn comdat<'a>(&self, symbol: &'a str, group: &'a str) -> &'a str;

    /// The start and the end of a table. The anchors are there.
    fn bounds<'ctx>(&self, module: &Module<'ctx>, table: Table) -> [PointerValue<'ctx>; 2];

    /// The end of the last table, [`Table::End`].
    fn end<'ctx>(&self, module: &Module<'ctx>) -> PointerValue<'ctx>;

    /// The header of the image in memory.
    fn header<'ctx>(&self, module: &Module<'ctx>) -> PointerValue<'ctx>;

    /// Runs the constructor when the image is loaded, before the program's own, and the destructor when it is
    /// unloaded. A constructor may run more than once.
    fn run<'ctx>(&self, module: &Module<'ctx>, hooks: Hooks<'ctx>);

    /// Why no trampoline can reach this key.
    fn out_of_reach(&self, key: KeyAddress<'_>) -> Option<&'static str>;

    /// How a trampoline reaches a key, for which there is a record.
    fn access<'ctx>(
        &self,
        module: &Module<'ctx>,
        key: KeyAddress<'ctx>,
        record: GlobalValue<'ctx>,
    ) -> Access<'ctx>;

    /// Whether the symbol of this name is a slot that leads to this key.
    fn is_slot(&self, name: &[u8], key: KeyAddress<'_>) -> bool;

    /// What a record says of its key.
    fn key_of_record<'ctx>(&self, module: &Module<'ctx>, key: KeyAddress<'ctx>) -> PointerValue<'ctx>;

    /// Gives the trampoline its place, and ties the record to it.
    fn place_trampoline(&self, trampoline: FunctionValue<'_>, record: GlobalValue<'_>, key: KeyAddress<'_>);

    /// Whether trampolines may check the types of their targets.
    fn has_type_checks(&self) -> bool;

    /// A trampoline's code, as [`Target::jump_to_target`] says.
    fn jump_to_target(
        &self,
        module: &Module<'_>,
        target: &Target,
        access: Access<'_>,
        offset: i64,
        thunk: Option<&str>,
        check: Option<TypeCheck>,
    ) -> String;

    /// Whether the file may hold notes for tools that read it (`note.rs`).
    fn has_notes(&self) -> bool;
}

/// Makes the linker keep one copy of the global per image, hidden from other images. `group` names what it
/// belongs to.
pub(crate) fn one_per_image(format: &dyn Format, module: &Module<'_>, global: GlobalValue<'_>, group: &str) {
    global.set_linkage(Linkage::LinkOnceODR);
    global.set_visibility(GlobalVisibility::Hidden);
    let symbol = global.get_name().to_string_lossy();
    let comdat = module.get_or_insert_comdat(format.comdat(&symbol, group));
    comdat.set_selection_kind(ComdatSelectionKind::Any);
    global.set_comdat(comdat);
}

/// A symbol that the linker defines.
pub(super) fn by_the_linker<'ctx>(module: &Module<'ctx>, name: &str, linkage: Linkage) -> GlobalValue<'ctx> {
    module.get_global(name).unwrap_or_else(|| {
        let global = module.add_global(module.get_context().i8_type(), None, name);
        global.set_linkage(linkage);
        global.set_visibility(GlobalVisibility::Hidden);
        global
    })
}

/// What `offset` bytes behind a global is.
///
/// # Safety
///
/// It is in the global, or at its end.
pub(super) unsafe fn behind<'ctx>(
    module: &Module<'ctx>,
    global: GlobalValue<'ctx>,
    offset: u64,
) -> PointerValue<'ctx> {
    if offset == 0 {
        return global.as_pointer_value();
    }
    let offset = module.get_context().i64_type().const_int(offset, false);
    // SAFETY: the caller's promise.
    unsafe { global.as_pointer_value().const_gep(module.get_context().i8_type(), &[offset]) }
}
