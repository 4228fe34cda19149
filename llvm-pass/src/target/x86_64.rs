use static_call_abi::X86_64;

use super::{Features, SiteKind, SiteLayout, Target};

pub(super) const TARGET: Target = Target {
    architecture: X86_64,
    names: &["x86_64", "amd64"],
    // Pointers of four bytes.
    other_pointers: &["x32"],
    site_layout,
    // anyreg, CXX_FAST_TLS, preserve_none, interrupt handlers.
    no_register_left: &[13, 17, 21, 83],
    needs_indirect_call: |_| None,
    // C, cold, preserve_most, preserve_all, SysV, Win64.
    may_vanish: &[0, 9, 14, 15, 78, 79],
    has_tail_calls: true,
    thunk,
    trampoline_features: "",
    symbol_constraint: "^Ws",
    jump_to_target,
    jump_at_fixed_address: None,
};

/// One aligned eight-byte word holds the whole instruction: AMD64 Architecture Programmer's Manual, volume 2
/// (24593), section 7.6.1. A five-byte instruction at offset 4 of its word needs four bytes of padding; at 0 to 3
/// it fits as it is.
///
/// The padding is part of the instruction: prefixes that override a segment where no memory is meant. Volume 3 (24594),
/// section 1.2.4, has 64-bit code ignore them; GCC and LLVM put them before branches as well
/// (`-mindirect-branch-cs-prefix`, `-x86-pad-for-branch-align`). The runtime's instructions may stand behind them as well as
/// the call. Where the processor waits for instructions, a no-op before a call costs time, and a prefix does not.
pub(super) fn site_layout(kind: SiteKind, _instruction: &str) -> SiteLayout {
    const CS: &str = "0x2e";
    let max_bytes = match kind {
        SiteKind::Call | SiteKind::Jump => 4,
        SiteKind::ConditionalJump => 5,
    };
    SiteLayout::prefixed(3, max_bytes, CS)
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

/// A load is an acquire on x86-64. The trap stops speculation behind the jump.
fn jump_to_target(near: bool, offset: i64, thunk: Option<&str>) -> String {
    let (address, target) = if near {
        ("", format!("${{0:c}}+{offset}(%rip)"))
    } else {
        ("movq ${0:c}@GOTPCREL(%rip), %r11\n\t", format!("{offset}(%r11)"))
    };
    let jump = match thunk {
        None => format!("jmpq *{target}"),
        Some(thunk) => format!("movq {target}, %r11\n\tjmp {thunk}"),
    };
    format!("{address}{jump}\n\tint3\n\t.p2align 3, 0xcc")
}
