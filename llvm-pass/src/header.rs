//! What `static_call.h` writes for compilers without the pass: assembler with a trampoline, and calls of it.
//!
//! The pass turns this back into calls through the intrinsic. So nobody has to tell the header whether the
//! pass is loaded. Who does (`STATIC_CALL_WITH_PASS`) saves clang the time to read it.
//!
//! ```text
//! call void asm "…", "s,s,i"(ptr @key, ptr @trampoline, i32 …)
//! call i32 inttoptr (i64 ptrtoint (ptr @trampoline to i64) to ptr)(i32 …)
//! ```

use std::collections::HashMap;

use inkwell::AddressSpace;
use inkwell::module::Module;
use inkwell::values::{AsValueRef, FunctionValue, GlobalValue};
use llvm_sys::core::{
    LLVMBuildCall2, LLVMCreateBuilderInContext, LLVMDeleteGlobal, LLVMDisposeBuilder,
    LLVMGetBasicBlockTerminator, LLVMGetCalledValue, LLVMGetIncomingBlock, LLVMGetInlineAsmAsmString,
    LLVMGetNumOperands, LLVMGetOperand, LLVMGetUndef, LLVMGlobalGetValueType, LLVMInstructionEraseFromParent,
    LLVMIsACallInst, LLVMIsAConstantExpr, LLVMIsAInlineAsm, LLVMIsAInstruction, LLVMIsAPHINode,
    LLVMPositionBuilderBefore, LLVMReplaceAllUsesWith, LLVMSetOperand, LLVMTypeOf,
};
use llvm_sys::prelude::LLVMValueRef;
use static_call_abi as abi;

use crate::module::{self, users};

/// A name that every such text defines, and nothing else.
const MARK: &str = ".Lstatic_call_is_new";

/// Takes all of it out of the module. True if there was some.
pub(crate) fn take_out(module: &Module<'_>) -> bool {
    let written: Vec<GlobalValue<'_>> = module.get_globals().filter(is_trampoline).collect();
    let mut changed = false;
    for trampoline in written {
        changed |= take_out_one(module, trampoline);
    }
    changed
}

/// Whether this may be a trampoline: the header declares it as data. C++ mangles the name.
fn is_trampoline(global: &GlobalValue<'_>) -> bool {
    let kind = abi::TRAMPOLINE_PREFIX.trim_end_matches('.').as_bytes();
    let name = module::name(global.as_value_ref());
    global.is_declaration() && name.windows(kind.len()).any(|part| part == kind)
}

fn take_out_one(module: &Module<'_>, trampoline: GlobalValue<'_>) -> bool {
    let trampoline = trampoline.as_value_ref();
    let all = users(trampoline);
    let texts: Vec<LLVMValueRef> = all.iter().copied().filter(|&user| is_text(user)).collect();
    let Some(&text) = texts.first() else { return false };
    // SAFETY: a text's first operand is the key. All values are alive until they are erased, each once.
    unsafe {
        let key = LLVMGetOperand(text, 0);
        for text in texts {
            LLVMInstructionEraseFromParent(text);
        }
        let intrinsic = intrinsic(module);
        let mut made = HashMap::new();
        for (user, operand) in uses(trampoline) {
            let before = place(user, operand);
            let target = *made.entry(before).or_insert_with(|| call(module, intrinsic, key, before));
            LLVMSetOperand(user, operand, target);
        }
        // Constants without users may be left.
        LLVMReplaceAllUsesWith(trampoline, LLVMGetUndef(LLVMTypeOf(trampoline)));
        LLVMDeleteGlobal(trampoline);
    }
    true
}

/// Whether a user is the assembler that writes a trampoline.
fn is_text(user: LLVMValueRef) -> bool {
    // SAFETY: the user is alive, and its kind is checked before it is asked. The string is the assembler's.
    unsafe {
        if LLVMIsACallInst(user).is_null() {
            return false;
        }
        let callee = LLVMGetCalledValue(user);
        if LLVMIsAInlineAsm(callee).is_null() {
            return false;
        }
        let mut length = 0;
        let text = LLVMGetInlineAsmAsmString(callee, &raw mut length);
        let text = std::slice::from_raw_parts(text.cast::<u8>(), length);
        text.windows(MARK.len()).any(|part| part == MARK.as_bytes())
    }
}

/// The instructions that use a constant, also as a part of others, and the numbers of the operands.
fn uses(constant: LLVMValueRef) -> Vec<(LLVMValueRef, u32)> {
    let mut found = Vec::new();
    let mut constants = vec![constant];
    while let Some(constant) = constants.pop() {
        for user in users(constant) {
            // SAFETY: users are alive, and operands are counted.
            unsafe {
                if !LLVMIsAConstantExpr(user).is_null() {
                    constants.push(user);
                } else if !LLVMIsAInstruction(user).is_null() {
                    let operands = 0..LLVMGetNumOperands(user).cast_unsigned();
                    found.extend(
                        operands
                            .filter(|&number| LLVMGetOperand(user, number) == constant)
                            .map(|number| (user, number)),
                    );
                }
            }
        }
    }
    // A user with two such operands is found twice.
    found.sort_unstable();
    found.dedup();
    found
}

/// The instruction before which an operand's value has to be there.
///
/// # Safety
///
/// The user is an instruction in a function whose blocks are complete.
unsafe fn place(user: LLVMValueRef, operand: u32) -> LLVMValueRef {
    // SAFETY: the caller's promise; a complete block has a terminator.
    unsafe {
        if LLVMIsAPHINode(user).is_null() {
            user
        } else {
            LLVMGetBasicBlockTerminator(LLVMGetIncomingBlock(user, operand))
        }
    }
}

/// Calls the intrinsic.
///
/// # Safety
///
/// All values are alive, and of this module.
unsafe fn call(
    module: &Module<'_>,
    intrinsic: FunctionValue<'_>,
    key: LLVMValueRef,
    before: LLVMValueRef,
) -> LLVMValueRef {
    let function = intrinsic.as_value_ref();
    // SAFETY: the caller's promise; the builder is disposed of.
    unsafe {
        let builder = LLVMCreateBuilderInContext(module.get_context().raw());
        LLVMPositionBuilderBefore(builder, before);
        let ty = LLVMGlobalGetValueType(function);
        let target = LLVMBuildCall2(builder, ty, function, [key].as_mut_ptr(), 1, c"".as_ptr());
        LLVMDisposeBuilder(builder);
        target
    }
}

fn intrinsic<'ctx>(module: &Module<'ctx>) -> FunctionValue<'ctx> {
    module.get_function(abi::INTRINSIC).unwrap_or_else(|| {
        let pointer = module.get_context().ptr_type(AddressSpace::default());
        module.add_function(abi::INTRINSIC, pointer.fn_type(&[pointer.into()], false), None)
    })
}
