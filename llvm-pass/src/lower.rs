//! The IR stage: turns calls through the intrinsic's result into direct calls of trampolines.

use inkwell::module::{Linkage, Module};
use inkwell::types::PointerType;
use inkwell::values::{AsValueRef, FunctionValue, PointerValue};
use llvm_sys::core::{
    LLVMGetCalledFunctionType, LLVMGetCalledValue, LLVMGetFirstUse, LLVMGetNumOperands, LLVMGetOperand,
    LLVMGetParam, LLVMGetReturnType, LLVMGlobalGetValueType, LLVMInstructionEraseFromParent, LLVMIsACallInst,
    LLVMIsAICmpInst, LLVMIsAInvokeInst, LLVMIsNull, LLVMReplaceAllUsesWith, LLVMTypeOf,
};
use llvm_sys::prelude::LLVMValueRef;
use static_call_abi as abi;

use crate::enums::{self, Predicate};
use crate::key_address::{Argument, KeyAddress, classify};
use crate::machine::Machine;
use crate::module::users;
use crate::shim::{self, Instruction};
use crate::target::Features;
use crate::trampoline::{self, Trampolines, TypeConflict};
use crate::{eligible, header, image, keys, load, module, note, reserved};

/// Lowers every use of the intrinsic, moves the keys into their section, and adds what registers the image.
/// True if the module changed.
pub(crate) fn lower(module: &Module<'_>) -> bool {
    let taken_out = header::take_out(module);
    if reserved::refuse_names(module) {
        return taken_out;
    }
    let machine = eligible::machine(module);
    let uses = match module.get_function(abi::INTRINSIC) {
        Some(intrinsic) => lower_uses(module, intrinsic, machine),
        None => Uses::default(),
    };
    let Ok(Machine { target, format }) = machine else { return taken_out || uses.changed };
    let keys = keys::place(module, format);
    keys::mark_stand_ins(module);
    let emitted = (uses.called || keys.defined) && image::emit(module, format, target);
    taken_out || uses.changed || keys.moved || emitted
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
    machine: Result<Machine, &'static str>,
) -> Uses {
    let trampolines = machine.map(|machine| Trampolines::new(module, machine));
    let mut lowering = Lowering { module, trampolines };
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
    let called = lowering.trampolines.is_ok_and(Trampolines::finish);
    let settled = settle(module, intrinsic);
    Uses { changed: settled || !calls.is_empty(), called }
}

struct Lowering<'module, 'ctx> {
    module: &'module Module<'ctx>,
    /// Or why there are none.
    trampolines: Result<Trampolines<'module, 'ctx>, &'static str>,
}

impl<'ctx> Lowering<'_, 'ctx> {
    /// Lowers one call of the intrinsic, and the uses of its result.
    fn lower(&mut self, intrinsic: Instruction) {
        // SAFETY: a call of the intrinsic with one argument.
        let pointer = unsafe { LLVMGetOperand(intrinsic.0, 0) };
        let (key, reason) = match classify(self.module, pointer) {
            Argument::Key(key) => match self.trampolines {
                Ok(_) => (Some(key), self.lower_uses(intrinsic, key)),
                Err(reason) => (Some(key), Some(self.missed(intrinsic, reason))),
            },
            Argument::Unknown(reason) => (None, Some(self.missed(intrinsic, reason))),
            Argument::Invalid(message) => {
                intrinsic.error(self.module, &message);
                (None, Some("its argument is not a key"))
            }
        };
        self.load_for_the_rest(intrinsic, pointer, key, reason);
    }

    /// Emits the remark that a call loads its key, and why.
    fn missed(&self, intrinsic: Instruction, reason: &'static str) -> &'static str {
        intrinsic.remark_missed(&format!("static call loads its key: {reason}"));
        reason
    }

    /// Lowers the uses of the intrinsic's result that need no pointer: calls and null checks. Returns the
    /// reason if a call stays indirect.
    fn lower_uses(&mut self, intrinsic: Instruction, key: KeyAddress<'ctx>) -> Option<&'static str> {
        let mut reason = None;
        for user in users(intrinsic.0) {
            if calls(user, intrinsic.0) {
                reason = reason.or(self.lower_call(Instruction(user), key));
            } else if let Some(answer) = null_check(user, intrinsic.0) {
                // rustc asserts that a function pointer is not null. A key's target never is.
                let context = self.module.get_context();
                let answer = context.bool_type().const_int(answer.into(), false);
                // SAFETY: the comparison is alive and of type i1.
                unsafe {
                    LLVMReplaceAllUsesWith(user, answer.as_value_ref());
                    LLVMInstructionEraseFromParent(user);
                }
            }
        }
        reason
    }

    /// Lowers a call. Returns the reason if it stays indirect.
    fn lower_call(&mut self, site: Instruction, key: KeyAddress<'ctx>) -> Option<&'static str> {
        let trampolines = self.trampolines.as_mut().ok()?;
        let features = module::string_attribute(site.caller(), trampoline::FEATURES).unwrap_or_default();
        let features = Features(&features);
        let check = trampolines.type_check(site);
        let reason = eligible::needs_indirect_call(trampolines.target(), site, features, check);
        if let Some(reason) = reason.or_else(|| trampolines.out_of_reach(key)) {
            site.remark_missed(&format!("static call stays indirect: {reason}"));
            return Some(reason);
        }
        match trampolines.get(key, site, features, check) {
            Ok(trampoline) => {
                site.retarget(trampoline);
                let site = if check.is_some() { site.without_type_check() } else { site };
                site.remark_lowered(&format!("static call of `{}` lowered to a direct call", key.display()));
                None
            }
            Err(TypeConflict { first }) => {
                site.error(
                    self.module,
                    &format!(
                        "static call of `{}` with another function type than at {first}: all calls of one \
                         key need the same type (here: {})",
                        key.display(),
                        site.location(),
                    ),
                );
                None
            }
        }
    }

    /// Replaces the intrinsic with a load of the key if something still uses its result.
    fn load_for_the_rest(
        &self,
        intrinsic: Instruction,
        pointer: LLVMValueRef,
        key: Option<KeyAddress<'ctx>>,
        reason: Option<&'static str>,
    ) {
        // SAFETY: the intrinsic's call is alive; its argument and its result are pointers.
        unsafe {
            if !LLVMGetFirstUse(intrinsic.0).is_null() {
                let reason = reason.unwrap_or_else(|| self.missed(intrinsic, abi::USED_AS_A_VALUE));
                let builder = self.module.get_context().create_builder();
                builder.position_before(&inkwell::values::InstructionValue::new(intrinsic.0));
                let symbol = key.map(KeyAddress::symbol).unwrap_or_default();
                note::load(self.module, &builder, symbol.as_bytes(), reason);
                let pointer = PointerValue::new(pointer);
                let ty = PointerType::new(LLVMTypeOf(intrinsic.0));
                let target = load::target(self.module, &builder, ty, pointer);
                LLVMReplaceAllUsesWith(intrinsic.0, target.as_value_ref());
            }
            LLVMInstructionEraseFromParent(intrinsic.0);
        }
    }
}

/// Whether `user` is a call or an invoke through `function`.
fn calls(user: LLVMValueRef, function: LLVMValueRef) -> bool {
    // SAFETY: the user is alive; only a call is asked for its callee.
    unsafe {
        (!LLVMIsACallInst(user).is_null() || !LLVMIsAInvokeInst(user).is_null())
            && LLVMGetCalledValue(user) == function
    }
}

/// Whether `user` calls the intrinsic with the intrinsic's own type.
fn is_plain_call_of(user: LLVMValueRef, intrinsic: LLVMValueRef) -> bool {
    // SAFETY: both are alive; only a call is asked for its type.
    unsafe { calls(user, intrinsic) && LLVMGetCalledFunctionType(user) == LLVMGlobalGetValueType(intrinsic) }
}

/// The result of `user` for a pointer that is not null, if `user` compares `pointer` with null.
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
        match Predicate::of(user) {
            Predicate::EQUAL => Some(false),
            Predicate::NOT_EQUAL => Some(true),
            _ => None,
        }
    }
}

/// Removes the intrinsic, which is the C header's inline copy or Rust's declaration. If its address was
/// taken, it becomes an ordinary function instead. True if the module changed.
fn settle<'ctx>(module: &Module<'ctx>, intrinsic: FunctionValue<'ctx>) -> bool {
    let used = !users(intrinsic.as_value_ref()).is_empty();
    if intrinsic.get_first_basic_block().is_some() {
        // SAFETY: a function, alive.
        let is_local = unsafe { enums::Linkage::of(intrinsic.as_value_ref()) }.is_local();
        if !used && is_local {
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
    let target = load::target(module, &builder, ty, key);
    builder.build_return(Some(&target)).expect("the builder has a position");
    intrinsic.set_linkage(Linkage::Internal);
    shim::set_default_attributes(module, intrinsic);
    true
}
