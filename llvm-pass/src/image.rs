//! The image descriptor, and the constructor and destructor that hand it to the runtime.
//!
//! Every module with trampolines has them; the linker keeps one of each for an image.

use inkwell::module::{Linkage, Module};
use inkwell::types::{AsTypeRef, StructType};
use inkwell::values::{AsValueRef, FunctionValue, GlobalValue};
use inkwell::{AddressSpace, GlobalVisibility};
use llvm_sys::core::LLVMGlobalGetValueType;
use static_call_abi as abi;

use crate::module;
use crate::shim::{self, AtImage};

/// Before the program's own constructors (the default is 65535), which may already call and update;
/// 0 to 100 belong to the implementation.
const PRIORITY: i32 = 101;

/// Adds what registers the image, unless it is there.
pub(crate) fn emit(module: &Module<'_>) {
    if module.get_global(abi::IMAGE).is_some() {
        return;
    }
    let image = descriptor(module);
    let constructor = hook(module, abi::CONSTRUCTOR, abi::REGISTER, image);
    shim::run_at(module, AtImage::Load, constructor, constructor.as_global_value(), PRIORITY);
    let destructor = hook(module, abi::DESTRUCTOR, abi::UNREGISTER, image);
    shim::run_at(module, AtImage::Unload, destructor, destructor.as_global_value(), PRIORITY);
}

/// Whether the pass itself made this image descriptor.
pub(crate) fn is_our_descriptor(module: &Module<'_>, global: GlobalValue<'_>) -> bool {
    // SAFETY: a global variable, alive.
    unsafe { LLVMGlobalGetValueType(global.as_value_ref()) == descriptor_type(module).as_type_ref() }
}

/// The fields of `abi::Image`, in their order.
fn descriptor_type<'ctx>(module: &Module<'ctx>) -> StructType<'ctx> {
    let context = module.get_context();
    let pointer = context.ptr_type(AddressSpace::default());
    let number = context.i32_type();
    let word = module::word_type(module);
    context.struct_type(
        &[
            number.into(),
            number.into(),
            pointer.into(),
            pointer.into(),
            pointer.into(),
            pointer.into(),
            pointer.into(),
            pointer.into(),
            word.into(),
            word.into(),
            word.into(),
            word.into(),
            number.into(),
            number.into(),
        ],
        false,
    )
}

fn descriptor<'ctx>(module: &Module<'ctx>) -> GlobalValue<'ctx> {
    let ty = descriptor_type(module);
    let number = module.get_context().i32_type();
    let pointer = module.get_context().ptr_type(AddressSpace::default());
    let word = module::word_type(module);
    let image = module.add_global(ty, None, abi::IMAGE);
    image.set_alignment(module::pointer_size(module));
    image.set_initializer(&ty.const_named_struct(&[
        number.const_int(abi::VERSION.into(), false).into(),
        number.const_zero().into(),
        by_the_linker(module, &format!("__start_{}", abi::SITES_SECTION)).into(),
        by_the_linker(module, &format!("__stop_{}", abi::SITES_SECTION)).into(),
        by_the_linker(module, &format!("__start_{}", abi::RECORDS_SECTION)).into(),
        by_the_linker(module, &format!("__stop_{}", abi::RECORDS_SECTION)).into(),
        by_the_linker(module, "__ehdr_start").into(),
        pointer.const_null().into(),
        word.const_zero().into(),
        word.const_zero().into(),
        word.const_zero().into(),
        word.const_zero().into(),
        number.const_zero().into(),
        number.const_zero().into(),
    ]));
    module::one_per_image(module, image, abi::IMAGE);
    shim::append_to_compiler_used(module, &[image.as_value_ref()]);
    image
}

/// A symbol that the linker defines where there is something to define: all sites may have been
/// garbage, and then its address is null.
fn by_the_linker<'ctx>(module: &Module<'ctx>, name: &str) -> inkwell::values::PointerValue<'ctx> {
    let global = module.get_global(name).unwrap_or_else(|| {
        let global = module.add_global(module.get_context().i8_type(), None, name);
        global.set_linkage(Linkage::ExternalWeak);
        global.set_visibility(GlobalVisibility::Hidden);
        global
    });
    global.as_pointer_value()
}

/// `void name(void) { entry(&image); }`
fn hook<'ctx>(
    module: &Module<'ctx>,
    name: &str,
    entry: &str,
    image: GlobalValue<'ctx>,
) -> FunctionValue<'ctx> {
    let context = module.get_context();
    let pointer = context.ptr_type(AddressSpace::default());
    let ty = context.void_type().fn_type(&[pointer.into()], false);
    // Declared with another type, it would have been refused (see `reserved.rs`).
    let entry = module.get_function(entry).unwrap_or_else(|| module.add_function(entry, ty, None));
    let hook = module.add_function(name, context.void_type().fn_type(&[], false), None);
    module::mark_as_ours(module, hook);
    let builder = context.create_builder();
    builder.position_at_end(context.append_basic_block(hook, ""));
    builder.build_call(entry, &[image.as_pointer_value().into()], "").expect("the builder has a position");
    builder.build_return(None).expect("the builder has a position");
    module::one_per_image(module, hook.as_global_value(), name);
    hook
}
