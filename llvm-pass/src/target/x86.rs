use static_call_abi::{__static_call_x86 as text, X86, X86_PREFIX};

use super::conventions as cc;
use super::description::{Features, Target};
use super::text::inline;
use super::x86_64;
use crate::shim::Instruction;

pub(super) const TARGET: Target = Target {
    architecture: X86,
    names: &["i386", "i486", "i586", "i686", "i786", "i886", "i986"],
    other_pointers: &[],
    // Instructions, and the rule for replacing them, are those of x86-64. But x86-64's prefix changes the
    // length of the `lea` that does nothing here. So the prefix is a segment's (`fs`), which affects none of
    // the instructions.
    site_layout: |kind, _| x86_64::layout_with(kind, X86_PREFIX.text),
    // HiPE and regcall pass arguments in eax. The others may require the callee to preserve it.
    no_register_left: &[
        cc::HIPE,
        cc::ANY_REG,
        cc::PRESERVE_MOST,
        cc::PRESERVE_ALL,
        cc::CXX_FAST_TLS,
        cc::PRESERVE_NONE,
        cc::X86_INTR,
        cc::X86_REGCALL,
    ],
    needs_indirect_call,
    // In stdcall, fastcall, thiscall and vectorcall the callee removes the arguments.
    may_be_nop: &[cc::C, cc::COLD],
    has_tail_calls: true,
    thunk,
    trampoline_features: "",
    symbol_constraint: "^Ws",
    jump_to_target,
    jump_at_fixed_address: Some(jump_at_fixed_address),
    jump_in_coff: None,
    checked: None,
};

/// A static chain is in a register that a trampoline needs. Inreg arguments are in eax (-mregparm), except in
/// fastcc, tailcc, fastcall, thiscall and vectorcall.
fn needs_indirect_call(site: Instruction, _: Features<'_>) -> Option<&'static str> {
    let inreg = site.has_argument_with("inreg")
        && ![cc::FAST, cc::TAIL, cc::X86_FASTCALL, cc::X86_THISCALL, cc::X86_VECTORCALL]
            .contains(&site.convention());
    (inreg || site.has_argument_with("nest")).then_some("its arguments leave no register for a trampoline")
}

/// The thunks for eax. LVI concerns 64-bit code only, and LLVM has no thunk for it here.
fn thunk(features: Features<'_>) -> Option<&'static str> {
    if features.has("retpoline-external-thunk") {
        Some("__x86_indirect_thunk_eax")
    } else {
        let has_retpoline = features.has("retpoline") || features.has("retpoline-indirect-calls");
        has_retpoline.then_some("__llvm_retpoline_eax")
    }
}

/// `runtime/abi/src/assembler/x86.rs` explains the text.
fn jump_to_target(near: bool, offset: i64, thunk: Option<&str>) -> String {
    let code = match (near, thunk) {
        (true, None) => text!(near),
        (true, Some(_)) => text!(near "jmp {thunk}"),
        (false, None) => text!(far),
        (false, Some(_)) => text!(far "jmp {thunk}"),
    };
    inline(code, offset).replace("{thunk}", thunk.unwrap_or_default())
}

fn jump_at_fixed_address(offset: i64, thunk: Option<&str>) -> String {
    match thunk {
        None => inline(text!(fixed), offset),
        Some(thunk) => inline(text!(fixed "jmp {thunk}"), offset).replace("{thunk}", thunk),
    }
}
