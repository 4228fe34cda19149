//! Trampolines and records: what an image has for each key that it calls.
//!
//! ```text
//! __static_call_record.KEY:       { ptr KEY, null, null, 0, trampoline - record, 0 }
//!
//!                                 signature
//!                                 record - trampoline           (32 bits)
//! __static_call_trampoline.KEY:   load KEY's target, jump to it
//! ```

use std::collections::{BTreeSet, HashMap};
use std::ffi::CStr;

use inkwell::attributes::{Attribute, AttributeLoc};
use inkwell::module::{Linkage, Module};
use inkwell::types::FunctionType;
use inkwell::values::{AsValueRef, BasicValue, FunctionValue, GlobalValue, PointerValue};
use inkwell::{AddressSpace, AtomicOrdering};
use llvm_sys::LLVMTypeKind;
use llvm_sys::core::{
    LLVMBuildRet, LLVMBuildRetVoid, LLVMGetCalledFunctionType, LLVMGetInstructionCallConv,
    LLVMGetIntTypeWidth, LLVMGetReturnType, LLVMGetTypeKind, LLVMSetPrefixData,
};
use static_call_abi as abi;

use crate::module;
use crate::shim::{self, Instruction};
use crate::target::Target;

/// A key that a call names: a global, or a field of one.
#[derive(Clone, Copy, Debug)]
pub(crate) struct KeyAddress<'ctx> {
    pub(crate) global: GlobalValue<'ctx>,
    pub(crate) offset: i64,
}

impl<'ctx> KeyAddress<'ctx> {
    /// The key's symbol, with its offset in a larger static.
    pub(crate) fn symbol(self) -> String {
        let name = self.global.get_name().to_string_lossy();
        match self.offset {
            0 => name.into_owned(),
            offset => format!("{name}+{offset}"),
        }
    }

    fn pointer(self, module: &Module<'ctx>) -> PointerValue<'ctx> {
        let context = module.get_context();
        let offset = context.i64_type().const_int(self.offset.cast_unsigned(), true);
        let base = self.global.as_pointer_value();
        if self.offset == 0 {
            return base;
        }
        // SAFETY: the caller has checked that the key lies inside the global.
        unsafe { base.const_gep(context.i8_type(), &[offset]) }
    }

    /// Whether other modules cannot name this key.
    fn is_local(self) -> bool {
        matches!(self.global.get_linkage(), Linkage::Internal | Linkage::Private)
    }
}

/// The trampolines of a module.
#[derive(Debug)]
pub(crate) struct Trampolines<'module, 'ctx> {
    module: &'module Module<'ctx>,
    target: Target,
    /// By trampoline symbol: the function, and where it was first called.
    made: HashMap<String, (FunctionValue<'ctx>, String)>,
}

/// Two sites of one key disagree about its type.
#[derive(Debug)]
pub(crate) struct TypeConflict {
    /// Where the other site is.
    pub(crate) first: String,
}

impl<'module, 'ctx> Trampolines<'module, 'ctx> {
    pub(crate) fn new(module: &'module Module<'ctx>, target: Target) -> Self {
        Self { module, target, made: HashMap::new() }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.made.is_empty()
    }

    /// The trampoline of `key` for a call like `site`.
    pub(crate) fn get(
        &mut self,
        key: KeyAddress<'ctx>,
        site: Instruction,
    ) -> Result<FunctionValue<'ctx>, TypeConflict> {
        let symbol = format!("{}{}", abi::TRAMPOLINE_PREFIX, key.symbol());
        let (trampoline, first) = match self.made.get(&symbol) {
            Some((trampoline, first)) => (*trampoline, first.clone()),
            // An earlier run of the pass made it, before link-time optimization.
            None => match self.module.get_function(&symbol) {
                Some(trampoline) => (trampoline, "another module".to_owned()),
                None => {
                    let trampoline = self.build(key, site, &symbol);
                    (trampoline, site.location())
                }
            },
        };
        if !site.same_abi(trampoline) {
            return Err(TypeConflict { first });
        }
        self.made.entry(symbol).or_insert((trampoline, first));
        Ok(trampoline)
    }

    /// Leaves the trampoline only those processor features that this caller has as well.
    ///
    /// It runs on behalf of every caller; and it must have what all of them have, retpolines and
    /// wide vector arguments among it.
    pub(crate) fn restrict_features(&self, trampoline: FunctionValue<'ctx>, caller: FunctionValue<'ctx>) {
        const FEATURES: &str = "target-features";
        let of = |function| module::string_attribute(function, FEATURES).unwrap_or_default();
        let (have, callers) = (of(trampoline), of(caller));
        if have == callers {
            return;
        }
        let callers: BTreeSet<&str> = callers.split(',').collect();
        let common: Vec<&str> = have.split(',').filter(|f| callers.contains(f)).collect();
        trampoline.remove_string_attribute(AttributeLoc::Function, FEATURES);
        module::add_string_attribute(self.module, trampoline, FEATURES, &common.join(","));
    }

    fn build(&self, key: KeyAddress<'ctx>, site: Instruction, symbol: &str) -> FunctionValue<'ctx> {
        let module = self.module;
        // SAFETY: the site is a call, which has a function type.
        let ty = unsafe { FunctionType::new(LLVMGetCalledFunctionType(site.0)) };
        let trampoline = module.add_function(symbol, ty, Some(Linkage::Internal));
        // SAFETY: the site is a call.
        trampoline.set_call_conventions(unsafe { LLVMGetInstructionCallConv(site.0) });
        site.copy_abi_attributes(trampoline);
        self.set_attributes(trampoline, caller(site));
        let global = trampoline.as_global_value();
        global.set_alignment(self.target.trampoline_alignment());
        trampoline
            .set_section(Some(&format!("{}{}", abi::TRAMPOLINE_SECTION_PREFIX, key.symbol())));
        self.build_body(key, site, trampoline);

        let record = self.build_record(key, trampoline);
        self.set_prefix(trampoline, record, may_vanish(self.target, site));
        for part in [global, record] {
            if key.is_local() {
                if let Some(group) = key.global.get_comdat() {
                    part.set_comdat(group);
                }
            } else {
                module::one_per_image(module, part, symbol);
            }
        }
        shim::set_associated(record, trampoline);
        shim::append_to_compiler_used(module, trampoline.as_value_ref());
        trampoline
    }

    /// Nothing may stand before the trampoline's first instruction, which is patched while threads
    /// may just have left it: no landing pad for indirect branches (it is only called directly), no
    /// instrumentation. And no optimization may look through it.
    fn set_attributes(&self, trampoline: FunctionValue<'ctx>, caller: FunctionValue<'ctx>) {
        module::add_enum_attributes(
            self.module,
            trampoline,
            &[
                "noinline",
                "nocf_check",
                "noprofile",
                "skipprofile",
                "nosanitize_coverage",
                "disable_sanitizer_instrumentation",
                // Without it, code generation aligns functions as it likes.
                "optsize",
            ],
        );
        let asynchronous = self
            .module
            .get_context()
            .create_enum_attribute(Attribute::get_named_enum_kind_id("uwtable"), 2);
        trampoline.add_attribute(AttributeLoc::Function, asynchronous);
        module::add_string_attribute(self.module, trampoline, abi::TRAMPOLINE_ATTRIBUTE, "");
        for name in ["target-cpu", "target-features", "tune-cpu"] {
            if let Some(value) = module::string_attribute(caller, name) {
                module::add_string_attribute(self.module, trampoline, name, &value);
            }
        }
    }

    fn build_body(&self, key: KeyAddress<'ctx>, site: Instruction, trampoline: FunctionValue<'ctx>) {
        let context = self.module.get_context();
        let builder = context.create_builder();
        builder.position_at_end(context.append_basic_block(trampoline, ""));
        let target = load_target(self.module, &builder, key.pointer(self.module));
        let result = shim::forward(&builder, trampoline, target.as_value_ref(), site);
        // SAFETY: the site is a call; the builder stands at the end of the block, after the call
        // whose result is returned.
        unsafe {
            let ty = LLVMGetReturnType(LLVMGetCalledFunctionType(site.0));
            if LLVMGetTypeKind(ty) == LLVMTypeKind::LLVMVoidTypeKind {
                LLVMBuildRetVoid(builder.as_mut_ptr());
            } else {
                LLVMBuildRet(builder.as_mut_ptr(), result);
            }
        }
    }

    fn build_record(&self, key: KeyAddress<'ctx>, trampoline: FunctionValue<'ctx>) -> GlobalValue<'ctx> {
        let module = self.module;
        let context = module.get_context();
        let pointer = context.ptr_type(AddressSpace::default());
        let i32_type = context.i32_type();
        let saved = context.i8_type().array_type(8);
        let ty = context.struct_type(
            &[pointer.into(), pointer.into(), pointer.into(), i32_type.into(), i32_type.into(),
                saved.into()],
            false,
        );
        let name = format!("{}{}", abi::RECORD_PREFIX, key.symbol());
        let record = module.add_global(ty, None, &name);
        record.set_linkage(Linkage::Internal);
        record.set_section(Some(abi::RECORDS_SECTION));
        record.set_alignment(module::pointer_size(module));
        let to_trampoline = self.distance(record, trampoline.as_global_value());
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

    fn set_prefix(&self, trampoline: FunctionValue<'ctx>, record: GlobalValue<'ctx>, vanish: bool) {
        let context = self.module.get_context();
        let signature = if vanish { abi::SIGNATURE } else { abi::SIGNATURE_CALL_ONLY };
        let prefix = context.const_struct(
            &[
                context.i32_type().const_int(signature.into(), false).into(),
                self.distance(trampoline.as_global_value(), record).into(),
            ],
            false,
        );
        // SAFETY: both are alive and the prefix is a constant.
        unsafe { LLVMSetPrefixData(trampoline.as_value_ref(), prefix.as_value_ref()) };
    }

    /// `to - from`, which the linker fills in.
    fn distance(&self, from: GlobalValue<'ctx>, to: GlobalValue<'ctx>) -> inkwell::values::IntValue<'ctx> {
        let context = self.module.get_context();
        let word = context
            .custom_width_int_type((module::pointer_size(self.module) * 8).try_into().expect("not zero"))
            .expect("a pointer's width");
        let address = |global: GlobalValue<'ctx>| global.as_pointer_value().const_to_int(word);
        let distance = address(to).const_sub(address(from));
        if word.get_bit_width() > 32 { distance.const_truncate(context.i32_type()) } else { distance }
    }
}

/// Loads what a key points at, in the order that an update published it.
pub(crate) fn load_target<'ctx>(
    module: &Module<'ctx>,
    builder: &inkwell::builder::Builder<'ctx>,
    key: PointerValue<'ctx>,
) -> PointerValue<'ctx> {
    let context = module.get_context();
    let pointer = context.ptr_type(AddressSpace::default());
    let target = builder.build_load(pointer, key, "target").expect("the builder has a position");
    let load = target.as_instruction_value().expect("a load is an instruction");
    load.set_atomic_ordering(AtomicOrdering::Acquire).expect("a load may be atomic");
    load.set_alignment(module::pointer_size(module)).expect("a power of two");
    target.into_pointer_value()
}

/// The function that an instruction belongs to.
pub(crate) fn caller<'ctx>(site: Instruction) -> FunctionValue<'ctx> {
    use llvm_sys::core::{LLVMGetBasicBlockParent, LLVMGetInstructionParent};
    // SAFETY: the site is an instruction in a block of a function.
    unsafe { FunctionValue::new(LLVMGetBasicBlockParent(LLVMGetInstructionParent(site.0))) }
        .expect("a block belongs to a function")
}

/// Whether a site of this type may become a nop, or clear the return register.
fn may_vanish(target: Target, site: Instruction) -> bool {
    // SAFETY: the site is a call.
    let (convention, result, kind) = unsafe {
        let result = LLVMGetReturnType(LLVMGetCalledFunctionType(site.0));
        (LLVMGetInstructionCallConv(site.0), result, LLVMGetTypeKind(result))
    };
    let simple = match kind {
        LLVMTypeKind::LLVMVoidTypeKind | LLVMTypeKind::LLVMPointerTypeKind => true,
        // SAFETY: an integer type has a width.
        LLVMTypeKind::LLVMIntegerTypeKind => unsafe { LLVMGetIntTypeWidth(result) <= 64 },
        _ => false,
    };
    simple && !site.has_sret() && target.may_vanish(convention)
}

/// Whether the pass itself made this function.
pub(crate) fn is_ours(function: FunctionValue<'_>) -> bool {
    function.get_string_attribute(AttributeLoc::Function, abi::TRAMPOLINE_ATTRIBUTE).is_some()
}

/// Whether the pass itself made this record.
pub(crate) fn is_our_record(record: GlobalValue<'_>) -> bool {
    record.get_section().map(CStr::to_bytes) == Some(abi::RECORDS_SECTION.as_bytes())
}
