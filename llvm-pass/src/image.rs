//! The image descriptor, the constructor and destructor that hand it to the runtime, and the anchors.
//!
//! Every module that calls or defines keys has them. The linker keeps one of each per image.
//!
//! The anchors keep our tables in order, side by side in memory, on pages of their own:
//!
//! ```text
//! keys                   │ records │ branches │ sites │ end
//! (starts with a page)                                  (one page long)
//! ```
//!
//! Each table has an anchor of some bytes, so that none is empty and dropped. The object format says what
//! else this takes.

use std::ffi::CStr;

use inkwell::AddressSpace;
use inkwell::attributes::{Attribute, AttributeLoc};
use inkwell::module::Module;
use inkwell::types::{AsTypeRef, BasicTypeEnum, StructType};
use inkwell::values::{AsValueRef, BasicValueEnum, FunctionValue, GlobalValue};
use llvm_sys::core::{LLVMAppendModuleInlineAsm, LLVMGlobalGetValueType};
use static_call_abi as abi;

use crate::format::{self, Format, Hooks, Table};
use crate::target::Target;
use crate::{module, record, shim};

/// Adds what registers the image. False if the module already has it.
pub(crate) fn emit(module: &Module<'_>, format: &dyn Format, target: &Target) -> bool {
    if module.get_global(abi::IMAGE).is_some() {
        return false;
    }
    anchors(module, format, target);
    let image = descriptor(module, format);
    // SAFETY: a live module, and a text of this length.
    unsafe { LLVMAppendModuleInlineAsm(module.as_mut_ptr(), HAS_IMAGE.as_ptr().cast(), HAS_IMAGE.len()) };
    let refusal = target.needs_machine_stage().then_some(REFUSAL);
    let constructor = hook(module, format, (abi::CONSTRUCTOR, abi::REGISTER), image, refusal);
    let destructor = hook(module, format, (abi::DESTRUCTOR, abi::UNREGISTER), image, None);
    format.run(module, Hooks { image, constructor, destructor });
    true
}

/// Tells static branches, whose assembler brings an image descriptor of its own, that the file has one.
const HAS_IMAGE: &str = ".set .Lstatic_call_image, 1\n";

/// Adds the anchors before the module's other data.
fn anchors(module: &Module<'_>, format: &dyn Format, target: &Target) {
    let context = module.get_context();
    let anchors = Table::ALL.map(|table| {
        let (ty, alignment): (BasicTypeEnum<'_>, u32) = match table {
            Table::Keys => (module::word_type(module).into(), format.alignment(target)),
            Table::Records => (record::ty(module).into(), module::pointer_size(module)),
            Table::Branches => (context.i32_type().array_type(3).into(), 4),
            Table::Sites => (context.i32_type().into(), 4),
            // Not aligned, so that nothing comes between it and the sites.
            Table::End => (context.i8_type().array_type(format.page_size(target)).into(), 1),
        };
        let anchor = module.add_global(ty, None, &table.anchor());
        anchor.set_initializer(&ty.const_zero());
        anchor.set_section(Some(format.anchor_section(table)));
        anchor.set_alignment(alignment);
        // The descriptor's group makes the linker keep them together.
        format::one_per_image(format, module, anchor, abi::IMAGE);
        anchor
    });
    for anchor in anchors.iter().rev() {
        shim::move_to_front(module, *anchor);
    }
    shim::append_to_compiler_used(module, &anchors.map(|anchor| anchor.as_value_ref()));
}

/// Whether the pass itself made this anchor.
pub(crate) fn is_our_anchor(format: &dyn Format, global: GlobalValue<'_>, name: &str) -> bool {
    let section = global.get_section().map(CStr::to_bytes);
    let made =
        |table: &Table| name == table.anchor() && section == Some(format.anchor_section(*table).as_bytes());
    Table::ALL.iter().any(made)
}

/// Whether the pass itself made this image descriptor.
pub(crate) fn is_our_descriptor(module: &Module<'_>, global: GlobalValue<'_>) -> bool {
    // SAFETY: a global variable, alive.
    unsafe { LLVMGlobalGetValueType(global.as_value_ref()) == descriptor_type(module).as_type_ref() }
}

fn descriptor_type<'ctx>(module: &Module<'ctx>) -> StructType<'ctx> {
    module::struct_type(module, &abi::IMAGE_FIELDS)
}

fn descriptor<'ctx>(module: &Module<'ctx>, format: &dyn Format) -> GlobalValue<'ctx> {
    let ty = descriptor_type(module);
    let number = module.get_context().i32_type();
    let image = module.add_global(ty, None, abi::IMAGE);
    image.set_alignment(module::pointer_size(module));
    let mut values: Vec<BasicValueEnum<'_>> =
        vec![number.const_int(abi::VERSION.into(), false).into(), number.const_zero().into()];
    let tables = [Table::Sites, Table::Records, Table::Keys, Table::Branches];
    values.extend(tables.iter().flat_map(|table| format.bounds(module, *table)).map(BasicValueEnum::from));
    values.extend([format.end(module), format.header(module)].map(BasicValueEnum::from));
    // The rest is the runtime's.
    values.extend(ty.get_field_types()[values.len()..].iter().map(|ty| ty.const_zero()));
    image.set_initializer(&ty.const_named_struct(&values));
    format::one_per_image(format, module, image, abi::IMAGE);
    shim::append_to_compiler_used(module, &[image.as_value_ref()]);
    image
}

/// Assembler that stops code generation unless the machine stage removes it first.
pub(crate) const REFUSAL: &str = concat!(
    ".error \"static-call: code for this machine is made without the pass, which it needs: with LTO, ",
    "load the pass into the linker too (-fuse-ld=lld -Wl,--load-pass-plugin=FILE), or compile without LTO\"",
);

/// `void name(void) { entry(&image); }`, after some assembler.
fn hook<'ctx>(
    module: &Module<'ctx>,
    format: &dyn Format,
    (name, entry): (&str, &str),
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
    format::one_per_image(format, module, hook.as_global_value(), abi::IMAGE);
    hook
}
