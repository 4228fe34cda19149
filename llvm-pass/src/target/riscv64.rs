use static_call_abi::{__static_call_riscv64 as text, RISCV64};

use super::conventions as cc;
use super::description::Target;
use super::site::{SiteKind, SiteLayout};
use super::text::inline;
use crate::shim::Text;

pub(super) const TARGET: Target = Target {
    architecture: RISCV64,
    names: &["riscv64"],
    other_pointers: &["ilp32"],
    site_layout,
    // No other convention passes anything in t0 or t1.
    no_register_left: &[cc::ANY_REG, cc::CXX_FAST_TLS, cc::PRESERVE_NONE],
    needs_indirect_call: |_, _| None,
    may_be_nop: &[cc::C, cc::COLD, cc::PRESERVE_MOST, cc::RISCV_VECTORCALL],
    has_tail_calls: true,
    thunk: |_| None,
    symbol_constraint: "S",
    trampoline_features: "",
    jump_to_target,
    jump_at_fixed_address: None,
    jump_in_coff: None,
    checked: None,
};

/// A call has two instructions, which must be in one word, because the runtime replaces the second one and
/// checks the first. With compressed instructions it may start at any even address, otherwise at any multiple
/// of four.
///
/// Linkers relax a call to one instruction, which is a site too. They may relax a tail call to two bytes,
/// which are not a site. So relaxation is off for tail calls.
fn site_layout(kind: SiteKind, _instruction: &str) -> SiteLayout {
    const TAIL: &str = ".option push\n\t.option norelax\n\ttail $0\n\t.option pop";
    let layout = SiteLayout::placed(RISCV64.site);
    match kind {
        SiteKind::Call => layout,
        SiteKind::Jump | SiteKind::ConditionalJump => SiteLayout { assembler: Text::new(TAIL), ..layout },
    }
}

/// A tail call uses neither t1 nor t0. `runtime/abi/src/assembler/riscv64.rs` explains the text.
fn jump_to_target(near: bool, offset: i64, _thunk: Option<&str>) -> String {
    inline(
        match (near, offset) {
            (true, _) => text!(near),
            (false, 0..2048) => text!(far),
            (false, _) => text!(far "li t0, {offset}\nadd t1, t1, t0\nld t1, 0(t1)"),
        },
        offset,
    )
}
