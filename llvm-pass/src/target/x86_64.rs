use static_call_abi::{__static_call_x86_64 as text, Placement, STAND_IN, TypeCheck, X86_64, X86_64_PREFIX};

use super::conventions as cc;
use super::description::{Checked, CoffJump, Features, Target};
use super::site::{SiteKind, SiteLayout};
use super::text::inline;

pub(super) const TARGET: Target = Target {
    architecture: X86_64,
    names: &["x86_64", "amd64"],
    // Its pointers have four bytes.
    other_pointers: &["x32"],
    site_layout,
    no_register_left: &[cc::ANY_REG, cc::CXX_FAST_TLS, cc::PRESERVE_NONE, cc::X86_INTR],
    needs_indirect_call: |_, _| None,
    may_be_nop: &[cc::C, cc::COLD, cc::PRESERVE_MOST, cc::PRESERVE_ALL, cc::X86_64_SYSV, cc::WIN64],
    has_tail_calls: true,
    thunk,
    trampoline_features: "",
    symbol_constraint: "^Ws",
    jump_to_target,
    jump_at_fixed_address: None,
    jump_in_coff: Some(jump_in_coff),
    checked: Some(Checked { no_op: 1, jump_to_target: jump_to_checked_target }),
};

/// One aligned eight-byte word holds the whole instruction: AMD64 Architecture Programmer's Manual, volume 2
/// (24593), section 7.6.1. A five-byte instruction at offset 4 of its word needs four bytes of padding. At 0
/// to 3 it needs none.
///
/// The padding is part of the instruction: an address-size prefix, which has no effect on an instruction
/// without a memory operand. Linkers write `addr32 call` too, when they turn an indirect call into a direct
/// one (x86-64 psABI, section B.2). The runtime's instructions may follow the prefix just as the call does.
/// Where instruction fetch is the bottleneck, a no-op before a call costs time, and a prefix does not.
///
/// Where the runtime changes the opcode, there is always one prefix: when a uprobe is removed from an
/// instruction, the kernel restores the *file's* first byte (`arch/x86_64.rs` in the runtime has more). The
/// kernel refuses probes of instructions with most segment prefixes, so those are not an option. In a
/// conditional jump only the displacement changes.
fn site_layout(kind: SiteKind, _instruction: &str) -> SiteLayout {
    layout_with(kind, X86_64_PREFIX.text)
}

/// The same with another prefix.
pub(super) fn layout_with(kind: SiteKind, prefix: &'static str) -> SiteLayout {
    match kind {
        SiteKind::Call | SiteKind::Jump => SiteLayout::prefixed(X86_64.site, prefix, 1),
        SiteKind::ConditionalJump => SiteLayout::prefixed(Placement::X86_CONDITIONAL_JUMP, prefix, 0),
    }
}

fn thunk(features: Features<'_>) -> Option<&'static str> {
    if features.has("retpoline-external-thunk") {
        Some("__x86_indirect_thunk_r11")
    } else if features.has("retpoline") || features.has("retpoline-indirect-calls") {
        Some("__llvm_retpoline_r11")
    } else {
        features.has("lvi-cfi").then_some("__llvm_lvi_thunk_r11")
    }
}

/// The text is the one that Rust's macros write without the pass: `runtime/abi/src/assembler/x86_64.rs`
/// explains it. The mark is for the prefix before the entry. (On AArch64 the assembler marks data in code
/// itself.)
fn jump_to_target(near: bool, offset: i64, thunk: Option<&str>) -> String {
    let code = match (near, thunk) {
        (true, None) => text!(near),
        (true, Some(_)) => text!(near "jmp {thunk}"),
        (false, None) => text!(far),
        (false, Some(_)) => text!(far "jmp {thunk}"),
    };
    inline(&format!("{}\n{code}", text!(data)), offset)
        .replace("{number}", "${:uid}")
        .replace("{thunk}", thunk.unwrap_or_default())
}

/// The checking function takes the place of a thunk: a thunk's users have the checks turned off.
fn jump_in_coff(jump: CoffJump, offset: i64, thunk: Option<&str>) -> String {
    let code = match (jump.is_near, jump.is_guarded, thunk) {
        (true, true, _) => text!(near guarded),
        (false, true, _) => text!(slot guarded),
        (true, false, None) => text!(near),
        (true, false, Some(_)) => text!(near "jmp {thunk}"),
        (false, false, None) => text!(slot),
        (false, false, Some(_)) => text!(slot "jmp {thunk}"),
    };
    inline(code, offset).replace("{thunk}", thunk.unwrap_or_default())
}

/// The same with a check of the target's type.
fn jump_to_checked_target(near: bool, offset: i64, thunk: Option<&str>, check: TypeCheck) -> String {
    let TypeCheck { distance, hash } = check;
    let code = if near { text!(near "{check}") } else { text!(far "{check}") };
    let code = code.replace("{check}", text!(check));
    let jump = thunk.map_or("jmpq *%r11".to_owned(), |thunk| format!("jmp {thunk}"));
    inline(&format!("{}\n{code}", text!(data "16")), offset)
        .replace("{number}", "${:uid}")
        .replace("{negated}", &hash.wrapping_neg().cast_signed().to_string())
        .replace("{distance}", &distance.to_string())
        .replace("{to_stand_in}", &hash.wrapping_sub(STAND_IN).cast_signed().to_string())
        .replace("{jump}", &jump)
}
