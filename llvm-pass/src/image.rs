//! The image descriptor, the constructor and destructor that hand it to the runtime, and the anchors.
//!
//! Every module that calls or defines keys has them. The linker keeps one of each per image.
//!
//! The anchors keep our sections in order, side by side in memory, on pages of their own:
//!
//! ```text
//! static_call_keys    │ static_call_records │ static_call_branches │ static_call_sites │ static_call_end
//! (starts with a page)                                                                 (one page long)
//! ```
//!
//! Linkers place unknown sections in the order in which they first find them, and drop empty ones. So each
//! section has an anchor of some bytes, and the anchors are the first data of their module. Code comes before
//! data, so the machine stage names the sections in this order before the first site.

use std::ffi::CStr;

use inkwell::attributes::{Attribute, AttributeLoc};
use inkwell::module::{Linkage, Module};
use inkwell::types::{AsTypeRef, BasicTypeEnum, StructType};
use inkwell::values::{AsValueRef, BasicValueEnum, FunctionValue, GlobalValue};
use inkwell::{AddressSpace, GlobalVisibility};
use llvm_sys::core::{LLVMAppendModuleInlineAsm, LLVMGlobalGetValueType};
use static_call_abi as abi;

use crate::shim::{self, AtImage};
use crate::target::Target;
use crate::{module, record};

/// Runs before the program's own constructors (65535 by default), which may already call and update keys.
/// Priorities 0 to 100 belong to the implementation.
const PRIORITY: i32 = 101;

/// Adds what registers the image. False if the module already has it.
pub(crate) fn emit(module: &Module<'_>, target: &Target) -> bool {
    if module.get_global(abi::IMAGE).is_some() {
        return false;
    }
    let image = descriptor(module);
    anchors(module, target);
    // SAFETY: a live module, and a text of this length.
    unsafe { LLVMAppendModuleInlineAsm(module.as_mut_ptr(), HAS_IMAGE.as_ptr().cast(), HAS_IMAGE.len()) };
    let refusal = target.needs_machine_stage().then_some(REFUSAL);
    let constructor = hook(module, abi::CONSTRUCTOR, abi::REGISTER, image, refusal);
    shim::run_at(module, AtImage::Load, constructor, image, PRIORITY);
    let destructor = hook(module, abi::DESTRUCTOR, abi::UNREGISTER, image, None);
    shim::run_at(module, AtImage::Unload, destructor, image, PRIORITY);
    true
}

/// Tells static branches, whose assembler brings an image descriptor of its own, that the file has one.
const HAS_IMAGE: &str = ".set .Lstatic_call_image, 1\n";

/// Adds the anchors before the module's other data.
fn anchors(module: &Module<'_>, target: &Target) {
    let context = module.get_context();
    let word = module::word_type(module);
    let page = target.page_size();
    let bytes_of_a_page = context.i8_type().array_type(page);
    let anchors: [(&str, BasicTypeEnum<'_>, u32); _] = [
        (abi::KEYS_SECTION, word.into(), page),
        (abi::RECORDS_SECTION, record::ty(module).into(), module::pointer_size(module)),
        (abi::BRANCHES_SECTION, context.i32_type().array_type(3).into(), 4),
        (abi::SITES_SECTION, context.i32_type().into(), 4),
        // Not aligned, so that nothing comes between it and the sites.
        (abi::END_SECTION, bytes_of_a_page.into(), 1),
    ];
    assert_eq!(anchors.map(|anchor| anchor.0), abi::SECTIONS);
    let anchors = anchors.map(|(section, ty, alignment)| {
        let anchor = module.add_global(ty, None, &format!("{}{section}", abi::ANCHOR_PREFIX));
        anchor.set_initializer(&ty.const_zero());
        anchor.set_section(Some(section));
        anchor.set_alignment(alignment);
        // The descriptor's group makes the linker keep them together.
        module::one_per_image(module, anchor, abi::IMAGE);
        anchor
    });
    for anchor in anchors.iter().rev() {
        shim::move_to_front(module, *anchor);
    }
    shim::append_to_compiler_used(module, &anchors.map(|anchor| anchor.as_value_ref()));
}

/// Whether the pass itself made this anchor.
pub(crate) fn is_our_anchor(global: GlobalValue<'_>, name: &str) -> bool {
    let section = name.strip_prefix(abi::ANCHOR_PREFIX);
    section.is_some() && global.get_section().map(CStr::to_bytes) == section.map(str::as_bytes)
}

/// Whether the pass itself made this image descriptor.
pub(crate) fn is_our_descriptor(module: &Module<'_>, global: GlobalValue<'_>) -> bool {
    // SAFETY: a global variable, alive.
    unsafe { LLVMGlobalGetValueType(global.as_value_ref()) == descriptor_type(module).as_type_ref() }
}

fn descriptor_type<'ctx>(module: &Module<'ctx>) -> StructType<'ctx> {
    module::struct_type(module, &abi::IMAGE_FIELDS)
}

fn descriptor<'ctx>(module: &Module<'ctx>) -> GlobalValue<'ctx> {
    let ty = descriptor_type(module);
    let number = module.get_context().i32_type();
    let image = module.add_global(ty, None, abi::IMAGE);
    image.set_alignment(module::pointer_size(module));
    let tables = [abi::SITES_SECTION, abi::RECORDS_SECTION, abi::KEYS_SECTION, abi::BRANCHES_SECTION];
    let ends = tables.iter().flat_map(|table| [format!("__start_{table}"), format!("__stop_{table}")]);
    let symbols = ends.chain([format!("__stop_{}", abi::END_SECTION), "__ehdr_start".into()]);
    let mut values: Vec<BasicValueEnum<'_>> =
        vec![number.const_int(abi::VERSION.into(), false).into(), number.const_zero().into()];
    values.extend(symbols.map(|name| BasicValueEnum::from(by_the_linker(module, &name))));
    // The rest is the runtime's.
    values.extend(ty.get_field_types()[values.len()..].iter().map(|ty| ty.const_zero()));
    image.set_initializer(&ty.const_named_struct(&values));
    module::one_per_image(module, image, abi::IMAGE);
    shim::append_to_compiler_used(module, &[image.as_value_ref()]);
    image
}

/// A symbol that the linker defines. It is null if the linker does not.
fn by_the_linker<'ctx>(module: &Module<'ctx>, name: &str) -> inkwell::values::PointerValue<'ctx> {
    let global = module.get_global(name).unwrap_or_else(|| {
        let global = module.add_global(module.get_context().i8_type(), None, name);
        global.set_linkage(Linkage::ExternalWeak);
        global.set_visibility(GlobalVisibility::Hidden);
        global
    });
    global.as_pointer_value()
}

/// Assembler that stops code generation unless the machine stage removes it first.
pub(crate) const REFUSAL: &str = concat!(
    ".error \"static-call: code for this machine is made without the pass, which it needs: with LTO, ",
    "load the pass into the linker too (-fuse-ld=lld -Wl,--load-pass-plugin=FILE), or compile without LTO\"",
);

/// `void name(void) { entry(&image); }`, after some assembler.
fn hook<'ctx>(
    module: &Module<'ctx>,
    name: &str,
    entry: &str,
    image: GlobalValue<'ctx>,
    assembler: Option<&str>,
) -> FunctionValue<'ctx> {
    let context = module.get_context();
    let pointer = context.ptr_type(AddressSpace::default());
    let ty = context.void_type().fn_type(&[pointer.into()], false);
    // A declaration with another type would have been refused (see `reserved.rs`).
    let entry = module.get_function(entry).unwrap_or_else(|| module.add_function(entry, ty, None));
    let hook = module.add_function(name, context.void_type().fn_type(&[], false), None);
    module::mark_as_ours(module, hook);
    // It is called through a pointer and may need a landing pad.
    shim::set_default_attributes(module, hook);
    let builder = context.create_builder();
    builder.position_at_end(context.append_basic_block(hook, ""));
    if let Some(text) = assembler {
        let ty = context.void_type().fn_type(&[], false);
        let code = context.create_inline_asm(ty, text.to_owned(), String::new(), true, false, None, false);
        let call = builder.build_indirect_call(ty, code, &[], "").expect("the builder has a position");
        // Sanitizers turn calls without this attribute into invokes, and the machine stage looks for a call.
        let nounwind = Attribute::get_named_enum_kind_id("nounwind");
        call.add_attribute(AttributeLoc::Function, context.create_enum_attribute(nounwind, 0));
    }
    builder.build_call(entry, &[image.as_pointer_value().into()], "").expect("the builder has a position");
    builder.build_return(None).expect("the builder has a position");
    module::one_per_image(module, hook.as_global_value(), abi::IMAGE);
    hook
}
