//! Whether a call may be a direct call of a trampoline, and if not, why. Remarks and notes quote the reasons.

use inkwell::module::Module;
use llvm_sys::core::LLVMGetIntTypeWidth;
use static_call_abi::TypeCheck;

use crate::enums::TypeKind;
use crate::machine::Machine;
use crate::module;
use crate::shim::{self, Instruction};
use crate::target::{Features, Target, conventions as cc};

/// What the module is compiled for, or why none of its calls may be direct.
pub(crate) fn machine(module: &Module<'_>) -> Result<Machine, &'static str> {
    match Machine::of(module) {
        Some(_) if !shim::has_machine_stage(module) => {
            Err("LLVM before 21 cannot record calls on this target")
        }
        Some(machine) if shim::calls_reach(module) => Ok(machine),
        _ => Err("this target or code model has no recorded call sites"),
    }
}

/// Why this call has to stay indirect. Its trampoline would make this check.
pub(crate) fn needs_indirect_call(
    target: &Target,
    site: Instruction,
    features: Features<'_>,
    check: Option<TypeCheck>,
) -> Option<&'static str> {
    if target.leaves_no_register(site.convention()) {
        return Some("its calling convention leaves no register for a trampoline");
    }
    if let Some(reason) = target.needs_indirect_call(site, features) {
        return Some(reason);
    }
    if (site.has_bundle(&["kcfi"]) && check.is_none()) || site.has_bundle(&["ptrauth"]) {
        return Some("every call must check the function pointer");
    }
    // The bundle adds a marker instruction, which the runtime of Objective-C looks for, and a call with the
    // result.
    if site.has_bundle(&["clang.arc.attachedcall"]) {
        return Some("the instructions after the call belong to it");
    }
    if site.is_variadic() && [cc::FAST, cc::COLD, cc::INTEL_OCL_BI].contains(&site.convention()) {
        return Some("its calling convention allows no variadic function");
    }
    if site.hardens_loads() {
        return Some(
            "it is in a function with speculative load hardening, which covers the function pointer",
        );
    }
    let attributes = site.string_attributes();
    if attributes.iter().any(|name| name == b"no_caller_saved_registers") {
        return Some("its callee preserves all registers, which leaves none for a trampoline");
    }
    // For a direct call, code generation looks for these on the callee.
    if attributes.iter().any(|name| name.starts_with(b"aarch64_") || name == b"cmse_nonsecure_call") {
        return Some(
            "its caller must prepare it specially (AArch64 streaming mode or ZA, Armv8-M security states)",
        );
    }
    // The caller would assume that the call changes no register that the trampoline leaves alone.
    if shim::allocates_across_functions() {
        return Some("registers are allocated across functions (-enable-ipra)");
    }
    if site.is_must_tail() && !target.has_tail_calls() {
        return Some("it must be a tail call, which a trampoline cannot serve on this architecture");
    }
    None
}

/// What the trampoline of this call has to check instead of it, as long as nothing else does: that is once
/// for each update.
pub(crate) fn type_check(target: &Target, site: Instruction) -> Option<TypeCheck> {
    /// The attribute with the number of no-ops before a function, which code generation takes to be the same
    /// for all.
    const NO_OPS: &str = "patchable-function-prefix";
    let no_ops = match module::string_attribute(site.caller(), NO_OPS) {
        Some(number) => number.parse().ok()?,
        None => 0,
    };
    target.type_check(site.convention(), site.expected_type()?, no_ops)
}

/// Whether this call may become a jump. The runtime may replace a recorded jump with a plain return.
pub(crate) fn may_be_jump(target: &Target, site: Instruction) -> bool {
    target.has_tail_calls() && !site.returns_with_care()
}

/// Whether this call may become a nop, or an instruction that clears the result, which is a register as wide
/// as a pointer.
pub(crate) fn may_be_nop(module: &Module<'_>, target: &Target, site: Instruction) -> bool {
    let result = site.result();
    // SAFETY: the result has a type, and only an integer is asked for its width.
    let is_simple = unsafe {
        match TypeKind::of(result) {
            TypeKind::VOID | TypeKind::POINTER => true,
            TypeKind::INTEGER => LLVMGetIntTypeWidth(result) <= 8 * module::pointer_size(module),
            _ => false,
        }
    };
    is_simple && !site.has_sret() && target.may_be_nop(site.convention())
}
