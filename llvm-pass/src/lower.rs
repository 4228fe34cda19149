//! The IR stage: from calls through the intrinsic's result to direct calls of trampolines.

use std::collections::HashSet;

use inkwell::module::{Linkage, Module};
use inkwell::values::{AsValueRef, FunctionValue, GlobalValue, PointerValue};
use llvm_sys::LLVMIntPredicate;
use llvm_sys::core::{
    LLVMGetCalledValue, LLVMGetFirstUse, LLVMGetICmpPredicate, LLVMGetNextUse,
    LLVMGetNumArgOperands, LLVMGetNumOperands, LLVMGetOperand, LLVMGetUser,
    LLVMGlobalGetValueType, LLVMInstructionEraseFromParent, LLVMIsACallInst, LLVMIsAGlobalVariable,
    LLVMIsAICmpInst, LLVMIsAInvokeInst, LLVMIsNull, LLVMIsThreadLocal, LLVMReplaceAllUsesWith,
    LLVMTypeIsSized,
};
use llvm_sys::prelude::LLVMValueRef;
use llvm_sys::target::{LLVMABISizeOfType, LLVMGetModuleDataLayout};
use static_call_abi as abi;

use crate::shim::{self, Instruction};
use crate::target::Target;
use crate::trampoline::{self, KeyAddress, Trampolines};
use crate::{image, module};

/// Lowers every use of the intrinsic; true if the module changed.
pub(crate) fn lower(module: &Module<'_>) -> bool {
    let reserved = refuse_reserved_names(module);
    let Some(intrinsic) = module.get_function(abi::INTRINSIC) else { return reserved };
    let target = Target::from_triple(&module.get_triple().as_str().to_string_lossy());
    let mut lowering = Lowering {
        module,
        trampolines: target.map(|target| Trampolines::new(module, target)),
    };
    let calls: Vec<Instruction> = users(intrinsic.as_value_ref())
        .into_iter()
        .filter(|&user| is_plain_call_of(user, intrinsic.as_value_ref()))
        .map(Instruction)
        .collect();
    for &call in &calls {
        lowering.lower(call);
    }
    if lowering.trampolines.as_ref().is_some_and(|trampolines| !trampolines.is_empty()) {
        image::emit(module);
    }
    remove_if_unused(intrinsic);
    reserved || !calls.is_empty()
}

struct Lowering<'module, 'ctx> {
    module: &'module Module<'ctx>,
    /// None where the target has no sites.
    trampolines: Option<Trampolines<'module, 'ctx>>,
}

const THREAD_LOCAL: &str = "a static call's key cannot be thread-local: its call sites are code, \
     which all threads share; make the key an ordinary static";

/// What the intrinsic's argument turns out to be.
enum Argument<'ctx> {
    Key(KeyAddress<'ctx>),
    /// Right, but unknown before the program runs: the reason, for the remark.
    Unknown(&'static str),
    /// Wrong: the message.
    Invalid(String),
}

impl<'ctx> Lowering<'_, 'ctx> {
    /// Lowers one call of the intrinsic and what is done with its result.
    fn lower(&mut self, intrinsic: Instruction) {
        // SAFETY: a call of the intrinsic with one argument.
        let pointer = unsafe { LLVMGetOperand(intrinsic.0, 0) };
        let key = match self.classify(pointer) {
            Argument::Key(key) if self.trampolines.is_some() => Some(key),
            Argument::Key(_) => {
                intrinsic.remark_missed(
                    "static call loads its key: this target has no recorded call sites",
                );
                None
            }
            Argument::Unknown(reason) => {
                intrinsic.remark_missed(&format!("static call loads its key: {reason}"));
                None
            }
            Argument::Invalid(message) => {
                intrinsic.error(self.module, &message);
                None
            }
        };
        if let Some(key) = key {
            self.lower_uses(intrinsic, key);
        }
        self.load_for_the_rest(intrinsic, pointer, key);
    }

    fn classify(&self, pointer: LLVMValueRef) -> Argument<'ctx> {
        if shim::is_thread_local_address(pointer) {
            return Argument::Invalid(THREAD_LOCAL.to_owned());
        }
        let (base, offset) = shim::strip_offsets(self.module, pointer);
        // SAFETY: `base` is alive.
        if unsafe { LLVMIsAGlobalVariable(base) }.is_null() {
            return Argument::Unknown("the key is not a constant at this place");
        }
        // SAFETY: `base` is a global variable.
        let (global, thread_local) =
            unsafe { (GlobalValue::new(base), LLVMIsThreadLocal(base) != 0) };
        if thread_local {
            return Argument::Invalid(THREAD_LOCAL.to_owned());
        }
        if global.get_linkage() == Linkage::ExternalWeak {
            return Argument::Unknown("the key is a weak reference, which may be null");
        }
        let key_size = i64::from(4 * module::pointer_size(self.module) + 8);
        match offset.checked_add(key_size) {
            Some(end) if offset >= 0 && end <= self.size_of(base) => {
                Argument::Key(KeyAddress { global, offset })
            }
            _ => Argument::Invalid(format!(
                "`{}` is no static call key ({} bytes at offset {offset} of an object of {}): \
                 declare it with static_call::define! in Rust or DEFINE_STATIC_CALL in C",
                global.get_name().to_string_lossy(),
                key_size,
                self.size_of(base),
            )),
        }
    }

    fn size_of(&self, global: LLVMValueRef) -> i64 {
        // SAFETY: a global variable, alive; only a sized type is measured.
        unsafe {
            let ty = LLVMGlobalGetValueType(global);
            if LLVMTypeIsSized(ty) == 0 {
                return 0;
            }
            let size = LLVMABISizeOfType(LLVMGetModuleDataLayout(self.module.as_mut_ptr()), ty);
            i64::try_from(size).unwrap_or(i64::MAX)
        }
    }

    /// Lowers the uses of the intrinsic's result that need no pointer: calls and null checks.
    fn lower_uses(&mut self, intrinsic: Instruction, key: KeyAddress<'ctx>) {
        for user in users(intrinsic.0) {
            if calls(user, intrinsic.0) {
                self.lower_call(Instruction(user), key);
            } else if let Some(answer) = null_check(user, intrinsic.0) {
                // rustc asserts that a function pointer is not null, and no key's target is.
                let context = self.module.get_context();
                let answer = context.bool_type().const_int(answer.into(), false);
                // SAFETY: the comparison is alive and of type i1.
                unsafe {
                    LLVMReplaceAllUsesWith(user, answer.as_value_ref());
                    LLVMInstructionEraseFromParent(user);
                }
            }
        }
    }

    fn lower_call(&mut self, site: Instruction, key: KeyAddress<'ctx>) {
        let Some(trampolines) = &mut self.trampolines else { return };
        match trampolines.get(key, site) {
            Ok(trampoline) => {
                let site = site.retarget(trampoline);
                trampolines.restrict_features(trampoline, trampoline::caller(site));
                site.remark_lowered(&format!(
                    "static call of `{}` lowered to a direct call",
                    key.symbol()
                ));
            }
            Err(conflict) => site.error(
                self.module,
                &format!(
                    "static call of `{}` with another function type than at {}: all calls of one \
                     key need the same type (here: {})",
                    key.symbol(),
                    conflict.first,
                    site.location(),
                ),
            ),
        }
    }

    /// Replaces the intrinsic by a load of the key, where something still uses its result.
    fn load_for_the_rest(
        &self,
        intrinsic: Instruction,
        pointer: LLVMValueRef,
        key: Option<KeyAddress<'ctx>>,
    ) {
        // SAFETY: the intrinsic's call is alive; its argument is a pointer; both have type `ptr`.
        unsafe {
            if !LLVMGetFirstUse(intrinsic.0).is_null() {
                if key.is_some() {
                    intrinsic.remark_missed(
                        "static call loads its key: the function pointer is used as a value",
                    );
                }
                let builder = self.module.get_context().create_builder();
                builder.position_before(&inkwell::values::InstructionValue::new(intrinsic.0));
                let pointer = PointerValue::new(pointer);
                let target = trampoline::load_target(self.module, &builder, pointer);
                LLVMReplaceAllUsesWith(intrinsic.0, target.as_value_ref());
            }
            LLVMInstructionEraseFromParent(intrinsic.0);
        }
    }
}

/// The users of a value, each once.
fn users(value: LLVMValueRef) -> Vec<LLVMValueRef> {
    let mut users = Vec::new();
    let mut seen = HashSet::new();
    // SAFETY: the value is alive, and its use list does not change during the walk.
    unsafe {
        let mut next = LLVMGetFirstUse(value);
        while !next.is_null() {
            let user = LLVMGetUser(next);
            if seen.insert(user) {
                users.push(user);
            }
            next = LLVMGetNextUse(next);
        }
    }
    users
}

/// Whether `user` is a call or an invoke through `function`.
fn calls(user: LLVMValueRef, function: LLVMValueRef) -> bool {
    // SAFETY: the user is alive; only a call is asked for its callee.
    unsafe {
        (!LLVMIsACallInst(user).is_null() || !LLVMIsAInvokeInst(user).is_null())
            && LLVMGetCalledValue(user) == function
    }
}

/// Whether `user` calls the intrinsic as the pass expects it.
fn is_plain_call_of(user: LLVMValueRef, intrinsic: LLVMValueRef) -> bool {
    // SAFETY: the user is alive; only a call is asked for its arguments.
    unsafe {
        !LLVMIsACallInst(user).is_null()
            && LLVMGetCalledValue(user) == intrinsic
            && LLVMGetNumArgOperands(user) == 1
    }
}

/// What a comparison of `pointer` with null yields, if `user` is one and `pointer` is not null.
fn null_check(user: LLVMValueRef, pointer: LLVMValueRef) -> Option<bool> {
    // SAFETY: the user is alive; a comparison has two operands.
    unsafe {
        if LLVMIsAICmpInst(user).is_null() || LLVMGetNumOperands(user) != 2 {
            return None;
        }
        let (left, right) = (LLVMGetOperand(user, 0), LLVMGetOperand(user, 1));
        let other = if left == pointer { right } else { left };
        if LLVMIsNull(other) == 0 {
            return None;
        }
        match LLVMGetICmpPredicate(user) {
            LLVMIntPredicate::LLVMIntEQ => Some(false),
            LLVMIntPredicate::LLVMIntNE => Some(true),
            _ => None,
        }
    }
}

/// Removes the intrinsic: a C header's inline copy, or Rust's declaration.
fn remove_if_unused(intrinsic: FunctionValue<'_>) {
    let local = matches!(intrinsic.get_linkage(), Linkage::Internal | Linkage::Private);
    let declared = intrinsic.get_first_basic_block().is_none();
    if users(intrinsic.as_value_ref()).is_empty() && (local || declared) {
        // SAFETY: nothing uses it.
        unsafe { intrinsic.delete() };
    }
}

/// Names that only the pass may give. True if an error was reported.
fn refuse_reserved_names(module: &Module<'_>) -> bool {
    let functions = module.get_functions().filter(|function| {
        let name = function.get_name().to_bytes();
        name.starts_with(abi::TRAMPOLINE_PREFIX.as_bytes()) && !trampoline::is_ours(*function)
    });
    let functions = functions.map(|function| function.as_global_value());
    let globals = module.get_globals().filter(|global| {
        let name = global.get_name().to_bytes();
        name.starts_with(abi::RECORD_PREFIX.as_bytes()) && !trampoline::is_our_record(*global)
    });
    let mut refused = false;
    for symbol in functions.chain(globals) {
        refused = true;
        shim::error(
            module,
            &format!(
                "the symbol `{}` is reserved for static calls: names that start with `{}` are \
                 made by the static-call pass; choose another name",
                symbol.get_name().to_string_lossy(),
                abi::RESERVED_PREFIX,
            ),
        );
    }
    refused
}
