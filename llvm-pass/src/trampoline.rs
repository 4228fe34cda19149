//! Trampolines: one function per key that an image calls, which its direct calls reach until they are
//! patched.
//!
//! ```text
//! __static_call_record.KEY:       { ptr KEY, null, null, 0, trampoline - record, 0 }
//!
//!                                 type check, if it makes one
//!                                 signature
//!                                 record - trampoline           (32 bits)
//! __static_call_trampoline.KEY:   jump to KEY's target
//! ```
//!
//! A trampoline has the type and the calling convention of its calls, but its body is naked assembler. It
//! passes on any arguments at every optimization level, and its first instruction is the one that the runtime
//! expects to patch. A `musttail` call would do the same in theory. But for some types and conventions it
//! stops LLVM's x86-64 backend with a fatal error, and without optimization other instructions come first.

use std::collections::HashMap;

use inkwell::InlineAsmDialect;
use inkwell::attributes::{Attribute, AttributeLoc};
use inkwell::module::{Linkage, Module};
use inkwell::types::FunctionType;
use inkwell::values::{AsValueRef, BasicValueEnum, FunctionValue, GlobalValue};
use llvm_sys::core::{
    LLVMGetCalledFunctionType, LLVMGetFirstInstruction, LLVMGetNumOperands, LLVMGetOperand,
};
use llvm_sys::prelude::LLVMValueRef;
use static_call_abi::{self as abi, TypeCheck};

use crate::format::{self, Access, Format};
use crate::key_address::KeyAddress;
use crate::machine::Machine;
use crate::shim::{self, Instruction};
use crate::target::{Features, Target};
use crate::{eligible, module, record};

/// The attribute that lists the processor features a function may use.
pub(crate) const FEATURES: &str = "target-features";

/// The trampolines of a module.
#[derive(Debug)]
pub(crate) struct Trampolines<'module, 'ctx> {
    module: &'module Module<'ctx>,
    format: &'static dyn Format,
    target: &'static Target,
    made: Vec<Made<'ctx>>,
    /// The positions of a key's trampolines in `made`: one for each check of a type, and one without.
    by_key: HashMap<(LLVMValueRef, i64), Vec<usize>>,
}

#[derive(Debug)]
struct Made<'ctx> {
    key: KeyAddress<'ctx>,
    trampoline: FunctionValue<'ctx>,
    check: Option<TypeCheck>,
    /// The place of its first call.
    first: String,
    /// None if an earlier run of the pass built it.
    new: Option<New<'ctx>>,
}

/// A trampoline whose body is built when all calls of the module are known.
#[derive(Debug)]
struct New<'ctx> {
    record: GlobalValue<'ctx>,
    /// The thunk that its body will use.
    thunk: Option<&'static str>,
}

/// An earlier call of the key has another type, or passes its arguments in another way.
#[derive(Debug)]
pub(crate) struct TypeConflict {
    /// The place of that call.
    pub(crate) first: String,
}

impl<'module, 'ctx> Trampolines<'module, 'ctx> {
    pub(crate) fn new(module: &'module Module<'ctx>, machine: Machine) -> Self {
        let Machine { target, format } = machine;
        Self { module, format, target, made: Vec::new(), by_key: HashMap::new() }
    }

    pub(crate) const fn target(&self) -> &'static Target {
        self.target
    }

    /// Why `key` can have no trampoline.
    pub(crate) fn out_of_reach(&self, key: KeyAddress<'ctx>) -> Option<&'static str> {
        self.format.out_of_reach(key)
    }

    /// What the trampoline of this call checks instead of it.
    pub(crate) fn type_check(&self, site: Instruction) -> Option<TypeCheck> {
        if self.format.has_type_checks() { eligible::type_check(self.target, site) } else { None }
    }

    /// The trampoline of `key` for a call like `site`, in a function with these features, which has left this
    /// check of its target to the trampoline.
    pub(crate) fn get(
        &mut self,
        key: KeyAddress<'ctx>,
        site: Instruction,
        features: Features<'_>,
        check: Option<TypeCheck>,
    ) -> Result<FunctionValue<'ctx>, TypeConflict> {
        let id = (key.global.as_value_ref(), key.offset);
        let positions = self.by_key.get(&id).map_or(&[][..], Vec::as_slice);
        if let Some(first) = positions.first().map(|&position| &self.made[position])
            && !site.same_abi(first.trampoline)
        {
            return Err(TypeConflict { first: first.first.clone() });
        }
        let made = match positions.iter().find(|&&position| self.made[position].check == check) {
            Some(&position) => &mut self.made[position],
            None => {
                let made = self.find_or_declare(key, site, check);
                self.by_key.entry(id).or_default().push(self.made.len());
                self.made.push(made);
                self.made.last_mut().expect("just pushed")
            }
        };
        if !eligible::may_be_jump(self.target, site) {
            site.prevent_tail_call();
        }
        // A trampoline jumps on behalf of all its callers, so one careful caller decides for all.
        if let Some(New { thunk: thunk @ None, .. }) = &mut made.new {
            *thunk = self.target.thunk(features);
            if thunk.is_some() {
                // Code generation adds the thunk only for functions with these features. Other features add
                // more.
                let features = features.of_thunks();
                module::add_string_attribute(self.module, made.trampoline, FEATURES, &features);
            }
        }
        Ok(made.trampoline)
    }

    /// Builds the bodies. True if there are trampolines.
    pub(crate) fn finish(self) -> bool {
        let mut used = Vec::new();
        for made in &self.made {
            if let Some(new) = &made.new {
                let access = self.format.access(self.module, made.key, new.record);
                self.build_body(made, access, new.thunk);
                // For a while only metadata may refer to the record (see `cpp/prefix_data.h`), and metadata
                // keeps nothing alive.
                used.extend([made.trampoline.as_value_ref(), new.record.as_value_ref()]);
                // A key that is reached through the GOT must stay a symbol of its own. Once link-time
                // optimization has made it local, LLVM's GlobalMerge would make it part of a larger object,
                // and a GOT entry has no offset. (`GlobalMergeImpl::setMustKeepGlobalVariables` exempts what
                // `llvm.compiler.used` lists.)
                if matches!(access, Access::Far) {
                    used.push(made.key.global.as_value_ref());
                }
            }
        }
        shim::append_to_compiler_used(self.module, &used);
        !self.made.is_empty()
    }

    fn find_or_declare(
        &self,
        key: KeyAddress<'ctx>,
        site: Instruction,
        check: Option<TypeCheck>,
    ) -> Made<'ctx> {
        let symbol = key.trampoline(check);
        // A function of this name is from an earlier run of the pass, before link-time optimization. It may
        // belong to another local key of the same name.
        match self.module.get_function(&symbol).filter(|&found| self.jumps_to(found, key)) {
            Some(trampoline) => {
                Made { key, trampoline, check, first: "another module".to_owned(), new: None }
            }
            None => {
                let (trampoline, record) = self.declare(key, site, &symbol, check);
                Made {
                    key,
                    trampoline,
                    check,
                    first: site.location(),
                    new: Some(New { record, thunk: None }),
                }
            }
        }
    }

    /// Whether `trampoline` is the one of `key`.
    fn jumps_to(&self, trampoline: FunctionValue<'ctx>, key: KeyAddress<'ctx>) -> bool {
        let Some(block) = trampoline.get_first_basic_block() else { return !key.is_local() };
        // SAFETY: a block has an instruction. A trampoline's is inline assembler with the key's global as
        // operand, or a slot.
        unsafe {
            let jump = LLVMGetFirstInstruction(block.as_mut_ptr());
            if LLVMGetNumOperands(jump) < 1 {
                return false;
            }
            let operand = LLVMGetOperand(jump, 0);
            operand == key.global.as_value_ref() || self.format.is_slot(module::name(operand), key)
        }
    }

    /// Declares a trampoline, without its body, and its record.
    fn declare(
        &self,
        key: KeyAddress<'ctx>,
        site: Instruction,
        symbol: &str,
        check: Option<TypeCheck>,
    ) -> (FunctionValue<'ctx>, GlobalValue<'ctx>) {
        let module = self.module;
        // SAFETY: the site is a call, which has a function type.
        let ty = unsafe { FunctionType::new(LLVMGetCalledFunctionType(site.0)) };
        let trampoline = module.add_function(symbol, ty, Some(Linkage::Internal));
        trampoline.set_call_conventions(site.convention());
        site.copy_abi_attributes(trampoline);
        self.set_attributes(trampoline);
        let global = trampoline.as_global_value();
        global.set_alignment(self.target.trampoline_alignment());

        let record = record::build(module, self.format, key, trampoline, check);
        self.set_prefix(trampoline, record, eligible::may_be_nop(module, self.target, site), check);
        for part in [global, record] {
            if key.is_local() {
                if let Some(group) = key.global.get_comdat() {
                    part.set_comdat(group);
                }
            } else {
                format::one_per_image(self.format, module, part, symbol);
            }
        }
        self.format.place_trampoline(trampoline, record, key);
        (trampoline, record)
    }

    /// Nothing may precede the trampoline's first instruction, which is patched while threads may have just
    /// executed it: no landing pad for indirect branches (all calls of it are direct) and no instrumentation.
    /// No optimization may look into it.
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
                // Otherwise code generation may align the function more.
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

    fn build_body(
        &self,
        &Made { key, trampoline, check, .. }: &Made<'ctx>,
        access: Access<'ctx>,
        thunk: Option<&str>,
    ) {
        let context = self.module.get_context();
        let key_global = match access {
            Access::Slot(slot) => slot.as_pointer_value(),
            Access::Near | Access::Far => key.global.as_pointer_value(),
        };
        let ty = context.void_type().fn_type(&[key_global.get_type().into()], false);
        let code = self.format.jump_to_target(self.module, self.target, access, key.offset, thunk, check);
        let dialect = Some(InlineAsmDialect::ATT);
        let constraint = self.target.symbol_constraint().to_owned();
        let code = context.create_inline_asm(ty, code, constraint, true, false, dialect, false);
        let builder = context.create_builder();
        builder.position_at_end(context.append_basic_block(trampoline, ""));
        builder.build_indirect_call(ty, code, &[key_global.into()], "").expect("the builder has a position");
        builder.build_unreachable().expect("the builder has a position");
    }

    fn set_prefix(
        &self,
        trampoline: FunctionValue<'ctx>,
        record: GlobalValue<'ctx>,
        may_be_nop: bool,
        check: Option<TypeCheck>,
    ) {
        let context = self.module.get_context();
        let signature = match (check, may_be_nop) {
            (None, true) => abi::SIGNATURE,
            (None, false) => abi::SIGNATURE_CALL_ONLY,
            (Some(_), true) => abi::SIGNATURE_CHECKED,
            (Some(_), false) => abi::SIGNATURE_CHECKED_CALL_ONLY,
        };
        let numbers = check.into_iter().flat_map(|check| [check.distance, check.hash]).chain([signature]);
        let mut prefix: Vec<BasicValueEnum<'_>> =
            numbers.map(|number| context.i32_type().const_int(number.into(), false).into()).collect();
        prefix.push(module::distance(self.module, trampoline.as_global_value(), record).into());
        shim::set_prefix_data(trampoline, context.const_struct(&prefix, false));
    }
}
