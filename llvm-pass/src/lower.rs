//! The IR stage: from calls through the intrinsic's result to direct calls of trampolines.

use std::collections::HashSet;

use inkwell::AddressSpace;
use inkwell::module::{Linkage, Module};
use inkwell::types::PointerType;
use inkwell::values::{AsValueRef, FunctionValue, GlobalValue, PointerValue};
use llvm_sys::core::{
    LLVMGetAlignment, LLVMGetArrayLength2, LLVMGetCalledFunctionType, LLVMGetCalledValue, LLVMGetElementType,
    LLVMGetFirstUse, LLVMGetICmpPredicate, LLVMGetNextUse, LLVMGetNumOperands, LLVMGetOperand, LLVMGetParam,
    LLVMGetReturnType, LLVMGetTypeKind, LLVMGetUser, LLVMGlobalGetValueType, LLVMInstructionEraseFromParent,
    LLVMIsACallInst, LLVMIsAFunction, LLVMIsAGlobalVariable, LLVMIsAICmpInst, LLVMIsAInvokeInst,
    LLVMIsDeclaration, LLVMIsGlobalConstant, LLVMIsNull, LLVMIsThreadLocal, LLVMReplaceAllUsesWith,
    LLVMTypeIsSized, LLVMTypeOf,
};
use llvm_sys::prelude::LLVMValueRef;
use llvm_sys::target::{LLVMABISizeOfType, LLVMGetModuleDataLayout};
use llvm_sys::{LLVMIntPredicate, LLVMTypeKind};
use static_call_abi as abi;

use crate::shim::{self, Instruction};
use crate::target::Target;
use crate::trampoline::{self, KeyAddress, NoTrampoline, Trampolines};
use crate::{image, keys, module, reserved};

/// Lowers every use of the intrinsic, gives the keys their section, and adds what registers the image;
/// true if the module changed.
pub(crate) fn lower(module: &Module<'_>) -> bool {
    if reserved::refuse_names(module) {
        return false;
    }
    let target = Target::from_triple(&module.get_triple().as_str().to_string_lossy())
        .filter(|_| shim::calls_reach(module));
    let uses = match module.get_function(abi::INTRINSIC) {
        Some(intrinsic) => lower_uses(module, intrinsic, target),
        None => Uses::default(),
    };
    let Some(target) = target else { return uses.changed };
    let keys = keys::place(module);
    let emitted = (uses.called || keys.defined) && image::emit(module, target);
    uses.changed || keys.moved || emitted
}

/// What became of the intrinsic's uses.
#[derive(Clone, Copy, Debug, Default)]
struct Uses {
    /// The module changed.
    changed: bool,
    /// There are trampolines.
    called: bool,
}

fn lower_uses<'ctx>(
    module: &Module<'ctx>,
    intrinsic: FunctionValue<'ctx>,
    target: Option<&'static Target>,
) -> Uses {
    let mut lowering =
        Lowering { module, trampolines: target.map(|target| Trampolines::new(module, target)) };
    let calls: Vec<LLVMValueRef> = users(intrinsic.as_value_ref())
        .into_iter()
        .filter(|&user| is_plain_call_of(user, intrinsic.as_value_ref()))
        .collect();
    for &call in &calls {
        // SAFETY: the call is alive.
        let is_invoke = unsafe { !LLVMIsAInvokeInst(call).is_null() };
        let call = Instruction(call);
        // Reading a key does not unwind.
        lowering.lower(if is_invoke { call.call_for_invoke() } else { call });
    }
    let called = lowering.trampolines.is_some_and(Trampolines::finish);
    let settled = settle(module, intrinsic);
    Uses { changed: settled || !calls.is_empty(), called }
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
                    "static call loads its key: this target or code model has no recorded call sites",
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
        let (base, offset) = shim::strip_offsets(self.module, pointer);
        if shim::is_thread_local_address(base) {
            return Argument::Invalid(THREAD_LOCAL.to_owned());
        }
        // SAFETY: `base` is alive.
        if unsafe { !LLVMIsAFunction(base).is_null() } {
            return Argument::Invalid(no_key(base, "a function"));
        }
        // SAFETY: `base` is alive.
        if unsafe { LLVMIsAGlobalVariable(base) }.is_null() {
            return Argument::Unknown("the key is not a constant at this place");
        }
        // SAFETY: `base` is a global variable.
        let (global, thread_local, constant, alignment) = unsafe {
            (
                GlobalValue::new(base),
                LLVMIsThreadLocal(base) != 0,
                LLVMIsGlobalConstant(base) != 0,
                LLVMGetAlignment(base),
            )
        };
        let key = KeyAddress { global, offset };
        let key_size = i64::from(4 * module::pointer_size(self.module) + 8);
        let size = self.size_of(base, key_size);
        let word = module::pointer_size(self.module);
        if thread_local {
            Argument::Invalid(THREAD_LOCAL.to_owned())
        } else if global.get_linkage() == Linkage::ExternalWeak {
            Argument::Unknown("the key is a weak reference, which may be null")
        } else if global.as_pointer_value().get_type().get_address_space() != AddressSpace::default() {
            Argument::Unknown("the key is in another address space")
        } else if constant {
            Argument::Invalid(no_key(base, "a constant"))
        } else if offset < 0 || offset.checked_add(key_size).is_none_or(|end| end > size) {
            let what = format!("{key_size} bytes at offset {offset} of an object of {size}");
            Argument::Invalid(no_key(base, &what))
        } else if (alignment != 0 && alignment < word) || offset % i64::from(word) != 0 {
            Argument::Invalid(no_key(base, "not aligned like a pointer"))
        } else if !key.has_ordinary_symbol() {
            Argument::Unknown("the key's symbol is not an ordinary name")
        } else {
            Argument::Key(key)
        }
    }

    /// How many bytes of a global may be part of a key.
    fn size_of(&self, global: LLVMValueRef, key_size: i64) -> i64 {
        // SAFETY: a global variable, alive; only a sized type is measured.
        unsafe {
            let layout = LLVMGetModuleDataLayout(self.module.as_mut_ptr());
            let measure = |ty| match LLVMTypeIsSized(ty) {
                0 => 0,
                _ => i64::try_from(LLVMABISizeOfType(layout, ty)).unwrap_or(i64::MAX),
            };
            let ty = LLVMGlobalGetValueType(global);
            // `extern struct static_call_key table[];`: how many there are, another module knows.
            let unbounded = LLVMIsDeclaration(global) != 0
                && LLVMGetTypeKind(ty) == LLVMTypeKind::LLVMArrayTypeKind
                && LLVMGetArrayLength2(ty) == 0
                && measure(LLVMGetElementType(ty)) >= key_size;
            if unbounded { i64::MAX } else { measure(ty) }
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
                site.retarget(trampoline);
                site.remark_lowered(&format!("static call of `{}` lowered to a direct call", key.display()));
            }
            Err(NoTrampoline::Unsupported(reason)) => {
                site.remark_missed(&format!("static call stays indirect: {reason}"));
            }
            Err(NoTrampoline::TypeConflict(first)) => site.error(
                self.module,
                &format!(
                    "static call of `{}` with another function type than at {first}: all calls of one \
                     key need the same type (here: {})",
                    key.display(),
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
        // SAFETY: the intrinsic's call is alive; its argument and its result are pointers.
        unsafe {
            if !LLVMGetFirstUse(intrinsic.0).is_null() {
                if key.is_some() {
                    intrinsic
                        .remark_missed("static call loads its key: the function pointer is used as a value");
                }
                let builder = self.module.get_context().create_builder();
                builder.position_before(&inkwell::values::InstructionValue::new(intrinsic.0));
                let pointer = PointerValue::new(pointer);
                let ty = PointerType::new(LLVMTypeOf(intrinsic.0));
                let target = trampoline::load_target(self.module, &builder, ty, pointer);
                LLVMReplaceAllUsesWith(intrinsic.0, target.as_value_ref());
            }
            LLVMInstructionEraseFromParent(intrinsic.0);
        }
    }
}

/// The message for a key that is none.
fn no_key(global: LLVMValueRef, what: &str) -> String {
    format!(
        "`{}` is no static call key ({what}): declare it with static_call::define! in Rust or \
         DEFINE_STATIC_CALL in C",
        String::from_utf8_lossy(module::name(global)),
    )
}

/// The users of a value, each once, and the earliest first: LLVM keeps the newest at the front.
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
    users.reverse();
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

/// Whether `user` calls the intrinsic, and with the intrinsic's type.
fn is_plain_call_of(user: LLVMValueRef, intrinsic: LLVMValueRef) -> bool {
    // SAFETY: both are alive; only a call is asked for its type.
    unsafe { calls(user, intrinsic) && LLVMGetCalledFunctionType(user) == LLVMGlobalGetValueType(intrinsic) }
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

/// Removes the intrinsic, a C header's inline copy or Rust's declaration. Where its address was taken, it
/// becomes an ordinary function. True if the module changed.
fn settle<'ctx>(module: &Module<'ctx>, intrinsic: FunctionValue<'ctx>) -> bool {
    let used = !users(intrinsic.as_value_ref()).is_empty();
    if intrinsic.get_first_basic_block().is_some() {
        if !used && matches!(intrinsic.get_linkage(), Linkage::Internal | Linkage::Private) {
            // SAFETY: nothing uses it.
            unsafe { intrinsic.delete() };
            return true;
        }
        return false;
    }
    if !used {
        // SAFETY: nothing uses it.
        unsafe { intrinsic.delete() };
        return true;
    }
    let context = module.get_context();
    let builder = context.create_builder();
    builder.position_at_end(context.append_basic_block(intrinsic, ""));
    // SAFETY: the intrinsic has one parameter, and both it and the result are pointers.
    let (key, ty) = unsafe {
        let ty = LLVMGetReturnType(LLVMGlobalGetValueType(intrinsic.as_value_ref()));
        (PointerValue::new(LLVMGetParam(intrinsic.as_value_ref(), 0)), PointerType::new(ty))
    };
    let target = trampoline::load_target(module, &builder, ty, key);
    builder.build_return(Some(&target)).expect("the builder has a position");
    intrinsic.set_linkage(Linkage::Internal);
    shim::set_default_attributes(module, intrinsic);
    true
}
