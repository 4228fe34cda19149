use static_call_abi::POWERPC64;

use super::{SiteKind, SiteLayout, Target};
use crate::shim::Text;

pub(super) const TARGET: Target = Target {
    architecture: POWERPC64,
    names: &["powerpc64le", "ppc64le"],
    other_pointers: &[],
    site_layout,
    // anyreg. (The others leave R0, R12, LR and CTR, which linkers' stubs between a call and its target change.)
    no_register_left: &[13],
    needs_indirect_call: |_| None,
    // C, cold.
    may_vanish: &[0, 9],
    // It could not restore the TOC pointer.
    has_tail_calls: false,
    thunk: |_| None,
    // Else a trampoline of a program for POWER10 is a function without a TOC, and linkers put a stub before it.
    trampoline_features: "-pcrelative-memops",
    symbol_constraint: "s",
    jump_to_target,
    jump_at_fixed_address: None,
};

/// The TOC pointer is saved and restored around each call: Power Architecture 64-Bit ELF V2 ABI, section 2.2.3.3.4
/// (TOC pointer save doubleword). Code for POWER10 that has none enters the trampoline behind the first instruction,
/// which may be a branch to a function that wants one.
fn site_layout(kind: SiteKind, instruction: &str) -> SiteLayout {
    if kind != SiteKind::Call || instruction.contains("NOTOC") {
        return SiteLayout { skip: 4, ..SiteLayout::ANYWHERE };
    }
    SiteLayout { before: Text::new("std 2, 24(1)"), behind: Text::new("ld 2, 24(1)"), ..SiteLayout::ANYWHERE }
}

/// The NOP is what a branch replaces. LWSYNC makes the load an acquire, and the branch behind the jump stops speculation.
fn jump_to_target(near: bool, offset: i64, _thunk: Option<&str>) -> String {
    // The runtime's tests link the same text.
    const NEAR: &str = include_str!("../../../runtime/src/arch/trampolines/powerpc64-near.s");
    const FAR: &str = include_str!("../../../runtime/src/arch/trampolines/powerpc64-far.s");
    if near {
        return NEAR.replace("near+8", &format!("${{0:c}}+{offset}"));
    }
    let field = match offset {
        0..32768 => format!("ld\t12, {offset}(12)"),
        _ => {
            let part = |shift: u32| offset >> shift & 0xffff;
            let (low, middle, high) = (part(0), part(16), part(32));
            format!(
                "li\t0, 0\n\tori\t0, 0, {high}\n\tsldi\t0, 0, 32\n\toris\t0, 0, {middle}\n\tori\t0, 0, {low}\
                 \n\tldx\t12, 12, 0"
            )
        }
    };
    FAR.replace("ld\t12, 8(12)", &field).replace("far", "${0:c}")
}
