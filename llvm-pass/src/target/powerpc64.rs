use static_call_abi::{__static_call_powerpc64 as text, POWERPC64, POWERPC64_TOC};

use super::conventions as cc;
use super::description::Target;
use super::site::{SiteKind, SiteLayout};
use super::text::inline;
use crate::shim::Text;

pub(super) const TARGET: Target = Target {
    architecture: POWERPC64,
    names: &["powerpc64le", "ppc64le"],
    other_pointers: &[],
    site_layout,
    // The other conventions use none of R0, R12, LR and CTR, because linkers' stubs in calls change them.
    no_register_left: &[cc::ANY_REG],
    needs_indirect_call: |_, _| None,
    may_be_nop: &[cc::C, cc::COLD],
    // A jump could not restore the TOC pointer.
    has_tail_calls: false,
    thunk: |_| None,
    // Otherwise a trampoline in a program for POWER10 is a function without a TOC, and linkers put a stub
    // before it.
    trampoline_features: "-pcrelative-memops",
    symbol_constraint: "s",
    jump_to_target,
    jump_at_fixed_address: None,
    jump_in_coff: None,
    checked: None,
};

/// The TOC pointer is saved before each call and restored after it ([`POWERPC64_TOC`]). Code for POWER10
/// without a TOC enters the trampoline after its first instruction, which may be a branch to a function that
/// expects one.
fn site_layout(kind: SiteKind, instruction: &str) -> SiteLayout {
    if kind != SiteKind::Call || instruction.contains("NOTOC") {
        return SiteLayout { skip: 4, ..SiteLayout::ANYWHERE };
    }
    let [before, after] = POWERPC64_TOC.map(Text::new);
    SiteLayout { before, after, ..SiteLayout::ANYWHERE }
}

/// `runtime/abi/src/assembler/powerpc64.rs` explains the text.
fn jump_to_target(near: bool, offset: i64, _thunk: Option<&str>) -> String {
    if near {
        return inline(text!(near), offset);
    }
    if offset < 32768 {
        return inline(text!(far), offset);
    }
    let part = |shift: u32| offset >> shift & 0xffff;
    let (low, middle, high) = (part(0), part(16), part(32));
    let field = format!(
        "li 0, 0\nori 0, 0, {high}\nsldi 0, 0, 32\noris 0, 0, {middle}\nori 0, 0, {low}\nldx 12, 12, 0"
    );
    inline(&text!(far "{field}").replace("{field}", &field), offset)
}
