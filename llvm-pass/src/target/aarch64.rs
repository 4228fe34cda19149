use static_call_abi::{__static_call_aarch64 as text, AARCH64};

use super::conventions as cc;
use super::description::Target;
use super::site::SiteLayout;
use super::text::inline;

pub(super) const TARGET: Target = Target {
    architecture: AARCH64,
    names: &["aarch64", "arm64"],
    other_pointers: &["ilp32"],
    // Every instruction is an aligned word: Arm Architecture Reference Manual (DDI 0487), B2.2.1.
    site_layout: |_, _| SiteLayout::ANYWHERE,
    // The other conventions use neither x16 nor x17, because a linker's veneer may change both in any call.
    no_register_left: &[cc::ANY_REG, cc::CXX_FAST_TLS, cc::PRESERVE_NONE],
    needs_indirect_call: |_, _| None,
    may_be_nop: &[
        cc::C,
        cc::COLD,
        cc::PRESERVE_MOST,
        cc::PRESERVE_ALL,
        cc::AARCH64_VECTORCALL,
        cc::AARCH64_SVE_VECTORCALL,
    ],
    has_tail_calls: true,
    thunk: |_| None,
    trampoline_features: "",
    symbol_constraint: "S",
    jump_to_target,
    jump_at_fixed_address: None,
    jump_in_coff: None,
};

/// `runtime/abi/src/assembler/aarch64.rs` explains the text.
fn jump_to_target(near: bool, offset: i64, _thunk: Option<&str>) -> String {
    if near {
        return inline(text!(near), offset);
    }
    let field = match offset {
        0 => return inline(text!(far), offset),
        1..4096 => "add x16, x16, #{offset}".to_owned(),
        _ => {
            let part = |shift: u32| offset >> shift & 0xffff;
            let (low, middle, high) = (part(0), part(16), part(32));
            format!(
                "movz x17, #{low}\nmovk x17, #{middle}, lsl #16\nmovk x17, #{high}, lsl #32\n\
                 add x16, x16, x17"
            )
        }
    };
    inline(&text!(far "{field}").replace("{field}", &field), offset)
}
