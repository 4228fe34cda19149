use static_call_abi::X86;

use super::{Call, Features, Target, x86_64};

pub(super) const TARGET: Target = Target {
    architecture: X86,
    names: &["i386", "i486", "i586", "i686", "i786", "i886", "i986"],
    other_pointers: &[],
    // The rule for replacing code and the instructions are those of x86-64.
    site_layout: x86_64::site_layout,
    // HiPE and regcall pass arguments in eax; anyreg, preserve_most, preserve_all, CXX_FAST_TLS, preserve_none and
    // interrupt handlers may want it back.
    no_register_left: &[11, 13, 14, 15, 17, 21, 83, 92],
    needs_indirect_call,
    // C and cold. In stdcall, fastcall, thiscall and vectorcall the callee removes the arguments.
    may_vanish: &[0, 9],
    has_tail_calls: true,
    thunk,
    trampoline_features: "",
    symbol_constraint: "^Ws",
    jump_to_target,
    jump_at_fixed_address: Some(jump_at_fixed_address),
};

/// A static chain comes in a register of a trampoline's, and inreg arguments come in eax (-mregparm), but for fastcc,
/// tailcc, fastcall, thiscall and vectorcall.
fn needs_indirect_call(call: &Call<'_>) -> Option<&'static str> {
    let inreg = (call.has_argument)("inreg") && ![8, 18, 65, 70, 80].contains(&call.convention);
    (inreg || (call.has_argument)("nest")).then_some("its arguments leave a trampoline no register")
}

/// Of the thunks those for eax. LVI is about 64-bit processors only, and LLVM has no thunk for it here.
fn thunk(features: Features<'_>) -> Option<&'static str> {
    if features.has("retpoline-external-thunk") {
        Some("__x86_indirect_thunk_eax")
    } else {
        let has_retpoline = features.has("retpoline") || features.has("retpoline-indirect-calls");
        has_retpoline.then_some("__llvm_retpoline_eax")
    }
}

/// The runtime's tests link these and look at what the linker makes of them. There a key is called "near" or
/// "far", and it lies eight bytes into that symbol.
const NEAR: &str = include_str!("../../../runtime/src/arch/trampolines/x86-near.s");
const FAR: &str = include_str!("../../../runtime/src/arch/trampolines/x86-far.s");
const FIXED: &str = include_str!("../../../runtime/src/arch/trampolines/x86-static.s");

/// Only a call knows where code lies: so the first instruction calls the next one. No argument is in eax. A load
/// is an acquire, and the trap stops speculation behind the jump.
fn jump_to_target(near: bool, offset: i64, thunk: Option<&str>) -> String {
    adapt(if near { NEAR } else { FAR }, offset, thunk)
}

fn jump_at_fixed_address(offset: i64, thunk: Option<&str>) -> String {
    adapt(FIXED, offset, thunk)
}

fn adapt(code: &str, offset: i64, thunk: Option<&str>) -> String {
    let code = code
        .replace('$', "$$")
        .replace("near+8", &format!("${{0:c}}+{offset}"))
        .replace("far@", "${0:c}@")
        .replace("*8(", &format!("*{offset}("));
    let Some(thunk) = thunk else { return code };
    let (before, jump) = code.split_once("jmp\t*").expect("a trampoline jumps");
    let (target, behind) = jump.split_once('\n').expect("the jump is not its end");
    format!("{before}mov\t{target}, %eax\n\tjmp\t{thunk}\n{behind}")
}
