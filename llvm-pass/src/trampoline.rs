//! Trampolines and records: what an image has for each key that it calls.
//!
//! ```text
//! __static_call_record.KEY:       { ptr KEY, null, null, 0, trampoline - record, 0 }
//!
//!                                 signature
//!                                 record - trampoline           (32 bits)
//! __static_call_trampoline.KEY:   jump to KEY's target
//! ```
//!
//! A trampoline has the type and the calling convention of its calls, but its body is naked assembler:
//! it hands on whatever arguments there are, at every optimization level, and its first instruction is
//! the one that the runtime expects to patch. (A `musttail` call would do so in theory. On x86-64 it stops
//! with a fatal error for some types and conventions, and without optimization other instructions
//! come first.)

use std::collections::HashMap;
use std::ffi::CStr;

use inkwell::attributes::{Attribute, AttributeLoc};
use inkwell::module::{Linkage, Module};
use inkwell::types::{FunctionType, PointerType, StructType};
use inkwell::values::{AsValueRef, BasicValue, FunctionValue, GlobalValue, PointerValue};
use inkwell::{AddressSpace, AtomicOrdering, InlineAsmDialect};
use llvm_sys::LLVMTypeKind;
use llvm_sys::core::{
    LLVMGetCallSiteEnumAttribute, LLVMGetCalledFunctionType, LLVMGetFirstInstruction,
    LLVMGetInstructionCallConv, LLVMGetIntTypeWidth, LLVMGetNumArgOperands, LLVMGetNumOperands,
    LLVMGetOperand, LLVMGetReturnType, LLVMGetTypeKind, LLVMSetPrefixData,
};
use llvm_sys::prelude::LLVMValueRef;
use static_call_abi as abi;

use crate::module;
use crate::shim::{self, Instruction};
use crate::target::{Call, Features, Read, Target};

/// A key that a call names: a global, or a field of one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
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

    /// The same as a person would write it.
    pub(crate) fn display(self) -> String {
        format!("{:#}", rustc_demangle::demangle(&self.symbol()))
    }

    /// Whether no other key has this symbol, in any module of the image, and assembler can name it.
    ///
    /// A name may hold any byte. Those that [`Self::symbol`] would change or add, and NUL, at which C
    /// ends a name, occur in none that a compiler makes.
    pub(crate) fn has_ordinary_symbol(self) -> bool {
        let name = module::name(self.global.as_value_ref());
        let unique = || std::str::from_utf8(name).is_ok_and(|name| !name.contains(['+', '\0']));
        !name.first().is_some_and(u8::is_ascii_digit) && (self.is_local() || unique())
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

const FEATURES: &str = "target-features";

/// The trampolines of a module.
#[derive(Debug)]
pub(crate) struct Trampolines<'module, 'ctx> {
    module: &'module Module<'ctx>,
    target: &'static Target,
    made: Vec<Made<'ctx>>,
    /// The position of a key's trampoline in `made`.
    by_key: HashMap<(LLVMValueRef, i64), usize>,
}

#[derive(Debug)]
struct Made<'ctx> {
    key: KeyAddress<'ctx>,
    trampoline: FunctionValue<'ctx>,
    /// Where it was first called.
    first: String,
    /// The thunk that its body is to use; no body where an earlier run of the pass built it.
    body: Option<Option<&'static str>>,
}

/// Why a call has no trampoline.
#[derive(Debug)]
pub(crate) enum NoTrampoline {
    /// Another site of the key disagrees about its type; where that is.
    TypeConflict(String),
    /// The call has to stay indirect: the reason, for the remark.
    Unsupported(&'static str),
}

impl<'module, 'ctx> Trampolines<'module, 'ctx> {
    pub(crate) fn new(module: &'module Module<'ctx>, target: &'static Target) -> Self {
        Self { module, target, made: Vec::new(), by_key: HashMap::new() }
    }

    /// The trampoline of `key` for a call like `site`.
    pub(crate) fn get(
        &mut self,
        key: KeyAddress<'ctx>,
        site: Instruction,
    ) -> Result<FunctionValue<'ctx>, NoTrampoline> {
        let features = module::string_attribute(caller(site), FEATURES).unwrap_or_default();
        let call = Call {
            convention: convention(site),
            has_argument: &|attribute| has_argument_with(site, attribute),
            features: Features(&features),
        };
        let reason = self.target.needs_indirect_call(&call);
        if let Some(reason) = reason.or(site.needs_indirect_call()) {
            return Err(NoTrampoline::Unsupported(reason));
        }
        if site.is_must_tail() && !self.target.has_tail_calls() {
            return Err(NoTrampoline::Unsupported(
                "it must be a jump, but has something to do behind a call",
            ));
        }
        let id = (key.global.as_value_ref(), key.offset);
        let made = match self.by_key.get(&id) {
            Some(&position) => &mut self.made[position],
            None => {
                let made = self.find_or_declare(key, site);
                self.by_key.insert(id, self.made.len());
                self.made.push(made);
                self.made.last_mut().expect("just pushed")
            }
        };
        if !site.same_abi(made.trampoline) {
            return Err(NoTrampoline::TypeConflict(made.first.clone()));
        }
        if !self.target.has_tail_calls() {
            site.prevent_tail_call();
        }
        // It jumps on behalf of all its callers, so it takes the precautions of the most careful one.
        if let Some(body @ None) = &mut made.body {
            *body = self.target.thunk(&features);
            if body.is_some() {
                // Code generation adds the thunk for functions with these features.
                module::add_string_attribute(self.module, made.trampoline, FEATURES, &features);
            }
        }
        Ok(made.trampoline)
    }

    /// Writes the bodies; true if there are trampolines.
    pub(crate) fn finish(self) -> bool {
        let mut used = Vec::new();
        for made in &self.made {
            if let Some(thunk) = made.body {
                self.build_body(made.key, made.trampoline, thunk);
                used.push(made.trampoline.as_value_ref());
            }
        }
        shim::append_to_compiler_used(self.module, &used);
        !self.made.is_empty()
    }

    fn find_or_declare(&self, key: KeyAddress<'ctx>, site: Instruction) -> Made<'ctx> {
        let symbol = format!("{}{}", abi::TRAMPOLINE_PREFIX, key.symbol());
        // An earlier run of the pass made it, before link-time optimization; or one for another local
        // key of this name.
        match self.module.get_function(&symbol).filter(|&found| self.jumps_to(found, key)) {
            Some(trampoline) => Made { key, trampoline, first: "another module".to_owned(), body: None },
            None => {
                let trampoline = self.declare(key, site, &symbol);
                Made { key, trampoline, first: site.location(), body: Some(None) }
            }
        }
    }

    /// Whether `trampoline` is the one of `key`.
    fn jumps_to(&self, trampoline: FunctionValue<'ctx>, key: KeyAddress<'ctx>) -> bool {
        let Some(block) = trampoline.get_first_basic_block() else { return !key.is_local() };
        // SAFETY: a block holds an instruction. A trampoline's is assembler, whose operand is the key's
        // global.
        unsafe {
            let jump = LLVMGetFirstInstruction(block.as_mut_ptr());
            LLVMGetNumOperands(jump) > 0 && LLVMGetOperand(jump, 0) == key.global.as_value_ref()
        }
    }

    /// A trampoline without its body, and its record.
    fn declare(&self, key: KeyAddress<'ctx>, site: Instruction, symbol: &str) -> FunctionValue<'ctx> {
        let module = self.module;
        // SAFETY: the site is a call, which has a function type.
        let ty = unsafe { FunctionType::new(LLVMGetCalledFunctionType(site.0)) };
        let trampoline = module.add_function(symbol, ty, Some(Linkage::Internal));
        trampoline.set_call_conventions(convention(site));
        site.copy_abi_attributes(trampoline);
        self.set_attributes(trampoline);
        let global = trampoline.as_global_value();
        global.set_alignment(self.target.trampoline_alignment());
        trampoline.set_section(Some(&format!("{}{}", abi::TRAMPOLINE_SECTION_PREFIX, key.symbol())));

        let record = self.build_record(key, trampoline);
        self.set_prefix(trampoline, record, self.may_vanish(site));
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
        trampoline
    }

    /// Nothing may stand before the trampoline's first instruction, which is patched while threads
    /// may just have left it: no landing pad for indirect branches (it is only called directly), no
    /// instrumentation. And no optimization may look through it.
    fn set_attributes(&self, trampoline: FunctionValue<'ctx>) {
        module::add_enum_attributes(
            self.module,
            trampoline,
            &[
                "naked",
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
        let asynchronous =
            self.module.get_context().create_enum_attribute(Attribute::get_named_enum_kind_id("uwtable"), 2);
        trampoline.add_attribute(AttributeLoc::Function, asynchronous);
        let features = self.target.trampoline_features();
        if !features.is_empty() {
            module::add_string_attribute(self.module, trampoline, FEATURES, features);
        }
        module::mark_as_ours(self.module, trampoline);
    }

    fn build_body(&self, key: KeyAddress<'ctx>, trampoline: FunctionValue<'ctx>, thunk: Option<&str>) {
        let context = self.module.get_context();
        let key_global = key.global.as_pointer_value();
        let ty = context.void_type().fn_type(&[key_global.get_type().into()], false);
        let near = shim::is_dso_local(key.global);
        let is_movable = self.module.get_flag("PIC Level").is_some();
        let code = self.target.jump_to_target(near, is_movable, key.offset, thunk);
        let dialect = Some(InlineAsmDialect::ATT);
        let constraint = self.target.symbol_constraint().to_owned();
        let code = context.create_inline_asm(ty, code, constraint, true, false, dialect, false);
        let builder = context.create_builder();
        builder.position_at_end(context.append_basic_block(trampoline, ""));
        builder.build_indirect_call(ty, code, &[key_global.into()], "").expect("the builder has a position");
        builder.build_unreachable().expect("the builder has a position");
    }

    fn build_record(&self, key: KeyAddress<'ctx>, trampoline: FunctionValue<'ctx>) -> GlobalValue<'ctx> {
        let module = self.module;
        let context = module.get_context();
        let pointer = context.ptr_type(AddressSpace::default());
        let i32_type = context.i32_type();
        let saved = context.i8_type().array_type(8);
        let ty = record_type(module);
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

    /// Whether a site of this type may become a nop, or clear the return register, which is as wide as a pointer.
    fn may_vanish(&self, site: Instruction) -> bool {
        // SAFETY: the site is a call.
        let (result, kind) = unsafe {
            let result = LLVMGetReturnType(LLVMGetCalledFunctionType(site.0));
            (result, LLVMGetTypeKind(result))
        };
        let register = 8 * module::pointer_size(self.module);
        let simple = match kind {
            LLVMTypeKind::LLVMVoidTypeKind | LLVMTypeKind::LLVMPointerTypeKind => true,
            // SAFETY: an integer type has a width.
            LLVMTypeKind::LLVMIntegerTypeKind => unsafe { LLVMGetIntTypeWidth(result) <= register },
            _ => false,
        };
        simple && !site.has_sret() && self.target.may_vanish(convention(site))
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
///
/// Volatile: what stands for NULL may have another convention than the call, and an optimizer that knew what the key holds
/// would take the call for one that never happens.
///
/// `pointer` is the type of a function's address: code may have an address space of its own.
pub(crate) fn load_target<'ctx>(
    module: &Module<'ctx>,
    builder: &inkwell::builder::Builder<'ctx>,
    pointer: PointerType<'ctx>,
    key: PointerValue<'ctx>,
) -> PointerValue<'ctx> {
    let target = builder.build_load(pointer, key, "target").expect("the builder has a position");
    let load = target.as_instruction_value().expect("a load is an instruction");
    load.set_alignment(module::pointer_size(module).next_power_of_two()).expect("a power of two");
    let read = Read::for_triple(&module.get_triple().as_str().to_string_lossy());
    load.set_volatile(!matches!(read, Read::Plain)).expect("a load may be volatile");
    match read {
        Read::Acquire => load.set_atomic_ordering(AtomicOrdering::Acquire).expect("a load may be atomic"),
        Read::RelaxedAndFence => {
            load.set_atomic_ordering(AtomicOrdering::Monotonic).expect("a load may be atomic");
            builder.build_fence(AtomicOrdering::Acquire, false, "").expect("the builder has a position");
        }
        Read::Volatile | Read::Plain => {}
    }
    target.into_pointer_value()
}

fn convention(site: Instruction) -> u32 {
    // SAFETY: the site is a call.
    unsafe { LLVMGetInstructionCallConv(site.0) }
}

/// The function that an instruction belongs to.
fn caller<'ctx>(site: Instruction) -> FunctionValue<'ctx> {
    use llvm_sys::core::{LLVMGetBasicBlockParent, LLVMGetInstructionParent};
    // SAFETY: the site is an instruction in a block of a function.
    unsafe { FunctionValue::new(LLVMGetBasicBlockParent(LLVMGetInstructionParent(site.0))) }
        .expect("a block belongs to a function")
}

/// Whether a call has an argument with this attribute.
fn has_argument_with(site: Instruction, attribute: &str) -> bool {
    let kind = Attribute::get_named_enum_kind_id(attribute);
    // SAFETY: the site is a call, whose arguments have these numbers.
    let arguments = unsafe { LLVMGetNumArgOperands(site.0) };
    // SAFETY: as above; behind the result, which is number 0.
    (1..=arguments).any(|index| unsafe { !LLVMGetCallSiteEnumAttribute(site.0, index, kind).is_null() })
}

/// The fields of `abi::Record`, in their order.
pub(crate) fn record_type<'ctx>(module: &Module<'ctx>) -> StructType<'ctx> {
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
pub(crate) fn is_our_record(record: GlobalValue<'_>) -> bool {
    record.get_section().map(CStr::to_bytes) == Some(abi::RECORDS_SECTION.as_bytes())
}
