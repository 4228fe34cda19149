use static_call_abi::{__static_call_loongarch64 as text, LOONGARCH64, Placement};

use super::conventions as cc;
use super::description::Target;
use super::site::SiteLayout;
use super::text::inline;

pub(super) const TARGET: Target = Target {
    architecture: LOONGARCH64,
    names: &["loongarch64"],
    other_pointers: &[],
    // A pair of instructions starts an aligned word of eight bytes. A single instruction is always in one
    // word. The compiler has already chosen its conditional branches, which reach 128 KiB.
    site_layout: |_, _| SiteLayout {
        only_pairs: true,
        ..SiteLayout::placed(Placement { log2_align: 3, max_bytes: 4, max_function: (1 << 17) - 4 })
    },
    // No other convention passes anything in $t0 or $t8, or requires the callee to preserve them.
    no_register_left: &[cc::ANY_REG, cc::CXX_FAST_TLS, cc::PRESERVE_NONE],
    needs_indirect_call: |_, _| None,
    may_be_nop: &[cc::C, cc::COLD, cc::PRESERVE_MOST],
    has_tail_calls: true,
    thunk: |_| None,
    trampoline_features: "",
    symbol_constraint: "s",
    jump_to_target,
    jump_at_fixed_address: None,
    jump_in_coff: None,
    checked: None,
};

/// `runtime/abi/src/assembler/loongarch64.rs` explains the text.
fn jump_to_target(near: bool, offset: i64, _thunk: Option<&str>) -> String {
    inline(
        match (near, offset) {
            (true, _) => text!(near),
            (false, 0..2048) => text!(far),
            (false, _) => text!(far "li.d $t0, {offset}\nadd.d $t8, $t8, $t0\nld.d $t8, $t8, 0"),
        },
        offset,
    )
}
