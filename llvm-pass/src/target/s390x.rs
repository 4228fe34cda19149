use static_call_abi::{__static_call_s390x as text, S390X};

use super::conventions as cc;
use super::description::Target;
use super::site::SiteLayout;
use super::text::inline;

pub(super) const TARGET: Target = Target {
    architecture: S390X,
    names: &["s390x", "systemz"],
    other_pointers: &[],
    // A doubleword holds the whole instruction. It has six bytes and starts at an even offset, so only at
    // offsets 4 and 6 does it not fit. LLVM's assembler does not lengthen short branches.
    site_layout: |_, _| SiteLayout::placed(S390X.site),
    no_register_left: &[cc::ANY_REG],
    needs_indirect_call: |_, _| None,
    may_be_nop: &[cc::C, cc::COLD, cc::PRESERVE_MOST, cc::PRESERVE_ALL],
    has_tail_calls: true,
    thunk: |_| None,
    trampoline_features: "",
    symbol_constraint: "i",
    jump_to_target,
    jump_at_fixed_address: None,
    jump_in_coff: None,
    checked: None,
};

/// `runtime/abi/src/assembler/s390x.rs` explains the text.
fn jump_to_target(near: bool, offset: i64, _thunk: Option<&str>) -> String {
    if near {
        return inline(text!(near), offset);
    }
    if offset < 1 << 19 {
        return inline(text!(far), offset);
    }
    // Adds the low half with its carry, then swaps the halves to add the high one.
    let (high, low) = (offset >> 32, offset & 0xffff_ffff);
    let swap = "rllg %r1, %r1, 32";
    let field = format!("algfi %r1, {low}\n{swap}\nalgfi %r1, {high}\n{swap}\nlg %r1, 0(%r1)");
    inline(&text!(far "{field}").replace("{field}", &field), offset)
}
